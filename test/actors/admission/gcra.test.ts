import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allowedAtMs, charge, NOTHING_OWED, owed, paceOf, refund, repace } from '../../../actors/admission/gcra.ts';
import type { Pace } from '../../../actors/admission/gcra.ts';

/** Ten a second. */
const RATE = 600;

/** Asks for `cost` at each `[atMs, cost]`, and says who was admitted. */
function ask(pace: Pace, asks: readonly (readonly [atMs: number, cost: number])[]): boolean[] {
  let tat = NOTHING_OWED;
  return asks.map(([atMs, cost]) => {
    if (atMs < allowedAtMs(pace, tat, cost)) return false;
    tat = charge(pace, tat, cost, atMs);
    return true;
  });
}

describe('a pace', () => {
  test('LIM-02 with requests of one: three at once, then one every 100 ms, and a refused one costs nothing', () => {
    const pace = paceOf(RATE, 300);
    const times = [0, 0, 0, 0, 0, 100, 100, 200, 300, 300, 900, 900, 900, 900];
    expect(
      ask(
        pace,
        times.map((atMs) => [atMs, 1]),
      ),
    ).toEqual([true, true, true, false, false, true, false, true, true, false, true, true, true, false]);
  });

  test('LIM-02: burst three, and refused asks cost nothing', () => {
    const asks = [
      [0, 2],
      [0, 2],
      [0, 1],
      [0, 1],
      [100, 4],
      [200, 1],
      [300, 1],
      [400, 1],
      [400, 1],
      [400, 1],
      [900, 3],
      [900, 0],
    ] as const;
    expect(ask(paceOf(RATE, 300), asks)).toEqual([true, false, true, false, false, true, true, true, true, false, true, true]);
  });

  test('a request costlier than the burst goes when the bucket is full, and the next one waits its debt off', () => {
    const pace = paceOf(RATE, 200);
    const tat = charge(pace, NOTHING_OWED, 600, 0);
    expect(owed(pace, tat, 0)).toBe(600);
    expect(allowedAtMs(pace, tat, 1)).toBe(60_000 - 100);
  });

  test('without a burst requests go exactly at the rate', () => {
    expect(
      ask(paceOf(RATE, 0), [
        [0, 1],
        [99, 1],
        [100, 1],
        [150, 1],
        [200, 1],
      ]),
    ).toEqual([true, false, true, false, true]);
  });

  test('time that passes unused saves up no more than the burst', () => {
    const tat = charge(paceOf(RATE, 200), 0, 1, 1_000_000);
    expect(tat).toBe(1_000_100);
  });

  test('what is given back goes to the next one, and what does not fit under the burst is lost', () => {
    const pace = paceOf(RATE, 0);
    const tat = charge(pace, NOTHING_OWED, 10, 0);
    expect(refund(pace, tat, 4, 100)).toBe(600);
    expect(refund(pace, tat, 10, 100)).toBe(100);
  });

  test('another rate keeps the debt and changes the time that it takes', () => {
    const slow = paceOf(RATE, 0);
    const fast = paceOf(4 * RATE, 0);
    const tat = charge(slow, NOTHING_OWED, 10, 0);
    expect(owed(fast, repace(slow, fast, tat, 500), 500)).toBe(owed(slow, tat, 500));
    expect(repace(slow, fast, tat, 500)).toBe(625);
    expect(repace(slow, fast, tat, 5_000)).toBe(tat);
  });

  test('a rate of nothing is a bug of the caller', () => {
    expect(() => paceOf(0, 100)).toThrow(/broken invariant/);
    expect(() => paceOf(Number.NaN, 100)).toThrow(/broken invariant/);
    expect(() => paceOf(1, -1)).toThrow(/broken invariant/);
  });

  test('S7: no window holds more than rate * window and the burst or its last request, less what came back', () => {
    const step = fc.record({ waitMs: fc.nat(40), cost: fc.nat(30), back: fc.constantFrom(0, 0, 0, 5, 20) });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        fc.nat(300),
        fc.array(step, { maxLength: 60, size: 'max' }),
        (perMinute, burstMs, steps) => {
          const pace = paceOf(perMinute, burstMs);
          const ledger: { atMs: number; amount: number; admission: boolean }[] = [];
          let tat = NOTHING_OWED;
          let nowMs = 0;
          for (const { waitMs, cost, back } of steps) {
            nowMs += waitMs;
            if (nowMs >= allowedAtMs(pace, tat, cost)) {
              tat = charge(pace, tat, cost, nowMs);
              ledger.push({ atMs: nowMs, amount: cost, admission: true });
            }
            if (back === 0) continue;
            tat = refund(pace, tat, back, nowMs);
            ledger.push({ atMs: nowMs, amount: -back, admission: false });
          }
          for (const [from, start] of ledger.entries()) {
            if (!start.admission) continue;
            let net = 0;
            for (const { atMs, amount, admission } of ledger.slice(from)) {
              net += amount;
              if (admission)
                expect(net).toBeLessThanOrEqual(
                  (perMinute / 60_000) * (atMs - start.atMs) + Math.max((perMinute / 60_000) * burstMs, amount) + 1e-6,
                );
            }
          }
        },
      ),
    );
  });
});
