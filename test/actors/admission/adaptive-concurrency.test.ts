import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { adapted, concurrencyControlOf, roomOf } from '../../../actors/admission/adaptive-concurrency.ts';
import type { ConcurrencyAdaptSpec, ConcurrencyControl, FlightSample } from '../../../actors/admission/adaptive-concurrency.ts';

const sample = (over: Partial<FlightSample> = {}): FlightSample => ({
  dropped: false,
  latencyMs: 100,
  inFlight: 1_000,
  grantedMs: 0,
  timeMs: 0,
  ...over,
});

function fed(control: ConcurrencyControl, samples: readonly FlightSample[]): ConcurrencyControl {
  return samples.reduce(adapted, control);
}

describe('aimd', () => {
  test('CL-01: begins with room for ten', () => {
    expect(roomOf(concurrencyControlOf({ by: 'aimd' }))).toBe(10);
  });

  test('CL-02: a call that goes well while half of the room is used adds exactly one', () => {
    expect(adapted(concurrencyControlOf({ by: 'aimd', start: 20 }), sample({ inFlight: 10 })).limit).toBe(21);
  });

  test('CL-03: a dropped call leaves the backoff ratio of the limit', () => {
    expect(adapted(concurrencyControlOf({ by: 'aimd', start: 30, backoffRatio: 0.9 }), sample({ dropped: true })).limit).toBe(27);
  });

  test('CL-04: the limit stays at its most', () => {
    expect(adapted(concurrencyControlOf({ by: 'aimd', start: 21, most: 21 }), sample({ inFlight: 10 })).limit).toBe(21);
  });

  test('a call that goes well while less than half of the room is used adds nothing', () => {
    expect(adapted(concurrencyControlOf({ by: 'aimd', start: 20 }), sample({ inFlight: 9 })).limit).toBe(20);
  });

  test('calls that were issued before a cut do not cut again', () => {
    const dropped = [sample({ dropped: true, grantedMs: 0, timeMs: 50 }), sample({ dropped: true, grantedMs: 49, timeMs: 60 })];
    expect(fed(concurrencyControlOf({ by: 'aimd', start: 100, backoffRatio: 0.5 }), dropped).limit).toBe(50);
  });

  describe('CL-24: two clients that share a room', () => {
    type Pair = readonly [ConcurrencyControl, ConcurrencyControl];
    type Growth = (client: ConcurrencyControl) => ConcurrencyControl;

    /** Both grow once a round, and both are cut when together they want more than there is. */
    function afterCuts(cuts: number, starts: readonly [number, number], backoffRatio: number, capacity: number, grow: Growth): Pair {
      const begin = (start: number): ConcurrencyControl => concurrencyControlOf({ by: 'aimd', start, backoffRatio, most: capacity });
      let [a, b]: Pair = [begin(starts[0]), begin(starts[1])];
      for (let round = 0, made = 0; made < cuts; round += 1) {
        [a, b] = [grow(a), grow(b)];
        if (a.limit + b.limit <= capacity) continue;
        const refused = sample({ dropped: true, grantedMs: round, timeMs: round });
        [a, b] = [adapted(a, refused), adapted(b, refused)];
        made += 1;
      }
      return [a, b];
    }
    const jain = ([{ limit: a }, { limit: b }]: Pair): number => (a + b) ** 2 / (2 * (a * a + b * b));
    const oneMore: Growth = (client) => adapted(client, sample());

    // The row's numbers, and those of a model of two fractions that knows nothing of this code.
    test.each([
      [5, 0.5, 9.4375, 10.625, 0.9965],
      [8, 0.5, 9.9297, 10.0781, 0.9999],
      [20, 0.5, 10, 10, 1],
      [5, 0.9, 7.3712, 29.8098, 0.733],
      [20, 0.9, 15.8116, 20.4315, 0.984],
    ])('from 1 and 39 of 40, after %i cuts to x%d, have %d and %d: index %d', (cuts, backoffRatio, low, high, index) => {
      const pair = afterCuts(cuts, [1, 39], backoffRatio, 40, oneMore);
      expect(pair[0].limit).toBeCloseTo(low, 3);
      expect(pair[1].limit).toBeCloseTo(high, 3);
      expect(jain(pair)).toBeCloseTo(index, 3);
    });

    // Why it adds: the cuts alone keep the ratio of the two. This is the growth of another law, with our cut. A
    // hundred times the row's numbers, since no limit goes below 1.
    test.each([1, 5, 20])('never come nearer to each other if they grow x1.1 instead: %i cuts', (cuts) => {
      const tenthMore: Growth = (client) => ({ ...client, limit: client.limit * 1.1 });
      const pair = afterCuts(cuts, [100, 3_900], 0.5, 4_000, tenthMore);
      expect(jain(pair)).toBeCloseTo(0.5256, 4);
      expect(pair[1].limit / pair[0].limit).toBeCloseTo(39, 6);
    });
  });
});

describe('gradient2', () => {
  const spec: ConcurrencyAdaptSpec = { by: 'gradient2', start: 20, most: 500 };

  test('grows by a queue of the square root while latency is as ever', () => {
    const next = adapted(concurrencyControlOf(spec), sample());
    expect(next.limit).toBeCloseTo(20 + 0.2 * Math.sqrt(20), 10);
  });

  test('is cut when calls become much slower than their long mean, and comes back when they are quick again', () => {
    const quick = fed(
      concurrencyControlOf(spec),
      Array.from({ length: 300 }, () => sample()),
    );
    const slow = fed(
      quick,
      Array.from({ length: 30 }, () => sample({ latencyMs: 1_000 })),
    );
    expect(slow.limit).toBeLessThan(quick.limit / 2);
    const again = fed(
      slow,
      Array.from({ length: 300 }, () => sample()),
    );
    expect(again.limit).toBeGreaterThan(slow.limit * 2);
  });

  test('does not grow while less than half of the room is used', () => {
    expect(adapted(concurrencyControlOf(spec), sample({ inFlight: 9 })).limit).toBe(20);
  });

  test('a dropped call halves it', () => {
    expect(adapted(concurrencyControlOf(spec), sample({ dropped: true })).limit).toBe(10);
  });
});

test('whatever is reported, a limit stays within its bounds', () => {
  const latency = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -1, 0, Number.MAX_VALUE));
  const history = fc.array(
    fc.record({
      dropped: fc.boolean(),
      latencyMs: latency,
      inFlight: fc.oneof(fc.nat(), fc.constant(NaN)),
      grantedMs: fc.nat(),
      timeMs: fc.nat(),
    }),
  );
  fc.assert(
    fc.property(
      fc.constantFrom('aimd' as const, 'gradient2' as const),
      fc.integer({ min: 1, max: 50 }),
      fc.nat(100),
      history,
      (by, least, more, samples) => {
        let control = concurrencyControlOf({ by, least, most: least + more });
        for (const each of samples) {
          control = adapted(control, each);
          expect(roomOf(control)).toBeGreaterThanOrEqual(least);
          expect(roomOf(control)).toBeLessThanOrEqual(least + more);
        }
      },
    ),
  );
});

test.each([NaN, -5, 0])('a bound of %d makes no sense and is left to its default', (nonsense) => {
  expect(roomOf(concurrencyControlOf({ by: 'aimd', start: nonsense, least: nonsense, most: nonsense }))).toBe(10);
});
