import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  aheadOf,
  emptyLine,
  headGone,
  headOf,
  HIGHEST_PRIORITY,
  leastImportantOf,
  leveled,
  mostUrgentOf,
  PLACES_PER_PRIORITY,
  positionOf,
  raised,
  refusersOf,
  waiterOf,
  withdrawn,
} from '../../../actors/admission/wait-line.ts';
import type { Newcomer, Waiter, WaitLine, Weights } from '../../../actors/admission/wait-line.ts';
import { deepFreeze, join } from './waiters.ts';

/** Start-time fair queueing over names, as the text of fair-share.ts tells it, with plain maps. */
class PlainShare {
  virtualTime = 0;
  tags = new Map<string, number>();
  /** Arrival of the first head of a waiting member's present turn; a later one when that has left. */
  since = new Map<string, number>();

  come(name: string, arrival: number): void {
    if (this.since.has(name)) return;
    this.tags.set(name, Math.max(this.virtualTime, this.tags.get(name) ?? 0));
    this.since.set(name, arrival);
  }

  pay(name: string, amount: number): void {
    this.tags.set(name, this.tags.get(name)! + amount);
  }

  next(): string | undefined {
    const names = [...this.since.keys()];
    return names.toSorted((a, b) => this.tags.get(a)! - this.tags.get(b)! || this.since.get(a)! - this.since.get(b)!)[0];
  }

  /** After somebody has gone or left. */
  moveOn(): void {
    const next = this.next();
    if (next === undefined) {
      this.virtualTime = 0;
      this.tags.clear();
    } else this.virtualTime = Math.max(this.virtualTime, this.tags.get(next)!);
  }
}

/** In places of its kind. */
const headStart = (priority: number): number => Math.min(Math.max(priority, -HIGHEST_PRIORITY), HIGHEST_PRIORITY) * PLACES_PER_PRIORITY;

interface PlainWaiter extends Newcomer {
  readonly arrival: number;
  /** How-manieth of its kind it is. */
  readonly nth: number;
}

/** The line with plain arrays: everything is searched for when it is asked. */
class PlainLine {
  waiters: PlainWaiter[] = [];
  readonly weights: Weights;
  readonly tenants = new PlainShare();
  readonly kinds = new Map<string, PlainShare>();
  readonly comers = new Map<string, number>();
  arrivals = 0;

  constructor(weights: Weights) {
    this.weights = weights;
  }

  share(tenant: string): PlainShare {
    if (!this.kinds.has(tenant)) this.kinds.set(tenant, new PlainShare());
    return this.kinds.get(tenant)!;
  }

  firstOf(tenant: string, kind: string): PlainWaiter | undefined {
    const own = this.waiters.filter((waiter) => waiter.tenant === tenant && waiter.flow === kind);
    const place = ({ nth, priority }: PlainWaiter): number => nth - headStart(priority);
    return own.toSorted((a, b) => place(a) - place(b) || a.arrival - b.arrival)[0];
  }

  headOfTenant(tenant: string): PlainWaiter | undefined {
    const kind = this.share(tenant).next();
    return kind === undefined ? undefined : this.firstOf(tenant, kind);
  }

  head(): PlainWaiter | undefined {
    const tenant = this.tenants.next();
    return tenant === undefined ? undefined : this.headOfTenant(tenant);
  }

  join(newcomer: Newcomer): void {
    const flow = JSON.stringify([newcomer.tenant, newcomer.flow]);
    const nth = (this.comers.get(flow) ?? 0) + 1;
    this.comers.set(flow, nth);
    this.arrivals += 1;
    this.waiters.push({ ...newcomer, arrival: this.arrivals, nth });
    this.share(newcomer.tenant).come(newcomer.flow, this.arrivals);
    this.tenants.come(newcomer.tenant, this.arrivals);
  }

  /** Nobody pays, and nobody's turn is another one. */
  raise(ticket: number, priority: number): void {
    this.waiters = this.waiters.map((waiter) =>
      waiter.ticket === ticket && waiter.priority < priority ? { ...waiter, priority } : waiter,
    );
  }

  drop(ticket: number, cost: number): void {
    const gone = this.waiters.find((waiter) => waiter.ticket === ticket)!;
    const { tenant, flow } = gone;
    const share = this.share(tenant);
    const wasFirst = this.firstOf(tenant, flow) === gone;
    const wasHeadOfTenant = this.headOfTenant(tenant) === gone;
    this.waiters = this.waiters.filter((waiter) => waiter !== gone);
    share.pay(flow, cost / (this.weights.kinds?.[flow] ?? 1));
    const next = this.firstOf(tenant, flow);
    if (next === undefined) share.since.delete(flow);
    else if (wasFirst) share.since.set(flow, cost > 0 ? next.arrival : Math.max(share.since.get(flow)!, next.arrival));
    share.moveOn();
    this.tenants.pay(tenant, cost / (this.weights.tenants?.[tenant] ?? 1));
    const nextOfTenant = this.headOfTenant(tenant);
    if (nextOfTenant === undefined) this.tenants.since.delete(tenant);
    else if (wasHeadOfTenant)
      this.tenants.since.set(tenant, cost > 0 ? nextOfTenant.arrival : Math.max(this.tenants.since.get(tenant)!, nextOfTenant.arrival));
    this.tenants.moveOn();
  }

  level(): void {
    const waiters = this.waiters;
    for (const share of [this.tenants, ...this.kinds.values()]) {
      share.virtualTime = 0;
      share.tags.clear();
      share.since.clear();
    }
    for (const { tenant, flow } of waiters) this.share(tenant).come(flow, this.firstOf(tenant, flow)!.arrival);
    for (const { tenant } of waiters) this.tenants.come(tenant, this.headOfTenant(tenant)!.arrival);
  }
}

const weight = fc.constantFrom(0.5, 0.7, 1, 2, 3);
const weights = fc.record({ tenants: fc.record({ x: weight, y: weight }), kinds: fc.record({ a: weight, b: weight }) });
const newcomer = fc.record({
  tenant: fc.constantFrom('', 'x', 'y'),
  flow: fc.constantFrom('a', 'b', 'c'),
  priority: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.constantFrom(-1, 1, 2, 99, -99) }),
  input: fc.nat(5),
  output: fc.integer({ min: 1, max: 5 }),
  deadlineMs: fc.constantFrom(Infinity, 1, 2, 3),
  whenOpen: fc.constantFrom('wait' as const, 'refuse' as const),
});
const action = fc.oneof(
  { weight: 60, arbitrary: fc.record({ at: fc.constant('join' as const), newcomer }) },
  { weight: 45, arbitrary: fc.record({ at: fc.constant('go' as const), extra: fc.constantFrom(0, 0, 4) }) },
  { weight: 12, arbitrary: fc.record({ at: fc.constant('leave' as const), which: fc.nat() }) },
  {
    weight: 12,
    arbitrary: fc.record({ at: fc.constant('raise' as const), which: fc.nat(), priority: fc.constantFrom(-1, 0, 1, 2, 3, 99) }),
  },
  { weight: 1, arbitrary: fc.record({ at: fc.constant('level' as const) }) },
);

function expectSame(line: WaitLine, plain: PlainLine): void {
  const { waiters } = plain;
  const sum = (of: (waiter: Newcomer) => number): number => waiters.reduce((total, waiter) => total + of(waiter), 0);
  expect(headOf(line)?.ticket).toBe(plain.head()?.ticket);
  expect(line.size).toBe(waiters.length);
  expect(line).toMatchObject({ input: sum((waiter) => waiter.input), output: sum((waiter) => waiter.output) });
  expect(line.tokens).toBe(line.input + line.output);
  expect(line.tenants.virtualTime).toBe(plain.tenants.virtualTime);
  expect(refusersOf(line).map((waiter) => waiter.ticket)).toEqual(
    waiters.filter((waiter) => waiter.whenOpen === 'refuse').map((waiter) => waiter.ticket),
  );
  const byImportance = waiters.toSorted((a, b) => a.priority - b.priority || b.arrival - a.arrival);
  expect(leastImportantOf(line)?.ticket).toBe(byImportance[0]?.ticket);
  const byDeadline = waiters.filter((waiter) => waiter.deadlineMs !== Infinity).toSorted((a, b) => a.deadlineMs - b.deadlineMs);
  expect(mostUrgentOf(line)?.ticket).toBe(byDeadline[0]?.ticket);
}

function expectAheadIsSure(line: WaitLine, { waiters }: PlainLine, asked: Newcomer): void {
  const before = waiters.filter(
    ({ tenant, flow, priority }) => tenant === asked.tenant && flow === asked.flow && headStart(priority) >= headStart(asked.priority),
  );
  expect(aheadOf(line, asked.tenant, asked.flow, asked.priority)).toEqual({
    requests: before.length,
    input: before.reduce((total, waiter) => total + waiter.input, 0),
    output: before.reduce((total, waiter) => total + waiter.output, 0),
  });
}

/** Everybody goes, each paying its tokens: the order, from here on. */
function orderOf(line: WaitLine): readonly Waiter[] {
  const order: Waiter[] = [];
  let rest = line;
  for (let head = headOf(rest); head !== undefined; head = headOf(rest)) {
    order.push(head);
    rest = headGone(rest, head.input + head.output);
  }
  return order;
}

test('it serves, sums up and finds as a line made of plain arrays does, over any history', () => {
  fc.assert(
    fc.property(weights, fc.array(action, { maxLength: 120, size: 'max' }), (shares, actions) => {
      const plain = new PlainLine(shares);
      let line = deepFreeze(emptyLine(shares));
      for (const [ticket, act] of actions.entries()) {
        const { waiters } = plain;
        if (act.at === 'join') {
          const asked: Newcomer = { ...act.newcomer, ticket, slots: 1, replyTo: ticket, sinceMs: 0 };
          expectAheadIsSure(line, plain, asked);
          line = join(line, asked.flow, asked);
          plain.join(asked);
          expect(waiterOf(line, ticket)).toMatchObject(asked);
        } else if (act.at === 'level') {
          line = leveled(line);
          plain.level();
        } else if (waiters.length > 0 && act.at === 'go') {
          const head = headOf(line)!;
          const cost = head.input + head.output + act.extra;
          line = headGone(line, cost);
          plain.drop(head.ticket, cost);
        } else if (waiters.length > 0 && act.at === 'leave') {
          const leaver = waiters[act.which % waiters.length]!;
          line = withdrawn(line, leaver.ticket);
          plain.drop(leaver.ticket, 0);
        } else if (waiters.length > 0 && act.at === 'raise') {
          const urgent = waiters[act.which % waiters.length]!.ticket;
          line = raised(line, urgent, act.priority);
          plain.raise(urgent, act.priority);
          expect(waiterOf(line, urgent)!.priority).toBe(plain.waiters.find(({ ticket: own }) => own === urgent)!.priority);
        }
        expectSame(deepFreeze(line), plain);
      }
    }),
    { numRuns: 300 },
  );
});

test('positions are the order in which all would go if nobody came or left, after any history', () => {
  fc.assert(
    fc.property(weights, fc.array(action, { maxLength: 80, size: 'max' }), (shares, actions) => {
      let line = emptyLine(shares);
      for (const [ticket, act] of actions.entries()) {
        if (act.at === 'join') line = join(line, act.newcomer.flow, { ...act.newcomer, ticket });
        else if (act.at === 'level') line = leveled(line);
        else if (line.size > 0 && act.at === 'go') line = headGone(line, 1 + act.extra);
        else if (act.at === 'leave') line = withdrawn(line, act.which % (ticket + 1));
        else if (act.at === 'raise') line = raised(line, act.which % (ticket + 1), act.priority);
      }
      for (const [position, waiter] of orderOf(line).entries()) expect(positionOf(line, waiter.ticket)).toBe(position);
    }),
    { numRuns: 500 },
  );
});

test('in a flow of one priority, or with no weights and one tenant, priorities and tenants change nothing', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80, size: 'max' }), fc.integer({ min: -20, max: 20 }), (actions, priority) => {
      let line = emptyLine();
      let same = emptyLine({ tenants: { only: 5 } });
      for (const [ticket, act] of actions.entries()) {
        if (act.at === 'join') {
          line = join(line, act.newcomer.flow, { ...act.newcomer, ticket, tenant: '', priority: 0 });
          same = join(same, act.newcomer.flow, { ...act.newcomer, ticket, tenant: 'only', priority });
        } else if (line.size > 0 && act.at === 'go') {
          const { input, output } = headOf(line)!;
          line = headGone(line, input + output);
          same = headGone(same, input + output);
        } else if (act.at === 'leave') {
          line = withdrawn(line, act.which % (ticket + 1));
          same = withdrawn(same, act.which % (ticket + 1));
        }
        expect(headOf(same)?.ticket).toBe(headOf(line)?.ticket);
      }
    }),
    { numRuns: 200 },
  );
});
