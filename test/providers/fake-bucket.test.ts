import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import {
  charge,
  drain,
  fullBucket,
  fullInMs,
  overdraw,
  remaining,
  resizeBucket,
  waitMs,
} from '../../src/providers/fake/admission/bucket.ts';
import type { Bucket } from '../../src/providers/fake/admission/bucket.ts';

const rates = fc.integer({ min: 1, max: 100_000 });
const bursts = fc.integer({ min: 1, max: 5_000 });
const steps = fc.array(
  fc.record({ afterMs: fc.integer({ min: 0, max: 3_000 }), cost: fc.integer({ min: 1, max: 300 }), refund: fc.nat(100) }),
  { maxLength: 60 },
);

interface Taken {
  readonly atMs: number;
  readonly cost: number;
}

function take(bucket: Bucket, cost: number, nowMs: number): Bucket | null {
  return waitMs(bucket, cost, nowMs) === 0 ? charge(bucket, cost, nowMs) : null;
}

/**
 * The independent model: no level, only the history. What may be taken now is the capacity, less
 * what was taken since some moment of the past, plus what flowed in since; the worst moment counts.
 */
function levelOf(history: readonly Taken[], rate: bigint, capacity: bigint, nowMs: number): bigint {
  let worst = capacity;
  let takenSince = 0n;
  for (const { atMs, cost } of history.toReversed()) {
    const inflow = rate * BigInt(nowMs - atMs);
    // The bucket may have been full just after this event (a refund) or just before it.
    for (const since of [takenSince, takenSince + BigInt(cost) * 60_000n]) {
      const level = capacity - since + inflow;
      if (level < worst) worst = level;
    }
    takenSince += BigInt(cost) * 60_000n;
  }
  return worst;
}

describe('a token bucket', () => {
  test.prop([rates, bursts, steps])('decides like a model that keeps the whole history', (rate, burstMs, plan) => {
    let nowMs = 1_000;
    let bucket = fullBucket(rate, burstMs, nowMs);
    const capacity = BigInt(Math.max(60_000, rate * burstMs));
    const history: Taken[] = [];
    for (const { afterMs, cost, refund } of plan) {
      nowMs += afterMs;
      const needed = BigInt(cost) * 60_000n;
      const level = levelOf(history, BigInt(rate), capacity, nowMs);
      const expected = level >= (needed < capacity ? needed : capacity);
      const next = take(bucket, cost, nowMs);
      expect(next !== null).toBe(expected);
      if (next === null) continue;
      const givenBack = Math.min(refund, cost);
      bucket = charge(next, -givenBack, nowMs);
      history.push({ atMs: nowMs, cost }, { atMs: nowMs, cost: -givenBack });
    }
  });

  test.prop([rates, bursts, steps])('never issues more than rate * window + capacity, and one debt', (rate, burstMs, plan) => {
    let nowMs = 0;
    let bucket = fullBucket(rate, burstMs, nowMs);
    const capacity = Math.max(60_000, rate * burstMs);
    const taken: Taken[] = [];
    for (const { afterMs, cost } of plan) {
      nowMs += afterMs;
      const next = take(bucket, cost, nowMs);
      if (next === null) continue;
      bucket = next;
      taken.push({ atMs: nowMs, cost });
      // Each window that ends with this take.
      let issued = 0;
      const debt = Math.max(0, cost * 60_000 - capacity);
      for (const { atMs, cost: earlier } of taken.toReversed()) {
        issued += earlier * 60_000;
        expect(issued).toBeLessThanOrEqual(rate * (nowMs - atMs) + capacity + debt);
      }
    }
  });

  test.prop([rates, bursts, steps])('names the exact wait: enough, and not a millisecond too long', (rate, burstMs, plan) => {
    let nowMs = 0;
    let bucket = fullBucket(rate, burstMs, nowMs);
    for (const { afterMs, cost } of plan) {
      nowMs += afterMs;
      const wait = waitMs(bucket, cost, nowMs);
      expect(waitMs(bucket, cost, nowMs + wait)).toBe(0);
      if (wait > 0) expect(waitMs(bucket, cost, nowMs + wait - 1)).toBe(1);
      bucket = wait === 0 ? charge(bucket, cost, nowMs) : bucket;
    }
  });

  test.prop([rates, bursts, steps])('lets nobody starve: whoever waits as told is let in', (rate, burstMs, plan) => {
    let nowMs = 0;
    let bucket = fullBucket(rate, burstMs, nowMs);
    for (const { cost } of plan) {
      nowMs += waitMs(bucket, cost, nowMs);
      const next = take(bucket, cost, nowMs);
      expect(next).not.toBeNull();
      bucket = next ?? bucket;
    }
  });

  test('lets a call above its capacity in when full, and makes the next wait for the debt', () => {
    const full = fullBucket(600, 1_000, 0); // capacity 10, one each 100 ms
    const indebted = take(full, 25, 0);
    expect(indebted).not.toBeNull();
    expect(waitMs(indebted ?? full, 1, 0)).toBe(1_600);
    expect(remaining(indebted ?? full, 0)).toBe(0);
  });

  test('does not let a call above its capacity in when one unit is missing', () => {
    expect(waitMs(charge(fullBucket(600, 1_000, 0), 1, 0), 25, 0)).toBe(100);
  });

  test('holds at least one unit, however short the burst', () => {
    expect(remaining(fullBucket(6, 1, 0), 0)).toBe(1);
  });

  test('neither loses nor gains when the clock goes back', () => {
    const full = fullBucket(600, 1_000, 5_000);
    expect(remaining(full, 4_000)).toBe(10);
    const empty = charge(full, 10, 5_000);
    expect(remaining(charge(charge(empty, 0, 5_100), 0, 5_000), 5_100)).toBe(1);
  });

  test('loses what is given back above its capacity', () => {
    expect(remaining(charge(fullBucket(600, 1_000, 0), -5, 0), 0)).toBe(10);
  });

  test('drains to empty and no further, and makes no debt deeper', () => {
    const indebted = charge(fullBucket(600, 1_000, 0), 12, 0);
    expect(fullInMs(drain(fullBucket(600, 1_000, 0), 99, 0), 0)).toBe(1_000);
    expect(fullInMs(drain(indebted, 1, 0), 0)).toBe(1_200);
  });

  test('keeps its debt and gains nothing when it is resized', () => {
    const indebted = charge(fullBucket(600, 1_000, 0), 12, 0);
    expect(waitMs(resizeBucket(indebted, 1_200, 1_000, 0), 1, 0)).toBe(150);
    expect(remaining(resizeBucket(fullBucket(600, 1_000, 0), 1_200, 1_000, 0), 0)).toBe(10);
    expect(remaining(resizeBucket(fullBucket(600, 1_000, 0), 60, 1_000, 0), 0)).toBe(1);
  });

  test('without a limit lets everything in, and starts full when a limit comes', () => {
    const open = charge(fullBucket(Infinity, 1_000, 0), 1e9, 0);
    expect(waitMs(open, 1e9, 1)).toBe(0);
    expect(remaining(resizeBucket(open, 600, 1_000, 1), 1)).toBe(10);
  });

  test('without a limit stays without one when the burst is zero, and the limit that comes counts', () => {
    const resized = resizeBucket(charge(fullBucket(Infinity, 0, 0), 5, 0), 600, 1_000, 0);
    expect(remaining(resized, 0)).toBe(10);
    expect(waitMs(charge(resized, 10, 0), 1, 0)).toBe(100);
  });

  test('is overdrawn to the stated depth and no further, or by one cost that is deeper', () => {
    const full = fullBucket(600, 1_000, 0); // capacity 10
    const waitAfter = (...costs: number[]) =>
      waitMs(
        costs.reduce((bucket, cost) => overdraw(bucket, cost, 2_000, 0), full),
        1,
        0,
      );
    expect(waitAfter(12)).toBe(300);
    expect(waitAfter(20, 20, 20)).toBe(3_100); // 10 of capacity and 2 s of the rate: 30 deep
    expect(waitAfter(60)).toBe(5_100); // 50 deep
    expect(waitAfter(60, 1)).toBe(5_100);
    expect(overdraw(fullBucket(Infinity, 0, 0), 5, 2_000, 0).scaledLevel).toBe(Infinity);
  });
});
