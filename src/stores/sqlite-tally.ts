/**
 * Tally: how many tasks of a kind are where. Commands count changes here; the transaction writes
 * the sums before it commits, so the table is always right and nobody ever has to scan for it.
 */
import type { TaskCounts, TaskStatus } from '../../actors/ports/store.ts';
import type { Statements } from './sqlite-statements.ts';
import { FIRST_TERMINAL, noCounts, STATUS, statusOf } from './task-status.ts';

/** Of one database. Everything but `unfinished` is called within a transaction. */
export class Tally {
  readonly #sql: Statements;
  /** By kind, by number of status: changes of the transaction under way. */
  readonly #changes = new Map<string, number[]>();
  /** Of the kind that was counted last. */
  #latest: { readonly kind: string; readonly changes: number[] } | undefined;
  readonly #unfinishedOf = new Map<string, number>();
  #unfinished = 0;

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  /** Tasks that have not ended, those of the transaction under way included. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /** The same, of one kind. */
  unfinishedOf(kind: string): number {
    let n = this.#unfinishedOf.get(kind) ?? 0;
    this.#changes.get(kind)?.forEach((change, status) => (n += status < FIRST_TERMINAL ? change : 0));
    return n;
  }

  /** Forgets what was not written, and reads what is. */
  load(): void {
    this.#forget();
    this.#unfinished = 0;
    this.#unfinishedOf.clear();
    for (const [kind, status, n] of this.#rows()) {
      if (status >= FIRST_TERMINAL) continue;
      this.#unfinished += n;
      this.#addUnfinished(kind, n);
    }
  }

  arrived(kind: string, status: number): void {
    this.#count(kind, status, 1);
  }

  moved(kind: string, from: number, to: number, n = 1): void {
    this.#count(kind, from, -n);
    this.#count(kind, to, n);
  }

  /** It had ended, and is not there any more. */
  forgotten(kind: string, status: number): void {
    this.#count(kind, status, -1);
  }

  /** Writes the changes. */
  flush(): void {
    for (const [kind, changes] of this.#changes) {
      for (let status = 0; status < changes.length; status += 1) {
        const n = changes[status]!;
        if (n === 0) continue;
        this.#sql.addTally.run(kind, status, n);
        if (status < FIRST_TERMINAL) this.#addUnfinished(kind, n);
      }
    }
    this.#forget();
  }

  /** How many there are of that kind and status, or of all. */
  of(kind: string | undefined, status: TaskStatus | undefined): number {
    this.flush();
    const code = status === undefined ? undefined : STATUS[status];
    return this.#rows()
      .filter((row) => (kind === undefined || row[0] === kind) && (code === undefined || row[1] === code))
      .reduce((sum, [, , n]) => sum + n, 0);
  }

  counts(): Record<string, TaskCounts> {
    this.flush();
    const kinds = new Map<string, ReturnType<typeof noCounts>>();
    for (const [kind, status, n] of this.#rows()) {
      let counts = kinds.get(kind);
      if (counts === undefined) kinds.set(kind, (counts = noCounts()));
      counts[statusOf(status)] = n;
    }
    return Object.fromEntries(kinds);
  }

  #rows(): [kind: string, status: number, n: number][] {
    return this.#sql.tallies.all() as unknown as [string, number, number][];
  }

  #addUnfinished(kind: string, n: number): void {
    this.#unfinishedOf.set(kind, (this.#unfinishedOf.get(kind) ?? 0) + n);
  }

  #count(kind: string, status: number, n: number): void {
    this.#changesOf(kind)[status]! += n;
    if (status < FIRST_TERMINAL) this.#unfinished += n;
  }

  #changesOf(kind: string): number[] {
    // Most batches are of one kind.
    if (this.#latest?.kind === kind) return this.#latest.changes;
    let changes = this.#changes.get(kind);
    if (changes === undefined) this.#changes.set(kind, (changes = Array<number>(STATUS.dead + 1).fill(0)));
    this.#latest = { kind, changes };
    return changes;
  }

  #forget(): void {
    this.#changes.clear();
    this.#latest = undefined;
  }
}
