/** A breaker as people see it. */
import { meanScore } from './quality.ts';
import { refusalShare } from './soft.ts';
import type { Breaker, BreakerReason } from './state.ts';

/** What people see of a breaker. */
export interface BreakerLook {
  readonly at: Breaker['at'];
  /** undefined: closed. */
  readonly why: BreakerReason | undefined;
  /** When it will be half-open; undefined unless it is open. */
  readonly untilMs: number | undefined;
  /** In a row: how far the rest has grown. Counted anew by the first opening after a time of health. */
  readonly openings: number;
  /** Since the start, as told by `refused`. */
  readonly refusals: number;
  /** Probes that are out. */
  readonly probesOut: number;
  /** From 0 to below 1: the share of calls that the soft strategy refuses now. */
  readonly refusalShare: number;
  /** Mean of the last scores, from 0 to 1; undefined: nothing was scored since it closed. */
  readonly score: number | undefined;
}

export function lookAt(breaker: Breaker): BreakerLook {
  const { plan, at, openings, refusals } = breaker;
  const calm = at === 'closed' ? breaker : undefined;
  return {
    at,
    why: at === 'closed' ? undefined : at === 'isolated' ? 'isolated' : breaker.why,
    untilMs: at === 'open' ? breaker.untilMs : undefined,
    openings,
    refusals,
    probesOut: at === 'half-open' ? breaker.out.length : 0,
    refusalShare: plan.soft && calm?.soft ? refusalShare(plan.soft, calm.soft) : 0,
    score: calm?.scores && meanScore(calm.scores),
  };
}
