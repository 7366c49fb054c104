/** Families: how many unfinished descendants a task from outside has. Counted here, written by the transaction. */
import type { Statements } from './sqlite-statements.ts';

/** Of one database. Everything is called within a transaction. */
export class Families {
  readonly #sql: Statements;
  readonly #changes = new Map<string, number>();

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  /** Forgets what was not written. */
  load(): void {
    this.#changes.clear();
  }

  /** Descendants of this task come or go. */
  add(root: string | undefined, n: number): void {
    if (root !== undefined) this.#changes.set(root, (this.#changes.get(root) ?? 0) + n);
  }

  unfinished(root: string): number {
    return this.#stored(root) + (this.#changes.get(root) ?? 0);
  }

  /** Writes the changes. */
  flush(): void {
    for (const [root, change] of this.#changes) {
      if (change === 0) continue;
      const n = this.#stored(root) + change;
      if (n === 0) this.#sql.endFamily.run(root);
      else this.#sql.setFamily.run(root, n);
    }
    this.#changes.clear();
  }

  #stored(root: string): number {
    return ((this.#sql.family.get(root) as unknown as [number] | undefined) ?? [0])[0];
  }
}
