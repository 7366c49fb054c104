/** Simulate worker: the thread that simulates one seed after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { toErrorRecord } from '../../actors/kernel/errors.ts';
import type { ErrorRecord } from '../../actors/kernel/errors.ts';
import { INVARIANTS, simulate } from '../testing/index.ts';
import type { Invariant, SimulationResult } from '../testing/index.ts';
import { simulationTrace } from '../testing/replay/index.ts';
import type { SimulationTrace } from '../testing/replay/index.ts';
import { replayLine } from './simulate-plan.ts';
import type { Seed, SimulatePlan } from './simulate-plan.ts';
import { loadSimulation } from './simulate-workload.ts';
import { droverVersion } from './testing/version.ts';

/** What the thread is started with. */
export interface WorkerPlan {
  readonly plan: SimulatePlan;
  /** Written to: what began last, for when nothing more is heard. The first two bytes are its length. */
  readonly last: SharedArrayBuffer;
}

/** Told to the thread. `trace`: one that is violated is simulated once more, for its trace file. */
export interface SeedOrder {
  readonly seed: Seed;
  readonly trace: boolean;
}

/** What is left of a result without its trace. */
export type SeedResult = Pick<
  SimulationResult,
  'seed' | 'virtualMs' | 'statistics' | 'violations' | 'nondeterminism' | 'rejections' | 'replay'
> & {
  readonly hash: string;
  readonly events: number;
};

export type WorkerReport =
  | { readonly at: 'ready' | 'alive' }
  | { readonly at: 'simulated'; readonly result: SeedResult; readonly trace?: SimulationTrace }
  /** Nothing is known of this seed: the user's code, or an option, is wrong. */
  | { readonly at: 'failed'; readonly seed: Seed | undefined; readonly error: ErrorRecord };

const ALIVE_MS = 500;

const port = parentPort!;
const { plan, last } = workerData as WorkerPlan;
const tell = (report: WorkerReport): void => port.postMessage(report);

setInterval(() => tell({ at: 'alive' }), ALIVE_MS).unref();

try {
  const { topology, options } = await loadSimulation(plan);
  const invariants = [...(options.invariants ?? INVARIANTS), whoBegan(last)];
  const replay = (seed: Seed): string => replayLine(plan, seed);
  const execute = async ({ seed, trace }: SeedOrder): Promise<void> => {
    try {
      // A message comes in a turn of its own; a replay begins in a microtask. Both have to begin alike.
      await Promise.resolve();
      const result = await simulate(topology, { ...options, seed, invariants, replay });
      const traced =
        trace && result.violations.length + result.nondeterminism.length > 0
          ? await simulate(topology, { ...options, seed, replay, trace: 'full' })
          : undefined;
      const { durationMs, faults, sampler, workload, tasks } = { ...plan, durationMs: options.durationMs };
      const given = Object.fromEntries(Object.entries({ faults, sampler, workload, tasks }).filter(([, value]) => value !== undefined));
      tell({
        at: 'simulated',
        result: summary(result),
        ...(traced === undefined ? {} : { trace: simulationTrace(topology, droverVersion(), { seed, durationMs, ...given }, traced) }),
      });
    } catch (error) {
      tell({ at: 'failed', seed, error: toErrorRecord(error) });
    }
  };
  port.on('message', (order: SeedOrder) => void execute(order));
  tell({ at: 'ready' });
} catch (error) {
  tell({ at: 'failed', seed: undefined, error: toErrorRecord(error) });
}

function summary({ trace, ...result }: SimulationResult): SeedResult {
  return { ...result, hash: trace.hash, events: trace.events };
}

/** Never broken: notes which code was set going last. */
function whoBegan(buffer: SharedArrayBuffer): Invariant {
  const bytes = new Uint8Array(buffer, 2);
  const length = new Uint16Array(buffer, 0, 1);
  const encoder = new TextEncoder();
  const note = (text: string): void => {
    length[0] = encoder.encodeInto(text, bytes).written;
  };
  return {
    name: 'signs of life',
    promise: 'code yields',
    check: () => ({
      'run.began': ({ kind, task }: { readonly kind: string; readonly task: string }) => note(`the run of ${kind} for task ${task} began`),
      'store.remembered': ({ item }) => note(`task ${item.id} remembered ${item.place}`),
      'step.began': ({ key }) => note(`step ${key} began`),
    }),
  };
}
