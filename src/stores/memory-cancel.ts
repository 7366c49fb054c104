/** How the cancellation of a task reaches those that it asked. */
import { isTerminal } from '../../actors/ports/store.ts';
import type { Held } from '../../actors/ports/store.ts';
import type { MemoryMoves } from './memory-moves.ts';
import { tell } from './memory-story.ts';
import { isHeld, moreOf } from './memory-task.ts';
import type { MemoryTask, Note } from './memory-task.ts';

/** What a cancellation has done. */
export interface Cancelled {
  readonly ended: string[];
  readonly held: Held[];
}

/**
 * Cancels a task and its unfinished children, and theirs. What is under lease is noted: whether its
 * children are cancelled depends on whether it completes first.
 */
export function cancelTree(moves: MemoryMoves, root: MemoryTask, note: Note, nowMs: number, done: Cancelled): void {
  const left = [root];
  for (let task = left.pop(); task !== undefined; task = left.pop()) {
    // What is being undone has been cancelled as far as it can be.
    if (isTerminal(task.status) || task.more?.undo !== undefined) continue;
    tell(task, { at: 'steered', atMs: nowMs, action: 'cancel', by: note.by, reason: note.reason });
    if (isHeld(task)) {
      moreOf(task).noted = note;
      done.held.push({ id: task.id, fence: task.fence });
      continue;
    }
    moves.endBadly(task, 'cancelled', null, nowMs);
    // Unless it is to be undone.
    if (task.finishedAtMs !== null) done.ended.push(task.id);
    if (task.children !== undefined) left.push(...task.children.toReversed());
  }
}

/** The children of one that has been cancelled by what was noted of it. */
export function cancelChildren(moves: MemoryMoves, { children }: MemoryTask, note: Note, nowMs: number): void {
  for (const child of children ?? []) cancelTree(moves, child, note, nowMs, { ended: [], held: [] });
}
