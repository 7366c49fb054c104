/**
 * HeldTasks: what a command must know of the runs that hold a lease, kept in memory beside the rows.
 *
 * The database has one owner, so start, renew and settle can check a fence here, without reading,
 * and then write many rows with one statement. The rows stay the truth: after a rollback, or when
 * somebody else has written to the file, everything is loaded from them again.
 */
import type { NewTask, SettledOutcome } from '../../actors/ports/store.ts';
import type { Statements } from './sqlite-statements.ts';
import type { STATUS } from './task-status.ts';

/**
 * `Held` as the thread says it: by the row. The store in front of it knows the `seq` of whatever it
 * has claimed, so that no text has to be looked up here. 0 is no row: never claimed, so not held.
 */
export interface HeldRow {
  readonly seq: number;
  readonly fence: number;
}

/** `NewTask`, with its parent's row. */
export interface Arrival extends Omit<NewTask, 'parent'> {
  readonly parent?: HeldRow & { readonly id: string; readonly place: string };
}

/** `Settlement` of a row. */
export interface SettledRow extends HeldRow {
  readonly outcome: RowOutcome;
}

export type RowOutcome =
  | Exclude<SettledOutcome, { at: 'completed' }>
  | { readonly at: 'completed'; readonly result: string | null; readonly sends: readonly Arrival[] };

/** A run that holds its lease. */
export interface HeldTask {
  readonly seq: number;
  readonly id: string;
  readonly kind: string;
  readonly fence: number;
  status: typeof STATUS.leased | typeof STATUS.running;
  attempt: number;
  readonly losses: number;
  readonly maxLosses: number;
  /** 1 when it goes ahead of new work. */
  readonly resumed: number;
  untilMs: number;
  /** Never held before: nothing is remembered and there are no children, unless this run makes some. */
  fresh: boolean;
}

type Row = [
  seq: number,
  id: string,
  kind: string,
  fence: number,
  status: HeldTask['status'],
  attempt: number,
  losses: number,
  maxLosses: number,
  resumed: number,
  untilMs: number,
];

/** Of one database: every run that holds a lease, by its row. */
export class HeldTasks {
  readonly #sql: Statements;
  readonly #bySeq = new Map<number, HeldTask>();

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  /** Forgets everything and reads the rows. */
  load(): void {
    this.#bySeq.clear();
    for (const row of this.#sql.underLease.all() as unknown as Row[]) {
      const [seq, id, kind, fence, status, attempt, losses, maxLosses, resumed, untilMs] = row;
      this.add({ seq, id, kind, fence, status, attempt, losses, maxLosses, resumed, untilMs, fresh: false });
    }
  }

  add(task: HeldTask): void {
    this.#bySeq.set(task.seq, task);
  }

  remove(task: HeldTask): void {
    this.#bySeq.delete(task.seq);
  }

  /** The task, if this run holds its lease. */
  get({ seq, fence }: HeldRow): HeldTask | undefined {
    const task = this.#bySeq.get(seq);
    return task !== undefined && task.fence === fence ? task : undefined;
  }

  /** Whoever holds a lease. */
  all(): HeldTask[] {
    return [...this.#bySeq.values()];
  }
}
