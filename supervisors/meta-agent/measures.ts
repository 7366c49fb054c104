/**
 * Measures: what is known about each worker, and about each dependency as a kind sees it. Some forty
 * numbers and one sketch a worker, however much it does; a worker that never did anything has none.
 *
 * A kind has no record of its own: it is judged by the median of its workers, see `compare.ts`. A
 * pooled rate would be that of whoever does most, and a worker that fails at once does most.
 */
import type { ActorId } from '../../actors/kernel/effects.ts';
import { NO_AVERAGE, NO_TREND, noRate, rated, trended } from './averages.ts';
import type { Rate, Trend } from './averages.ts';
import type { Observation } from './observation.ts';
import { called, NO_PROGRESS, operated } from './progress.ts';
import type { Progress } from './progress.ts';
import { quantile, sketched } from './sketch.ts';
import type { Sketch } from './sketch.ts';

/** What rules look at. Samples are counted since the present incarnation started. */
export const MEASURES = [
  /** Milliseconds a completed run: the geometric mean of the last ten or so, for one outlier is no slowness. */
  'latency',
  /** Milliseconds that one completed run in a hundred exceeds, over the last five hundred or so. */
  'latency-p99',
  /** Share of rejected and lost runs, over the last twenty or so. */
  'error-rate',
  /** Mean score of the last ten or so runs that were scored, 0 to 1. */
  'score',
  /**
   * Dollars a minute with a run, over the last two minutes or so. Not a minute of any kind: the only
   * worker of many that has something to do would be the only one that spends.
   */
  'usd-per-busy-minute',
  'tokens-per-busy-minute',
  /** Operations and calls of the present task since it last told progress or remembered something new. */
  'operations-without-progress',
  /** Calls in a row of the present task whose request was among its last eight. */
  'repeated-requests',
  /** Milliseconds a minute for which it held the event loop, over the last two minutes or so. */
  'blocked-ms-per-minute',
] as const;

export type Measure = (typeof MEASURES)[number];

/** One worker. `recent` parts are its present incarnation's; `history` is the address's. */
export interface WorkerRecord {
  readonly worker: ActorId;
  readonly kind: string;
  readonly suspended: boolean;
  /** Of logarithms. */
  readonly latency: Trend;
  readonly tail: Sketch | undefined;
  /** Lengths of the last few runs, not in the sketch yet. */
  readonly lengths: readonly number[];
  /** Of logarithms; its recent part is the newest value. */
  readonly p99: Trend;
  readonly errors: Trend;
  readonly score: Trend;
  readonly usd: Flow;
  readonly tokens: Flow;
  /** Milliseconds with a run, without the one that is going on. */
  readonly busy: Flow;
  readonly runningSinceMs: number | undefined;
  readonly blocked: Rate;
  readonly progress: Progress;
}

/** As a trend, but of amounts over time. */
export interface Flow {
  readonly recent: Rate;
  readonly history: Rate;
}

/** A dependency in the calls of one kind. */
export interface DependencyRecord {
  readonly dependency: string;
  readonly kind: string;
  /** Of logarithms. */
  readonly latency: Trend;
  readonly failures: Trend;
}

export interface Measures {
  readonly workers: ReadonlyMap<ActorId, WorkerRecord>;
  /** By `kind/dependency`. */
  readonly dependencies: ReadonlyMap<string, DependencyRecord>;
}

export const NO_MEASURES: Measures = { workers: new Map(), dependencies: new Map() };

const LATENCY_WEIGHT = 0.1;
const SCORE_WEIGHT = 0.1;
const ERROR_WEIGHT = 0.05;
const CALL_WEIGHT = 0.02;
const TAIL_FADING = 1 / 500;
export const RATE_WINDOW_MS = 120_000;
export const USUAL_RATE_WINDOW_MS = 3_600_000;
/** A p99 of fewer runs is the slowest of them. */
const TAIL_SAMPLES = 50;
/** Runs between two looks at the tail: a sketch is copied at each. */
export const TAIL_BATCH = 16;

/** Takes a batch in. The maps are copied once for it, so that earlier measures stay what they were. */
export function absorb(measures: Measures, observations: readonly Observation[]): Measures {
  if (observations.length === 0) return measures;
  const workers = new Map(measures.workers);
  let dependencies: Map<string, DependencyRecord> | undefined;
  for (const observation of observations) {
    const { type, worker, kind, atMs } = observation;
    if (type === 'worker.removed') {
      workers.delete(worker);
      continue;
    }
    workers.set(worker, observed(workers.get(worker) ?? newRecord(worker, kind, atMs), observation));
    if (type === 'call.ended') {
      const key = `${kind}/${observation.dependency}`;
      dependencies ??= new Map(measures.dependencies);
      dependencies.set(key, answered(dependencies.get(key) ?? newDependency(observation.dependency, kind), observation));
    }
  }
  return { workers, dependencies: dependencies ?? measures.dependencies };
}

function observed(record: WorkerRecord, observation: Exclude<Observation, { readonly type: 'worker.removed' }>): WorkerRecord {
  switch (observation.type) {
    case 'worker.started':
      return { ...cleanSlate(record, observation.atMs), suspended: false };
    case 'worker.suspended':
      return { ...cleanSlate(record, observation.atMs), suspended: true };
    case 'run.started':
      return { ...record, runningSinceMs: observation.atMs, progress: NO_PROGRESS };
    case 'run.ended':
      return ranOnce(record, observation);
    case 'call.ended':
      return { ...spent(record, observation), progress: called(record.progress, observation.task, observation.request) };
    case 'operation':
      return { ...record, progress: operated(record.progress, observation.task, observation.progressed) };
    case 'loop.blocked':
      return { ...record, blocked: rated(record.blocked, observation.ms, observation.atMs, RATE_WINDOW_MS) };
  }
}

function ranOnce(record: WorkerRecord, run: Extract<Observation, { readonly type: 'run.ended' }>): WorkerRecord {
  const busyMs = record.runningSinceMs === undefined ? run.ms : run.atMs - record.runningSinceMs;
  const busy = flowed(record.busy, (windowMs) => fadedOver(busyMs, windowMs), run.atMs);
  const after = { ...spent(record, run), busy, runningSinceMs: undefined, progress: NO_PROGRESS };
  if (run.outcome === 'parked') return after;
  const errors = trended(record.errors, run.outcome === 'completed' ? 0 : 1, run.atMs, ERROR_WEIGHT);
  // A run that was lost says nothing else.
  if (run.outcome === 'lost') return { ...after, errors };
  const score = run.score === undefined ? record.score : trended(record.score, run.score, run.atMs, SCORE_WEIGHT);
  // One that failed at once was not fast; one that timed out is told as an error.
  if (run.outcome === 'rejected' || run.replayed === true) return { ...after, errors, score };
  const latency = trended(record.latency, logarithm(run.ms), run.atMs, LATENCY_WEIGHT);
  const lengths = [...record.lengths, run.ms];
  if (lengths.length < TAIL_BATCH) return { ...after, errors, score, latency, lengths };
  const tail = sketched(record.tail, lengths, TAIL_FADING);
  const p99 = latency.recent.samples < TAIL_SAMPLES ? record.p99 : trended(record.p99, logarithm(quantile(tail, 0.99)), run.atMs, 1);
  return { ...after, errors, score, latency, tail, p99, lengths: [] };
}

function spent(record: WorkerRecord, { usd, tokens, atMs }: { readonly usd: number; readonly tokens: number; readonly atMs: number }) {
  if (usd === 0 && tokens === 0) return record;
  return { ...record, usd: flowed(record.usd, () => usd, atMs), tokens: flowed(record.tokens, () => tokens, atMs) };
}

function flowed({ recent, history }: Flow, amount: (windowMs: number) => number, atMs: number): Flow {
  return {
    recent: rated(recent, amount(RATE_WINDOW_MS), atMs, RATE_WINDOW_MS),
    history: rated(history, amount(USUAL_RATE_WINDOW_MS), atMs, USUAL_RATE_WINDOW_MS),
  };
}

/** What is left at its end of a stretch of time, of which each moment fades by itself. */
export function fadedOver(ms: number, windowMs: number): number {
  return -windowMs * Math.expm1(-Math.max(0, ms) / windowMs);
}

function answered(record: DependencyRecord, call: Extract<Observation, { readonly type: 'call.ended' }>): DependencyRecord {
  const failures = trended(record.failures, call.failed ? 1 : 0, call.atMs, CALL_WEIGHT);
  if (call.failed) return { ...record, failures };
  return { ...record, failures, latency: trended(record.latency, logarithm(call.ms), call.atMs, CALL_WEIGHT) };
}

/** Forgets the record of the incarnation that has ended, so that the next is judged by what it does itself. */
export function cleanSlate(record: WorkerRecord, nowMs: number): WorkerRecord {
  const anew = (trend: Trend): Trend => ({ ...trend, recent: NO_AVERAGE });
  return {
    ...record,
    latency: anew(record.latency),
    tail: undefined,
    lengths: [],
    p99: anew(record.p99),
    errors: anew(record.errors),
    score: anew(record.score),
    usd: { recent: noRate(nowMs), history: record.usd.history },
    tokens: { recent: noRate(nowMs), history: record.tokens.history },
    busy: { recent: noRate(nowMs), history: record.busy.history },
    runningSinceMs: undefined,
    blocked: noRate(nowMs),
    progress: NO_PROGRESS,
  };
}

function newRecord(worker: ActorId, kind: string, nowMs: number): WorkerRecord {
  const none = noRate(nowMs);
  const nothing: Flow = { recent: none, history: none };
  return {
    worker,
    kind,
    suspended: false,
    latency: NO_TREND,
    tail: undefined,
    lengths: [],
    p99: NO_TREND,
    errors: NO_TREND,
    score: NO_TREND,
    usd: nothing,
    tokens: nothing,
    busy: nothing,
    runningSinceMs: undefined,
    blocked: none,
    progress: NO_PROGRESS,
  };
}

function newDependency(dependency: string, kind: string): DependencyRecord {
  return { dependency, kind, latency: NO_TREND, failures: NO_TREND };
}

/** Of durations: below a tenth of a millisecond they are all alike. */
function logarithm(ms: number): number {
  return Math.log(Math.max(0.1, ms));
}
