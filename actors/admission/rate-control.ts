/** Rate control: what is known of a rate that is learned, and what a call that came home tells of it. */

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

/** A moment at which the provider's bucket was empty. */
export interface Emptied {
  /** When the refusal came. */
  readonly fromMs: number;
  readonly atMs: number;
  /** Charged by then, less what was given back and refused. */
  readonly units: number;
  /** Of the call that was refused, when the moment is exact; else 0. */
  readonly cost: number;
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

/** Nothing is faster. */
const MOST_PER_MS = 1e12;

/**
 * Nothing is learned yet.
 *
 * @param margin the part of the ceiling to leave unused, from 0 to below 1
 */
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

/** Within the bounds of its plan. */
export function withRate(control: RateControl, perMs: number): RateControl {
  const { leastPerMs, mostPerMs } = control.plan;
  return { ...control, perMs: clamp(perMs, leastPerMs, mostPerMs) };
}

/** `value` when it is a rate, else the default. */
function sane(value: number | undefined, otherwise: number): number {
  return value !== undefined && value > 0 ? value : otherwise;
}

export function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
