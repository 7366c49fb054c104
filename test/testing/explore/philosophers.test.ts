import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyOrder } from '../../../examples/philosophers/any-order.ts';
import { STRATEGIES } from '../../../examples/philosophers/strategies.ts';
import type { Action, Strategy, StrategyName } from '../../../examples/philosophers/strategies.ts';
import { HOLDINGS, LEFT, mealsIn, playRound, RIGHT, tellTable } from '../../../examples/philosophers/table.ts';
import type { Mode } from '../../../examples/philosophers/table.ts';
import { canBeUndone } from '../../../examples/philosophers/undo.ts';
import { MODES, SEATS, spaceOf, verdictOf } from '../../../examples/philosophers/verdicts.ts';
import type { RowMode, Verdict } from '../../../examples/philosophers/verdicts.ts';
import { checkSkeleton } from '../../../src/testing/explore/check.ts';
import { isDead, play } from '../../../src/testing/explore/play.ts';

/** By strategy and mode, for each of 3, 5, 10 and 50 seats: the verdict, then how long the trace and the cycle are. */
const EXPECTED: Readonly<Record<StrategyName, Readonly<Record<RowMode, readonly [string, string, string, string]>>>> = {
  greedy: {
    simultaneous: ['deadlock 1+0', 'deadlock 1+0', 'deadlock 1+0', 'deadlock 1+0'],
    sequential: ['deadlock 1+0', 'deadlock 1+0', 'deadlock 1+0', 'deadlock 1+0'],
    'any order': ['deadlock 3+0', 'deadlock 5+0', 'deadlock 10+0', 'deadlock 50+0'],
  },
  careful: {
    simultaneous: ['deadlock 1+0', 'deadlock 1+0', 'deadlock 1+0', 'deadlock 1+0'],
    sequential: ['proved 0+0', 'proved 0+0', 'proved 0+0', 'proved 0+0'],
    'any order': ['deadlock 6+0', 'deadlock 10+0', 'deadlock 20+0', 'deadlock 100+0'],
  },
  polite: {
    simultaneous: ['livelock 0+2', 'livelock 0+2', 'livelock 0+2', 'livelock 0+2'],
    sequential: ['proved 0+0', 'proved 0+0', 'starvation of 4 0+19', 'starvation of 24 0+99'],
    'any order': [
      'proved 0+0, livelock without chance 0+9',
      'proved 0+0, livelock without chance 0+15',
      'proved 0+0, livelock without chance 0+30',
      'proved 0+0, livelock without chance 0+150',
    ],
  },
  ordered: {
    simultaneous: ['starvation of 2 0+5', 'starvation of 4 5+5', 'starvation of 9 15+5', 'starvation of 49 95+5'],
    sequential: ['proved 0+0', 'proved 0+0', 'proved 0+0', 'proved 0+0'],
    'any order': ['proved 0+0', 'proved 0+0', 'proved 0+0', 'proved 0+0'],
  },
};

const ROWS = (Object.keys(EXPECTED) as StrategyName[]).flatMap((strategy) =>
  SEATS.flatMap((seats, at) => MODES.map((mode) => [seats, strategy, mode, EXPECTED[strategy][mode][at]!] as const)),
);

test.for(ROWS)('%i %s philosophers, %s: %s', ([seats, strategy, mode, expected]) => {
  const verdict = verdictOf(strategy, seats, mode);
  expect(inShort(verdict)).toBe(expected);
  if (mode === 'any order') expectMoves(strategy, seats, verdict);
  else expectRounds(strategy, seats, mode, verdict);
});

function inShort({ at, victims, trace, cycle, withoutChance }: Verdict): string {
  const of = victims.length === 0 ? '' : ` of ${victims.join(' and ')}`;
  const also =
    withoutChance === undefined ? '' : `, ${withoutChance.kind} without chance ${withoutChance.trace.length}+${withoutChance.cycle.length}`;
  return `${at}${of} ${trace.length}+${cycle.length}${also}`;
}

/** Plays the rounds again, and holds the tables and the meals against what the verdict says. */
function expectRounds(strategy: StrategyName, seats: number, mode: Mode, { at, victims, trace, cycle }: Verdict): void {
  if (at === 'proved') return;
  const table = new Uint8Array(seats);
  const playOn = (tables: readonly string[]) =>
    tables.map((letters) => {
      const { meals } = playRound(table, STRATEGIES[strategy], mode);
      expect(tellTable(table)).toBe(letters);
      return meals;
    });
  playOn(trace);
  const begun = tellTable(table);
  const eaters = new Set(playOn(at === 'deadlock' ? [begun] : cycle).flat());
  // It comes back to where it began: a deadlock after one more round, the others after the cycle.
  expect(tellTable(table)).toBe(begun);
  if (at === 'deadlock') expect(begun).toMatch(/^[lr]+$/);
  const others = Array.from({ length: seats }, (_, seat) => seat).filter((seat) => !victims.includes(seat));
  expect([...eaters].toSorted((a, b) => a - b)).toEqual(at === 'starvation' ? others : []);
}

/** Plays the moves on the net with all its moves. */
function expectMoves(strategy: StrategyName, seats: number, { at, trace, withoutChance }: Verdict): void {
  const space = spaceOf(seats, strategy);
  if (at === 'deadlock') {
    const { states, stoppedAt } = play(space, trace);
    expect(stoppedAt).toBeUndefined();
    // Dead there, and nowhere before.
    expect(states.map((state) => isDead(space, state))).toEqual([...trace.map(() => false), true]);
  }
  if (withoutChance === undefined) return;
  const { states, stoppedAt } = play(space, withoutChance.trace);
  expect(stoppedAt).toBeUndefined();
  const lap = play(space, withoutChance.cycle, states.at(-1));
  expect(lap.stoppedAt).toBeUndefined();
  expect(lap.states.at(-1)).toEqual(states.at(-1));
  expect(lap.moves.filter((move) => move.class === 'progress')).toEqual([]);
  expect(new Set(lap.moves.map(({ actor }) => actor)).size).toBe(seats);
}

test('a trace that does not lead where its verdict says is refused when it is played', () => {
  const starved = verdictOf('ordered', 5, 'simultaneous');
  expectRounds('ordered', 5, 'simultaneous', starved);
  for (const wrong of [
    { ...starved, victims: [3] },
    { ...starved, trace: starved.trace.slice(1) },
    { ...starved, cycle: starved.cycle.slice(1) },
    { ...starved, cycle: [...starved.cycle.slice(0, -1), 'll-l-'] },
  ])
    expect(() => expectRounds('ordered', 5, 'simultaneous', wrong)).toThrow('expected');
  const dead = verdictOf('careful', 50, 'any order');
  expectMoves('careful', 50, dead);
  for (const trace of [dead.trace.slice(1), dead.trace.slice(0, -1), [...dead.trace, dead.trace[0]!]])
    expect(() => expectMoves('careful', 50, { ...dead, trace })).toThrow('expected');
  const circle = verdictOf('polite', 3, 'any order');
  const { withoutChance } = circle;
  for (const cycle of [withoutChance!.cycle.slice(1), []])
    expect(() => expectMoves('polite', 3, { ...circle, withoutChance: { ...withoutChance!, cycle } })).toThrow('expected');
});

test.for(SEATS)('%i greedy philosophers who decide at once are deadlocked at step 1', (seats) => {
  expect(verdictOf('greedy', seats, 'simultaneous')).toMatchObject({ at: 'deadlock', trace: ['l'.repeat(seats)] });
});

test('five ordered philosophers have 22 meals in 30 steps, and one has none', () => {
  expect(mealsIn(30, 5, STRATEGIES.ordered, 'simultaneous')).toEqual([5, 5, 6, 6, 0]);
});

test('five philosophers of each strategy are searched to a verdict in under a second', { timeout: 1_000 }, () => {
  const verdicts = (Object.keys(STRATEGIES) as StrategyName[]).map((strategy) => checkSkeleton(anyOrder(5, strategy)).at);
  expect(verdicts).toEqual(['violated', 'violated', 'proved', 'proved']);
});

test('a turn of careful philosophers can be undone, and the run comes back to its start', () => {
  expect(canBeUndone(10, STRATEGIES.careful)).toBe(true);
  const table = new Uint8Array(10);
  let rounds = 0;
  do {
    playRound(table, STRATEGIES.careful, 'sequential');
    rounds += 1;
  } while (table.some((holds) => holds !== 0));
  expect(rounds).toBe(817);
});

test('a turn of greedy philosophers cannot be undone: their run never comes back to its start', () => {
  expect(canBeUndone(10, STRATEGIES.greedy)).toBe(false);
  const table = new Uint8Array(10);
  playRound(table, STRATEGIES.greedy, 'sequential');
  playRound(table, STRATEGIES.greedy, 'sequential');
  expect(tellTable(table)).toBe('llllllllll');
});

test('when the turns of a strategy can be undone, no two tables of four lead to one', () => {
  const actions = fc.constantFrom<Action>('take left', 'take right', 'release', 'wait');
  const strategies = fc.array(actions, { minLength: 16, maxLength: 16 }).map(
    (table): Strategy =>
      ({ holdsLeft, holdsRight, leftIsFree, rightIsFree }) =>
        table[Number(holdsLeft) * 8 + Number(holdsRight) * 4 + Number(leftIsFree) * 2 + Number(rightIsFree)]!,
  );
  const tables = tablesOfFour();
  const seen = { yes: 0, no: 0, notSeen: 0 };
  fc.assert(
    fc.property(strategies, (strategy) => {
      const afters = new Set(
        tables.map((before) => {
          const table = before.slice();
          playRound(table, strategy, 'sequential');
          return table.join();
        }),
      );
      const isOneToOne = afters.size === tables.length;
      const can = canBeUndone(4, strategy);
      if (can) expect(isOneToOne).toBe(true);
      seen[can ? 'yes' : isOneToOne ? 'notSeen' : 'no'] += 1;
    }),
    { numRuns: 1_000, seed: 1 },
  );
  expect(Math.min(seen.yes, seen.no)).toBeGreaterThan(10);
});

/** All tables at which no two hold one fork. */
function tablesOfFour(): readonly Uint8Array[] {
  const all = HOLDINGS.flatMap((a) => HOLDINGS.flatMap((b) => HOLDINGS.flatMap((c) => HOLDINGS.map((d) => Uint8Array.of(a, b, c, d)))));
  return all.filter((table) => table.every((own, seat) => (own & LEFT) === 0 || (table[(seat + 3) % 4]! & RIGHT) === 0));
}

test('fifty careful philosophers in turn come round after too many rounds to play, and are judged without', () => {
  const { method } = verdictOf('careful', 50, 'sequential');
  expect(method).toBe('each turn can be undone, so the run comes back to its start; all eat by round 104');
  expect(mealsIn(103, 50, STRATEGIES.careful, 'sequential').filter((meals) => meals === 0)).toHaveLength(1);
});
