/**
 * Release first: in a state where an eligible release is possible, the search follows only that one.
 * Everything else happens after it, so that orders that differ only in when something was given back
 * are one order.
 *
 * A release `t` is eligible when
 *
 * 1. it only takes from places from which no other transition takes and which none reads, and has no
 *    reads and inhibitors of its own: nothing disables it but itself, and taking from there disables
 *    nothing;
 * 2. no transition is inhibited by a place that it gives to: giving disables nothing either;
 * 3. no home state has it still to do: home asks for none in a place that it takes from;
 * 4. no chain of eligible releases leads back to itself: releasing comes to an end.
 *
 * By 1 and 2, `t` commutes with whatever else can happen: where `t` and a sequence `s` without `t`
 * are possible, `t s` is possible too and ends where `s t` does. From this follows:
 *
 * - **Dead states are the same, at the same distance.** `t` stays possible until it is made, so each
 *   way to a dead state contains it, and it may be made first.
 * - **Doomed states are found exactly when there are any.** A way home contains `t` (by 3), so it can
 *   be made first: whether home can be reached does not change for the states that are left. A way to
 *   a doomed state that does not contain `t` can be prolonged by `t`, and what comes after a doomed
 *   state is doomed. The shortest way to one may be longer than without the reduction, by releases.
 * - **Progress that can be reached stays reachable**, since progress is never eligible: so a final
 *   component without progress, or without that of one actor, is found exactly when there is one.
 *
 * What is *not* kept is which moves are possible side by side, so verdicts under weak fairness are
 * searched without the reduction.
 *
 * @see Valmari, "Stubborn sets for reduced state space generation", 1991; Lipton, "Reduction", CACM 18(12), 1975
 */
import type { Net, Transition } from './net.ts';

/** Indexes of the transitions of a net that may always run first. */
export function runFirst(net: Net): readonly number[] {
  const touched = touchesOf(net);
  const mustBeEmpty = new Set((net.home ?? []).filter(({ count }) => count === 0).map(({ place }) => place));
  const alone = (transition: Transition): boolean =>
    transition.class === 'release' &&
    transition.takes.length > 0 &&
    (transition.reads ?? []).length === 0 &&
    (transition.unless ?? []).length === 0 &&
    transition.takes.every(({ place }) => touched.takers[place] === 1 && !touched.read.has(place)) &&
    transition.gives.every(({ place }) => !touched.inhibits.has(place)) &&
    (net.home === undefined || transition.takes.some(({ place }) => mustBeEmpty.has(place)));
  const candidates = net.transitions.flatMap((transition, at) => (alone(transition) ? [at] : []));
  return candidates.filter((at) => !leadsBack(net, candidates, at));
}

function touchesOf({ places, transitions }: Net) {
  const takers = Array.from<number>({ length: places.length }).fill(0);
  const read = new Set<number>();
  const inhibits = new Set<number>();
  for (const { takes, reads = [], unless = [] } of transitions) {
    for (const place of new Set(takes.map((arc) => arc.place))) takers[place]! += 1;
    for (const { place } of reads) read.add(place);
    for (const { place } of unless) inhibits.add(place);
  }
  return { takers, read, inhibits };
}

function leadsBack({ transitions }: Net, candidates: readonly number[], from: number): boolean {
  const follows = (at: number) =>
    candidates.filter((next) => transitions[next]!.takes.some(({ place }) => transitions[at]!.gives.some((arc) => arc.place === place)));
  const seen = new Set<number>();
  const open = [...follows(from)];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at === from) return true;
    if (seen.has(at)) continue;
    seen.add(at);
    open.push(...follows(at));
  }
  return false;
}
