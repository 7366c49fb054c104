/**
 * Isolated worker: the thread or process of one incarnation of a worker.
 *
 *     starting ── ready ──▶ ready ── runs, one after the other ──▶ ready
 *        │                    │
 *        │                    ├── end asked ─▶ ending ── it ends, or is killed at the deadline ──▶ gone
 *        └── fails ───────────┴── hung, died ─▶ failing ── killed, and seen to be gone ──▶ gone
 *
 * Heartbeat, every `HEARTBEAT_MS`:
 *   1. A ping is sent. The child answers from its event loop, so a loop that never yields is silent.
 *   2. Only time in which this process was awake itself counts: when it stood still, the answers lie
 *      unread, and the child is given that time.
 *   3. Silent for `heartbeatMs`, the child is ended from outside.
 *
 * Its failure is told once it is gone: of one worker there are never two.
 */
import type { KindPlan } from '../topology/fleet.ts';
import type { Channel, ChannelEnd, ChannelOptions } from './channel.ts';
import { IsolatedWorkerError } from './errors.ts';
import type { ChildEnd } from './errors.ts';
import { RemoteRun } from './remote-run.ts';
import type { IsolatedRun } from './remote-run.ts';
import { fromWire, toWire } from './wire.ts';
import type { ChildPurpose, FromChild, ToChild } from './wire.ts';

/** How often a child is asked for a sign of life. */
export const HEARTBEAT_MS = 250;
/** A child that has not loaded its module by then is hung. */
const START_MS = 30_000;
/** How long a child may take to end by itself. */
const END_MS = 1_000;
/** One that was killed is gone at once; native code in a thread may hold that up. */
const KILL_MS = 1_000;
const STDERR_KEPT = 4_096;
const BYTES_PER_MB = 1_048_576;

export interface IsolatedWorkerOptions {
  readonly worker: string;
  readonly plan: KindPlan;
  readonly purpose: ChildPurpose;
  readonly nowMs: () => number;
  readonly after: ChannelOptions['after'];
  /** Opens the thread or process. */
  readonly open: (options: ChannelOptions) => Channel;
  /** Children of earlier incarnations, until they are gone. */
  readonly former: Promise<unknown> | undefined;
  /** Told once, when the child is gone without having been asked to go. */
  readonly failed: (error: IsolatedWorkerError) => void;
  readonly stray: (error: unknown) => void;
}

export class IsolatedWorker {
  /** Resolves when nothing of the child is left. */
  readonly gone: Promise<void>;
  readonly #options: IsolatedWorkerOptions;
  readonly #leave: () => void;
  #at: 'waiting' | 'starting' | 'ready' | 'ending' | 'failing' | 'gone' = 'waiting';
  #channel: Channel | undefined;
  #heardMs = 0;
  #stderr = '';
  #failure: { readonly how: ChildEnd['how']; readonly cause?: unknown } | undefined;
  #runs = 0;
  readonly #open = new Map<number, RemoteRun>();
  /** Runs that came before the child was ready. */
  #waiting: (() => void)[] = [];
  #cancelDeadline: (() => void) | undefined;

  constructor(options: IsolatedWorkerOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gone = promise;
    this.#leave = resolve;
    if (options.former === undefined) this.#start();
    else void options.former.then(() => this.#start());
  }

  get isLive(): boolean {
    return this.#at === 'waiting' || this.#at === 'starting' || this.#at === 'ready';
  }

  /** Executes a run in the child. Nothing more is heard of it when the child ends first. */
  execute(run: IsolatedRun): void {
    const begin = (): void => this.#begin(run);
    if (this.#at === 'ready') begin();
    else if (this.isLive) this.#waiting.push(begin);
  }

  /** Asks for a sign of life. `idleMs`: how long this process has stood still since the last time. */
  beat(idleMs: number): void {
    if (this.#at !== 'ready' && this.#at !== 'starting') return;
    this.#heardMs += idleMs;
    const silentMs = this.#options.nowMs() - this.#heardMs;
    if (this.#at === 'starting') {
      if (silentMs >= START_MS) this.#fail('hung');
      return;
    }
    if (silentMs >= this.#options.plan.heartbeatMs) this.#fail('hung');
    else this.#post({ at: 'ping' });
  }

  /** Asks the child to end; after `END_MS` it is killed. */
  end(): void {
    if (this.#at === 'waiting') return this.#over();
    if (!this.isLive) return;
    this.#at = 'ending';
    this.#post({ at: 'end' });
    this.#deadline(END_MS, () => this.kill());
  }

  /** Ends the child at once. */
  kill(): void {
    if (this.#at === 'waiting') return this.#over();
    if (this.#at === 'gone') return;
    if (this.isLive) this.#at = 'ending';
    this.#channel?.kill();
    this.#deadline(KILL_MS, () => this.#over());
  }

  #start(): void {
    if (this.#at !== 'waiting') return;
    const { plan, worker, purpose, nowMs, after, open } = this.#options;
    this.#at = 'starting';
    this.#heardMs = nowMs();
    try {
      this.#channel = open({
        name: `drover-${worker}`,
        memoryMb: plan.memoryMb,
        heard: (message) => this.#heard(message),
        wrote: (text) => {
          this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
        },
        ended: (end) => this.#ended(end),
        after,
      });
      this.#post({ at: 'load', purpose });
    } catch (cause) {
      this.#failure = { how: 'not-started', cause };
      this.#over({ exitCode: null, signal: null, outOfMemory: false });
    }
  }

  #begin(run: IsolatedRun): void {
    const number = (this.#runs += 1);
    const { nowMs } = this.#options;
    const { ctx, ended, input, depth, priority } = run;
    const { signal, task } = ctx;
    // Over before it could begin.
    if (ended.aborted) return;
    this.#open.set(number, new RemoteRun(run, number, (message) => this.#post(message)));
    const over = (): void => {
      const wasOpen = this.#open.delete(number);
      // Out of its time, and the child is silent: it holds the loop of the child, where the next run would only use up its own time.
      if (wasOpen && this.#at === 'ready' && isLate(ended.reason) && nowMs() - this.#heardMs >= 2 * HEARTBEAT_MS) return this.#fail('hung');
      this.#post({ at: 'over', run: number, error: toWire(ended.reason) });
    };
    const stop = (): void => {
      if (!ended.aborted) this.#post({ at: 'stop', run: number, error: toWire(signal.reason) });
    };
    ended.addEventListener('abort', over, { once: true });
    this.#post({ at: 'run', run: number, task, input, depth, priority });
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  }

  #heard(message: FromChild): void {
    switch (message.at) {
      case 'ready': {
        if (this.#at !== 'starting') return;
        this.#at = 'ready';
        this.#heardMs = this.#options.nowMs();
        for (const begin of this.#waiting.splice(0)) begin();
        return;
      }
      case 'unable':
        return this.#fail('not-started', fromWire(message.error));
      case 'pong': {
        this.#heardMs = this.#options.nowMs();
        if (message.externalBytes > this.#options.plan.memoryMb * BYTES_PER_MB) this.#fail('out-of-memory');
        return;
      }
      case 'stray':
        return this.#options.stray(fromWire(message.error));
      case 'run':
        // One that is over is no longer there.
        return this.#open.get(message.run)?.heard(message.said);
    }
  }

  #fail(how: ChildEnd['how'], cause?: unknown): void {
    if (!this.isLive) return;
    this.#at = 'failing';
    this.#failure = { how, ...(cause === undefined ? {} : { cause }) };
    this.kill();
  }

  #ended(end: ChannelEnd): void {
    this.#over(end);
  }

  #over(end: ChannelEnd = { exitCode: null, signal: null, outOfMemory: false }): void {
    if (this.#at === 'gone') return;
    const asked = this.#at === 'ending' || this.#at === 'waiting';
    this.#at = 'gone';
    this.#cancelDeadline?.();
    this.#open.clear();
    this.#waiting = [];
    this.#leave();
    if (!asked) this.#options.failed(this.#errorOf(end));
  }

  #errorOf({ exitCode, signal, outOfMemory, error }: ChannelEnd): IsolatedWorkerError {
    const { worker, plan } = this.#options;
    const ended = signal !== null ? 'signal' : exitCode === null ? 'not-started' : 'exited';
    const how = outOfMemory ? 'out-of-memory' : (this.#failure?.how ?? ended);
    const cause = this.#failure?.cause ?? error;
    const { heartbeatMs, memoryMb } = plan;
    const isolation = plan.isolation === 'process' ? 'process' : 'thread';
    const detail = { worker, isolation, how, exitCode, signal, stderr: this.#stderr, heartbeatMs, memoryMb } as const;
    return new IsolatedWorkerError(detail, cause === undefined ? undefined : { cause });
  }

  #post(message: ToChild): void {
    if (this.#at !== 'gone') this.#channel?.post(message);
  }

  #deadline(ms: number, late: () => void): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = this.#options.after(ms, late);
  }
}

/** Of a run whose time is over: for what it has ended. */
const LATE: readonly unknown[] = ['timeout', 'stalled', 'deadline'];

function isLate(error: unknown): boolean {
  const { detail } = (error ?? {}) as { readonly detail?: { readonly reason?: unknown } };
  return LATE.includes(detail?.reason);
}
