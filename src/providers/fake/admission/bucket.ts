/**
 * Token bucket: `ratePerMinute` flows in, at most `burstMs` worth of it is kept, calls take from it.
 *
 * Rule of debt: a cost above the capacity is let through by a full bucket and leaves it below zero,
 * else such a call could never run. The next call waits until the debt has flowed back in.
 *
 * Invariant: between two accepted calls `window` apart, both counted, at most
 * `capacity + rate * window + max(0, cost of the last - capacity)` was taken.
 *
 * Amounts inside are scaled by 60 000: a rate per minute times milliseconds is then a whole number,
 * and no rounding invents or loses anything.
 */
const SCALE = 60_000;

/** A bucket as plain data. `nowMs` is always an argument; the bucket never reads a clock. */
export interface Bucket {
  /** Units that flow in per minute. `Infinity` means no limit. */
  readonly ratePerMinute: number;
  /** The most that is kept, in units times 60 000. */
  readonly scaledCapacity: number;
  /** What is there at `atMs`, in units times 60 000. Below zero it is a debt. */
  readonly scaledLevel: number;
  readonly atMs: number;
}

/** A full bucket. Capacity: what flows in during `burstMs`, and at least one unit. */
export function fullBucket(ratePerMinute: number, burstMs: number, nowMs: number): Bucket {
  // Infinity times zero is NaN.
  const scaledCapacity = ratePerMinute === Infinity ? Infinity : Math.max(SCALE, ratePerMinute * burstMs);
  return { ratePerMinute, scaledCapacity, scaledLevel: scaledCapacity, atMs: nowMs };
}

/** How long `cost` must wait, in whole milliseconds. 0: it may be taken now. Exact, if nobody else takes. */
export function waitMs(bucket: Bucket, cost: number, nowMs: number): number {
  const needed = Math.min(cost * SCALE, bucket.scaledCapacity);
  const missing = needed - refill(bucket, nowMs).scaledLevel;
  return missing > 0 ? Math.ceil(missing / bucket.ratePerMinute) : 0;
}

/**
 * Takes `cost` without asking: ask `waitMs` first, or mean it (usage above the estimate makes a debt).
 * A negative cost gives back; what no longer fits is lost.
 */
export function charge(bucket: Bucket, cost: number, nowMs: number): Bucket {
  const refilled = refill(bucket, nowMs);
  return { ...refilled, scaledLevel: Math.min(bucket.scaledCapacity, refilled.scaledLevel - cost * SCALE) };
}

/** Takes `cost`, or what is left of it: never makes a debt, never makes one deeper. */
export function drain(bucket: Bucket, cost: number, nowMs: number): Bucket {
  const refilled = refill(bucket, nowMs);
  const drained = Math.max(0, refilled.scaledLevel - cost * SCALE);
  return { ...refilled, scaledLevel: Math.min(refilled.scaledLevel, drained) };
}

/**
 * Takes `cost` without asking, into a debt of at most the capacity and `debtMs` worth of the rate, or of
 * this cost where that is more. A debt that is deeper already gets no deeper.
 */
export function overdraw(bucket: Bucket, cost: number, debtMs: number, nowMs: number): Bucket {
  // Infinity less Infinity is NaN.
  if (bucket.ratePerMinute === Infinity) return bucket;
  const refilled = refill(bucket, nowMs);
  const deepest = -Math.max(bucket.scaledCapacity + bucket.ratePerMinute * debtMs, cost * SCALE);
  const overdrawn = Math.max(deepest, refilled.scaledLevel - cost * SCALE);
  return { ...refilled, scaledLevel: Math.min(refilled.scaledLevel, overdrawn) };
}

/** The same bucket with another rate. A debt stays; what no longer fits is lost; nothing is given. */
export function resizeBucket(bucket: Bucket, ratePerMinute: number, burstMs: number, nowMs: number): Bucket {
  const full = fullBucket(ratePerMinute, burstMs, nowMs);
  if (ratePerMinute === Infinity) return full;
  return { ...full, scaledLevel: Math.min(full.scaledCapacity, refill(bucket, nowMs).scaledLevel) };
}

/** Whole units that could be taken one by one now; never below zero. */
export function remaining(bucket: Bucket, nowMs: number): number {
  return Math.max(0, Math.floor(refill(bucket, nowMs).scaledLevel / SCALE));
}

/** Whole milliseconds until the bucket is full, if nobody takes. */
export function fullInMs(bucket: Bucket, nowMs: number): number {
  const missing = bucket.scaledCapacity - refill(bucket, nowMs).scaledLevel;
  return missing > 0 ? Math.ceil(missing / bucket.ratePerMinute) : 0;
}

function refill(bucket: Bucket, nowMs: number): Bucket {
  // Infinity times zero is NaN; and a clock that went back must neither take away nor give twice.
  if (bucket.ratePerMinute === Infinity || nowMs <= bucket.atMs) return bucket;
  const inflow = bucket.ratePerMinute * (nowMs - bucket.atMs);
  return { ...bucket, scaledLevel: Math.min(bucket.scaledCapacity, bucket.scaledLevel + inflow), atMs: nowMs };
}
