/** Rows as the statements give them, and what the port makes of them. */
import type { LockWant, NewTask, TaskRecord } from '../../actors/ports/store.ts';
import type { HeldTask } from './sqlite-held.ts';
import { FIRST_TERMINAL, nextFence, STATUS, statusOf } from './task-status.ts';

/** What few tasks have, as their row keeps it in one cell. */
export interface TaskOptions {
  readonly rootId?: string;
  readonly tenant?: string;
  readonly affinity?: string;
  readonly orderKey?: string;
  /** It runs on behalf of an ancestor with the same key: its own does not count. */
  readonly exempt?: true;
  /** Those that it has grown by as well. */
  readonly locks?: readonly LockWant[];
  readonly onConflict?: 'queue' | 'reject';
  readonly notBeforeMs?: number;
  readonly deadlineMs?: number;
  /** While it is paused: when it would have been tried again. What it says of one that is not is over. */
  readonly retryAtMs?: number;
}

/** What this task has of it; null when it has nothing, as most. */
export function optionsOf(task: NewTask): TaskOptions | null {
  const { rootId, tenant, affinity, orderKey, locks, onConflict, notBeforeMs, deadlineMs } = task;
  if (
    rootId === undefined &&
    tenant === undefined &&
    affinity === undefined &&
    orderKey === undefined &&
    (locks === undefined || locks.length === 0) &&
    onConflict !== 'reject' &&
    notBeforeMs === undefined &&
    deadlineMs === undefined
  )
    return null;
  return {
    ...(rootId === undefined ? {} : { rootId }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(affinity === undefined ? {} : { affinity }),
    ...(orderKey === undefined ? {} : { orderKey }),
    ...(locks === undefined || locks.length === 0 ? {} : { locks: locks.map(({ resource, mode }) => ({ resource, mode })) }),
    ...(onConflict === undefined ? {} : { onConflict }),
    ...(notBeforeMs === undefined ? {} : { notBeforeMs }),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  };
}

/** How a row names the box that it is in: with its tenant behind, so what a tenant has in a box is one stretch of the index. */
export function boxOf(box: string, tenant: string): string {
  return JSON.stringify(box) + tenant;
}

/** All that is in a box is from the first of these on, and before the second. */
export function boxRange(box: string): readonly [from: string, before: string] {
  const from = boxOf(box, '');
  // The quotation mark that it ends with, and the character after that.
  return [from, `${from.slice(0, -1)}#`];
}

/** As a row keeps it. */
export function parseOptions(json: string | null): TaskOptions | null {
  return json === null ? null : (JSON.parse(json) as TaskOptions);
}

/** The order key that counts. */
export function orderKeyOf(options: TaskOptions | null): string | null {
  return options === null || options.exempt === true ? null : (options.orderKey ?? null);
}

/** A row of the statements that claim. */
export type BestRow = [
  seq: number,
  id: string,
  kind: string,
  version: string,
  input: string | null,
  priority: number,
  fence: number,
  depth: number,
  parentId: string | null,
  attempt: number,
  losses: number,
  maxLosses: number,
  resumed: number,
  rank: number,
  told: number,
  options: string | null,
  undo: number | null,
];

/** A task that nobody holds. */
export interface FreeTask {
  readonly seq: number;
  readonly id: string;
  readonly kind: string;
  readonly status: number;
  readonly fence: number;
  readonly losses: number;
  readonly resumed: number;
  readonly tenant: string;
  readonly priority: number;
  readonly parkedFor: string | null;
  /** When it comes due, where it waits for a time. */
  readonly atMs: number | null;
  readonly orderKey: string | null;
  readonly undo: number | null;
  readonly noted: number | null;
  readonly options: TaskOptions | null;
}

/** Its row. */
export type FreeRow = readonly [
  seq: number,
  id: string,
  kind: string,
  status: number,
  fence: number,
  losses: number,
  resumed: number,
  tenant: string,
  priority: number,
  parkedFor: string | null,
  atMs: number | null,
  undo: number | null,
  noted: number | null,
  options: string | null,
];

export function toFree(row: FreeRow): FreeTask {
  const [seq, id, kind, status, fence, losses, resumed, tenant, priority, parkedFor, atMs, undo, noted, json] = row;
  const options = parseOptions(json);
  return {
    seq,
    id,
    kind,
    status,
    fence,
    losses,
    resumed,
    tenant,
    priority,
    parkedFor,
    atMs,
    orderKey: orderKeyOf(options),
    undo,
    noted,
    options,
  };
}

/** A row with the columns of `TaskRecord`. */
export type RecordRow = readonly [
  id: string,
  kind: string,
  version: string,
  status: number,
  input: string,
  result: string | null,
  error: string | null,
  priority: number,
  attempt: number,
  losses: number,
  maxAttempts: number,
  maxLosses: number,
  fence: number,
  depth: number,
  parentId: string | null,
  parkedFor: string | null,
  submittedAtMs: number,
  atMs: number | null,
  options: string | null,
  /** 1: it is being undone, or has been. */
  undone: number,
  noted: number | null,
];

/**
 * What is wanted of a run, by the number that a row keeps. `withParent`: a cancel that comes from the end of the task that
 * asked for it; one that has ended by that keeps it, to be put back with that. `kept`: of one that has failed and is kept as it
 * stands.
 */
export const NOTED = { cancel: 1, pause: 2, withParent: 3, kept: 4 } as const;

/** Whether it is to be cancelled. */
export function isCancelNoted(noted: number | null): boolean {
  return noted === NOTED.cancel || noted === NOTED.withParent;
}

/** Whether it has failed, and nothing of it is undone until somebody says what is to become of it. */
export function isKept({ status, noted }: { readonly status: number; readonly noted: number | null }): boolean {
  return status === STATUS.failed && noted === NOTED.kept;
}

/** Rows of several kinds in the order that the port promises; those of one kind have theirs already. */
export function mergeBest(lists: readonly (readonly BestRow[])[]): readonly BestRow[] {
  const merged: BestRow[] = [];
  const next = lists.map(() => 0);
  for (;;) {
    let best = -1;
    lists.forEach((list, at) => {
      const row = list[next[at]!];
      if (row !== undefined && (best < 0 || bestFirst(row, lists[best]![next[best]!]!) < 0)) best = at;
    });
    if (best < 0) return merged;
    merged.push(lists[best]![next[best]!]!);
    next[best]! += 1;
  }
}

function bestFirst(a: BestRow, b: BestRow): number {
  return b[12] - a[12] || a[13] - b[13] || a[0] - b[0];
}

/** The task as it can be looked at. */
export function toRecord(row: RecordRow): TaskRecord {
  const [
    id,
    kind,
    version,
    status,
    input,
    result,
    error,
    priority,
    attempt,
    losses,
    maxAttempts,
    maxLosses,
    fence,
    depth,
    parentId,
    parkedFor,
    submittedAtMs,
    atMs,
    json,
    undone,
    noted,
  ] = row;
  const options = parseOptions(json);
  return {
    id,
    kind,
    version,
    status: statusOf(status),
    input,
    result,
    error,
    priority,
    attempt,
    losses,
    maxAttempts,
    maxLosses,
    fence,
    depth,
    parentId,
    parkedFor,
    submittedAtMs,
    finishedAtMs: status >= FIRST_TERMINAL ? atMs : null,
    rootId: options?.rootId ?? null,
    tenant: options?.tenant ?? null,
    affinity: options?.affinity ?? null,
    orderKey: options?.orderKey ?? null,
    deadlineMs: options?.deadlineMs ?? null,
    locks: options?.locks ?? [],
    dueAtMs: status === STATUS.retrying || status === STATUS.parked ? atMs : null,
    undone: undone === 1,
    kept: isKept({ status, noted }),
    noted: noted === null || status >= FIRST_TERMINAL ? null : isCancelNoted(noted) ? 'cancel' : 'pause',
  };
}

/** The run that claims the task: the row is what it was before. By index, since destructuring an array takes several times as long. */
export function toHeld(row: BestRow, leastFence: number, options: TaskOptions | null, leaseUntilMs: number, nowMs: number): HeldTask {
  return {
    seq: row[0],
    id: row[1],
    kind: row[2],
    fence: nextFence(row[6], leastFence),
    status: STATUS.leased,
    attempt: row[9],
    losses: row[10],
    maxLosses: row[11],
    resumed: row[12],
    untilMs: leaseUntilMs,
    fresh: row[6] === 0 && row[14] === 0,
    hasAsked: row[6] !== 0,
    priority: row[5],
    claimedAtMs: nowMs,
    startedAtMs: null,
    worker: null,
    options,
    undo: row[16],
    noted: null,
  };
}

/** The largest LIMIT that a statement is given; an endless one may be asked for. */
const MOST_ROWS = 1_000_000_000;

/** A statement takes whole numbers only; a caller may ask for endlessly many. */
export function rowLimit(limit: number): number {
  return Math.max(0, Math.min(MOST_ROWS, Math.floor(limit)));
}
