/** EndedRows: what one command writes about those who have ended: their rows, and what lies beside these and is not needed any more. */
import type { HeldTask } from './sqlite-held.ts';
import { NOTED, orderKeyOf } from './sqlite-rows.ts';
import type { FreeTask } from './sqlite-rows.ts';
import type { Cell } from './sqlite-rows-statement.ts';
import type { Statements } from './sqlite-statements.ts';

/** Of one command. */
export class EndedRows {
  readonly #sql: Statements;
  readonly #nowMs: number;
  readonly #ids: string[] = [];
  readonly #completed: Cell[] = [];
  readonly #completedInLine: Cell[] = [];
  readonly #ended: Cell[] = [];
  /** Those that have failed and are kept as they stand. */
  readonly #kept: number[] = [];
  /** Rows of which nothing beside the row is needed any more, and those that have asked and may be put back. */
  readonly #forgotten: number[] = [];
  readonly #closed: number[] = [];

  constructor(sql: Statements, nowMs: number) {
    this.#sql = sql;
    this.#nowMs = nowMs;
  }

  completed({ seq, id, options, fresh }: HeldTask, result: string | null): void {
    (orderKeyOf(options) === null ? this.#completed : this.#completedInLine).push(seq, result);
    this.#ids.push(id);
    if (!fresh) this.forget(seq);
  }

  ended({ seq, id }: HeldTask | FreeTask, status: number, losses: number, error: string | null): void {
    this.#ended.push(seq, status, losses, error);
    this.#ids.push(id);
  }

  kept(seq: number): void {
    this.#kept.push(seq);
  }

  /** Nobody comes back to what it remembers. */
  forget(seq: number): void {
    this.#forgotten.push(seq);
  }

  /** What it remembers is kept, for a `requeue`; nobody decides any more what it has asked. */
  close(seq: number): void {
    this.#closed.push(seq);
  }

  /** Writes the rows of those that have ended since it was called last: their ids. */
  write(): readonly string[] {
    const ids = this.#ids.splice(0);
    if (ids.length === 0) return ids;
    const sql = this.#sql;
    sql.complete.run(this.#completed.splice(0), this.#nowMs);
    sql.completeInLine.run(this.#completedInLine.splice(0), this.#nowMs);
    sql.end.run(this.#ended.splice(0), this.#nowMs);
    for (const seq of this.#kept.splice(0)) sql.note.run(NOTED.kept, seq);
    return ids;
  }

  /** Deletes what is not needed any more beside the rows. */
  forgetBeside(): void {
    const forgotten = this.#forgotten.splice(0);
    const closed = this.#closed.splice(0);
    const sql = this.#sql;
    if (forgotten.length > 0) {
      sql.forgetMemory.run(forgotten);
      if ((sql.anyEvent.get() as unknown as [number])[0] === 1) sql.forgetEvents.run(forgotten);
    }
    if (forgotten.length + closed.length === 0 || (sql.anyApproval.get() as unknown as [number])[0] === 0) return;
    sql.forgetApprovals.run(forgotten);
    sql.closeApprovals.run(closed);
  }
}
