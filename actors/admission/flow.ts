/**
 * Flow: the waiters of one agent kind of one tenant, the most urgent first.
 *
 * A priority is a head start: each step of it is worth `PLACES_PER_PRIORITY` places. The place of a
 * waiter is how-manieth it is of its flow, less its head start, and stays. So who waits ages by
 * itself: newcomers get ever later places, until the most urgent of them stands behind. Who is raised
 * while it waits gets the place that it would have if it had come with that priority.
 *
 * Bound: a waiter is overtaken by fewer than d * PLACES_PER_PRIORITY later arrivals, where d is by
 * how much the highest of their priorities, as raised at last, is above its own, as it came: at most
 * `2 * HIGHEST_PRIORITY`, since what lies beyond `HIGHEST_PRIORITY`, or below its negative, counts as
 * that. Those who came before it and are raised go before it as if they had come like that.
 */
import { invariant } from '../kernel/errors.ts';
import type { ReplyTo } from '../kernel/effects.ts';
import { find, first, insert, itemsOf, remove } from '../sorted-set.ts';
import type { SortedSet } from '../sorted-set.ts';
import type { Ahead } from './regulator.ts';

export interface Newcomer {
  /** The caller's name for it, unique among those who wait. */
  readonly ticket: number;
  /** '' when nobody says. */
  readonly tenant: string;
  /** The agent kind, or whatever the caller names. */
  readonly flow: string;
  /** A whole number, higher first; 0 is the ordinary one. Beyond `HIGHEST_PRIORITY` either way, it goes as if it were that. */
  readonly priority: number;
  /** The cost, as the regulator counts it. */
  readonly input: number;
  readonly output: number;
  readonly slots: number;
  readonly replyTo: ReplyTo;
  readonly sinceMs: number;
  /** `Infinity`: waits as long as it takes. */
  readonly deadlineMs: number;
  /** What is to become of it when the breaker opens. */
  readonly whenOpen: 'wait' | 'refuse';
}

export interface Waiter extends Newcomer {
  /** Grows with every newcomer of the line. */
  readonly arrival: number;
}

/** A waiter in its flow: the lowest place goes first, the older one among equals. */
export interface Placed extends Waiter {
  readonly place: number;
}

export interface Flow {
  /** How many have joined it. */
  readonly joined: number;
  readonly waiters: SortedSet<Placed>;
  /** What waits, by priority, the highest first. */
  readonly sums: SortedSet<Sum>;
}

interface Sum extends Ahead {
  readonly priority: number;
}

/** Places that one step of priority is worth. */
export const PLACES_PER_PRIORITY = 10;

/** Priorities go from its negative to this. */
export const HIGHEST_PRIORITY = 10;

export const EMPTY_FLOW: Flow = { joined: 0, waiters: undefined, sums: undefined };

/** The waiter that `newcomer` would be if it joined now. */
export function placedIn(flow: Flow, newcomer: Newcomer, arrival: number): Placed {
  invariant(Number.isInteger(newcomer.priority), 'priorities are checked where the request enters');
  return { ...newcomer, arrival, place: flow.joined + 1 - PLACES_PER_PRIORITY * effective(newcomer.priority) };
}

/** The waiter that `waiter` is with a higher priority: it has waited as long, and has the longer head start. */
export function raisedTo(waiter: Placed, priority: number): Placed {
  invariant(Number.isInteger(priority), 'priorities are checked where the request enters');
  return { ...waiter, priority, place: waiter.place - PLACES_PER_PRIORITY * (effective(priority) - effective(waiter.priority)) };
}

/** Who of the flow goes next. */
export function firstIn(flow: Flow): Placed | undefined {
  return first(flow.waiters);
}

/** With a waiter from `placedIn`. */
export function entered(flow: Flow, waiter: Placed): Flow {
  return { joined: flow.joined + 1, waiters: insert(flow.waiters, waiter, byPlace), sums: added(flow.sums, waiter, 1) };
}

export function left(flow: Flow, waiter: Placed): Flow {
  return { joined: flow.joined, waiters: remove(flow.waiters, waiter, byPlace), sums: added(flow.sums, waiter, -1) };
}

/** With `raised`, from `raisedTo`, in place of `waiter`. */
export function exchanged(flow: Flow, waiter: Placed, raised: Placed): Flow {
  const { joined, waiters, sums } = left(flow, waiter);
  return { joined, waiters: insert(waiters, raised, byPlace), sums: added(sums, raised, 1) };
}

/** What waits with at least this priority: all of it goes before a newcomer. */
export function aheadIn(flow: Flow, priority: number): Ahead {
  let [requests, input, output] = [0, 0, 0];
  for (const sum of itemsOf(flow.sums)) {
    if (sum.priority < effective(priority)) break;
    requests += sum.requests;
    input += sum.input;
    output += sum.output;
  }
  return { requests, input, output };
}

function added(sums: SortedSet<Sum>, waiter: Waiter, sign: 1 | -1): SortedSet<Sum> {
  const priority = effective(waiter.priority);
  const known = find(sums, (sum) => sum.priority - priority);
  const sum: Sum = {
    priority,
    requests: (known?.requests ?? 0) + sign,
    input: (known?.input ?? 0) + sign * waiter.input,
    output: (known?.output ?? 0) + sign * waiter.output,
  };
  return sum.requests === 0 ? remove(sums, sum, byPriority) : insert(sums, sum, byPriority);
}

function effective(priority: number): number {
  return Math.max(-HIGHEST_PRIORITY, Math.min(HIGHEST_PRIORITY, priority));
}

const byPlace = (a: Placed, b: Placed): number => a.place - b.place || a.arrival - b.arrival;
const byPriority = (a: Sum, b: Sum): number => b.priority - a.priority;
