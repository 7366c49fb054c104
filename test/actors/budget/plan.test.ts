import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkAmount, toNanoUsd, toUsd, usedOr } from '../../../actors/budget/amount.ts';
import { periodEndMs, periodStartMs, planBudget } from '../../../actors/budget/plan.ts';
import type { BudgetSpec } from '../../../actors/budget/plan.ts';

describe('a plan', () => {
  test('counts money in nano-dollars, and leaves out what is not limited', () => {
    expect(planBudget({ usd: 0.07 })).toEqual({ nanoUsd: 70_000_000, tokens: Infinity, perMs: Infinity, warnAt: [0.8] });
    expect(planBudget({ tokens: 5, perMs: 10, warnAt: [1, 0.5, 1] })).toEqual({
      nanoUsd: Infinity,
      tokens: 5,
      perMs: 10,
      warnAt: [0.5, 1],
    });
  });

  for (const [field, spec] of [
    ['budget', {}],
    ['usd', { usd: -1 }],
    ['usd', { usd: Number.NaN }],
    ['usd', { usd: 1e10 }],
    ['tokens', { tokens: 1.5 }],
    ['tokens', { tokens: Infinity }],
    ['perMs', { usd: 1, perMs: 0 }],
    ['perMs', { usd: 1, perMs: 0.5 }],
    ['warnAt', { usd: 1, warnAt: [0] }],
    ['warnAt', { usd: 1, warnAt: [80] }],
  ] as const satisfies readonly (readonly [string, BudgetSpec])[])
    test(`${JSON.stringify(spec)} is refused for its ${field}`, () => {
      expect(() => planBudget(spec)).toThrow(
        expect.objectContaining({ code: 'DROVER_BUDGET_INPUT', detail: expect.objectContaining({ field }) }),
      );
    });

  test('a budget of nothing is one', () => expect(planBudget({ usd: 0 }).nanoUsd).toBe(0));
});

describe('a period', () => {
  test('holds the moment it is asked for, and is as long as it is said to be', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000_000 }), fc.double({ min: 0, max: 4e12, noNaN: true }), (perMs, nowMs) => {
        const plan = planBudget({ usd: 1, perMs });
        const startMs = periodStartMs(plan, nowMs);
        expect(startMs % perMs).toBe(0);
        expect(startMs <= nowMs && nowMs < periodEndMs(plan, startMs)).toBe(true);
      }),
    );
  });

  test('without a length it has no end', () => {
    const plan = planBudget({ usd: 1 });
    expect([periodStartMs(plan, 5e11), periodEndMs(plan, 0)]).toEqual([0, Infinity]);
  });
});

describe('an amount', () => {
  test('of money keeps its nano-dollars there and back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e15 }), (nanoUsd) => {
        expect(toNanoUsd(toUsd(nanoUsd))).toBe(nanoUsd);
      }),
    );
  });

  test('that was really used is counted in whole ones, and what is no amount says nothing', () => {
    expect([usedOr(9, 0), usedOr(9, 2.1), usedOr(9, 50)]).toEqual([0, 3, 50]);
    expect([usedOr(9, -1), usedOr(9, Number.NaN), usedOr(9, Infinity)]).toEqual([9, 9, 9]);
  });

  test('of nothing may be asked for, less may not', () => {
    expect(() => checkAmount({ usd: 0, tokens: 0 })).not.toThrow();
    expect(() => checkAmount({ usd: 0, tokens: -1 })).toThrow(/tokens: expected a number of tokens, at least 0, got -1/);
  });
});
