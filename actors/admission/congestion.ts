/**
 * Congestion: what a refusal tells about the rate that there is.
 *
 * Seen as a bucket of unknown size that is filled at an unknown rate R, it says that the bucket is empty.
 * Between two such moments R gave what was delivered, and what ran over while the bucket was full. So
 *
 *   - R is at least the mean between the two,
 *   - and at least what any stretch up to now has delivered, less what the bucket held at its beginning.
 *
 * The larger of the two is R, if the size of the bucket is known: either it did not run over, and the mean
 * says R, or it was full at some moment since, and the stretch from there does. A refusal of a probe then
 * brings the rate back to what is there, and needs no second one.
 *
 *   - The size is learned where R is known otherwise: when refusals follow soon upon each other (a chain),
 *     there was no time to run over, and what the first of them had got in excess was in the bucket. It
 *     fades, since one too large would hide a part of R for ever; one too small makes the next chain.
 *   - Where refused calls cost what they ask for, Retry-After itself says R.
 */
import { clamp } from './rate-control.ts';
import type { Emptied, Outcome, RateControl } from './rate-control.ts';

/** One cut in it. */
export const EPISODE_MS = 1_500;
/** What was delivered is noted so often. */
export const SAMPLE_MS = 1_000;
/** A congestion so soon after another belongs to it. */
const CHAIN_MS = 10_000;
/** The size of the bucket is learned by no more than this at once: one measurement may be wrong. */
const LEAST_BUCKET_MS = 300;
const BUCKET_GROWTH = 10;
/** It fades with each congestion that stayed alone. */
const FADING = 0.9;
/** What a measured rate may be wrong by. */
const DOUBT = 0.02;
/** The share of one rate in another below which the provider has been lowered. */
const LOWERED = 0.85;
/** What a provider says about its rate may be so much above what was known of it. */
const CONFIRMED = 1.02;

/** A new ceiling, and how well it is known. */
export function congested(control: RateControl, outcome: Outcome): RateControl {
  const { timeMs, retryAfterMs = 0 } = outcome;
  const now = emptied(outcome);
  if (control.starting) return first(control, now, outcome);
  const isAlone = timeMs - control.lastCongestedAtMs >= CHAIN_MS + retryAfterMs;
  const next = isAlone ? alone(control, now, outcome) : chained(control, now, outcome);
  return { ...next, doubtful: next.ceiling < LOWERED * control.ceiling };
}

/** Whether a Retry-After says when there will be just enough for the call that was refused: one in whole seconds is rounded. */
export function isExact(retryAfterMs: number | undefined): retryAfterMs is number {
  return retryAfterMs !== undefined && retryAfterMs < CHAIN_MS && retryAfterMs % 1_000 !== 0;
}

function emptied({ units, cost, retryAfterMs, timeMs }: Outcome): Emptied {
  const exact = isExact(retryAfterMs);
  return { fromMs: timeMs, atMs: exact ? timeMs + retryAfterMs : timeMs, units: units - cost, cost: exact ? cost : 0 };
}

/** The first of all: nothing is known of the bucket. */
function first(control: RateControl, now: Emptied, { cost, retryAfterMs, worked }: Outcome): RateControl {
  const { perMs } = control;
  // What it was when the refused call was issued is half of it; and a Retry-After is the time that the call itself takes, at most.
  const asked = retryAfterMs === undefined || retryAfterMs % 1_000 === 0 ? Infinity : cost / retryAfterMs;
  // The turn of the refused call counts here: the rate was there until it came. This may be what a large
  // bucket gave: the next refusal tells then.
  const ceiling = Math.max(clamp(asked, perMs / 8, perMs / 2), deliveredSince(control, -Infinity, 0, now, worked));
  return {
    ...control,
    ceiling: Math.min(perMs, ceiling),
    doubtful: true,
    chain: now,
    latest: now,
    chainWorked: worked,
    chainExcessMs: -Infinity,
    proven: 0,
  };
}

/** One after a quiet time. */
function alone(control: RateControl, now: Emptied, outcome: Outcome): RateControl {
  const { worked } = outcome;
  const { perMs, latest, bucketMs } = control;
  const proven = mean(latest, now);
  const there = Math.max(proven, deliveredSince(control, -Infinity, bucketMs, now, worked));
  // Beside a neighbour the provider says what there is for both.
  const told = saidBy(outcome, proven, Math.min(perMs, Math.max(there, CONFIRMED * control.ceiling)));
  const ceiling = clamp(told ?? there, perMs / 8, perMs);
  // Only a probe, or a guess, takes more than there is.
  const excessMs = control.usedMs - (control.probingFromMs ?? (control.doubtful ? 0 : control.usedMs));
  const chainExcessMs = now.fromMs - excessMs;
  return { ...control, ceiling, chain: now, latest: now, chainWorked: worked, chainExcessMs, proven, bucketMs: FADING * bucketMs };
}

/** A later one of a chain. */
function chained(control: RateControl, now: Emptied, outcome: Outcome): RateControl {
  const { cost, demanded, worked } = outcome;
  const { perMs, proven, latest, bucketMs } = control;
  // A chain that has come over a change of the capacity tells of both: then the latest link of it counts
  // alone, if it is low by more than a single call could make of so short a time.
  const isLower = mean(latest, now) + over(cost, latest, now) < LOWERED * mean(control.chain, now);
  const chain = isLower ? latest : control.chain;
  const least = mean(chain, now);
  const told = saidBy(outcome, least, least + over(cost, chain, now)) ?? least;
  const there = isLower ? told : Math.max(told, deliveredSince(control, chain.atMs, bucketMs, now, worked));
  const ceiling = clamp(there, perMs * (demanded && perMs > 2 * proven ? 0.1 : 0.45), perMs);
  const next = { ...control, chain, latest: now, ceiling };
  // A provider that gives less than was proven has been lowered: what it gave before says nothing about its bucket.
  if (ceiling < LOWERED * proven) return { ...next, proven: ceiling, samples: [] };
  const heldMs = heldBefore(control, ceiling, chain.fromMs);
  return { ...next, bucketMs: Math.max(bucketMs, Math.min(heldMs, Math.max(LEAST_BUCKET_MS, BUCKET_GROWTH * bucketMs))) };
}

/** What the provider must give, after any stretch since `fromMs`, if its bucket held no more than `bucketMs` of it. */
function deliveredSince({ samples }: RateControl, fromMs: number, bucketMs: number, now: Emptied, worked: number): number {
  let most = 0;
  for (const sample of samples) {
    const passedMs = now.fromMs - sample.atMs;
    if (sample.atMs >= fromMs && passedMs >= SAMPLE_MS) most = Math.max(most, (worked - sample.worked) / (passedMs + bucketMs));
  }
  return most;
}

/**
 * The most that was delivered above a rate in any stretch up to the beginning of the chain: that was in the
 * bucket, in milliseconds of the rate. Stretches from before the excess began would only add up what the rate is wrong by.
 */
function heldBefore({ samples, chainWorked, chainExcessMs }: RateControl, rate: number, endMs: number): number {
  let most = 0;
  for (const sample of samples) {
    if (sample.atMs >= chainExcessMs && sample.atMs < endMs)
      most = Math.max(most, (chainWorked - sample.worked) / rate - (1 + DOUBT) * (endMs - sample.atMs));
  }
  return most;
}

/**
 * What was delivered between two moments. What is in the bucket when there is enough for a call is its
 * cost, or all that the bucket holds if that is less: the larger of both readings, for a rate that is
 * too high comes to light sooner than one that is too low.
 */
function mean(from: Emptied, to: Emptied): number {
  const delivered = to.units - from.units;
  return over(Math.max(0, delivered, delivered + to.cost - from.cost), from, to);
}

function over(units: number, from: Emptied, to: Emptied): number {
  return units / Math.max(1, to.atMs - from.atMs);
}

/**
 * A provider that takes what a refused call asked for has nothing left then: the wait for all of the call
 * says the rate exactly. Whether it does so nobody knows; what it says must lie between bounds known otherwise.
 */
function saidBy({ cost, retryAfterMs }: Outcome, least: number, most: number): number | undefined {
  if (retryAfterMs === undefined || retryAfterMs % 1_000 === 0) return undefined;
  const rate = cost / retryAfterMs;
  return rate >= least && rate <= most ? rate : undefined;
}
