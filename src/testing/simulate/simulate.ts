/** Simulate: a topology under work and faults drawn from one seed, in virtual time. */
import type { AgentMap, Topology } from '../../topology/fleet.ts';
import { INVARIANTS } from '../invariants/index.ts';
import { inScope, watch } from '../nondeterminism.ts';
import type { SimulationInternals } from './internals.ts';
import { checkOptions } from './options.ts';
import type { SimulateOptions } from './options.ts';
import type { SimulationResult } from './result.ts';
import { Simulation } from './simulation.ts';

/**
 * Runs a topology in virtual time: the real actors and the real `run` functions, over a store, a
 * network and dependencies that fail as `faults` say. Of a dependency only `perform` is replaced. What
 * must hold is checked over everything that is seen; at the end faults stop, and everything has to end
 * and come home. Whatever is broken is in the result; nothing of it is thrown.
 *
 * The same seed does the same, in any process. A run that never yields (`for (;;) {}`) cannot be
 * stopped; one that loops over operations on `ctx` while no time passes is refused.
 *
 * @throws TopologyError, SeedError, SimulationOptionError when something is wrong with what was given
 * @throws UnknownKindError, PayloadInvalidError, ... what `submit` says of a task of the workload
 * @throws SimulationCallbackError when the workload, or a stand-in's function, throws
 * @throws SimulationStuckError when time would never pass
 * @example
 * const result = await simulate(topology, {
 *   seed: 17,
 *   workload: [{ kind: 'triage', input: { mailId: '1' } }],
 *   provider: { model: { latencyMs: [500, 4_000], reply: () => ({ label: 'spam' }) } },
 * });
 * assertClean(result);
 */
export function simulate<K extends AgentMap>(topology: Topology<K>, options: SimulateOptions<K>): Promise<SimulationResult> {
  return simulateWith(topology, options, {});
}

/** For the kit's own tests. */
export async function simulateWith<K extends AgentMap>(
  topology: Topology<K>,
  options: SimulateOptions<K>,
  internals: SimulationInternals,
): Promise<SimulationResult> {
  const plan = checkOptions(topology, options as unknown as SimulateOptions);
  // Begun in a turn of its own or in a microtask, the first steps are the same: see `nextTick`.
  await Promise.resolve();
  const simulation = new Simulation(topology, plan, options.invariants ?? INVARIANTS, internals);
  const stop = plan.nondeterminism === 'report' ? watch() : undefined;
  try {
    return stop === undefined ? await simulation.run() : await inScope(simulation.findings.scope(undefined), () => simulation.run());
  } finally {
    simulation.end();
    stop?.();
  }
}
