/**
 * Congestion: what a refusal tells about the rate that there is.
 *
 * Seen as a bucket of unknown size that is filled at an unknown rate R, it says that the bucket is empty.
 *
 *   - When two follow soon upon each other (a chain), what was delivered between them is what flowed in:
 *     that measures R, whatever the size, or less than R when the bucket has run over meanwhile.
 *   - After a quiet time R lies between that mean and the best mean of the latest stretches. The bucket
 *     may have added to each of these what was in it: how much, the last chain has shown. That guess
 *     fades, since one too high would hide a part of R for ever; one too low makes the next chain.
 *   - Where refused calls cost what they ask for, Retry-After itself says R.
 */
import type { Outcome, RateControl } from './adaptive-rate.ts';

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

/** One cut in it. */
export const EPISODE_MS = 3_000;
/** What was delivered is noted so often. */
export const SAMPLE_MS = 1_000;
/** A congestion so soon after another belongs to it. */
const CHAIN_MS = 10_000;
const LEAST_BUCKET_MS = 100;
/** It is learned by no more than this at once: one measurement may be wrong. */
const BUCKET_GROWTH = 3;
/** The guess of the provider's bucket fades with each congestion that stayed alone. */
const FADING = 0.8;
/** What a measured rate may be wrong by. */
const DOUBT = 0.02;
/** Shares of one rate in another from which they are the same, and below which the provider has been lowered. */
const CLOSE = 0.93;
const LOWERED = 0.85;
/** What a refusal by chance leaves of the ceiling: it may have been none. */
const ALMOST = 0.985;

/** A new ceiling, and how well it is known. */
export function congested(control: RateControl, outcome: Outcome): RateControl {
  const { timeMs, retryAfterMs = 0 } = outcome;
  const now = emptied(outcome);
  if (timeMs - control.lastCongestedAtMs >= CHAIN_MS + retryAfterMs)
    return { ...guessed(control, now, outcome), doubtful: control.starting };
  const next = measured(control, now, outcome);
  return { ...next, doubtful: control.starting || next.ceiling < LOWERED * control.ceiling };
}

/** An exact Retry-After says when there will be just enough for the call that was refused. */
function emptied({ units, cost, retryAfterMs = 0, timeMs }: Outcome): Emptied {
  const exact = retryAfterMs < CHAIN_MS && retryAfterMs % 1_000 !== 0;
  return { fromMs: timeMs, atMs: exact ? timeMs + retryAfterMs : timeMs, units: units - cost, cost: exact ? cost : 0 };
}

/** The second congestion of a chain: what was delivered since the first is what there is. */
function measured(control: RateControl, now: Emptied, outcome: Outcome): RateControl {
  const { cost, demanded } = outcome;
  const { perMs, proven, latest } = control;
  // A chain that has come over a change of the capacity tells of both: then the latest link of it counts
  // alone, if it is low by more than a single call could make of so short a time.
  const isLower = mean(latest, now) + over(cost, latest, now) < LOWERED * mean(control.chain, now);
  const chain = isLower ? latest : control.chain;
  const least = mean(chain, now);
  const told = saidBy(outcome, least, least + over(cost, chain, now));
  const delivered = clamp(told ?? least, perMs * (demanded && perMs > 2 * proven ? 0.1 : 0.45), perMs);
  // A small bucket has run over between the two: the rate was right, and the refusal a matter of chance.
  if (delivered >= CLOSE * perMs) return { ...control, chain, latest: now, ceiling: Math.max(perMs, ALMOST * control.ceiling) };
  // A provider that gives less than was proven has been lowered: that says nothing about its bucket.
  if (delivered < LOWERED * proven) return { ...control, chain, latest: now, ceiling: delivered, proven: delivered };
  const bucketMs = addedMs(control, delivered, chain.fromMs, control.chainWorked, -Infinity, DOUBT);
  return {
    ...control,
    chain,
    latest: now,
    ceiling: delivered,
    bucketMs: Math.max(control.bucketMs, Math.min(bucketMs, Math.max(LEAST_BUCKET_MS, BUCKET_GROWTH * control.bucketMs))),
  };
}

/** A congestion after a quiet time: the best mean of the latest stretches, less what the bucket can have added. */
function guessed(control: RateControl, now: Emptied, outcome: Outcome): RateControl {
  const { cost, retryAfterMs, worked } = outcome;
  const { perMs, chain, bucketMs, samples } = control;
  const proven = now.atMs - chain.atMs > EPISODE_MS && chain.atMs !== -Infinity ? mean(chain, now) : 0;
  let ceiling = proven;
  if (control.starting) {
    // What it was when the refused call was issued is half of it; and a Retry-After is the time that the call itself takes, at most.
    const asked = retryAfterMs === undefined || retryAfterMs % 1_000 === 0 ? Infinity : cost / retryAfterMs;
    ceiling = clamp(asked, perMs / 8, perMs / 2);
  }
  // The turn of the refused call counts here: the rate was there until it came. While starting this may be
  // what a large bucket gave: the next refusal tells then.
  for (const sample of samples) {
    const passedMs = now.fromMs - sample.atMs;
    if (passedMs >= SAMPLE_MS) ceiling = Math.max(ceiling, (worked - sample.worked) / (passedMs + bucketMs));
  }
  if (!control.starting) ceiling = saidBy(outcome, proven, perMs) ?? ceiling;
  ceiling = clamp(ceiling, perMs / 8, perMs);
  // Had it held more, the congestion would have come later: in what was probed above the last ceiling there is all that it gave.
  const gaveMs = control.starting ? 0 : addedMs(control, control.ceiling, now.fromMs, worked, control.cutAtMs, 0);
  return { ...control, ceiling, chain: now, latest: now, chainWorked: worked, proven, bucketMs: Math.min(FADING * bucketMs, gaveMs) };
}

/** The most that was delivered above a rate in any stretch that began after `afterMs` and ended at `endMs`, in milliseconds of the rate. */
function addedMs({ samples }: RateControl, rate: number, endMs: number, worked: number, afterMs: number, doubt: number): number {
  let most = 0;
  for (const sample of samples) {
    if (sample.atMs >= afterMs && sample.atMs < endMs)
      most = Math.max(most, (worked - sample.worked) / rate - (1 + doubt) * (endMs - sample.atMs));
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

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
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
