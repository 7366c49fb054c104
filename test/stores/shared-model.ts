/** Models of what stores keep beside tasks, written from the words of the port alone: lists, looked at from end to end. */
import type { BudgetGrant, BudgetReturn, BudgetTake, BudgetTaken, Intent, IntentOutcome } from '../../actors/ports/store.ts';

interface Period {
  readonly scope: string;
  readonly startMs: number;
  nanoUsd: number;
  tokens: number;
}

export class BudgetModel {
  #periods: Period[] = [];

  take(items: readonly BudgetTake[]): BudgetGrant[] {
    return items.map((item) => {
      this.#periods = this.#periods.filter(({ scope, startMs }) => scope !== item.scope || startMs >= item.keepFromMs);
      let period = this.#find(item);
      if (period === undefined) this.#periods.push((period = { scope: item.scope, startMs: item.periodStartMs, nanoUsd: 0, tokens: 0 }));
      period.nanoUsd += item.overNanoUsd;
      period.tokens += item.overTokens;
      const [least, most] = [this.#share(item, period, 'least'), this.#share(item, period, 'want')];
      const grant = least !== undefined && most !== undefined ? most : { nanoUsd: 0, tokens: 0 };
      period.nanoUsd += grant.nanoUsd;
      period.tokens += grant.tokens;
      return { ...grant, takenNanoUsd: period.nanoUsd, takenTokens: period.tokens };
    });
  }

  giveBack(items: readonly BudgetReturn[]): void {
    for (const item of items) {
      const period = this.#find(item);
      if (period !== undefined) {
        period.nanoUsd = Math.max(0, period.nanoUsd - item.nanoUsd);
        period.tokens = Math.max(0, period.tokens - item.tokens);
      }
      if (item.ended) this.#periods = this.#periods.filter(({ scope }) => scope !== item.scope);
    }
  }

  read(items: readonly { readonly scope: string; readonly periodStartMs: number }[]): BudgetTaken[] {
    return items.map((item) => {
      const period = this.#find(item);
      return { takenNanoUsd: period?.nanoUsd ?? 0, takenTokens: period?.tokens ?? 0 };
    });
  }

  /** As much of the least, or of what is wanted, as there is; undefined when it is the least and not all of it. */
  #share(item: BudgetTake, period: Period, of: 'least' | 'want'): { nanoUsd: number; tokens: number } | undefined {
    const asked = { nanoUsd: item[`${of}NanoUsd`], tokens: item[`${of}Tokens`] };
    const left = {
      nanoUsd: item.limitNanoUsd === null ? null : Math.max(0, item.limitNanoUsd - period.nanoUsd),
      tokens: item.limitTokens === null ? null : Math.max(0, item.limitTokens - period.tokens),
    };
    const share = { nanoUsd: 0, tokens: 0 };
    for (const dimension of ['nanoUsd', 'tokens'] as const) {
      const there = left[dimension];
      if (there === null) continue;
      if (of === 'least' && asked[dimension] > there) return undefined;
      share[dimension] = Math.min(asked[dimension], there);
    }
    return share;
  }

  #find(item: { readonly scope: string; readonly periodStartMs: number }): Period | undefined {
    return this.#periods.find(({ scope, startMs }) => scope === item.scope && startMs === item.periodStartMs);
  }
}

export class IntentModel {
  #intents: { gate: string; holder: string; untilMs: number; forMs: number }[] = [];

  /** By the new owner's clock, nobody stands there for longer than he had said. */
  open(nowMs: number): void {
    for (const intent of this.#intents) if (intent.untilMs - nowMs > intent.forMs) intent.untilMs = nowMs + intent.forMs;
  }

  register(items: readonly Intent[], nowMs: number): IntentOutcome[] {
    this.#intents = this.#intents.filter(({ untilMs }) => untilMs > nowMs);
    return items.map(({ gate, holder, most, untilMs }) => {
      const same = this.#intents.filter((intent) => intent.gate === gate);
      let own = same.find((intent) => intent.holder === holder);
      if (own === undefined) this.#intents.push((own = { gate, holder, untilMs, forMs: 0 }));
      own.untilMs = untilMs;
      own.forMs = untilMs - nowMs;
      const before = same.includes(own) ? same.slice(0, same.indexOf(own)) : same;
      const ahead = before.filter((intent) => intent.untilMs > nowMs).length;
      return ahead < most ? { at: 'proceed' } : { at: 'waiting', ahead };
    });
  }

  withdraw(items: readonly { readonly gate: string; readonly holder: string }[]): void {
    this.#intents = this.#intents.filter(({ gate, holder }) => !items.some((item) => item.gate === gate && item.holder === holder));
  }
}
