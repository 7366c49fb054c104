/** Each invariant is held to what it promises: a part that breaks it is found, and named by it alone. */
import { describe, expect, test } from 'vitest';
import { INVARIANTS } from '../../../src/testing/invariants/index.ts';
import { simulateMutant } from './kit.ts';
import { fleetUnder, MUTANTS, WORK } from './mutants.ts';
import { MUTANTS_OF_WORK } from './mutants-of-work.ts';

const SEEDS = [1, 2, 3, 4, 5];
const ALL = [...MUTANTS, ...MUTANTS_OF_WORK];

describe.each(ALL)(
  '$invariant: $what',
  ({ invariant, internals, limits = { concurrency: 3 }, topology = fleetUnder(limits), options = {} }) => {
    const given = { workload: WORK, durationMs: 30_000, faults: 'none' as const, ...options };

    test('is found within a few seeds, and is named by that invariant alone', async () => {
      const named = new Set<string>();
      for (const seed of SEEDS) {
        const { violations } = await simulateMutant(topology, { ...given, seed }, internals());
        for (const { invariant: name } of violations) named.add(name);
        if (named.size > 0) break;
      }
      expect([...named]).toEqual([invariant]);
    });

    test('without it, the same seeds are clean', async () => {
      for (const seed of SEEDS) expect((await simulateMutant(topology, { ...given, seed }, {})).violations).toEqual([]);
    });
  },
);

test('every invariant has a mutant', () => {
  expect(new Set(ALL.map(({ invariant }) => invariant))).toEqual(new Set(INVARIANTS.map(({ name }) => name)));
});
