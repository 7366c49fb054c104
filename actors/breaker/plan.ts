/** Breaker plan: what a dependency says of its breaker, complete with defaults. Checked where it enters, not here. */

/** How a breaker trips, rests and closes. All of it is optional. */
export interface BreakerSpec {
  /**
   * Failures in a row that open it, at least 1. Default 5, unless `sampling` or `soft` is asked for:
   * then calls in a row are counted only when this is given too.
   */
  readonly failures?: number;
  /** Opens when more than a share of the calls of a window failed. */
  readonly sampling?: {
    /** From 0 to below 1. Default 0.5. In half-open, the same share of the probes may fail. */
    readonly share?: number;
    /** Default 30,000. */
    readonly windowMs?: number;
    /** Fewest calls in the window: less traffic never opens. Default 20. */
    readonly least?: number;
  };
  /** Refuses a growing share of the calls while the dependency fails, and never all of them. See `soft.ts`. */
  readonly soft?: {
    /** Calls issued for each that is accepted, above 1. Default 2. */
    readonly k?: number;
    /** Default 120,000. */
    readonly windowMs?: number;
  };
  /**
   * How long it stays open: always the same, or growing by `factor` with each opening in a row, from
   * `baseMs` to `capMs`. Default 10,000, doubling up to 300,000.
   */
  readonly resetAfterMs?: number | { readonly baseMs?: number; readonly capMs?: number; readonly factor?: number };
  /** Calls that half-open lets through, all at once, and that must succeed for it to close. Default 1: exactly one is out. */
  readonly probes?: number;
  /** A probe that has not come home by then is lost, and it is open again. Default: given by the runtime, else 120,000. */
  readonly probeMs?: number;
  /** Opens while the status is 200: the mean score of the last replies is too low. */
  readonly quality?: {
    /** A mean below it opens; a probe that scores below it has failed. Above 0, at most 1. */
    readonly below: number;
    /** Scored replies that are looked at. */
    readonly outOf: number;
    /** Fewest scored replies that can open it. Default: `outOf`. */
    readonly least?: number;
  };
}

/** A `BreakerSpec`, complete. */
export interface BreakerPlan {
  /** undefined: failures in a row do not open it. */
  readonly failures: number | undefined;
  readonly sampling: { readonly share: number; readonly windowMs: number; readonly least: number } | undefined;
  readonly soft: { readonly k: number; readonly windowMs: number } | undefined;
  readonly rest: { readonly baseMs: number; readonly capMs: number; readonly factor: number };
  readonly probes: number;
  readonly probeMs: number;
  readonly quality: { readonly below: number; readonly outOf: number; readonly least: number } | undefined;
}

const FAILURES = 5;
const BASE_MS = 10_000;
const CAP_MS = 300_000;
const FACTOR = 2;
const PROBE_MS = 120_000;

/** @param defaults what the runtime knows better: `probeMs` is to outlast the time limit of a call. */
export function planBreaker(spec: BreakerSpec, defaults: { readonly probeMs?: number } = {}): BreakerPlan {
  const { sampling, soft, quality, resetAfterMs = {} } = spec;
  const otherwise = sampling === undefined && soft === undefined ? FAILURES : undefined;
  return {
    failures: spec.failures ?? otherwise,
    sampling: sampling && { share: sampling.share ?? 0.5, windowMs: sampling.windowMs ?? 30_000, least: sampling.least ?? 20 },
    soft: soft && { k: soft.k ?? 2, windowMs: soft.windowMs ?? 120_000 },
    rest: typeof resetAfterMs === 'number' ? { baseMs: resetAfterMs, capMs: resetAfterMs, factor: 1 } : growing(resetAfterMs),
    probes: spec.probes ?? 1,
    probeMs: spec.probeMs ?? defaults.probeMs ?? PROBE_MS,
    quality: quality && { below: quality.below, outOf: quality.outOf, least: Math.min(quality.least ?? quality.outOf, quality.outOf) },
  };
}

function growing(given: { readonly baseMs?: number; readonly capMs?: number; readonly factor?: number }): BreakerPlan['rest'] {
  const baseMs = given.baseMs ?? BASE_MS;
  return { baseMs, capMs: given.capMs ?? Math.max(baseMs, CAP_MS), factor: given.factor ?? FACTOR };
}

/** How long the breaker rests after an opening, the `openings`th in a row, counted from 1. */
export function restMs({ rest }: BreakerPlan, openings: number): number {
  return Math.min(rest.capMs, rest.baseMs * rest.factor ** (openings - 1));
}
