/** SqliteSchedules: recurring tasks. What is due stays due until it is fired, once for each time. */
import type { Schedule, Store } from '../../actors/ports/store.ts';
import type { SqliteArrivals } from './sqlite-arrivals.ts';
import type { Endings } from './sqlite-endings.ts';
import type { Arrival } from './sqlite-held.ts';
import type { Statements } from './sqlite-statements.ts';

type Row = readonly [name: string, plan: string, nextAtMs: number, lastId: string | null, lastAtMs: number | null];

/** `Firing`, with its tasks as they are submitted here. */
export interface FiringRow {
  readonly name: string;
  readonly atMs: number;
  readonly nextAtMs: number;
  readonly tasks: readonly Arrival[];
}

/** Of one database. Everything is called within a transaction. */
export class SqliteSchedules {
  readonly #sql: Statements;

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  put(items: Parameters<Store['putSchedules']>[0]): void {
    for (const { name, plan, nextAtMs } of items) this.#sql.putSchedule.run(name, plan, nextAtMs);
  }

  remove(names: readonly string[]): void {
    for (const name of names) this.#sql.removeSchedule.run(name);
  }

  all(): Schedule[] {
    return (this.#sql.schedules.all() as unknown as Row[]).map(toSchedule);
  }

  /** By name. */
  due(nowMs: number, most: number): Schedule[] {
    const rows = this.#sql.dueSchedules.all(nowMs, most) as unknown as Row[];
    return rows.map(toSchedule).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** When the next comes due that is not due yet. */
  nextAtMs(nowMs: number): number | null {
    return (this.#sql.nextSchedule.get(nowMs) as unknown as [number | null])[0];
  }

  fire(items: readonly FiringRow[], nowMs: number, arrivals: SqliteArrivals, endings: Endings): boolean[] {
    return items.map(({ name, atMs, nextAtMs, tasks }) => {
      if (Number(this.#sql.fire.run(nextAtMs, tasks.at(-1)?.id ?? null, atMs, name, atMs).changes) === 0) return false;
      arrivals.send(tasks, nowMs, endings);
      return true;
    });
  }
}

function toSchedule([name, plan, nextAtMs, lastId, lastAtMs]: Row): Schedule {
  return { name, plan, nextAtMs, lastId, lastAtMs };
}
