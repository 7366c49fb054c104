/**
 * Fair share: start-time fair queueing, one level of it. Members that have somebody waiting take
 * turns: each has a start tag, the one with the lowest goes (among equals the one with the older head),
 * and its tag grows by what the turn costs over its weight. Virtual time is the tag of who goes next; a
 * member that comes anew starts there, so it neither owes nor has saved up anything.
 *
 * A member that has gone idle is remembered only while its tag lies ahead of virtual time, or one
 * with never more than one waiter would always come anew and never pay for its turns. When nobody
 * waits, nobody is remembered. When more than `MOST_REMEMBERED` idle members lie ahead, virtual time
 * moves up to the nearest of them: an endless row of new members costs no memory and starves nobody.
 *
 * Fairness: a waiting member's tag is never below virtual time, nor further ahead of it than its
 * largest turn over its weight. So over any stretch in which two members have somebody waiting all
 * the time, what they paid, each over its weight, differs by at most the largest turn of the one over
 * its weight and that of the other over its own. (After an overflow of `MOST_REMEMBERED` virtual time
 * may be above the lowest tag, by at most a turn over its weight of one of those forgotten: a member
 * that comes then starts that much later.)
 *
 * Tags are floating point: with weights that are no powers of two, "equal" is up to rounding.
 * @see Goyal, Vin & Cheng, "Start-time fair queueing", SIGCOMM 1996
 */
import { find, first, insert, remove, sizeOf } from '../sorted-set.ts';
import type { SortedSet } from '../sorted-set.ts';
import type { Placed } from './flow.ts';

/** One with somebody waiting, or an idle one that has had its turn too recently to be forgotten. */
export interface Member<T> {
  readonly name: string;
  /** Virtual time at which its next turn begins. */
  readonly startTag: number;
  /** Whom that turn is for; undefined: it is idle. */
  readonly head: Placed | undefined;
  /** Arrival of whom the turn was for at first: the older goes first among equals. */
  readonly since: number;
  readonly content: T;
}

/** The place of a waiting member among the others. */
interface Turn {
  readonly startTag: number;
  readonly since: number;
  readonly head: Placed;
}

export interface FairShare<T> {
  readonly virtualTime: number;
  readonly members: SortedSet<Member<T>>;
  readonly turns: SortedSet<Turn>;
  readonly idle: SortedSet<Member<T>>;
}

/** Idle members remembered at most. */
export const MOST_REMEMBERED = 1_024;

/** Nobody waits. */
export const NOBODY: FairShare<never> = { virtualTime: 0, members: undefined, turns: undefined, idle: undefined };

/** Who goes next. */
export function nextOf(share: FairShare<unknown>): Placed | undefined {
  return first(share.turns)?.head;
}

export function memberOf<T>(share: FairShare<T>, name: string): Member<T> | undefined {
  return find(share.members, (member) => compareNames(name, member.name));
}

/** Somebody has joined a member, or is more urgent now: it is `content` now, and `head` goes next of it. */
export function joinedBy<T>(share: FairShare<T>, name: string, content: T, head: Placed): FairShare<T> {
  const known = memberOf(share, name);
  const startTag = known?.startTag ?? share.virtualTime;
  // Who takes the head's place by urgency takes its turn, not a later one.
  const since = known?.head === undefined ? head.arrival : known.since;
  const turns = known?.head === head ? share.turns : insert(share.turns, { startTag, since, head }, byTurn);
  const members = insert(share.members, { name, startTag, head, since, content }, byName);
  const idle = known !== undefined && known.head === undefined ? remove(share.idle, known, byTag) : share.idle;
  return { virtualTime: share.virtualTime, members, turns, idle };
}

/**
 * Somebody has gone from a member, or left it: it is `content` now, and `head` goes next of it, if anybody.
 *
 * @param paid the cost of the turn over the member's weight; 0: it was none
 */
export function leftBy<T>(share: FairShare<T>, name: string, content: T, head: Placed | undefined, paid: number): FairShare<T> {
  const known = memberOf(share, name)!;
  const startTag = known.startTag + paid;
  const since = sinceOf(known, head, paid);
  let { turns, idle } = share;
  if (known.head !== head || paid > 0) {
    turns = remove(turns, known as Turn, byTurn);
    if (head !== undefined) turns = insert(turns, { startTag, since, head }, byTurn);
  }
  if (turns === undefined) return NOBODY;
  const virtualTime = Math.max(share.virtualTime, first(turns)!.startTag);
  const member: Member<T> = { name, startTag, head, since, content };
  const forgotten = head === undefined && startTag <= virtualTime;
  if (head === undefined && !forgotten) idle = insert(idle, member, byTag);
  const members = forgotten ? remove(share.members, member, byName) : insert(share.members, member, byName);
  return withoutForgotten({ virtualTime, members, turns, idle });
}

function sinceOf(known: Member<unknown>, head: Placed | undefined, paid: number): number {
  if (head === undefined || head === known.head) return known.since;
  // Behind one who joined by urgency and leaves, an older one may stand: nobody's turn comes sooner because somebody leaves.
  return paid > 0 ? head.arrival : Math.max(known.since, head.arrival);
}

function withoutForgotten<T>(share: FairShare<T>): FairShare<T> {
  let { members, idle, virtualTime } = share;
  for (let nearest = first(idle); nearest !== undefined; nearest = first(idle)) {
    if (nearest.startTag > virtualTime && sizeOf(idle) <= MOST_REMEMBERED) break;
    virtualTime = Math.max(virtualTime, nearest.startTag);
    idle = remove(idle, nearest, byTag);
    members = remove(members, nearest, byName);
  }
  return idle === share.idle ? share : { ...share, members, idle, virtualTime };
}

function compareNames(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

const byTurn = (a: Turn, b: Turn): number => a.startTag - b.startTag || a.since - b.since;
const byName = (a: Member<unknown>, b: Member<unknown>): number => compareNames(a.name, b.name);
const byTag = (a: Member<unknown>, b: Member<unknown>): number => a.startTag - b.startTag || compareNames(a.name, b.name);
