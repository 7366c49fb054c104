/**
 * GCRA: a rate with a bounded burst, kept in one number, the theoretical arrival time (TAT): the
 * moment at which everything charged so far will have been paid for at exactly the rate.
 *
 *     admitted when   now >= TAT - max(0, burst - cost / rate)
 *     charged         TAT = max(TAT, now) + cost / rate
 *
 * Seen as a bucket that holds `burst` of the rate: what a request costs must be in it. A request
 * costlier than the bucket goes when the bucket is full, and leaves a debt that the next one waits off.
 *
 * Promise: from one admission to a later one, both counted, with `window` milliseconds between them,
 * what is charged less what is given back is at most
 *
 *     rate * window + the larger one of rate * burst and the cost of the last of them
 *
 * because before the last one the TAT was at least the first one's time plus all that was charged
 * since, and at most its own time plus what its cost left of the burst. So with requests no costlier
 * than the burst, any window holds at most rate * window and the burst. Usage above an estimate,
 * charged when a permit comes home, asks nobody: it is bound by the promise only as far as admissions
 * after it wait for it.
 *
 * Times are milliseconds of a clock that the caller keeps from going back.
 * @see ITU-T I.371, generic cell rate algorithm, virtual scheduling
 */
import { invariant } from '../kernel/errors.ts';

/** A rate and how long it may be saved up. */
export interface Pace {
  /** Units of cost that are paid off in a millisecond. */
  readonly perMs: number;
  /** How much of the rate may be saved up while nothing is admitted. */
  readonly burstMs: number;
}

/** The TAT of a pace that owes nothing. */
export const NOTHING_OWED = -Infinity;

/** `perMinute` is above 0, `burstMs` at least 0. */
export function paceOf(perMinute: number, burstMs: number): Pace {
  invariant(perMinute > 0 && burstMs >= 0, `a rate of ${perMinute} a minute with a burst of ${burstMs} ms paces nothing`);
  return { perMs: perMinute / 60_000, burstMs };
}

/** The earliest time of an admission. */
export function allowedAtMs(pace: Pace, tatMs: number, cost: number): number {
  return tatMs - Math.max(0, pace.burstMs - cost / pace.perMs);
}

/** The TAT after a charge: at an admission, or for usage above what was charged then. */
export function charge(pace: Pace, tatMs: number, cost: number, nowMs: number): number {
  return Math.max(tatMs, nowMs) + cost / pace.perMs;
}

/** The TAT after a part of an earlier charge is given back. What no longer fits under the burst is lost. */
export function refund(pace: Pace, tatMs: number, cost: number, nowMs: number): number {
  return Math.max(nowMs, tatMs - cost / pace.perMs);
}

/** The TAT under another rate. What is owed stays the same in units of cost, so it takes another time. */
export function repace(from: Pace, to: Pace, tatMs: number, nowMs: number): number {
  return tatMs <= nowMs ? tatMs : nowMs + ((tatMs - nowMs) * from.perMs) / to.perMs;
}

/** Units of cost still owed. */
export function owed(pace: Pace, tatMs: number, nowMs: number): number {
  return Math.max(0, tatMs - nowMs) * pace.perMs;
}
