/**
 * Retry budget: how many second tries a dependency may have, all its callers together. A tenth of its
 * first tries, and one a second: enough for what fails now and then, and a provider that is down is
 * not hit by everything twice.
 *
 * @see Google, Site Reliability Engineering, "Handling overload": client-side retry budgets
 */
export interface RetrySpec {
  /** Second tries a first try pays for. 0 to 1, default 0.1. */
  readonly share?: number;
  /** Second tries that every second pays for. Default 1. */
  readonly perSecond?: number;
  /** Second tries that may be saved up. Default 10. */
  readonly most?: number;
}

const DEFAULTS: Required<RetrySpec> = { share: 0.1, perSecond: 1, most: 10 };

/** Mutable, for one owner. Times never go back: an earlier one counts as the latest. */
export class RetryBudget {
  readonly #spec: Required<RetrySpec>;
  #saved: number;
  #atMs = -Infinity;

  constructor(spec: RetrySpec = {}) {
    this.#spec = { ...DEFAULTS, ...spec };
    this.#saved = this.#spec.most;
  }

  /** A first try begins. */
  earn(): void {
    this.#saved = Math.min(this.#spec.most, this.#saved + this.#spec.share);
  }

  /** Takes one second try; false: there is none. */
  take(nowMs: number): boolean {
    const { perSecond, most } = this.#spec;
    if (nowMs > this.#atMs) {
      if (this.#atMs !== -Infinity) this.#saved = Math.min(most, this.#saved + ((nowMs - this.#atMs) / 1_000) * perSecond);
      this.#atMs = nowMs;
    }
    if (this.#saved < 1) return false;
    this.#saved -= 1;
    return true;
  }
}
