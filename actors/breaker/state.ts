/** Breaker state: one shape for each condition, and how each begins. The rules are in `breaker.ts`. */
import { restMs } from './plan.ts';
import type { BreakerPlan } from './plan.ts';
import { scoresOf } from './quality.ts';
import type { Scores } from './quality.ts';
import { windowOf } from './window.ts';
import type { Window } from './window.ts';

/** A value, never changed in place; plain data, so it can be stored. */
export type Breaker = ClosedBreaker | OpenBreaker | HalfOpenBreaker | IsolatedBreaker;

/** Why it is not closed: `failures` in a row, their share (`sampling`), poor replies (`quality`), told to (`tripped`), or by hand. */
export type BreakerReason = 'failures' | 'sampling' | 'quality' | 'tripped' | 'isolated';

/**
 * How a call ended. `ignored`: the caller's filter says that it tells nothing of the dependency's
 * health, though it answered; a probe that ends so has succeeded. `unused`: it was never made.
 */
export type BreakerResult = 'success' | 'failure' | 'ignored' | 'unused';

/** What every condition keeps. */
export interface Always {
  readonly plan: BreakerPlan;
  /** The last one given to a probe. They only grow. */
  readonly lastTicket: number;
  /** Grows with each closing: tells calls of now from calls of before. From 1. */
  readonly closings: number;
  /** Openings in a row. */
  readonly openings: number;
  /** Calls that it refused for good, in all. */
  readonly refusals: number;
}

export interface ClosedBreaker extends Always {
  readonly at: 'closed';
  readonly sinceMs: number;
  /** In a row. */
  readonly failures: number;
  readonly sampling: Window | undefined;
  readonly soft: Window | undefined;
  readonly scores: Scores | undefined;
}

export interface OpenBreaker extends Always {
  readonly at: 'open';
  readonly why: BreakerReason;
  readonly sinceMs: number;
  readonly untilMs: number;
}

export interface HalfOpenBreaker extends Always {
  readonly at: 'half-open';
  readonly why: BreakerReason;
  readonly succeeded: number;
  readonly failed: number;
  /** Probes that are out, the latest last. */
  readonly out: readonly ProbeLease[];
}

export interface ProbeLease {
  readonly ticket: number;
  readonly sinceMs: number;
  readonly endsAtMs: number;
}

export interface IsolatedBreaker extends Always {
  readonly at: 'isolated';
  /** Not yet released. */
  readonly handles: number;
}

/** Closed, with nothing against it. */
export function closed(breaker: Always, openings: number, nowMs: number): ClosedBreaker {
  const { plan } = breaker;
  return {
    at: 'closed',
    ...always(breaker),
    closings: breaker.closings + 1,
    openings,
    sinceMs: nowMs,
    failures: 0,
    sampling: plan.sampling && windowOf(plan.sampling.windowMs, nowMs),
    soft: plan.soft && windowOf(plan.soft.windowMs, nowMs),
    scores: plan.quality && scoresOf(plan.quality.outOf),
  };
}

/** @param openings in a row, with this one */
export function opened(breaker: Always, why: BreakerReason, openings: number, sinceMs: number): OpenBreaker {
  return { at: 'open', ...always(breaker), why, openings, sinceMs, untilMs: sinceMs + restMs(breaker.plan, openings) };
}

export function halfOpened(breaker: OpenBreaker): HalfOpenBreaker {
  return { at: 'half-open', ...always(breaker), why: breaker.why, succeeded: 0, failed: 0, out: [] };
}

export function always({ plan, lastTicket, closings, openings, refusals }: Always): Always {
  return { plan, lastTicket, closings, openings, refusals };
}
