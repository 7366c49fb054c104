/**
 * philosophers: forks as write sets of the conflict registry, for 3, 5, 10 and 50 seats. Beside what they
 * eat, what the ordered rule lets them eat at DPBench's table (simultaneous), and the most that is possible:
 * half of the seats at a time, two steps a meal.
 */
import { checkDeadlockFree } from 'drover/testing';
import { STRATEGIES } from '../examples/philosophers/strategies.ts';
import { mealsIn } from '../examples/philosophers/table.ts';
import { dine } from '../test/testing/philosophers/dine.ts';
import type { Eaten } from '../test/testing/philosophers/dine.ts';
import { mealsOf, mostMealsAStep, philosophers, SEATS } from '../test/testing/philosophers/fleet.ts';
import { atLeast, atMost, report, row } from './report.ts';
import type { Goal, Report, Row } from './report.ts';

/** Of each number of seats. `npm run test:simulation` has 1,000. */
const SEEDS = 50;
/** Everybody eats a dozen times: of half as many meals, one and a half more or less put Jain below 0.95 already. */
const STEPS = 60;
/** One long evening. */
const LONG_STEPS = 1_000;

export async function philosophersBench(say: (text: string) => void): Promise<Report> {
  const rows: Row[] = [];
  const goals: Goal[] = [];
  for (const seats of SEATS) {
    const who = `${seats} philosophers`;
    say(`${who}: search`);
    const verdict = await checkDeadlockFree(philosophers(seats), { runs: 0, inputs: mealsOf(seats), maxStates: 300_000 });
    const { ranked } = verdict.search;
    goals.push(
      atLeast(
        `${who}: ${verdict.at}, by ranks ${ranked.at} for every number`,
        Number(verdict.at !== 'violated' && ranked.at === 'free'),
        1,
      ),
    );
    say(`${who}: ${SEEDS} evenings`);
    const evenings: Eaten[] = [];
    for (let seed = 1; seed <= SEEDS; seed += 1) evenings.push(await dine({ seed, seats, steps: STEPS }));
    const most = mostMealsAStep(seats);
    const ordered = mealsIn(STEPS, seats, STRATEGIES.ordered, 'simultaneous');
    rows.push(
      row(
        `${who}: meals a step`,
        evenings.map(({ mealsAStep }) => mealsAStep),
        'meals',
      ),
      row(`${who}: the ordered rule's`, [ordered.reduce((sum, one) => sum + one, 0) / STEPS], 'meals'),
      row(`${who}: most possible`, [most], 'meals'),
      row(
        `${who}: Jain of meals`,
        evenings.map(({ jain }) => jain),
        '',
      ),
      row(`${who}: Jain of the ordered rule's`, [jainOf(ordered)], ''),
      row(
        `${who}: longest that anybody was hungry`,
        evenings.map(({ longestWait }) => longestWait),
        'steps',
      ),
    );
    // Meals of exactly the same length: as at DPBench's table; and begun at different times, which under a fixed bound on passing locks neighbours into a beat.
    const table = await dine({ seed: 1, seats, steps: STEPS, eating: 'alike', atOnce: true });
    const beats: Eaten[] = [];
    for (let seed = 1; seed <= 10; seed += 1) beats.push(await dine({ seed, seats, steps: STEPS, eating: 'alike' }));
    rows.push(
      row(`${who}, all at once, meals alike: meals a step`, [table.mealsAStep], 'meals'),
      row(`${who}, all at once, meals alike: Jain of meals`, [table.jain], ''),
      row(
        `${who}, one by one, meals alike: Jain of meals`,
        beats.map(({ jain }) => jain),
        '',
      ),
    );
    const violations = evenings.reduce((sum, { result }) => sum + result.violations.length, 0);
    const starving = evenings.filter(({ meals }) => Math.min(...meals) === 0).length;
    goals.push(
      atMost(`${who}: violations in ${SEEDS} seeds`, violations, 0),
      atMost(`${who}: evenings in which somebody starves`, starving, 0),
      atLeast(`${who}: least Jain of meals`, Math.min(...evenings.map(({ jain }) => jain)), 0.95),
      atLeast(`${who}, one by one, meals alike: least Jain of meals`, Math.min(...beats.map(({ jain }) => jain)), 0.95),
      atLeast(`${who}: least throughput / most possible`, Math.min(...evenings.map(({ mealsAStep }) => mealsAStep)) / most, 0.7),
    );
  }
  for (const seats of [3, 5, 10]) {
    say(`${seats} philosophers: ${LONG_STEPS} steps`);
    const { mealsAStep, jain, meals, result } = await dine({ seed: 1, seats, steps: LONG_STEPS, eating: 'alike', atOnce: true });
    const who = `${seats} philosophers, ${LONG_STEPS} steps`;
    rows.push(row(`${who}: meals a step`, [mealsAStep], 'meals'));
    goals.push(
      atMost(`${who}: violations, and philosophers that starve`, result.violations.length + meals.filter((one) => one === 0).length, 0),
      atLeast(`${who}: Jain of meals`, jain, 0.95),
      atLeast(`${who}: throughput / most possible`, mealsAStep / mostMealsAStep(seats), 0.7),
    );
  }
  return report('philosophers', rows, goals);
}

function jainOf(meals: readonly number[]): number {
  const sum = meals.reduce((total, one) => total + one, 0);
  return (sum * sum) / (meals.length * meals.reduce((total, one) => total + one * one, 0));
}
