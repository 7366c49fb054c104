/** What the tests of the simulator have in common. */
import type { Topology } from 'drover';
import type { SimulateOptions, SimulationResult } from '../../../src/testing/index.ts';
import { simulateWith } from '../../../src/testing/simulate/simulate.ts';
import type { SimulationInternals } from '../../../src/testing/simulate/internals.ts';

export type { Limits, Topology } from 'drover';
export type { SimulateOptions, SimulationResult } from '../../../src/testing/index.ts';

/** Simulates with a part that is another one. */
export function simulateMutant(topology: Topology, options: SimulateOptions, internals: SimulationInternals): Promise<SimulationResult> {
  return simulateWith(topology, { nondeterminism: 'allow', ...options }, internals);
}
