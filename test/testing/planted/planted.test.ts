/** Each class of deadlock whose parts exist: a planted fault is found on the real machines, in time and small; without it nothing is. */
import { describe, expect, test } from 'vitest';
import { sample } from '../../../src/testing/deadlock/sample.ts';
import { hunt, RUNS } from './plant.ts';
import { PLANTS } from './plants.ts';

/** Of a test: to find, to shrink and to tell, on a machine that does other things as well. */
const TIMEOUT_MS = 5_000;

describe.each(PLANTS)('$code: $what', ({ faulty, correct, kind, invariant, says, smallest }) => {
  test('is found within 5 s, by its name, with a trace that is hardly longer than it must be', { timeout: TIMEOUT_MS }, async () => {
    const { sampled, refutation } = await hunt(faulty);
    expect(sampled.found).not.toEqual([]);
    expect(refutation).toMatchObject({ kind, invariant });
    expect(refutation!.cycle.join('\n')).toMatch(says);
    expect(refutation!.after.tasks).toBeLessThanOrEqual(smallest.tasks);
    expect(refutation!.after.steps).toBeLessThanOrEqual(smallest.steps);
    // First in, first out is enough for all of them: what is wrong needs no race.
    expect(refutation!.after.switches).toBe(0);
  });

  test('is not found where the construction is in its place', { timeout: TIMEOUT_MS }, async () => {
    const { runs, deliveries, found } = await sample(correct, { seed: 1, runs: RUNS });
    expect(found).toEqual([]);
    expect(runs).toBe(RUNS);
    expect(deliveries).toBeGreaterThan(10 * RUNS);
  });
});

test('what was shrunk does the same again', { timeout: TIMEOUT_MS }, async () => {
  const [first, second] = [await hunt(PLANTS[0]!.faulty), await hunt(PLANTS[0]!.faulty)];
  expect(second.refutation).toEqual(first.refutation);
});

test('every class is planted whose parts exist', () => {
  expect([...new Set(PLANTS.map(({ code }) => code))]).toEqual(['D2', 'D3', 'D4', 'D6', 'D7', 'D8', 'D9', 'D10', 'D12', 'D13', 'D14']);
});
