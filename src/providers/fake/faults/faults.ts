/** What may go wrong with a call, drawn from a seed: the same seed and order of arrival, the same faults. */
import type { Random } from '../../../../actors/kernel/random.ts';

/** In the order in which a draw is laid out over them. New ones come last, so that old seeds stay what they were. */
export const FAULT_NAMES = [
  'rate429',
  'rate500',
  'rate529',
  'garbage',
  'reset',
  'resetMidStream',
  'hang',
  'truncatedJson',
  'retryAfterYear',
  'retryAfterPast',
  'retryAfterNegative',
  'retryAfterText',
  'limitHeadersText',
  'limitHeadersNegative',
  'slow',
  'stall',
  'quietEnd',
  'missingDone',
  'missingUsage',
  'errorMidStream',
  'html',
  'emptyChoices',
  'emptyText',
  'refusal',
  'repeated',
] as const;

/**
 * Refused, not an accepted call:
 *
 * - `rate429`: refused like a call over the limit, though it was not
 * - `retryAfterYear`, `retryAfterPast`, `retryAfterNegative`, `retryAfterText`: the same, and
 *   `retry-after` is a year in seconds, a date long ago, `-5`, or `soon`
 *
 * Accepted, no tokens used:
 *
 * - `rate500`, `rate529`: an error body after `baseMs`
 * - `html`: 200 and a web page, as from a gateway on the way
 *
 * Accepted, and nothing comes, though the prompt is charged:
 *
 * - `reset`: the connection is reset after `baseMs`, before the first byte of an answer
 * - `hang`: no answer, until the client or the provider closes the connection
 *
 * Accepted, and the answer breaks on the way:
 *
 * - `resetMidStream`: the connection is reset after half of the answer, streamed or not
 * - `stall`: half of the answer, and then nothing more, until the client or the provider closes the connection
 * - `truncatedJson`: 200 and a whole HTTP message, but its JSON (streamed: one chunk) stops half-way
 * - `quietEnd`: the stream ends in order after half of its text; plain: like `truncatedJson`
 * - `missingDone`: the stream ends in order after its text, without usage and mark of the end; plain: no effect
 * - `errorMidStream`: after half of its text the stream brings an error (overloaded); plain: like `rate529`,
 *   but all of its tokens are used
 *
 * Accepted, and the answer is whole, but odd:
 *
 * - `slow`: `latency.slowTokenMs` more for each token
 * - `missingUsage`: it does not tell its usage
 * - `limitHeadersText`, `limitHeadersNegative`: all its rate-limit headers are `abc`, or `-1`
 * - `garbage`: well formed, the content is nonsense
 * - `emptyChoices`: no choice at all, at Anthropic no block of content
 * - `emptyText`: an answer of no tokens
 * - `refusal`: a polite text that refuses
 * - `repeated`: the same words again and again, up to the maximum of tokens or 256
 */
export type FaultName = (typeof FAULT_NAMES)[number];

/** A fault that refuses a call which the limits might have let in. */
export type RefusalFault = 'rate429' | 'retryAfterYear' | 'retryAfterPast' | 'retryAfterNegative' | 'retryAfterText';

/** A fault that strikes a call once it is accepted. */
export type CallFault = Exclude<FaultName, RefusalFault>;

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

/** Whether this fault refuses. */
export function isRefusal(fault: FaultName | null): fault is RefusalFault {
  return fault === 'rate429' || (fault?.startsWith('retryAfter') ?? false);
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
