/**
 * Claims: those that no row tells of yet. A claim changes nothing but the row, and nobody acts on it before its run
 * starts: so what is claimed from memory (see Turns) stays queued in its row until then, and one statement writes both.
 * When the process ends before, its claims end with it, and their tasks are queued: as they would be found.
 *
 *     claimed from memory ──▶ unwritten ── start ──▶ the row says: running
 *                                  └── write ──▶ the row says: leased
 *
 * Whoever reads or changes by status what may be claimed calls `write` first.
 */
import type { BestRow } from './sqlite-rows.ts';
import type { Statements } from './sqlite-statements.ts';
import type { Tally } from './sqlite-tally.ts';
import { STATUS } from './task-status.ts';

interface Claim {
  readonly row: BestRow;
  readonly untilMs: number;
  readonly claimedAtMs: number;
}

/** Of one database. Everything is called within a transaction. */
export class Claims {
  readonly #sql: Statements;
  readonly #tally: Tally;
  readonly #leastFenceOf: () => number;
  /** By row. */
  readonly #unwritten = new Map<number, Claim>();
  /** What the transaction under way has added and taken away. */
  readonly #added: number[] = [];
  readonly #taken: Claim[] = [];

  /** `leastFenceOf`: of a claim. */
  constructor(sql: Statements, tally: Tally, leastFenceOf: () => number) {
    this.#leastFenceOf = leastFenceOf;
    this.#sql = sql;
    this.#tally = tally;
  }

  add(row: BestRow, untilMs: number, claimedAtMs: number): void {
    this.#unwritten.set(row[0], { row, untilMs, claimedAtMs });
    this.#added.push(row[0]);
  }

  has(seq: number): boolean {
    return this.#unwritten.has(seq);
  }

  /** Its row is going to tell of its start: whether it did not tell of its claim. */
  started(seq: number): boolean {
    const claim = this.#unwritten.get(seq);
    if (claim === undefined) return false;
    this.#take(claim);
    return true;
  }

  /** From now on the rows tell of all. */
  write(): void {
    if (this.#unwritten.size === 0) return;
    const claims = [...this.#unwritten.values()];
    const cells = claims.flatMap(({ row, untilMs, claimedAtMs }) => [row[0], untilMs, claimedAtMs]);
    this.#sql.leaseEach.run(cells, this.#leastFenceOf());
    for (const claim of claims) {
      this.#take(claim);
      this.#tally.moved(claim.row[2], STATUS.queued, STATUS.leased);
    }
  }

  committed(): void {
    this.#added.length = 0;
    this.#taken.length = 0;
  }

  /** As before the transaction. */
  rolledBack(): void {
    for (const claim of this.#taken) this.#unwritten.set(claim.row[0], claim);
    for (const seq of this.#added) this.#unwritten.delete(seq);
    this.committed();
  }

  /** Somebody else may have changed the rows: a claim holds where its row is as it was. */
  verify(): void {
    for (const claim of this.#unwritten.values()) {
      const [seq, , , , , , fence] = claim.row;
      if ((this.#sql.isQueued.get(seq, fence) as unknown as [number])[0] === 0) this.#take(claim);
    }
  }

  #take(claim: Claim): void {
    this.#unwritten.delete(claim.row[0]);
    this.#taken.push(claim);
  }
}
