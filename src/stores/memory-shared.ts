/** What the memory store keeps beside tasks: what is taken of budgets, and who stands at which gate. */
import type { BudgetGrant, BudgetReturn, BudgetTake, BudgetTaken, Intent, IntentOutcome, Store } from '../../actors/ports/store.ts';
import { grantOf, NOTHING_TAKEN, returned } from './budget-grant.ts';

/** The budgets of one memory store. */
export class MemoryBudgets {
  /** By scope, then by the start of the period. */
  readonly #scopes = new Map<string, Map<number, BudgetTaken>>();

  take(items: readonly BudgetTake[]): BudgetGrant[] {
    return items.map((item) => {
      let periods = this.#scopes.get(item.scope);
      if (periods === undefined) this.#scopes.set(item.scope, (periods = new Map()));
      for (const startMs of periods.keys()) if (startMs < item.keepFromMs) periods.delete(startMs);
      const grant = grantOf(periods.get(item.periodStartMs) ?? NOTHING_TAKEN, item);
      periods.set(item.periodStartMs, { takenNanoUsd: grant.takenNanoUsd, takenTokens: grant.takenTokens });
      return grant;
    });
  }

  giveBack(items: readonly BudgetReturn[]): void {
    for (const item of items) {
      const periods = this.#scopes.get(item.scope);
      const before = periods?.get(item.periodStartMs);
      if (before !== undefined) periods!.set(item.periodStartMs, returned(before, item));
      if (item.ended) this.#scopes.delete(item.scope);
    }
  }

  read(items: Parameters<Store['readBudgets']>[0]): BudgetTaken[] {
    return items.map(({ scope, periodStartMs }) => this.#scopes.get(scope)?.get(periodStartMs) ?? NOTHING_TAKEN);
  }
}

/** The gates of one memory store. */
export class MemoryIntents {
  /** By gate, then by holder in order of registration: until when each counts, and how long that was when it said so. */
  readonly #gates = new Map<string, Map<string, { untilMs: number; readonly ttlMs: number }>>();
  /** Nobody's time is over before this: then nobody need be looked for. */
  #noneEndsBeforeMs = Infinity;

  /** None counts longer from now than it was registered for: the clock of its holder may have been ahead. */
  open(nowMs: number): void {
    for (const holders of this.#gates.values())
      for (const place of holders.values()) place.untilMs = Math.min(place.untilMs, nowMs + place.ttlMs);
    this.#noneEndsBeforeMs = -Infinity;
  }

  register(items: readonly Intent[], nowMs: number): IntentOutcome[] {
    this.#forget(nowMs);
    return items.map(({ gate, holder, most, untilMs }) => {
      let holders = this.#gates.get(gate);
      if (holders === undefined) this.#gates.set(gate, (holders = new Map()));
      // Setting a key again leaves it in its place.
      holders.set(holder, { untilMs, ttlMs: untilMs - nowMs });
      this.#noneEndsBeforeMs = Math.min(this.#noneEndsBeforeMs, untilMs);
      let ahead = 0;
      for (const [other, place] of holders) {
        if (other === holder) break;
        if (place.untilMs > nowMs) ahead += 1;
      }
      return ahead < most ? { at: 'proceed' } : { at: 'waiting', ahead };
    });
  }

  withdraw(items: Parameters<Store['withdrawIntents']>[0]): void {
    for (const { gate, holder } of items) {
      const holders = this.#gates.get(gate);
      if (holders?.delete(holder) === true && holders.size === 0) this.#gates.delete(gate);
    }
  }

  #forget(nowMs: number): void {
    if (nowMs < this.#noneEndsBeforeMs) return;
    this.#noneEndsBeforeMs = Infinity;
    for (const [gate, holders] of this.#gates) {
      for (const [holder, { untilMs }] of holders) {
        if (untilMs <= nowMs) holders.delete(holder);
        else this.#noneEndsBeforeMs = Math.min(this.#noneEndsBeforeMs, untilMs);
      }
      if (holders.size === 0) this.#gates.delete(gate);
    }
  }
}
