/**
 * Quality: the mean score of the last replies that were scored, so that garbage with status 200
 * opens a breaker as failures do.
 *
 * The last `outOf` scores are a whole batch of older ones, less one for each newer one:
 *
 *     older: [a b c d e]     newer: g ─▶ f        the last five: c d e f g
 *                 ▲ used from here on
 *
 * A score costs one small object; every `outOf` scores the newer ones become the batch. Scores are
 * kept in whole millionths: sums are exact, and a mean that equals the threshold is not below it.
 */
import type { BreakerPlan } from './plan.ts';

/** Scores, the latest first. */
interface Newer {
  readonly score: number;
  readonly before: Newer | undefined;
}

export interface Scores {
  readonly outOf: number;
  /** A whole batch, oldest first; empty before there is one. */
  readonly older: readonly number[];
  readonly newer: Newer | undefined;
  readonly newerCount: number;
  /** Of the last `outOf`. */
  readonly sum: number;
}

const WHOLE = 1_000_000;

export function scoresOf(outOf: number): Scores {
  return { outOf, older: [], newer: undefined, newerCount: 0, sum: 0 };
}

/** Adds one, from 0 to 1. */
export function scored(scores: Scores, score: number): Scores {
  const { outOf, older, newerCount } = scores;
  const millionths = inMillionths(score);
  const newer: Newer = { score: millionths, before: scores.newer };
  const sum = scores.sum + millionths - (older[newerCount] ?? 0);
  if (newerCount + 1 < outOf) return { outOf, older, newer, newerCount: newerCount + 1, sum };
  const batch: number[] = [];
  for (let at: Newer | undefined = newer; at !== undefined; at = at.before) batch.push(at.score);
  return { outOf, older: batch.toReversed(), newer: undefined, newerCount: 0, sum };
}

/** Whether somebody scored it: anything but a number from 0 to 1 is no score. */
export function isScore(score: number | undefined): score is number {
  return score !== undefined && score >= 0 && score <= 1;
}

/** How many scores the mean is of. */
export function scoredCount({ outOf, older, newerCount }: Scores): number {
  return older.length === 0 ? newerCount : outOf;
}

/** undefined: nothing was scored. */
export function meanScore(scores: Scores): number | undefined {
  const count = scoredCount(scores);
  return count === 0 ? undefined : scores.sum / count / WHOLE;
}

export function tooPoor({ below, least }: NonNullable<BreakerPlan['quality']>, scores: Scores): boolean {
  const count = scoredCount(scores);
  return count >= least && scores.sum < inMillionths(below) * count;
}

/** Whether one reply alone is below the threshold. */
export function isPoor({ below }: NonNullable<BreakerPlan['quality']>, score: number): boolean {
  return inMillionths(score) < inMillionths(below);
}

function inMillionths(share: number): number {
  return Math.round(share * WHOLE);
}
