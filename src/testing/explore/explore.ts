/**
 * Explore: everything that can go wrong in a state space, each with the nearest state where it does.
 *
 * Faults may lead anywhere, but nothing is hoped from them: below, *moves* are all but faults.
 *
 * - **dead**: not home, and no move changes anything (one that leads back to the same state without
 *   progress is no way out).
 * - **doomed**: no sequence of moves leads to a home state any more. In a space without home states:
 *   none leads to progress any more. Dead states are doomed; others may still be moving.
 * - **livelock**, strong fairness (what can happen again and again does happen: every scheduler with
 *   some chance in it): a final component of the graph of moves, that is, one without a way out,
 *   that goes on and neither is home nor ever makes progress.
 * - **livelock**, weak fairness (whoever could always move does move some time): a component of the
 *   graph of moves without progress, none of it home, in which every actor either moves or is unable
 *   to move in some state. A scheduler that is fair to every actor can keep the system there.
 * - **starvation** of an actor, strong: a final component in which others make progress, and this one
 *   is busy all the time and never does. Weak: the same of a component of the graph without its
 *   progress, fair to every actor as above.
 *
 * A search that ended early is judged by what it saw: a state that was not expanded counts as a way
 * home and a way out. What is found is then true, and what is not found may still be there.
 */
import { canReach } from './components.ts';
import { fairOnes, finalOnes, isFault } from './recurring.ts';
import type { Finding, StarvationFinding } from './recurring.ts';
import { isHome, search, traceTo } from './search.ts';
import type { SearchEnd, SearchOptions, StateGraph } from './search.ts';
import type { StateSpace } from './space.ts';

export type Fairness = 'strong' | 'weak';

export interface ExploreOptions extends SearchOptions {
  /** What is assumed of the scheduler. Default `strong`. With `weak`, search without release first. */
  readonly fairness?: Fairness;
  /** Actors that must not starve. Default: all of the space. */
  readonly starvation?: 'all' | 'none' | readonly string[];
}

export interface Exploration {
  readonly graph: StateGraph;
  readonly end: SearchEnd;
  readonly states: number;
  readonly transitions: number;
  readonly ms: number;
  readonly dead: Finding | undefined;
  readonly doomed: Finding | undefined;
  readonly livelock: Finding | undefined;
  readonly starvation: readonly StarvationFinding[];
  /** By state: 1 where home (or progress) can still be reached. */
  readonly hopeful: Uint8Array;
}

/**
 * Searches a space and judges it.
 *
 * @throws UnboundedNetError when the space is a net that does not stay within its bounds.
 */
export function explore(space: StateSpace, options: ExploreOptions = {}): Exploration {
  const { fairness = 'strong', starvation = 'all' } = options;
  const graph = search(space, options);
  const hopeful = canReach(graph, goalOf(graph), (edge) => !isFault(graph, edge));
  const isMeant = (name: string) => starvation === 'all' || (starvation !== 'none' && starvation.includes(name));
  const victims = space.actors.flatMap((name, actor) => (isMeant(name) ? [actor] : []));
  const { livelock, starving } = fairness === 'strong' ? finalOnes(graph, victims) : fairOnes(graph, victims);
  return {
    graph,
    end: graph.end,
    states: graph.states,
    transitions: graph.edgeTo.length,
    ms: graph.ms,
    dead: deadOnes(graph),
    doomed: nearest(graph, (state) => hopeful[state] === 0),
    livelock,
    starvation: starving,
    hopeful,
  };
}

function goalOf(graph: StateGraph): (state: number) => boolean {
  const { space, store, expanded, edgeStart, edgeMove } = graph;
  if (space.isHome !== undefined) return (state) => state >= expanded || isHome(space, store, state);
  return (state) => {
    if (state >= expanded) return true;
    for (let edge = edgeStart[state]!; edge < edgeStart[state + 1]!; edge += 1) {
      if (space.moves[edgeMove[edge]!]!.class === 'progress') return true;
    }
    return false;
  };
}

function deadOnes(graph: StateGraph): Finding | undefined {
  const { space, store, expanded, edgeStart, edgeTo, edgeMove } = graph;
  const isDead = (state: number): boolean => {
    if (state >= expanded || isHome(space, store, state)) return false;
    for (let edge = edgeStart[state]!; edge < edgeStart[state + 1]!; edge += 1) {
      const { class: moveClass } = space.moves[edgeMove[edge]!]!;
      if (moveClass === 'progress' || (moveClass !== 'fault' && edgeTo[edge] !== state)) return false;
    }
    return true;
  };
  return nearest(graph, isDead);
}

function nearest(graph: StateGraph, isSo: (state: number) => boolean): Finding | undefined {
  let first = -1;
  let states = 0;
  for (let state = 0; state < graph.states; state += 1) {
    if (!isSo(state)) continue;
    if (first === -1) first = state;
    states += 1;
  }
  return first === -1 ? undefined : { state: first, states, trace: traceTo(graph, first), cycle: [] };
}
