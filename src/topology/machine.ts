/**
 * Machine: a user's statechart as what an agent runs. Here it is looked at only: every actor that it names
 * has to be an operation, or a machine whose own are. Anything else acts behind the back of the run, and
 * could not be remembered.
 */
import type { AnyActorLogic, AnyStateMachine, StateMachine } from 'xstate';
import type { Problem } from '../../actors/kernel/shape.ts';
import type { AgentSpec, Widened } from './agent.ts';
import type { Context, ContractMap, DependencyMap, EventMap } from './context.ts';
import { isOperation } from './operation.ts';

/**
 * An agent that is a statechart. The task's input is the machine's, its output the task's result; a machine in error
 * rejects the run.
 *
 * What is remembered is its persisted snapshot, when its delays are over, and what its operations bring. So its context
 * must be JSON, its guards, assignments and delays must follow from context and event, and an action of its own may be
 * executed again after a crash: effects belong into operations. A declared event reaches it as `{ type: name, ...payload }`
 * when a state is active that takes it; one that was told before that waits.
 */
export interface MachineAgentSpec<
  I,
  P,
  RI,
  RO,
  U extends DependencyMap,
  A extends ContractMap,
  R extends Widened<RI> = Widened<RI>,
  E extends EventMap = EventMap,
> extends Omit<AgentSpec<I, P, RI, RO, U, A, R, E>, 'run' | 'machine' | 'isolation'> {
  /** Its actors are operations, or machines whose actors are. */
  readonly machine: MachineOf<P, R>;
  readonly run?: never;
  /** A machine runs on the fleet's own event loop. */
  readonly isolation?: 'inline';
}

/** A machine of XState by what goes in and what comes out. */
// oxlint-disable-next-line typescript/no-explicit-any -- whatever is in between
export type MachineOf<P, R> = StateMachine<any, any, any, any, any, any, any, any, any, P, R, any, any, any, any>;

/** Runs machines. */
export type MachineRunner = (machine: AnyStateMachine, input: unknown, ctx: Context) => Promise<unknown>;

/** Who runs machines is above this room: a fleet that starts puts itself here. */
export const machines: { runner: MachineRunner | undefined } = { runner: undefined };

/** What is in an actor's place, by the name that the machine has for it; undefined: nothing is. */
export function logicOf(machine: AnyStateMachine, src: string): AnyActorLogic | undefined {
  const inline = /^xstate\.invoke\.(\d+)\.(.*)$/s.exec(src);
  if (inline === null) return machine.implementations.actors[src] as AnyActorLogic | undefined;
  const nodes = [...nodesOf(machine.root)];
  const found = nodes.find(({ id }) => id === inline[2])?.config.invoke as unknown;
  const invoked = (Array.isArray(found) ? found[Number(inline[1])] : found) as { readonly src: unknown } | undefined;
  return invoked?.src as AnyActorLogic | undefined;
}

/** The states of a machine, each before those within it. */
export function* nodesOf(node: AnyStateMachine['root']): Iterable<AnyStateMachine['root']> {
  yield node;
  for (const child of Object.values(node.states)) yield* nodesOf(child);
}

export function isMachine(logic: unknown): logic is AnyStateMachine {
  const { root, getTransitionData } = (logic ?? {}) as { readonly root?: unknown; readonly getTransitionData?: unknown };
  return typeof root === 'object' && typeof getTransitionData === 'function';
}

const EXPECTED = 'an operation, made by operation(...), or a machine whose actors are operations; anything else cannot be remembered';

/** What is wrong with a machine as what an agent runs. */
export function checkMachine(machine: unknown): Problem | undefined {
  if (!isMachine(machine)) return { path: ['machine'], value: machine, expected: 'a machine, made by setup(...).createMachine(...)' };
  return checkActors(machine, ['machine'], new Set());
}

function checkActors(machine: AnyStateMachine, path: readonly string[], seen: Set<AnyStateMachine>): Problem | undefined {
  if (seen.has(machine)) return undefined;
  seen.add(machine);
  const check = (logic: unknown, at: readonly string[]): Problem | undefined => {
    if (isOperation(logic)) return undefined;
    return isMachine(logic) ? checkActors(logic, at, seen) : { path: at, value: logic, expected: EXPECTED };
  };
  for (const [name, logic] of Object.entries(machine.implementations.actors)) {
    const problem = check(logic, [...path, 'actors', name]);
    if (problem !== undefined) return problem;
  }
  for (const node of nodesOf(machine.root)) {
    for (const { id, src } of node.invoke) {
      const states = node.path.flatMap((name) => ['states', name]);
      const problem = check(logicOf(machine, src as string), [...path, ...states, 'invoke', id]);
      if (problem !== undefined) return problem;
    }
  }
  return undefined;
}
