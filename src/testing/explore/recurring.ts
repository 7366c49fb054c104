/**
 * Recurring: what may go on for ever. Livelock and starvation, read from the strongly connected
 * components of a state graph; `explore.ts` says what each of them is.
 */
import { componentsOf } from './components.ts';
import type { Components } from './components.ts';
import { isHome, traceTo } from './search.ts';
import type { StateGraph, TraceStep } from './search.ts';

/** Something that goes wrong: where, and a shortest way there. */
export interface Finding {
  /** The nearest state, as its number in the graph. */
  readonly state: number;
  /** How many such states there are (of a component: how many states it has). */
  readonly states: number;
  readonly trace: readonly TraceStep[];
  /** A way round the component that comes back to `state`; empty for dead and doomed states. */
  readonly cycle: readonly TraceStep[];
}

export interface StarvationFinding extends Finding {
  readonly actor: string;
  /** Whether it can't even move in any state of the component. */
  readonly stuck: boolean;
}

/** Whether an edge is a fault, from which nothing is hoped. */
export function isFault({ space, edgeMove }: StateGraph, edge: number): boolean {
  return space.moves[edgeMove[edge]!]!.class === 'fault';
}

/** What was found. */
export interface Judged {
  readonly livelock: Finding | undefined;
  readonly starving: readonly StarvationFinding[];
}

/** What happens for ever under strong fairness: components that cannot be left. */
export function finalOnes(graph: StateGraph, victims: readonly number[]): Judged {
  const { space, expanded, edgeStart, edgeTo } = graph;
  const whole = { hasState: () => true, hasEdge: (edge: number) => !isFault(graph, edge) };
  const components = componentsOf(graph, whole);
  const left = new Uint8Array(components.count);
  for (let from = 0; from < expanded; from += 1) {
    for (let edge = edgeStart[from]!; edge < edgeStart[from + 1]!; edge += 1) {
      const to = edgeTo[edge]!;
      if (!isFault(graph, edge) && (to >= expanded || components.of[to] !== components.of[from])) left[components.of[from]!] = 1;
    }
  }
  let livelock: number | undefined;
  const starving = new Map<number, number>();
  for (let component = 0; component < components.count; component += 1) {
    if (left[component] === 1) continue;
    const look = lookInto(graph, components, component);
    if (!look.moves || look.home) continue;
    if (look.achieved.size === 0) livelock = nearer(components, livelock, component);
    else {
      for (const actor of victims) {
        if (look.achieved.has(actor) || !look.busy(actor)) continue;
        starving.set(actor, nearer(components, starving.get(actor), component));
      }
    }
  }
  return {
    livelock: livelock === undefined ? undefined : findingOf(graph, components, livelock, whole.hasEdge),
    starving: [...starving].map(([actor, component]) => ({
      ...findingOf(graph, components, component, whole.hasEdge),
      actor: space.actors[actor]!,
      stuck: !movers(graph, components, component).has(actor),
    })),
  };
}

/** What a scheduler can do for ever that is fair to every actor that could always move. */
export function fairOnes(graph: StateGraph, victims: readonly number[]): Judged {
  const { space, store, edgeMove } = graph;
  const find = (hasState: (state: number) => boolean, hasEdge: (edge: number) => boolean, needsProgress: boolean) => {
    const components = componentsOf(graph, { hasState, hasEdge });
    let found: number | undefined;
    for (let component = 0; component < components.count; component += 1) {
      const look = lookInto(graph, components, component, hasEdge);
      if (!look.moves || look.achieved.size > 0 !== needsProgress) continue;
      if (isFair(graph, components, component, hasEdge)) found = nearer(components, found, component);
    }
    if (found === undefined) return undefined;
    return { ...findingOf(graph, components, found, hasEdge), able: movers(graph, components, found) };
  };
  const achieves = (edge: number) => space.moves[edgeMove[edge]!]!.achieves;
  const livelock = find(
    (state) => !isHome(space, store, state),
    (edge) => !isFault(graph, edge) && achieves(edge).length === 0,
    false,
  );
  const starving = victims.flatMap((actor) => {
    const finding = find(
      (state) => space.isBusy(actor, store.bytes, state * store.stride),
      (edge) => !isFault(graph, edge) && !achieves(edge).includes(actor),
      true,
    );
    return finding === undefined ? [] : [{ ...finding, actor: space.actors[actor]!, stuck: !finding.able.has(actor) }];
  });
  return { livelock, starving };
}

function nearer({ starts, members }: Components, known: number | undefined, component: number): number {
  const first = (of: number) => members.subarray(starts[of], starts[of + 1]).reduce((least, state) => Math.min(least, state), Infinity);
  return known === undefined || first(component) < first(known) ? component : known;
}

function lookInto(
  { space, store, edgeStart, edgeTo, edgeMove }: StateGraph,
  { of, starts, members }: Components,
  component: number,
  hasEdge: (edge: number) => boolean = (edge) => space.moves[edgeMove[edge]!]!.class !== 'fault',
) {
  const states = members.subarray(starts[component], starts[component + 1]);
  const achieved = new Set<number>();
  let moves = false;
  for (const from of states) {
    for (let edge = edgeStart[from]!; edge < edgeStart[from + 1]!; edge += 1) {
      if (of[edgeTo[edge]!] !== component || !hasEdge(edge)) continue;
      const { achieves } = space.moves[edgeMove[edge]!]!;
      if (achieves.length > 0 || edgeTo[edge] !== from) moves = true;
      for (const actor of achieves) achieved.add(actor);
    }
  }
  return {
    /** Whether it goes on: a move that changes nothing and achieves nothing does not count. */
    moves,
    achieved,
    home: states.some((state) => isHome(space, store, state)),
    busy: (actor: number) => states.every((state) => space.isBusy(actor, store.bytes, state * store.stride)),
  };
}

/** Who can move in some state of a component. */
function movers({ space, edgeStart, edgeMove }: StateGraph, { starts, members }: Components, component: number): ReadonlySet<number> {
  const able = new Set<number>();
  for (const from of members.subarray(starts[component], starts[component + 1])) {
    for (let edge = edgeStart[from]!; edge < edgeStart[from + 1]!; edge += 1) {
      const { class: moveClass, actor } = space.moves[edgeMove[edge]!]!;
      if (moveClass !== 'fault') able.add(actor);
    }
  }
  return able;
}

/** Weak fairness: each actor moves inside the component, or is unable to move in some state of it. */
function isFair(
  { space, edgeStart, edgeTo, edgeMove }: StateGraph,
  { of, starts, members }: Components,
  component: number,
  hasEdge: (edge: number) => boolean,
): boolean {
  const satisfied = new Set<number>();
  for (const from of members.subarray(starts[component], starts[component + 1])) {
    const able = new Set<number>();
    for (let edge = edgeStart[from]!; edge < edgeStart[from + 1]!; edge += 1) {
      const { class: moveClass, actor } = space.moves[edgeMove[edge]!]!;
      if (moveClass === 'fault') continue;
      able.add(actor);
      if (of[edgeTo[edge]!] === component && hasEdge(edge)) satisfied.add(actor);
    }
    for (const actor of space.actors.keys()) if (!able.has(actor)) satisfied.add(actor);
  }
  return satisfied.size === space.actors.length;
}

function findingOf(graph: StateGraph, components: Components, component: number, hasEdge: (edge: number) => boolean): Finding {
  const states = components.members.subarray(components.starts[component], components.starts[component + 1]);
  const state = states.reduce((least, member) => Math.min(least, member));
  const inside = (edge: number) => hasEdge(edge) && components.of[graph.edgeTo[edge]!] === component;
  return { state, states: states.length, trace: traceTo(graph, state), cycle: cycleThrough(graph, state, inside) };
}

/** A shortest way from a state back to itself, through progress where there is some. */
function cycleThrough(graph: StateGraph, start: number, inside: (edge: number) => boolean): readonly TraceStep[] {
  const { space, edgeStart, edgeTo, edgeMove } = graph;
  const walk = (from: number, isEnd: (edge: number, at: number) => boolean): readonly TraceStep[] | undefined => {
    const cameBy = new Map<number, { readonly edge: number; readonly from: number }>();
    const back = (edge: number, at: number): readonly TraceStep[] => {
      const steps: TraceStep[] = [{ move: edgeMove[edge]!, state: edgeTo[edge]! }];
      for (let before = at; before !== from; before = cameBy.get(before)!.from) {
        const by = cameBy.get(before)!;
        steps.push({ move: edgeMove[by.edge]!, state: before });
      }
      return steps.toReversed();
    };
    const open = [from];
    for (const at of open) {
      for (let edge = edgeStart[at]!; edge < edgeStart[at + 1]!; edge += 1) {
        if (!inside(edge)) continue;
        if (isEnd(edge, at)) return back(edge, at);
        const to = edgeTo[edge]!;
        if (to === from || cameBy.has(to)) continue;
        cameBy.set(to, { edge, from: at });
        open.push(to);
      }
    }
    return undefined;
  };
  const gain = walk(start, (edge) => space.moves[edgeMove[edge]!]!.achieves.length > 0);
  if (gain !== undefined) {
    const at = gain.at(-1)!.state;
    return at === start ? gain : [...gain, ...walk(at, (edge) => edgeTo[edge] === start)!];
  }
  return walk(start, (edge, at) => edgeTo[edge] === start && at !== start) ?? [];
}
