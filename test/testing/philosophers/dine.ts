/** One evening at the table: the fleet is simulated, and what everybody ate is counted. */
import { seededRandom } from '../../../actors/kernel/random.ts';
import type { Topology } from 'drover';
import { INVARIANTS } from 'drover/testing';
import type { Invariant, SimulationResult } from 'drover/testing';
import { simulateWith } from '../../../src/testing/simulate/simulate.ts';
import { philosophers, STEP_MS, STEPS_OF_A_MEAL } from './fleet.ts';
import type { Seat } from './fleet.ts';

export interface Evening {
  readonly seed: number;
  readonly seats: number;
  readonly steps: number;
  /** Default `none`: what faults cost is no matter of the forks. */
  readonly faults?: 'none' | 'drawn';
  /** Whether they think between meals, for a while that the seed draws. Default: they are hungry again at once. */
  readonly thinks?: boolean;
  /** `alike`: each meal takes its two steps exactly. Default `drawn`: a quarter less to a quarter more. */
  readonly eating?: 'drawn' | 'alike';
  /** Whether they all come at once. Default: within the first step, as the seed draws. */
  readonly atOnce?: boolean;
  /** How many may pass whoever waits for forks. Default: the store's own. */
  readonly mostPassed?: number;
  /** How a run of this seed is done again. */
  readonly replay?: string;
}

export interface Eaten {
  /** Meals that ended within the steps, by seat. */
  readonly meals: readonly number[];
  /** Meals that ended within a step. */
  readonly mealsAStep: number;
  readonly jain: number;
  /** The longest that anybody who was hungry waited for a meal to end, in steps. */
  readonly longestWait: number;
  /** Starts that found a fork taken. */
  readonly blocked: number;
  readonly result: SimulationResult;
}

const MEAL_MS = STEPS_OF_A_MEAL * STEP_MS;

/** Everybody is hungry for the whole evening; what is asked for and not eaten by then is eaten afterwards, and not counted. */
export async function dine({
  seed,
  seats,
  steps,
  faults = 'none',
  thinks = false,
  eating = 'drawn',
  atOnce = false,
  mostPassed,
  replay,
}: Evening): Promise<Eaten> {
  const table = new Table(seats, steps);
  // Half of the seats eat at a time at best. A little more, so that nobody has had enough before the end.
  const most = Math.ceil((steps / STEPS_OF_A_MEAL) * 0.6) + 2;
  const random = seededRandom(`philosophers/${seed}`);
  const thoughts = (): number[] => (thinks ? Array.from({ length: 4 }, () => random.int(3 * STEP_MS)) : []);
  const result = await simulateWith(
    philosophers(seats) as unknown as Topology,
    {
      seed,
      durationMs: steps * STEP_MS,
      workload: Array.from({ length: seats }, (_, seat) => ({
        kind: 'philosopher' as const,
        id: `philosopher ${seat}`,
        input: { seat, seats, meals: most, thoughts: thoughts() },
        // They come within the first step, in an order that the seed draws.
        atMs: atOnce ? 0 : random.next() * STEP_MS,
      })).toSorted((a, b) => a.atMs - b.atMs),
      provider: {
        food: {
          latencyMs: eating === 'alike' ? MEAL_MS : ([0.75 * MEAL_MS, 1.25 * MEAL_MS] as const),
          reply: (seat: number) => seat,
          faults: 'none',
        },
      },
      faults,
      nondeterminism: 'allow',
      invariants: [table.invariant, ...INVARIANTS],
      ...(replay === undefined ? {} : { replay: () => replay }),
    },
    mostPassed === undefined ? {} : { store: (store) => ({ ...store, open: (command) => store.open({ ...command, mostPassed }) }) },
  );
  return { ...table.eaten, blocked: result.statistics.blocked, result };
}

/** Counts meals by what the store says: a meal is a task that has completed. */
class Table {
  readonly #meals: number[];
  readonly #lastMs: number[];
  readonly #steps: number;
  #beganMs: number | undefined;
  #longestMs = 0;

  constructor(seats: number, steps: number) {
    this.#meals = Array.from({ length: seats }, () => 0);
    this.#lastMs = Array.from({ length: seats }, () => 0);
    this.#steps = steps;
  }

  readonly invariant: Invariant = {
    name: 'forks',
    promise: 'no two neighbours eat at once',
    check: (_topology, broken) => {
      const eating = new Map<string, Seat>();
      const seats = new Map<string, Seat>();
      return {
        'store.accepted': ({ task: { id, kind, input } }, atMs) => {
          this.#beganMs ??= atMs;
          if (kind === 'meal') seats.set(id, JSON.parse(input) as Seat);
        },
        'store.started': ({ held: { id } }) => {
          const own = seats.get(id);
          if (own === undefined) return;
          for (const [other, its] of eating) if (other !== id && isNextTo(own, its)) broken(`${own.seat} and ${its.seat} eat at once`);
          eating.set(id, own);
        },
        'store.settled': ({ settlement: { id, outcome } }, atMs) => {
          eating.delete(id);
          const own = seats.get(id);
          if (own !== undefined && outcome.at === 'completed') this.#ate(own.seat, atMs - this.#beganMs!);
        },
        'store.expired': ({ held: { id } }) => void eating.delete(id),
        'store.opened': () => eating.clear(),
      };
    },
  };

  get eaten(): Omit<Eaten, 'blocked' | 'result'> {
    const endMs = this.#steps * STEP_MS;
    const sum = this.#meals.reduce((total, one) => total + one, 0);
    const squares = this.#meals.reduce((total, one) => total + one * one, 0);
    const longestMs = Math.max(this.#longestMs, ...this.#lastMs.map((lastMs) => endMs - lastMs));
    return {
      meals: this.#meals,
      mealsAStep: sum / this.#steps,
      jain: squares === 0 ? 0 : (sum * sum) / (this.#meals.length * squares),
      longestWait: longestMs / STEP_MS,
    };
  }

  #ate(seat: number, atMs: number): void {
    if (atMs > this.#steps * STEP_MS) return;
    this.#meals[seat]! += 1;
    this.#longestMs = Math.max(this.#longestMs, atMs - this.#lastMs[seat]!);
    this.#lastMs[seat] = atMs;
  }
}

function isNextTo(one: Seat, other: Seat): boolean {
  const apart = Math.abs(one.seat - other.seat);
  return apart <= 1 || apart === one.seats - 1;
}
