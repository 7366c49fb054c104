/**
 * Dining philosophers, as in DPBench: which strategies deadlock, which go in circles, whom they starve.
 *
 *     node --conditions=drover-source examples/philosophers/main.ts
 */
import { anyOrder } from './any-order.ts';
import { checkSkeleton, explore } from './kit.ts';
import type { Exploration, Verdict } from './kit.ts';
import { STRATEGIES } from './strategies.ts';
import type { StrategyName } from './strategies.ts';
import { mealsIn, tableSpace, tellTable } from './table.ts';
import type { Mode } from './table.ts';

const SEATS = [3, 5, 10, 50];
const MODES: readonly Mode[] = ['simultaneous', 'sequential'];
const ROUNDS = 30;

/** A table goes round at last, but some only after millions of rounds. */
const MOST_STATES = 100_000;

/** Above this, every order of single moves has too many states. */
const MOST_SEATS_IN_ANY_ORDER = 10;

/** Without chance nothing can be left out of the search, so it is larger still. */
const MOST_SEATS_WITHOUT_CHANCE = 5;

function verdictOf({ dead, livelock, starvation, doomed, end }: Exploration): string {
  if (dead !== undefined) return `deadlock in round ${dead.trace.length}`;
  if (livelock !== undefined) return `livelock from round ${livelock.trace.length + 1}, every ${livelock.cycle.length} rounds`;
  if (starvation.length > 0)
    return `starves ${starvation.length}: ${starvation.map(({ actor }) => actor.replace('philosopher ', '')).join(' ')}`.slice(0, 40);
  if (doomed !== undefined) return 'doomed';
  return end === 'finished' ? 'proved' : 'not finished';
}

function inWords(verdict: Verdict): string {
  switch (verdict.at) {
    case 'proved':
      return `proved, ${verdict.states} states${verdict.ranked.at === 'free' ? '; by ranks for every number' : ''}`;
    case 'not-finished':
      return `not finished, ${verdict.states} states`;
    case 'violated':
      return `${verdict.kind} after ${verdict.trace.length} moves`;
  }
}

function row(...cells: readonly (string | number)[]): string {
  const widths = [9, 6, 14, 42, 20];
  return cells
    .map((cell, at) => String(cell).padEnd(widths[at] ?? 0))
    .join(' ')
    .trimEnd();
}

console.log(row('strategy', 'seats', 'mode', 'verdict', `meals in ${ROUNDS} rounds`));
for (const name of Object.keys(STRATEGIES) as StrategyName[]) {
  for (const seats of SEATS) {
    for (const mode of MODES) {
      const strategy = STRATEGIES[name];
      const meals = mealsIn(ROUNDS, seats, strategy, mode);
      const verdict = verdictOf(explore(tableSpace(seats, strategy, mode), { maxStates: MOST_STATES }));
      console.log(
        row(name, seats, mode, verdict, `${meals.reduce((sum, one) => sum + one, 0)}${seats > 10 ? '' : ` (${meals.join(' ')})`}`),
      );
    }
    if (seats > MOST_SEATS_IN_ANY_ORDER) continue;
    const skeleton = anyOrder(seats, name);
    const strong = checkSkeleton(skeleton, { shrink: false });
    const weak =
      seats > MOST_SEATS_WITHOUT_CHANCE ? strong : checkSkeleton(skeleton, { fairness: 'weak', starvation: 'none', shrink: false });
    const words = strong.at === 'proved' && weak.at === 'violated' ? `${inWords(strong)}; ${weak.kind} without chance` : inWords(strong);
    console.log(row(name, seats, 'any order', words));
  }
}

console.log('\nfive ordered philosophers, simultaneous (l, r: holds its left or right fork; E: eats):');
const exploration = explore(tableSpace(5, STRATEGIES.ordered, 'simultaneous'));
const starving = exploration.starvation[0]!;
for (const { state } of [...starving.trace, ...starving.cycle]) console.log(`  ${tellTable(exploration.graph.store.read(state, 5))}`);

const greedy = checkSkeleton(anyOrder(5, 'greedy'));
if (greedy.at === 'violated')
  console.log(
    `\nfive greedy philosophers in any order:\n  ${[...greedy.trace, '', ...greedy.cycle, '', greedy.mermaid].join('\n').replaceAll('\n', '\n  ')}`,
  );
