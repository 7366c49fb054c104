/** Steps of random histories that are about what processes share beside tasks: budgets, gates, rows, leases, schedules. */
import fc from 'fast-check';
import type { BudgetReturn, BudgetTake } from '../../actors/ports/store.ts';

export type SharedStep =
  | { readonly op: 'take'; readonly items: readonly BudgetTake[] }
  | { readonly op: 'return'; readonly items: readonly BudgetReturn[] }
  | {
      readonly op: 'register';
      readonly items: readonly { readonly gate: string; readonly holder: string; readonly most: number; readonly forMs: number }[];
    }
  | { readonly op: 'withdraw'; readonly items: readonly { readonly gate: string; readonly holder: string }[] }
  | { readonly op: 'write'; readonly items: readonly { readonly key: string; readonly value: string | null; readonly fresh: boolean }[] }
  | {
      readonly op: 'lease';
      readonly items: readonly { readonly name: string; readonly holder: string; readonly ttlMs: number; readonly waitMs: number | null }[];
    }
  /** `pick` chooses among the leases that were ever granted. */
  | { readonly op: 'extend'; readonly pick: number; readonly ttlMs: number }
  | { readonly op: 'give back'; readonly pick: number }
  | { readonly op: 'leave'; readonly name: string; readonly holder: string }
  | { readonly op: 'plan'; readonly name: string; readonly inMs: number }
  | { readonly op: 'unplan'; readonly name: string };

export const SCOPES = ['fleet', 'kind:k'] as const;
export const PERIODS_MS = [0, 10, 20] as const;
export const LEASES = ['office', 'print'] as const;
/** A version that no row has come to. */
export const NO_VERSION = 1_000_000;

const ms = fc.constantFrom(-1, 0, 0.5, 1, 2, 5, 10, 30);
const scope = fc.constantFrom(...SCOPES);
const periodStartMs = fc.constantFrom(...PERIODS_MS);
const amount = fc.constantFrom(0, 0, 1, 3, 7, 10);
const limit = fc.constantFrom(null, 0, 10, 10, 20);

const budgetTake: fc.Arbitrary<BudgetTake> = fc
  .record({
    scope,
    periodStartMs,
    limitNanoUsd: limit,
    limitTokens: limit,
    wantNanoUsd: amount,
    wantTokens: amount,
    leastNanoUsd: amount,
    leastTokens: amount,
    overNanoUsd: fc.constantFrom(0, 0, 0, 2),
    overTokens: fc.constantFrom(0, 0, 0, 2),
    keepFromMs: fc.constantFrom(-Infinity, 0, 10),
  })
  .map((take) => ({
    ...take,
    leastNanoUsd: Math.min(take.leastNanoUsd, take.wantNanoUsd),
    leastTokens: Math.min(take.leastTokens, take.wantTokens),
    keepFromMs: Math.min(take.keepFromMs, take.periodStartMs),
  }));

const budgetReturn: fc.Arbitrary<BudgetReturn> = fc.record({
  scope,
  periodStartMs,
  nanoUsd: amount,
  tokens: amount,
  ended: fc.constantFrom(false, false, false, true),
});

const holding = { gate: fc.constantFrom('g', 'g', 'h'), holder: fc.constantFrom('a', 'b', 'c', 'd') };
const leasing = { name: fc.constantFrom(...LEASES), holder: fc.constantFrom('a', 'b', 'c') };
const schedule = fc.constantFrom('daily', 'hourly');

export const sharedStep: fc.Arbitrary<SharedStep> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ op: fc.constant('take' as const), items: fc.array(budgetTake, { maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('return' as const), items: fc.array(budgetReturn, { maxLength: 2 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('register' as const),
      items: fc.array(fc.record({ ...holding, most: fc.constantFrom(1, 1, 2), forMs: ms }), { maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('withdraw' as const), items: fc.array(fc.record(holding), { maxLength: 2 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('write' as const),
      items: fc.array(
        fc.record({ key: fc.constantFrom('m', 'n'), value: fc.constantFrom('1', '2', null), fresh: fc.constantFrom(true, true, false) }),
        { maxLength: 3 },
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('lease' as const),
      items: fc.array(fc.record({ ...leasing, ttlMs: fc.constantFrom(1, 5, 30), waitMs: fc.constantFrom(null, 2, 10, 50) }), {
        maxLength: 3,
      }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('extend' as const), pick: fc.nat({ max: 3 }), ttlMs: fc.constantFrom(1, 10) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('give back' as const), pick: fc.nat({ max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('leave' as const), ...leasing }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('plan' as const), name: schedule, inMs: fc.constantFrom(0, 1, 5, 20) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('unplan' as const), name: schedule }) },
);
