/**
 * Philosophers as a fleet: whoever is hungry asks for a meal, and a meal writes two forks. The conflict
 * registry grants both or neither; who waits for them holds nothing.
 *
 * As at the table of DPBench everybody is hungry from the start and again after each meal, and a meal
 * takes two steps: there one fork is taken in each.
 */
import { agent, defineFleet, dependency } from 'drover';

export const SEATS = [3, 5, 10, 50] as const;

export const STEP_MS = 1_000;
export const STEPS_OF_A_MEAL = 2;

export interface Seat {
  readonly seat: number;
  readonly seats: number;
}

export interface Guest extends Seat {
  readonly meals: number;
  /** Milliseconds before each meal, in turn: without any, it is hungry again at once. */
  readonly thoughts: readonly number[];
}

/** Eating takes time, and nothing else. */
const food = dependency({ perform: async (seat: number) => seat, timeoutMs: 60_000 });

const meal = (seats: number) =>
  agent({
    uses: { food },
    replicas: seats,
    writes: ({ seat }: Seat) => forksOf({ seat, seats }),
    run: ({ seat }, ctx) => ctx.call('food', seat),
  });

/** So many workers of each kind as there are seats: nobody waits for anything but forks. */
export function philosophers(seats: number) {
  const eats = meal(seats);
  const philosopher = agent({
    asks: { meal: eats },
    replicas: seats,
    run: async ({ seat, meals, thoughts }: Guest, ctx) => {
      for (let eaten = 0; eaten < meals; eaten += 1) {
        if (thoughts.length > 0) await ctx.sleep(thoughts[eaten % thoughts.length]!);
        await ctx.ask('meal', { seat, seats });
      }
      return meals;
    },
  });
  return defineFleet({ name: 'philosophers', staggerMs: 0, agents: { philosopher, meal: eats } });
}

/** Every meal that can be asked for: what `checkDeadlockFree` takes as sample inputs. */
export function mealsOf(seats: number): { readonly meal: readonly Seat[] } {
  return { meal: Array.from({ length: seats }, (_, seat) => ({ seat, seats })) };
}

export function forksOf({ seat, seats }: Seat): readonly string[] {
  return [`fork:${seat}`, `fork:${(seat + 1) % seats}`];
}

/** So many meals can at most begin in a step, when no two neighbours eat at once. */
export function mostMealsAStep(seats: number): number {
  return Math.floor(seats / 2) / STEPS_OF_A_MEAL;
}
