/**
 * Sample: the real machines under rehearsed work, drawn faults and four samplers of schedules, many
 * short runs with fresh seeds. Each run heals at its end; every invariant is checked over it.
 */
import { seededRandom } from '../../../actors/kernel/random.ts';
import type { Topology } from '../../topology/fleet.ts';
import { drawFaults } from '../simulate/fault-plan.ts';
import type { FaultPlan } from '../simulate/fault-plan.ts';
import type { SimulationInternals } from '../simulate/internals.ts';
import type { SimulationResult, Violation } from '../simulate/result.ts';
import { simulateWith } from '../simulate/simulate.ts';
import type { Sampler } from '../transports.ts';
import { drawTasks, rehearsalOf } from './rehearsal.ts';
import type { ProgramOptions, RehearsedTask } from './rehearsal.ts';

export interface SampleOptions extends ProgramOptions {
  /** Of the first run; each further run has the next one. */
  readonly seed: number;
  readonly runs: number;
  /** Of one run at most. */
  readonly tasks: number;
  readonly faults: 'drawn' | 'none';
  readonly internals: SimulationInternals;
  /** Asked before each run: true when there is no time left. */
  readonly isLate?: () => boolean;
  readonly onRun?: (runs: number) => void;
}

/** One run, as it can be done again. */
export interface Rehearsed {
  readonly seed: number;
  readonly sampler: Sampler;
  readonly tasks: readonly RehearsedTask[];
  readonly faults: FaultPlan;
  /** Choices of deliveries in place of the sampler's. */
  readonly schedule?: readonly number[];
}

export interface Sampled {
  readonly runs: number;
  readonly deliveries: number;
  readonly virtualMs: number;
  /** Actors of the topology, and most deliveries of one run: what the bound on what was missed is made of. */
  readonly actors: number;
  readonly longestRun: number;
  /** The first run that broke something. */
  readonly found: { readonly rehearsed: Rehearsed; readonly violation: Violation } | undefined;
}

const SAMPLERS: readonly Sampler[] = ['random', 'pos', 'pct', 'fair'];
const DURATIONS_MS = [2_000, 10_000, 40_000];
/** Enough for runs to time out and be tried again, should they live by that. */
const HEAL_MS = 3_600_000;

export async function sample(topology: Topology, options: SampleOptions): Promise<Sampled> {
  const rehearsal = rehearsalOf(topology);
  let deliveries = 0;
  let virtualMs = 0;
  let longestRun = 0;
  let runs = 0;
  let found: Sampled['found'];
  while (runs < options.runs && found === undefined && options.isLate?.() !== true) {
    const rehearsed = draw(rehearsal, options, options.seed + runs);
    const result = await perform(rehearsal, rehearsed, options.internals);
    runs += 1;
    deliveries += result.statistics.deliveries;
    virtualMs += result.virtualMs;
    longestRun = Math.max(longestRun, result.statistics.deliveries);
    options.onRun?.(runs);
    const violation = worstOf(result);
    if (violation !== undefined) found = { rehearsed, violation };
  }
  return { runs, deliveries, virtualMs, actors: actorsOf(topology), longestRun, found };
}

function draw(rehearsal: Topology, options: SampleOptions, seed: number): Rehearsed {
  const random = seededRandom(`rehearsal/${seed}`);
  const durationMs = durationOf(seed);
  return {
    seed,
    sampler: SAMPLERS[seed % SAMPLERS.length]!,
    tasks: drawTasks(rehearsal, 1 + random.int(options.tasks), random.fork('work'), options),
    faults: options.faults === 'none' ? {} : drawFaults(random.fork('faults'), durationMs),
  };
}

/** Runs it once. The same does the same. */
export function perform(
  rehearsal: Topology,
  { seed, sampler, tasks, faults, schedule }: Rehearsed,
  internals: SimulationInternals,
  trace: 'hash' | 'full' = 'hash',
): Promise<SimulationResult> {
  return simulateWith(
    rehearsal,
    {
      seed,
      durationMs: durationOf(seed),
      healMs: HEAL_MS,
      workload: tasks as never,
      faults,
      ...(schedule === undefined ? { sampler } : { schedule }),
      nondeterminism: 'allow',
      trace,
    },
    internals,
  );
}

/** A circle of waits says more than the tasks that never ended for it. */
export function worstOf({ violations }: SimulationResult): Violation | undefined {
  return violations.find(({ invariant }) => invariant === 'waits') ?? violations[0];
}

const durationOf = (seed: number): number => DURATIONS_MS[seed % DURATIONS_MS.length]!;

function actorsOf({ kinds, dependencies }: Topology): number {
  return Object.values(kinds).reduce((sum, { replicas }) => sum + replicas + 1, Object.keys(dependencies).length);
}
