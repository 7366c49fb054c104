/**
 * Net: a bounded place/transition net. A place counts: identical processes in the same local state
 * are one number, so that states that differ only in who is who are one state.
 *
 * @see Murata, "Petri nets: properties, analysis and applications", Proc. IEEE 77(4), 1989
 */
import { SkeletonError, UnboundedNetError } from './errors.ts';
import { runFirst } from './release-first.ts';
import type { Move, MoveClass, StateSpace } from './space.ts';

/** What a place stands for, so that a state can be told in words. */
export type PlaceAbout =
  | {
      readonly at: 'process';
      readonly process: string;
      readonly state: string;
      /** What one process in this state holds, by resource. */
      readonly held: Readonly<Record<string, number>>;
      /** Whether a process in this state has nothing to do. */
      readonly rests: boolean;
      /** Whether somebody waits for it, or it for a child. */
      readonly owes: boolean;
    }
  | { readonly at: 'resource'; readonly resource: string; readonly capacity: number }
  | { readonly at: 'messages'; readonly mailbox: string }
  | { readonly at: 'room'; readonly mailbox: string; readonly capacity: number }
  | { readonly at: 'budget'; readonly budget: string };

export interface Place {
  readonly name: string;
  readonly initial: number;
  /** More tokens than this are an error of the model. At most 255. */
  readonly capacity: number;
  readonly about: PlaceAbout;
}

export interface Arc {
  /** Index of the place. */
  readonly place: number;
  /** At least 1. */
  readonly count: number;
}

export interface Transition {
  readonly says: string;
  readonly actor: string;
  readonly class: MoveClass;
  /** Whom a `progress` gets further. Default: the actor. */
  readonly achieves?: readonly string[];
  readonly takes: readonly Arc[];
  readonly gives: readonly Arc[];
  /** Needed, and left there: somebody looks. */
  readonly reads?: readonly Arc[];
  /** Inhibitors: not while the place has `count` or more. */
  readonly unless?: readonly Arc[];
  /** The place of the process that decides on this transition: it waits for what the others lack. */
  readonly mover?: number;
}

export interface Net {
  readonly name: string;
  readonly places: readonly Place[];
  readonly transitions: readonly Transition[];
  /** All idle: each of these places has exactly this many. Absent: there is no such state. */
  readonly home?: readonly Arc[];
}

const MOST_TOKENS = 255;
const MOST_TRANSITIONS = 65_535;

export interface NetSpaceOptions {
  /** Run eligible releases before anything else (see `release-first.ts`). Default true. */
  readonly releaseFirst?: boolean;
}

/**
 * Makes a net searchable.
 *
 * @throws SkeletonError when an arc leads nowhere or a number is out of range. While it is searched:
 * UnboundedNetError.
 */
export function netSpace(net: Net, { releaseFirst = true }: NetSpaceOptions = {}): StateSpace {
  checkNet(net);
  const { places, transitions, home } = net;
  const actors = [...new Set(transitions.flatMap(({ actor, achieves }) => [actor, ...(achieves ?? [])]))];
  const moves = transitions.map((transition): Move => {
    const { says, class: moveClass, actor } = transition;
    const achieves = moveClass === 'progress' ? (transition.achieves ?? [actor]).map((name) => actors.indexOf(name)) : [];
    return { says, class: moveClass, actor: actors.indexOf(actor), achieves };
  });
  const busy = actors.map((name) =>
    places.flatMap(({ about }, at) => (about.at === 'process' && about.process === name && !about.rests ? [at] : [])),
  );
  const needs = pack(transitions.map(({ takes, reads = [] }) => merge([...takes, ...reads.map((arc) => beyond(arc, takes))])));
  const unless = pack(transitions.map((transition) => transition.unless ?? []));
  const effects = pack(
    transitions.map(({ takes, gives }) => merge([...gives, ...takes.map(({ place, count }) => ({ place, count: -count }))])),
  );
  const capacities = Uint8Array.from(places, ({ capacity }) => capacity);
  const first = releaseFirst ? Int32Array.from(runFirst(net)) : new Int32Array();
  const bytes = Math.max(1, places.length);

  // Most places are empty most of the time: only moves whose first place has something in it are looked at.
  const firstNeed = Array.from(moves, (_, move) =>
    needs.starts[move] === needs.starts[move + 1] ? -1 : needs.places[needs.starts[move]!]!,
  );
  const movesAt = Array.from({ length: bytes }, (_, place) =>
    Int32Array.from(firstNeed.flatMap((at, move) => (at === place ? [move] : []))),
  );
  const free = firstNeed.flatMap((at, move) => (at === -1 ? [move] : []));

  const isEnabled = (move: number, states: Uint8Array, at: number): boolean => {
    for (let arc = needs.starts[move]!; arc < needs.starts[move + 1]!; arc += 1) {
      if (states[at + needs.places[arc]!]! < needs.counts[arc]!) return false;
    }
    for (let arc = unless.starts[move]!; arc < unless.starts[move + 1]!; arc += 1) {
      if (states[at + unless.places[arc]!]! >= unless.counts[arc]!) return false;
    }
    return true;
  };
  /** `next` is the state before, and is again when this returns. */
  const fire = (move: number, next: Uint8Array, found: (move: number) => void): void => {
    const from = effects.starts[move]!;
    const to = effects.starts[move + 1]!;
    for (let arc = from; arc < to; arc += 1) {
      const place = effects.places[arc]!;
      const count = next[place]! + effects.counts[arc]!;
      if (count > capacities[place]!) {
        throw new UnboundedNetError({ place: places[place]!.name, capacity: capacities[place]!, transition: transitions[move]!.says });
      }
      next[place] = count;
    }
    found(move);
    for (let arc = from; arc < to; arc += 1) next[effects.places[arc]!]! -= effects.counts[arc]!;
  };

  return {
    bytes,
    actors,
    moves,
    start(into) {
      for (const [place, { initial }] of places.entries()) into[place] = initial;
    },
    expand(states, at, next, found) {
      for (let byte = 0; byte < bytes; byte += 1) next[byte] = states[at + byte]!;
      for (const move of first) {
        if (isEnabled(move, states, at)) return fire(move, next, found);
      }
      for (const move of free) if (isEnabled(move, states, at)) fire(move, next, found);
      for (let place = 0; place < bytes; place += 1) {
        if (states[at + place] === 0) continue;
        const here = movesAt[place]!;
        for (let index = 0; index < here.length; index += 1) {
          if (isEnabled(here[index]!, states, at)) fire(here[index]!, next, found);
        }
      }
    },
    ...(home === undefined
      ? {}
      : { isHome: (states: Uint8Array, at: number) => home.every(({ place, count }) => states[at + place] === count) }),
    isBusy: (actor, states, at) => busy[actor]!.some((place) => states[at + place]! > 0),
  };
}

function checkNet({ places, transitions, home = [] }: Net): void {
  const refuse = (path: readonly string[], value: unknown, expected: string): never => {
    throw new SkeletonError({ path: ['net', ...path], value, expected });
  };
  if (transitions.length > MOST_TRANSITIONS) refuse(['transitions'], transitions.length, `at most ${MOST_TRANSITIONS} transitions`);
  for (const { name, initial, capacity } of places) {
    if (!isCount(capacity, 0, MOST_TOKENS)) refuse(['places', name, 'capacity'], capacity, `a whole number from 0 to ${MOST_TOKENS}`);
    if (!isCount(initial, 0, capacity)) refuse(['places', name, 'initial'], initial, `a whole number from 0 to its capacity, ${capacity}`);
  }
  const checkArcs = (arcs: readonly Arc[], least: number, ...path: readonly string[]): void => {
    for (const { place, count } of arcs) {
      if (places[place] === undefined) refuse(path, place, `the index of a place, below ${places.length}`);
      if (!isCount(count, least, MOST_TOKENS)) refuse(path, count, `a whole number from ${least} to ${MOST_TOKENS}`);
    }
  };
  for (const { says, takes, gives, reads = [], unless = [] } of transitions) {
    for (const [kind, arcs] of Object.entries({ takes, gives, reads, unless })) checkArcs(arcs, 1, 'transitions', says, kind);
  }
  checkArcs(home, 0, 'home');
}

function isCount(value: number, from: number, to: number): boolean {
  return Number.isInteger(value) && value >= from && value <= to;
}

/** What a read arc asks for beyond what the same transition takes there anyway. */
function beyond({ place, count }: Arc, takes: readonly Arc[]): Arc {
  const taken = takes.filter((arc) => arc.place === place).reduce((sum, arc) => sum + arc.count, 0);
  return { place, count: Math.max(0, count - taken) };
}

function merge(arcs: readonly Arc[]): readonly Arc[] {
  const counts = new Map<number, number>();
  for (const { place, count } of arcs) counts.set(place, (counts.get(place) ?? 0) + count);
  return [...counts].filter(([, count]) => count !== 0).map(([place, count]) => ({ place, count }));
}

/** Lists of arcs in flat arrays, one behind the other: the search reads nothing else. */
function pack(lists: readonly (readonly Arc[])[]) {
  const starts = new Int32Array(lists.length + 1);
  for (const [at, list] of lists.entries()) starts[at + 1] = starts[at]! + list.length;
  const arcs = lists.flat();
  return { starts, places: Int32Array.from(arcs, ({ place }) => place), counts: Int32Array.from(arcs, ({ count }) => count) };
}
