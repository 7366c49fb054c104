/**
 * Verdicts: one for each strategy, size and mode, with how it came about and a trace that can be played.
 *
 * In turn and all at once, what a round does follows from the table: there is one run, so its trace can
 * be no shorter. In any order the search is breadth first, so a deadlock's trace is a shortest one; at a
 * table that is too large for it, no single move can be left out of the trace.
 */
import { anyOrder } from './any-order.ts';
import { checkSkeleton, compileSkeleton, explore, isDead, livenessOf, netSpace, shrinkTrace } from './kit.ts';
import type { Exploration, Verdict as KitVerdict } from './kit.ts';
import { searchInLockStep } from './lock-step.ts';
import type { Trouble } from './lock-step.ts';
import { STRATEGIES } from './strategies.ts';
import type { StrategyName } from './strategies.ts';
import { mealsIn, tableSpace, tellTable } from './table.ts';
import type { Mode } from './table.ts';
import { canBeUndone } from './undo.ts';

/** What was found, and no more than was shown. */
export interface Verdict {
  readonly at: 'deadlock' | 'livelock' | 'starvation' | 'proved' | 'not finished';
  /** Philosophers that starve. */
  readonly victims: readonly number[];
  /** What was done to come to the verdict, and for what it holds. */
  readonly method: string;
  /** Tables in letters, or moves in any order. Where the verdict is `proved`: none. */
  readonly trace: readonly string[];
  /** What happens again and again after it. */
  readonly cycle: readonly string[];
  /** In any order: what a scheduler can do that is fair to everybody, but leaves nothing to chance. */
  readonly withoutChance?: Trouble;
}

export const SEATS = [3, 5, 10, 50] as const;
export type RowMode = Mode | 'any order';
export const MODES: readonly RowMode[] = ['simultaneous', 'sequential', 'any order'];

/** More rounds than any of the runs that are gone through takes to come round. */
const MOST_TABLES = 100_000;

/** Rounds in which everybody has to eat once, where a run comes back to its start. */
const MOST_ROUNDS = 1_000;

/** Above this, every order of single moves has too many states. */
const MOST_SEATS_IN_ANY_ORDER = 10;

export function verdictOf(strategy: StrategyName, seats: number, mode: RowMode): Verdict {
  if (mode === 'any order') return seats > MOST_SEATS_IN_ANY_ORDER ? ofManyInAnyOrder(seats, strategy) : inAnyOrder(seats, strategy);
  if (mode === 'sequential' && seats > MOST_SEATS_IN_ANY_ORDER && canBeUndone(seats, STRATEGIES[strategy]))
    return ofUndone(seats, strategy);
  return ofOnlyRun(explore(tableSpace(seats, STRATEGIES[strategy], mode), { maxStates: MOST_TABLES }), seats);
}

function proved(method: string): Verdict {
  return { at: 'proved', victims: [], method, trace: [], cycle: [] };
}

function ofOnlyRun({ graph, states, dead, livelock, starvation, end }: Exploration, seats: number): Verdict {
  const tables = (steps: readonly { readonly state: number }[]) => steps.map(({ state }) => tellTable(graph.store.read(state, seats)));
  const method = `its only run, ${states} tables`;
  const worst = dead ?? livelock ?? starvation[0];
  if (worst !== undefined) {
    const at = dead !== undefined ? 'deadlock' : livelock !== undefined ? 'livelock' : 'starvation';
    const victims = at === 'starvation' ? starvation.map(({ actor }) => Number(actor.replace('philosopher ', ''))) : [];
    return { at, victims, method, trace: tables(worst.trace), cycle: tables(worst.cycle) };
  }
  return end === 'finished' ? proved(method) : { ...proved(`${method} so far`), at: 'not finished' };
}

function ofUndone(seats: number, strategy: StrategyName): Verdict {
  for (let rounds = 1; rounds <= MOST_ROUNDS; rounds += 1) {
    if (mealsIn(rounds, seats, STRATEGIES[strategy], 'sequential').every((meals) => meals > 0))
      return proved(`each turn can be undone, so the run comes back to its start; all eat by round ${rounds}`);
  }
  return { ...proved(`each turn can be undone, but not all eat in ${MOST_ROUNDS} rounds`), at: 'not finished' };
}

/** Every order of single moves; the trace is played by the test of this table. */
function inAnyOrder(seats: number, strategy: StrategyName): Verdict {
  const verdict = checkSkeleton(anyOrder(seats, strategy), { shrink: false });
  const live = livenessOf(compileSkeleton(anyOrder(seats, strategy)));
  const also = live.at === 'live' ? `; also ${BY[live.by]}` : '';
  return { ...ofSearch(verdict, also), ...withoutChance(seats, strategy, verdict.at) };
}

/** What the words of `method` stand for. */
export const METHODS: readonly string[] = [
  'its only run: a round follows from the table, so there is one run; it was played until a table came again.',
  'each turn can be undone: no two tables lead to one, so the first that comes again is the start, and whoever eats once eats again and again.',
  'every order: all states of all orders of single moves; breadth first, so the trace is a shortest one.',
  'by ranks: whoever waits for a fork waits for a higher one than it holds, so nobody waits in a circle, and all can put down what they have.',
  'by never waiting: whoever finds a fork taken can give its own back, whatever the others do.',
  '  By either, the start can be reached again from everywhere. A scheduler with some chance in it comes there again and again, and from there anybody may eat.',
  'in lock step: everybody makes the same move, one after the other; the trace was played on the table to its deadlock, and no single move can be left out.',
  'without chance: nobody is kept from moving for ever, and yet what is shown can happen again and again.',
];

const BY = { ranks: 'by ranks', 'never-waiting': 'by never waiting' } as const;

function ofSearch(verdict: KitVerdict, also: string): Verdict {
  const method = `every order, ${verdict.states} states`;
  switch (verdict.at) {
    case 'proved':
      return proved(`${method}${also}`);
    case 'not-finished':
      return { ...proved(`${method} so far`), at: 'not finished' };
    case 'violated': {
      const { kind, trace, repeats, victim } = verdict;
      const victims = victim === undefined ? [] : [Number(victim.replace('philosopher ', ''))];
      return { at: kind === 'doomed' ? 'starvation' : kind, victims, method: `${method}, breadth first`, trace, cycle: repeats };
    }
  }
}

/** Too many orders to search: an argument that holds for every number, or trouble that is found another way and played. */
function ofManyInAnyOrder(seats: number, strategy: StrategyName): Verdict {
  const live = livenessOf(compileSkeleton(anyOrder(seats, strategy)));
  if (live.at === 'live') return { ...proved(`${BY[live.by]}, without a search`), ...withoutChance(seats, strategy, 'proved') };
  const trouble = troubleOf(seats, strategy);
  if (trouble?.kind !== 'deadlock') return { ...proved(live.why), at: 'not finished' };
  const space = spaceOf(seats, strategy);
  const trace = shrinkTrace(space, trouble.trace, (state) => isDead(space, state));
  return { at: 'deadlock', victims: [], method: 'in lock step; no move can be left out', trace, cycle: [] };
}

function withoutChance(seats: number, strategy: StrategyName, at: KitVerdict['at']): Pick<Verdict, 'withoutChance'> {
  const trouble = at === 'proved' ? troubleOf(seats, strategy) : undefined;
  return trouble === undefined ? {} : { withoutChance: trouble };
}

function troubleOf(seats: number, strategy: StrategyName): Trouble | undefined {
  const space = spaceOf(seats, strategy);
  const phases = space.moves.filter(({ actor }) => space.actors[actor] === 'philosopher 0').map(({ says }) => says);
  return searchInLockStep(space, seats, phases);
}

/** With nothing left out, as a trace is to be played. */
export function spaceOf(seats: number, strategy: StrategyName) {
  return netSpace(compileSkeleton(anyOrder(seats, strategy)), { releaseFirst: false });
}
