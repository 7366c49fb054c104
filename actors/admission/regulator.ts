/**
 * Regulator: how much of a dependency may be used now. A rate for each dimension, room in flight,
 * and holds; declared, learned, or both. The limiter asks it before it admits, and tells it of every
 * call that comes home.
 *
 *     requests ─┐
 *     tokens   ─┤
 *     input    ─┼─▶ earliest of all: the call goes when every one of them allows it
 *     output   ─┤
 *     learned  ─┤   (a rate in tokens that follows what the provider really gives)
 *     hold     ─┤   (Retry-After, a quota that the headers say is used up)
 *     slice    ─┘   (a node's part of all this, for a while)
 *
 * Declared limits are ceilings over what is learned. The learned rate is paced without any burst, since
 * nobody knows the provider's: what is charged in advance is an upper bound, given back in part when the
 * call is over, as providers do it too. One call delays the next by a minute at most, however large it is.
 *
 * Times are the limiter's own, which never go back.
 */
import { flightOf, rateSpecOf, roomIn, sameFlight, sameRate } from './adaptation.ts';
import { adapted } from './adaptive-concurrency.ts';
import type { ConcurrencyControl } from './adaptive-concurrency.ts';
import { learned, LONGEST_HOLD_MS, rateControlOf } from './adaptive-rate.ts';
import type { RateControl } from './adaptive-rate.ts';
import { isExact } from './congestion.ts';
import { allowedAtMs, charge, NOTHING_OWED, owed, refund, repace } from './gcra.ts';
import type { Pace } from './gcra.ts';
import { UNKNOWN_HEALTH, unusual, withCall } from './health-signal.ts';
import type { HealthSignal, Unusual } from './health-signal.ts';
import { DEFAULT_SAFETY_MARGIN, planOf } from './limits.ts';
import type { Ahead, CallReport, Cost, LimiterLimits, RegulatorPlan } from './limits.ts';
import { quotaWaitMs } from './quota.ts';

export { planOf };
export type { AdaptSpec, Ahead, CallReport, Cost, LimiterLimits, Quota, RegulatorPlan, Remaining } from './limits.ts';

export interface Regulator {
  readonly plan: RegulatorPlan;
  /** Room in flight. */
  readonly concurrency: number;
  readonly requestsTatMs: number;
  readonly tokensTatMs: number;
  readonly inputTatMs: number;
  readonly outputTatMs: number;
  readonly heldUntilMs: number;
  /** What is learned; undefined: nothing, or no call has come yet that would say in which unit. */
  readonly rate: RateControl | undefined;
  readonly learnedTatMs: number;
  /** The provider's bucket, as a TAT at the learned ceiling: it holds what flowed in since. Known from the latest refusal on; it may have run over. */
  readonly providerTatMs: number;
  /** Charged to the learned rate since the start, less what was given back and what was refused. */
  readonly learnedUnits: number;
  readonly flight: ConcurrencyControl | undefined;
  readonly health: HealthSignal;
  readonly slice: Slice | undefined;
}

/** A node's part of a dependency. */
export interface Slice {
  /** Of every rate and of concurrency, above 0 to 1. */
  readonly share: number;
  /** Not renewed by then, and `SLICE_GRACE_MS` later nothing is admitted. */
  readonly untilMs: number;
}

/** How long a slice is still used when its renewal is late. Whoever grants it again to another waits longer. */
export const SLICE_GRACE_MS = 1_000;

/** A single call delays the next by no more at the learned rate. */
const LONGEST_PACE_MS = 60_000;

/** A call waits no longer for the provider's bucket to fill: it may hold less than the call costs. */
const LONGEST_FILL_MS = 10_000;

/** Calls on their way may come so much closer together. A bucket that holds no more than a call refuses the later one. */
const JITTER_MS = 2;

const NOBODY: Ahead = { requests: 0, input: 0, output: 0 };

/** Nothing owed, nothing held, nothing learned. */
export function regulatorOf(limits: LimiterLimits): Regulator {
  const flight = flightOf(limits);
  return {
    plan: planOf(limits),
    concurrency: roomIn(limits, flight, undefined),
    requestsTatMs: NOTHING_OWED,
    tokensTatMs: NOTHING_OWED,
    inputTatMs: NOTHING_OWED,
    outputTatMs: NOTHING_OWED,
    heldUntilMs: -Infinity,
    rate: undefined,
    learnedTatMs: NOTHING_OWED,
    providerTatMs: NOTHING_OWED,
    learnedUnits: 0,
    flight,
    health: UNKNOWN_HEALTH,
    slice: undefined,
  };
}

/** Other limits from now on. Debts and holds stay, and what is learned when it is learned in the same way. */
export function reconfigured(regulator: Regulator, limits: LimiterLimits, timeMs: number): Regulator {
  const flight = sameFlight(regulator.plan.limits, limits) ? regulator.flight : flightOf(limits);
  const keepsRate = sameRate(regulator.plan.limits, limits);
  return replanned(
    {
      ...regulator,
      flight,
      rate: keepsRate ? regulator.rate : undefined,
      learnedTatMs: keepsRate ? regulator.learnedTatMs : NOTHING_OWED,
      providerTatMs: keepsRate ? regulator.providerTatMs : NOTHING_OWED,
      learnedUnits: keepsRate ? regulator.learnedUnits : 0,
    },
    planOf(limits, regulator.slice?.share),
    timeMs,
  );
}

/**
 * This node may use `share` of every declared rate and of concurrency, until `untilMs`; then nothing, from
 * `SLICE_GRACE_MS` later on, until it gets a slice again. Room in flight is rounded down, so that the parts
 * never exceed the whole: a share below one call admits none. A learned rate is the node's own.
 *
 * @param share above 0 to 1
 */
export function sliced(regulator: Regulator, share: number, untilMs: number, timeMs: number): Regulator {
  const slice: Slice = { share: Math.min(1, Math.max(Number.MIN_VALUE, share)), untilMs };
  if (regulator.slice?.share === slice.share) return { ...regulator, slice };
  return replanned({ ...regulator, slice }, planOf(regulator.plan.limits, slice.share), timeMs);
}

function replanned(regulator: Regulator, plan: RegulatorPlan, timeMs: number): Regulator {
  const tat = (from: Pace | undefined, to: Pace | undefined, tatMs: number): number =>
    from && to ? repace(from, to, tatMs, timeMs) : NOTHING_OWED;
  return {
    ...regulator,
    plan,
    concurrency: roomIn(plan.limits, regulator.flight, regulator.slice?.share),
    requestsTatMs: tat(regulator.plan.requests, plan.requests, regulator.requestsTatMs),
    tokensTatMs: tat(regulator.plan.tokens, plan.tokens, regulator.tokensTatMs),
    inputTatMs: tat(regulator.plan.input, plan.input, regulator.inputTatMs),
    outputTatMs: tat(regulator.plan.output, plan.output, regulator.outputTatMs),
  };
}

/** Nothing is admitted before. An earlier time than before has no effect. */
export function held(regulator: Regulator, untilMs: number): Regulator {
  return untilMs > regulator.heldUntilMs ? { ...regulator, heldUntilMs: untilMs } : regulator;
}

/** Whether waits are counted in tokens rather than in requests. */
export function countsTokens({ plan, rate }: Regulator): boolean {
  return rate?.plan.unit === 'tokens' || plan.tokens !== undefined || plan.input !== undefined || plan.output !== undefined;
}

/** The largest request, in tokens, when this one could never go; undefined when it could. */
export function largestIfTooLarge({ plan }: Regulator, cost: Cost): number | undefined {
  if (cost.input + cost.output > plan.largestTokens) return plan.largestTokens;
  if (cost.input > plan.largestInput) return plan.largestInput;
  if (cost.output > plan.largestOutput) return plan.largestOutput;
  // Room that is learned, or a slice of it, may come back.
  return cost.slots > (plan.limits.concurrency ?? Infinity) ? 0 : undefined;
}

/** The earliest that rates and hold allow one more, after others. Room in flight is asked apart. */
export function earliestMs(regulator: Regulator, cost: Cost, timeMs: number, ahead: Ahead = NOBODY): number {
  const { plan, rate, slice } = regulator;
  let earliest = Math.max(timeMs, regulator.heldUntilMs);
  if (rate !== undefined) {
    const before = rate.plan.unit === 'requests' ? ahead.requests : ahead.input + ahead.output;
    earliest = Math.max(earliest, before === 0 ? regulator.learnedTatMs : Math.max(regulator.learnedTatMs, timeMs) + before / rate.perMs);
    // After a refusal the provider's bucket is empty: a large call waits until there is enough for it. A probe
    // is to find out whether there is more than the ceiling.
    if (!rate.starting && rate.probingFromMs === undefined)
      earliest = Math.max(
        earliest,
        regulator.providerTatMs + Math.min(LONGEST_FILL_MS, (before + unitsOf(rate, cost)) / rate.ceiling) + JITTER_MS,
      );
  }
  if (plan.requests !== undefined)
    earliest = Math.max(earliest, allowedAtMs(plan.requests, charge(plan.requests, regulator.requestsTatMs, ahead.requests, timeMs), 1));
  if (plan.tokens !== undefined)
    earliest = Math.max(
      earliest,
      allowedAtMs(plan.tokens, charge(plan.tokens, regulator.tokensTatMs, ahead.input + ahead.output, timeMs), cost.input + cost.output),
    );
  if (plan.input !== undefined)
    earliest = Math.max(earliest, allowedAtMs(plan.input, charge(plan.input, regulator.inputTatMs, ahead.input, timeMs), cost.input));
  if (plan.output !== undefined)
    earliest = Math.max(earliest, allowedAtMs(plan.output, charge(plan.output, regulator.outputTatMs, ahead.output, timeMs), cost.output));
  return slice !== undefined && earliest > slice.untilMs + SLICE_GRACE_MS ? Infinity : earliest;
}

/** One more is admitted: paid for in every dimension. */
export function charged(before: Regulator, cost: Cost, timeMs: number): Regulator {
  const { plan } = before;
  const rate = before.rate ?? beginning(plan.limits, cost, timeMs);
  // A learned rate may be far too low at first: a large call must not stop the next ones for an hour.
  const fromMs = rate === undefined ? 0 : Math.max(before.learnedTatMs, timeMs);
  const paceMs = rate === undefined ? 0 : Math.max(0, Math.min(unitsOf(rate, cost) / rate.perMs, timeMs + LONGEST_PACE_MS - fromMs));
  return {
    ...before,
    requestsTatMs: plan.requests === undefined ? NOTHING_OWED : charge(plan.requests, before.requestsTatMs, 1, timeMs),
    tokensTatMs: plan.tokens === undefined ? NOTHING_OWED : charge(plan.tokens, before.tokensTatMs, cost.input + cost.output, timeMs),
    inputTatMs: plan.input === undefined ? NOTHING_OWED : charge(plan.input, before.inputTatMs, cost.input, timeMs),
    outputTatMs: plan.output === undefined ? NOTHING_OWED : charge(plan.output, before.outputTatMs, cost.output, timeMs),
    rate,
    learnedTatMs: rate === undefined ? NOTHING_OWED : fromMs + paceMs + (rate.tight ? JITTER_MS : 0),
    providerTatMs:
      rate === undefined ? NOTHING_OWED : Math.min(timeMs + LONGEST_PACE_MS, before.providerTatMs + unitsOf(rate, cost) / rate.ceiling),
    learnedUnits: rate === undefined ? 0 : before.learnedUnits + paceMs * rate.perMs,
  };
}

/**
 * A call has come home: estimates become real usage, and what it tells is learned.
 *
 * @param chargedBy the plan under which it was charged: a dimension that was not there then is not corrected
 * @param demanded whether the room or the rate was used up when it came: growth without demand means nothing
 * @param grantedMs when its permit was granted. Default: as the report says, else its latency ago
 * @param inFlight calls in flight when it came, itself among them. Default: as the report says, else enough for a learned concurrency to grow
 */
export function settled(
  before: Regulator,
  chargedBy: RegulatorPlan,
  cost: Cost,
  report: CallReport,
  demanded: boolean,
  timeMs: number,
  grantedMs: number = report.grantedMs ?? timeMs - Math.max(0, report.latencyMs || 0),
  inFlight: number | undefined = report.inFlight,
): Regulator {
  const regulator = corrected(before, chargedBy, cost, report, timeMs);
  if (regulator.rate === undefined && regulator.flight === undefined) return withQuota(regulator, cost, report, timeMs);
  return withQuota(taught(regulator, cost, report, { demanded, grantedMs, inFlight }, timeMs), cost, report, timeMs);
}

function corrected(regulator: Regulator, chargedBy: RegulatorPlan, cost: Cost, report: CallReport, timeMs: number): Regulator {
  const { plan, rate } = regulator;
  const input = correction(report.usedInput, cost.input);
  const output = correction(report.usedOutput, cost.output);
  if (input === 0 && output === 0) return regulator;
  // A refused call is not given back to the learned rate: its turn was there, and the provider had nothing for it.
  // And a bucket that holds no more than a call loses what it is given back when it is full: so does the learned rate.
  const learns = rate !== undefined && rate.plan.unit === 'tokens' && !isRefusal(report) && !(rate.tight && input + output < 0);
  const learnedTatMs = learns ? movedTat(regulator.learnedTatMs, (input + output) / rate.perMs, timeMs) : regulator.learnedTatMs;
  return {
    ...regulator,
    tokensTatMs: afterwards(plan.tokens, chargedBy.tokens, regulator.tokensTatMs, input + output, timeMs),
    inputTatMs: afterwards(plan.input, chargedBy.input, regulator.inputTatMs, input, timeMs),
    outputTatMs: afterwards(plan.output, chargedBy.output, regulator.outputTatMs, output, timeMs),
    learnedTatMs,
    providerTatMs: learns
      ? Math.min(timeMs + LONGEST_PACE_MS, regulator.providerTatMs + (input + output) / rate.ceiling)
      : regulator.providerTatMs,
    learnedUnits:
      regulator.learnedUnits + (learns ? debtMs(learnedTatMs, timeMs) - debtMs(regulator.learnedTatMs, timeMs) : 0) * (rate?.perMs ?? 0),
  };
}

/** What nonsense says about usage is nothing. */
function correction(used: number | null, estimate: number): number {
  return used !== null && used >= 0 && used < Infinity ? used - estimate : 0;
}

function afterwards(pace: Pace | undefined, before: Pace | undefined, tatMs: number, more: number, timeMs: number): number {
  if (pace === undefined || before === undefined || more === 0) return tatMs;
  return more > 0 ? charge(pace, tatMs, more, timeMs) : refund(pace, tatMs, -more, timeMs);
}

function movedTat(tatMs: number, byMs: number, timeMs: number): number {
  if (byMs <= 0) return Math.max(timeMs, tatMs + byMs);
  return Math.max(tatMs, Math.min(Math.max(tatMs, timeMs) + byMs, timeMs + LONGEST_PACE_MS));
}

function debtMs(tatMs: number, timeMs: number): number {
  return Math.max(0, tatMs - timeMs);
}

interface Circumstances {
  readonly demanded: boolean;
  readonly grantedMs: number;
  readonly inFlight: number | undefined;
}

/** Rate and concurrency learn from how a call ended. */
function taught(
  regulator: Regulator,
  cost: Cost,
  report: CallReport,
  { demanded, grantedMs, inFlight }: Circumstances,
  timeMs: number,
): Regulator {
  const { flight, rate, plan } = regulator;
  const { end } = report;
  if (end === 'unused') return regulator;
  const refusal = isRefusal(report);
  // A refusal for quota is quick, and no failure: it says where the limit is, not how the provider is.
  const health = end === 'rate-limited' ? regulator.health : withCall(regulator.health, end !== 'ok', report.latencyMs);
  let next: Regulator = { ...regulator, health };
  if (flight !== undefined) {
    const dropped = refusal || end === 'failed';
    const sample = { dropped, latencyMs: report.latencyMs, inFlight: inFlight ?? flight.limit, grantedMs, timeMs };
    const adaptedFlight = adapted(flight, sample);
    if (adaptedFlight !== flight)
      next = { ...next, flight: adaptedFlight, concurrency: roomIn(plan.limits, adaptedFlight, regulator.slice?.share) };
  }
  if (rate === undefined) return next;
  const units = unitsOf(rate, cost);
  const debt = debtMs(next.learnedTatMs, timeMs);
  // A bucket of a single call has lost nothing by a refusal. An exact Retry-After says when it is full:
  // the next call need not wait also for the turn of the one that was not taken.
  const retryAfterMs =
    report.retryAfterMs !== undefined && report.retryAfterMs > 0 ? Math.min(LONGEST_HOLD_MS, report.retryAfterMs) : undefined;
  const returned = refusal && isExact(retryAfterMs) && rate.tight ? Math.min(units, debt * rate.perMs) : 0;
  const after = learned(rate, {
    returned,
    end: end === 'rate-limited' ? 'refused' : end === 'overloaded' ? end : told(unusual(regulator.health), unusual(health), end),
    cost: units,
    units: next.learnedUnits,
    worked: next.learnedUnits - debt * rate.perMs,
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
    ...next,
    rate: after,
    providerTatMs: end === 'rate-limited' ? emptiedMs(units / after.ceiling, retryAfterMs, timeMs) : next.providerTatMs,
    learnedTatMs: debt === 0 ? next.learnedTatMs : timeMs + debtAfterMs,
    learnedUnits: next.learnedUnits - forgiven - (refusal ? units : 0),
    heldUntilMs: Math.max(next.heldUntilMs, after.holdUntilMs),
  };
}

/** When the provider's bucket was empty, by a refusal of a call that takes so long: what an exact Retry-After says, else between nothing and not quite enough. */
function emptiedMs(callMs: number, retryAfterMs: number | undefined, timeMs: number): number {
  return isExact(retryAfterMs) ? timeMs + retryAfterMs - callMs : timeMs - callMs / 2;
}

/** What is unusual cuts once, when it begins. As long as calls fail unusually often nothing grows; that they are slow may become the usual. */
function told(before: Unusual, now: Unusual, end: CallReport['end']): 'ok' | 'silent' | 'slow' | 'failing' {
  if (now !== undefined && before === undefined) return now;
  if (now === 'failing') return 'silent';
  return end === 'ok' ? 'ok' : 'silent';
}

function isRefusal({ end }: CallReport): boolean {
  return end === 'rate-limited' || end === 'overloaded';
}

/** When headers say that not enough is left for another call like this one, nothing goes until it is said to be there. */
function withQuota(regulator: Regulator, cost: Cost, report: CallReport, timeMs: number): Regulator {
  if (report.quota === undefined || report.end === 'unused') return regulator;
  const waitMs = quotaWaitMs(report.quota, cost, report.latencyMs);
  return waitMs > 0 ? held(regulator, timeMs + waitMs) : regulator;
}

function beginning(limits: LimiterLimits, { input, output }: Cost, timeMs: number): RateControl | undefined {
  const spec = rateSpecOf(limits);
  if (spec === undefined) return undefined;
  const unit = spec.unit ?? (input + output > 0 ? 'tokens' : 'requests');
  const declared = unit === 'requests' ? limits.requestsPerMinute : limits.tokensPerMinute;
  const margin = limits.safetyMargin ?? DEFAULT_SAFETY_MARGIN;
  const most = Math.min(spec.mostPerMinute ?? Infinity, declared ?? Infinity);
  const control = rateControlOf(most === Infinity ? spec : { ...spec, mostPerMinute: most }, unit, margin);
  return { ...control, atMs: timeMs };
}

/** What a call costs at the learned rate. A call without an estimate counts for a little, or it would be free. */
function unitsOf({ plan }: RateControl, { input, output }: Cost): number {
  return plan.unit === 'requests' ? 1 : Math.max(1, input + output);
}

/** Units admitted and not yet paid off. */
export function owedBy(regulator: Regulator, timeMs: number): { readonly requests: number; readonly tokens: number } {
  const { plan } = regulator;
  return {
    requests: plan.requests === undefined ? 0 : owed(plan.requests, regulator.requestsTatMs, timeMs),
    tokens: plan.tokens === undefined ? 0 : owed(plan.tokens, regulator.tokensTatMs, timeMs),
  };
}
