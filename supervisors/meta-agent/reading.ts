/** Reading: what a measure of a worker says at one moment. */
import type { ActorId } from '../../actors/kernel/effects.ts';
import { perMinute } from './averages.ts';
import type { Rate, Trend } from './averages.ts';
import { fadedOver, RATE_WINDOW_MS, TAIL_BATCH, USUAL_RATE_WINDOW_MS } from './measures.ts';
import type { Flow, Measure, WorkerRecord } from './measures.ts';

/** A measured value, with what it is worth. */
export interface Reading {
  readonly worker: ActorId;
  readonly value: number;
  readonly samples: number;
  /** Its own usual value, as far as so many samples say. */
  readonly usual: number;
  readonly usualSamples: number;
  readonly task: string | undefined;
}

/** What a measure of a worker says now. */
export function read(record: WorkerRecord, measure: Measure, nowMs: number): Reading {
  const { worker, progress } = record;
  switch (measure) {
    case 'latency':
      return ofDurations(worker, record.latency, 1);
    case 'latency-p99':
      return ofDurations(worker, record.p99, TAIL_BATCH);
    case 'error-rate':
      return ofShares(worker, record.errors);
    case 'score':
      return ofShares(worker, record.score);
    case 'usd-per-busy-minute':
      return ofFlow(record, record.usd, nowMs);
    case 'tokens-per-busy-minute':
      return ofFlow(record, record.tokens, nowMs);
    case 'operations-without-progress':
      return withoutHistory(worker, progress.operations, progress.operations, progress.task);
    case 'repeated-requests':
      return withoutHistory(worker, progress.repeats, progress.calls, progress.task);
    case 'blocked-ms-per-minute':
      return withoutHistory(worker, perMinute(record.blocked, nowMs, RATE_WINDOW_MS), record.blocked.samples, undefined);
  }
}

/** A sample of it stands for so many `runs`. */
function ofDurations(worker: ActorId, { recent, history }: Trend, runs: number): Reading {
  const samples = recent.samples * runs;
  const usualSamples = history.samples * runs;
  return { worker, value: Math.exp(recent.mean), samples, usual: Math.exp(history.mean), usualSamples, task: undefined };
}

function ofShares(worker: ActorId, { recent, history }: Trend): Reading {
  return { worker, value: recent.mean, samples: recent.samples, usual: history.mean, usualSamples: history.samples, task: undefined };
}

/** Who is busy for less than this share of the time says nothing about what a busy minute costs. */
const LEAST_BUSY = 0.05;

function ofFlow({ worker, busy, runningSinceMs }: WorkerRecord, { recent, history }: Flow, nowMs: number): Reading {
  const shareOf = (rate: Rate, windowMs: number): number => {
    const going = runningSinceMs === undefined ? 0 : fadedOver(nowMs - runningSinceMs, windowMs);
    return perMinute(rate, nowMs, windowMs, going) / 60_000;
  };
  const recently = shareOf(busy.recent, RATE_WINDOW_MS);
  const usually = Math.max(LEAST_BUSY, shareOf(busy.history, USUAL_RATE_WINDOW_MS));
  return {
    worker,
    value: perMinute(recent, nowMs, RATE_WINDOW_MS) / Math.max(LEAST_BUSY, recently),
    samples: recently < LEAST_BUSY ? 0 : recent.samples,
    usual: perMinute(history, nowMs, USUAL_RATE_WINDOW_MS) / usually,
    usualSamples: history.samples,
    task: undefined,
  };
}

function withoutHistory(worker: ActorId, value: number, samples: number, task: string | undefined): Reading {
  return { worker, value, samples, usual: 0, usualSamples: 0, task };
}
