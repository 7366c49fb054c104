/**
 * HeldTasks: what a command must know of the runs that hold a lease, kept in memory beside the rows.
 *
 * The database has one owner, so start, renew and settle can check a fence here, without reading,
 * and then write many rows with one statement. The rows stay the truth: after a rollback, or when
 * somebody else has written to the file, everything is loaded from them again.
 */
import type { NewTask, Remembered, SettledOutcome, StateRead } from '../../actors/ports/store.ts';
import { orderKeyOf, parseOptions } from './sqlite-rows.ts';
import type { TaskOptions } from './sqlite-rows.ts';
import type { Statements } from './sqlite-statements.ts';
import { STATUS } from './task-status.ts';

/**
 * `Held` as the thread says it: by the row. The store in front of it knows the `seq` of whatever it
 * has claimed, so that no text has to be looked up here. 0 is no row: never claimed, so not held.
 */
export interface HeldRow {
  readonly seq: number;
  readonly fence: number;
}

/** `NewTask`, with its parent's row, and all that few tasks have as the row keeps it. */
export interface Arrival extends Pick<NewTask, 'id' | 'kind' | 'version' | 'input' | 'priority' | 'maxAttempts' | 'maxLosses' | 'depth'> {
  readonly options: TaskOptions | null;
  /** The same, as its row is going to keep it. */
  readonly json: string | null;
  readonly parent?: HeldRow & { readonly id: string; readonly place: string };
}

/** `StartItem` of a row. */
export interface StartRow extends HeldRow {
  readonly worker: string | null;
}

/** `RememberItem` of a row. */
export interface RememberRow extends HeldRow, Remembered {
  readonly replace: boolean;
}

/** An item that names a run, with its row in place of the id. */
export type OfRow<T> = Omit<T, 'id'> & { readonly seq: number };

export type StateReadRow = OfRow<StateRead>;

/** `Settlement` of a row. */
export interface SettledRow extends HeldRow {
  readonly outcome: RowOutcome;
}

export type Completed = Omit<Extract<SettledOutcome, { at: 'completed' }>, 'sends'> & { readonly sends: readonly Arrival[] };

export type RowOutcome = Exclude<SettledOutcome, { at: 'completed' }> | Completed;

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
  /** Nothing lies beside its row (what is remembered, children, events), unless this run makes some. */
  fresh: boolean;
  /** It may have asked for others: what it has, nobody waits for once it completes. */
  hasAsked: boolean;
  priority: number;
  readonly claimedAtMs: number;
  startedAtMs: number | null;
  worker: string | null;
  readonly options: TaskOptions | null;
  /** It is to be undone, and ends in this status then. */
  readonly undo: number | null;
  noted: number | null;
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
  tenant: string,
  priority: number,
  claimedAtMs: number,
  startedAtMs: number,
  worker: string | null,
  options: string | null,
  undo: number | null,
  noted: number | null,
];

/** Of one database: every run that holds a lease, by its row. */
export class HeldTasks {
  readonly #sql: Statements;
  readonly #bySeq = new Map<number, HeldTask>();
  /** How many runs there are of an order key: never more than one, after a command. */
  readonly #byKey = new Map<string, HeldTask>();

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  /** Forgets everything and reads the rows. */
  load(): void {
    this.#bySeq.clear();
    this.#byKey.clear();
    for (const row of this.#sql.underLease.all() as unknown as Row[]) {
      const [seq, id, kind, fence, status, attempt, losses, maxLosses, resumed, untilMs, , priority, claimedAtMs, startedAtMs] = row;
      const [worker, options, undo, noted] = row.slice(14) as [string | null, string | null, number | null, number | null];
      const isRunning = status === STATUS.running;
      this.add({
        seq,
        id,
        kind,
        fence,
        status,
        attempt,
        losses,
        maxLosses,
        resumed,
        untilMs,
        fresh: false,
        hasAsked: true,
        priority,
        claimedAtMs,
        startedAtMs: isRunning ? startedAtMs : null,
        worker: isRunning && worker !== '' ? worker : null,
        options: parseOptions(options),
        undo,
        noted,
      });
    }
  }

  add(task: HeldTask): void {
    this.#bySeq.set(task.seq, task);
    if (task.options === null) return;
    const key = orderKeyOf(task.options);
    if (key !== null) this.#byKey.set(key, task);
  }

  remove(task: HeldTask): void {
    this.#bySeq.delete(task.seq);
    if (task.options === null) return;
    const key = orderKeyOf(task.options);
    if (key !== null && this.#byKey.get(key) === task) this.#byKey.delete(key);
  }

  /** The task, if this run holds its lease. */
  get({ seq, fence }: HeldRow): HeldTask | undefined {
    const task = this.#bySeq.get(seq);
    return task !== undefined && task.fence === fence ? task : undefined;
  }

  /** Whichever run of it holds the lease. */
  of(seq: number): HeldTask | undefined {
    return this.#bySeq.get(seq);
  }

  ofKey(orderKey: string): HeldTask | undefined {
    return this.#byKey.get(orderKey);
  }

  /** Those whose lease has run out by then. */
  expiredAt(nowMs: number): HeldTask[] {
    const expired: HeldTask[] = [];
    for (const task of this.#bySeq.values()) if (task.untilMs <= nowMs) expired.push(task);
    return expired;
  }

  /** Whoever holds a lease. */
  all(): HeldTask[] {
    return [...this.#bySeq.values()];
  }
}
