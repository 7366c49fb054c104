/**
 * Wait line: who goes next.
 *
 *     line ──▶ tenants, by weight ──▶ kinds of a tenant, by weight ──▶ waiters of a kind, by urgency
 *
 * Among tenants, and among the kinds of one tenant, `fair-share.ts` says whose turn it is; within a
 * kind, `flow.ts` says who is the most urgent. Whoever goes pays twice: its kind pays among the kinds
 * of the tenant, and its tenant among the tenants. So a tenant gets its share however many kinds it
 * has; what one does not use goes to the others by their weights, and is not owed to it afterwards.
 * A tenant of whom nobody waits has forgotten what its kinds have paid; its own tag is remembered.
 *
 * Fair share stands above urgency: a priority moves a waiter within its kind, and never buys the kind
 * or the tenant more than its share; nor does one that it is raised to. The head stays the head until
 * it goes or leaves, or somebody gets a place before it in its kind, joining it or being raised, who
 * then is the head.
 *
 * Bound (L5), for a waiter of kind K of tenant T, from when it joins until it goes:
 *   1. Of its own kind, those with earlier places go before it, those from before it that are raised
 *      above it, and fewer later arrivals than `PLACES_PER_PRIORITY` times by how much the most urgent
 *      of them, as raised at last, is above it, as it came. Let `ahead` be what all of them pay, and
 *      what K paid for its latest turn before, while that is remembered.
 *   2. Each other kind of T goes before it with requests that cost, but for the last of them, at most
 *      `ahead` * weight of that kind / weight of K. Where the waiters of K have the same priority,
 *      those who join later cost, but for the last, less than that: with nothing ahead, no other kind
 *      of the tenant passes.
 *   3. Let `aheadOfTenant` be what 1 and 2 pay together, and what T paid for its latest turn before,
 *      while that is remembered. Each other tenant goes before it with requests that cost, but for
 *      the last of them, at most `aheadOfTenant` * weight of that tenant / weight of T.
 * With costs of at least 1, "cost x, but for the last" is at most x + 1 requests. After an overflow
 * of `MOST_REMEMBERED`, a newcomer starts later by up to the largest turn of one that was forgotten over
 * the weight of that, and 2 and 3 allow the others as much more by their weights.
 * Why: what another goes before it with has tags from the lowest tag at the joining up to the waiter's
 * own; the lead that K had at the joining is at most its latest turn over its weight, and grows by
 * what K pays, so that span is at most `ahead` over the weight of K; and within a kind each tag is
 * above the one before it by the cost of the request before it over the kind's weight. Among equal
 * tags the older head goes. The same again for tenants, with what T pays.
 *
 * Joining, being raised, going and leaving cost O(log n), and leave the line that they are given as it was. Besides
 * those who wait it remembers at most `MOST_REMEMBERED` idle tenants, and as many idle kinds of each
 * tenant of whom somebody waits: one that floods it with names spoils only its own memory.
 * @see Goyal, Vin & Cheng, "Start-time fair queueing", SIGCOMM 1996: also of shares within shares
 */
import { invariant } from '../kernel/errors.ts';
import { find, first, insert, itemsOf, remove } from '../sorted-set.ts';
import type { SortedSet } from '../sorted-set.ts';
import { joinedBy, leftBy, memberOf, nextOf, NOBODY } from './fair-share.ts';
import type { FairShare, Member } from './fair-share.ts';
import { aheadIn, EMPTY_FLOW, entered, exchanged, firstIn, left, placedIn, raisedTo } from './flow.ts';
import type { Flow, Newcomer, Placed, Waiter } from './flow.ts';
import type { Ahead } from './regulator.ts';

export { MOST_REMEMBERED } from './fair-share.ts';
export { HIGHEST_PRIORITY, PLACES_PER_PRIORITY } from './flow.ts';
export type { Newcomer, Waiter } from './flow.ts';

/**
 * Shares, by name: above 0, and only their ratio counts. Who is not named has 1. Checked where they
 * enter. A weight w moves a tag by cost / w: far below a millionth, tags lose their precision.
 */
export interface Weights {
  readonly tenants?: Readonly<Record<string, number>>;
  /** The same within every tenant. */
  readonly kinds?: Readonly<Record<string, number>>;
}

export interface WaitLine {
  readonly weights: Weights;
  readonly size: number;
  /** What all who wait ask for together. */
  readonly input: number;
  readonly output: number;
  /** Both. */
  readonly tokens: number;
  readonly arrivals: number;
  readonly byTicket: SortedSet<Placed>;
  /** Only those with a deadline. */
  readonly byDeadline: SortedSet<Waiter>;
  /** The least important first. */
  readonly byImportance: SortedSet<Waiter>;
  readonly refusers: SortedSet<Waiter>;
  readonly tenants: FairShare<FairShare<Flow>>;
}

const EVEN: Weights = {};
const NOTHING_AHEAD: Ahead = { requests: 0, input: 0, output: 0 };

export function emptyLine(weights: Weights = EVEN): WaitLine {
  return {
    weights,
    size: 0,
    input: 0,
    output: 0,
    tokens: 0,
    arrivals: 0,
    byTicket: undefined,
    byDeadline: undefined,
    byImportance: undefined,
    refusers: undefined,
    tenants: NOBODY,
  };
}

/** Who goes next. */
export function headOf(line: WaitLine): Waiter | undefined {
  return nextOf(line.tenants);
}

/** Who has to go soonest, of those with a deadline. */
export function mostUrgentOf(line: WaitLine): Waiter | undefined {
  return first(line.byDeadline);
}

/** Whom to shed when the line is too long: of those with the lowest priority, the youngest. */
export function leastImportantOf(line: WaitLine): Waiter | undefined {
  return first(line.byImportance);
}

/** Who would rather be refused than wait for an open breaker, in order of arrival. Costs as much as there are of them. */
export function refusersOf(line: WaitLine): readonly Waiter[] {
  return [...itemsOf(line.refusers)];
}

/** Who waits with a ticket. */
export function waiterOf(line: WaitLine, ticket: number): Waiter | undefined {
  return placed(line, ticket);
}

/**
 * What goes before a newcomer of a flow, unless it leaves: what waits there with at least its
 * priority. Those of less priority who have waited long enough, and other flows, come on top of it.
 */
export function aheadOf(line: WaitLine, tenant: string, flow: string, priority: number): Ahead {
  const kinds = memberOf(line.tenants, tenant)?.content;
  const known = kinds && memberOf(kinds, flow);
  return known === undefined ? NOTHING_AHEAD : aheadIn(known.content, priority);
}

/**
 * How many go before a waiter, if nobody comes or leaves: 0 is the head; undefined when nobody waits
 * with that ticket. O(n log n).
 *
 * @param costOf what each of them pays as it goes. Default: its tokens, at least 1
 */
export function positionOf(line: WaitLine, ticket: number, costOf = tokensOf): number | undefined {
  const waiter = waiterOf(line, ticket);
  return waiter === undefined ? undefined : inOrder(line, costOf).findIndex((turn) => turn.waiter === waiter);
}

export function joined(line: WaitLine, newcomer: Newcomer): WaitLine {
  invariant(waiterOf(line, newcomer.ticket) === undefined, `ticket ${newcomer.ticket} is waiting already`);
  const flow = flowOf(line, newcomer);
  const waiter = placedIn(flow, newcomer, line.arrivals + 1);
  return {
    weights: line.weights,
    size: line.size + 1,
    input: line.input + waiter.input,
    output: line.output + waiter.output,
    tokens: line.tokens + waiter.input + waiter.output,
    arrivals: waiter.arrival,
    byTicket: insert(line.byTicket, waiter, byTicket),
    byDeadline: waiter.deadlineMs === Infinity ? line.byDeadline : insert(line.byDeadline, waiter, byDeadline),
    byImportance: insert(line.byImportance, waiter, byImportance),
    refusers: waiter.whenOpen === 'refuse' ? insert(line.refusers, waiter, byArrival) : line.refusers,
    tenants: withWaiter(line.tenants, waiter, entered(flow, waiter)),
  };
}

/**
 * The waiter is as urgent as if it had come with this priority; its turn, and what it pays, stay. The same line when it is
 * as urgent already, or nobody waits with that ticket.
 */
export function raised(line: WaitLine, ticket: number, priority: number): WaitLine {
  const waiter = placed(line, ticket);
  if (waiter === undefined || !(priority > waiter.priority)) return line;
  const urgent = raisedTo(waiter, priority);
  return {
    ...line,
    byTicket: insert(line.byTicket, urgent, byTicket),
    byDeadline: urgent.deadlineMs === Infinity ? line.byDeadline : insert(line.byDeadline, urgent, byDeadline),
    byImportance: insert(remove(line.byImportance, waiter, byImportance), urgent, byImportance),
    refusers: urgent.whenOpen === 'refuse' ? insert(line.refusers, urgent, byArrival) : line.refusers,
    tenants: withWaiter(line.tenants, urgent, exchanged(flowOf(line, waiter), waiter, urgent)),
  };
}

/** The head goes, and pays `cost`, above 0, with the next turns of its kind and of its tenant. */
export function headGone(line: WaitLine, cost: number): WaitLine {
  const head = nextOf(line.tenants);
  invariant(head !== undefined && cost > 0, 'somebody goes, and pays');
  return without(line, head, cost);
}

/** The waiter leaves and nobody pays for it; the same line when nobody waits with that ticket. */
export function withdrawn(line: WaitLine, ticket: number): WaitLine {
  const waiter = placed(line, ticket);
  return waiter === undefined ? line : without(line, waiter, 0);
}

/**
 * The same waiters, but nobody has had a turn yet: for when costs change their unit, or the weights
 * change. Places within a flow stay. O(flows).
 */
export function leveled(line: WaitLine, weights: Weights = line.weights): WaitLine {
  let tenants: WaitLine['tenants'] = NOBODY;
  for (const tenant of itemsOf(line.tenants.members)) {
    let kinds: FairShare<Flow> = NOBODY;
    for (const { name, content, head } of itemsOf(tenant.content.members))
      if (head !== undefined) kinds = joinedBy(kinds, name, content, head);
    if (tenant.head !== undefined) tenants = joinedBy(tenants, tenant.name, kinds, nextOf(kinds)!);
  }
  return { ...line, weights, tenants };
}

function without(line: WaitLine, waiter: Placed, cost: number): WaitLine {
  if (line.size === 1) return emptyLine(line.weights);
  return {
    weights: line.weights,
    size: line.size - 1,
    input: line.input - waiter.input,
    output: line.output - waiter.output,
    tokens: line.tokens - waiter.input - waiter.output,
    arrivals: line.arrivals,
    byTicket: remove(line.byTicket, waiter, byTicket),
    byDeadline: waiter.deadlineMs === Infinity ? line.byDeadline : remove(line.byDeadline, waiter, byDeadline),
    byImportance: remove(line.byImportance, waiter, byImportance),
    refusers: waiter.whenOpen === 'refuse' ? remove(line.refusers, waiter, byArrival) : line.refusers,
    tenants: withLeaver(line, waiter, left(flowOf(line, waiter), waiter), cost),
  };
}

function placed(line: WaitLine, ticket: number): Placed | undefined {
  return find(line.byTicket, (waiter) => ticket - waiter.ticket);
}

function flowOf(line: WaitLine, { tenant, flow }: Newcomer): Flow {
  const kinds = memberOf(line.tenants, tenant)?.content;
  return (kinds && memberOf(kinds, flow)?.content) ?? EMPTY_FLOW;
}

/** Of one that has joined, or has been raised: by its urgency it may be the head now. */
function withWaiter(tenants: WaitLine['tenants'], { tenant, flow: kind }: Placed, flow: Flow): WaitLine['tenants'] {
  const before = memberOf(tenants, tenant)?.content ?? NOBODY;
  const kinds = joinedBy(before, kind, flow, firstIn(flow)!);
  return joinedBy(tenants, tenant, kinds, nextOf(kinds)!);
}

function withLeaver({ weights, tenants }: WaitLine, { tenant, flow: kind }: Placed, flow: Flow, cost: number): WaitLine['tenants'] {
  const before = memberOf(tenants, tenant)!.content;
  const kinds = leftBy(before, kind, flow, firstIn(flow), cost / weightOf(weights.kinds, kind));
  return leftBy(tenants, tenant, kinds, nextOf(kinds), cost / weightOf(weights.tenants, tenant));
}

function weightOf(weights: Readonly<Record<string, number>> | undefined, name: string): number {
  // A tenant may well be called `constructor`.
  return weights !== undefined && Object.hasOwn(weights, name) ? weights[name]! : 1;
}

interface Turn {
  readonly startTag: number;
  readonly since: number;
  readonly waiter: Placed;
}

/** All who wait, in order. Tags only grow along a kind and along a tenant, so the lowest of the heads is the lowest of all. */
function inOrder(line: WaitLine, costOf: (waiter: Waiter) => number): readonly Turn[] {
  const turns: Turn[] = [];
  for (const tenant of itemsOf(line.tenants.members)) {
    const own: Turn[] = [];
    for (const kind of itemsOf(tenant.content.members))
      lineUp(itemsOf(kind.content.waiters), kind, weightOf(line.weights.kinds, kind.name), costOf, own);
    const waiters = own.toSorted(byTurn).map((turn) => turn.waiter);
    lineUp(waiters, tenant, weightOf(line.weights.tenants, tenant.name), costOf, turns);
  }
  return turns.toSorted(byTurn);
}

function lineUp(waiters: Iterable<Placed>, from: Member<unknown>, weight: number, costOf: (waiter: Waiter) => number, into: Turn[]): void {
  let { startTag } = from;
  for (const waiter of waiters) {
    into.push({ startTag, since: waiter === from.head ? from.since : waiter.arrival, waiter });
    startTag += costOf(waiter) / weight;
  }
}

function tokensOf({ input, output }: Waiter): number {
  return Math.max(1, input + output);
}

const byTurn = (a: Turn, b: Turn): number => a.startTag - b.startTag || a.since - b.since;
const byTicket = (a: Waiter, b: Waiter): number => a.ticket - b.ticket;
const byArrival = (a: Waiter, b: Waiter): number => a.arrival - b.arrival;
const byDeadline = (a: Waiter, b: Waiter): number => a.deadlineMs - b.deadlineMs || a.arrival - b.arrival;
const byImportance = (a: Waiter, b: Waiter): number => a.priority - b.priority || b.arrival - a.arrival;
