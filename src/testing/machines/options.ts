/** Options of the tests of machines: what they are, and that they make sense. */
import type { AnyStateMachine, EventFromLogic, InputFrom, SnapshotFrom } from 'xstate';
import type { Chart } from './chart.ts';
import { MachineEventError, MachineOptionError } from './errors.ts';

/**
 * What the paths have to cover. `states`: a shortest path to each state. `transitions`: each event in
 * each state where it does something, after a shortest path there. `simple`: each way to each state
 * that visits no state twice.
 */
export type Cover = 'states' | 'transitions' | 'simple';

export interface PathOptions<M extends AnyStateMachine = AnyStateMachine> {
  readonly input?: InputFrom<M>;
  /**
   * Cases of events, several of one type if you like. A type that the machine takes and that has no case
   * comes without data. Delayed transitions need none; what an invoked actor answers
   * (`xstate.done.actor.<id>`) may have some.
   */
  readonly events?: readonly (EventFromLogic<M> | Answer)[];
  /** Event types that end the machine by an error. They come last in a path. Default: none. */
  readonly crashes?: readonly EventFromLogic<M>['type'][];
  /** Default `transitions`. */
  readonly cover?: Cover;
  /** What tells two states apart, as JSON. Default: state value and context. */
  readonly identity?: (snapshot: SnapshotFrom<M>) => unknown;
  /** States for which it is false are reached, and not gone on from. Default: all are gone on from. */
  readonly within?: (snapshot: SnapshotFrom<M>) => boolean;
  /** Default 1,000. */
  readonly mostStates?: number;
  /** Default 10,000. */
  readonly mostPaths?: number;
}

/** What an invoked actor says: `xstate.done.actor.<id>` with `output`, `xstate.error.actor.<id>` with `error`. */
export interface Answer {
  readonly type: `xstate.${'done' | 'error'}.actor.${string}`;
  readonly output?: unknown;
  readonly error?: unknown;
}

const COVERS: readonly Cover[] = ['states', 'transitions', 'simple'];
export const PATH_OPTIONS = ['input', 'events', 'crashes', 'cover', 'identity', 'within', 'mostStates', 'mostPaths'];

/** @throws MachineOptionError, MachineEventError */
export function checkMachine(machine: unknown): void {
  const { root, getTransitionData } = (machine ?? {}) as { readonly root?: unknown; readonly getTransitionData?: unknown };
  demand('machine', machine, typeof root === 'object' && typeof getTransitionData === 'function', 'a machine, made by createMachine(...)');
}

/** @throws MachineOptionError, MachineEventError */
export function checkPathOptions(machine: AnyStateMachine, chart: Chart, options: PathOptions, known: readonly string[]): void {
  demand('options', options, typeof (options as unknown) === 'object' && (options as unknown) !== null, 'an object, such as { events }');
  for (const name of Object.keys(options)) {
    if (!known.includes(name))
      throw new MachineOptionError(name, `no such option; there are ${known.join(', ')}`, (options as Record<string, unknown>)[name]);
  }
  const { events = [], crashes = [], cover = 'transitions', identity, within, mostStates = 1, mostPaths = 1 } = options;
  demand('events', events, Array.isArray(events) && events.every(isEvent), 'an array of events, each with a type');
  demand('crashes', crashes, Array.isArray(crashes) && crashes.every((type) => typeof type === 'string'), 'an array of event types');
  demand('cover', cover, COVERS.includes(cover), COVERS.join(', '));
  demand('identity', identity, identity === undefined || typeof identity === 'function', 'a function of (snapshot)');
  demand('within', within, within === undefined || typeof within === 'function', 'a function of (snapshot)');
  demand('mostStates', mostStates, isCount(mostStates), 'a whole number of states, from 1 to 1,000,000');
  demand('mostPaths', mostPaths, isCount(mostPaths), 'a whole number of paths, from 1 to 1,000,000');
  for (const type of [...events.map((event) => (event as { readonly type: string }).type), ...crashes]) {
    if (!chart.events.some((descriptor) => isMatch(descriptor, type)))
      throw new MachineEventError({ machine: machine.id, event: type, known: chart.events });
  }
}

export function demand(option: string, value: unknown, holds: boolean, expected: string): void {
  if (!holds) throw new MachineOptionError(option, expected, value);
}

const MOST = 1_000_000;

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MOST;
}

function isEvent(value: unknown): boolean {
  return typeof (value as { readonly type?: unknown } | null)?.type === 'string';
}

/** As XState reads a descriptor: `*` is anything, `mouse.*` is `mouse` and all that begins with `mouse.`. */
function isMatch(descriptor: string, type: string): boolean {
  if (descriptor === '*' || descriptor === type) return true;
  return descriptor.endsWith('.*') && `${type}.`.startsWith(descriptor.slice(0, -1));
}
