/**
 * Paths: ways through a machine, found by exploring its states with `xstate/graph`. Nothing runs: no
 * action, no timer, no invoked actor. A delayed transition counts as an event that may come.
 */
import { initialTransition, transition } from 'xstate';
import type { AnyEventObject, AnyMachineSnapshot, AnyStateMachine, EventFromLogic, SnapshotFrom } from 'xstate';
import { getAdjacencyMap } from 'xstate/graph';
import { chartOf, eventWords, ownEventsOf, transitionsOf, valueWords } from './chart.ts';
import { MachineOptionError, MachineThrewError, MachineUnboundedError } from './errors.ts';
import { checkMachine, checkPathOptions, PATH_OPTIONS } from './options.ts';
import type { Cover, PathOptions } from './options.ts';

/** One event, and the state that it leads to. */
export interface PathStep<M extends AnyStateMachine = AnyStateMachine> {
  readonly event: EventFromLogic<M>;
  readonly state: SnapshotFrom<M>;
}

/** A way through a machine, from its start. */
export interface MachinePath<M extends AnyStateMachine = AnyStateMachine> {
  readonly start: SnapshotFrom<M>;
  readonly steps: readonly PathStep<M>[];
  /** Such as `idle --worker.busy--> working`. */
  readonly words: string;
}

/** A step by the names of the states it leads from and to. */
interface Edge {
  readonly from: string;
  readonly event: AnyEventObject;
  readonly to: string;
}

interface Graph {
  readonly start: string;
  readonly edges: ReadonlyMap<string, readonly Edge[]>;
}

const MOST_STATES = 1_000;
const MOST_PATHS = 10_000;

/**
 * Paths that together cover the machine, the shorter first. One that is the beginning of another is left
 * out.
 *
 * @throws MachineOptionError when an option is out of range
 * @throws MachineEventError when no state takes one of the events
 * @throws MachineUnboundedError when there are more states, or paths, than the bounds allow
 * @throws MachineThrewError when a guard or an assignment throws
 * @example
 * for (const { words } of pathsOf(orderMachine, { events: [{ type: 'add', sku: 'a' }] })) console.log(words);
 */
export function pathsOf<M extends AnyStateMachine>(machine: M, options: PathOptions<M> = {}): readonly MachinePath<M>[] {
  checkMachine(machine);
  checkPathOptions(machine, chartOf(machine), options, PATH_OPTIONS);
  return coveringPaths(machine, options);
}

/** As `pathsOf`, of options that have been checked. */
export function coveringPaths(machine: AnyStateMachine, options: PathOptions): readonly MachinePath[] {
  const graph = explore(machine, options);
  const crashes: readonly string[] = options.crashes ?? [];
  const { cover = 'transitions', mostPaths = MOST_PATHS } = options;
  const kept = withoutBeginnings(waysOf(machine, graph, crashes, cover, mostPaths));
  if (kept.length > mostPaths) throw tooManyPaths(machine, mostPaths);
  return kept.map((way) => retrace(machine, options, way));
}

function explore(machine: AnyStateMachine, options: PathOptions): Graph {
  const { events = [], crashes = [], within, mostStates = MOST_STATES } = options;
  const names = new Map<string, AnyMachineSnapshot>();
  const nameOf = (snapshot: AnyMachineSnapshot): string => {
    const name = identify(snapshot, options);
    names.set(name, snapshot);
    if (names.size > mostStates)
      throw new MachineUnboundedError({ machine: machine.id, what: 'states', limit: mostStates, grows: growing([...names.values()]) });
    return name;
  };
  let trying = 'its start';
  const given = events as readonly AnyEventObject[];
  const eventsOf = (snapshot: AnyMachineSnapshot): readonly AnyEventObject[] => {
    if (snapshot.status !== 'active' || within?.(snapshot as never) === false) return [];
    const bare = ownEventsOf(snapshot)
      .filter((type) => !given.some((event) => event.type === type))
      .map((type): AnyEventObject => ({ type }));
    return [...given, ...bare].filter((event) => {
      trying = event.type;
      return transitionsOf(machine, snapshot, event).length > 0;
    });
  };
  const edges = new Map<string, readonly Edge[]>();
  try {
    const [start] = initialTransition(machine, options.input);
    const adjacency = getAdjacencyMap(
      watching(machine, (type) => (trying = type)),
      {
        input: options.input,
        fromState: start,
        serializeState: nameOf,
        serializeEvent: (event: AnyEventObject) => `${event.type} ${given.indexOf(event)}`,
        events: eventsOf,
      } as never,
    ) as unknown as Adjacency;
    for (const [from, { transitions }] of Object.entries(adjacency)) {
      const steps = Object.values(transitions).map(({ event, state }): Edge => ({ from, event, to: nameOf(state) }));
      edges.set(from, steps);
    }
    // What crashes leads nowhere, whatever the pure transition says.
    for (const [from, steps] of edges)
      edges.set(
        from,
        steps.map((edge) => ((crashes as readonly string[]).includes(edge.event.type) ? { ...edge, to: from } : edge)),
      );
    return { start: nameOf(start), edges };
  } catch (cause) {
    if (cause instanceof MachineUnboundedError || cause instanceof MachineOptionError) throw cause;
    throw new MachineThrewError({ machine: machine.id, event: trying }, { cause });
  }
}

type Adjacency = Readonly<
  Record<string, { readonly transitions: Readonly<Record<string, { readonly event: AnyEventObject; readonly state: AnyMachineSnapshot }>> }>
>;

/** The same machine, saying which event it is about to take. */
function watching(machine: AnyStateMachine, noted: (type: string) => void): AnyStateMachine {
  const logic = Object.create(machine) as AnyStateMachine;
  logic.transition = (snapshot, event: AnyEventObject, scope) => {
    noted(event.type);
    return machine.transition(snapshot, event, scope);
  };
  return logic;
}

function identify(snapshot: AnyMachineSnapshot, { identity }: PathOptions): string {
  const context = snapshot.context as object;
  const told: unknown = identity === undefined ? { value: snapshot.value, context } : identity(snapshot as never);
  try {
    return JSON.stringify([snapshot.status, told]);
  } catch (cause) {
    throw new MachineOptionError('identity', 'something that can be written as JSON; give a function that leaves the rest out', told, {
      cause,
    });
  }
}

/** Keys of the context by how many values they were seen with, the most first. */
function growing(snapshots: readonly AnyMachineSnapshot[]): readonly { readonly key: string; readonly values: number }[] {
  const seen = new Map<string, Set<string>>();
  for (const { context } of snapshots) {
    for (const [key, value] of Object.entries(context as object)) {
      const values = seen.get(key) ?? new Set();
      seen.set(key, values.add(JSON.stringify(value)));
    }
  }
  const counts = [...seen].map(([key, { size }]) => ({ key, values: size })).toSorted((a, b) => b.values - a.values);
  // What has a tenth as many values as the first one does not make the difference.
  return counts.filter(({ values }) => values > 1 && values * 10 >= counts[0]!.values);
}

type Way = readonly Edge[];

function waysOf(machine: AnyStateMachine, graph: Graph, crashes: readonly string[], cover: Cover, mostPaths: number): readonly Way[] {
  if (cover === 'simple') return simpleWays(machine, graph, crashes, mostPaths);
  const shortest = shortestWays(graph, crashes);
  if (cover === 'states') return [...shortest.values()];
  return [...shortest].flatMap(([state, way]) => [way, ...graph.edges.get(state)!.map((edge) => [...way, edge])]);
}

/** A shortest way to every state, by its name. */
function shortestWays({ start, edges }: Graph, crashes: readonly string[]): ReadonlyMap<string, Way> {
  const ways = new Map<string, Way>([[start, []]]);
  for (const [state, way] of ways) {
    for (const edge of edges.get(state)!) if (!ways.has(edge.to) && !crashes.includes(edge.event.type)) ways.set(edge.to, [...way, edge]);
  }
  return ways;
}

function tooManyPaths(machine: AnyStateMachine, limit: number): MachineUnboundedError {
  return new MachineUnboundedError({ machine: machine.id, what: 'paths', limit, grows: [] });
}

/** Every way that visits no state twice. There may be very many: hence the bound. */
function simpleWays(machine: AnyStateMachine, { start, edges }: Graph, crashes: readonly string[], limit: number): readonly Way[] {
  const ways: Way[] = [];
  const visited = new Set([start]);
  const visit = (state: string, way: Way): void => {
    ways.push(way);
    if (ways.length > limit) throw tooManyPaths(machine, limit);
    for (const edge of edges.get(state)!) {
      if (visited.has(edge.to) || crashes.includes(edge.event.type)) continue;
      visited.add(edge.to);
      visit(edge.to, [...way, edge]);
      visited.delete(edge.to);
    }
  };
  visit(start, []);
  return ways;
}

/** Ways as a tree: what several begin with is there once. */
interface Branch {
  readonly next: Map<Edge, Branch>;
}

/** The shorter first; what another one begins with says nothing of its own. */
function withoutBeginnings(ways: readonly Way[]): readonly Way[] {
  const root: Branch = { next: new Map() };
  const ends = new Map<Branch, Way>();
  for (const way of ways) {
    let branch = root;
    for (const edge of way) {
      const next: Branch = branch.next.get(edge) ?? { next: new Map() };
      branch.next.set(edge, next);
      branch = next;
    }
    ends.set(branch, way);
  }
  return [...ends]
    .filter(([{ next }]) => next.size === 0)
    .map(([, way]) => way)
    .toSorted((a, b) => a.length - b.length);
}

/** The path with its true states: where states are told apart by less than all they are, one stands for many. */
function retrace(machine: AnyStateMachine, { input }: PathOptions, way: Way): MachinePath {
  const [start] = initialTransition(machine, input) as [AnyMachineSnapshot, unknown];
  const steps: { event: AnyEventObject; state: AnyMachineSnapshot }[] = [];
  let words = valueWords(start.value);
  let state = start;
  for (const { event } of way) {
    [state] = transition(machine, state as never, event as never) as [AnyMachineSnapshot, unknown];
    steps.push({ event, state });
    words += ` --${eventWords(event.type)}--> ${valueWords(state.value)}`;
  }
  return { start, steps, words };
}
