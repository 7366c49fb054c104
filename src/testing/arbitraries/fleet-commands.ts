/**
 * Fleet commands: what may be done to a running fleet, drawn and shrunk by fast-check, beside a model
 * that says what must be there afterwards. After each command every task is compared.
 *
 * @see Claessen & Hughes, "Testing monadic code with QuickCheck", 2002
 */
import * as fc from 'fast-check';
import type { AgentMap, Topology } from '../../topology/fleet.ts';
import { assertClean } from '../simulate/result.ts';
import type { SimulationResult } from '../simulate/result.ts';
import { demand, demandCount, demandTopology, onlyKnown } from './check-options.ts';
import { Advance, Close, CrashWorker, Kill, LookUp, Restart, Submit, SubmitAgain, SubmitAndKill, SubmitInConflict } from './commands.ts';
import { FleetModel } from './fleet-model.ts';
import { list } from './list.ts';
import { virtualFleet } from './virtual-fleet.ts';
import type { VirtualFleet, VirtualFleetOptions } from './virtual-fleet.ts';
import type { Inputs } from './workloads.ts';

/**
 * A command of the kit's or of your own. `check` says whether it can be given, by the model alone: one that
 * can't is passed over. It keeps nothing of its own, for it is given to many fleets.
 */
export type FleetCommand<K extends AgentMap = AgentMap> = fc.AsyncCommand<FleetModel, VirtualFleet<K>>;

export interface FleetCommandsOptions<K extends AgentMap = AgentMap> {
  /** What may be submitted, by kind. */
  readonly inputs: Inputs<K>;
  /** Commands of your own, drawn beside the kit's. */
  readonly more?: readonly fc.Arbitrary<FleetCommand<K>>[];
  /** Default 30. */
  readonly maxCommands?: number;
  /** How long time passes in one go at most. Default 20,000. */
  readonly maxAdvanceMs?: number;
}

const MOST_WHICH = 99;
const LAST_DELIVERIES = 40;
const LONGEST_DRAIN_MS = 2_000;

/**
 * Sequences of commands: submit, submit again, submit in conflict, submit and die, let time pass, crash a
 * worker, kill, restart, close, look up; and your own. They shrink to the few that matter, further than
 * those of `fc.commands` do, and the `seed` and `path` of a failure are enough to bring it back.
 *
 * @throws TopologyError, ArbitraryOptionError
 * @example
 * const commands = fleetCommands(topology, { inputs: { triage: fc.record({ mailId: fc.string() }) } });
 * await fc.assert(fc.asyncProperty(commands, (given) => runFleetCommands(topology, given).then(() => {})));
 */
export function fleetCommands<K extends AgentMap>(
  topology: Topology<K>,
  options: FleetCommandsOptions<K>,
): fc.Arbitrary<readonly FleetCommand<K>[]> {
  demandTopology('fleetCommands', topology);
  onlyKnown('fleetCommands', options, ['inputs', 'more', 'maxCommands', 'maxAdvanceMs']);
  const { inputs, more = [], maxCommands = 30, maxAdvanceMs = 20_000 } = options;
  onlyKnown('fleetCommands.inputs', inputs, Object.keys(topology.kinds));
  demandCount('fleetCommands.maxCommands', maxCommands, 1, 10_000);
  demandCount('fleetCommands.maxAdvanceMs', maxAdvanceMs, 0, 1_000_000_000);
  const submissions = Object.entries(inputs).map(([kind, input]) => fc.tuple(fc.constant(kind), input as fc.Arbitrary<unknown>));
  demand('fleetCommands.inputs', inputs, submissions.length > 0, 'an arbitrary of inputs for one kind at least');
  const submission = fc.oneof(...submissions);
  const which = fc.nat({ max: MOST_WHICH });
  const workers = Object.values(topology.kinds).flatMap(({ kind, replicas }) =>
    Array.from({ length: replicas }, (_, replica) => new CrashWorker(kind, replica)),
  );
  const own = [
    { weight: 4, arbitrary: submission.map(([kind, input]) => new Submit(kind, input)) },
    { weight: 2, arbitrary: fc.nat({ max: maxAdvanceMs }).map((ms) => new Advance(ms)) },
    { weight: 2, arbitrary: fc.constant(new Restart()) },
    { weight: 1, arbitrary: which.map((at) => new SubmitAgain(at)) },
    { weight: 1, arbitrary: fc.tuple(which, submission).map(([at, [kind, input]]) => new SubmitInConflict(at, kind, input)) },
    { weight: 1, arbitrary: which.map((at) => new LookUp(at)) },
    { weight: 1, arbitrary: fc.constantFrom(...workers) },
    { weight: 1, arbitrary: submission.map(([kind, input]) => new SubmitAndKill(kind, input)) },
    { weight: 1, arbitrary: fc.nat({ max: LAST_DELIVERIES }).map((deliveries) => new Kill(deliveries)) },
    { weight: 1, arbitrary: fc.nat({ max: LONGEST_DRAIN_MS }).map((ms) => new Close(ms)) },
  ];
  const users = more.map((arbitrary) => ({ weight: 1, arbitrary }));
  const command = fc.oneof(...own, ...users);
  return list(command, { maxLength: maxCommands });
}

/**
 * Gives the commands to a new virtual fleet, then lets it heal: every task that was accepted has to end.
 *
 * @throws FleetModelError when the fleet is not as the model has it
 * @throws SimulationViolatedError when an invariant is broken
 * @throws what a command throws, and what `virtualFleet` throws
 */
export async function runFleetCommands<K extends AgentMap>(
  topology: Topology<K>,
  commands: Iterable<FleetCommand<K>>,
  options: VirtualFleetOptions<K> = {},
): Promise<SimulationResult> {
  await using fleet = await virtualFleet(topology, options);
  const model = new FleetModel();
  await fc.asyncModelRun(() => ({ model, real: fleet }), commands);
  const result = await fleet.end();
  model.compare(fleet, 'the end');
  assertClean(result);
  return result;
}
