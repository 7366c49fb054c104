/** Story: what has happened to a task. A run that completed it is told from the task itself. */
import { STORY_LENGTH } from '../../actors/ports/store.ts';
import type { StoryEntry } from '../../actors/ports/store.ts';
import type { MemoryTask } from './memory-task.ts';

type RunEntry = Extract<StoryEntry, { at: 'run' }>;

/** A lease has been let go of, other than by completing. */
export function tellRun(task: MemoryTask, outcome: RunEntry['outcome'], detail: string | null, atMs: number): void {
  tell(task, runOf(task, outcome, detail, atMs));
}

export function tell(task: MemoryTask, entry: StoryEntry): void {
  const story = (task.story ??= []);
  story.push(entry);
  // Cut now and then, so that each entry costs the same.
  if (story.length >= 2 * STORY_LENGTH) task.story = story.slice(-STORY_LENGTH);
}

/** Oldest first. */
export function storyOf(task: MemoryTask): readonly StoryEntry[] {
  const story: StoryEntry[] = [...(task.story ?? [])];
  if (task.status === 'completed') story.push(runOf(task, 'completed', null, task.finishedAtMs!));
  return [{ at: 'submitted', atMs: task.submittedAtMs }, ...story.slice(-STORY_LENGTH)];
}

function runOf(task: MemoryTask, outcome: RunEntry['outcome'], detail: string | null, atMs: number): RunEntry {
  const { fence, worker, claimedAtMs, startedAtMs } = task;
  return { at: 'run', atMs, fence, worker, claimedAtMs, startedAtMs, outcome, detail };
}
