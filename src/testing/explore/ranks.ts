/**
 * Ranks: an argument that holds for every number of processes, and for every capacity that meets the
 * largest single request, since it only looks at what one process may wait for while others wait for it.
 *
 * Whatever is waited for is a node: each resource, and each class ("somebody of this class goes on").
 * An edge leads from a node to everything that those it depends on may themselves wait for: from a
 * resource to what its holders wait for, from a class to what its processes wait for. A node's rank is
 * its height. Without a circle, nobody waits for anything at or below the rank of what others wait for
 * from it, and whoever has the highest rank can always go on: home can be reached from everywhere.
 *
 * The argument needs, and the check looks, that
 *
 * 1. every process can come to rest by moves of its own and of those it waits for, without drawing on
 *    a budget;
 * 2. nobody rests while holding something, or while somebody waits for it;
 * 3. no single request is larger than what there is;
 * 4. no message goes without an answer (plain `send`), and nothing depends on what is *not* there
 *    (`attempt`, `look`, replies to a crashed asker): for these only the search speaks.
 *
 * Why it holds for the locks of a topology, however many and whoever names them: a start takes its worker
 * and all its locks in one move, so nobody waits for a lock while it holds anything, and no edge leads from
 * one lock to another. Locks are held by runs alone, and a run that does not park waits for a permit and
 * nothing else, whose holder waits for nothing. So a lock ranks with a worker, above the permits. A task
 * that waits in line until those before it have had their turn holds nothing either, and waits for
 * whoever holds what they want. Locks that are taken one by one, or kept over an ask, make edges from
 * lock to lock, and the circle is found.
 *
 * It says nothing about livelock and starvation.
 *
 * @see Havender, "Avoiding deadlock in multitasking systems", IBM Systems Journal 7(2), 1968
 */
import type { Arc, Net, Transition } from './net.ts';

export type Ranked =
  /** No circle: free of deadlock for any number of processes. What is waited for first comes first. */
  | { readonly at: 'free'; readonly order: readonly string[] }
  /** A circle of what is waited for. It need not come about; the search knows. */
  | { readonly at: 'circular'; readonly circle: readonly string[] }
  | { readonly at: 'does-not-apply'; readonly why: string };

/** Looks for ranks in a compiled skeleton. */
export function ranksOf(net: Net): Ranked {
  const why = whyNot(net);
  if (why !== undefined) return { at: 'does-not-apply', why };
  const edges = edgesOf(net);
  const ranks = new Map<string, number>();
  for (const node of edges.keys()) {
    const circle = rank(node, edges, ranks, []);
    if (circle !== undefined) return { at: 'circular', circle };
  }
  return { at: 'free', order: [...ranks].toSorted(([, a], [, b]) => b - a).map(([node]) => node) };
}

function whyNot(net: Net): string | undefined {
  const { places, transitions } = net;
  const moves = transitions.filter(({ class: moveClass }) => moveClass !== 'fault');
  for (const { about, name } of places) {
    if (about.at !== 'process' || !about.rests) continue;
    if (about.owes) return `${name} rests while somebody waits for it, or it for a child`;
    if (Object.keys(about.held).length > 0) return `${name} rests while holding something`;
  }
  for (const { says, takes, gives, reads = [], unless = [], mover } of moves) {
    if (reads.length > 0 || unless.length > 0) return `"${says}" depends on what is there without taking it`;
    const large = takes.find(({ place, count }) => count > places[place]!.capacity);
    if (large !== undefined) return `"${says}" needs more of ${places[large.place]!.name} than there is`;
    const sends = gives.some(({ place }) => places[place]!.about.at === 'messages');
    const waits = mover !== undefined && gives.some(({ place }) => isPassive(net, place));
    if (sends && !waits) return `"${says}" puts a message somewhere without waiting for an answer`;
  }
  const settled = settling(net, moves);
  const lost = places.findIndex(({ about }, place) => about.at === 'process' && !settled.has(place));
  return lost === -1 ? undefined : `${places[lost]!.name} has no way to come to rest without drawing on a budget`;
}

/** Process places from which every process involved can come to rest: grown from those that rest. */
function settling({ places }: Net, moves: readonly Transition[]): ReadonlySet<number> {
  const isProcess = (place: number) => places[place]!.about.at === 'process';
  const settled = new Set(places.flatMap(({ about }, place) => (about.at === 'process' && about.rests ? [place] : [])));
  const spends = ({ takes }: Transition) => takes.some(({ place }) => places[place]!.about.at === 'budget');
  const useful = moves.filter((move) => !spends(move));
  for (let before = -1; before < settled.size;) {
    before = settled.size;
    for (const { takes, gives } of useful) {
      if (!gives.every(({ place }) => !isProcess(place) || settled.has(place))) continue;
      for (const { place } of takes) if (isProcess(place)) settled.add(place);
    }
  }
  return settled;
}

function isPassive({ places, transitions }: Net, place: number): boolean {
  const { about } = places[place]!;
  return (
    about.at === 'process' && !about.rests && !transitions.some(({ mover, class: moveClass }) => mover === place && moveClass !== 'fault')
  );
}

function edgesOf(net: Net): ReadonlyMap<string, ReadonlySet<string>> {
  const edges = new Map<string, Set<string>>();
  const join = (from: string, to: string): void => {
    edges.set(from, (edges.get(from) ?? new Set()).add(to));
    if (!edges.has(to)) edges.set(to, new Set());
  };
  for (const [place, { about }] of net.places.entries()) {
    if (about.at !== 'process' || about.rests) continue;
    const own = `${about.process} to go on`;
    for (const lacked of lackedAt(net, place)) for (const node of [own, ...Object.keys(about.held)]) join(node, lacked);
    // Nobody waits for what is only started, but starting has to come to an end.
    for (const started of startedBy(net, place)) join(own, started);
  }
  return edges;
}

/** What a process in this place may have to wait for. */
function lackedAt(net: Net, place: number): ReadonlySet<string> {
  const { places, transitions } = net;
  const lacked = new Set<string>();
  const classOf = (at: number): void => {
    const { about } = places[at]!;
    if (about.at === 'process') lacked.add(`${about.process} to go on`);
  };
  for (const { takes, mover, class: moveClass } of transitions) {
    if (moveClass === 'fault') continue;
    if (mover === place) {
      for (const arc of takes) {
        const { about } = places[arc.place]!;
        if (about.at === 'resource') lacked.add(about.resource);
        // Room comes from whoever empties the mailbox.
        if (about.at === 'room')
          for (const giver of transitions)
            if (giver.mover !== undefined && giver.gives.some((one) => one.place === arc.place)) classOf(giver.mover);
      }
    } else if (mover !== undefined && isPassive(net, place) && takes.some((arc) => arc.place === place)) classOf(mover);
  }
  return lacked;
}

/** Classes of which a process in this place may start another one. Whom it only answers was there before. */
function startedBy({ places, transitions }: Net, from: number): readonly string[] {
  const processes = (arcs: readonly Arc[]) =>
    arcs.flatMap(({ place }) => {
      const { about } = places[place]!;
      return about.at === 'process' ? [about.process] : [];
    });
  return transitions.flatMap(({ mover, takes, gives, class: moveClass }) => {
    if (mover !== from || moveClass === 'fault') return [];
    const before = processes(takes);
    return processes(gives).flatMap((process) => (before.includes(process) ? [] : [`${process} to go on`]));
  });
}

/** Depth first; a circle as soon as there is one. */
function rank(
  node: string,
  edges: ReadonlyMap<string, ReadonlySet<string>>,
  ranks: Map<string, number>,
  path: readonly string[],
): readonly string[] | undefined {
  if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
  if (ranks.has(node)) return undefined;
  let height = 0;
  for (const next of edges.get(node) ?? []) {
    const circle = rank(next, edges, ranks, [...path, node]);
    if (circle !== undefined) return circle;
    height = Math.max(height, ranks.get(next)! + 1);
  }
  ranks.set(node, height);
  return undefined;
}
