/** Many seeds, one after the other: each clean, some of them twice, here and in another process. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { assertClean } from '../../src/testing/index.ts';
import type { SimulationResult } from '../../src/testing/index.ts';

export interface Sums {
  seeds: number;
  tasks: number;
  runs: number;
  calls: number;
  hours: number;
  /** Of those that ran twice in this process: the hash, by seed. */
  readonly replayed: Map<number, string>;
}

/** `DROVER_SEED=17` names one seed; otherwise this variable says how many there are, from 1. */
export function seedsOf(variable: 'DROVER_SEEDS' | 'DROVER_HOURS', byDefault: number): readonly number[] {
  const { DROVER_SEED, [variable]: count } = process.env;
  return DROVER_SEED === undefined ? Array.from({ length: Number(count ?? byDefault) }, (_, at) => at + 1) : [Number(DROVER_SEED)];
}

/** Every so manieth seed is run twice. @throws when a result is not clean, or a replay has another trace */
export async function runSeeds(
  seeds: readonly number[],
  replayEvery: number,
  simulateOne: (seed: number) => Promise<SimulationResult>,
): Promise<Sums> {
  const sums: Sums = { seeds: seeds.length, tasks: 0, runs: 0, calls: 0, hours: 0, replayed: new Map() };
  for (const seed of seeds) {
    const result = await simulateOne(seed);
    assertClean(result);
    const { tasks, runs, calls } = result.statistics;
    sums.tasks += tasks;
    sums.runs += runs;
    sums.calls += calls;
    sums.hours += result.virtualMs / 3_600_000;
    if (seed % replayEvery !== 0) continue;
    const again = await simulateOne(seed);
    if (again.trace.hash !== result.trace.hash)
      throw new Error(`seed ${seed} does not replay: ${result.trace.hash}, then ${again.trace.hash}`);
    sums.replayed.set(seed, result.trace.hash);
  }
  return sums;
}

/** The trace hashes of these seeds in another process. */
export async function hashesElsewhere(what: 'programs' | 'fleet', seeds: readonly number[]): Promise<readonly string[]> {
  const file = fileURLToPath(new URL('replay.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=drover-source', file, what, ...seeds.map(String)]);
  return stdout.trim().split('\n');
}

/** One line for the log of a build. */
export function report(what: string, { seeds, tasks, calls, hours, replayed }: Sums, seconds: number): string {
  const rate = `${(seeds / seconds).toFixed(1)} seeds/s, ${(hours / seconds).toFixed(2)} fleet-hours/s`;
  return `${what}: ${seeds} seeds, ${hours.toFixed(1)} fleet-hours, ${tasks} tasks, ${calls} calls, ${replayed.size} replayed twice, in ${seconds.toFixed(1)} s (${rate})`;
}
