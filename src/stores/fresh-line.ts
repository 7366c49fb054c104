/** FreshLine: the new tasks of one tenant and kind, in the order in which they are claimed. */
import type { BestRow } from './sqlite-rows.ts';

/** They mostly come in their order; who is more urgent is put before others. */
export class FreshLine {
  #rows: BestRow[] = [];
  /** Those before it have been taken. */
  #first = 0;

  get size(): number {
    return this.#rows.length - this.#first;
  }

  add(row: BestRow): void {
    const rows = this.#rows;
    let at = rows.length;
    if (at > this.#first && goesFirst(row, rows[at - 1]!)) {
      let low = this.#first;
      while (low < at) {
        const middle = (low + at) >> 1;
        if (goesFirst(row, rows[middle]!)) at = middle;
        else low = middle + 1;
      }
      rows.splice(at, 0, row);
    } else rows.push(row);
  }

  take(): BestRow | undefined {
    const row = this.#rows[this.#first];
    if (row === undefined) return undefined;
    this.#first += 1;
    if (this.#first === this.#rows.length) {
      this.#rows = [];
      this.#first = 0;
    } else if (this.#first > 1_000) {
      this.#rows = this.#rows.slice(this.#first);
      this.#first = 0;
    }
    return row;
  }
}

/** By rank, then by age. */
function goesFirst(a: BestRow, b: BestRow): boolean {
  return a[13] === b[13] ? a[0] < b[0] : a[13] < b[13];
}
