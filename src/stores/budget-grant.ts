/** What a store grants of a budget: the same rule for every adapter that has the row in hand. */
import type { BudgetGrant, BudgetReturn, BudgetTake, BudgetTaken } from '../../actors/ports/store.ts';

/** A period that nobody has taken anything of. */
export const NOTHING_TAKEN: BudgetTaken = { takenNanoUsd: 0, takenTokens: 0 };

/** Of both dimensions, or of none: half a slice is of no use. */
export function grantOf({ takenNanoUsd, takenTokens }: BudgetTaken, take: BudgetTake): BudgetGrant {
  const nanoUsdBefore = capped(takenNanoUsd + take.overNanoUsd);
  const tokensBefore = capped(takenTokens + take.overTokens);
  const nanoUsd = available(take.wantNanoUsd, take.limitNanoUsd, nanoUsdBefore);
  const tokens = available(take.wantTokens, take.limitTokens, tokensBefore);
  const granted = nanoUsd >= needed(take.leastNanoUsd, take.limitNanoUsd) && tokens >= needed(take.leastTokens, take.limitTokens);
  return granted
    ? { nanoUsd, tokens, takenNanoUsd: nanoUsdBefore + nanoUsd, takenTokens: tokensBefore + tokens }
    : { nanoUsd: 0, tokens: 0, takenNanoUsd: nanoUsdBefore, takenTokens: tokensBefore };
}

/** What is taken after something was given back. */
export function returned({ takenNanoUsd, takenTokens }: BudgetTaken, { nanoUsd, tokens }: BudgetReturn): BudgetTaken {
  return { takenNanoUsd: Math.max(0, takenNanoUsd - nanoUsd), takenTokens: Math.max(0, takenTokens - tokens) };
}

function available(want: number, limit: number | null, taken: number): number {
  return limit === null ? 0 : Math.max(0, Math.min(want, limit - taken));
}

function needed(least: number, limit: number | null): number {
  return limit === null ? 0 : least;
}

/** Stays a number that every adapter can keep. */
function capped(taken: number): number {
  return Math.min(taken, Number.MAX_SAFE_INTEGER);
}
