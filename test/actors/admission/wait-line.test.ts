import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { find, first, insert, itemsOf, remove, sizeOf } from '../../../actors/sorted-set.ts';
import type { SortedSet } from '../../../actors/sorted-set.ts';
import { memberOf, NOBODY } from '../../../actors/admission/fair-share.ts';
import type { FairShare } from '../../../actors/admission/fair-share.ts';
import {
  aheadOf,
  emptyLine,
  headGone,
  headOf,
  leveled,
  MOST_REMEMBERED,
  mostUrgentOf,
  waiterOf,
  withdrawn,
} from '../../../actors/admission/wait-line.ts';
import type { WaitLine } from '../../../actors/admission/wait-line.ts';
import { deepFreeze, go, join } from './waiters.ts';

/** The kinds of the one tenant ''. */
function kindsOf(line: WaitLine): FairShare<unknown> {
  return memberOf(line.tenants, '')?.content ?? NOBODY;
}

const known = (line: WaitLine): number => sizeOf(kindsOf(line).members);
const idle = (line: WaitLine): SortedSet<unknown> => kindsOf(line).idle;
const virtualTime = (line: WaitLine): number => kindsOf(line).virtualTime;

describe('the wait line', () => {
  test('a flow is served in the order of arrival', () => {
    let line = emptyLine();
    for (const ticket of [30, 10, 20]) line = join(line, 'a', { ticket });
    const tickets: number[] = [];
    for (let head = headOf(line); head !== undefined; head = headOf(line)) {
      tickets.push(head.ticket);
      line = headGone(line, 1);
    }
    expect(tickets).toEqual([30, 10, 20]);
  });

  test('waiting flows take turns', () => {
    let line = emptyLine();
    for (const flow of ['a', 'a', 'a', 'b', 'b', 'c']) line = join(line, flow);
    expect(go(line, 6).flows).toEqual(['a', 'b', 'c', 'a', 'b', 'a']);
  });

  test('turns are measured in tokens: ten small ones for one large one', () => {
    let line = emptyLine();
    for (let request = 0; request < 3; request += 1) line = join(line, 'large', { tokens: 100 });
    for (let request = 0; request < 30; request += 1) line = join(line, 'small', { tokens: 10 });
    expect(go(line, 23).flows.filter((flow) => flow === 'small')).toHaveLength(20);
  });

  test('a thousand waiters of one flow go before a single one of another for one turn at most', () => {
    let line = emptyLine();
    for (let request = 0; request < 1_000; request += 1) line = join(line, 'crowd');
    expect(go(join(line, 'single'), 2).flows).toContain('single');
    const later = go(line, 500).line;
    expect(go(join(later, 'single'), 2).flows).toContain('single');
  });

  test('a flow that comes back for one more every time pays for its turns', () => {
    let line = join(join(join(emptyLine(), 'crowd'), 'crowd'), 'crowd');
    for (let request = 0; request < 100; request += 1) line = join(line, 'crowd');
    const served: string[] = [];
    for (let turn = 0; turn < 40; turn += 1) {
      line = join(line, 'returning');
      const gone = go(line, 2);
      served.push(...gone.flows);
      line = gone.line;
    }
    expect(served.filter((flow) => flow === 'returning')).toHaveLength(40);
    expect(served.filter((flow) => flow === 'crowd')).toHaveLength(40);
  });

  test('the head stays the head whoever joins', () => {
    let line = go(join(join(emptyLine(), 'a', { tokens: 100 }), 'a', { tokens: 100 }), 1).line;
    const head = headOf(line);
    line = join(line, 'newcomer', { tokens: 1 });
    expect(headOf(line)).toBe(head);
  });

  test('who leaves is not waited for, and his flow pays nothing for him', () => {
    let line = join(emptyLine(), 'other', { ticket: 9_001 });
    for (let ticket = 9_100; ticket < 9_200; ticket += 1) line = join(line, 'fickle', { ticket });
    for (let ticket = 9_100; ticket < 9_200; ticket += 1) line = withdrawn(line, ticket);
    for (let request = 0; request < 10; request += 1) line = join(line, 'other');
    expect(go(join(line, 'fickle'), 2).flows).toEqual(['other', 'fickle']);
  });

  test('the head that leaves makes room for the next of its flow, in the same turn', () => {
    let line = join(join(join(emptyLine(), 'a', { ticket: 9_301 }), 'a', { ticket: 9_302 }), 'b', { ticket: 9_303 });
    line = withdrawn(line, 9_301);
    expect(headOf(line)!.ticket).toBe(9_302);
    expect(line.size).toBe(2);
  });

  test('leaving with an unknown ticket leaves the line as it is', () => {
    const line = join(emptyLine(), 'a', { ticket: 9_401 });
    expect(withdrawn(line, 9_402)).toBe(line);
  });

  test('two waiters never share a ticket', () => {
    const line = join(emptyLine(), 'a', { ticket: 9_501 });
    expect(() => join(line, 'b', { ticket: 9_501 })).toThrow(/waiting already/);
  });

  test('the most urgent is the one with the earliest deadline, wherever it stands', () => {
    let line = join(join(join(emptyLine(), 'a', { deadlineMs: 300 }), 'a', { ticket: 9_601, deadlineMs: 100 }), 'b');
    expect(mostUrgentOf(line)!.deadlineMs).toBe(100);
    line = withdrawn(line, 9_601);
    expect(mostUrgentOf(line)!.deadlineMs).toBe(300);
  });

  test('a flow knows what it has waiting', () => {
    const line = join(join(join(emptyLine(), 'a', { input: 5, output: 1 }), 'a', { input: 7, output: 2 }), 'b', { input: 11, output: 3 });
    expect(aheadOf(line, '', 'a', 0)).toEqual({ requests: 2, input: 12, output: 3 });
    expect(aheadOf(line, '', 'nobody', 0)).toEqual({ requests: 0, input: 0, output: 0 });
    expect(aheadOf(line, 'nobody', 'a', 0)).toEqual({ requests: 0, input: 0, output: 0 });
    expect(line).toMatchObject({ size: 3, input: 23, output: 6, tokens: 29 });
  });

  test('leveling forgets what turns have cost and keeps the order of arrival in each flow', () => {
    let line = emptyLine();
    for (let request = 0; request < 3; request += 1) line = join(line, 'a', { tokens: 1_000 });
    for (let request = 0; request < 3; request += 1) line = join(line, 'b', { tokens: 1 });
    line = go(line, 1).line;
    expect(go(leveled(line), 4, 1).flows).toEqual(['a', 'b', 'a', 'b']);
    const crossed = leveled(join(join(emptyLine(), 'a', { ticket: 9_702 }), 'a', { ticket: 9_701 }));
    expect(headOf(crossed)!.ticket).toBe(9_702);
  });

  describe('memory', () => {
    test('an empty line remembers nobody', () => {
      let line = emptyLine();
      for (let flow = 0; flow < 10; flow += 1) line = join(line, `flow ${flow}`);
      expect(go(line, 10).line).toEqual(emptyLine());
    });

    test('an idle flow is forgotten when the others have caught up with it', () => {
      let line = join(join(emptyLine(), 'idle', { tokens: 3 }), 'crowd');
      for (let request = 0; request < 9; request += 1) line = join(line, 'crowd');
      line = go(line, 1).line;
      expect(known(line)).toBe(2);
      line = go(line, 3).line;
      expect(known(line)).toBe(1);
      expect(idle(line)).toBeUndefined();
    });

    test('an endless row of new flows costs no memory and starves nobody', () => {
      let line = join(join(emptyLine(), 'patient', { tokens: 3, ticket: 1_000_000 }), 'patient', { tokens: 3, ticket: 1_000_001 });
      line = go(line, 1).line;
      let turns = 0;
      for (; waiterOf(line, 1_000_001) !== undefined; turns += 1) {
        line = join(join(line, `new ${turns}`), `newer ${turns}`);
        line = go(line, 1).line;
      }
      expect(turns).toBeLessThan(10);
      for (let turn = 0; turn < 5_000; turn += 1) line = go(join(line, `other ${turn}`), 1).line;
      expect(sizeOf(idle(line))).toBeLessThanOrEqual(MOST_REMEMBERED);
      expect(known(line)).toBeLessThanOrEqual(MOST_REMEMBERED + line.size);
    });

    test('more idle flows than are remembered move virtual time on', () => {
      let line = emptyLine();
      for (let flow = 0; flow <= 2 * MOST_REMEMBERED; flow += 1) line = join(line, `flow ${flow}`);
      for (let turn = 0; turn <= MOST_REMEMBERED; turn += 1) line = go(line, 1).line;
      expect(virtualTime(line)).toBe(1);
      expect(idle(line)).toBeUndefined();
      // Those who waited before are served before those who come now.
      const newcomer = 2_000_000;
      line = go(join(line, 'newcomer', { ticket: newcomer }), MOST_REMEMBERED).line;
      expect(headOf(line)!.ticket).toBe(newcomer);
    });

    test('virtual time never goes back to a head that it has passed', () => {
      let line = emptyLine();
      for (let flow = 0; flow <= MOST_REMEMBERED + 9; flow += 1) line = join(line, `flow ${flow}`);
      line = go(line, MOST_REMEMBERED + 1).line;
      expect(virtualTime(line)).toBe(1);
      expect(virtualTime(go(line, 1).line)).toBe(1);
    });
  });

  describe('property', () => {
    const flow = fc.constantFrom('a', 'b', 'c', 'd');
    const action = fc.oneof(
      { weight: 5, arbitrary: fc.record({ at: fc.constant('join' as const), flow, tokens: fc.integer({ min: 1, max: 9 }) }) },
      { weight: 4, arbitrary: fc.record({ at: fc.constant('go' as const) }) },
      { weight: 1, arbitrary: fc.record({ at: fc.constant('leave' as const), which: fc.nat() }) },
    );

    /** The same line with plain arrays, written from the text of the file. */
    class PlainLine {
      waiters: { ticket: number; flow: string; tokens: number }[] = [];
      virtualTime = 0;
      readonly tags = new Map<string, number>();

      head(): (typeof this.waiters)[number] | undefined {
        const firsts = [...new Set(this.waiters.map((waiter) => waiter.flow))].map((name) =>
          this.waiters.find((waiter) => waiter.flow === name)!,
        );
        return firsts.toSorted(
          (a, b) => this.tags.get(a.flow)! - this.tags.get(b.flow)! || this.waiters.indexOf(a) - this.waiters.indexOf(b),
        )[0];
      }

      join(ticket: number, name: string, tokens: number): void {
        if (this.waiters.every((waiter) => waiter.flow !== name)) this.tags.set(name, Math.max(this.virtualTime, this.tags.get(name) ?? 0));
        this.waiters.push({ ticket, flow: name, tokens });
      }

      drop(ticket: number, cost: number): void {
        const gone = this.waiters.find((waiter) => waiter.ticket === ticket)!;
        this.tags.set(gone.flow, this.tags.get(gone.flow)! + cost);
        this.waiters = this.waiters.filter((waiter) => waiter !== gone);
        if (this.waiters.length === 0) {
          this.tags.clear();
          this.virtualTime = 0;
        } else this.virtualTime = Math.max(this.virtualTime, this.tags.get(this.head()!.flow)!);
      }
    }

    test('it serves in the order of a line made of plain arrays, and counts like it', () => {
      fc.assert(
        fc.property(fc.array(action, { maxLength: 120, size: 'max' }), (actions) => {
          const plain = new PlainLine();
          let line = emptyLine();
          for (const [ticket, act] of actions.entries()) {
            if (act.at === 'join') {
              line = deepFreeze(join(line, act.flow, { ticket, tokens: act.tokens }));
              plain.join(ticket, act.flow, act.tokens);
            } else if (plain.waiters.length > 0 && act.at === 'go') {
              const head = headOf(line)!;
              expect(head.ticket).toBe(plain.head()!.ticket);
              line = deepFreeze(headGone(line, head.input));
              plain.drop(head.ticket, head.input);
            } else if (plain.waiters.length > 0 && act.at === 'leave') {
              const { ticket: leaver } = plain.waiters[act.which % plain.waiters.length]!;
              line = deepFreeze(withdrawn(line, leaver));
              plain.drop(leaver, 0);
            }
            expect(headOf(line)?.ticket).toBe(plain.head()?.ticket);
            expect(line.size).toBe(plain.waiters.length);
            expect(line.tokens).toBe(plain.waiters.reduce((sum, waiter) => sum + waiter.tokens, 0));
            expect(virtualTime(line)).toBe(plain.virtualTime);
            expect([...itemsOf(line.byTicket)].map((waiter) => waiter.ticket)).toEqual(plain.waiters.map((waiter) => waiter.ticket));
          }
        }),
        { numRuns: 300 },
      );
    });

    test('L5: no flow passes a waiter with more than the bound, and nobody passes one with nothing ahead', () => {
      fc.assert(
        fc.property(fc.array(action, { maxLength: 200, size: 'max' }), fc.boolean(), (actions, unit) => {
          /** For each waiter: what its flow had before it, and the costs of those who passed it, by flow. */
          const watched = new Map<
            number,
            { flow: string; ahead: number; before: Map<string, number>; passed: Map<string, number[]>; there: Set<number> }
          >();
          const latestTurn = new Map<string, number>();
          let line = emptyLine();
          const drop = (ticket: number): void => {
            watched.delete(ticket);
            if (line.size === 0) latestTurn.clear();
          };
          for (const [ticket, act] of actions.entries()) {
            if (act.at === 'join') {
              const tokens = unit ? 1 : act.tokens;
              const there = new Set(watched.keys());
              watched.set(ticket, {
                flow: act.flow,
                ahead: aheadOf(line, '', act.flow, 0).input + (latestTurn.get(act.flow) ?? 0),
                before: new Map(),
                passed: new Map(),
                there,
              });
              line = join(line, act.flow, { ticket, tokens });
            } else if (act.at === 'go' && line.size > 0) {
              const head = headOf(line)!;
              line = headGone(line, head.input);
              latestTurn.set(head.flow, head.input);
              drop(head.ticket);
              for (const waiter of watched.values()) {
                if (waiter.flow === head.flow) continue;
                if (waiter.there.has(head.ticket)) {
                  const sum = waiter.before.get(head.flow) ?? 0;
                  expect(sum).toBeLessThanOrEqual(waiter.ahead);
                  waiter.before.set(head.flow, sum + head.input);
                  continue;
                }
                const passed = [...(waiter.passed.get(head.flow) ?? []), head.input];
                waiter.passed.set(head.flow, passed);
                expect(passed.slice(0, -1).reduce((sum, tokens) => sum + tokens, 0)).toBeLessThan(waiter.ahead);
                if (unit) expect(passed.length).toBeLessThanOrEqual(waiter.ahead);
              }
            } else if (act.at === 'leave' && line.size > 0) {
              const tickets = [...watched.keys()];
              const leaver = tickets[act.which % tickets.length]!;
              line = withdrawn(line, leaver);
              drop(leaver);
            }
          }
        }),
        { numRuns: 500 },
      );
    });
  });
});

describe('the sorted set', () => {
  const byValue = (a: number, b: number): number => a - b;

  /** Neither side weighs more than three times the other, and every size is right. */
  function isBalanced(set: SortedSet<number>): boolean {
    if (set === undefined) return true;
    const [left, right] = [sizeOf(set.left) + 1, sizeOf(set.right) + 1];
    return (
      set.size === left + right - 1 && Math.max(left, right) <= 3 * Math.min(left, right) && isBalanced(set.left) && isBalanced(set.right)
    );
  }

  test('it holds what a plain set holds, in order and in balance, and never changes an older one', () => {
    const action = fc.record({ value: fc.nat(60), adds: fc.boolean() });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200, size: 'max' }), (actions) => {
        const plain = new Set<number>();
        let set: SortedSet<number>;
        for (const { value, adds } of actions) {
          set = deepFreeze(adds ? insert(set, value, byValue) : remove(set, value, byValue));
          if (adds) plain.add(value);
          else plain.delete(value);
          expect(isBalanced(set)).toBe(true);
        }
        const sorted = [...plain].toSorted(byValue);
        expect([...itemsOf(set)]).toEqual(sorted);
        expect(first(set)).toBe(sorted[0]);
        for (let value = 0; value <= 60; value += 1) expect(find(set, (item) => value - item)).toBe(plain.has(value) ? value : undefined);
      }),
      { numRuns: 200 },
    );
  });

  test('removing what is not there gives back the same set', () => {
    const set = insert(insert(undefined, 1, byValue), 2, byValue);
    expect(remove(set, 0, byValue)).toBe(set);
    expect(remove(set, 3, byValue)).toBe(set);
  });

  test('an equal item takes the place of the old one', () => {
    const byFirst = (a: readonly number[], b: readonly number[]): number => a[0]! - b[0]!;
    const set = insert(insert<readonly number[]>(undefined, [1, 1], byFirst), [1, 2], byFirst);
    expect([...itemsOf(set)]).toEqual([[1, 2]]);
  });
});
