/**
 * What is really spent, counted by somebody who sees everything: cents and tokens, call by call,
 * looked at from end to end. Knows nothing of slices, lines or stores.
 */

/** In cents, so that the count is exact without any arithmetic of the code under test. */
export interface Cost {
  readonly cents: number;
  readonly tokens: number;
}

export interface Limit {
  readonly cents: number | undefined;
  readonly tokens: number | undefined;
  readonly perMs: number | undefined;
}

export interface TruthCall {
  readonly scopes: readonly string[];
  readonly asked: Cost;
  readonly atMs: number;
  /** Undefined while it is out. */
  real: Cost | undefined;
}

export class Truth {
  readonly limits: Map<string, Limit>;
  readonly calls: TruthCall[] = [];

  constructor(limits: Readonly<Record<string, Limit>>) {
    this.limits = new Map(Object.entries(limits));
  }

  /** When the period that a moment belongs to began. */
  periodOf(scope: string, atMs: number): number {
    const { perMs } = this.limits.get(scope)!;
    return perMs === undefined ? 0 : atMs - (atMs % perMs);
  }

  /** Every scope and period that was ever charged. */
  periods(): { readonly scope: string; readonly startMs: number }[] {
    const found = new Map<string, { readonly scope: string; readonly startMs: number }>();
    for (const { scopes, atMs } of this.calls) {
      for (const scope of scopes) {
        const startMs = this.periodOf(scope, atMs);
        found.set(`${scope}@${startMs}`, { scope, startMs });
      }
    }
    return [...found.values()];
  }

  spent(scope: string, startMs: number): Cost {
    return sum(this.#in(scope, startMs).flatMap(({ real }) => (real === undefined ? [] : [real])));
  }

  reserved(scope: string, startMs: number): Cost {
    return sum(this.#in(scope, startMs).flatMap(({ real, asked }) => (real === undefined ? [asked] : [])));
  }

  /** By how much calls have cost more than was reserved for them. */
  error(scope: string, startMs: number): Cost {
    return sum(
      this.#in(scope, startMs).flatMap(({ real, asked }) =>
        real === undefined ? [] : [{ cents: Math.max(0, real.cents - asked.cents), tokens: Math.max(0, real.tokens - asked.tokens) }],
      ),
    );
  }

  /** Whether a call would fit everywhere, with what is reserved (or as if all of that came home unspent). */
  fits(scopes: readonly string[], asked: Cost, atMs: number, { reservedToo }: { readonly reservedToo: boolean }): boolean {
    return scopes.every((scope) => {
      const limit = this.limits.get(scope)!;
      const startMs = this.periodOf(scope, atMs);
      const spent = this.spent(scope, startMs);
      const gone = sum([spent, ...(reservedToo ? [this.reserved(scope, startMs)] : [])]);
      const covers = (of: keyof Cost): boolean =>
        asked[of] === 0 ? spent[of] === 0 || spent[of] < (limit[of] ?? Infinity) : asked[of] <= (limit[of] ?? Infinity) - gone[of];
      // Tokens that cost nothing need no money.
      return ((asked.cents === 0 && asked.tokens > 0) || covers('cents')) && covers('tokens');
    });
  }

  #in(scope: string, startMs: number): TruthCall[] {
    return this.calls.filter((call) => call.scopes.includes(scope) && this.periodOf(scope, call.atMs) === startMs);
  }
}

function sum(costs: readonly Cost[]): Cost {
  return costs.reduce((total, { cents, tokens }) => ({ cents: total.cents + cents, tokens: total.tokens + tokens }), {
    cents: 0,
    tokens: 0,
  });
}
