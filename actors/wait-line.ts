/**
 * Wait line: who goes next, fair among flows, first in first out within a flow. Start-time fair
 * queueing: each waiting flow has a start tag, the flow with the lowest one goes (the older waiter
 * first among equals), and its tag grows by what its request costs. Virtual time is the tag of the
 * head; a flow that comes anew starts there, so it neither owes nor has saved up anything.
 *
 * The head stays the head until it goes or leaves: a newcomer's tag is never below the head's.
 *
 * A flow that has gone idle is remembered only while its tag lies ahead of virtual time, or a flow
 * with never more than one waiter would always come anew and never pay for its turns. An empty line
 * remembers nobody. When more than `MOST_REMEMBERED` idle flows lie ahead, virtual time moves up to
 * the nearest of them: an endless row of new flows costs no memory and starves nobody.
 *
 * Bound (L5): let `ahead` be what a waiter's own flow has before it when it joins: the cost of the
 * flow's waiters before it, and of its latest turn while that is remembered. Each other flow passes
 * it (joins later, goes earlier) with requests that cost, but for the last of them, less than
 * `ahead` together. With a cost of 1 each that is at most `ahead` turns of each other flow; with
 * nothing ahead, nobody passes. Of those who were there before, each other flow goes before it with
 * at most one request more (after an overflow of `MOST_REMEMBERED`: one largest request's worth more).
 * Why: all those requests have tags from the virtual time of the joining up to the waiter's own
 * tag, that span is at most `ahead`, and within a flow each tag is above the one before it by the
 * cost of the request before it.
 *
 * Joining, going and leaving cost O(log n), and leave the line that they are given as it was.
 * @see Goyal, Vin & Cheng, "Start-time fair queueing", SIGCOMM 1996
 */
import { invariant } from './kernel/errors.ts';
import type { ReplyTo } from './kernel/effects.ts';
import { find, first, insert, itemsOf, remove, sizeOf } from './sorted-set.ts';
import type { SortedSet } from './sorted-set.ts';

export interface Newcomer {
  /** The caller's name for it, unique among those who wait. */
  readonly ticket: number;
  readonly flow: string;
  readonly tokens: number;
  readonly replyTo: ReplyTo;
  readonly sinceMs: number;
  /** `Infinity`: waits as long as it takes. */
  readonly deadlineMs: number;
}

export interface Waiter extends Newcomer {
  /** Grows with every newcomer. */
  readonly arrival: number;
}

/** A flow with waiters, or an idle one that has had its turn too recently to be forgotten. */
interface Flow {
  readonly name: string;
  /** Virtual time at which its first waiter's turn begins. */
  readonly startTag: number;
  readonly waiters: SortedSet<Waiter>;
  readonly tokens: number;
}

/** The place of a waiting flow among the others. */
interface Turn {
  readonly startTag: number;
  readonly waiter: Waiter;
}

export interface WaitLine {
  readonly size: number;
  /** What all who wait ask for together. */
  readonly tokens: number;
  readonly virtualTime: number;
  readonly arrivals: number;
  readonly byTicket: SortedSet<Waiter>;
  /** Only those with a deadline. */
  readonly byDeadline: SortedSet<Waiter>;
  readonly flows: SortedSet<Flow>;
  readonly turns: SortedSet<Turn>;
  readonly idle: SortedSet<Flow>;
}

export const EMPTY_LINE: WaitLine = {
  size: 0,
  tokens: 0,
  virtualTime: 0,
  arrivals: 0,
  byTicket: undefined,
  byDeadline: undefined,
  flows: undefined,
  turns: undefined,
  idle: undefined,
};

/** Idle flows remembered at most. */
export const MOST_REMEMBERED = 1_024;

/** Who goes next. */
export function headOf(line: WaitLine): Waiter | undefined {
  return first(line.turns)?.waiter;
}

/** Who has to go soonest, of those with a deadline. */
export function mostUrgentOf(line: WaitLine): Waiter | undefined {
  return first(line.byDeadline);
}

/** Who waits with a ticket. */
export function waiterOf(line: WaitLine, ticket: number): Waiter | undefined {
  return find(line.byTicket, (waiter) => ticket - waiter.ticket);
}

/** What a flow has waiting: it goes before whoever joins the flow now. */
export function waitingIn(line: WaitLine, name: string): { readonly requests: number; readonly tokens: number } {
  const flow = flowOf(line, name);
  return flow === undefined ? { requests: 0, tokens: 0 } : { requests: sizeOf(flow.waiters), tokens: flow.tokens };
}

export function joined(line: WaitLine, newcomer: Newcomer): WaitLine {
  invariant(waiterOf(line, newcomer.ticket) === undefined, `ticket ${newcomer.ticket} is waiting already`);
  const waiter: Waiter = { ...newcomer, arrival: line.arrivals + 1 };
  const known = flowOf(line, waiter.flow);
  const startTag = known?.startTag ?? line.virtualTime;
  const waits = known?.waiters !== undefined;
  const flow: Flow = {
    name: waiter.flow,
    startTag,
    waiters: insert(known?.waiters, waiter, byArrival),
    tokens: (known?.tokens ?? 0) + waiter.tokens,
  };
  return {
    size: line.size + 1,
    tokens: line.tokens + waiter.tokens,
    virtualTime: line.virtualTime,
    arrivals: waiter.arrival,
    byTicket: insert(line.byTicket, waiter, byTicket),
    byDeadline: waiter.deadlineMs === Infinity ? line.byDeadline : insert(line.byDeadline, waiter, byDeadline),
    flows: insert(line.flows, flow, byName),
    turns: waits ? line.turns : insert(line.turns, { startTag, waiter }, byTurn),
    idle: known === undefined || waits ? line.idle : remove(line.idle, known, byTag),
  };
}

/** The head goes, and its flow pays `cost`, above 0, with its next turn. */
export function headGone(line: WaitLine, cost: number): WaitLine {
  const head = headOf(line);
  invariant(head !== undefined && cost > 0, 'somebody goes, and pays');
  return without(line, head, cost);
}

/** The waiter leaves and its flow pays nothing; the same line when nobody waits with that ticket. */
export function withdrawn(line: WaitLine, ticket: number): WaitLine {
  const waiter = waiterOf(line, ticket);
  return waiter === undefined ? line : without(line, waiter, 0);
}

/** The same waiters as if all of them came anew: for when costs change their unit. O(n log n). */
export function leveled(line: WaitLine): WaitLine {
  let level = EMPTY_LINE;
  for (const waiter of [...itemsOf(line.byTicket)].toSorted(byArrival)) level = joined(level, waiter);
  return level;
}

function without(line: WaitLine, waiter: Waiter, cost: number): WaitLine {
  if (line.size === 1) return EMPTY_LINE;
  const flow = flowOf(line, waiter.flow)!;
  const waiters = remove(flow.waiters, waiter, byArrival);
  const successor = first(waiters);
  const startTag = flow.startTag + cost;
  let turns = line.turns;
  if (first(flow.waiters) === waiter) {
    turns = remove(turns, { startTag: flow.startTag, waiter }, byTurn);
    if (successor !== undefined) turns = insert(turns, { startTag, waiter: successor }, byTurn);
  }
  const virtualTime = Math.max(line.virtualTime, first(turns)!.startTag);
  const rest: Flow = { name: flow.name, startTag, waiters, tokens: flow.tokens - waiter.tokens };
  const keeps = successor !== undefined || startTag > virtualTime;
  return withoutForgotten({
    size: line.size - 1,
    tokens: line.tokens - waiter.tokens,
    virtualTime,
    arrivals: line.arrivals,
    byTicket: remove(line.byTicket, waiter, byTicket),
    byDeadline: waiter.deadlineMs === Infinity ? line.byDeadline : remove(line.byDeadline, waiter, byDeadline),
    flows: keeps ? insert(line.flows, rest, byName) : remove(line.flows, flow, byName),
    turns,
    idle: keeps && successor === undefined ? insert(line.idle, rest, byTag) : line.idle,
  });
}

function withoutForgotten(line: WaitLine): WaitLine {
  let { flows, idle, virtualTime } = line;
  for (let flow = first(idle); flow !== undefined && (flow.startTag <= virtualTime || sizeOf(idle) > MOST_REMEMBERED); flow = first(idle)) {
    virtualTime = Math.max(virtualTime, flow.startTag);
    idle = remove(idle, flow, byTag);
    flows = remove(flows, flow, byName);
  }
  return idle === line.idle ? line : { ...line, flows, idle, virtualTime };
}

function flowOf(line: WaitLine, name: string): Flow | undefined {
  return find(line.flows, (flow) => compareNames(name, flow.name));
}

function compareNames(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

const byTicket = (a: Waiter, b: Waiter): number => a.ticket - b.ticket;
const byArrival = (a: Waiter, b: Waiter): number => a.arrival - b.arrival;
const byDeadline = (a: Waiter, b: Waiter): number => a.deadlineMs - b.deadlineMs || a.arrival - b.arrival;
const byTurn = (a: Turn, b: Turn): number => a.startTag - b.startTag || a.waiter.arrival - b.waiter.arrival;
const byName = (a: Flow, b: Flow): number => compareNames(a.name, b.name);
const byTag = (a: Flow, b: Flow): number => a.startTag - b.startTag || compareNames(a.name, b.name);
