/**
 * Simulate jobs: seeds spread over threads. A thread is given one seed at a time. One that gives no sign
 * of life is ended, and its seed named: code that never yields can be stopped from outside only.
 */
import { Worker } from 'node:worker_threads';
import type { Seed, SimulatePlan } from './simulate-plan.ts';
import type { SeedOrder, SeedResult, WorkerPlan, WorkerReport } from './simulate-worker.ts';
import { SimulationSilentError, SimulationThreadError } from './testing/errors.ts';
import type { SimulationTrace } from '../testing/replay/index.ts';

const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './simulate-worker.ts' : './simulate-worker.js', import.meta.url);
const LOOK_MS = 250;
const LAST_BYTES = 1_024;

export interface JobsOptions {
  readonly plan: SimulatePlan;
  /** Threads. */
  readonly jobs: number;
  readonly seeds: Iterator<Seed>;
  /** How long a thread may give no sign of life. */
  readonly silentMs: number;
  readonly nowMs: () => number;
  /** Whether the next seed that is violated is wanted with its trace. */
  readonly wantsTrace: () => boolean;
  readonly onResult: (result: SeedResult, trace: SimulationTrace | undefined) => void;
  /** What the user's code writes to standard output or error. */
  readonly onOutput: (text: string) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly last: SharedArrayBuffer;
  seed: Seed | undefined;
  signMs: number;
}

export class Jobs {
  readonly #options: JobsOptions;
  readonly #threads = new Set<Thread>();
  readonly #over = Promise.withResolvers<void>();
  #watch: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(options: JobsOptions) {
    this.#options = options;
  }

  /**
   * Resolves when every seed has been simulated, or after `stop`.
   *
   * @throws the first thing that kept a seed from being simulated: an error, or its record. No other seed is begun then.
   */
  async run(): Promise<void> {
    const { jobs, nowMs, silentMs } = this.#options;
    for (let at = 0; at < jobs; at += 1) this.#start();
    this.#watch = setInterval(() => {
      for (const thread of this.#threads) {
        if (nowMs() - thread.signMs > silentMs && thread.seed !== undefined) {
          this.#end(new SimulationSilentError({ seed: thread.seed, silentMs, last: lastOf(thread) }));
        }
      }
    }, LOOK_MS);
    try {
      await this.#over.promise;
    } finally {
      clearInterval(this.#watch);
      await Promise.all([...this.#threads].map(({ worker }) => worker.terminate()));
    }
  }

  /** Begins no other seed, and leaves those under way. */
  stop(): void {
    this.#end();
  }

  #start(): void {
    const { plan, nowMs, onOutput } = this.#options;
    const last = new SharedArrayBuffer(LAST_BYTES);
    const worker = new Worker(ENTRY, {
      workerData: { plan, last } satisfies WorkerPlan,
      name: 'drover-simulate',
      stdout: true,
      stderr: true,
    });
    const thread: Thread = { worker, last, seed: undefined, signMs: nowMs() };
    this.#threads.add(thread);
    for (const stream of [worker.stdout, worker.stderr]) stream.setEncoding('utf8').on('data', onOutput);
    worker.on('message', (report: WorkerReport) => this.#heard(thread, report));
    worker.on('error', (cause) => this.#end(new SimulationThreadError(thread.seed, 'something threw outside of any run', { cause })));
    worker.on('exit', (code) => this.#end(new SimulationThreadError(thread.seed, `exit code ${code}`)));
  }

  #heard(thread: Thread, report: WorkerReport): void {
    if (this.#ended) return;
    thread.signMs = this.#options.nowMs();
    switch (report.at) {
      case 'alive':
        return;
      case 'failed':
        return this.#end(report.error);
      case 'simulated':
        this.#options.onResult(report.result, report.trace);
        break;
      case 'ready':
        break;
    }
    this.#next(thread);
  }

  #next(thread: Thread): void {
    // What was told of a result may have been the word to stop.
    if (this.#ended) return;
    const { done, value } = this.#options.seeds.next();
    if (done === true) {
      thread.seed = undefined;
      if ([...this.#threads].every(({ seed }) => seed === undefined)) this.#end();
      return;
    }
    thread.seed = value;
    thread.worker.postMessage({ seed: value, trace: this.#options.wantsTrace() } satisfies SeedOrder);
  }

  #end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    if (error === undefined) this.#over.resolve();
    else this.#over.reject(error);
  }
}

function lastOf({ last }: Thread): string | undefined {
  const length = new Uint16Array(last, 0, 1)[0]!;
  return length === 0 ? undefined : new TextDecoder().decode(new Uint8Array(last.slice(2, 2 + length)));
}
