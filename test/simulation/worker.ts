/**
 * A process that simulates seeds for another one: a line `programs 17`, `sqlite 17`, `fleet 3` or `philosophers 9` on standard input,
 * one JSON object for it on standard output.
 */
import { createInterface } from 'node:readline';
import { assertClean } from '../../src/testing/index.ts';
import type { SimulationResult } from '../../src/testing/index.ts';
import { simulateFleetHour } from './fleet.ts';
import { simulatePhilosophers } from './philosophers.ts';
import type { Dinner } from './philosophers.ts';
import { simulateOnSqlite, simulatePrograms } from './programs.ts';

const SIMULATIONS = {
  programs: simulatePrograms,
  sqlite: simulateOnSqlite,
  fleet: simulateFleetHour,
  philosophers: simulatePhilosophers,
} as const;

/** What became of one seed. */
export interface Simulated {
  readonly what: keyof typeof SIMULATIONS;
  readonly seed: number;
  readonly hash: string;
  readonly hours: number;
  readonly tasks: number;
  readonly calls: number;
  readonly deliveries: number;
  /** Of an evening of philosophers. */
  readonly dinner?: Dinner;
  /** What is broken, in words; undefined when it is clean. */
  readonly broken?: string;
}

async function simulateOne(what: Simulated['what'], seed: number): Promise<Simulated> {
  const result: SimulationResult & { readonly dinner?: Dinner } = await SIMULATIONS[what](seed);
  const { tasks, calls, deliveries } = result.statistics;
  const dinner = result.dinner === undefined ? {} : { dinner: result.dinner };
  const done = { what, seed, hash: result.trace.hash, hours: result.virtualMs / 3_600_000, tasks, calls, deliveries, ...dinner };
  try {
    assertClean(result);
    return done;
  } catch (error) {
    return { ...done, broken: (error as Error).message };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [what, seed] = line.split(' ') as [Simulated['what'], string];
  process.stdout.write(`${JSON.stringify(await simulateOne(what, Number(seed)))}\n`);
}
