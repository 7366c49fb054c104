/**
 * Story: what happened to tasks. The latest run of a completed task is told from its row: so a task
 * that completes at its first run costs no row here. Whatever else happens is one row.
 */
import { STORY_LENGTH } from '../../actors/ports/store.ts';
import type { StoryEntry } from '../../actors/ports/store.ts';
import { orderOf } from './parent-end.ts';
import type { CancelOrder } from './parent-end.ts';
import type { HeldTask } from './sqlite-held.ts';
import type { Statements } from './sqlite-statements.ts';
import { STATUS } from './task-status.ts';

type RunEntry = Extract<StoryEntry, { at: 'run' }>;

type StoryRow = readonly [
  seq: number,
  status: number,
  submittedAtMs: number,
  fence: number,
  claimedAtMs: number,
  startedAtMs: number,
  atMs: number,
  worker: string | null,
];

/** Of one database. Everything is called within a transaction. */
export class SqliteStory {
  readonly #sql: Statements;

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  /** One more entry; beyond the limit the oldest goes. */
  append(seq: number, entry: StoryEntry): void {
    const [n] = this.#sql.append.get(seq, JSON.stringify(entry)) as unknown as [number];
    // The submission is one of them.
    if (n >= STORY_LENGTH) this.#sql.cut.run(seq, n - (STORY_LENGTH - 1));
  }

  /** A run has let go of its lease, otherwise than by completing. */
  ran({ seq, fence, worker, claimedAtMs, startedAtMs }: HeldTask, atMs: number, outcome: RunEntry['outcome'], detail: string | null): void {
    this.append(seq, { at: 'run', atMs, fence, worker, claimedAtMs, startedAtMs, outcome, detail });
  }

  /** By whom and why it was cancelled last. */
  cancelOf(id: string): CancelOrder {
    const order = this.tell(id).findLast((entry) => entry.at === 'steered' && entry.action === 'cancel');
    return order?.at === 'steered' ? order : orderOf(id, 'cancelled');
  }

  tell(id: string): StoryEntry[] {
    const row = this.#sql.storyOf.get(id) as unknown as StoryRow | undefined;
    if (row === undefined) return [];
    const [seq, status, submittedAtMs, fence, claimedAtMs, startedAtMs, atMs, worker] = row;
    const later = (this.#sql.story.all(seq) as unknown as [string][]).map(([entry]) => readEntry(entry));
    if (status === STATUS.completed) {
      const name = worker === '' ? null : worker;
      later.push({ at: 'run', atMs, fence, worker: name, claimedAtMs, startedAtMs, outcome: 'completed', detail: null });
    }
    return [{ at: 'submitted', atMs: submittedAtMs }, ...later.slice(-(STORY_LENGTH - 1))];
  }
}

function readEntry(json: string): StoryEntry {
  const entry = JSON.parse(json) as StoryEntry;
  // So it was called by those who have written the file before.
  const isOld = entry.at === 'steered' && (entry.action as string) === 'resume';
  return isOld ? { ...entry, action: 'unpause' } : entry;
}
