/**
 * Search: breadth first over a state space. What comes out is the graph of all states that were
 * reached, as flat arrays: the verdicts read it forwards and backwards.
 */
import { Numbers } from './numbers.ts';
import type { StateSpace } from './space.ts';
import { StateStore } from './state-store.ts';

export interface SearchOptions {
  /** States that are stored at most. Default 2,000,000. */
  readonly maxStates?: number;
  /** How long the search may take. Needs `nowMs`. Default: as long as it takes. */
  readonly withinMs?: number;
  /** The clock that `withinMs` and the times in the result are measured with. */
  readonly nowMs?: () => number;
  /** Stop at the first dead state, which is a nearest one. Default false. */
  readonly untilDead?: boolean;
}

/** Why a search came to its end. Only `finished` has seen every state. */
export type SearchEnd = 'finished' | 'dead' | 'states' | 'time';

/**
 * States are numbered in order of arrival, so a lower number is never further from the start. Those
 * below `expanded` have all their moves in the graph; the others have none.
 */
export interface StateGraph {
  readonly space: StateSpace;
  readonly store: StateStore;
  readonly states: number;
  readonly expanded: number;
  readonly end: SearchEnd;
  /** By state: from where, and by which move, it was reached first; -1 for the start. */
  readonly parent: Int32Array;
  readonly parentMove: Int32Array;
  /** Moves out of state `i`: from `edgeStart[i]` up to `edgeStart[i + 1]`. */
  readonly edgeStart: Int32Array;
  readonly edgeTo: Int32Array;
  readonly edgeMove: Int32Array;
  /** 0 without a clock. */
  readonly ms: number;
}

const DEFAULT_MAX_STATES = 2_000_000;

/** How many states are expanded between two looks at the clock. */
const LOOK_EVERY = 1_024;

/** Reaches every state of a space, or as many as the bounds permit. */
export function search(space: StateSpace, options: SearchOptions = {}): StateGraph {
  const { maxStates = DEFAULT_MAX_STATES, withinMs = Infinity, nowMs = () => 0, untilDead = false } = options;
  const startedMs = nowMs();
  const store = new StateStore(space.bytes);
  const next = store.scratch.subarray(0, space.bytes);
  const parent = new Numbers();
  const parentMove = new Numbers();
  const edgeStart = new Numbers();
  const edgeTo = new Numbers();
  const edgeMove = new Numbers();

  space.start(next);
  store.add();
  parent.push(-1);
  parentMove.push(-1);

  let from = 0;
  let stuck = true;
  const found = (move: number): void => {
    const known = store.count;
    const to = store.add();
    if (store.count > known) {
      parent.push(from);
      parentMove.push(move);
    }
    edgeTo.push(to);
    edgeMove.push(move);
    const { class: moveClass } = space.moves[move]!;
    // A move that changes nothing is no way out: an agent that tries in vain again and again is stuck.
    if (moveClass === 'progress' || (moveClass !== 'fault' && to !== from)) stuck = false;
  };

  let end: SearchEnd = 'finished';
  for (; from < store.count; from += 1) {
    if (store.count > maxStates) {
      end = 'states';
      break;
    }
    if (from % LOOK_EVERY === 0 && nowMs() - startedMs > withinMs) {
      end = 'time';
      break;
    }
    edgeStart.push(edgeTo.length);
    stuck = true;
    space.expand(store.bytes, from * store.stride, next, found);
    if (untilDead && stuck && !isHome(space, store, from)) {
      from += 1;
      end = 'dead';
      break;
    }
  }
  edgeStart.push(edgeTo.length);
  return {
    space,
    store,
    states: store.count,
    expanded: from,
    end,
    parent: parent.values(),
    parentMove: parentMove.values(),
    edgeStart: edgeStart.values(),
    edgeTo: edgeTo.values(),
    edgeMove: edgeMove.values(),
    ms: nowMs() - startedMs,
  };
}

/** Whether a stored state is a home state; never where the space has none. */
export function isHome(space: StateSpace, store: StateStore, state: number): boolean {
  return space.isHome?.(store.bytes, state * store.stride) ?? false;
}

/** One move of a trace, and the state after it. */
export interface TraceStep {
  readonly move: number;
  readonly state: number;
}

/** A shortest way from the start to a state. */
export function traceTo({ parent, parentMove }: StateGraph, state: number): readonly TraceStep[] {
  const steps: TraceStep[] = [];
  for (let at = state; parent[at] !== -1; at = parent[at]!) steps.push({ move: parentMove[at]!, state: at });
  return steps.toReversed();
}
