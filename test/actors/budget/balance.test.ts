import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  freeOf,
  leftOf,
  missingFor,
  overOf,
  roomOf,
  sliceOf,
  spentAtShare,
  stillBeyond,
  unspentOf,
  usedOf,
  verdictOf,
  VERDICTS,
  worse,
} from '../../../actors/budget/balance.ts';
import type { Balance } from '../../../actors/budget/balance.ts';

/** Of 100, this process has 40 in hand and others 30. */
const balance: Balance = { limit: 100, taken: 70, granted: 40, beyond: 0, spent: 10, reserved: 25 };
const unlimited: Balance = { limit: Infinity, taken: 0, granted: Infinity, beyond: 0, spent: 10, reserved: 25 };

/** What can come of takes, calls, returns and overshoots. */
const balances: fc.Arbitrary<Balance> = fc
  .record({
    limit: fc.constantFrom(0, 50, 100, Infinity),
    others: fc.nat({ max: 60 }),
    granted: fc.nat({ max: 60 }),
    beyond: fc.nat({ max: 5 }),
    spent: fc.nat({ max: 70 }),
    reserved: fc.nat({ max: 30 }),
  })
  .map(({ others, ...of }) =>
    of.limit === Infinity ? { ...of, granted: Infinity, beyond: 0, taken: 0 } : { ...of, taken: others + of.granted + of.beyond },
  );

describe('the verdict over a balance', () => {
  for (const [asked, verdict] of [
    [5, 'go'],
    [6, 'take'],
    [35, 'take'],
    [36, 'wait'],
    [60, 'wait'],
    [61, 'exhausted'],
    [100, 'exhausted'],
    [101, 'too-large'],
  ] as const)
    test(`${asked} of 100: ${verdict}`, () => expect(verdictOf(balance, asked)).toBe(verdict));

  test('what is not limited always goes', () => expect(verdictOf(unlimited, Number.MAX_SAFE_INTEGER)).toBe('go'));

  test('who names no upper bound goes as long as anything is left', () => {
    const alone = { limit: 100, taken: 100, granted: 100, beyond: 0, spent: 99, reserved: 1 };
    expect(verdictOf(alone, 0)).toBe('go');
    expect(verdictOf({ ...alone, spent: 100, reserved: 0 }, 0)).toBe('exhausted');
    expect(verdictOf({ ...alone, spent: 200, reserved: 0 }, 0)).toBe('exhausted');
  });

  test('of nothing everything may be spent', () =>
    expect(verdictOf({ limit: 0, taken: 0, granted: 0, beyond: 0, spent: 0, reserved: 0 }, 0)).toBe('go'));

  test('of two verdicts the worse one holds, in any order', () => {
    for (const [at, a] of VERDICTS.entries())
      for (const [other, b] of VERDICTS.entries()) expect(worse(a, b)).toBe(VERDICTS[Math.max(at, other)]);
  });

  test('it gets worse with what is asked, and never better', () => {
    fc.assert(
      fc.property(balances, fc.nat({ max: 120 }), fc.nat({ max: 120 }), (of, a, b) => {
        const [low, high] = [verdictOf(of, Math.min(a, b)), verdictOf(of, Math.max(a, b))];
        expect(worse(low, high)).toBe(high);
      }),
    );
  });

  test('nobody waits where nothing is out', () => {
    fc.assert(
      fc.property(balances, fc.nat({ max: 120 }), (of, asked) => {
        expect(verdictOf({ ...of, reserved: 0 }, asked)).not.toBe('wait');
      }),
    );
  });

  test('who is told to take is served by what is missing', () => {
    fc.assert(
      fc.property(balances, fc.integer({ min: 1, max: 120 }), (of, asked) => {
        fc.pre(verdictOf(of, asked) === 'take');
        const missing = missingFor(of, asked);
        expect(missing).toBeGreaterThan(0);
        // What is over is booked by itself, with the same command.
        const over = overOf(of) + of.beyond;
        expect(verdictOf({ ...of, granted: of.granted + over + missing, taken: of.taken + missing }, asked)).toBe('go');
      }),
    );
  });
});

describe('what is in hand', () => {
  test('nothing is both over and free', () => {
    fc.assert(
      fc.property(balances, (of) => {
        expect(Math.min(overOf(of), freeOf(of))).toBe(0);
      }),
    );
  });

  test('what was booked above the limit is no room, and is given back first', () => {
    const above = { ...balance, taken: 104, granted: 36, beyond: 4, spent: 40, reserved: 0 };
    expect([roomOf(above), overOf(above), freeOf(above)]).toEqual([-4, 0, 0]);
    expect([roomOf({ ...above, spent: 37 }), freeOf({ ...above, spent: 37 })]).toEqual([-1, 3]);
    expect(stillBeyond(above)).toBe(4);
    expect(stillBeyond({ ...above, limit: 101 })).toBe(3);
    expect(stillBeyond({ ...above, limit: 200 })).toBe(0);
  });

  test('what others have taken counts as spent', () => {
    expect([usedOf(balance), leftOf(balance), unspentOf(balance)]).toEqual([40, 30, 60]);
    expect([usedOf(unlimited), leftOf(unlimited), unspentOf(unlimited)]).toEqual([10, Infinity, Infinity]);
  });

  test('a lowered limit leaves nothing, not less', () => expect(leftOf({ ...balance, limit: 50 })).toBe(0));

  test('what is not limited is neither missing nor over nor free', () => {
    expect([missingFor(unlimited, 9), overOf(unlimited), freeOf(unlimited), sliceOf(unlimited, 9, false)]).toEqual([0, 0, 0, 0]);
  });
});

describe('a slice', () => {
  test('is as much again as was granted before, or what is missing when that is more', () => {
    expect([sliceOf({ ...balance, granted: 2 }, 1, false), sliceOf({ ...balance, granted: 0 }, 1, false)]).toEqual([2, 1]);
  });

  test('is a tenth of what is left at most, unless more is missing', () => {
    expect([sliceOf(balance, 1, false), sliceOf(balance, 20, false), sliceOf({ ...balance, taken: 81 }, 1, false)]).toEqual([3, 20, 1]);
  });

  test('is no more than what is missing while the store fails', () => expect(sliceOf(balance, 1, true)).toBe(1));
});

describe('a warning', () => {
  test('is due when own spending and what others have taken reach the share', () => {
    expect(spentAtShare(balance, 0.8)).toBe(50);
    expect(usedOf({ ...balance, spent: 50 })).toBe(80);
  });

  test('is never due of nothing, nor of what has no end', () => {
    expect([spentAtShare({ ...balance, limit: 0 }, 0.8), spentAtShare(unlimited, 0.8)]).toEqual([Infinity, Infinity]);
  });
});
