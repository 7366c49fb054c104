/**
 * Adaptive rate: finds out what a provider really gives, and stays just below it.
 *
 *     starting ── doubles while it is used ──▶ congested ──▶ following
 *
 *     following:   ceiling ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─/─ ─ congested: a new ceiling
 *                     __________________________________/
 *                   /  return        plateau       probe
 *                  |
 *                  cut
 *
 * It is AIMD's saw-tooth with other teeth, since one that is cut to 0.7 and climbs in a straight line
 * gives 0.85 of what there is. As in CUBIC the way back is steep at first and flat below the last
 * ceiling; there it rests, and only then probes, slowly, and the longer it goes well the faster. The
 * cut is small because the ceiling is not guessed but measured: see `congestion.ts`.
 *
 * One cut an episode, of 1.5 s or the Retry-After: refusals of calls that were issued before a cut say
 * nothing about the rate after it. Growth counts only time in which the rate was worked off and wanted.
 *
 * Promise: the rate stays within [least, most], whatever is reported, and only a report changes it.
 * @see Chiu and Jain 1989; Ha, Rhee and Xu, "CUBIC", 2008
 */

import { congested, EPISODE_MS, SAMPLE_MS } from './congestion.ts';
import type { Emptied } from './congestion.ts';

/** How a rate is learned. Rates are units a minute. */
export interface RateAdaptSpec {
  /** What the rate counts. Default: tokens when the first call has an estimate of them, else requests. */
  readonly unit?: 'tokens' | 'requests';
  /** Where it begins. Default 60,000 tokens, or 60 requests. */
  readonly startPerMinute?: number;
  /** It never goes below. Default 1,000 tokens, or 1 request. */
  readonly leastPerMinute?: number;
  /** It never goes above. Default: only declared limits bound it. */
  readonly mostPerMinute?: number;
}

/** Bounds in units a millisecond. */
export interface RatePlan {
  readonly unit: 'tokens' | 'requests';
  readonly startPerMs: number;
  readonly leastPerMs: number;
  readonly mostPerMs: number;
  /** The part of the ceiling that is left unused between probes. */
  readonly margin: number;
}

/** What was worked off by some moment. */
interface Sample {
  readonly atMs: number;
  readonly worked: number;
}

export interface RateControl {
  readonly plan: RatePlan;
  /** The rate now. */
  readonly perMs: number;
  /** No congestion yet. */
  readonly starting: boolean;
  /** What the last congestion has shown to be there; where it began, while starting. */
  readonly ceiling: number;
  /** Used time since the last cut. */
  readonly usedMs: number;
  /** Refusals that calls have paid for, less those that came. */
  readonly credit: number;
  /** Whether the ceiling is hardly more than a guess, or far below the one before, or below what there was of late: then it rests only shortly, for a fall may be short too. */
  readonly doubtful: boolean;
  /** Used time at which probing began. */
  readonly probingFromMs: number | undefined;
  readonly cutAtMs: number;
  /** No other cut before. */
  readonly quietUntilMs: number;
  /** The latest cut because calls had become slow. */
  readonly easedAtMs: number;
  /** Nothing goes before. */
  readonly holdUntilMs: number;
  /** The provider's bucket seems to hold no more than a call. */
  readonly tight: boolean;
  /** Refusals without a success between them. */
  readonly refusals: number;
  /** Calls that an overloaded provider has turned away since the latest one that went well. */
  readonly turnedAway: number;
  /** The first congestion of those that followed soon upon another. */
  readonly chain: Emptied;
  /** The latest congestion that made a cut. */
  readonly latest: Emptied;
  readonly chainWorked: number;
  /** When more began to be taken than was known to be there. */
  readonly chainExcessMs: number;
  readonly lastCongestedAtMs: number;
  /** The mean rate between the chain and the congestion before it: surely there then. */
  readonly proven: number;
  /** The most that was proven of late; it fades. */
  readonly best: number;
  /** How much the provider's bucket seems to hold, in milliseconds of the ceiling. */
  readonly bucketMs: number;
  /** One a second, newest last. */
  readonly samples: readonly Sample[];
  /** As of the latest report. */
  readonly atMs: number;
  readonly worked: number;
}

/** A call that came home, as the rate sees it. */
export interface Outcome {
  readonly end: 'ok' | 'refused' | 'overloaded' | 'slow' | 'failing' | 'silent';
  /** In the unit of the rate. */
  readonly cost: number;
  /** Units charged since the start, less what was given back and what was refused before. */
  readonly units: number;
  /** Those of them that the rate has worked off by now. */
  readonly worked: number;
  /** Whether somebody waits or the room is used up. */
  readonly demanded: boolean;
  /** When it was admitted. */
  readonly grantedMs: number;
  readonly retryAfterMs: number | undefined;
  /** Of the cost of a refused call, what its turn has not taken yet and will not. Default 0. */
  readonly returned?: number;
  readonly timeMs: number;
}

/** While starting, the rate doubles in this used time. */
const DOUBLING_MS = 1_500;
/** After a cut, the share of the ceiling that is used at once, and the one that is returned to. */
const CUT_TO = 0.96;
const REST_AT = 0.99;
const RETURN_MS = 8_000;
/** Rest before the next probe, in used time: shortly below a doubtful ceiling. */
const SHORT_REST_MS = 6_000;
const REST_MS = 12_000;
/**
 * A refusal is paid for in calls that went well, so that less than one in a hundred is refused: a probe waits
 * until the last one is paid. At 3 calls a second that takes 45 s; those who call less find a restored
 * limit later, yet before the longest rest is over. Of many at once one is to be paid.
 */
const CREDIT_PER_CALL = 1 / 135;
const MOST_CREDIT = 1;
const MOST_DEBT = 1;
/** What there was of late fades by e in this time; so small a share of it is not trusted. */
const MEMORY_MS = 1_200_000;
const FAR_BELOW = 0.4;
const LONGEST_REST_MS = 240_000;
/** The probe grows by exp((t / PROBE_MS)^2), until that doubles the rate in PROBE_DOUBLING_MS. */
const PROBE_MS = 26_000;
const PROBE_DOUBLING_MS = 11_000;
const PROBE_SLOPE = Math.LN2 / PROBE_DOUBLING_MS;
const PROBE_BEND_MS = (PROBE_SLOPE * PROBE_MS ** 2) / 2;

/** What is left of a rate when calls fail. */
const OVERLOADED_TO = 0.7;
const EASED_EPISODE_MS = 6_000;
const SLOW_EPISODE_MS = 60_000;
const MOST_SAMPLES = 64;
/** The most that one report can prove: replies that take long must not bring many doublings at once. */
const MOST_PROOF_MS = 10_000;
const MOST_STARTING_PROOF_MS = 1_000;
/** A provider is asked again after this, whatever it said. */
export const LONGEST_HOLD_MS = 60_000;
const FIRST_HOLD_MS = 100;
/** An overloaded provider that says nothing is asked again after this. */
const LONGEST_DOWN_MS = 5_000;
const MOST_PER_MS = 1e12;

/** @param margin the part of the ceiling to leave unused, from 0 to below 1 */
export function rateControlOf(spec: RateAdaptSpec, unit: 'tokens' | 'requests', margin: number): RateControl {
  const [start, least] = unit === 'tokens' ? [60_000, 1_000] : [60, 1];
  const leastPerMs = sane(spec.leastPerMinute, Math.min(least, sane(spec.mostPerMinute, Infinity))) / 60_000;
  const mostPerMs = Math.max(leastPerMs, Math.min(MOST_PER_MS, sane(spec.mostPerMinute, Infinity) / 60_000));
  const startPerMs = clamp(sane(spec.startPerMinute, start) / 60_000, leastPerMs, mostPerMs);
  const never: Emptied = { fromMs: -Infinity, atMs: -Infinity, units: 0, cost: 0 };
  return {
    plan: { unit, startPerMs, leastPerMs, mostPerMs, margin },
    perMs: startPerMs,
    starting: true,
    ceiling: startPerMs,
    usedMs: 0,
    credit: 0,
    doubtful: false,
    probingFromMs: undefined,
    cutAtMs: -Infinity,
    quietUntilMs: -Infinity,
    easedAtMs: -Infinity,
    holdUntilMs: -Infinity,
    tight: false,
    refusals: 0,
    turnedAway: 0,
    chain: never,
    latest: never,
    chainWorked: 0,
    chainExcessMs: -Infinity,
    lastCongestedAtMs: -Infinity,
    proven: 0,
    best: 0,
    bucketMs: 0,
    samples: [],
    atMs: -Infinity,
    worked: 0,
  };
}

/** What a call that is over teaches. */
export function learned(before: RateControl, outcome: Outcome): RateControl {
  const { timeMs, worked, end } = outcome;
  const control = sampled(used(before, outcome), timeMs, worked);
  switch (end) {
    case 'refused':
      return refused(control, outcome);
    case 'overloaded':
      return turnedAway(control, outcome);
    case 'slow':
      // Calls may be slow for many reasons: one gentle cut a minute, and it goes on learning.
      if (timeMs < control.easedAtMs + SLOW_EPISODE_MS || timeMs < control.quietUntilMs) return grown(paid(control));
      return { ...eased(control, timeMs, 0.9), easedAtMs: timeMs };
    case 'failing':
      return timeMs < control.quietUntilMs ? control : eased(control, timeMs, OVERLOADED_TO);
    case 'silent':
      return control;
    case 'ok':
      return grown(paid(control));
  }
}

function paid(control: RateControl): RateControl {
  return { ...control, turnedAway: 0, credit: Math.min(MOST_CREDIT, control.credit + CREDIT_PER_CALL) };
}

/** Used time goes on: the time in which the rate was worked off, if it was wanted. */
function used(control: RateControl, { timeMs, worked, demanded, end }: Outcome): RateControl {
  const passedMs = timeMs - control.atMs;
  const busyMs = passedMs === Infinity ? 0 : clamp((worked - control.worked) / control.perMs, 0, Math.max(0, passedMs));
  const proofMs = demanded && end === 'ok' ? Math.min(busyMs, control.starting ? MOST_STARTING_PROOF_MS : MOST_PROOF_MS) : 0;
  return { ...control, usedMs: control.usedMs + proofMs, atMs: timeMs, worked };
}

function sampled(control: RateControl, atMs: number, worked: number): RateControl {
  const { samples } = control;
  const latest = samples.at(-1);
  if (latest !== undefined && atMs - latest.atMs < SAMPLE_MS) return control;
  return { ...control, samples: [...samples.slice(samples.length < MOST_SAMPLES ? 0 : 1), { atMs, worked }] };
}

function grown(control: RateControl): RateControl {
  const { usedMs, starting, ceiling, plan } = control;
  if (starting) return withRate(control, ceiling * 2 ** Math.min(100, usedMs / DOUBLING_MS));
  let { probingFromMs } = control;
  if (probingFromMs === undefined && isRested(control)) probingFromMs = usedMs;
  const missing = Math.max(0, 1 - usedMs / RETURN_MS);
  const share = REST_AT - (REST_AT - CUT_TO) * missing ** 3;
  const probe = probingFromMs === undefined ? 1 : Math.exp(Math.min(60, exponent(usedMs - probingFromMs)));
  return withRate({ ...control, probingFromMs }, ceiling * share * (1 - plan.margin) * probe);
}

function isRested({ usedMs, credit, doubtful }: RateControl): boolean {
  if (doubtful) return usedMs >= SHORT_REST_MS;
  return usedMs >= LONGEST_REST_MS || (usedMs >= REST_MS && credit >= 0);
}

function exponent(probedMs: number): number {
  if (probedMs <= PROBE_BEND_MS) return (probedMs / PROBE_MS) ** 2;
  return (PROBE_BEND_MS / PROBE_MS) ** 2 + (probedMs - PROBE_BEND_MS) * PROBE_SLOPE;
}

function refused(before: RateControl, outcome: Outcome): RateControl {
  const { timeMs, grantedMs, cost, worked, retryAfterMs } = outcome;
  const afterCut = grantedMs >= before.cutAtMs;
  // Outside an episode the first of them makes a cut, and begins one.
  const refusals = !afterCut ? before.refusals : timeMs < before.quietUntilMs ? before.refusals + 1 : 1;
  const control: RateControl = {
    ...before,
    refusals,
    credit: Math.max(-MOST_DEBT, before.credit - 1),
    holdUntilMs: Math.max(before.holdUntilMs, timeMs + holdMs(refusals, retryAfterMs)),
    tight: before.bucketMs * before.perMs < cost,
    // It was never delivered.
    worked: worked - cost + (outcome.returned ?? 0),
    chain: withoutCall(before.chain, grantedMs, cost),
    latest: withoutCall(before.latest, grantedMs, cost),
  };
  if (timeMs < control.quietUntilMs || !afterCut) return control;
  const next = remembering(control, congested(control, outcome), timeMs);
  // A fall is no probe: what it brought is not to be paid for.
  return cut(
    next.doubtful ? { ...next, credit: Math.max(0, next.credit) } : next,
    timeMs,
    timeMs + Math.max(EPISODE_MS, Math.min(LONGEST_HOLD_MS, retryAfterMs ?? 0)),
  );
}

/**
 * An overloaded provider says how it is, not how much there is: an outage that measured as "nothing" would take
 * minutes to climb out of. One gentle cut until something is accepted again, and longer holds meanwhile.
 */
function turnedAway(before: RateControl, outcome: Outcome): RateControl {
  const { timeMs, grantedMs, cost, worked, retryAfterMs } = outcome;
  const ownMs = Math.min(LONGEST_DOWN_MS, FIRST_HOLD_MS * 2 ** Math.min(before.turnedAway + 1, 16));
  const control: RateControl = {
    ...before,
    turnedAway: before.turnedAway + 1,
    holdUntilMs: Math.max(before.holdUntilMs, timeMs + Math.min(LONGEST_HOLD_MS, Math.max(ownMs, retryAfterMs ?? 0))),
    worked: worked - cost + (outcome.returned ?? 0),
    chain: withoutCall(before.chain, grantedMs, cost),
    latest: withoutCall(before.latest, grantedMs, cost),
  };
  if (before.turnedAway > 0 || timeMs < control.quietUntilMs || grantedMs < control.cutAtMs) return control;
  const next = eased(control, timeMs, OVERLOADED_TO);
  return { ...next, starting: control.starting };
}

/** Far below what there was of late refusals may be a matter of chance, and the rest that they cost would be long: no ceiling is trusted there. */
function remembering(before: RateControl, after: RateControl, timeMs: number): RateControl {
  const best = Math.max(after.proven, before.best * Math.exp((before.cutAtMs - timeMs) / MEMORY_MS));
  return { ...after, best, doubtful: after.doubtful || after.ceiling < FAR_BELOW * best };
}

/** A call that had been counted there and was refused later. */
function withoutCall(emptied: Emptied, grantedMs: number, cost: number): Emptied {
  return grantedMs < emptied.fromMs ? { ...emptied, units: emptied.units - cost } : emptied;
}

/** As long as the provider says; and longer each time when that was not enough, or it says nothing. */
function holdMs(refusals: number, retryAfterMs: number | undefined): number {
  const ownMs = refusals === 1 && retryAfterMs !== undefined ? 0 : FIRST_HOLD_MS * 2 ** Math.min(refusals, 16);
  return Math.min(LONGEST_HOLD_MS, Math.max(ownMs, retryAfterMs ?? 0));
}

function cut(control: RateControl, timeMs: number, quietUntilMs: number): RateControl {
  const { ceiling, plan } = control;
  const next: RateControl = {
    ...control,
    starting: false,
    usedMs: 0,
    probingFromMs: undefined,
    cutAtMs: timeMs,
    quietUntilMs,
    lastCongestedAtMs: timeMs,
  };
  return withRate(next, ceiling * CUT_TO * (1 - plan.margin));
}

/** A gentle cut, for what is no refusal: it measures nothing. */
function eased(control: RateControl, timeMs: number, share: number): RateControl {
  const { lastCongestedAtMs } = control;
  return { ...cut({ ...control, ceiling: control.perMs * share, doubtful: true }, timeMs, timeMs + EASED_EPISODE_MS), lastCongestedAtMs };
}

function withRate(control: RateControl, perMs: number): RateControl {
  const { leastPerMs, mostPerMs } = control.plan;
  return { ...control, perMs: clamp(perMs, leastPerMs, mostPerMs) };
}

/** `value` when it is a rate, else the default. */
function sane(value: number | undefined, otherwise: number): number {
  return value !== undefined && value > 0 ? value : otherwise;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
