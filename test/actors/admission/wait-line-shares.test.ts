import { describe, expect, test } from 'vitest';
import { memberOf } from '../../../actors/admission/fair-share.ts';
import { sizeOf } from '../../../actors/sorted-set.ts';
import {
  aheadOf,
  emptyLine,
  headGone,
  headOf,
  HIGHEST_PRIORITY,
  leastImportantOf,
  leveled,
  MOST_REMEMBERED,
  mostUrgentOf,
  PLACES_PER_PRIORITY,
  positionOf,
  raised,
  refusersOf,
  waiterOf,
  withdrawn,
} from '../../../actors/admission/wait-line.ts';
import type { Newcomer, WaitLine } from '../../../actors/admission/wait-line.ts';
import { go, join } from './waiters.ts';

function crowd(line: WaitLine, count: number, flow: string, newcomer: Partial<Newcomer> & { readonly tokens?: number } = {}): WaitLine {
  let longer = line;
  for (let request = 0; request < count; request += 1) longer = join(longer, flow, newcomer);
  return longer;
}

/** How many of each name. */
function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

describe('shares by weight', () => {
  const weights = { batch: 0.3, live: 0.7 };

  test('CL-12 of ten turns, batch with 0.3 has three and live with 0.7 has seven: as kinds, and as tenants', () => {
    const kinds = crowd(crowd(emptyLine({ kinds: weights }), 20, 'batch'), 20, 'live');
    expect(tally(go(kinds, 10).flows)).toEqual({ batch: 3, live: 7 });
    const tenants = crowd(crowd(emptyLine({ tenants: weights }), 20, 'k', { tenant: 'batch' }), 20, 'k', { tenant: 'live' });
    expect(tally(go(tenants, 10).gone.map((waiter) => waiter.tenant))).toEqual({ batch: 3, live: 7 });
  });

  test('CL-13 what an idle share does not use goes to the others, and is not owed to it when it comes', () => {
    let line = crowd(emptyLine({ tenants: weights }), 200, 'k', { tenant: 'batch' });
    const alone = go(line, 100);
    expect(tally(alone.gone.map((waiter) => waiter.tenant))).toEqual({ batch: 100 });
    line = crowd(alone.line, 100, 'k', { tenant: 'live' });
    expect(tally(go(line, 10).gone.map((waiter) => waiter.tenant))).toEqual({ batch: 3, live: 7 });
  });

  test('shares are of tokens: the kind of large requests has fewer turns for the same weight', () => {
    const line = crowd(crowd(emptyLine({ kinds: { large: 2 } }), 100, 'large', { tokens: 100 }), 100, 'small', { tokens: 10 });
    expect(tally(go(line, 60).flows)).toEqual({ large: 10, small: 50 });
  });

  test('a tenant has one share however many kinds it has', () => {
    let line = crowd(emptyLine(), 40, 'k', { tenant: 'plain' });
    for (let kind = 0; kind < 10; kind += 1) line = crowd(line, 10, `kind ${kind}`, { tenant: 'many' });
    expect(tally(go(line, 40).gone.map((waiter) => waiter.tenant))).toEqual({ plain: 20, many: 20 });
  });

  test('kinds of one tenant are apart from kinds of the same name of another', () => {
    let line = crowd(emptyLine({ kinds: { triage: 3 } }), 40, 'triage', { tenant: 'a' });
    line = crowd(crowd(line, 40, 'digest', { tenant: 'a' }), 40, 'triage', { tenant: 'b' });
    const gone = go(line, 16).gone.map((waiter) => `${waiter.tenant} ${waiter.flow}`);
    expect(tally(gone)).toEqual({ 'a triage': 6, 'a digest': 2, 'b triage': 8 });
  });

  test('a tenant that comes back for one more every time pays for its turns', () => {
    let line = crowd(emptyLine(), 200, 'k', { tenant: 'crowd' });
    const served: string[] = [];
    for (let turn = 0; turn < 40; turn += 1) {
      const { line: rest, gone } = go(join(line, `new kind ${turn}`, { tenant: 'returning' }), 2);
      served.push(...gone.map((waiter) => waiter.tenant));
      line = rest;
    }
    expect(tally(served)).toEqual({ crowd: 40, returning: 40 });
  });

  test('who is not named has a weight of 1, also under a name that every object has', () => {
    let line = crowd(emptyLine({ tenants: { known: 1 }, kinds: {} }), 10, 'toString', { tenant: 'constructor' });
    line = crowd(crowd(line, 10, '__proto__', { tenant: '__proto__' }), 10, 'k', { tenant: 'known' });
    const tenants = go(line, 9).gone.map((waiter) => waiter.tenant);
    expect(tenants.toSorted().join(' ')).toBe('__proto__ __proto__ __proto__ constructor constructor constructor known known known');
  });

  test('leveling may bring other weights, which count from then on', () => {
    const line = crowd(crowd(emptyLine(), 20, 'k', { tenant: 'a' }), 20, 'k', { tenant: 'b' });
    const before = go(line, 5).line;
    const other = leveled(before, { tenants: { b: 3 } });
    expect(tally(go(other, 8).gone.map((waiter) => waiter.tenant))).toEqual({ a: 2, b: 6 });
    expect(other).toMatchObject({ size: before.size, tokens: before.tokens });
  });
});

describe('urgency within a kind', () => {
  const tickets = (line: WaitLine): readonly number[] => go(line, line.size).gone.map((waiter) => waiter.ticket);

  test('the more urgent goes first, the older one among equals', () => {
    let line = emptyLine();
    for (const [ticket, priority] of [0, 2, 1, 2, -1].entries()) line = join(line, 'k', { ticket, priority });
    expect(tickets(line)).toEqual([1, 3, 2, 0, 4]);
  });

  test('a priority is a head start of so many places: who waits is overtaken by fewer than that, however many come', () => {
    let line = join(join(emptyLine(), 'k', { ticket: 1 }), 'k', { ticket: 2, priority: 1 });
    let overtaken = 0;
    for (; headOf(line)!.ticket !== 1; overtaken += 1) line = join(go(line, 1).line, 'k', { priority: 1 });
    expect(overtaken).toBe(PLACES_PER_PRIORITY - 1);
  });

  test('a priority beyond the highest counts as the highest', () => {
    let line = join(emptyLine(), 'k', { ticket: 1 });
    for (let other = 0; other < HIGHEST_PRIORITY * PLACES_PER_PRIORITY; other += 1) line = join(line, 'k', { priority: 1_000_000 });
    expect(positionOf(line, 1)).toBe(HIGHEST_PRIORITY * PLACES_PER_PRIORITY - 1);
  });

  test('urgency never buys more than the share of the kind', () => {
    const line = crowd(crowd(emptyLine(), 40, 'calm'), 40, 'urgent', { priority: 5 });
    expect(tally(go(line, 20).flows)).toEqual({ calm: 10, urgent: 10 });
  });

  test('who takes the place of the head by urgency takes its turn too', () => {
    let line = join(join(emptyLine(), 'a', { ticket: 1 }), 'b', { ticket: 2 });
    line = join(line, 'a', { ticket: 3, priority: 1 });
    expect(tickets(line)).toEqual([3, 2, 1]);
    expect(tickets(withdrawn(line, 3))).toEqual([1, 2]);
  });

  test('nobody loses a turn because somebody leaves: not to an older one behind an urgent one of another flow', () => {
    let line = join(join(emptyLine(), 'a', { ticket: 1 }), 'a', { ticket: 2 });
    line = join(join(line, 'b', { ticket: 3 }), 'b', { ticket: 4 });
    line = join(join(line, 'a', { ticket: 5, priority: 2 }), 'a', { ticket: 6, priority: 1 });
    // Both kinds have had a turn: 4 goes before 6, who came later, and before 1 when 6 has left.
    line = go(line, 2).line;
    expect(headOf(line)!.ticket).toBe(4);
    expect(headOf(withdrawn(line, 6))!.ticket).toBe(4);
  });

  test('leveling keeps how long everybody has waited', () => {
    let line = crowd(join(join(emptyLine(), 'k', { ticket: 2 }), 'k', { ticket: 1 }), PLACES_PER_PRIORITY, 'k', { priority: 2 });
    line = join(leveled(go(line, PLACES_PER_PRIORITY).line), 'k', { ticket: 3, priority: 1 });
    expect(tickets(line)).toEqual([2, 1, 3]);
  });

  test('a priority that is no whole number is a bug of whoever let it in', () => {
    expect(() => join(emptyLine(), 'k', { priority: NaN })).toThrow(/priorities are checked/);
  });

  test('only those of at least its priority are sure to go before a newcomer', () => {
    let line = crowd(emptyLine(), 3, 'k', { priority: 2, input: 5, output: 1 });
    line = crowd(line, 2, 'k', { priority: 0, input: 7, output: 2 });
    expect(aheadOf(line, '', 'k', 2)).toEqual({ requests: 3, input: 15, output: 3 });
    expect(aheadOf(line, '', 'k', 0)).toEqual({ requests: 5, input: 29, output: 7 });
    expect(aheadOf(line, '', 'k', 3)).toEqual({ requests: 0, input: 0, output: 0 });
  });
});

describe('who is raised while it waits', () => {
  /** Twenty wait, the tickets from 0. */
  const twenty = (): WaitLine => {
    let line = emptyLine();
    for (let ticket = 0; ticket < 20; ticket += 1) line = join(line, 'k', { ticket });
    return line;
  };

  test('has the place that it would have if it had come like that: it keeps how long it has waited', () => {
    expect(positionOf(raised(twenty(), 15, 1), 15)).toBe(15 - PLACES_PER_PRIORITY + 1);
    expect(positionOf(raised(twenty(), 15, 2), 15)).toBe(0);
    // Of two who are raised alike, the older goes first.
    const both = raised(raised(twenty(), 15, 5), 10, 5);
    expect(go(both, 3).gone.map(({ ticket }) => ticket)).toEqual([10, 15, 0]);
  });

  test('is never made less urgent, and nobody else is touched: the same line', () => {
    const line = raised(twenty(), 15, 3);
    expect(raised(line, 15, 3)).toBe(line);
    expect(raised(line, 15, -2)).toBe(line);
    expect(raised(line, 99, 5)).toBe(line);
  });

  test('buys nothing for its kind or its tenant: it takes the turn that the head had', () => {
    let line = join(join(emptyLine(), 'a', { ticket: 1 }), 'b', { ticket: 2 });
    line = join(join(line, 'a', { ticket: 3 }), 'b', { ticket: 4 });
    line = raised(line, 4, 9);
    expect(go(line, 4).gone.map(({ ticket }) => ticket)).toEqual([1, 4, 2, 3]);
  });

  test('is known as urgent to whoever comes, or sheds, and found as before', () => {
    let line = join(join(emptyLine(), 'k', { ticket: 1, deadlineMs: 7, whenOpen: 'refuse' }), 'k', { ticket: 2 });
    line = raised(line, 1, 4);
    expect(aheadOf(line, '', 'k', 4)).toEqual({ requests: 1, input: 1, output: 0 });
    expect(leastImportantOf(line)!.ticket).toBe(2);
    expect(waiterOf(line, 1)).toMatchObject({ priority: 4, deadlineMs: 7 });
    expect([mostUrgentOf(line), ...refusersOf(line)]).toEqual([waiterOf(line, 1), waiterOf(line, 1)]);
    expect(withdrawn(withdrawn(line, 1), 2)).toEqual(emptyLine());
  });

  test('to a priority that is no whole number is a bug of whoever let it in', () => {
    expect(() => raised(twenty(), 3, 0.5)).toThrow(/priorities/);
  });
});

describe('looking at a line', () => {
  test('the position of a waiter is how many go before it; nobody has the position of an unknown ticket', () => {
    let line = crowd(emptyLine(), 5, 'k', { tenant: 'a', tokens: 10 });
    line = join(crowd(line, 2, 'k', { tenant: 'b', tokens: 20 }), 'k', { tenant: 'b', tokens: 20, ticket: 7 });
    // a, b, a, a, b, a, a: all of a before b has its third, since a came first and both have paid 40 by then.
    expect(positionOf(line, 7)).toBe(7);
    expect(go(line, 8).gone.at(-1)!.ticket).toBe(7);
    expect(positionOf(line, 8)).toBeUndefined();
  });

  test('the position follows what turns cost, when they do not cost their tokens', () => {
    const line = join(crowd(crowd(emptyLine(), 3, 'large', { tokens: 100 }), 3, 'small'), 'small', { ticket: 7 });
    expect(positionOf(line, 7)).toBe(4);
    expect(positionOf(line, 7, () => 1)).toBe(6);
  });

  test('LIM-20 of those with the lowest priority, the youngest is the first to be shed, in whatever flow', () => {
    let line = emptyLine();
    expect(leastImportantOf(line)).toBeUndefined();
    const arrivals = [0, 0, 0, 3, 4, -4, -4];
    for (const [ticket, priority] of arrivals.entries()) line = join(line, `kind ${ticket % 3}`, { ticket, priority });
    const shed: number[] = [];
    for (let least = leastImportantOf(line); least !== undefined; least = leastImportantOf(line)) {
      shed.push(least.ticket);
      line = withdrawn(line, least.ticket);
    }
    expect(shed).toEqual([6, 5, 2, 1, 0, 3, 4]);
  });

  test('those who would rather be refused are found in order of arrival, until they are gone', () => {
    let line = emptyLine();
    for (const ticket of [5, 3, 4, 1]) line = join(line, 'k', { ticket, priority: ticket, whenOpen: ticket === 3 ? 'wait' : 'refuse' });
    expect(refusersOf(line).map((waiter) => waiter.ticket)).toEqual([5, 4, 1]);
    line = withdrawn(headGone(line, 1), 1);
    expect(refusersOf(line).map((waiter) => waiter.ticket)).toEqual([4]);
  });
});

describe('memory of tenants', () => {
  test('an idle tenant is forgotten when the others have caught up with it, and what its kinds paid at once', () => {
    let line = join(crowd(emptyLine(), 9, 'k', { tenant: 'crowd' }), 'k', { tenant: 'idle', tokens: 3 });
    line = go(line, 2).line;
    expect(memberOf(line.tenants, 'idle')).toMatchObject({ head: undefined, content: { members: undefined } });
    expect(sizeOf(line.tenants.members)).toBe(2);
    line = go(line, 3).line;
    expect(sizeOf(line.tenants.members)).toBe(1);
    expect(line.tenants.idle).toBeUndefined();
  });

  test('an endless row of new tenants costs no memory and starves nobody', () => {
    let line = crowd(emptyLine(), 1, 'k', { tenant: 'patient', tokens: 3 });
    line = go(join(line, 'k', { tenant: 'patient', tokens: 3, ticket: 1 }), 1).line;
    let turns = 0;
    for (; waiterOf(line, 1) !== undefined; turns += 1) {
      line = join(join(line, 'k', { tenant: `new ${turns}` }), 'k', { tenant: `newer ${turns}` });
      line = go(line, 1).line;
    }
    expect(turns).toBeLessThan(10);
    for (let turn = 0; turn < 5_000; turn += 1) line = go(join(line, `kind ${turn}`, { tenant: `other ${turn}` }), 1).line;
    expect(sizeOf(line.tenants.idle)).toBeLessThanOrEqual(MOST_REMEMBERED);
    expect(sizeOf(line.tenants.members)).toBeLessThanOrEqual(MOST_REMEMBERED + line.size);
  });

  test('more idle tenants than are remembered move virtual time on', () => {
    let line = emptyLine();
    for (let tenant = 0; tenant <= MOST_REMEMBERED + 9; tenant += 1) line = join(line, 'k', { tenant: `tenant ${tenant}` });
    line = go(line, MOST_REMEMBERED + 1).line;
    expect(line.tenants).toMatchObject({ virtualTime: 1, idle: undefined });
    // Those who waited before are served before one who comes now.
    line = go(join(line, 'k', { tenant: 'newcomer', ticket: 1 }), 9).line;
    expect(headOf(line)!.ticket).toBe(1);
  });

  test('a tenant with an endless row of new kinds does not make the line forget what other tenants have paid', () => {
    let line = crowd(emptyLine(), 2, 'k', { tenant: 'other', tokens: 5_000 });
    line = crowd(line, 1, 'first', { tenant: 'flood' });
    line = go(line, 1).line;
    for (let turn = 0; turn < 3_000; turn += 1) line = go(join(line, `kind ${turn}`, { tenant: 'flood' }), 1).line;
    expect(headOf(line)!.tenant).toBe('flood');
    expect(sizeOf(memberOf(line.tenants, 'flood')!.content.members)).toBeLessThanOrEqual(MOST_REMEMBERED + 1);
  });
});
