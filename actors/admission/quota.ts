/**
 * Quota: reads what the provider's headers say is left.
 *
 * They may tell of the declared limit while another is enforced, of a time that is over, or nonsense.
 * So they only ever hold back, never longer than a minute, and what makes no sense says nothing.
 */
import type { Cost, Quota, Remaining } from './limits.ts';

/** A quota that is said to be used up is believed for so long. */
const LONGEST_HOLD_MS = 60_000;
/** An answer that took longer tells of a time that is over. */
const FRESH_MS = 10_000;

/** How long to wait until enough is left for another call like this one, as the quota flows in evenly; 0: there is, or nobody knows. */
export function quotaWaitMs(quota: Quota, cost: Cost, latencyMs: number): number {
  if (!(latencyMs <= FRESH_MS)) return 0;
  const waitMs = Math.max(
    waitFor(quota.requests, 1),
    waitFor(quota.tokens, cost.input + cost.output),
    waitFor(quota.input, cost.input),
    waitFor(quota.output, cost.output),
  );
  return Math.min(LONGEST_HOLD_MS, waitMs);
}

/** How long until `need` is left, as the quota flows in evenly; 0 when it says nothing that makes sense. */
function waitFor(remaining: Remaining | undefined, need: number): number {
  // Callers without types may say null.
  const { limit = NaN, left = NaN, resetMs = NaN } = remaining ?? {};
  if (!(limit > 0 && limit < Infinity && left >= 0 && left < limit && resetMs > 0)) return 0;
  const missing = Math.min(need, limit) - left;
  return missing <= 0 ? 0 : (missing * resetMs) / (limit - left);
}
