/** Topologies: whole fleets of random kinds, whose runs follow the programs that they are given. */
import * as fc from 'fast-check';
import { agent } from '../../topology/agent.ts';
import type { Agent } from '../../topology/agent.ts';
import { contract } from '../../topology/contract.ts';
import { dependency } from '../../topology/dependency.ts';
import { defineFleet } from '../../topology/fleet.ts';
import type { Topology } from '../../topology/fleet.ts';
import type { WorkItem } from '../simulate/options.ts';
import { demand, demandCount, demandTopology, onlyKnown } from './check-options.ts';
import { execute, programOf, sketches } from './programs.ts';
import { record } from './record.ts';
import type { Program, Sketch } from './programs.ts';
import { inTime, WORKLOAD_OPTIONS } from './workloads.ts';
import type { WorkloadOptions } from './workloads.ts';

export type ProgramKinds = Readonly<Record<string, Agent<Program, number>>>;

/** A topology whose runs follow a program, their input. Printed, it says what was drawn. */
export type ProgramTopology = Topology<ProgramKinds>;

export interface TopologyOptions {
  /** Kinds at most. Default 3. */
  readonly kinds?: number;
  /** Dependencies at most. Default 2. */
  readonly dependencies?: number;
  /** Workers of a kind at most. Default 4. */
  readonly replicas?: number;
  /** `circular`: kinds may ask themselves and each other. Default `acyclic`. */
  readonly asks?: 'none' | 'acyclic' | 'circular';
}

export interface ProgramWorkloadOptions extends WorkloadOptions {
  /** Operations of a program at most. Default 4. */
  readonly maxOperations?: number;
  /** Asks inside asks at most. Default 2. */
  readonly maxDepth?: number;
  /** Attempts of a task that are rejected, at most. Default 1. */
  readonly maxRejects?: number;
}

/** What is drawn of a kind. Others are named by numbers, each modulo what there is. */
interface KindShape {
  readonly uses: readonly number[];
  readonly asks: readonly number[];
  readonly replicas: number;
  readonly capacity: number;
  readonly stealAbove: number;
  readonly backoffMs: number;
  readonly lingerMs: number;
}

interface DependencyShape {
  readonly concurrency?: number | undefined;
  readonly requestsPerMinute?: number | undefined;
}

/**
 * Topologies that are valid, and whose limits let everything end.
 *
 * @throws ArbitraryOptionError
 * @example
 * fc.asyncProperty(programSimulations(), async ({ topology, options }) => assertClean(await simulate(topology, options)))
 */
export function topologies(options: TopologyOptions = {}): fc.Arbitrary<ProgramTopology> {
  onlyKnown('topologies', options, ['kinds', 'dependencies', 'replicas', 'asks']);
  const { kinds = 3, dependencies = 2, replicas = 4, asks = 'acyclic' } = options;
  demandCount('topologies.kinds', kinds, 1, 100);
  demandCount('topologies.dependencies', dependencies, 0, 100);
  demandCount('topologies.replicas', replicas, 1, 1_000);
  demand('topologies.asks', asks, ['none', 'acyclic', 'circular'].includes(asks), "'none', 'acyclic' or 'circular'");
  const others = (most: number) => fc.array(fc.nat({ max: 99 }), { maxLength: most });
  const kind: fc.Arbitrary<KindShape> = record({
    uses: others(dependencies),
    asks: others(asks === 'none' ? 0 : kinds),
    replicas: fc.integer({ min: 1, max: replicas }),
    capacity: fc.integer({ min: 1, max: 8 }),
    stealAbove: fc.integer({ min: 1, max: 4 }),
    backoffMs: fc.integer({ min: 1, max: 1_000 }),
    lingerMs: fc.nat({ max: 50 }),
  });
  const shared: fc.Arbitrary<DependencyShape> = record({
    concurrency: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    requestsPerMinute: fc.option(fc.integer({ min: 300, max: 3_000 }), { nil: undefined }),
  });
  return fc
    .tuple(fc.array(kind, { minLength: 1, maxLength: kinds, size: 'max' }), fc.array(shared, { maxLength: dependencies, size: 'max' }))
    .map(([drawnKinds, drawnDependencies]) => build(drawnKinds, drawnDependencies, asks === 'circular'));
}

/**
 * Workloads for a topology that `topologies` drew.
 *
 * @throws TopologyError, ArbitraryOptionError
 */
export function workloadFor(
  topology: ProgramTopology,
  options: ProgramWorkloadOptions = {},
): fc.Arbitrary<readonly WorkItem<ProgramKinds>[]> {
  demandTopology('workloadFor', topology);
  return sketchedWork(options).map((work) => workOf(topology, work));
}

/** A task that does not know its topology yet. */
export interface SketchedItem {
  readonly which: number;
  readonly sketch: Sketch;
  readonly atMs: number;
}

export function sketchedWork(options: ProgramWorkloadOptions): fc.Arbitrary<readonly SketchedItem[]> {
  onlyKnown('workloadFor', options, [...WORKLOAD_OPTIONS, 'maxOperations', 'maxDepth', 'maxRejects']);
  const { maxOperations = 4, maxDepth = 2, maxRejects = 1, ...rest } = options;
  demandCount('workloadFor.maxOperations', maxOperations, 0, 1_000);
  demandCount('workloadFor.maxDepth', maxDepth, 0, 16);
  demandCount('workloadFor.maxRejects', maxRejects, 0, 4);
  return inTime(record({ which: fc.nat({ max: 99 }), sketch: sketches({ maxOperations, maxDepth, maxRejects }) }), rest);
}

export function workOf(topology: ProgramTopology, work: readonly SketchedItem[]): readonly WorkItem<ProgramKinds>[] {
  const kinds = Object.keys(topology.kinds);
  return work.map(({ which, sketch, ...when }) => {
    const kind = kinds[which % kinds.length]!;
    return { kind, input: programOf(sketch, topology, kind), ...when };
  });
}

function build(kinds: readonly KindShape[], shapes: readonly DependencyShape[], circular: boolean): ProgramTopology {
  const dependencies = shapes.map(({ concurrency, requestsPerMinute }) =>
    dependency({
      limits: { ...(concurrency === undefined ? {} : { concurrency }), ...(requestsPerMinute === undefined ? {} : { requestsPerMinute }) },
      perform: async (request: number): Promise<unknown> => request,
    }),
  );
  const nameOf = (at: number): string => `k${at}`;
  const agents: Record<string, ProgramKinds[string]> = {};
  for (const [at, shape] of kinds.entries()) {
    const asked = shape.asks.flatMap((other) => askedOf(other, at, kinds.length, circular));
    const used = dependencies.length === 0 ? [] : shape.uses.map((other) => other % dependencies.length);
    agents[nameOf(at)] = agent({
      uses: Object.fromEntries(used.map((other) => [`d${other}`, dependencies[other]!])),
      asks: Object.fromEntries(asked.map((other) => [nameOf(other), contract<Program, Program, number, number>()])),
      replicas: shape.replicas,
      mailbox: { capacity: shape.capacity, stealAbove: shape.stealAbove },
      attempts: 10,
      losses: 1_000,
      backoff: { baseMs: shape.backoffMs, capMs: 10_000 },
      lingerMs: shape.lingerMs,
      run: (program: Program, ctx) => execute(program, ctx as never),
    });
  }
  // Crashes are drawn by the handful: the fleet is to survive them.
  const topology = defineFleet({
    name: 'drawn',
    staggerMs: 0,
    agents,
    supervision: { intensity: 10_000, backoff: { baseMs: 5, capMs: 200 } },
  });
  return printed(topology, { kinds, dependencies: shapes });
}

function askedOf(other: number, at: number, count: number, circular: boolean): readonly number[] {
  if (circular) return [other % count];
  const later = count - at - 1;
  return later === 0 ? [] : [at + 1 + (other % later)];
}

/** A counterexample shows what was drawn, not every function in it. */
function printed(topology: ProgramTopology, drawn: object): ProgramTopology {
  return Object.defineProperty(topology, fc.toStringMethod, { value: () => `topology of ${fc.stringify(drawn)}`, enumerable: false });
}
