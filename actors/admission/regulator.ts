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
import { flightOf, roomIn, sameFlight, sameRate } from './adaptation.ts';
import { adapted } from './adaptive-concurrency.ts';
import type { ConcurrencyControl } from './adaptive-concurrency.ts';
import { allowedAtMs, charge, NOTHING_OWED, owed, refund, repace } from './gcra.ts';
import type { Pace } from './gcra.ts';
import { UNKNOWN_HEALTH, unusual, withCall } from './health-signal.ts';
import type { HealthSignal, Unusual } from './health-signal.ts';
import { beginning, chargedPace, correctedPace, isRefusal, NOTHING_LEARNED, pacedMs, taughtPace } from './learned-pace.ts';
import type { LearnedPace } from './learned-pace.ts';
import { planOf } from './limits.ts';
import type { Ahead, CallReport, Cost, LimiterLimits, RegulatorPlan } from './limits.ts';
import { quotaWaitMs } from './quota.ts';

export { planOf };
export type { AdaptSpec, Ahead, CallReport, Cost, LimiterLimits, Quota, RegulatorPlan, Remaining } from './limits.ts';

export interface Regulator extends LearnedPace {
  readonly plan: RegulatorPlan;
  /** Room in flight. */
  readonly concurrency: number;
  readonly requestsTatMs: number;
  readonly tokensTatMs: number;
  readonly inputTatMs: number;
  readonly outputTatMs: number;
  readonly heldUntilMs: number;
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
    ...NOTHING_LEARNED,
    flight,
    health: UNKNOWN_HEALTH,
    slice: undefined,
  };
}

/** Other limits from now on. Debts and holds stay, and what is learned when it is learned in the same way. */
export function reconfigured(regulator: Regulator, limits: LimiterLimits, timeMs: number): Regulator {
  const flight = sameFlight(regulator.plan.limits, limits) ? regulator.flight : flightOf(limits);
  return replanned(
    {
      ...regulator,
      ...(sameRate(regulator.plan.limits, limits) ? {} : NOTHING_LEARNED),
      flight,
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
    earliest = Math.max(earliest, pacedMs(rate, regulator, cost, before, timeMs));
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
  const pace = rate === undefined ? NOTHING_LEARNED : chargedPace(rate, before, cost, timeMs);
  return {
    ...before,
    requestsTatMs: plan.requests === undefined ? NOTHING_OWED : charge(plan.requests, before.requestsTatMs, 1, timeMs),
    tokensTatMs: plan.tokens === undefined ? NOTHING_OWED : charge(plan.tokens, before.tokensTatMs, cost.input + cost.output, timeMs),
    inputTatMs: plan.input === undefined ? NOTHING_OWED : charge(plan.input, before.inputTatMs, cost.input, timeMs),
    outputTatMs: plan.output === undefined ? NOTHING_OWED : charge(plan.output, before.outputTatMs, cost.output, timeMs),
    rate,
    learnedTatMs: pace.learnedTatMs,
    providerTatMs: pace.providerTatMs,
    learnedUnits: pace.learnedUnits,
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
  const { plan } = regulator;
  const input = correction(report.usedInput, cost.input);
  const output = correction(report.usedOutput, cost.output);
  if (input === 0 && output === 0) return regulator;
  const pace = correctedPace(regulator, input + output, report, timeMs);
  return {
    ...regulator,
    tokensTatMs: afterwards(plan.tokens, chargedBy.tokens, regulator.tokensTatMs, input + output, timeMs),
    inputTatMs: afterwards(plan.input, chargedBy.input, regulator.inputTatMs, input, timeMs),
    outputTatMs: afterwards(plan.output, chargedBy.output, regulator.outputTatMs, output, timeMs),
    learnedTatMs: pace.learnedTatMs,
    providerTatMs: pace.providerTatMs,
    learnedUnits: pace.learnedUnits,
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
  const seen = end === 'rate-limited' ? 'refused' : end === 'overloaded' ? end : told(unusual(regulator.health), unusual(health), end);
  const pace = taughtPace(rate, next, cost, report, { end: seen, demanded, grantedMs }, timeMs);
  return { ...next, ...pace, heldUntilMs: Math.max(next.heldUntilMs, pace.rate.holdUntilMs) };
}

/** What is unusual cuts once, when it begins. As long as calls fail unusually often nothing grows; that they are slow may become the usual. */
function told(before: Unusual, now: Unusual, end: CallReport['end']): 'ok' | 'silent' | 'slow' | 'failing' {
  if (now !== undefined && before === undefined) return now;
  if (now === 'failing') return 'silent';
  return end === 'ok' ? 'ok' : 'silent';
}

/** When headers say that not enough is left for another call like this one, nothing goes until it is said to be there. */
function withQuota(regulator: Regulator, cost: Cost, report: CallReport, timeMs: number): Regulator {
  if (report.quota === undefined || report.end === 'unused') return regulator;
  const waitMs = quotaWaitMs(report.quota, cost, report.latencyMs);
  return waitMs > 0 ? held(regulator, timeMs + waitMs) : regulator;
}

/** Units admitted and not yet paid off. */
export function owedBy(regulator: Regulator, timeMs: number): { readonly requests: number; readonly tokens: number } {
  const { plan } = regulator;
  return {
    requests: plan.requests === undefined ? 0 : owed(plan.requests, regulator.requestsTatMs, timeMs),
    tokens: plan.tokens === undefined ? 0 : owed(plan.tokens, regulator.tokensTatMs, timeMs),
  };
}
