/** Tests as a user writes them, some of which are to fail: run by `vitest.test.ts`, not by themselves. */
import * as fc from 'fast-check';
import type { Invariant } from '../../../src/testing/index.ts';
import { fleetProperty, simulationProperty, simulationTest } from '../../../src/testing/arbitraries/vitest.ts';
import { inbox } from './fleets.ts';

const workload = Array.from({ length: 5 }, (_, at) => ({ kind: 'triage' as const, input: at, atMs: at * 100 }));
const inputs = { triage: fc.nat({ max: 9 }) };

/** Held by no fleet that does anything. */
const NOBODY: Invariant = {
  name: 'X1',
  promise: 'more than two tasks are never accepted',
  check(_topology, broken) {
    let accepted = 0;
    return { 'store.accepted': () => void ((accepted += 1) > 2 && broken(`${accepted} tasks were accepted`)) };
  },
};

const small = { workload: { maxTasks: 4, withinMs: 1_000 }, schedule: { maxLength: 8 }, faults: 'none' as const };

simulationTest('seeds are clean', inbox, { workload, seeds: 5 });
simulationTest('seeds are not clean', inbox, { workload, seeds: 5, invariants: [NOBODY] });
simulationTest('a check fails', inbox, {
  workload,
  check: ({ seed }) => {
    if (seed === 3) throw new Error('the third is not as it should be');
  },
});
simulationProperty('drawn ones are clean', inbox, { inputs, ...small, parameters: { numRuns: 5 } });
simulationProperty('drawn ones are not clean', inbox, { inputs, ...small, simulate: { invariants: [NOBODY] }, parameters: { seed: 1 } });
fleetProperty('commands are clean', inbox, { inputs, parameters: { numRuns: 5 } });
fleetProperty('commands are not clean', inbox, { inputs, fleet: { invariants: [NOBODY] }, parameters: { seed: 1 } });
