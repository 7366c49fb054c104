/**
 * Soft: the client throttles itself. A call is refused with probability
 *
 *     p = max(0, (requests - k * accepts) / (requests + 1))
 *
 * so that about k calls go out for each that the dependency accepts, and some go out however bad it
 * is: the first of them that is accepted again lowers p. There is no open, no half-open, no probe.
 *
 * Requests are counted when they are issued, not when they end, so that calls that hang weigh at
 * once. Who refuses a call for good says so (`refused`), and it counts as a request, as it does in
 * the book; who only lets it wait and asks again does not.
 * @see Beyer et al., "Site Reliability Engineering", chapter 21, "Handling overload"
 */
import type { BreakerPlan } from './plan.ts';
import { counted } from './window.ts';
import type { Window } from './window.ts';

/** The probability that a call is refused, from 0 to below 1. */
export function refusalShare({ k }: NonNullable<BreakerPlan['soft']>, { calls, marked }: Window): number {
  return Math.max(0, (calls - k * marked) / (calls + 1));
}

export function requested(window: Window): Window {
  return counted(window, 1, 0);
}

/** The dependency answered, and not with a failure. */
export function accepted(window: Window): Window {
  return counted(window, 0, 1);
}

/** A request was never made after all: taken back, unless the slice in which it was counted is over. */
export function takenBack(window: Window): Window {
  return window.newCalls === 0 ? window : counted(window, -1, 0);
}
