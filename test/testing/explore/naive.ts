/**
 * A second explorer, for comparison: states are JSON texts in a Map, every definition is written out
 * over pairs of states, and nothing is fast or clever.
 */
import type { Arc, Net, Transition } from '../../../src/testing/explore/net.ts';

interface Edge {
  readonly transition: Transition;
  readonly to: string;
}

export interface Naive {
  readonly states: number;
  /** Moves from the start to the nearest one. */
  readonly dead: number | undefined;
  readonly doomed: number | undefined;
  readonly strong: { readonly livelock: boolean; readonly starving: readonly string[] };
  readonly weak: { readonly livelock: boolean; readonly starving: readonly string[] };
}

/** Undefined when the net grows beyond its capacities or beyond `most` states. */
export function naively(net: Net, most: number): Naive | undefined {
  const distance = new Map<string, number>();
  const edges = new Map<string, readonly Edge[]>();
  const start = JSON.stringify(net.places.map(({ initial }) => initial));
  distance.set(start, 0);
  const open = [start];
  for (const state of open) {
    const marking = JSON.parse(state) as readonly number[];
    const out: Edge[] = [];
    for (const transition of net.transitions) {
      if (!enabled(transition, marking)) continue;
      const after = fire(transition, marking);
      if (after.some((count, place) => count > net.places[place]!.capacity)) return undefined;
      const to = JSON.stringify(after);
      out.push({ transition, to });
      if (distance.has(to)) continue;
      distance.set(to, distance.get(state)! + 1);
      open.push(to);
      if (open.length > most) return undefined;
    }
    edges.set(state, out);
  }

  const moves = (state: string) => edges.get(state)!.filter(({ transition }) => transition.class !== 'fault');
  const isHome = (state: string) => {
    const marking = JSON.parse(state) as readonly number[];
    return net.home !== undefined && net.home.every(({ place, count }) => marking[place] === count);
  };
  const achievers = ({ class: moveClass, actor, achieves = [actor] }: Transition) => (moveClass === 'progress' ? achieves : []);
  const reach = (from: string, keep: (edge: Edge, at: string) => boolean): ReadonlySet<string> => {
    const seen = new Set([from]);
    for (const at of seen) for (const edge of moves(at)) if (keep(edge, at)) seen.add(edge.to);
    return seen;
  };
  const good = (state: string) =>
    net.home === undefined ? moves(state).some((edge) => achievers(edge.transition).length > 0) : isHome(state);
  const isDead = (state: string) =>
    !isHome(state) && moves(state).every(({ transition, to }) => to === state && achievers(transition).length === 0);
  const isDoomed = (state: string) => ![...reach(state, () => true)].some(good);
  const nearest = (is: (state: string) => boolean) => {
    const found = open.filter(is).map((state) => distance.get(state)!);
    return found.length === 0 ? undefined : Math.min(...found);
  };

  const actors = [...new Set(net.transitions.flatMap(({ actor, achieves = [] }) => [actor, ...achieves]))];
  const isBusy = (actor: string, state: string) => {
    const marking = JSON.parse(state) as readonly number[];
    return net.places.some(({ about }, place) => about.at === 'process' && about.process === actor && !about.rests && marking[place]! > 0);
  };

  const finals = open.flatMap((state) => {
    const all = [...reach(state, () => true)];
    const isFinal = all.every((other) => reach(other, () => true).has(state));
    const inside = all.flatMap((at) => moves(at).map((edge) => ({ ...edge, at })));
    const goesOn = inside.some(({ at, to, transition }) => to !== at || achievers(transition).length > 0);
    if (!isFinal || !goesOn || all.some(isHome)) return [];
    return [{ all, achieved: new Set(inside.flatMap(({ transition }) => achievers(transition))) }];
  });
  const strong = {
    livelock: finals.some(({ achieved }) => achieved.size === 0),
    starving: actors.filter((actor) =>
      finals.some(({ all, achieved }) => achieved.size > 0 && !achieved.has(actor) && all.every((state) => isBusy(actor, state))),
    ),
  };

  const fairlyFor = (states: readonly string[], keep: (edge: Edge) => boolean, wanted: (achieved: ReadonlySet<string>) => boolean) =>
    states.some((state) => {
      const within = (edge: Edge) => states.includes(edge.to) && keep(edge);
      const component = [...reach(state, within)].filter((other) => reach(other, within).has(state));
      const inside = component.flatMap((at) =>
        moves(at).flatMap((edge) => (component.includes(edge.to) && keep(edge) ? [{ ...edge, at }] : [])),
      );
      const goesOn = inside.some(({ at, to, transition }) => to !== at || achievers(transition).length > 0);
      const fair = actors.every(
        (actor) =>
          inside.some(({ transition }) => transition.actor === actor) ||
          component.some((at) => moves(at).every(({ transition }) => transition.actor !== actor)),
      );
      return goesOn && fair && wanted(new Set(inside.flatMap(({ transition }) => achievers(transition))));
    });
  const weak = {
    livelock: fairlyFor(
      open.filter((state) => !isHome(state)),
      ({ transition }) => achievers(transition).length === 0,
      () => true,
    ),
    starving: actors.filter((actor) =>
      fairlyFor(
        open.filter((state) => isBusy(actor, state)),
        ({ transition }) => !achievers(transition).includes(actor),
        (achieved) => achieved.size > 0,
      ),
    ),
  };
  return { states: open.length, dead: nearest(isDead), doomed: nearest(isDoomed), strong, weak };
}

function enabled({ takes, reads = [], unless = [] }: Transition, marking: readonly number[]): boolean {
  const has = ({ place, count }: Arc) => marking[place]! >= count;
  const taken = marking.map((_, place) => takes.filter((arc) => arc.place === place).reduce((sum, { count }) => sum + count, 0));
  return taken.every((count, place) => marking[place]! >= count) && reads.every(has) && !unless.some(has);
}

function fire({ takes, gives }: Transition, marking: readonly number[]): readonly number[] {
  const after = [...marking];
  for (const { place, count } of takes) after[place]! -= count;
  for (const { place, count } of gives) after[place]! += count;
  return after;
}
