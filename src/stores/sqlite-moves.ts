/**
 * Moves: how tasks that nobody holds get into the queue, out of it, and out of what they wait for, within one
 * command. `write` last puts the lines of order keys right.
 */
import { raise } from './sqlite-raise.ts';
import type { HeldTask } from './sqlite-held.ts';
import type { Known } from './sqlite-known.ts';
import { SqliteOrder } from './sqlite-order.ts';
import type { BestRow, FreeTask, TaskOptions } from './sqlite-rows.ts';
import { SqliteWaits } from './sqlite-waits.ts';
import type { Parked } from './sqlite-waits.ts';
import { STATUS } from './task-status.ts';

/** Of one command. */
export class Moves {
  /** Kinds that have got something to claim. */
  readonly ready = new Set<string>();
  readonly order: SqliteOrder;
  readonly waits: SqliteWaits;
  readonly #known: Known;
  readonly #nowMs: number;
  /** Those that were queued, and are not any more. */
  readonly #gone: FreeTask[] = [];

  constructor(known: Known, nowMs: number) {
    this.#known = known;
    this.#nowMs = nowMs;
    this.waits = new SqliteWaits(known, nowMs);
    this.order = new SqliteOrder(known, nowMs, this.ready, (seq, priority) => raise(known, seq, priority));
  }

  /** Nobody holds it: it waits for an operator from now on. */
  pause(task: FreeTask): void {
    this.unplace(task);
    this.leaveLine(task.seq, task.options);
    this.releaseLocks(task);
    this.#keepRetry(task, task.status === STATUS.retrying ? task.atMs! : undefined);
    this.#known.sql.move.run(STATUS.parked, task.resumed, null, 'operator', task.seq);
    this.#known.tally.moved(task.kind, task.status, STATUS.parked);
  }

  /** It was paused, and goes on: a retry when its time comes, all others ahead of new work. */
  unpause(task: FreeTask): void {
    const { sql, tally, agingMs } = this.#known;
    const retryAtMs = task.options?.retryAtMs;
    this.#keepRetry(task, undefined);
    if (retryAtMs !== undefined && retryAtMs > this.#nowMs) {
      sql.move.run(STATUS.retrying, task.resumed, retryAtMs, null, task.seq);
      return tally.moved(task.kind, task.status, STATUS.retrying);
    }
    if (retryAtMs !== undefined) sql.rankSince.run(retryAtMs, agingMs, task.seq);
    this.queue(task, 1);
  }

  /** What its row says of when it would have been tried again. */
  #keepRetry({ seq, options }: FreeTask, retryAtMs: number | undefined): void {
    if (options?.retryAtMs === retryAtMs) return;
    const { retryAtMs: _before, ...others } = options ?? {};
    const kept = retryAtMs === undefined ? others : { ...others, retryAtMs };
    this.#known.sql.setOptions.run(Object.keys(kept).length === 0 ? null : JSON.stringify(kept), seq);
  }

  /** Nobody holds it: it is queued, or parked for its time. `resumed`: whether it goes ahead of new work. */
  queue(task: FreeTask, resumed: number): void {
    const notBeforeMs = task.options?.notBeforeMs ?? -Infinity;
    // For one that has begun its time had come, whatever a clock says that is behind.
    if (task.fence === 0 && notBeforeMs > this.#nowMs) {
      this.#known.sql.move.run(STATUS.parked, resumed, notBeforeMs, 'time', task.seq);
      this.#known.tally.moved(task.kind, task.status, STATUS.parked);
      // Put back, it is ahead of those who came under its key since it ended.
      if (task.orderKey !== null) this.order.touch(task.orderKey);
      return;
    }
    this.#known.sql.move.run(STATUS.queued, resumed, this.#nowMs, null, task.seq);
    this.#known.tally.moved(task.kind, task.status, STATUS.queued);
    this.queued(task.seq, task.kind, task.tenant, resumed, task.orderKey);
  }

  /** What these waited for is there, for those who still wait under this fence. */
  wake(parked: readonly Parked[]): void {
    const cells = parked.flatMap(({ seq, fence }) => [seq, fence]);
    const rows = this.#known.sql.wake.all(cells, this.#nowMs) as (readonly [number, string, string, string | null])[];
    const woken = new Map(rows.map((row) => [row[0], row]));
    for (const { seq } of parked) {
      const row = woken.get(seq);
      // None, when it was woken by another child or by time, and may even wait for other things by now.
      if (row === undefined || !woken.delete(seq)) continue;
      this.waits.forget(seq);
      this.#woken(seq, [row[1], row[2], row[3]]);
    }
  }

  /** These may try to take their locks again. */
  wakeForLocks(seqs: readonly number[]): void {
    for (const seq of seqs) {
      const woken = this.#known.sql.wakeForLocks.get(this.#nowMs, seq) as unknown as [string, string, string | null] | undefined;
      if (woken !== undefined) this.#woken(seq, woken);
    }
  }

  /** A new task is in the queue now, and nobody else has its order key. */
  arrived(tenant: string, row: BestRow): void {
    const kind = row[2];
    this.#known.turns.queued(kind, tenant, 0, row);
    this.ready.add(kind);
  }

  /** It is in the queue now. */
  queued(seq: number, kind: string, tenant: string, resumed: number, orderKey: string | null): void {
    this.#known.turns.queued(kind, tenant, resumed);
    if (orderKey === null) this.ready.add(kind);
    else this.order.queued(orderKey, seq);
  }

  /** It holds nothing any more. */
  releaseLocks({ seq, options }: Pick<HeldTask, 'seq' | 'options'>): void {
    if (options?.locks !== undefined) this.wakeForLocks(this.#known.locks.table.release(seq, this.#nowMs));
  }

  /** What nobody holds leaves where it was, but for the line for locks: it may want them to be undone. */
  unplace(task: FreeTask): void {
    if (task.status === STATUS.queued) this.#gone.push(task);
    if (task.orderKey !== null) this.order.touch(task.orderKey);
    this.waits.forget(task.seq);
  }

  /** It is not there to be run any more. */
  leaveLine(seq: number, options: TaskOptions | null): void {
    if (options?.locks !== undefined) this.wakeForLocks(this.#known.locks.table.forget(seq, this.#nowMs));
  }

  #woken(seq: number, [kind, tenant, orderKey]: readonly [string, string, string | null]): void {
    this.#known.tally.moved(kind, STATUS.parked, STATUS.queued);
    this.queued(seq, kind, tenant, 1, orderKey);
  }

  write(): void {
    for (let out = this.order.arrange(); out.length > 0; out = this.order.arrange()) {
      const { table } = this.#known.locks;
      for (const seq of out) this.wakeForLocks([...table.forget(seq, this.#nowMs), ...table.release(seq, this.#nowMs)]);
    }
    for (const { kind, tenant, resumed } of this.#gone.splice(0)) this.#known.turns.gone(kind, tenant, resumed);
  }
}
