/** Budget commands: what one purse asks of the store, and what the answers make of it. */
import { freeOf, leftOf, overOf, sliceOf } from '../../actors/budget/balance.ts';
import type { BudgetReturn, BudgetTake } from '../../actors/ports/store.ts';
import { heard } from './budget-purse.ts';
import type { Account, Purse } from './budget-purse.ts';

/** So many periods before the present one are kept in the store: others may not have noticed yet that it has begun. */
const PERIODS_KEPT = 2;

/** What is missing in hand, at least. */
export interface Missing {
  nanoUsd: number;
  tokens: number;
}

/** By which the store knows it. */
export function nameOf({ budget, startMs }: Purse): { readonly scope: string; readonly periodStartMs: number } {
  return { scope: budget.scope, periodStartMs: startMs };
}

/** A slice that is asked for, and what is to be booked. `sparing`: no more than what is missing. */
export function takeOf(purse: Purse, missing: Missing, sparing: boolean): BudgetTake {
  const { usd, tokens, budget, startMs } = purse;
  // Nobody reserves there any more: only what is over has to be known.
  const { nanoUsd: leastNanoUsd, tokens: leastTokens } = purse.retired ? { nanoUsd: 0, tokens: 0 } : missing;
  const booksOnly = leastNanoUsd === 0 && leastTokens === 0;
  return {
    ...nameOf(purse),
    limitNanoUsd: usd.limit === Infinity ? null : usd.limit,
    limitTokens: tokens.limit === Infinity ? null : tokens.limit,
    wantNanoUsd: booksOnly ? 0 : Math.max(leastNanoUsd, Math.min(leftOf(usd), sliceOf(usd, leastNanoUsd, sparing))),
    wantTokens: booksOnly ? 0 : Math.max(leastTokens, Math.min(leftOf(tokens), sliceOf(tokens, leastTokens, sparing))),
    leastNanoUsd,
    leastTokens,
    overNanoUsd: budget.forgotten ? 0 : overOf(usd),
    overTokens: budget.forgotten ? 0 : overOf(tokens),
    keepFromMs: budget.plan.perMs === Infinity ? startMs : startMs - PERIODS_KEPT * budget.plan.perMs,
  };
}

/** What is free is no longer in hand from now on, whatever becomes of the command. */
export function takeOut(purse: Purse): BudgetReturn {
  const nanoUsd = freed(purse.usd);
  const tokens = freed(purse.tokens);
  return { ...nameOf(purse), nanoUsd, tokens, ended: purse.budget.forgotten && purse.out === 0 };
}

function freed(account: Account): number {
  const free = freeOf(account);
  const beyond = Math.min(free, account.beyond);
  account.beyond -= beyond;
  account.granted -= free - beyond;
  return free;
}

/** What was granted and booked, and how much is taken by everybody since. */
export function granted(account: Account, amount: number, over: number, taken: number): void {
  if (account.limit === Infinity) return;
  account.granted += amount;
  account.beyond += over;
  heard(account, taken);
}
