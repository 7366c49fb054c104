/**
 * Waits: the wait-for graph of one state of a net. Who waits, for what, and who would have to move
 * for that to come.
 */
import type { Arc, Net, Place, Transition } from './net.ts';

/** One process (or several equal ones) that waits for one thing. */
export interface Wait {
  /** Index of its place. */
  readonly from: number;
  /** What it lacks: `fork 1`, `room in inbox`, `a reply`. */
  readonly lacks: string;
  /** Places of those who hold it, or could bring it. Empty: nobody does. */
  readonly on: readonly number[];
  /** How those stand to what is lacking. */
  readonly because: 'holds' | 'brings' | 'empties' | 'is there';
}

type ProcessPlace = Place & { readonly about: Extract<Place['about'], { at: 'process' }> };

/** Everybody who waits in a state, in the order of the places. */
export function waitsOf(net: Net, marking: Uint8Array): readonly Wait[] {
  const occupied = net.places.flatMap(({ about }, at) => (about.at === 'process' && marking[at]! > 0 ? [at] : []));
  return occupied.flatMap((from) => {
    const own = net.transitions.filter((transition) => transition.mover === from && transition.class !== 'fault');
    if (processAt(net, from).about.rests || own.some((transition) => isEnabled(transition, marking))) return [];
    const waits = own.flatMap((transition) => lackedBy(net, marking, transition, from, occupied));
    return own.length === 0 ? passive(net, from, occupied) : unique(waits);
  });
}

/** Whether a transition is possible in a state. */
export function isEnabled({ takes, reads = [], unless = [] }: Transition, marking: Uint8Array): boolean {
  const has = ({ place, count }: Arc) => marking[place]! >= count;
  return takes.every(has) && reads.every(has) && !unless.some(has);
}

function lackedBy(net: Net, marking: Uint8Array, transition: Transition, from: number, occupied: readonly number[]): readonly Wait[] {
  const { takes, reads = [], unless = [] } = transition;
  const missing = [...takes, ...reads].filter(({ place, count }) => marking[place]! < count);
  const wait = ({ place, count }: Arc): Wait => {
    const { about, name } = net.places[place]!;
    switch (about.at) {
      case 'resource': {
        const on = occupied.filter((at) => (processAt(net, at).about.held[about.resource] ?? 0) > 0);
        const lacks = count === 1 ? name : `${count} of ${name}`;
        return { from, lacks: count > about.capacity ? `${lacks}, of which there are ${about.capacity}` : lacks, on, because: 'holds' };
      }
      case 'messages':
        return { from, lacks: `a message in ${about.mailbox}`, on: bringing(net, place, occupied), because: 'brings' };
      case 'room':
        return { from, lacks: name, on: bringing(net, place, occupied), because: 'empties' };
      case 'budget':
        return { from, lacks: `what is left of ${about.budget}`, on: [], because: 'brings' };
      case 'process':
        return { from, lacks: name, on: bringing(net, place, occupied), because: 'brings' };
    }
  };
  const kept = unless.filter(({ place, count }) => marking[place]! >= count);
  return [
    ...missing.map(wait),
    ...kept.map(({ place }): Wait => ({
      from,
      lacks: `that ${net.places[place]!.name} goes`,
      on: occupied.filter((at) => at === place),
      because: 'is there',
    })),
  ];
}

/** A process without moves of its own is moved by others: by a reply, or by the end of a child. */
function passive(net: Net, from: number, occupied: readonly number[]): readonly Wait[] {
  const by = net.transitions.filter(
    ({ class: moveClass, takes, mover }) => moveClass !== 'fault' && mover !== from && takes.some(({ place }) => place === from),
  );
  const classes = new Set(by.flatMap(({ mover }) => (mover === undefined ? [] : [processAt(net, mover).about.process])));
  const on = occupied.filter((at) => classes.has(processAt(net, at).about.process));
  return [{ from, lacks: `${[...classes].join(' or ') || 'somebody'} to go on`, on, because: 'brings' }];
}

function bringing(net: Net, place: number, occupied: readonly number[]): readonly number[] {
  const givers = net.transitions.filter(
    ({ gives, mover, class: moveClass }) => moveClass !== 'fault' && mover !== undefined && gives.some((arc) => arc.place === place),
  );
  const classes = new Set(givers.map(({ mover }) => processAt(net, mover!).about.process));
  return occupied.filter((at) => classes.has(processAt(net, at).about.process));
}

/** The shortest circle of waits, when there is one. */
export function circleOf(waits: readonly Wait[]): readonly Wait[] {
  let best: readonly Wait[] = [];
  for (const first of waits) {
    const circle = backTo(first, waits);
    if (circle.length > 0 && (best.length === 0 || circle.length < best.length)) best = circle;
  }
  return best;
}

function backTo(first: Wait, waits: readonly Wait[]): readonly Wait[] {
  const ways: (readonly Wait[])[] = [[first]];
  const seen = new Set<number>();
  for (const way of ways) {
    for (const at of way.at(-1)!.on) {
      if (at === first.from) return way;
      if (seen.has(at)) continue;
      seen.add(at);
      for (const wait of waits) if (wait.from === at) ways.push([...way, wait]);
    }
  }
  return [];
}

function unique(waits: readonly Wait[]): readonly Wait[] {
  return waits.filter((wait, at) => waits.findIndex(({ lacks }) => lacks === wait.lacks) === at);
}

function processAt(net: Net, place: number): ProcessPlace {
  return net.places[place] as ProcessPlace;
}
