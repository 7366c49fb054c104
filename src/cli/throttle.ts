/** Throttle: lets the first few of each sort of note through in a period, and counts the others. Pure but for its memory. */

interface Period {
  readonly fromMs: number;
  passed: number;
  held: number;
}

export class Throttle {
  readonly #most: number;
  readonly #periodMs: number;
  readonly #sorts = new Map<string, Period>();

  /** At most `most` of a sort within `periodMs`. */
  constructor(most: number, periodMs: number) {
    this.#most = most;
    this.#periodMs = periodMs;
  }

  /** Whether this one may pass. One that may not is counted. */
  pass(sort: string, nowMs: number): boolean {
    let period = this.#sorts.get(sort);
    if (period === undefined) this.#sorts.set(sort, (period = { fromMs: nowMs, passed: 0, held: 0 }));
    if (period.passed < this.#most) {
      period.passed += 1;
      return true;
    }
    period.held += 1;
    return false;
  }

  /** Sorts whose period is over (all of them, with `Infinity`) and how many were held back in it. They begin anew. */
  due(nowMs: number): { readonly sort: string; readonly held: number }[] {
    const due: { sort: string; held: number }[] = [];
    for (const [sort, { fromMs, held }] of this.#sorts) {
      if (nowMs - fromMs < this.#periodMs) continue;
      this.#sorts.delete(sort);
      if (held > 0) due.push({ sort, held });
    }
    return due;
  }
}
