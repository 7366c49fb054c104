/** What may go wrong with a call, drawn from a seed: the same seed and order of arrival, the same faults. */
import type { Random } from '../../../actors/kernel/random.ts';

/** In the order in which a draw is laid out over them. */
export const FAULT_NAMES = ['rate429', 'rate500', 'rate529', 'garbage', 'reset', 'resetMidStream', 'hang', 'truncatedJson'] as const;

/**
 * - `rate429`: refused like a call over the limit, though it was not; not an accepted call
 * - `rate500`, `rate529`: accepted, then an error body after `baseMs`; uses no tokens
 * - `garbage`: 200, well formed, the content is nonsense
 * - `reset`: the connection is reset after `baseMs`, before the first byte of an answer
 * - `resetMidStream`: the connection is reset after half of the answer, streamed or not
 * - `hang`: no answer, until the client or the provider closes the connection
 * - `truncatedJson`: 200 and a whole HTTP message, but its JSON (streamed: one chunk) stops half-way
 */
export type FaultName = (typeof FAULT_NAMES)[number];

/** A fault that strikes a call once it is accepted. */
export type CallFault = Exclude<FaultName, 'rate429'>;

/** Probability of each fault for one call, 0..1. A call has one fault at most, so the sum is at most 1. */
export type FaultRates = { readonly [Name in FaultName]?: number };

/** One draw per call, whatever the rates are: changing a rate does not shift the draws of later calls. */
export function drawFault(rates: FaultRates, random: Random): FaultName | null {
  let left = random.next();
  for (const name of FAULT_NAMES) {
    left -= rates[name] ?? 0;
    if (left < 0) return name;
  }
  return null;
}

/** @throws RangeError when a rate is not a probability, is unknown, or they add up to more than 1. */
export function checkFaults(rates: FaultRates): FaultRates {
  let sum = 0;
  for (const [name, rate] of Object.entries(rates)) {
    if (!(FAULT_NAMES as readonly string[]).includes(name)) throw new RangeError(`faults.${name}: no such fault`);
    if (!(rate >= 0 && rate <= 1)) throw new RangeError(`faults.${name}: expected 0..1, got ${rate}`);
    sum += rate;
  }
  // Ten times 0.1 is a little off 1 in floating point.
  if (sum > 1 + 1e-9) throw new RangeError(`faults: expected a sum of at most 1, got ${sum}`);
  return { ...rates };
}

/** Text that no sensible reader of answers accepts: neither JSON nor prose. */
export function garbageText(random: Random): string {
  const alphabet = '}{][#~^|\\<>;%$@&*x0Zq\u0007\ufffd';
  const length = 24 + random.int(72);
  return Array.from({ length }, () => alphabet.charAt(random.int(alphabet.length))).join('');
}
