/** How runs let go of their leases in the memory store. */
import { grown } from '../../actors/conflicts/lock-wants.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import type { SettledOutcome, SettleOutcome, StateSeen, StoryEntry } from '../../actors/ports/store.ts';
import { cancelNoted, fall, fallen } from './memory-cancel.ts';
import type { MemoryMoves } from './memory-moves.ts';
import type { MemoryRows } from './memory-rows.ts';
import { addTask } from './memory-submit.ts';
import { hasCompensations, moreOf } from './memory-task.ts';
import type { MemoryTask } from './memory-task.ts';
import { waitFor } from './memory-waits.ts';
import { orderOf } from './parent-end.ts';
import { STATE_PLACE } from './task-status.ts';

type Of<At extends SettledOutcome['at']> = Extract<SettledOutcome, { at: At }>;
type GivenBack = Extract<Extract<StoryEntry, { at: 'run' }>['outcome'], 'lost' | 'expired' | 'owner-gone'>;

const STALE: SettleOutcome = { at: 'stale' };

/** What is to be answered other than where the task is; undefined: it is settled. */
export function settleRun(
  moves: MemoryMoves,
  rows: MemoryRows,
  task: MemoryTask,
  outcome: SettledOutcome,
  nowMs: number,
): SettleOutcome | undefined {
  switch (outcome.at) {
    case 'completed':
      return complete(moves, rows, task, outcome, nowMs);
    case 'undone': {
      const undo = task.more?.undo;
      if (undo === undefined) return STALE;
      moves.letGo(task, 'undone', null, nowMs);
      moves.end(task, undo.status, null, undo.error, nowMs, true);
      fallen(moves, task, orderOf(task.id, undo.status));
      return undefined;
    }
    case 'lost':
      if (task.status === 'leased') task.resumed = true;
      giveBack(moves, task, 'lost', outcome.error, nowMs);
      return undefined;
    case 'failed':
    case 'dead': {
      const isKept = outcome.at === 'failed' && outcome.keeps === true && task.more?.undo === undefined && !isToCancel(task);
      // What is undone goes the way that it went.
      if (!isKept && !hasCompensations(task)) forgetFailures(task, outcome.failures);
      moves.letGo(task, outcome.at, outcome.error, nowMs, { keepsLocks: !isKept && keepsLocks(task, 'ends') });
      if (isKept) keep(moves, task, outcome.error, nowMs);
      else if (!isCancelled(moves, task, nowMs)) fall(moves, task, outcome.at, outcome.error, nowMs);
      return undefined;
    }
    case 'retry':
      retry(moves, task, outcome, nowMs);
      return undefined;
    case 'parked':
      park(moves, task, outcome, nowMs);
      return undefined;
    case 'released': {
      if (task.status === 'running') task.attempt -= 1;
      moves.letGo(task, 'released', null, nowMs, { comesBack: !isToPause(task), keepsLocks: keepsLocks(task, 'comes back') });
      if (outcome.box !== undefined) moreOf(task).box = outcome.box;
      if (!isSteered(moves, task, nowMs)) moves.enqueue(task, nowMs);
      return undefined;
    }
  }
}

/**
 * Whether it holds its locks on: it is to be undone, and queued or retried for that. `next`: what becomes of it if nothing
 * was noted of it.
 */
function keepsLocks(task: MemoryTask, next: 'ends' | 'comes back' | 'parks'): boolean {
  const { noted, undo } = task.more ?? {};
  if (noted?.action === 'pause') return false;
  if (undo !== undefined) return next === 'comes back';
  return (next === 'ends' || noted?.action === 'cancel') && hasCompensations(task);
}

/** The holder is gone: a run that had started is lost, a lease that was not used goes back as it was. */
export function giveBack(moves: MemoryMoves, task: MemoryTask, outcome: GivenBack, error: string, nowMs: number): void {
  const started = task.status === 'running';
  const isLast = started && task.losses + 1 >= task.maxLosses;
  const lets = { comesBack: !isToPause(task), keepsLocks: keepsLocks(task, isLast ? 'ends' : 'comes back') };
  moves.letGo(task, outcome, started ? error : null, nowMs, lets);
  if (started) {
    task.losses += 1;
    task.resumed = true;
  }
  if (isCancelled(moves, task, nowMs)) return;
  if (isLast) return fall(moves, task, 'dead', error, nowMs);
  if (started) lostBefore(moves, task, error, nowMs);
  if (!isPaused(moves, task)) moves.enqueue(task, nowMs);
}

/** The first loss is mostly somebody else's doing; whose run is lost again may have ended its worker itself. */
function lostBefore(moves: MemoryMoves, task: MemoryTask, error: string, nowMs: number): void {
  task.error = error;
  if (task.losses === 1) return;
  task.resumed = false;
  moves.waitsSince(task, nowMs);
}

function complete(
  moves: MemoryMoves,
  rows: MemoryRows,
  task: MemoryTask,
  { result, sends, writes, reads }: Of<'completed'>,
  nowMs: number,
): SettleOutcome | undefined {
  const refused = conflictOf(rows, writes) ?? conflictOf(rows, reads) ?? fullOf(moves, task, sends);
  if (refused !== undefined) return refused;
  if (writes !== undefined) for (const write of writes) rows.write(write);
  // Before the run ends: it may be the parent of what it sends.
  for (const send of sends) {
    const parent = send.parent === undefined ? undefined : moves.holding(send.parent);
    if (moves.byId.has(send.id) || (send.parent !== undefined && parent === undefined)) continue;
    if (addTask(moves, send, parent, nowMs)) moves.isReady(send.kind);
  }
  moves.letGo(task, 'completed', null, nowMs);
  moves.end(task, 'completed', result, null, nowMs);
  fallen(moves, task, orderOf(task.id, 'completed'), sends);
  return undefined;
}

function conflictOf(rows: MemoryRows, seen: readonly StateSeen[] | undefined): SettleOutcome | undefined {
  for (const { key, version } of seen ?? []) {
    const found = rows.get(key)?.version ?? null;
    if (found !== version) return { at: 'refused', why: 'conflict', key, version: found };
  }
  return undefined;
}

/** Families are counted as they are once the run has ended. */
function fullOf(moves: MemoryMoves, task: MemoryTask, sends: Of<'completed'>['sends']): SettleOutcome | undefined {
  if (sends.length === 0 || moves.maxFamily === Infinity) return undefined;
  const added = new Map<string, number>();
  const seen = new Set<string>();
  for (const { id, rootId, parent } of sends) {
    // Of several with one id the first is the one.
    if (moves.byId.has(id) || seen.has(id) || (parent !== undefined && moves.holding(parent) === undefined)) continue;
    seen.add(id);
    if (rootId !== undefined) added.set(rootId, (added.get(rootId) ?? 0) + 1);
  }
  for (const [rootId, more] of added) {
    const unfinished = (moves.families.get(rootId) ?? 0) - (task.rootId === rootId ? 1 : 0);
    if (unfinished + more > moves.maxFamily) return { at: 'refused', why: 'full', limit: moves.maxFamily };
  }
  return undefined;
}

/** Its family goes on as it is, and what it has registered stays so. */
function keep(moves: MemoryMoves, task: MemoryTask, error: string, nowMs: number): void {
  moves.end(task, 'failed', null, error, nowMs);
  moreOf(task).kept = true;
}

function retry(moves: MemoryMoves, task: MemoryTask, { error, readyAtMs, failures, forget }: Of<'retry'>, nowMs: number): void {
  forgetFailures(task, failures);
  if (forget === 'everything') task.remembered = undefined;
  if (forget === 'state')
    for (const place of task.remembered?.keys() ?? []) if (place.startsWith(STATE_PLACE)) task.remembered!.delete(place);
  moves.letGo(task, 'retry', error, nowMs, { keepsLocks: keepsLocks(task, 'comes back') });
  task.error = error;
  task.resumed = false;
  if (!isSteered(moves, task, nowMs, readyAtMs)) moves.retryAt(task, readyAtMs);
}

/** A later run tries again what failed. */
function forgetFailures({ remembered }: MemoryTask, places: readonly string[] = []): void {
  for (const place of places) if (remembered?.get(place)?.failed === true) remembered.delete(place);
}

function park(moves: MemoryMoves, task: MemoryTask, outcome: Of<'parked'>, nowMs: number): void {
  const { reason, wakeAtMs, locks } = outcome;
  if (task.status === 'running') task.attempt -= 1;
  const keeps = keepsLocks(task, 'parks');
  moves.letGo(task, 'parked', reason, nowMs, { keepsLocks: keeps });
  // Who is to be undone needs no more than it has.
  if (!keeps && locks !== undefined && locks.length > 0) moreOf(task).locks = grown(moreOf(task).locks, locks);
  if (isSteered(moves, task, nowMs)) return;
  const waits = outcome.children.length > 0 || (outcome.events !== undefined && outcome.events.length > 0);
  if (!waits && wakeAtMs === null && locks !== undefined && locks.length > 0) return waitForLocks(moves, task, nowMs);
  const begun = waits ? waitOf(moves, task, outcome, nowMs) : undefined;
  if ((wakeAtMs !== null && wakeAtMs <= nowMs) || begun?.arrival.at === 'woken') {
    task.resumed = true;
    return moves.enqueue(task, nowMs);
  }
  moves.park(task, reason, wakeAtMs);
  if (begun === undefined) return;
  moves.waits.begin(task, begun.wait);
  moves.arrived(task, begun.arrival, nowMs);
}

/** It has nothing else to wait for: it stands in line for what it wants from now on. */
function waitForLocks(moves: MemoryMoves, task: MemoryTask, nowMs: number): void {
  task.resumed = true;
  if (!moves.locks.stand({ seq: task.seq, wants: moreOf(task).locks, nowMs })) return moves.enqueue(task, nowMs);
  moves.park(task, 'locks', null);
  moves.raiseHolders(task);
}

function waitOf(moves: MemoryMoves, { more }: MemoryTask, outcome: Of<'parked'>, nowMs: number): ReturnType<typeof waitFor> {
  const hasEnded = (id: string): boolean => isTerminal(moves.byId.get(id)?.status ?? 'queued');
  return waitFor(outcome, nowMs, hasEnded, (event) => more?.told?.has(event) === true);
}

/** What was noted of it is done now. `retryAtMs`: when it would be tried again otherwise. */
export function isSteered(moves: MemoryMoves, task: MemoryTask, nowMs: number, retryAtMs?: number): boolean {
  return isCancelled(moves, task, nowMs) || isPaused(moves, task, retryAtMs);
}

function isCancelled(moves: MemoryMoves, task: MemoryTask, nowMs: number): boolean {
  const note = task.more?.noted;
  if (note === undefined || !isToCancel(task)) return false;
  cancelNoted(moves, task, note, nowMs);
  return true;
}

function isPaused(moves: MemoryMoves, task: MemoryTask, retryAtMs?: number): boolean {
  if (!isToPause(task)) return false;
  moreOf(task).noted = undefined;
  moves.pause(task, retryAtMs);
  return true;
}

function isToCancel({ more }: MemoryTask): boolean {
  return more?.noted?.action === 'cancel';
}

function isToPause({ more }: MemoryTask): boolean {
  return more?.noted?.action === 'pause';
}
