/**
 * Subject: what is sampled. A topology, the work that is drawn for it, and what goes wrong meanwhile:
 * either a rehearsal, whose runs are drawn programs, or the user's own runs on work of one's own.
 */
import type { Random } from '../../../actors/kernel/random.ts';
import type { AgentMap, Topology } from '../../topology/fleet.ts';
import { drawFaults } from '../simulate/fault-plan.ts';
import type { FaultPlan } from '../simulate/fault-plan.ts';
import type { SimulationInternals } from '../simulate/internals.ts';
import type { SimulateOptions, WorkItem } from '../simulate/options.ts';
import { drawTasks, rehearsalOf, smallerTasks, tellProgram } from './rehearsal.ts';
import type { Program, ProgramOptions, RehearsedTask } from './rehearsal.ts';

/** A task of a run that is sampled: its id stays the same while others are taken away. */
export interface DrawnTask {
  readonly kind: string;
  readonly id: string;
  readonly input: unknown;
  readonly priority?: number;
  readonly atMs?: number;
}

export interface Subject {
  readonly topology: Topology;
  draw(random: Random): readonly DrawnTask[];
  drawFaults(random: Random, durationMs: number): FaultPlan;
  /** Virtual time in which faults strike; one of these by seed. */
  readonly durationsMs: readonly number[];
  /** What has not ended after so much more, without faults, is taken never to end. */
  readonly healMs: number;
  /** Tasks of the same id that do less, the boldest first. */
  smaller(task: DrawnTask): Iterable<DrawnTask>;
  tell(input: unknown): string;
  /** Asked anew for each run: stand-ins and parts may remember what happened to them. */
  setUp(): { readonly internals: SimulationInternals; readonly provider: NonNullable<SimulateOptions['provider']> };
}

interface Given {
  /** Default `none`. */
  readonly faults?: 'drawn' | 'none' | FaultPlan;
  /** Default: a mix from two seconds to forty. */
  readonly durationMs?: number;
  /** Default an hour: enough for runs to time out and be tried again, should they live by that. */
  readonly healMs?: number;
  readonly internals?: () => SimulationInternals;
}

export interface RehearsedSubject extends Given, ProgramOptions {
  /** Tasks of one run at most. */
  readonly tasks: number;
}

export interface OwnSubject<K extends AgentMap> extends Given {
  readonly work: (random: Random) => readonly (WorkItem<K> & { readonly id: string })[];
  readonly provider?: () => NonNullable<SimulateOptions<K>['provider']>;
  /** Default: none, a task is there or not. */
  readonly smaller?: (task: DrawnTask) => Iterable<DrawnTask>;
}

const DURATIONS_MS = [2_000, 10_000, 40_000];
const HEAL_MS = 3_600_000;

/** Runs do whatever is declared, in any order. */
export function rehearsed(topology: Topology, given: RehearsedSubject): Subject {
  const rehearsal = rehearsalOf(topology);
  return {
    ...common(given),
    topology: rehearsal,
    draw: (random) => drawTasks(rehearsal, 1 + random.int(given.tasks), random.fork('work'), given),
    smaller: (task) => smallerTasks(task as RehearsedTask),
    tell: (input) => tellProgram(input as Program),
    setUp: () => ({ internals: given.internals?.() ?? {}, provider: {} }),
  };
}

/** Runs do what the agents of the topology say. */
export function performed<K extends AgentMap>(topology: Topology<K>, given: OwnSubject<K>): Subject {
  return {
    ...common(given),
    topology,
    draw: (random) => given.work(random.fork('work')),
    smaller: given.smaller ?? (() => []),
    tell: (input) => `gets ${JSON.stringify(input)}`,
    setUp: () => ({ internals: given.internals?.() ?? {}, provider: given.provider?.() ?? {} }),
  };
}

function common({ faults = 'none', durationMs, healMs = HEAL_MS }: Given): Pick<Subject, 'drawFaults' | 'durationsMs' | 'healMs'> {
  return {
    drawFaults: (random, duringMs) => (faults === 'none' ? {} : faults === 'drawn' ? drawFaults(random.fork('faults'), duringMs) : faults),
    durationsMs: durationMs === undefined ? DURATIONS_MS : [durationMs],
    healMs,
  };
}
