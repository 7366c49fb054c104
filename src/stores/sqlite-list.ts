/**
 * List: records in order of arrival, a slice of the table at a time. What nobody keeps an index for (what is parked, a
 * kind with few tasks among many) is found by going through all rows: between slices everybody else has the thread.
 */
import type { Store, TaskRecord } from '../../actors/ports/store.ts';
import type { Known } from './sqlite-known.ts';
import { rowLimit, toRecord } from './sqlite-rows.ts';
import type { RecordRow } from './sqlite-rows.ts';
import { STATUS } from './task-status.ts';

/** Rows that one command goes through at most: some 10 ms of rows that are 2 KB each. */
const SLICE = 5_000;

/** Of the tasks beyond row `beyond`, instead of those after a task. */
export type ListQuery = Parameters<Store['list']>[0] & { readonly beyond?: number };

export interface Slice {
  readonly found: readonly TaskRecord[];
  /** Row beyond which there may be more; absent: there are none, or as many have been found as were wanted. */
  readonly beyond?: number;
}

/** `undefined` when `after` is not the id of a task. */
export function listSlice({ sql, claims, tally }: Known, query: ListQuery): Slice | undefined {
  const { status, kind, parkedFor, after, limit } = query;
  claims.write();
  const start = query.beyond ?? (after === undefined ? 0 : (sql.seqOf.get(after) as unknown as [seq: number] | undefined)?.[0]);
  if (start === undefined) return undefined;
  const wanted = parkedFor === undefined ? status : 'parked';
  if ((wanted !== undefined || kind !== undefined) && tally.of(kind, wanted) === 0) return { found: [] };
  const end = start + SLICE;
  const code = status === undefined ? undefined : STATUS[status];
  const narrowed = [code, kind, parkedFor].filter((cell) => cell !== undefined);
  const rows = sql.list(code, kind, parkedFor).all(start, end, ...narrowed, rowLimit(limit)) as unknown as RecordRow[];
  const found = rows.map(toRecord);
  // Nothing is left of what was forgotten: whole slices may be empty.
  const [next] = sql.seqAfter.get(end) as unknown as [seq: number | null];
  return found.length >= limit || next === null ? { found } : { found, beyond: next - 1 };
}
