/** What an operator does to tasks of the memory store. */
import { isTerminal } from '../../actors/ports/store.ts';
import type { Steering, SteerOutcome, SteerReply } from '../../actors/ports/store.ts';
import { cancelTree } from './memory-cancel.ts';
import type { Cancelled } from './memory-cancel.ts';
import type { MemoryMoves } from './memory-moves.ts';
import { tell } from './memory-story.ts';
import { hasCompensations, isHeld, moreOf } from './memory-task.ts';
import type { MemoryTask } from './memory-task.ts';

const UNKNOWN: SteerOutcome = { at: 'unknown' };

type Done = { readonly at: 'done' } | Exclude<SteerOutcome, { at: 'done' }>;

const DONE: Done = { at: 'done' };

/** `steer`. */
export function steer(moves: MemoryMoves, items: readonly Steering[], nowMs: number): SteerReply {
  const done: Cancelled = { ended: [], held: [] };
  const outcomes = items.map((item): readonly [MemoryTask | undefined, Done] => {
    const task = moves.byId.get(item.id);
    if (task === undefined) return [undefined, UNKNOWN];
    const outcome = steerOne(moves, task, item, nowMs, done);
    moves.followUp(nowMs);
    return [task, outcome];
  });
  return {
    outcomes: outcomes.map(([task, outcome]) => (outcome.at === 'done' ? { at: 'done', status: task!.status } : outcome)),
    ready: moves.takeReady(),
    ended: done.ended,
    held: done.held,
  };
}

function steerOne(moves: MemoryMoves, task: MemoryTask, item: Steering, nowMs: number, done: Cancelled): Done {
  switch (item.action) {
    case 'cancel':
      return cancel(moves, task, item, nowMs, done);
    case 'pause':
      return pause(moves, task, item, nowMs, done);
    case 'unpause':
      return unpause(moves, task, item, nowMs);
    case 'requeue':
      return requeue(moves, task, item, nowMs);
  }
}

function cancel(moves: MemoryMoves, task: MemoryTask, { by, reason }: Steering, nowMs: number, done: Cancelled): Done {
  if (task.more?.kept === true) reopen(moves, task);
  else if (isTerminal(task.status)) return refused(task, 'ended');
  if (task.more?.undo !== undefined) return { at: 'refused', why: 'undoing', status: task.status, ends: task.more.undo.status };
  cancelTree(moves, task, { action: 'cancel', by, reason }, nowMs, done);
  return isHeld(task) ? { at: 'noted', fence: task.fence } : DONE;
}

function pause(moves: MemoryMoves, task: MemoryTask, item: Steering, nowMs: number, done: Cancelled): Done {
  if (isTerminal(task.status)) return refused(task, 'ended');
  if (isPaused(task)) return DONE;
  if (task.more?.noted?.action === 'cancel') return refused(task, 'cancelling');
  told(task, item, nowMs);
  if (isHeld(task)) {
    const more = moreOf(task);
    more.noted = { action: 'pause', by: item.by, reason: item.reason };
    done.held.push({ id: task.id, fence: task.fence });
    return { at: 'noted', fence: task.fence };
  }
  const retryAtMs = task.status === 'retrying' ? task.untilMs : undefined;
  moves.forsake(task, nowMs);
  moves.releaseLocks(task, nowMs);
  moves.pause(task, retryAtMs);
  return DONE;
}

function unpause(moves: MemoryMoves, task: MemoryTask, item: Steering, nowMs: number): Done {
  if (isTerminal(task.status)) return refused(task, 'ended');
  if (task.more?.noted?.action === 'pause') {
    told(task, item, nowMs);
    task.more.noted = undefined;
    return DONE;
  }
  if (!isPaused(task)) return refused(task, 'not-paused');
  told(task, item, nowMs);
  moves.unpause(task, nowMs);
  return DONE;
}

function requeue(moves: MemoryMoves, task: MemoryTask, item: Steering, nowMs: number): Done {
  if (!isTerminal(task.status)) return refused(task, 'not-ended');
  if (task.status === 'completed') return refused(task, 'ended');
  const isUndone = task.more?.undo !== undefined;
  if (isUndone && !hasCompensations(task)) return refused(task, 'undone');
  const deadlineMs = task.more?.deadlineMs ?? Infinity;
  if (!isUndone && deadlineMs <= nowMs) return { at: 'refused', why: 'deadline', status: task.status, deadlineMs };
  putBack(moves, task, item, nowMs);
  return DONE;
}

/** With those that were cancelled since it ended, which it finds where they were, and those that failed, which it would fail for again. */
function putBack(moves: MemoryMoves, task: MemoryTask, item: Steering, nowMs: number): void {
  const isUndone = task.more?.undo !== undefined;
  told(task, item, nowMs);
  task.attempt = 0;
  task.losses = 0;
  task.resumed = isUndone;
  moves.waitsSince(task, Math.min(task.submittedAtMs, nowMs));
  reopen(moves, task);
  moves.enqueue(task, nowMs);
  // What has been undone cannot be put back.
  if (isUndone) return;
  for (const child of task.children ?? []) if (!isPassed(task, child) && isPutBackWith(child)) putBack(moves, child, item, nowMs);
}

/** Its failure is remembered: the task has gone past it, and has done something in its place. */
function isPassed({ remembered }: MemoryTask, { place }: MemoryTask): boolean {
  return place !== undefined && remembered?.get(place)?.failed === true;
}

/** One that has been undone stays as it is, and so does one that an operator has cancelled. */
function isPutBackWith({ status, more }: MemoryTask): boolean {
  if (more?.undo !== undefined) return false;
  return status === 'failed' || status === 'dead' || (status === 'cancelled' && more?.fellWithParent === true);
}

/** It has not ended any more; where it is from now on is for the caller to say. */
function reopen(moves: MemoryMoves, task: MemoryTask): void {
  task.error = null;
  task.finishedAtMs = null;
  moves.count(task, 1);
  const { more } = task;
  if (more === undefined) return;
  more.kept = false;
  more.fellWithParent = false;
  if (more.orderKey !== null) more.line = moves.lines.lineFor(more.orderKey, task.parent);
  if (more.line !== undefined) more.line.size += 1;
  if (more.deadlineMs !== null && more.undo === undefined) moves.deadlines.add(task);
  if (more.told !== undefined) moves.approvals.reopen(task, more.told);
}

function isPaused({ status, parkedFor }: MemoryTask): boolean {
  return status === 'parked' && parkedFor === 'operator';
}

function refused({ status }: MemoryTask, why: 'ended' | 'not-ended' | 'not-paused' | 'undone' | 'cancelling'): Done {
  return { at: 'refused', why, status };
}

function told(task: MemoryTask, { action, by, reason }: Steering, nowMs: number): void {
  tell(task, { at: 'steered', atMs: nowMs, action, by, reason });
}
