/** SqliteLocks: the lock table, with a row for each holder and each waiter that a command has changed. */
import { LockTable } from '../../actors/conflicts/lock-table.ts';
import type { LockWaiter } from '../../actors/conflicts/lock-table.ts';
import type { LockWant } from '../../actors/ports/store.ts';
import { MOST_PASSED } from '../../actors/ports/store.ts';
import type { Cell } from './sqlite-rows-statement.ts';
import type { Statements } from './sqlite-statements.ts';

type WaiterRow = readonly [seq: number, wants: string, sinceMs: number, passed: number, wokenAtMs: number | null];

/** Of one database. Everything is called within a transaction. */
export class SqliteLocks {
  readonly table: LockTable;
  readonly #sql: Statements;
  /** Who has a row as a holder, and who as a waiter. */
  readonly #holding = new Set<number>();
  readonly #inLine = new Set<number>();

  constructor(sql: Statements, nextToken: () => number) {
    this.#sql = sql;
    this.table = new LockTable({ mostPassed: MOST_PASSED, nextToken, keepsChanges: true });
  }

  /** Forgets everything and reads the rows. */
  load(): void {
    const holders = this.#sql.lockHolders.all() as unknown as (readonly [seq: number, wants: string, token: number])[];
    const waiters = this.#sql.lockWaiters.all() as unknown as WaiterRow[];
    this.#holding.clear();
    this.#inLine.clear();
    for (const [seq] of holders) this.#holding.add(seq);
    for (const [seq] of waiters) this.#inLine.add(seq);
    this.table.load(
      holders.map(([seq, wants, token]) => ({ seq, wants: parseWants(wants), token })),
      waiters.map(([seq, wants, sinceMs, passed, wokenAtMs]): LockWaiter => ({
        seq,
        wants: parseWants(wants),
        sinceMs,
        passed,
        wokenAtMs,
      })),
    );
  }

  /** Writes what has changed. */
  flush(): void {
    const hold: Cell[] = [];
    const stand: Cell[] = [];
    const letGo: number[] = [];
    const leave: number[] = [];
    for (const { seq, holder, waiter } of this.table.takeChanges()) {
      if (holder !== undefined) {
        this.#holding.add(seq);
        hold.push(seq, holder.token, JSON.stringify(holder.wants));
      } else if (this.#holding.delete(seq)) letGo.push(seq);
      if (waiter !== undefined) {
        this.#inLine.add(seq);
        stand.push(seq, JSON.stringify(waiter.wants), waiter.sinceMs, waiter.passed, waiter.wokenAtMs);
      } else if (this.#inLine.delete(seq)) leave.push(seq);
    }
    this.#sql.hold.run(hold);
    this.#sql.letGo.run(letGo);
    this.#sql.stand.run(stand);
    this.#sql.leaveLine.run(leave);
  }
}

function parseWants(json: string): readonly LockWant[] {
  return JSON.parse(json) as LockWant[];
}
