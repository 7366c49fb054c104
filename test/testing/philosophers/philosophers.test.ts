/**
 * Philosophers whose forks are write sets of the conflict registry: proved free of deadlock, and fair and fast when they
 * dine. `npm run bench -- philosophers` and `npm run test:simulation` do the same with more seeds.
 */
import { checkDeadlockFree } from 'drover/testing';
import { describe, expect, test } from 'vitest';
import { mealsIn } from '../../../examples/philosophers/table.ts';
import { STRATEGIES } from '../../../examples/philosophers/strategies.ts';
import { dine } from './dine.ts';
import { mealsOf, mostMealsAStep, philosophers, SEATS } from './fleet.ts';

test.for([3, 5, 10] as const)('%i philosophers are proved, for any order of what they may do', async (seats) => {
  const verdict = await checkDeadlockFree(philosophers(seats), { runs: seats === 10 ? 0 : 2, inputs: mealsOf(seats), maxStates: 100_000 });
  expect(verdict).toMatchObject({ at: 'proved', search: { ranked: { at: 'free' } } });
  expect(verdict.search.bounds).toMatchObject({ 'inputs of meal': { searched: seats } });
});

test('fifty are too many states to search them all; ranks hold for every number', async () => {
  const verdict = await checkDeadlockFree(philosophers(50), { runs: 0, inputs: mealsOf(50), maxStates: 30_000 });
  expect(verdict).toMatchObject({ at: 'no-counterexample', search: { at: 'not-finished', ranked: { at: 'free' } } });
});

test('ten whose meals are equally long, begun at different times, fall into no beat', async () => {
  for (const seed of [2, 4]) {
    const { jain, mealsAStep } = await dine({ seed, seats: 10, steps: 60, eating: 'alike' });
    expect(jain).toBeGreaterThanOrEqual(0.97);
    expect(mealsAStep).toBeGreaterThanOrEqual(0.7 * mostMealsAStep(10));
  }
});

test.for([3, 5] as const)('%i philosophers who take one fork after the other are deadlocked', async (seats) => {
  const verdict = await checkDeadlockFree(philosophers(seats), { runs: 0, inputs: mealsOf(seats), without: ['all-or-nothing'] });
  expect(verdict).toMatchObject({ at: 'violated', kind: 'deadlock', by: 'search', search: { ranked: { at: 'circular' } } });
});

describe.each(SEATS)('%i philosophers', (seats) => {
  const steps = seats === 50 ? 20 : 40;
  const seeds = seats === 50 ? [1] : [1, 2, 3, 4];

  test('DP-05: nobody starves, meals are shared evenly, and at least 0.7 of the most possible meals are eaten', async () => {
    for (const seed of seeds) {
      const { meals, mealsAStep, jain, result } = await dine({ seed, seats, steps });
      expect(result.violations).toEqual([]);
      expect(Math.min(...meals)).toBeGreaterThan(0);
      expect(jain).toBeGreaterThanOrEqual(0.95);
      expect(mealsAStep).toBeGreaterThanOrEqual(0.7 * mostMealsAStep(seats));
    }
  });

  test('DP-04: the ordered rule starves one and eats less', async () => {
    const ordered = mealsIn(steps, seats, STRATEGIES.ordered, 'simultaneous');
    const { mealsAStep, meals } = await dine({ seed: 1, seats, steps, eating: 'alike', atOnce: true });
    expect(Math.min(...ordered)).toBe(seats === 3 ? ordered[2] : 0);
    expect(Math.min(...meals)).toBeGreaterThan(Math.min(...ordered));
    expect(mealsAStep).toBeGreaterThanOrEqual(ordered.reduce((sum, one) => sum + one, 0) / steps);
  });

  test('DP-03, DP-07: greedy ones are deadlocked and polite ones never eat; these do, and under faults all have eaten in the end', async () => {
    for (const strategy of [STRATEGIES.greedy, STRATEGIES.polite])
      expect(mealsIn(steps, seats, strategy, 'simultaneous').every((meals) => meals === 0)).toBe(true);
    const { result } = await dine({ seed: 7, seats, steps: 12, faults: 'drawn', thinks: true });
    expect(result.violations).toEqual([]);
    const { tasks, completed } = result.statistics;
    expect(completed).toBe(tasks);
  });
});
