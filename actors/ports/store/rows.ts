/** Rows: versioned, shared by the tasks of a fleet and by whoever stands outside. */
import type { Held } from './task.ts';

/** A run reads a row, and remembers under `place` what it read. */
export interface StateRead extends Held {
  readonly place: string;
  readonly key: string;
  /** Version of the kind's code that reads, as of all that is remembered. Absent: that of the task. */
  readonly version?: string;
}

/** A versioned row. Versions of a key only grow, also when it was deleted meanwhile. */
export interface StateRow {
  readonly key: string;
  readonly version: number;
  readonly value: string;
}

/** `row` is null when there is none. */
export type StateReadOutcome = { readonly at: 'read'; readonly row: StateRow | null } | { readonly at: 'stale' };

/** A row as a run has read it: its version, null where there was none. */
export interface StateSeen {
  readonly key: string;
  readonly version: number | null;
}

/** Writes a row, where its version is still `version`; null: where there is none. */
export interface StateWrite {
  /** At most 512 characters. */
  readonly key: string;
  /** null deletes. */
  readonly value: string | null;
  readonly version: number | null;
}

/** `version` is the new one (of a deleted row: where it went), or the one that was found; null: no row. */
export type StateWriteOutcome =
  | { readonly at: 'written'; readonly version: number }
  | { readonly at: 'conflict'; readonly version: number | null };

/** Versioned rows. */
export interface RowStore {
  /** Reads rows for runs, which remember them: asked again at the same place they find the same. */
  readState(items: readonly StateRead[], nowMs: number): Promise<readonly StateReadOutcome[]>;
  /** Reads rows for anybody else. */
  getState(keys: readonly string[]): Promise<readonly (StateRow | undefined)[]>;
  /** In order of their keys, those after `after` that begin with `prefix`. */
  listState(query: { readonly prefix: string; readonly after?: string; readonly limit: number }): Promise<readonly StateRow[]>;
  /** Writes rows from outside of runs, each by itself. */
  setState(items: readonly StateWrite[], nowMs: number): Promise<readonly StateWriteOutcome[]>;
}
