/** How tasks come into the memory store. */
import { grown } from '../../actors/conflicts/lock-wants.ts';
import type { NewTask, SubmitOutcome } from '../../actors/ports/store.ts';
import type { MemoryMoves } from './memory-moves.ts';
import { NOTHING_MORE, toRecord } from './memory-task.ts';
import type { MemoryMore, MemoryTask } from './memory-task.ts';
import { rankOf } from './task-status.ts';

export const ACCEPTED: SubmitOutcome = { at: 'accepted' };
const STALE: SubmitOutcome = { at: 'stale' };

/** From outside, or asked by a run. */
export function submitTask(moves: MemoryMoves, task: NewTask, maxUnfinished: number, nowMs: number): SubmitOutcome {
  const parent = task.parent === undefined ? undefined : moves.holding(task.parent);
  if (task.parent !== undefined && parent === undefined) return STALE;
  const known = moves.byId.get(task.id);
  if (known !== undefined) return { at: 'known', task: toRecord(known) };
  if (parent === undefined) {
    if (moves.unfinished >= maxUnfinished) return { at: 'full', limit: maxUnfinished };
    const kind = moves.kinds.get(task.kind);
    if (kind !== undefined && kind.unfinished >= kind.maxUnfinished) return { at: 'full', limit: kind.maxUnfinished, of: 'kind' };
    const ofTenant = task.tenant === undefined ? 0 : (kind?.ofTenants.get(task.tenant) ?? 0);
    if (kind !== undefined && ofTenant >= kind.maxOfTenant) return { at: 'full', limit: kind.maxOfTenant, of: 'tenant' };
  }
  if (task.rootId !== undefined && (moves.families.get(task.rootId) ?? 0) >= moves.maxFamily) {
    return { at: 'full', limit: moves.maxFamily, of: 'family' };
  }
  addTask(moves, task, parent, nowMs);
  return ACCEPTED;
}

/** A task whose id is not there yet, whatever the limits. Whether it can be claimed at once. */
export function addTask(moves: MemoryMoves, task: NewTask, parent: MemoryTask | undefined, nowMs: number): boolean {
  const kind = moves.kinds.of(task.kind);
  // Adding zero makes -0 the 0 that a disk gives back.
  const priority = task.priority + 0;
  const added: MemoryTask = {
    seq: moves.tasks.nextSeq,
    id: task.id,
    kind,
    version: task.version,
    input: task.input,
    priority,
    rank: rankOf(nowMs, priority, moves.agingMs),
    sinceMs: nowMs,
    maxAttempts: task.maxAttempts,
    maxLosses: task.maxLosses,
    depth: task.depth + 0,
    parent,
    place: task.parent === undefined ? '' : task.parent.place,
    rootId: task.rootId ?? null,
    tenant: task.tenant ?? null,
    affinity: task.affinity ?? null,
    submittedAtMs: nowMs,
    status: 'queued',
    resumed: false,
    attempt: 0,
    losses: 0,
    fence: 0,
    untilMs: Infinity,
    slot: -1,
    parkedFor: null,
    finishedAtMs: null,
    result: null,
    error: null,
    worker: null,
    claimedAtMs: 0,
    startedAtMs: null,
    remembered: undefined,
    children: undefined,
    story: undefined,
    more: undefined,
  };
  moves.tasks.add(added);
  moves.byId.set(added.id, added);
  if (parent !== undefined) (parent.children ??= []).push(added);
  moves.count(added, 1);
  kind.counts.queued += 1;
  added.more = moreOfNew(moves, task, parent);
  if (added.more === undefined) {
    kind.ready.push(added);
    return true;
  }
  if (added.more.line !== undefined) added.more.line.size += 1;
  if (added.more.deadlineMs !== null) moves.deadlines.add(added);
  const queued = moves.place(added, nowMs);
  moves.followUp(nowMs);
  return queued;
}

function moreOfNew(moves: MemoryMoves, task: NewTask, parent: MemoryTask | undefined): MemoryMore | undefined {
  const { orderKey, locks, notBeforeMs, deadlineMs } = task;
  const nothing = orderKey === undefined && (locks === undefined || locks.length === 0) && notBeforeMs === undefined;
  if (nothing && deadlineMs === undefined && task.onConflict !== 'reject') return undefined;
  return {
    ...NOTHING_MORE,
    orderKey: orderKey ?? null,
    line: orderKey === undefined ? undefined : moves.lines.lineFor(orderKey, parent),
    // What the caller gave may be changed by the caller.
    locks: locks === undefined ? [] : grown([], locks),
    rejects: task.onConflict === 'reject',
    notBeforeMs: notBeforeMs ?? -Infinity,
    deadlineMs: deadlineMs ?? null,
  };
}
