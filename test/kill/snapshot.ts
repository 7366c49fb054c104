/** What lies in a store while nobody owns it. */
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { isTerminal } from '../../actors/ports/store.ts';
import type { TaskStatus } from '../../actors/ports/store.ts';
import { statusOf } from '../../src/stores/task-status.ts';

/** A task, as its row tells. */
export interface SnapshotTask {
  readonly id: string;
  readonly kind: string;
  readonly status: TaskStatus;
  readonly attempt: number;
  readonly losses: number;
  readonly fence: number;
  readonly result: string | null;
  readonly error: string | null;
  /** When its latest run was claimed. */
  readonly claimedMs: number;
  /** Of one that has ended. */
  readonly finishedMs: number | null;
}

/** A versioned row. */
export interface SnapshotRow {
  readonly version: number;
  readonly value: unknown;
}

/** All that is judged of a store. */
export interface Snapshot {
  readonly tasks: ReadonlyMap<string, SnapshotTask>;
  /** Idempotency keys of calls and steps whose results are remembered. */
  readonly remembered: ReadonlySet<string>;
  readonly rows: ReadonlyMap<string, SnapshotRow>;
  /** Of its owner; of its locks. */
  readonly epoch: number;
  readonly token: number;
  /** Tasks with a run that held its lease, as the store says, when the world had seen a newer fence or token. */
  readonly overtaken: readonly string[];
  /** Kinds whose tasks are other than the store counts them. */
  readonly miscounted: readonly string[];
  /** How many rows there are of what unfinished tasks alone have: locks held and waited for, waits, descendants. */
  readonly left: Readonly<Record<string, number>>;
}

const OF_THE_UNFINISHED = ['lock', 'lock_wait', 'wait', 'event_wait', 'gather', 'family'];

/** Reads a copy, so that the next owner finds the files exactly as the kill left them. Undefined: there is no store yet. */
export function readSnapshot(path: string): Snapshot | undefined {
  const copy = `${path}.snapshot`;
  for (const end of ['', '-wal']) {
    rmSync(copy + end, { force: true });
    if (existsSync(path + end)) copyFileSync(path + end, copy + end);
  }
  if (!existsSync(copy)) return undefined;
  const db = new DatabaseSync(copy);
  try {
    if (db.prepare("select 1 from sqlite_schema where name = 'schedule'").get() === undefined) return undefined;
    return read(db);
  } finally {
    db.close();
  }
}

function read(db: DatabaseSync): Snapshot {
  const all = (sql: string): unknown => db.prepare(sql).all();
  const rows = all(
    `select id, kind, status, attempt, losses, fence, result, error, claimed_ms as claimedMs, at_ms as atMs from task`,
  ) as readonly (Omit<SnapshotTask, 'status' | 'finishedMs'> & { readonly status: number; readonly atMs: number | null })[];
  const tasks = rows.map(({ status: number, atMs, ...row }): [string, SnapshotTask] => {
    const status = statusOf(number);
    return [row.id, { ...row, status, finishedMs: isTerminal(status) ? atMs : null }];
  });
  const places = all(
    `select t.id as id, m.place as place from memory m join task t on t.seq = m.task
     where m.failed = 0 and (m.place like 'call:%' or m.place like 'step:%' or m.place like 'undo:%')`,
  ) as readonly { readonly id: string; readonly place: string }[];
  const state = all('select key, version, value from state') as readonly {
    readonly key: string;
    readonly version: number;
    readonly value: string;
  }[];
  const miscounted = all(
    `select distinct kind from (
       select kind, status, n from tally where n <> 0 except select kind, status, count(*) from task group by kind, status
     ) union select distinct kind from (
       select kind, status, count(*) from task group by kind, status except select kind, status, n from tally
     )`,
  ) as readonly { readonly kind: string }[];
  // What a run whose lease is gone was told stands in no story: its end is refused.
  const overtaken = all(
    `select distinct t.id as id from story s join task t on t.seq = s.task where s.entry like '%: stale-%'`,
  ) as readonly { readonly id: string }[];
  const [owner] = all('select epoch, token from owner') as readonly { readonly epoch: number; readonly token: number }[];
  return {
    tasks: new Map(tasks),
    remembered: new Set(places.map(({ id, place }) => `${id}/${place}`)),
    rows: new Map(state.map(({ key, version, value }) => [key, { version, value: JSON.parse(value) as unknown }])),
    epoch: owner!.epoch,
    token: owner!.token,
    overtaken: overtaken.map(({ id }) => id),
    miscounted: miscounted.map(({ kind }) => kind),
    left: Object.fromEntries(OF_THE_UNFINISHED.map((table) => [table, (all(`select 1 from ${table}`) as readonly unknown[]).length])),
  };
}
