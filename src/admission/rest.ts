/** Rest: how long a call that failed, or cannot go on for now, waits before it asks again. It holds nothing meanwhile. */

const BACKOFF_BASE_MS = 500;
const BACKOFF_CAP_MS = 60_000;
/** Who finds the retry budget empty comes again after 5 to 10 s. */
export const NO_RETRIES_MS = 5_000;
/** Who waits for a person, to close a breaker or to raise a budget, looks again after so long. */
export const BY_HAND_MS = 5_000;

/**
 * Full jitter, doubling with each try.
 *
 * @param attempt the try that failed, from 1
 * @param chance from 0 to below 1
 */
export function backoffMs(attempt: number, chance: number): number {
  return chance * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** (attempt - 1));
}
