/** How the end of a task reaches those that it asked. */
import type { Held, NewTask } from '../../actors/ports/store.ts';
import type { MemoryMoves } from './memory-moves.ts';
import { tell } from './memory-story.ts';
import { isHeld, moreOf } from './memory-task.ts';
import type { MemoryTask, Note, Undo } from './memory-task.ts';
import { fateOf, orderOf } from './parent-end.ts';
import type { CancelOrder } from './parent-end.ts';

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
  const { action, by, reason } = note;
  const below: Note = { action, by, reason, withParent: true };
  const left = [root];
  for (let task = left.pop(); task !== undefined; task = left.pop()) {
    const fate = fateOf({ hasEnded: task.finishedAtMs !== null, isHeld: isHeld(task), isUndoing: task.more?.undo !== undefined });
    if (fate === 'left') continue;
    const own = task === root ? note : below;
    tell(task, { at: 'steered', atMs: nowMs, action, by, reason });
    if (fate === 'noted') {
      moreOf(task).noted = own;
      done.held.push({ id: task.id, fence: task.fence });
      continue;
    }
    if (cancelOne(moves, task, own, nowMs)) done.ended.push(task.id);
    if (task.children !== undefined) left.push(...task.children.toReversed());
  }
}

/** What nobody holds. Whether it has ended by that: unless it is to be undone. */
function cancelOne(moves: MemoryMoves, task: MemoryTask, note: Note, nowMs: number): boolean {
  moves.endBadly(task, 'cancelled', null, nowMs);
  if (task.finishedAtMs === null) return false;
  if (note.withParent === true) moreOf(task).fellWithParent = true;
  return true;
}

/** What was noted of it is done: nobody holds it any more. */
export function cancelNoted(moves: MemoryMoves, task: MemoryTask, note: Note, nowMs: number): void {
  cancelOne(moves, task, note, nowMs);
  fallen(moves, task, note);
}

/** Ends one that nobody holds, or has it undone first; its family is closed at the end of the command. */
export function fall(moves: MemoryMoves, task: MemoryTask, status: Undo['status'], error: string | null, nowMs: number): void {
  moves.endBadly(task, status, error, nowMs);
  fallen(moves, task, orderOf(task.id, status));
}

/** It ends: its family is closed at the end of the command, but for what it sends by that. */
export function fallen(moves: MemoryMoves, task: MemoryTask, order: CancelOrder, sends: readonly NewTask[] = []): void {
  if (task.children !== undefined) moves.fallen.push({ task, order, sends });
}

/** At the end of a command, before it is answered: whoever was asked by a task that ends by it is cancelled. */
export function closeFamilies(moves: MemoryMoves, nowMs: number): void {
  for (const { task, order, sends } of moves.fallen.splice(0)) {
    const { by, reason } = order;
    for (const child of task.children ?? []) {
      if (sends.some(({ id }) => id === child.id)) continue;
      cancelTree(moves, child, { action: 'cancel', by, reason, withParent: true }, nowMs, { ended: moves.endedBeside, held: [] });
      moves.followUp(nowMs);
    }
  }
}
