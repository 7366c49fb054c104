/**
 * Trace file: one violation as a file, to be stepped through later and elsewhere. Of a simulation it has
 * what makes it happen again, and enough to notice when it does not; of a check, the trace itself.
 */
import type { ViolationKind } from '../explore/index.ts';
import type { SimulationResult, Violation } from '../simulate/result.ts';
import type { Topology } from '../../topology/fleet.ts';
import { hashOf } from '../trace.ts';
import { ReplayDivergedError, TraceFileError, TraceTopologyError, TraceVersionError } from './errors.ts';
import { topologyHash } from './topology-hash.ts';

export const TRACE_FORMAT = 'drover-trace';
export const TRACE_VERSION = 1;

interface TraceHead {
  readonly format: typeof TRACE_FORMAT;
  readonly version: typeof TRACE_VERSION;
  /** Version of Drover that wrote it. */
  readonly drover: string;
  readonly topology: { readonly name: string; readonly hash: string };
}

/** What a simulation needs to happen again, beside the code. Paths are from the folder of the trace file. */
export interface SimulationRecipe {
  readonly seed: number | string;
  readonly durationMs: number;
  readonly faults?: 'none' | 'drawn';
  readonly sampler?: 'random' | 'pos' | 'pct' | 'fair';
  readonly workload?: string;
  readonly tasks?: string;
}

export interface SimulationTrace extends TraceHead {
  readonly of: 'simulation';
  readonly simulation: SimulationRecipe;
  readonly violations: readonly Violation[];
  readonly hash: string;
  readonly events: number;
  /** A hash for each block of `BLOCK` events, so that a replay can say where it began to differ. */
  readonly blocks: readonly number[];
}

/** One move of an abstract trace, and who waits after it. */
export interface AbstractStep {
  readonly says: string;
  /** Absent: not recorded. */
  readonly waits?: readonly string[];
}

/** What a check has found, as far as its trace needs it. */
export interface AbstractViolation {
  readonly kind: ViolationKind | 'invariant' | 'lint';
  readonly trace: readonly string[];
  /** Who waits after the last move, and after each. Absent: not known. */
  readonly waits?: readonly string[];
  readonly waitsAt?: readonly (readonly string[])[];
  readonly repeats?: readonly string[];
  readonly noReturnAfter?: number | undefined;
  readonly cycle: readonly string[];
  readonly holdings: readonly string[];
}

export interface CheckTrace extends TraceHead {
  /** Over all the rest: a trace that is told as it stands must stand as it was written. */
  readonly seal: number;
  readonly of: 'check';
  readonly kind: AbstractViolation['kind'];
  readonly steps: readonly AbstractStep[];
  readonly repeats: readonly string[];
  readonly noReturnAfter: number | null;
  readonly cycle: readonly string[];
  readonly holdings: readonly string[];
}

export type TraceFile = SimulationTrace | CheckTrace;

/** Events that share one hash. */
export const BLOCK = 64;

/** The trace of a simulation that ran with `trace: 'full'`. */
export function simulationTrace(
  topology: Topology,
  drover: string,
  simulation: SimulationRecipe,
  result: SimulationResult,
): SimulationTrace {
  const { trace, violations } = result;
  return {
    ...headOf(topology, drover),
    of: 'simulation',
    simulation,
    violations,
    hash: trace.hash,
    events: trace.events,
    blocks: blocksOf(trace.lines),
  };
}

/** The trace of what a check found. */
export function checkTrace(topology: Topology, drover: string, violation: AbstractViolation): CheckTrace {
  const { kind, repeats = [], noReturnAfter, cycle, holdings } = violation;
  const told = { kind, steps: stepsOf(violation), repeats, noReturnAfter: noReturnAfter ?? null, cycle, holdings };
  return { ...headOf(topology, drover), of: 'check', seal: sealOf(told), ...told };
}

/** A verdict says who waits at its end; before that, only when it has `waitsAt`. */
export function stepsOf({ trace, waits, waitsAt }: AbstractViolation): readonly AbstractStep[] {
  return trace.map((says, at) => {
    const known = waitsAt?.[at] ?? (at === trace.length - 1 ? waits : undefined);
    return { says, ...(known === undefined ? {} : { waits: known }) };
  });
}

/**
 * Reads a trace of this topology.
 *
 * @throws TraceFileError, TraceVersionError, TraceTopologyError
 */
export function parseTrace(text: string, file: string, topology: Topology, drover: string): TraceFile {
  let value: Partial<TraceFile> | null;
  try {
    value = JSON.parse(text) as Partial<TraceFile> | null;
  } catch (cause) {
    throw new TraceFileError(file, 'this is no JSON', { cause });
  }
  if (value?.format !== TRACE_FORMAT) throw new TraceFileError(file, `this is no ${TRACE_FORMAT}`);
  if (value.version !== TRACE_VERSION)
    throw new TraceVersionError({ file, what: 'a trace of version', theirs: String(value.version), ours: String(TRACE_VERSION) });
  if (value.drover !== drover) throw new TraceVersionError({ file, what: 'a trace of drover', theirs: String(value.drover), ours: drover });
  if (!isWhole(value)) throw new TraceFileError(file, 'something is missing in it');
  if (value.of === 'check' && value.seal !== sealOf(value)) throw new TraceFileError(file, 'it was edited after it had been written');
  const ours = headOf(topology, drover).topology;
  if (value.topology.name !== ours.name || value.topology.hash !== ours.hash) throw new TraceTopologyError(file, value.topology, ours);
  return value;
}

/**
 * Compares a replay, run with `trace: 'full'`, with what was recorded.
 *
 * @throws ReplayDivergedError naming where the two began to differ.
 */
export function demandSame(recorded: SimulationTrace, { trace, nondeterminism, seed }: SimulationResult): void {
  if (trace.hash === recorded.hash && trace.events === recorded.events) return;
  const blocks = blocksOf(trace.lines);
  const differs = recorded.blocks.findIndex((block, at) => block !== blocks[at]);
  const first = (differs === -1 ? recorded.blocks.length : differs) * BLOCK;
  throw new ReplayDivergedError({ seed, afterEvents: first, event: trace.lines[first] }, nondeterminism[0]?.message);
}

function headOf(topology: Topology, drover: string): TraceHead {
  return { format: TRACE_FORMAT, version: TRACE_VERSION, drover, topology: { name: topology.name, hash: topologyHash(topology) } };
}

function sealOf({ kind, steps, repeats, noReturnAfter, cycle, holdings }: Omit<CheckTrace, keyof TraceHead | 'of' | 'seal'>): number {
  return hashOf(JSON.stringify([kind, steps, repeats, noReturnAfter, cycle, holdings]));
}

function blocksOf(lines: readonly string[]): readonly number[] {
  return Array.from({ length: Math.ceil(lines.length / BLOCK) }, (_, at) => hashOf(lines.slice(at * BLOCK, (at + 1) * BLOCK).join('\n')));
}

function isWhole(value: Partial<TraceFile>): value is TraceFile {
  if (typeof value.topology?.name !== 'string' || typeof value.topology.hash !== 'string') return false;
  if (value.of === 'check') return Array.isArray(value.steps) && Array.isArray(value.repeats) && Array.isArray(value.cycle);
  return value.of === 'simulation' && typeof value.simulation?.durationMs === 'number' && Array.isArray(value.blocks);
}
