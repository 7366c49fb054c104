/**
 * Sample: the real machines under drawn work, drawn faults and four samplers of schedules, many short
 * runs with fresh seeds. Each run heals at its end; every invariant is checked over it.
 */
import { seededRandom } from '../../../actors/kernel/random.ts';
import type { Topology } from '../../topology/fleet.ts';
import { INVARIANTS } from '../invariants/index.ts';
import type { FaultPlan } from '../simulate/fault-plan.ts';
import type { SimulationResult, Violation } from '../simulate/result.ts';
import { simulateWith } from '../simulate/simulate.ts';
import type { Sampler } from '../transports.ts';
import { Standstill } from './standstill.ts';
import type { DrawnTask, Subject } from './subject.ts';

export interface SampleOptions {
  /** Of the first run; each further run has the next one. */
  readonly seed: number;
  readonly runs: number;
  /** Goes on until so many runs have broken the same invariant. Default 1. */
  readonly finds?: number;
  /** Asked before each run: true when there is no time left. */
  readonly isLate?: () => boolean;
  readonly onRun?: (runs: number) => void;
}

/** One run, as it can be done again. */
export interface DrawnRun {
  readonly seed: number;
  readonly sampler: Sampler;
  readonly tasks: readonly DrawnTask[];
  readonly faults: FaultPlan;
  /** Choices of deliveries in place of the sampler's. */
  readonly schedule?: readonly number[];
}

/** What was seen of a run. */
export interface Performed {
  readonly result: SimulationResult;
  /** The violation that says most; none when everything held. */
  readonly violation: Violation | undefined;
  /** How it stood at its end, for what did not end. */
  readonly standstill: Standstill;
}

export interface Sampled {
  readonly runs: number;
  readonly deliveries: number;
  readonly virtualMs: number;
  /** Actors of the topology, and most deliveries of one run: what the bound on what was missed is made of. */
  readonly actors: number;
  readonly longestRun: number;
  /** The runs that broke what the first of them broke. */
  readonly found: readonly { readonly run: DrawnRun; readonly violation: Violation }[];
}

const SAMPLERS: readonly Sampler[] = ['random', 'pos', 'pct', 'fair'];

export async function sample(subject: Subject, options: SampleOptions): Promise<Sampled> {
  let deliveries = 0;
  let virtualMs = 0;
  let longestRun = 0;
  let runs = 0;
  const found: { readonly run: DrawnRun; readonly violation: Violation }[] = [];
  while (runs < options.runs && found.length < (options.finds ?? 1) && options.isLate?.() !== true) {
    const run = draw(subject, options.seed + runs);
    const { result, violation } = await perform(subject, run);
    runs += 1;
    deliveries += result.statistics.deliveries;
    virtualMs += result.virtualMs;
    longestRun = Math.max(longestRun, result.statistics.deliveries);
    options.onRun?.(runs);
    if (violation !== undefined && (found[0]?.violation.invariant ?? violation.invariant) === violation.invariant)
      found.push({ run, violation });
  }
  return { runs, deliveries, virtualMs, actors: actorsOf(subject.topology), longestRun, found };
}

function draw(subject: Subject, seed: number): DrawnRun {
  const random = seededRandom(`rehearsal/${seed}`);
  return {
    seed,
    sampler: SAMPLERS[seed % SAMPLERS.length]!,
    tasks: subject.draw(random),
    faults: subject.drawFaults(random, durationOf(subject, seed)),
  };
}

/**
 * Runs it once. The same does the same.
 *
 * @param until the run is over as soon as this invariant is broken
 */
export async function perform(
  subject: Subject,
  { seed, sampler, tasks, faults, schedule }: DrawnRun,
  { trace = 'hash', until }: { readonly trace?: 'hash' | 'full'; readonly until?: string } = {},
): Promise<Performed> {
  const { internals, provider } = subject.setUp();
  const standstill = new Standstill(subject.healMs);
  const result = await simulateWith(
    subject.topology,
    {
      seed,
      durationMs: durationOf(subject, seed),
      healMs: subject.healMs,
      workload: tasks as never,
      provider,
      faults,
      ...(schedule === undefined ? { sampler } : { schedule }),
      nondeterminism: 'allow',
      trace,
      // First, for it tells how things stood when another one is broken.
      invariants: [standstill.invariant, ...INVARIANTS],
    },
    { ...internals, ...(until === undefined ? {} : { until }) },
  );
  return { result, violation: worstOf(result), standstill };
}

/** A circle of waits says more than the tasks that never ended for it. */
function worstOf({ violations }: SimulationResult): Violation | undefined {
  return violations.find(({ invariant }) => invariant === 'waits') ?? violations[0];
}

function durationOf({ durationsMs }: Subject, seed: number): number {
  return durationsMs[seed % durationsMs.length]!;
}

function actorsOf({ kinds, dependencies }: Topology): number {
  return Object.values(kinds).reduce((sum, { replicas }) => sum + replicas + 1, Object.keys(dependencies).length);
}
