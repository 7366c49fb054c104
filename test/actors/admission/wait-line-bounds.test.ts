import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  emptyLine,
  headGone,
  headOf,
  MOST_REMEMBERED,
  PLACES_PER_PRIORITY,
  raised,
  withdrawn,
} from '../../../actors/admission/wait-line.ts';
import type { Waiter, WaitLine } from '../../../actors/admission/wait-line.ts';
import { join } from './waiters.ts';

const TENANTS = ['x', 'y', 'z'] as const;
const KINDS = ['a', 'b', 'c'] as const;

interface Shares {
  readonly tenants: Readonly<Record<string, number>>;
  readonly kinds: Readonly<Record<string, number>>;
}

/** Powers of two: sums of costs over them are exact. */
const weight = fc.constantFrom(0.25, 0.5, 1, 2, 4);
const weights: fc.Arbitrary<Shares> = fc.record({
  tenants: fc.record({ x: weight, y: weight, z: weight }),
  kinds: fc.record({ a: weight, b: weight, c: weight }),
});
const newcomer = fc.record({
  tenant: fc.constantFrom(...TENANTS),
  flow: fc.constantFrom(...KINDS),
  priority: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(-1, 1, 2) }),
  tokens: fc.integer({ min: 1, max: 9 }),
});
/** Weighted so that lines are long for a while, and run dry now and then. */
const action = (going: number): fc.Arbitrary<Action> =>
  fc.oneof(
    { weight: 50, arbitrary: fc.record({ at: fc.constant('join' as const), newcomer }) },
    { weight: going, arbitrary: fc.record({ at: fc.constant('go' as const) }) },
    { weight: 8, arbitrary: fc.record({ at: fc.constant('leave' as const), which: fc.nat() }) },
    { weight: 8, arbitrary: fc.record({ at: fc.constant('raise' as const), which: fc.nat(), priority: fc.constantFrom(0, 1, 2, 3) }) },
  );
const history = fc.constantFrom(20, 40, 50).chain((going) => fc.array(action(going), { maxLength: 250, size: 'max' }));

type Action =
  | {
      readonly at: 'join';
      readonly newcomer: { readonly tenant: string; readonly flow: string; readonly priority: number; readonly tokens: number };
    }
  | { readonly at: 'go' }
  | { readonly at: 'leave'; readonly which: number }
  | { readonly at: 'raise'; readonly which: number; readonly priority: number };

interface Observer {
  came?(waiter: Waiter, waiting: readonly Waiter[], line: WaitLine): void;
  /** `waiting` is without the one that went. */
  went?(gone: Waiter, cost: number, waiting: readonly Waiter[], line: WaitLine): void;
  left?(leaver: Waiter, waiting: readonly Waiter[], line: WaitLine): void;
  /** It was less urgent than it is; `waiting` has it as it is now. */
  rose?(waiter: Waiter, waiting: readonly Waiter[], line: WaitLine): void;
}

/** Plays a history on a line and tells what happened. */
function play(shares: Shares, actions: readonly Action[], observer: Observer): void {
  let line: WaitLine = emptyLine(shares);
  let waiting: Waiter[] = [];
  for (const [ticket, act] of actions.entries()) {
    if (act.at === 'join') {
      const { tenant, flow, priority, tokens } = act.newcomer;
      line = join(line, flow, { ticket, tenant, priority, tokens });
      const waiter: Waiter = { ticket, tenant, flow, priority, input: tokens, arrival: ticket } as Waiter;
      waiting.push(waiter);
      observer.came?.(waiter, waiting, line);
    } else if (waiting.length > 0 && act.at === 'raise') {
      const before = waiting[act.which % waiting.length]!;
      line = raised(line, before.ticket, act.priority);
      if (act.priority <= before.priority) continue;
      const urgent: Waiter = { ...before, priority: act.priority };
      waiting = waiting.map((waiter) => (waiter === before ? urgent : waiter));
      observer.rose?.(urgent, waiting, line);
    } else if (waiting.length > 0 && act.at !== 'raise') {
      const ticketOfLeaver = act.at === 'go' ? headOf(line)!.ticket : waiting[act.which % waiting.length]!.ticket;
      const leaver = waiting.find((waiter) => waiter.ticket === ticketOfLeaver)!;
      waiting = waiting.filter((waiter) => waiter !== leaver);
      line = act.at === 'go' ? headGone(line, leaver.input) : withdrawn(line, ticketOfLeaver);
      if (act.at === 'go') observer.went?.(leaver, leaver.input, waiting, line);
      else observer.left?.(leaver, waiting, line);
    }
  }
}

const flowOf = ({ tenant, flow }: Waiter): string => `${tenant} ${flow}`;
const sumOf = (costs: readonly number[]): number => costs.reduce((sum, cost) => sum + cost, 0);

/** Costs that each rival went before somebody with. */
class Passings {
  private readonly byRival = new Map<string, number[]>();

  add(rival: string, cost: number): readonly number[] {
    const costs = [...(this.byRival.get(rival) ?? []), cost];
    this.byRival.set(rival, costs);
    return costs;
  }
}

describe('L5: nobody is overtaken without bound', () => {
  test('by later arrivals of its own kind, fewer than its places times by how much the most urgent is above it', () => {
    fc.assert(
      fc.property(weights, history, fc.boolean(), (shares, actions, crowded) => {
        const overtaken = new Map<number, { count: number; above: number }>();
        const came = new Map<number, number>();
        const all: readonly Action[] = crowded
          ? actions.map((act) => (act.at === 'join' ? { ...act, newcomer: { ...act.newcomer, tenant: 'x', flow: 'a' } } : act))
          : actions;
        play(shares, all, {
          came: ({ ticket, priority }) => void came.set(ticket, priority),
          went(gone, _cost, waiting) {
            for (const waiter of waiting) {
              if (flowOf(waiter) !== flowOf(gone) || waiter.arrival > gone.arrival) continue;
              expect(gone.priority).toBeGreaterThan(waiter.priority);
              const before = overtaken.get(waiter.ticket) ?? { count: 0, above: 0 };
              const now = { count: before.count + 1, above: Math.max(before.above, gone.priority - came.get(waiter.ticket)!) };
              expect(now.count).toBeLessThan(now.above * PLACES_PER_PRIORITY);
              overtaken.set(waiter.ticket, now);
            }
          },
        });
      }),
      { numRuns: 300 },
    );
  });

  /** What a waiter's own side paid since it joined, with the lead it had then, and what others went before it with. */
  interface Watched {
    ahead: number;
    aheadOfTenant: number;
    readonly kinds: Passings;
    readonly tenants: Passings;
  }

  test('by other kinds and tenants, no more than their weights allow for what its own side pays', () => {
    fc.assert(
      fc.property(weights, history, (shares, actions) => {
        const watched = new Map<number, Watched>();
        const latestTurn = new Map<string, number>();
        const forget = (waiting: readonly Waiter[]): void => {
          for (const tenant of TENANTS) {
            if (waiting.some((waiter) => waiter.tenant === tenant)) continue;
            for (const kind of KINDS) latestTurn.delete(`${tenant} ${kind}`);
            if (waiting.length === 0) latestTurn.delete(tenant);
          }
        };
        play(shares, actions, {
          came(waiter) {
            watched.set(waiter.ticket, {
              ahead: latestTurn.get(flowOf(waiter)) ?? 0,
              aheadOfTenant: latestTurn.get(waiter.tenant) ?? 0,
              kinds: new Passings(),
              tenants: new Passings(),
            });
          },
          went(gone, cost, waiting) {
            latestTurn.set(flowOf(gone), cost).set(gone.tenant, cost);
            for (const waiter of waiting) {
              const own = watched.get(waiter.ticket)!;
              if (waiter.tenant !== gone.tenant) {
                const allowed = (own.aheadOfTenant / shares.tenants[waiter.tenant]!) * shares.tenants[gone.tenant]!;
                expect(sumOf(own.tenants.add(gone.tenant, cost).slice(0, -1))).toBeLessThanOrEqual(allowed);
                continue;
              }
              own.aheadOfTenant += cost;
              if (waiter.flow === gone.flow) {
                own.ahead += cost;
                continue;
              }
              const allowed = (own.ahead / shares.kinds[waiter.flow]!) * shares.kinds[gone.flow]!;
              expect(sumOf(own.kinds.add(gone.flow, cost).slice(0, -1))).toBeLessThanOrEqual(allowed);
            }
            forget(waiting);
          },
          left: (_leaver, waiting) => forget(waiting),
        });
      }),
      { numRuns: 400 },
    );
  });

  test('of other kinds of its tenant that join later, less than that where priorities are equal: with nothing ahead nobody passes', () => {
    fc.assert(
      fc.property(weights, history, (shares, actions) => {
        const stood = new Map<number, number>();
        const passed = new Map<number, Passings>();
        const latestTurn = new Map<string, number>();
        const even = actions
          .filter((act) => act.at !== 'raise')
          .map((act) => (act.at === 'join' ? { ...act, newcomer: { ...act.newcomer, priority: 0 } } : act));
        play(shares, even, {
          came(waiter, waiting) {
            const before = waiting.filter((other) => other !== waiter && flowOf(other) === flowOf(waiter)).map((other) => other.input);
            stood.set(waiter.ticket, sumOf(before) + (latestTurn.get(flowOf(waiter)) ?? 0));
            passed.set(waiter.ticket, new Passings());
          },
          went(gone, cost, waiting) {
            latestTurn.set(flowOf(gone), cost);
            for (const waiter of waiting) {
              if (waiter.tenant !== gone.tenant || waiter.flow === gone.flow || gone.arrival < waiter.arrival) continue;
              const allowed = (stood.get(waiter.ticket)! / shares.kinds[waiter.flow]!) * shares.kinds[gone.flow]!;
              expect(sumOf(passed.get(waiter.ticket)!.add(gone.flow, cost).slice(0, -1))).toBeLessThan(allowed);
            }
            for (const kind of KINDS)
              if (!waiting.some((waiter) => waiter.tenant === gone.tenant)) latestTurn.delete(`${gone.tenant} ${kind}`);
          },
        });
      }),
      { numRuns: 300 },
    );
  });
});

test('the head stays the head until it goes or leaves, or one of its kind is more urgent, as it joins or as it is raised', () => {
  fc.assert(
    fc.property(history, (actions) => {
      let head: Waiter | undefined;
      const joined = (waiter: Waiter, _waiting: readonly Waiter[], line: WaitLine): void => {
        const now = headOf(line)!.ticket;
        // One that came earlier, and was behind for its priority, needs no higher one.
        const takesItsPlace =
          head !== undefined && flowOf(waiter) === flowOf(head) && (waiter.priority > head.priority || waiter.ticket < head.ticket);
        if (head !== undefined) expect(takesItsPlace ? [head.ticket, waiter.ticket] : [head.ticket]).toContain(now);
        head = headOf(line);
      };
      // Turns of one cost and one weight: equal tags are where a head could be lost.
      const even = actions.map((act) => (act.at === 'join' ? { ...act, newcomer: { ...act.newcomer, tokens: 1 } } : act));
      play({ tenants: {}, kinds: {} }, even, {
        came: joined,
        rose: joined,
        went(_gone, _cost, _waiting, line) {
          head = headOf(line);
        },
        left(leaver, _waiting, line) {
          if (leaver.ticket !== head!.ticket) expect(headOf(line)!.ticket).toBe(head!.ticket);
          head = headOf(line);
        },
      });
    }),
    { numRuns: 300 },
  );
});

test('after more idle kinds than are remembered, others pass by the largest turn of a forgotten one more, and no further', () => {
  fc.assert(
    fc.property(fc.constantFrom(1, 2, 4), fc.integer({ min: 2, max: 9 }), fc.nat(40), (shareOfOld, largest, more) => {
      // One kind has waited for long with a low tag, and is small; a flood of new kinds, each with one turn, drives virtual time ahead of it.
      let line = emptyLine({ kinds: { old: shareOfOld } });
      for (let other = 0; other <= MOST_REMEMBERED + more; other += 1) line = join(line, `new ${other}`, { tokens: largest });
      for (let request = 0; request < 100; request += 1) line = join(line, 'old');
      for (let turn = 0; turn <= MOST_REMEMBERED; turn += 1) line = headGone(line, largest);
      line = join(line, 'newcomer', { ticket: 1_000_000 });
      const paid: number[] = [];
      for (let head = headOf(line)!; head.ticket !== 1_000_000; head = headOf(line)!) {
        if (head.flow === 'old') paid.push(head.input);
        line = headGone(line, head.input);
      }
      expect(sumOf(paid.slice(0, -1))).toBeLessThanOrEqual(largest * shareOfOld);
      expect(paid.length).toBeGreaterThan(1);
    }),
    { numRuns: 10 },
  );
});

describe('fairness', () => {
  /** Service over weight of two names, while both have had somebody waiting all the time: how far apart, at most and at least. */
  interface Stretch {
    apart: number;
    most: number;
    least: number;
  }

  /**
   * Checks each pair of `names` after each step. `nameOf` tells for whom somebody waits: undefined, for nobody of them.
   */
  function expectFair(
    shares: Shares,
    actions: readonly Action[],
    names: readonly string[],
    nameOf: (waiter: Waiter) => string | undefined,
    weightOf: (name: string) => number,
  ): void {
    const stretches = new Map<string, Stretch>();
    const largest = new Map<string, number>();
    const observe = (waiting: readonly Waiter[], served: string | undefined, cost: number): void => {
      if (served !== undefined) largest.set(served, Math.max(largest.get(served) ?? 0, cost));
      const busy = new Set(waiting.map(nameOf));
      for (const [at, one] of names.entries()) {
        for (const other of names.slice(at + 1)) {
          const pair = `${one} ${other}`;
          if (!busy.has(one) || !busy.has(other)) {
            stretches.delete(pair);
            continue;
          }
          const stretch = stretches.get(pair) ?? { apart: 0, most: 0, least: 0 };
          if (stretches.has(pair)) {
            if (served === one) stretch.apart += cost / weightOf(one);
            if (served === other) stretch.apart -= cost / weightOf(other);
          }
          stretch.most = Math.max(stretch.most, stretch.apart);
          stretch.least = Math.min(stretch.least, stretch.apart);
          stretches.set(pair, stretch);
          const allowed = (largest.get(one) ?? 0) / weightOf(one) + (largest.get(other) ?? 0) / weightOf(other);
          expect(stretch.most - stretch.least).toBeLessThanOrEqual(allowed);
        }
      }
    };
    play(shares, actions, {
      came: (_waiter, waiting) => observe(waiting, undefined, 0),
      went: (gone, cost, waiting) => observe(waiting, nameOf(gone), cost),
      left: (_leaver, waiting) => observe(waiting, undefined, 0),
    });
  }

  test('two tenants with somebody waiting all the time get their shares, but for the largest turn of each', () => {
    fc.assert(
      fc.property(weights, history, (shares, actions) =>
        expectFair(
          shares,
          actions,
          TENANTS,
          (waiter) => waiter.tenant,
          (name) => shares.tenants[name]!,
        ),
      ),
      { numRuns: 300 },
    );
  });

  test('two kinds of one tenant get their shares of what the tenant gets, but for the largest turn of each', () => {
    fc.assert(
      fc.property(weights, history, (shares, actions) =>
        expectFair(
          shares,
          actions,
          KINDS,
          (waiter) => (waiter.tenant === 'x' ? waiter.flow : undefined),
          (name) => shares.kinds[name]!,
        ),
      ),
      { numRuns: 300 },
    );
  });
});
