/**
 * Watchdog: names the inline run that holds the event loop, from a thread of its own.
 *
 *     event loop ── beat ──▶ shared counter ◀── looked at ── watchdog thread
 *
 *   1. A timer of the fleet's bumps a counter. When it stands still for `blockedMs`, the loop is blocked.
 *   2. The thread asks the blocked one, through Node's inspector, whose code runs: V8 answers between
 *      two turns of a loop. Each run executes in an async context of its own, so the answer is certain
 *      also after awaits that Drover knows nothing of, and it brings the stack. It costs nothing before.
 *   3. Code that is not JavaScript (`execFileSync`, a query of a synchronous database) cannot be asked.
 *      Then the run that was entered last is named: by a timer, a socket, or an operation on `ctx`. The
 *      report says so (`known: 'entered-last'`), for two runs that wait for one promise are not told apart.
 *   4. `report`: `loop.blocked` once the loop turns again; a line on standard error when it has not for
 *      five times as long. `exit`: the line at once, and the process ends with `BLOCKED_EXIT_CODE`, or
 *      by SIGKILL where that cannot be reached.
 *
 * Only time in which the thread was awake itself counts: a process that was stopped as a whole (SIGSTOP, a
 * machine asleep or starved) is not a blocked loop. With a debugger attached the report says so, and
 * nothing is ended.
 */
import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { url as inspectorUrl } from 'node:inspector';
import { isMainThread, Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { Host } from '../../actors/host/host.ts';
import { checkShape, unknownOr } from '../../actors/kernel/shape.ts';
import { TopologyError } from '../topology/topology-error.ts';
import { BEAT, bufferOf, HOLDER } from './watchdog-wire.ts';
import type { LoopHolder, LoopBlocked, WatchdogData } from './watchdog-wire.ts';

export type { LoopHolder, LoopBlocked } from './watchdog-wire.ts';

export interface WatchdogSpec {
  /** The event loop is blocked when it has not turned for so long. At least 100. Default 1,000. */
  readonly blockedMs?: number;
  /** `exit` also ends the process, for a parent to start it again. Default `report`. */
  readonly onBlocked?: 'report' | 'exit';
}

const watchdogShape = z.strictObject(
  {
    blockedMs: z.number('milliseconds, at least 100').min(100, 'milliseconds, at least 100').optional(),
    onBlocked: z.enum(['report', 'exit'], "'report' or 'exit'").optional(),
  },
  unknownOr('{ blockedMs, onBlocked }'),
);

/** @throws TopologyError naming the field, the value and what is allowed. */
export function checkWatchdog(spec: WatchdogSpec): void {
  const problem = checkShape(watchdogShape, spec);
  if (problem !== undefined) throw new TopologyError({ ...problem, path: ['startFleet', 'watchdog', ...problem.path] });
}

/** The run whose code this is. Of all fleets in this thread: a loop is blocked for all of them. */
const holders = new AsyncLocalStorage<LoopHolder | undefined>();

/**
 * Which runs callbacks of Node's belong to can be followed at no cost worth mentioning where promises
 * can be left out of it. Older ones name the run that the fleet entered last.
 */
const FOLLOWS_CALLBACKS = Number(process.versions.node.split('.')[0]) >= 26;

const DEFAULT_BLOCKED_MS = 1_000;
/** How long the thread may take to end by itself. */
const CLOSE_MS = 500;
const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './watchdog-thread.ts' : './watchdog-thread.js', import.meta.url);

export interface WatchdogOptions {
  readonly fleet: string;
  readonly host: Host;
  readonly onBlocked: (blocked: LoopBlocked) => void;
  /** The watchdog itself cannot go on. */
  readonly onFailed: (error: unknown) => void;
}

export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #worker: Worker;
  readonly #gone: Promise<void>;
  readonly #beats: Int32Array;
  readonly #text: Uint8Array;
  readonly #beatMs: number;
  readonly #encoder = new TextEncoder();
  readonly #hook = createHook({ trackPromises: false, before: () => this.#entered() });
  #entering: LoopHolder | undefined;
  #cancelBeat: () => void = () => {};

  /** Starts the thread. It keeps no process alive. */
  constructor({ blockedMs = DEFAULT_BLOCKED_MS, onBlocked = 'report' }: WatchdogSpec, options: WatchdogOptions) {
    this.#options = options;
    const buffer = bufferOf();
    this.#beats = buffer.beats;
    this.#text = buffer.text;
    this.#beatMs = blockedMs / 10;
    Object.defineProperty(globalThis, HOLDER, { value: whoHolds, configurable: true });
    const data: WatchdogData = { shared: buffer.shared, blockedMs, onBlocked, fleet: options.fleet, inspects: isMainThread };
    this.#worker = new Worker(ENTRY, { name: 'drover-watchdog', workerData: data, resourceLimits: { maxOldGenerationSizeMb: 32 } });
    this.#worker.unref();
    this.#worker.on('message', options.onBlocked);
    this.#worker.on('error', options.onFailed);
    this.#gone = new Promise((resolve) => {
      this.#worker.on('exit', () => resolve());
    });
    if (FOLLOWS_CALLBACKS) this.#hook.enable();
    this.#beat();
  }

  /** Runs user code of a run: while it, or whatever follows from it, holds the loop, the run is named. */
  within<T>(holder: LoopHolder, act: () => T): T {
    this.enter(holder);
    return holders.run(holder, act);
  }

  /** Runs code of Drover's that a run has set off, and all that follows from it. */
  outside<T>(act: () => T): T {
    return holders.run(undefined, act);
  }

  /** Code of this run goes on about now: what is named where nobody can be asked. */
  enter(holder: LoopHolder): void {
    if (holder === this.#entering) return;
    this.#entering = holder;
    const { written } = this.#encoder.encodeInto(JSON.stringify(holder), this.#text);
    this.#beats[1] = written;
  }

  /** Ends the thread. What it has found is told before. */
  async close(): Promise<void> {
    const { host } = this.#options;
    this.#cancelBeat();
    this.#hook.disable();
    Atomics.add(this.#beats, BEAT, 1);
    this.#worker.ref();
    this.#worker.postMessage('close');
    const cancel = host.alarm(host.clock.nowMs() + CLOSE_MS, () => void this.#worker.terminate());
    await this.#gone;
    cancel();
  }

  #entered(): void {
    const holder = holders.getStore();
    if (holder !== undefined) this.enter(holder);
  }

  #beat(): void {
    const { host } = this.#options;
    Atomics.add(this.#beats, BEAT, 1);
    this.#cancelBeat = host.alarm(host.clock.nowMs() + this.#beatMs, () => this.#beat());
  }
}

/** Called by the watchdog's thread, through the inspector, in the midst of whatever holds the loop. */
function whoHolds(): string {
  const stack = new Error('blocked').stack ?? '';
  // The first lines are the message, this function and the question itself.
  const lines = stack.split('\n').slice(3);
  return JSON.stringify({
    run: holders.getStore() ?? null,
    stack: lines.map((line) => line.trim()),
    debugger: inspectorUrl() !== undefined,
  });
}
