/** Components: reachability and strongly connected components over a state graph, without recursion. */
import { Numbers } from './numbers.ts';
import type { StateGraph } from './search.ts';

/** Which part of a graph is meant. An edge is an index of `edgeTo`. */
export interface Part {
  readonly hasState: (state: number) => boolean;
  readonly hasEdge: (edge: number, from: number, to: number) => boolean;
}

/** By state: 1 where some edge sequence of the part leads into one of the goals. */
export function canReach(graph: StateGraph, isGoal: (state: number) => boolean, hasEdge: Part['hasEdge']): Uint8Array {
  const { states, expanded, edgeStart, edgeTo } = graph;
  // Edges by target, counted first and filled in then.
  const starts = new Int32Array(states + 1);
  for (let from = 0; from < expanded; from += 1) {
    for (let edge = edgeStart[from]!; edge < edgeStart[from + 1]!; edge += 1) {
      if (hasEdge(edge, from, edgeTo[edge]!)) starts[edgeTo[edge]! + 1]! += 1;
    }
  }
  for (let state = 0; state < states; state += 1) starts[state + 1]! += starts[state]!;
  const sources = new Int32Array(starts[states]!);
  const filled = starts.slice();
  for (let from = 0; from < expanded; from += 1) {
    for (let edge = edgeStart[from]!; edge < edgeStart[from + 1]!; edge += 1) {
      const to = edgeTo[edge]!;
      if (!hasEdge(edge, from, to)) continue;
      sources[filled[to]!] = from;
      filled[to]! += 1;
    }
  }
  const reaches = new Uint8Array(states);
  const open = new Int32Array(states);
  let length = 0;
  for (let state = 0; state < states; state += 1) {
    if (!isGoal(state)) continue;
    reaches[state] = 1;
    open[length] = state;
    length += 1;
  }
  while (length > 0) {
    length -= 1;
    const to = open[length]!;
    for (let at = starts[to]!; at < starts[to + 1]!; at += 1) {
      const from = sources[at]!;
      if (reaches[from] === 1) continue;
      reaches[from] = 1;
      open[length] = from;
      length += 1;
    }
  }
  return reaches;
}

/** Components of a part, one after the other in `members`; `of` is -1 outside the part. */
export interface Components {
  readonly count: number;
  readonly of: Int32Array;
  readonly starts: Int32Array;
  readonly members: Int32Array;
}

/** Strongly connected components of the part of the graph that is expanded. @see Tarjan 1972 */
export function componentsOf(graph: StateGraph, part: Part): Components {
  const { states, expanded, edgeStart, edgeTo } = graph;
  const of = new Int32Array(states).fill(-1);
  const order = new Int32Array(states);
  const low = new Int32Array(states);
  const nextEdge = new Int32Array(states);
  const path: number[] = [];
  const stack: number[] = [];
  const starts = new Numbers();
  const members = new Numbers();
  let visited = 0;
  const enter = (state: number): void => {
    visited += 1;
    order[state] = visited;
    low[state] = visited;
    nextEdge[state] = edgeStart[state]!;
    path.push(state);
    stack.push(state);
  };
  const close = (root: number): void => {
    starts.push(members.length);
    for (let state = stack.pop()!; ; state = stack.pop()!) {
      of[state] = starts.length - 1;
      members.push(state);
      if (state === root) return;
    }
  };
  for (let root = 0; root < expanded; root += 1) {
    if (order[root] !== 0 || !part.hasState(root)) continue;
    enter(root);
    while (path.length > 0) {
      const from = path.at(-1)!;
      const edge = nextEdge[from]!;
      if (edge < edgeStart[from + 1]!) {
        nextEdge[from] = edge + 1;
        const to = edgeTo[edge]!;
        if (to >= expanded || !part.hasState(to) || !part.hasEdge(edge, from, to)) continue;
        if (order[to] === 0) enter(to);
        else if (of[to] === -1) low[from] = Math.min(low[from]!, order[to]!);
      } else {
        path.pop();
        if (low[from] === order[from]) close(from);
        const before = path.at(-1);
        if (before !== undefined) low[before] = Math.min(low[before]!, low[from]!);
      }
    }
  }
  const count = starts.length;
  starts.push(members.length);
  return { count, of, starts: starts.values(), members: members.values() };
}
