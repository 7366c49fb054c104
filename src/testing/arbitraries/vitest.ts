/** drover/testing/vitest: simulations as tests of vitest, one line each. */
import { test as propertyTest } from '@fast-check/vitest';
import type * as fc from 'fast-check';
import { test } from 'vitest';
import type { AgentMap, Topology } from '../../topology/fleet.ts';
import { assertClean } from '../simulate/result.ts';
import type { SimulationResult } from '../simulate/result.ts';
import { simulate } from '../simulate/simulate.ts';
import type { SimulateOptions } from '../simulate/options.ts';
import { demand, demandCount, demandTopology } from './check-options.ts';
import { fleetCommands, runFleetCommands } from './fleet-commands.ts';
import type { FleetCommandsOptions } from './fleet-commands.ts';
import { simulations } from './simulations.ts';
import type { DrawnSimulation, SimulationsOptions } from './simulations.ts';
import type { VirtualFleetOptions } from './virtual-fleet.ts';

export interface SimulationTestOptions<K extends AgentMap = AgentMap> extends Omit<SimulateOptions<K>, 'seed'> {
  /** How many seeds, from 1. Default 20. `DROVER_SEEDS` in the environment says another number, `DROVER_SEED` names one seed. */
  readonly seeds?: number;
  /** Looks at each result, beside the invariants; fails by throwing. */
  readonly check?: (result: SimulationResult) => void | Promise<void>;
  /** Real milliseconds for all seeds. Default 60,000. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 60_000;
const MOST_SEEDS = 1_000_000;

/**
 * A test that simulates a topology over many seeds. It fails at the first that is not clean, with
 * everything that was found, the seed, and the line that replays it.
 *
 * @throws TopologyError, ArbitraryOptionError at once, when something is wrong with what was given
 * @example
 * simulationTest('the inbox survives', topology, { workload: mails, provider: { model: { latencyMs: 500 } }, seeds: 100 });
 */
export function simulationTest<K extends AgentMap>(name: string, topology: Topology<K>, options: SimulationTestOptions<K>): void {
  demandTopology('simulationTest', topology);
  const { seeds = 20, check, timeoutMs = TIMEOUT_MS, ...simulated } = options;
  demandCount('simulationTest.seeds', seeds, 1, MOST_SEEDS);
  demand('simulationTest.check', check, check === undefined || typeof check === 'function', 'a function of (result)');
  demandCount('simulationTest.timeoutMs', timeoutMs, 1, 2_147_483_647);
  // oxlint-disable-next-line vitest/valid-title -- the title is the user's
  test(name, { timeout: timeoutMs }, async ({ task }) => {
    const replay = (seed: number | string): string => `DROVER_SEED=${seed} npx vitest run ${task.file.name} -t ${JSON.stringify(name)}`;
    for (const seed of seedsOf(seeds)) {
      const result = await simulate(topology, { replay, ...simulated, seed });
      assertClean(result);
      await told(result, check);
    }
  });
}

export interface PropertyOptions {
  /** How fast-check runs it: `numRuns` (default 50), and the `seed` and `path` of a failure. */
  readonly parameters?: Pick<fc.Parameters, 'numRuns' | 'seed' | 'path' | 'endOnFailure' | 'verbose' | 'interruptAfterTimeLimit'>;
  /** Real milliseconds for all runs. Default 60,000. */
  readonly timeoutMs?: number;
}

export interface SimulationPropertyOptions<K extends AgentMap = AgentMap> extends SimulationsOptions<K>, PropertyOptions {
  /** Looks at each result, beside the invariants; fails by throwing. */
  readonly check?: (result: SimulationResult, drawn: DrawnSimulation<K>) => void | Promise<void>;
}

const RUNS = 50;

/**
 * As `simulationTest`, but workload, schedule and faults are drawn by fast-check: a failure is shrunk to
 * the smallest that still fails, and shown with the `seed` and `path` that bring it back.
 *
 * @throws TopologyError, ArbitraryOptionError at once, when something is wrong with what was given
 * @example
 * simulationProperty('no mail is answered twice', topology, { inputs: { triage: fc.record({ mailId: fc.string() }) } });
 */
export function simulationProperty<K extends AgentMap>(name: string, topology: Topology<K>, options: SimulationPropertyOptions<K>): void {
  const { parameters, timeoutMs = TIMEOUT_MS, check, ...drawn } = options;
  const arbitrary = simulations(topology, drawn as SimulationsOptions<K>);
  propertyTest.prop([arbitrary], { numRuns: RUNS, ...parameters })(
    name,
    async (simulation) => {
      const result = await simulate(topology, simulation);
      assertClean(result);
      await check?.(result, simulation);
    },
    timeoutMs,
  );
}

export interface FleetPropertyOptions<K extends AgentMap = AgentMap> extends FleetCommandsOptions<K>, PropertyOptions {
  /** The fleet that the commands are given to: stand-ins, seed, faults. */
  readonly fleet?: VirtualFleetOptions<K>;
}

/**
 * Gives drawn sequences of commands to a fleet in virtual time, and compares it with the model after each.
 *
 * @throws TopologyError, ArbitraryOptionError at once, when something is wrong with what was given
 * @example
 * fleetProperty('whatever is done to it, nothing is lost', topology, { inputs: { triage: fc.record({ mailId: fc.string() }) } });
 */
export function fleetProperty<K extends AgentMap>(name: string, topology: Topology<K>, options: FleetPropertyOptions<K>): void {
  const { parameters, timeoutMs = TIMEOUT_MS, fleet, ...drawn } = options;
  const arbitrary = fleetCommands(topology, drawn as FleetCommandsOptions<K>);
  const run = async (commands: Parameters<typeof runFleetCommands<K>>[1]): Promise<void> => {
    await runFleetCommands(topology, commands, fleet);
  };
  propertyTest.prop([arbitrary], { numRuns: RUNS, ...parameters })(name, run, timeoutMs);
}

/** @throws ArbitraryOptionError when the environment says no number */
function seedsOf(byDefault: number): readonly (number | string)[] {
  const { DROVER_SEED, DROVER_SEEDS } = process.env;
  if (DROVER_SEED !== undefined) return [/^\d+$/.test(DROVER_SEED) ? Number(DROVER_SEED) : DROVER_SEED];
  const count = DROVER_SEEDS === undefined ? byDefault : Number(DROVER_SEEDS);
  demandCount('DROVER_SEEDS', count, 1, MOST_SEEDS);
  return Array.from({ length: count }, (_, at) => at + 1);
}

/** A check that throws is told with the seed, as a violation is. */
async function told(result: SimulationResult, check: SimulationTestOptions['check']): Promise<void> {
  try {
    await check?.(result);
  } catch (error) {
    if (error instanceof Error) error.message = `seed ${result.seed}: ${error.message}\nreplay: ${result.replay}`;
    throw error;
  }
}
