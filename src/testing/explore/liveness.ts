/**
 * Liveness: an argument that holds however many processes there are, without a search of their states.
 *
 * A net is *reversible* when its start can be reached again from everywhere, and *live* when every move
 * that achieves something can still come about from everywhere. In a reversible net all that can be
 * reached is one component; strong fairness then brings each move of it again and again, so that there
 * is no deadlock, no doomed state, no livelock, and nobody starves who could get somewhere at the start.
 *
 * That home can be reached from everywhere follows from either of two arguments:
 *
 * - **by ranks**: nobody waits in a circle (see `ranks.ts`);
 * - **by never waiting**: from each local state some move of the process is possible whatever the others
 *   do, and each way that such moves go leads to its rest. They go home one after the other.
 *
 * That home is the start, and not another state in which all rest, follows when (1) every move moves one
 * process within its class, (2) each class has one place to rest, where all of it starts, holding
 * nothing, (3) what is free and what is held of a resource is always the same in sum, and (4) there is
 * nothing else: no mailboxes, budgets and faults.
 *
 * @see Murata, "Petri nets: properties, analysis and applications", Proc. IEEE 77(4), 1989, section IV
 */
import { netSpace } from './net.ts';
import type { Arc, Net, Place, Transition } from './net.ts';
import { ranksOf } from './ranks.ts';
import { search } from './search.ts';

export type Live =
  | { readonly at: 'live'; readonly by: 'ranks' | 'never-waiting' }
  /** No verdict: it may be live all the same. */
  | { readonly at: 'does-not-apply'; readonly why: string };

/** What one actor can do alone is a handful of states; more are not looked at. */
const MOST_STATES_ALONE = 10_000;

/** Looks for the argument in a compiled skeleton. */
export function livenessOf(net: Net): Live {
  const why = whyHomeIsNotTheStart(net);
  if (why !== undefined) return { at: 'does-not-apply', why };
  const by = ranksOf(net).at === 'free' ? 'ranks' : firstThatWaits(net) === undefined ? 'never-waiting' : undefined;
  if (by === undefined)
    return { at: 'does-not-apply', why: `${net.places[firstThatWaits(net)!]!.name} may have to wait, and not by ranks` };
  const hopeless = actorsOf(net).find((actor) => !achievesAlone(net, actor));
  if (hopeless !== undefined) return { at: 'does-not-apply', why: `${hopeless} achieves nothing at the start by itself` };
  return { at: 'live', by };
}

function whyHomeIsNotTheStart(net: Net): string | undefined {
  const { places, transitions } = net;
  for (const { name, initial, about } of places) {
    if (about.at === 'messages' || about.at === 'room') return `${name} is of a mailbox`;
    if (about.at !== 'process') continue;
    if (about.rests && Object.keys(about.held).length > 0) return `${name} rests while holding something`;
    if (initial > 0 && !about.rests) return `${name} does not rest at the start`;
    const resting = places.filter((place) => processOf(place) === about.process && place.about.at === 'process' && place.about.rests);
    if (resting.length !== 1) return `${about.process} has ${resting.length} places to rest`;
  }
  return transitions.map((transition) => whyNotKept(net, transition)).find((why) => why !== undefined);
}

/** A move that does not keep what has to stay the same in sum. */
function whyNotKept({ places }: Net, { says, class: moveClass, takes, gives }: Transition): string | undefined {
  if (moveClass === 'fault') return `"${says}" is a fault`;
  const processes = (arcs: readonly Arc[]) => arcs.filter(({ place }) => places[place]!.about.at === 'process');
  const [from, ...moreFrom] = processes(takes);
  const [to, ...moreTo] = processes(gives);
  if (from === undefined || to === undefined || moreFrom.length + moreTo.length > 0 || from.count + to.count > 2)
    return `"${says}" moves more or less than one process`;
  if (processOf(places[from.place]!) !== processOf(places[to.place]!)) return `"${says}" leads to another class`;
  const total = (arcs: readonly Arc[], resource: string): number =>
    arcs.reduce((sum, { place, count }) => {
      const { about } = places[place]!;
      if (about.at === 'resource' && about.resource === resource) return sum + count;
      return about.at === 'process' ? sum + count * (about.held[resource] ?? 0) : sum;
    }, 0);
  for (const { place } of [...takes, ...gives]) {
    const { about, name } = places[place]!;
    if (about.at === 'budget') return `"${says}" draws on ${name}`;
  }
  const lost = places.find(({ about }) => about.at === 'resource' && total(takes, about.resource) !== total(gives, about.resource));
  return lost === undefined ? undefined : `"${says}" gains or loses ${lost.name}`;
}

/** A place from which no moves that are always possible lead to rest. */
function firstThatWaits({ places, transitions }: Net): number | undefined {
  const settled = new Set(places.flatMap(({ about }, place) => (about.at === 'process' && about.rests ? [place] : [])));
  const isSettling = ({ gives }: Transition) => gives.every(({ place }) => places[place]!.about.at !== 'process' || settled.has(place));
  for (let before = -1; before < settled.size;) {
    before = settled.size;
    for (const [place, { about }] of places.entries()) {
      if (
        about.at === 'process' &&
        !settled.has(place) &&
        isAlwaysPossible(place, transitions.filter((move) => move.mover === place).filter(isSettling))
      )
        settled.add(place);
    }
  }
  const waiting = places.findIndex(({ about }, place) => about.at === 'process' && !settled.has(place));
  return waiting === -1 ? undefined : waiting;
}

/** Whether one of these moves of a place is possible whatever is free: one that needs nothing, or one and, for all it needs, its contrary. */
function isAlwaysPossible(place: number, moves: readonly Transition[]): boolean {
  const needsOf = ({ takes, reads = [] }: Transition) => [...takes.filter((arc) => arc.place !== place), ...reads];
  const isContrary = (move: Transition, need: Arc) =>
    needsOf(move).length === 0 && move.unless?.length === 1 && move.unless[0]!.place === need.place && move.unless[0]!.count >= need.count;
  return moves.some(
    (move) => (move.unless ?? []).length === 0 && needsOf(move).every((need) => moves.some((other) => isContrary(other, need))),
  );
}

function actorsOf({ places }: Net): readonly string[] {
  return [...new Set(places.flatMap((place) => processOf(place) ?? []))];
}

function achievesAlone(net: Net, actor: string): boolean {
  const own = { ...net, transitions: net.transitions.filter((transition) => transition.actor === actor) };
  const { space, edgeMove } = search(netSpace(own), { maxStates: MOST_STATES_ALONE });
  const index = space.actors.indexOf(actor);
  return edgeMove.some((move) => space.moves[move]!.achieves.includes(index));
}

function processOf({ about }: Place): string | undefined {
  return about.at === 'process' ? about.process : undefined;
}
