/**
 * Learned pace: the half of the regulator that nobody has declared. What is admitted is paced by the learned rate,
 * without any burst, since nobody knows the provider's; what calls tell when they come home is learned from; and
 * what is owed stays the same in units when the rate changes, so it takes another time.
 *
 * One call delays the next by a minute at most, however large it is.
 */
import { rateSpecOf } from './adaptation.ts';
import { learned, LONGEST_HOLD_MS } from './adaptive-rate.ts';
import { isExact } from './congestion.ts';
import { NOTHING_OWED } from './gcra.ts';
import { DEFAULT_SAFETY_MARGIN } from './limits.ts';
import type { CallReport, Cost, LimiterLimits } from './limits.ts';
import { rateControlOf } from './rate-control.ts';
import type { Outcome, RateControl } from './rate-control.ts';

export interface LearnedPace {
  /** What is learned; undefined: nothing, or no call has come yet that would say in which unit. */
  readonly rate: RateControl | undefined;
  readonly learnedTatMs: number;
  /** The provider's bucket, as a TAT at the learned ceiling: it holds what flowed in since. Known from the latest refusal on; it may have run over. */
  readonly providerTatMs: number;
  /** Charged to the learned rate since the start, less what was given back and what was refused. */
  readonly learnedUnits: number;
}

export const NOTHING_LEARNED: LearnedPace = {
  rate: undefined,
  learnedTatMs: NOTHING_OWED,
  providerTatMs: NOTHING_OWED,
  learnedUnits: 0,
};

/** A single call delays the next by no more at the learned rate. */
const LONGEST_PACE_MS = 60_000;

/** A call waits no longer for the provider's bucket to fill: it may hold less than the call costs. */
const LONGEST_FILL_MS = 10_000;

/** Calls on their way may come so much closer together. A bucket that holds no more than a call refuses the later one. */
const JITTER_MS = 2;

/** Where learning begins, with the first call; undefined: nothing is to be learned. */
export function beginning(limits: LimiterLimits, { input, output }: Cost, timeMs: number): RateControl | undefined {
  const spec = rateSpecOf(limits);
  if (spec === undefined) return undefined;
  const unit = spec.unit ?? (input + output > 0 ? 'tokens' : 'requests');
  const declared = unit === 'requests' ? limits.requestsPerMinute : limits.tokensPerMinute;
  const margin = limits.safetyMargin ?? DEFAULT_SAFETY_MARGIN;
  const most = Math.min(spec.mostPerMinute ?? Infinity, declared ?? Infinity);
  const control = rateControlOf(most === Infinity ? spec : { ...spec, mostPerMinute: most }, unit, margin);
  return { ...control, atMs: timeMs };
}

/** The earliest that a rate allows one more, after others that take so many units before. */
export function pacedMs(
  rate: RateControl,
  { learnedTatMs, providerTatMs }: LearnedPace,
  cost: Cost,
  before: number,
  timeMs: number,
): number {
  const ownMs = before === 0 ? learnedTatMs : Math.max(learnedTatMs, timeMs) + before / rate.perMs;
  // A probe is to find out whether there is more than the ceiling.
  if (rate.starting || rate.probingFromMs !== undefined) return ownMs;
  // After a refusal the provider's bucket is empty: a large call waits until there is enough for it.
  return Math.max(ownMs, providerTatMs + Math.min(LONGEST_FILL_MS, (before + unitsOf(rate, cost)) / rate.ceiling) + JITTER_MS);
}

/** One more is admitted. */
export function chargedPace(rate: RateControl, pace: LearnedPace, cost: Cost, timeMs: number): LearnedPace {
  // A learned rate may be far too low at first: a large call must not stop the next ones for an hour.
  const fromMs = Math.max(pace.learnedTatMs, timeMs);
  const paceMs = Math.max(0, Math.min(unitsOf(rate, cost) / rate.perMs, timeMs + LONGEST_PACE_MS - fromMs));
  return {
    rate,
    learnedTatMs: fromMs + paceMs + (rate.tight ? JITTER_MS : 0),
    providerTatMs: Math.min(timeMs + LONGEST_PACE_MS, pace.providerTatMs + unitsOf(rate, cost) / rate.ceiling),
    learnedUnits: pace.learnedUnits + paceMs * rate.perMs,
  };
}

/** A call has used so many tokens more than was charged for it, or fewer. */
export function correctedPace(pace: LearnedPace, more: number, report: CallReport, timeMs: number): LearnedPace {
  const { rate } = pace;
  // A refused call is not given back to the learned rate: its turn was there, and the provider had nothing for it.
  // And a bucket that holds no more than a call loses what it is given back when it is full: so does the learned rate.
  if (rate === undefined || rate.plan.unit !== 'tokens' || isRefusal(report) || (rate.tight && more < 0)) return pace;
  const learnedTatMs = movedTat(pace.learnedTatMs, more / rate.perMs, timeMs);
  return {
    rate,
    learnedTatMs,
    providerTatMs: Math.min(timeMs + LONGEST_PACE_MS, pace.providerTatMs + more / rate.ceiling),
    learnedUnits: pace.learnedUnits + (debtMs(learnedTatMs, timeMs) - debtMs(pace.learnedTatMs, timeMs)) * rate.perMs,
  };
}

/** How a call ended, as the rate is to see it. */
export interface Lesson {
  readonly end: Outcome['end'];
  readonly demanded: boolean;
  readonly grantedMs: number;
}

/** The rate has learned from a call that is over. Nothing is to be admitted before the rate's `holdUntilMs`. */
export function taughtPace(
  rate: RateControl,
  pace: LearnedPace,
  cost: Cost,
  report: CallReport,
  { end, demanded, grantedMs }: Lesson,
  timeMs: number,
): LearnedPace & { readonly rate: RateControl } {
  const refusal = isRefusal(report);
  const units = unitsOf(rate, cost);
  const debt = debtMs(pace.learnedTatMs, timeMs);
  // A bucket of a single call has lost nothing by a refusal. An exact Retry-After says when it is full:
  // the next call need not wait also for the turn of the one that was not taken.
  const retryAfterMs =
    report.retryAfterMs !== undefined && report.retryAfterMs > 0 ? Math.min(LONGEST_HOLD_MS, report.retryAfterMs) : undefined;
  const returned = refusal && isExact(retryAfterMs) && rate.tight ? Math.min(units, debt * rate.perMs) : 0;
  const after = learned(rate, {
    returned,
    end,
    cost: units,
    units: pace.learnedUnits,
    worked: pace.learnedUnits - debt * rate.perMs,
    demanded,
    grantedMs,
    retryAfterMs,
    timeMs,
  });
  // What is owed stays the same in units, so it takes another time; but no longer than the longest.
  const owedUnits = debt * rate.perMs - returned;
  const debtAfterMs = Math.min(LONGEST_PACE_MS, owedUnits / after.perMs);
  const forgiven = owedUnits - debtAfterMs * after.perMs;
  return {
    rate: after,
    providerTatMs: report.end === 'rate-limited' ? emptiedMs(units / after.ceiling, retryAfterMs, timeMs) : pace.providerTatMs,
    learnedTatMs: debt === 0 ? pace.learnedTatMs : timeMs + debtAfterMs,
    learnedUnits: pace.learnedUnits - forgiven - (refusal ? units : 0),
  };
}

/** The provider would not have the call, for quota or for load. */
export function isRefusal({ end }: CallReport): boolean {
  return end === 'rate-limited' || end === 'overloaded';
}

/** When the provider's bucket was empty, by a refusal of a call that takes so long: what an exact Retry-After says, else between nothing and not quite enough. */
function emptiedMs(callMs: number, retryAfterMs: number | undefined, timeMs: number): number {
  return isExact(retryAfterMs) ? timeMs + retryAfterMs - callMs : timeMs - callMs / 2;
}

/** What a call costs at the learned rate. A call without an estimate counts for a little, or it would be free. */
function unitsOf({ plan }: RateControl, { input, output }: Cost): number {
  return plan.unit === 'requests' ? 1 : Math.max(1, input + output);
}

function movedTat(tatMs: number, byMs: number, timeMs: number): number {
  if (byMs <= 0) return Math.max(timeMs, tatMs + byMs);
  return Math.max(tatMs, Math.min(Math.max(tatMs, timeMs) + byMs, timeMs + LONGEST_PACE_MS));
}

function debtMs(tatMs: number, timeMs: number): number {
  return Math.max(0, tatMs - timeMs);
}
