/** How runs begin in the memory store: with all their locks or not at all. */
import type { StartItem, StartOutcome } from '../../actors/ports/store.ts';
import type { MemoryMoves } from './memory-moves.ts';
import { isSteered } from './memory-settle.ts';
import { moreOf } from './memory-task.ts';
import type { MemoryTask } from './memory-task.ts';
import { blockedBy } from './task-status.ts';

const STALE: StartOutcome = { at: 'stale' };

/** The task, if it runs now; what is to be answered otherwise. */
export function startRun(moves: MemoryMoves, item: StartItem, nowMs: number): MemoryTask | StartOutcome {
  const task = moves.holding(item);
  if (task === undefined) return STALE;
  // Sent again, a start finds the run started and does not count it twice.
  if (task.status === 'running') return task;
  task.worker = item.worker ?? null;
  if (task.more !== undefined && task.more.locks.length > 0) {
    const refused = takeLocks(moves, task, nowMs);
    if (refused !== undefined) return refused;
  }
  moves.move(task, 'running');
  task.attempt += 1;
  task.startedAtMs = nowMs;
  return task;
}

function takeLocks(moves: MemoryMoves, task: MemoryTask, nowMs: number): StartOutcome | undefined {
  const more = moreOf(task);
  if (more.lockToken > 0) {
    // To be undone, it has kept what it holds.
    more.lockToken = moves.locks.renew(task.seq);
    return undefined;
  }
  // What is to be undone is undone, however long that takes.
  const waits = !more.rejects || more.undo !== undefined;
  const outcome = moves.locks.take({ seq: task.seq, wants: more.locks, nowMs, waits });
  if (outcome.at === 'granted') {
    more.lockToken = outcome.token;
    return undefined;
  }
  const { resource } = outcome;
  const holder = moves.tasks.of(outcome.holder).id;
  if (!waits) return { at: 'rejected', resource, holder };
  moves.letGo(task, 'blocked', blockedBy(resource, holder), nowMs, { comesBack: more.noted === undefined });
  if (!isSteered(moves, task, nowMs)) {
    moves.park(task, 'locks', null);
    moves.raiseHolders(task);
  }
  moves.wakeBlocked(outcome.wake, nowMs);
  moves.followUp(nowMs);
  return { at: 'blocked', resource, holder };
}
