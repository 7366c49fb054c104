/** A closed breaker: what calls that end make of it, and when it opens. */
import { restMs } from './plan.ts';
import { isScore, scored, tooPoor } from './quality.ts';
import { sampled, tooManyFailed } from './sampling.ts';
import { accepted, takenBack } from './soft.ts';
import { opened } from './state.ts';
import type { Breaker, BreakerResult, ClosedBreaker } from './state.ts';
import { rolled } from './window.ts';

/** A call of its own closed time has ended. The same breaker when that says nothing new. */
export function callEnded(breaker: ClosedBreaker, result: BreakerResult, score: number | undefined, nowMs: number): Breaker {
  switch (result) {
    case 'success':
      return succeeded(breaker, score, nowMs);
    case 'failure':
      return failed(breaker, nowMs);
    case 'ignored':
      return breaker.soft === undefined ? breaker : { ...breaker, soft: accepted(breaker.soft) };
    case 'unused':
      return breaker.soft === undefined ? breaker : { ...breaker, soft: takenBack(breaker.soft) };
  }
}

function succeeded(breaker: ClosedBreaker, score: number | undefined, nowMs: number): Breaker {
  const { plan, sampling, soft } = breaker;
  const isScored = breaker.scores !== undefined && isScore(score);
  if (!isScored && sampling === undefined && soft === undefined) return breaker.failures === 0 ? breaker : { ...breaker, failures: 0 };
  const scores = isScored ? scored(breaker.scores, score) : breaker.scores;
  if (isScored && tooPoor(plan.quality!, scores!)) return opened(breaker, 'quality', nextOpening(breaker, nowMs), nowMs);
  return { ...breaker, failures: 0, scores, sampling: sampling && sampled(sampling, false), soft: soft && accepted(soft) };
}

function failed(breaker: ClosedBreaker, nowMs: number): Breaker {
  const { plan } = breaker;
  const failures = breaker.failures + 1;
  if (plan.failures !== undefined && failures >= plan.failures) return opened(breaker, 'failures', nextOpening(breaker, nowMs), nowMs);
  const sampling = breaker.sampling && sampled(breaker.sampling, true);
  if (sampling !== undefined && tooManyFailed(plan.sampling!, sampling))
    return opened(breaker, 'sampling', nextOpening(breaker, nowMs), nowMs);
  return { ...breaker, failures, sampling };
}

/** Which one in a row it is: the first again when it stayed closed for as long as it last rested. */
export function nextOpening({ plan, openings, sinceMs }: ClosedBreaker, nowMs: number): number {
  return nowMs - sinceMs >= restMs(plan, openings) ? 1 : openings + 1;
}

/** Windows forget what is too old. */
export function windowsPassed(breaker: ClosedBreaker, nowMs: number): Breaker {
  const sampling = breaker.sampling && rolled(breaker.sampling, nowMs);
  const soft = breaker.soft && rolled(breaker.soft, nowMs);
  return sampling === breaker.sampling && soft === breaker.soft ? breaker : { ...breaker, sampling, soft };
}
