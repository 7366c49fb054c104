/**
 * RecentWrites: which commit has written a row of state last. Whoever only reads a row need not wait for
 * the disk, unless its last write may not be there yet. Bounded: of rows that were written long before,
 * only the last commit of them all is known.
 */
const MOST_KEYS = 5_000;

/** Of one database, since it was opened. */
export class RecentWrites {
  /** Commits so far. */
  commits = 0;
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  /** No row that is in neither of them was written by a later one. */
  #before = 0;

  /** The transaction under way writes this row. */
  wrote(key: string): void {
    if (this.#young.size >= MOST_KEYS) {
      for (const commit of this.#old.values()) this.#before = Math.max(this.#before, commit);
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, this.commits + 1);
  }

  /** The last commit that wrote one of these rows, or a later one. */
  of(keys: readonly string[]): number {
    let last = 0;
    for (const key of keys) last = Math.max(last, this.#young.get(key) ?? this.#old.get(key) ?? this.#before);
    return last;
  }
}
