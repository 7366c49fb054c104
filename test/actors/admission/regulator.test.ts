import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  charged,
  countsTokens,
  earliestMs,
  largestIfTooLarge,
  reconfigured,
  regulatorOf,
  settled,
  SLICE_GRACE_MS,
  sliced,
} from '../../../actors/admission/regulator.ts';
import type { CallReport, Cost, LimiterLimits, Regulator } from '../../../actors/admission/regulator.ts';

const call = (input: number, output = 0): Cost => ({ input, output, slots: 1 });
const fine = (cost: Cost, over: Partial<CallReport> = {}): CallReport => ({
  end: 'ok',
  usedInput: cost.input,
  usedOutput: cost.output,
  latencyMs: 10,
  ...over,
});
const home = (regulator: Regulator, cost: Cost, report: CallReport, timeMs: number): Regulator =>
  settled(regulator, regulator.plan, cost, report, true, timeMs);

/** How many calls are admitted in a time, one after the other, as soon as each may go. */
function admittedIn(start: Regulator, cost: Cost, fromMs: number, untilMs: number): { readonly calls: number; readonly after: Regulator } {
  let [after, calls] = [start, 0];
  for (let timeMs = earliestMs(after, cost, fromMs); timeMs < untilMs; timeMs = earliestMs(after, cost, timeMs)) {
    after = charged(after, cost, timeMs);
    calls += 1;
  }
  return { calls, after };
}

describe('what is learned', () => {
  test('nothing, unless it is asked for', () => {
    const limits: LimiterLimits = { requestsPerMinute: 60 };
    const regulator = home(charged(regulatorOf(limits), call(5), 0), call(5), fine(call(5), { end: 'rate-limited' }), 10);
    expect([regulator.rate, regulator.flight]).toEqual([undefined, undefined]);
  });

  test('needs no declared limit: a second call waits for the first at the rate to begin with', () => {
    const regulator = charged(regulatorOf({ adapt: 'aimd' }), call(500, 500), 0);
    expect(earliestMs(regulator, call(1), 0)).toBe(1_000);
    expect(countsTokens(regulator)).toBe(true);
  });

  test('is in requests when calls have no estimate', () => {
    const regulator = charged(regulatorOf({ adapt: 'aimd' }), call(0), 0);
    expect(regulator.rate?.plan.unit).toBe('requests');
    expect(countsTokens(regulator)).toBe(false);
  });

  test('never goes above what is declared', () => {
    let regulator = regulatorOf({ adapt: 'aimd', tokensPerMinute: 120_000, safetyMargin: 0, burstMs: 0 });
    for (let timeMs = 0; timeMs < 120_000; timeMs = earliestMs(regulator, call(100), timeMs))
      regulator = home(charged(regulator, call(100), timeMs), call(100), fine(call(100)), timeMs);
    expect(regulator.rate!.perMs).toBe(2);
  });

  test('a call that is huge for the rate delays the next by a minute and no more', () => {
    const regulator = charged(charged(regulatorOf({ adapt: 'aimd' }), call(1e9), 0), call(1e9), 0);
    expect(earliestMs(regulator, call(1), 0)).toBe(60_000);
  });

  test('what an estimate had too much comes back, what a refused call had asked for does not', () => {
    const cost = call(1_000, 1_000);
    const first = charged(regulatorOf({ adapt: 'aimd' }), cost, 0);
    expect(earliestMs(home(first, cost, fine(cost, { usedOutput: 0 }), 10), call(1), 10)).toBeCloseTo(1_000, -2);
    const refused = fine(cost, { end: 'rate-limited', usedInput: 0, usedOutput: 0, retryAfterMs: 1 });
    // The cut makes it longer.
    expect(earliestMs(home(first, cost, refused, 10), call(1), 10)).toBeGreaterThanOrEqual(2_000);
  });

  test('survives other limits, and is forgotten when it is to be learned in another way', () => {
    const cost = call(100);
    const cut = home(charged(regulatorOf({ adapt: 'aimd' }), cost, 0), cost, fine(cost, { end: 'rate-limited' }), 10);
    expect(reconfigured(cut, { adapt: 'aimd', concurrency: 3 }, 20).rate).toEqual(cut.rate);
    expect(reconfigured(cut, { adapt: { rate: { startPerMinute: 7 } } }, 20).rate).toBeUndefined();
  });

  test('gradient: room in flight follows the calls, within what is declared', () => {
    let regulator = regulatorOf({ adapt: 'gradient', concurrency: 25 });
    expect(regulator.concurrency).toBe(20);
    for (let each = 0; each < 100; each += 1) regulator = home(charged(regulator, call(0), each), call(0), fine(call(0)), each);
    expect(regulator.concurrency).toBe(25);
    regulator = home(regulator, call(0), fine(call(0), { end: 'overloaded', grantedMs: 100 }), 101);
    expect(regulator.concurrency).toBe(12);
  });

  test('a dependency that fails far more than usual is cut', () => {
    let regulator = charged(regulatorOf({ adapt: 'aimd' }), call(0), 0);
    let timeMs = 0;
    const end = (as: CallReport['end']): void => {
      timeMs = Math.max(timeMs + 100, earliestMs(regulator, call(0), timeMs));
      regulator = home(charged(regulator, call(0), timeMs), call(0), fine(call(0), { end: as }), timeMs + 1);
    };
    for (let each = 0; each < 200; each += 1) end('ok');
    const before = regulator.rate!.perMs;
    for (let each = 0; each < 20; each += 1) end('failed');
    expect(regulator.rate!.perMs).toBeLessThan(before);
  });
});

test('a dependency that has become slow is cut gently, once, however long it stays so', () => {
  let regulator = charged(regulatorOf({ adapt: 'aimd' }), call(0), 0);
  let timeMs = 0;
  const took = (latencyMs: number): void => {
    timeMs = Math.max(timeMs + 100, earliestMs(regulator, call(0), timeMs));
    regulator = home(charged(regulator, call(0), timeMs), call(0), fine(call(0), { latencyMs }), timeMs);
  };
  for (let each = 0; each < 300; each += 1) took(100);
  const before = regulator.rate!.perMs;
  let least = before;
  for (let each = 0; each < 500; each += 1) {
    took(1_000);
    least = Math.min(least, regulator.rate!.perMs);
  }
  expect(least).toBeLessThan(before);
  expect(least).toBeGreaterThan(0.7 * before);
});

test('beside a bucket that holds no more than a call, nothing comes back to the learned rate', () => {
  const cost = call(1_000);
  const miss = fine(cost, { end: 'rate-limited', retryAfterMs: 2, grantedMs: 0 });
  const refused = home(charged(regulatorOf({ adapt: 'aimd' }), cost, 0), cost, miss, 10);
  expect(refused.rate!.tight).toBe(true);
  const next = charged(refused, cost, 5_000);
  expect(settled(next, next.plan, cost, fine(cost, { usedInput: 1 }), false, 5_010).learnedTatMs).toBeGreaterThanOrEqual(next.learnedTatMs);
});

describe('after a refusal, whose Retry-After says when there is enough for it', () => {
  const cost = call(1_000);
  const charge = (regulator: Regulator): Regulator => charged(regulator, cost, 0);
  const refused = home(
    charge(regulatorOf({ adapt: 'aimd' })),
    cost,
    fine(cost, { end: 'rate-limited', retryAfterMs: 501, grantedMs: 0 }),
    10,
  );
  const { ceiling } = refused.rate!;

  test('a call that is larger waits until there is enough for it too', () => {
    expect(earliestMs(refused, call(3_000), 10)).toBeGreaterThanOrEqual(511 + 2_000 / ceiling);
  });

  test('a smaller one goes before, at its turn', () => {
    expect(earliestMs(refused, call(10), 10)).toBe(Math.max(511, refused.learnedTatMs));
  });

  test('without one the size of the next call makes no difference', () => {
    const before = charge(regulatorOf({ adapt: 'aimd' }));
    expect(earliestMs(before, call(3_000), 10)).toBe(earliestMs(before, call(10), 10));
  });

  test('one that is larger than anything waits for ten seconds and no more', () => {
    const largest = earliestMs(refused, call(1e12), 10);
    expect(largest).toBeLessThan(511 + 10_100);
  });
});

describe('remaining quota', () => {
  const cost = call(100);
  const after = (tokens: NonNullable<CallReport['quota']>['tokens'], over: Partial<CallReport> = {}): number =>
    earliestMs(
      home(charged(regulatorOf({}), cost, 0), cost, fine(cost, { quota: { ...(tokens && { tokens }) }, ...over }), 1_000),
      cost,
      1_000,
    );

  test('of less than a call holds it until it has flowed in', () => {
    expect(after({ limit: 1_000, left: 50, resetMs: 9_500 })).toBe(1_500);
  });

  test('of more than a call holds nobody', () => {
    expect(after({ limit: 1_000, left: 500, resetMs: 9_500 })).toBe(1_000);
  });

  test('is believed for a minute', () => {
    expect(after({ limit: 1_000, left: 0, resetMs: 1e12 })).toBe(61_000);
  });

  test('that an old answer tells of is not believed', () => {
    expect(after({ limit: 1_000, left: 0, resetMs: 9_500 }, { latencyMs: 20_000 })).toBe(1_000);
  });

  test.each([NaN, Infinity, -1, -Infinity])('%d in it says nothing', (nonsense) => {
    expect(after({ limit: nonsense, left: 0, resetMs: 1_000 })).toBe(1_000);
    expect(after({ limit: 1_000, left: nonsense, resetMs: 1_000 })).toBe(1_000);
    expect(after({ limit: 1_000, left: 500, resetMs: nonsense })).toBe(1_000);
  });
});

describe('a slice', () => {
  const limits: LimiterLimits = { requestsPerMinute: 600, concurrency: 10, safetyMargin: 0, burstMs: 0 };

  test('of a quarter admits a quarter of the rate, and has a quarter of the room', () => {
    const whole = admittedIn(regulatorOf(limits), call(0), 0, 60_000).calls;
    const part = sliced(regulatorOf(limits), 0.25, 60_000, 0);
    expect(admittedIn(part, call(0), 0, 60_000).calls).toBe(whole / 4);
    expect(part.concurrency).toBe(2);
  });

  test('that is not renewed admits nothing after its end and the grace, until it is', () => {
    const part = sliced(regulatorOf(limits), 0.5, 10_000, 0);
    const { calls, after } = admittedIn(part, call(0), 0, 100_000);
    expect(calls).toBe((5 * (10_000 + SLICE_GRACE_MS)) / 1_000 + 1);
    expect(earliestMs(after, call(0), 50_000)).toBe(Infinity);
    expect(earliestMs(sliced(after, 0.5, 60_000, 50_000), call(0), 50_000)).toBe(50_000);
  });

  test('keeps what is owed when its share changes', () => {
    const owing = charged(sliced(regulatorOf(limits), 1, 1e6, 0), call(0), 0);
    expect(earliestMs(sliced(owing, 0.1, 1e6, 0), call(0), 0)).toBe(1_000);
  });

  test('outlives other limits', () => {
    expect(earliestMs(reconfigured(sliced(regulatorOf(limits), 0.5, 10_000, 0), {}, 0), call(0), 20_000)).toBe(Infinity);
  });

  test('makes no call too large: it may be a larger one tomorrow', () => {
    const part = sliced(regulatorOf({ tokensPerMinute: 1_000, concurrency: 3, safetyMargin: 0 }), 0.1, 10_000, 0);
    expect(largestIfTooLarge(part, { input: 900, output: 0, slots: 3 })).toBeUndefined();
    expect(largestIfTooLarge(part, call(1_001))).toBe(1_000);
  });

  test('the parts of nodes never exceed the whole', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 50 }),
        (weights, concurrency) => {
          const all = weights.reduce((sum, weight) => sum + weight, 0);
          const parts = weights.map((weight) => sliced(regulatorOf({ ...limits, concurrency }), weight / all, 1e9, 0));
          expect(parts.reduce((sum, part) => sum + part.concurrency, 0)).toBeLessThanOrEqual(concurrency);
          const admitted = parts.reduce((sum, part) => sum + admittedIn(part, call(0), 0, 60_000).calls, 0);
          // Each may begin at once.
          expect(admitted).toBeLessThanOrEqual(600 + parts.length);
        },
      ),
    );
  });
});

test('whatever is reported, nothing becomes NaN and a next call may go within a minute or two', () => {
  const amount = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, -1, 0, 1e300));
  const remaining = fc.record({ limit: amount, left: amount, resetMs: amount });
  const report = fc.record({
    end: fc.constantFrom('ok' as const, 'rate-limited' as const, 'overloaded' as const, 'failed' as const, 'unused' as const),
    usedInput: fc.option(fc.oneof(fc.nat(1_000_000), fc.constantFrom(NaN, -5, Infinity))),
    usedOutput: fc.option(fc.nat(1_000_000)),
    latencyMs: amount,
    retryAfterMs: amount,
    quota: fc.record({ tokens: remaining, requests: remaining }),
  });
  const adapt = fc.constantFrom('aimd' as const, 'gradient' as const, { rate: {}, concurrency: { by: 'aimd' as const } });
  fc.assert(
    fc.property(adapt, fc.array(fc.tuple(report, fc.nat(20_000), fc.nat(100_000), fc.boolean()), { maxLength: 60 }), (how, history) => {
      let regulator = regulatorOf({ adapt: how });
      let timeMs = 0;
      for (const [said, passedMs, tokens, demanded] of history) {
        timeMs += passedMs;
        const cost = call(tokens);
        regulator = charged(regulator, cost, timeMs);
        regulator = settled(regulator, regulator.plan, cost, said, demanded, timeMs);
        expect(earliestMs(regulator, call(1), timeMs) - timeMs).toBeLessThanOrEqual(120_000);
        expect(regulator.concurrency).toBeGreaterThanOrEqual(1);
        const { learnedUnits, heldUntilMs, learnedTatMs } = regulator;
        expect([learnedUnits, heldUntilMs, learnedTatMs].some(Number.isNaN)).toBe(false);
      }
    }),
  );
});
