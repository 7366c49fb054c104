/** Averages that forget: a few numbers each, whatever the number of samples. All of them are values. */

/** An exponentially weighted average. The first samples count equally, so that it does not lean on its start. */
export interface Average {
  readonly samples: number;
  readonly mean: number;
}

export const NO_AVERAGE: Average = { samples: 0, mean: 0 };

/** Adds a sample; it counts for `weight` of the whole, or for its equal share while there are fewer than `equal`. */
export function averaged({ samples, mean }: Average, value: number, weight: number, equal = 1 / weight): Average {
  const share = samples < equal ? 1 / (samples + 1) : weight;
  return { samples: samples + 1, mean: mean + share * (value - mean) };
}

/** What happened lately, beside what has always been so. A new incarnation forgets the first and keeps the second. */
export interface Trend {
  readonly recent: Average;
  readonly history: Average;
  /** Of the newest sample. */
  readonly atMs: number;
}

export const NO_TREND: Trend = { recent: NO_AVERAGE, history: NO_AVERAGE, atMs: 0 };

/** A history looks back over so many samples and so much time, whichever is longer: then a new level is the normal one. */
const HISTORY_SAMPLES = 1_000;
const HISTORY_MS = 1_800_000;

export function trended({ recent, history, atMs }: Trend, value: number, nowMs: number, weight: number): Trend {
  const lastMs = Math.max(atMs, nowMs);
  const slow = Math.min(1 / HISTORY_SAMPLES, (lastMs - atMs) / HISTORY_MS);
  return { recent: averaged(recent, value, weight), history: averaged(history, value, slow, HISTORY_SAMPLES), atMs: lastMs };
}

/** An amount over time that fades with it: dollars, tokens, blocked milliseconds. */
export interface Rate {
  readonly samples: number;
  /** What is left of the amounts at `atMs`. */
  readonly sum: number;
  readonly atMs: number;
  readonly sinceMs: number;
}

export function noRate(sinceMs: number): Rate {
  return { samples: 0, sum: 0, atMs: sinceMs, sinceMs };
}

/** Adds an amount. Time never goes back: an older `atMs` counts as the newest known. */
export function rated(rate: Rate, amount: number, atMs: number, windowMs: number): Rate {
  const nowMs = Math.max(atMs, rate.atMs);
  const sum = rate.sum * Math.exp((rate.atMs - nowMs) / windowMs) + amount;
  return { samples: rate.samples + 1, sum, atMs: nowMs, sinceMs: rate.sinceMs };
}

/** One call is no rate: a younger rate is divided by this much time all the same. */
const YOUNGEST_MS = 30_000;

/** The rate per minute, as if `more` had just come. */
export function perMinute(rate: Rate, nowMs: number, windowMs: number, more = 0): number {
  const ageMs = Math.max(nowMs - rate.sinceMs, YOUNGEST_MS);
  const left = rate.sum * Math.exp(Math.min(0, rate.atMs - nowMs) / windowMs);
  return ((left + more) / (windowMs * -Math.expm1(-ageMs / windowMs))) * 60_000;
}

/** The middle one; of an even number, between the two in the middle. Undefined of none. `sorted` ascends. */
export function median(sorted: ArrayLike<number>): number | undefined {
  const { length } = sorted;
  if (length === 0) return undefined;
  return (sorted[(length - 1) >> 1]! + sorted[length >> 1]!) / 2;
}

/** The median of all but one that has this `value`, without looking for it: all that counts is on which side of the middle it is. */
export function medianOfOthers(sorted: ArrayLike<number>, value: number): number | undefined {
  const length = sorted.length - 1;
  if (length < 1) return undefined;
  const other = (at: number): number => sorted[sorted[at]! < value ? at : at + 1]!;
  return (other((length - 1) >> 1) + other(length >> 1)) / 2;
}
