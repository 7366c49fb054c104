/** Evenings of philosophers: their forks are write sets of the conflict registry. */
import type { SimulationResult, Violation } from '../../src/testing/index.ts';
import { dine } from '../testing/philosophers/dine.ts';
import { mostMealsAStep, SEATS } from '../testing/philosophers/fleet.ts';

/** Everybody eats a dozen times: of half as many meals, one and a half more or less put Jain below 0.95 already. */
const STEPS = 60;
const LEAST_JAIN = 0.95;
/** Of the most that is possible. */
const LEAST_THROUGHPUT = 0.7;

/** How an evening went, beside what the simulation says. */
export interface Dinner {
  readonly seats: number;
  /** `hungry`: hungry again at once, and to eat alike; `thoughtful`: with thoughts between meals; `faulty`: with those, under faults. */
  readonly guests: 'hungry' | 'thoughtful' | 'faulty';
  /** Of the meals. */
  readonly jain: number;
  /** What the one ate who ate least. */
  readonly leastMeals: number;
}

/**
 * One evening: four in a row have 3, 5, 10 and 50 seats. Of eight evenings with as many seats, at four everybody is hungry
 * again at once, and is to eat as often as the others; one has faults.
 */
export async function simulatePhilosophers(evening: number): Promise<SimulationResult & { readonly dinner: Dinner }> {
  const seats = SEATS[evening % SEATS.length]!;
  const seed = Math.floor(evening / SEATS.length);
  const faults = seed % 8 === 7 ? ('drawn' as const) : ('none' as const);
  const thinks = seed % 2 === 1;
  const replay = `echo "philosophers ${evening}" | node --conditions=drover-source test/simulation/worker.ts`;
  const { meals, jain, mealsAStep, result } = await dine({ seed, seats, steps: STEPS, faults, thinks, replay });
  const missed: Violation[] = [];
  const miss = (message: string): void => void missed.push({ invariant: 'L5', message, atMs: result.virtualMs });
  if (faults === 'none' && meals.includes(0)) miss(`philosopher ${meals.indexOf(0)} of ${seats} starves`);
  if (faults === 'none' && !thinks) {
    if (jain < LEAST_JAIN) miss(`Jain of meals is ${jain}: ${meals.join(' ')}`);
    if (mealsAStep < LEAST_THROUGHPUT * mostMealsAStep(seats)) miss(`${mealsAStep} meals a step, ${mostMealsAStep(seats)} are possible`);
  }
  const guests = faults === 'drawn' ? 'faulty' : thinks ? 'thoughtful' : 'hungry';
  const dinner: Dinner = { seats, guests, jain, leastMeals: Math.min(...meals) };
  return { ...result, dinner, violations: [...result.violations, ...missed] };
}
