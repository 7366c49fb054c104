import { test as propertyTest, fc } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import {
  averaged,
  median,
  medianOfOthers,
  NO_AVERAGE,
  NO_TREND,
  noRate,
  perMinute,
  rated,
  trended,
} from '../../../supervisors/meta-agent/averages.ts';
import { ACCURACY, quantile, sketched } from '../../../supervisors/meta-agent/sketch.ts';
import type { Sketch } from '../../../supervisors/meta-agent/sketch.ts';

/** Added three at a time. */
function sketchOf(values: readonly number[], fading = 0): Sketch | undefined {
  let sketch: Sketch | undefined;
  for (let at = 0; at < values.length; at += 3) sketch = sketched(sketch, values.slice(at, at + 3), fading);
  return sketch;
}

/** The definition: the smallest value that a share `q` of the weight does not exceed. */
function exactQuantile(values: readonly number[], q: number, fading: number): number {
  const weighted = values.map((value, at) => ({ value, weight: (1 - fading) ** (values.length - 1 - at) }));
  const total = weighted.reduce((sum, { weight }) => sum + weight, 0);
  let passed = 0;
  for (const { value, weight } of weighted.toSorted((a, b) => a.value - b.value)) {
    passed += weight;
    if (passed >= q * total * (1 - 1e-9)) return value;
  }
  throw new Error('of nothing');
}

const durations = fc.array(fc.double({ min: 1, max: 3_500_000, noNaN: true }), { minLength: 1, maxLength: 200 });
const within = (got: number, exact: number): void => {
  expect(Math.abs(got - exact) / exact).toBeLessThanOrEqual(ACCURACY * 1.0001);
};

describe('the sketch', () => {
  propertyTest.prop([durations, fc.double({ min: 0, max: 1, noNaN: true })], { numRuns: 2_000 })(
    'any quantile of any durations is within 5 % of the true one',
    (values, q) => within(quantile(sketchOf(values)!, q), exactQuantile(values, q, 0)),
  );

  propertyTest.prop([durations, fc.constantFrom(0.5, 0.9, 0.99), fc.constantFrom(0.002, 0.05, 0.3)], { numRuns: 2_000 })(
    'also when old values fade',
    (values, q, fading) => within(quantile(sketchOf(values, fading)!, q), exactQuantile(values, q, fading)),
  );

  test('a sketch is a value: adding to it leaves it as it was', () => {
    const before = sketchOf([10])!;
    sketched(before, [1_000], 0.1);
    expect(quantile(before, 1)).toBeCloseTo(10, 0);
    expect(before.total).toBe(1);
  });

  test('after a lasting change the p99 follows within a few hundred values', () => {
    const changed = [...Array.from({ length: 5_000 }, () => 100), ...Array.from({ length: 20 }, () => 1_000)];
    within(quantile(sketchOf(changed, 1 / 500)!, 0.99), 1_000);
    const back = [...changed, ...Array.from({ length: 1_000 }, () => 100)];
    within(quantile(sketchOf(back, 1 / 500)!, 0.99), 100);
  });

  test.each([
    [0, 1],
    [0.2, 1],
    [Number.NaN, 1],
    [-5, 1],
    [Infinity, 3_600_000],
    [9e9, 3_600_000],
  ])('a duration of %d counts as the nearest border', (value, border) => {
    expect(Math.abs(quantile(sketchOf([value])!, 0.5) / border - 1)).toBeLessThan(0.11);
  });

  test('of nothing the quantile is 0', () => {
    expect(quantile({ weights: new Float64Array(10), total: 0 }, 0.5)).toBe(0);
  });
});

describe('averages', () => {
  propertyTest.prop([fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 10 })])(
    'the first samples count equally: there is no lean to the start',
    (values) => {
      const average = values.reduce((sum, value) => averaged(sum, value, 0.1), NO_AVERAGE);
      expect(average.samples).toBe(values.length);
      expect(average.mean).toBeCloseTo(values.reduce((a, b) => a + b) / values.length, 5);
    },
  );

  test('later ones push older ones out', () => {
    let average = NO_AVERAGE;
    for (let at = 0; at < 1_000; at += 1) average = averaged(average, 1, 0.1);
    for (let at = 0; at < 30; at += 1) average = averaged(average, 0, 0.1);
    expect(average.mean).toBeCloseTo(0.9 ** 30, 9);
  });

  test('a history takes a new level for normal neither after many samples alone nor after a long time alone', () => {
    let trend = NO_TREND;
    for (let at = 0; at < 2_000; at += 1) trend = trended(trend, 1, at * 1_000, 0.1);
    // Ten thousand within ten seconds.
    let burst = trend;
    for (let at = 0; at < 10_000; at += 1) burst = trended(burst, 2, 2_000_000 + at, 0.1);
    expect(burst.recent.mean).toBeCloseTo(2, 3);
    expect(burst.history.mean).toBeLessThan(1.02);
    // A few over hours.
    let rare = trend;
    for (let at = 0; at < 10; at += 1) rare = trended(rare, 2, 2_000_000 + at * 3_600_000, 0.1);
    expect(rare.history.mean).toBeLessThan(1.02);
    let both = trend;
    for (let at = 0; at < 3_000; at += 1) both = trended(both, 2, 2_000_000 + at * 4_000, 0.1);
    expect(both.history.mean).toBeGreaterThan(1.9);
  });

  test('a steady rate is read as it is, young or old, and fades when nothing comes', () => {
    let rate = noRate(0);
    for (let atMs = 1_000; atMs <= 600_000; atMs += 1_000) {
      rate = rated(rate, 2, atMs, 120_000);
      if (atMs >= 60_000) expect(Math.abs(perMinute(rate, atMs, 120_000) - 120)).toBeLessThan(4);
    }
    expect(perMinute(rate, 600_000 + 120_000, 120_000)).toBeCloseTo(120 / Math.E, 0);
    expect(perMinute(rate, 1e9, 120_000)).toBeCloseTo(0, 9);
  });

  test('the first amount of a young rate is no flood', () => {
    expect(perMinute(rated(noRate(0), 1, 1, 120_000), 1, 120_000)).toBeLessThan(2.3);
  });

  test('news from before the last news counts as of then', () => {
    const rate = rated(rated(noRate(0), 1, 60_000, 120_000), 1, 1_000, 120_000);
    expect(rate).toMatchObject({ atMs: 60_000, sum: 2, samples: 2 });
  });

  propertyTest.prop([fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 20 }), fc.nat(19)])(
    'the median of the others leaves that one out',
    (values, at) => {
      const sorted = values.toSorted((a, b) => a - b);
      fc.pre(at < sorted.length);
      expect(medianOfOthers(sorted, sorted[at]!)).toBe(median(sorted.toSpliced(at, 1)));
    },
  );

  test('of nothing there is no median', () => {
    expect(median([])).toBeUndefined();
    expect(medianOfOthers([1], 1)).toBeUndefined();
  });
});
