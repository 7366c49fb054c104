/** Rows as the statements give them, and what the port makes of them. */
import type { TaskRecord } from '../../actors/ports/store.ts';
import type { HeldTask } from './sqlite-held.ts';
import { STATUS, statusOf } from './task-status.ts';

/** A row of the statement `best`. */
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
];

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
  finishedAtMs: number | null,
];

/** Rows of several kinds in the order that the port promises. */
export function bestFirst(a: BestRow, b: BestRow): number {
  return b[12] - a[12] || b[5] - a[5] || a[0] - b[0];
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
    finishedAtMs,
  ] = row;
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
    finishedAtMs,
  };
}

/** The run that claims the task: the row is what it was before. By index, since destructuring an array takes several times as long. */
export function toHeld(row: BestRow, leaseUntilMs: number): HeldTask {
  return {
    seq: row[0],
    id: row[1],
    kind: row[2],
    fence: row[6] + 1,
    status: STATUS.leased,
    attempt: row[9],
    losses: row[10],
    maxLosses: row[11],
    resumed: row[12],
    untilMs: leaseUntilMs,
    fresh: row[6] === 0,
  };
}
