/** Simulations: all that `simulate` takes, drawn as one record. */
import * as fc from 'fast-check';
import type { AgentMap, Topology } from '../../topology/fleet.ts';
import type { FaultPlan } from '../simulate/fault-plan.ts';
import type { SimulateOptions, WorkItem } from '../simulate/options.ts';
import { demand, demandTopology, onlyKnown } from './check-options.ts';
import { faultPlans } from './fault-plans.ts';
import type { FaultPlanOptions } from './fault-plans.ts';
import { schedules } from './schedules.ts';
import { record } from './record.ts';
import type { ScheduleOptions } from './schedules.ts';
import { sketchedWork, topologies, workOf } from './topologies.ts';
import type { ProgramKinds, ProgramTopology, ProgramWorkloadOptions, TopologyOptions } from './topologies.ts';
import { workloads } from './workloads.ts';
import type { Inputs, WorkloadOptions } from './workloads.ts';

/** What was drawn, to be given to `simulate` as it is. */
export type DrawnSimulation<K extends AgentMap = AgentMap> = SimulateOptions<K> & {
  readonly seed: number;
  readonly workload: readonly WorkItem<K>[];
  readonly schedule: readonly number[];
  readonly faults: FaultPlan | 'none';
};

export interface SimulationsOptions<K extends AgentMap = AgentMap> {
  /** What may be given to a kind, by its name. */
  readonly inputs: Inputs<K>;
  readonly workload?: WorkloadOptions;
  readonly schedule?: ScheduleOptions;
  /** `none`: nothing goes wrong. Default: every part may. */
  readonly faults?: 'none' | FaultPlanOptions;
  /** What else `simulate` takes, for all of them: stand-ins, invariants, `durationMs`, ... */
  readonly simulate?: Omit<SimulateOptions<K>, 'seed' | 'workload' | 'schedule' | 'faults'>;
}

const OPTIONS = ['workload', 'schedule', 'faults', 'simulate'];
const MOST_SEED = 0xffff_ffff;

/**
 * Everything that `simulate` takes for a topology of the user's own. All parts shrink at once: towards
 * one task, no fault, first in, first out, and seed 0.
 *
 * @throws TopologyError, ArbitraryOptionError
 * @example
 * const drawn = simulations(topology, { inputs: { triage: fc.record({ mailId: fc.string() }) } });
 * await fc.assert(fc.asyncProperty(drawn, async (options) => assertClean(await simulate(topology, options))));
 */
export function simulations<K extends AgentMap>(topology: Topology<K>, options: SimulationsOptions<K>): fc.Arbitrary<DrawnSimulation<K>> {
  demandTopology('simulations', topology);
  onlyKnown('simulations', options, ['inputs', ...OPTIONS]);
  const { inputs, workload, simulate } = options;
  return assembled(workloads(topology, inputs, workload), options as unknown as SimulationsOptions, simulate as object);
}

export interface ProgramSimulationsOptions extends Omit<SimulationsOptions<ProgramKinds>, 'inputs' | 'workload'> {
  readonly topology?: TopologyOptions;
  readonly workload?: ProgramWorkloadOptions;
}

/** A drawn topology, and what to simulate it with. */
export interface ProgramSimulation {
  readonly topology: ProgramTopology;
  readonly options: DrawnSimulation<ProgramKinds>;
}

/**
 * Simulations of drawn topologies: topology, programs, schedule and faults, side by side.
 *
 * @throws ArbitraryOptionError
 */
export function programSimulations(options: ProgramSimulationsOptions = {}): fc.Arbitrary<ProgramSimulation> {
  onlyKnown('programSimulations', options, ['topology', ...OPTIONS]);
  const { topology, workload = {}, simulate } = options;
  const parts = assembled(sketchedWork(workload), options as unknown as SimulationsOptions, simulate as object);
  return fc.tuple(topologies(topology), parts).map(([drawn, { workload: work, ...rest }]) => ({
    topology: drawn,
    options: { ...rest, workload: workOf(drawn, work) } as DrawnSimulation<ProgramKinds>,
  }));
}

function assembled<W>(
  workload: fc.Arbitrary<W>,
  { schedule, faults = {} }: Pick<SimulationsOptions, 'schedule' | 'faults'>,
  simulate: object = {},
): fc.Arbitrary<{
  readonly seed: number;
  readonly workload: W;
  readonly schedule: readonly number[];
  readonly faults: FaultPlan | 'none';
}> {
  const drawn = ['seed', 'workload', 'schedule', 'faults'];
  for (const name of drawn)
    demand(`simulations.simulate.${name}`, (simulate as Record<string, unknown>)[name], !(name in simulate), 'nothing: it is drawn');
  const parts = record({
    seed: fc.nat({ max: MOST_SEED }),
    workload,
    schedule: schedules(schedule),
    faults: (faults === 'none' ? fc.constant('none') : faultPlans(faults)) as fc.Arbitrary<FaultPlan | 'none'>,
  });
  return parts.map((drawnParts) => ({ ...simulate, ...drawnParts }));
}
