/** What strategies count by: calls of a while, scores of the last replies. Against lists of all of them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { meanScore, scored, scoredCount, scoresOf } from '../../../actors/breaker/quality.ts';
import { counted, rolled, windowOf } from '../../../actors/breaker/window.ts';

describe('a window', () => {
  test('counts what is younger than nine tenths of it, and nothing that is older than all of it', () => {
    const calls = fc.array(fc.record({ afterMs: fc.oneof(fc.nat(20), fc.nat(2_000)), marked: fc.boolean() }), {
      maxLength: 100,
      size: 'max',
    });
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 3_000 }), calls, (windowMs, arrivals) => {
        let window = windowOf(windowMs, 0);
        let nowMs = 0;
        const seen: { atMs: number; marked: boolean }[] = [];
        for (const { afterMs, marked } of arrivals) {
          nowMs += afterMs;
          window = counted(rolled(window, nowMs), 1, marked ? 1 : 0);
          seen.push({ atMs: nowMs, marked });
          const within = (ms: number) => seen.filter(({ atMs }) => nowMs - atMs < ms);
          const [least, most] = [within(0.9 * windowMs - 1e-6), within(windowMs + 1e-6)];
          expect(window.calls).toBeGreaterThanOrEqual(least.length);
          expect(window.calls).toBeLessThanOrEqual(most.length);
          expect(window.marked).toBeGreaterThanOrEqual(least.filter((call) => call.marked).length);
          expect(window.marked).toBeLessThanOrEqual(most.filter((call) => call.marked).length);
          expect(window.past.length).toBeLessThan(10);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('whose slices are no whole milliseconds drops no slice at a boundary that rounds', () => {
    // 167.3 ms a slice: 9 * 167.3 and then 167.3 more add up to 1673, and their quotient to just below 10.
    let window = windowOf(1_673, 6_687);
    for (const atMs of [8_297, 8_360, 9_672, 9_699]) window = counted(rolled(window, atMs), 1, 0);
    expect(window.calls).toBe(4);
  });

  test('goes on after a clock that went back', () => {
    const behind = rolled(counted(windowOf(1_000, 10_000), 3, 1), 5_000);
    expect(behind).toMatchObject({ calls: 3, marked: 1 });
    expect(rolled(behind, 6_000)).toMatchObject({ calls: 0, marked: 0 });
  });
});

describe('the mean of the last scores', () => {
  test('is exact to a millionth, over any number of them', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(fc.integer({ min: 0, max: 1_000_000 }), { minLength: 1, maxLength: 60, size: 'max' }),
        (outOf, millionths) => {
          let scores = scoresOf(outOf);
          for (const [index, each] of millionths.entries()) {
            scores = scored(scores, each / 1_000_000);
            const last = millionths.slice(0, index + 1).slice(-outOf);
            expect(scoredCount(scores)).toBe(last.length);
            expect(scores.sum).toBe(last.reduce((sum, score) => sum + score, 0));
            expect(meanScore(scores)).toBeCloseTo(scores.sum / last.length / 1_000_000, 12);
          }
        },
      ),
    );
  });
});
