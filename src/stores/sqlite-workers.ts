/** Workers: a number for each name, so that the row of a task stays as long as it was when a worker starts it. */
import type { Statements } from './sqlite-statements.ts';

/** Nobody knows who it was. */
const NOBODY = 1_000;

/** Of one database. Everything is called within a transaction. */
export class Workers {
  readonly #sql: Statements;
  readonly #numbers = new Map<string, number>();

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  /** Forgets what may not have been written. */
  load(): void {
    this.#numbers.clear();
  }

  numberOf(name: string | null): number {
    if (name === null) return NOBODY;
    let number = this.#numbers.get(name);
    if (number === undefined) {
      [number] = this.#sql.worker.get(name) as unknown as [number];
      this.#numbers.set(name, number);
    }
    return number;
  }
}
