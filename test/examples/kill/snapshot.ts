/** What lies in a store between two lives of the process that owns it. */
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { statusOf } from '../../../src/stores/task-status.ts';
import type { TaskStatus } from '../../../actors/ports/store.ts';

export interface SnapshotTask {
  readonly id: string;
  readonly kind: string;
  readonly status: TaskStatus;
  readonly attempt: number;
  readonly losses: number;
  readonly fence: number;
  readonly input: string;
  readonly result: string | null;
  readonly finishedMs: number | null;
}

export interface Snapshot {
  readonly tasks: ReadonlyMap<string, SnapshotTask>;
  /** Idempotency keys of the calls whose replies are remembered. */
  readonly remembered: ReadonlySet<string>;
}

/**
 * Reads a copy, so that the next owner finds the files exactly as the kill left them: the log of
 * SQLite too, which a reader of the original would have put in order. Nobody may own the store.
 */
export function readSnapshot(path: string, copy = `${path}.snapshot`): Snapshot {
  for (const end of ['', '-wal']) {
    rmSync(copy + end, { force: true });
    if (existsSync(path + end)) copyFileSync(path + end, copy + end);
  }
  // A kill may come before there is a store.
  if (!existsSync(copy)) return { tasks: new Map(), remembered: new Set() };
  const db = new DatabaseSync(copy);
  try {
    if (db.prepare("select 1 from sqlite_schema where name = 'task'").get() === undefined)
      return { tasks: new Map(), remembered: new Set() };
    const rows = db
      .prepare(
        `select id, kind, status, attempt, losses, fence, coalesce(input, (select l.input from long_input l where l.seq = task.seq)) as input,
                result, case when status >= 30 then at_ms end as finishedMs from task`,
      )
      .all() as unknown as (Omit<SnapshotTask, 'status'> & { status: number })[];
    const places = db
      .prepare("select t.id as id, m.place as place from memory m join task t on t.seq = m.task where m.place like 'call:%'")
      .all();
    return {
      tasks: new Map(rows.map((row) => [row.id, { ...row, status: statusOf(row.status) }])),
      remembered: new Set(places.map(({ id, place }) => `${String(id)}/${String(place)}`)),
    };
  } finally {
    db.close();
  }
}
