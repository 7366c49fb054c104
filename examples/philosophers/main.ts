/**
 * Dining philosophers, as in DPBench: which strategies deadlock, which go in circles, whom they starve.
 *
 *     node --conditions=drover-source examples/philosophers/main.ts [--traces]
 *
 * With `--traces`, each trace in full; without, its length and how it begins.
 */
import { anyOrder } from './any-order.ts';
import { checkSkeleton } from './kit.ts';
import { STRATEGIES } from './strategies.ts';
import type { StrategyName } from './strategies.ts';
import { mealsIn } from './table.ts';
import { METHODS, MODES, SEATS, verdictOf } from './verdicts.ts';
import type { RowMode, Verdict } from './verdicts.ts';
import { inShort, tableInShort } from './words.ts';

const ROUNDS = 30;
const WIDEST = 110;
const inFull = process.argv.includes('--traces');

function row(...cells: readonly (string | number)[]): string {
  const widths = [9, 6, 13, 16, 24];
  return cells
    .map((cell, at) => String(cell).padEnd(widths[at] ?? 0))
    .join(' ')
    .trimEnd();
}

function mealsOf(name: StrategyName, seats: number, mode: RowMode): string {
  if (mode === 'any order') return '';
  const meals = mealsIn(ROUNDS, seats, STRATEGIES[name], mode);
  const sum = meals.reduce((total, one) => total + one, 0);
  return seats > 10 || sum === 0 ? String(sum) : `${sum} (${meals.join(' ')})`;
}

/** One line a part of the trace, cut where it gets long; or one line a step. */
function tell(label: string, steps: readonly string[], seats: number, mode: RowMode): void {
  if (steps.length === 0) return;
  const unit = mode === 'any order' ? 'moves' : 'rounds';
  const heading = `          ${label}, ${steps.length} ${steps.length === 1 ? unit.slice(0, -1) : unit}:`;
  if (inFull) {
    console.log([heading, ...steps.map((step) => `            ${step}`)].join('\n'));
    return;
  }
  const short = mode === 'any order' ? inShort(steps, seats) : steps.map(tableInShort).join(' | ');
  console.log(`${heading} ${short.length > WIDEST ? `${short.slice(0, WIDEST)} ...` : short}`);
}

function show(name: StrategyName, seats: number, mode: RowMode, verdict: Verdict): void {
  const { at, victims, method, trace, cycle, withoutChance } = verdict;
  const says = victims.length === 0 ? at : `starves ${victims.join(', ')}`;
  console.log(row(name, seats, mode, says, mealsOf(name, seats, mode), method));
  tell(at === 'deadlock' ? 'leads there' : 'first', trace, seats, mode);
  tell('again and again', cycle, seats, mode);
  if (withoutChance === undefined) return;
  tell('without chance, first', withoutChance.trace, seats, mode);
  tell(`${withoutChance.kind} without chance, again and again`, withoutChance.cycle, seats, mode);
}

console.log(row('strategy', 'seats', 'mode', 'verdict', `meals in ${ROUNDS} rounds`, 'how'));
for (const name of Object.keys(STRATEGIES) as StrategyName[]) {
  for (const seats of SEATS) for (const mode of MODES) show(name, seats, mode, verdictOf(name, seats, mode));
}
console.log(`\n${METHODS.join('\n')}`);
console.log('tables: one letter a philosopher: l, r holds its left or right fork; E eats; - holds none; 48l: so many alike');

const greedy = checkSkeleton(anyOrder(5, 'greedy'));
if (greedy.at === 'violated')
  console.log(`\nfive greedy philosophers in any order:\n  ${[...greedy.cycle, '', greedy.mermaid].join('\n').replaceAll('\n', '\n  ')}`);
