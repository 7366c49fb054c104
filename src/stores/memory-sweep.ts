/** What time does to the tasks of the memory store. */
import type { SweepReply } from '../../actors/ports/store.ts';
import { closeFamilies, fall } from './memory-cancel.ts';
import type { MemoryMoves } from './memory-moves.ts';
import type { MemorySchedules } from './memory-schedules.ts';
import { giveBack } from './memory-settle.ts';
import { tell } from './memory-story.ts';
import { isHeld } from './memory-task.ts';
import type { MemoryTask } from './memory-task.ts';
import { deadlinePassed, LEASE_EXPIRED_ERROR } from './task-status.ts';

/** `sweep`. */
export function sweep(moves: MemoryMoves, schedules: MemorySchedules, nowMs: number): SweepReply {
  moves.passed(nowMs);
  const ended = endLate(moves, nowMs);
  const expired = takeBackLeases(moves, nowMs);
  for (let task = moves.due.popDue(nowMs); task !== undefined; task = moves.due.popDue(nowMs)) {
    // What has not run yet goes with new work.
    if (task.status === 'parked' && task.parkedFor !== 'time') task.resumed = true;
    if (task.status === 'retrying') moves.waitsSince(task, task.untilMs);
    moves.unplace(task);
    moves.enqueue(task, nowMs);
    moves.followUp(nowMs);
  }
  moves.wakeBlocked(moves.locks.lapse(nowMs), nowMs);
  moves.followUp(nowMs);
  closeFamilies(moves, nowMs);
  const nextAtMs = Math.min(
    moves.due.nextAtMs ?? Infinity,
    moves.deadlines.first?.more!.deadlineMs ?? Infinity,
    schedules.nextAfter(nowMs),
  );
  return {
    ready: moves.takeReady(),
    expired: expired.map(({ id, fence, status }) => ({ id, fence, status })),
    ended: [...ended, ...moves.endedBeside.splice(0)],
    nextAtMs: nextAtMs === Infinity ? null : nextAtMs,
    raised: takeRaised(moves),
    noted: notedRuns(moves),
    schedules: schedules.due(nowMs),
  };
}

/** Ends what is past its deadline and not held: runs are the engine's business until they come back. */
function endLate(moves: MemoryMoves, nowMs: number): readonly string[] {
  const ended: string[] = [];
  for (let task = moves.deadlines.first; task !== undefined && task.more!.deadlineMs! <= nowMs; task = moves.deadlines.first) {
    tell(task, { at: 'deadline', atMs: nowMs });
    fall(moves, task, 'failed', deadlinePassed(task.id, task.more!.deadlineMs!), nowMs);
    // Unless it is to be undone.
    if (task.finishedAtMs !== null) ended.push(task.id);
    moves.followUp(nowMs);
  }
  return ended;
}

function takeBackLeases(moves: MemoryMoves, nowMs: number): readonly MemoryTask[] {
  if (nowMs < moves.noLeaseEndsBeforeMs) return [];
  const expired = [...moves.held.values()].filter(({ untilMs }) => untilMs <= nowMs);
  for (const task of expired) {
    giveBack(moves, task, 'expired', LEASE_EXPIRED_ERROR, nowMs);
    moves.followUp(nowMs);
  }
  moves.noLeaseEndsBeforeMs = Infinity;
  for (const { untilMs } of moves.held.values()) moves.noLeaseEndsBeforeMs = Math.min(moves.noLeaseEndsBeforeMs, untilMs);
  return expired;
}

function notedRuns(moves: MemoryMoves): SweepReply['noted'] {
  return [...moves.held.values()].flatMap(({ id, fence, more }) => {
    const what = more?.noted?.action;
    return what === undefined ? [] : [{ id, fence, what }];
  });
}

function takeRaised(moves: MemoryMoves): SweepReply['raised'] {
  const raised = [...moves.raised].filter((task) => isHeld(task)).map(({ id, priority }) => ({ id, priority }));
  moves.raised.clear();
  return raised;
}
