/** What the tests of the simulator have in common. */
import type { Topology } from 'drover';
import type { Fact } from '../../../src/testing/invariants/fact.ts';
import type { Invariant, SimulateOptions, SimulationResult } from '../../../src/testing/index.ts';
import { simulateWith } from '../../../src/testing/simulate/simulate.ts';
import type { SimulationInternals } from '../../../src/testing/simulate/internals.ts';

export type { Limits, Topology } from 'drover';
export type { SimulateOptions, SimulationResult } from '../../../src/testing/index.ts';

/** Simulates with a part that is another one. */
export function simulateMutant(topology: Topology, options: SimulateOptions, internals: SimulationInternals): Promise<SimulationResult> {
  return simulateWith(topology, { nondeterminism: 'allow', ...options }, internals);
}

/** What a checker says is broken, when it sees these facts. One with an `atMs` is seen then. */
export function saidBy(invariant: Invariant, facts: readonly object[], topology?: unknown): readonly string[] {
  const said: string[] = [];
  const checker = invariant.check(topology as never, (message) => void said.push(message)) as Record<
    string,
    ((fact: object, atMs: number) => void) | undefined
  >;
  for (const fact of facts) checker[(fact as Fact).at]?.(fact, (fact as { readonly atMs?: number }).atMs ?? 0);
  return said;
}
