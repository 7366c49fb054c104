/** Core: what the parts of the engine have in common: leases, sums, and the lines to queues and observers. */
import type { ActorId } from '../../../actors/kernel/effects.ts';
import { toErrorRecord } from '../../../actors/kernel/errors.ts';
import type { Held, Store } from '../../../actors/ports/store.ts';
import type { QueueMessage } from '../../../actors/queue.ts';
import type { KindPlan } from '../../topology/fleet.ts';
import { announce } from '../events.ts';
import type { FleetEvents, FleetStats } from '../events.ts';
import { Leases } from '../leases.ts';
import type { Run } from '../run.ts';
import { TaskListeners } from './listeners.ts';
import type { EngineOptions } from './options.ts';

export class EngineCore {
  readonly options: EngineOptions;
  readonly store: Store;
  readonly leases = new Leases();
  readonly listeners = new TaskListeners();
  readonly stats: { -readonly [K in keyof FleetStats]: FleetStats[K] } = {
    submitted: 0,
    started: 0,
    completed: 0,
    failed: 0,
    dead: 0,
    cancelled: 0,
    retried: 0,
    parked: 0,
    lost: 0,
    stolen: 0,
    spilled: 0,
    forgotten: 0,
    restarts: 0,
    calls: 0,
    callRetries: 0,
    rateLimited: 0,
    inputTokens: 0,
    outputTokens: 0,
    usd: 0,
  };
  /** Nothing more is started. */
  isClosing = false;
  isClosed = false;
  /** Runs that have begun and are not over. */
  running = 0;
  whenIdle: (() => void) | undefined;
  #endedRuns = new Map<ActorId, Held[]>();

  constructor(options: EngineOptions) {
    this.options = options;
    this.store = options.store;
  }

  nowMs(): number {
    return this.options.host.clock.nowMs();
  }

  alarm(inMs: number, fire: () => void): () => void {
    return this.options.host.alarm(this.nowMs() + inMs, fire);
  }

  // ── Runs ─────────────────────────────────────────────────────────────────────────────────────

  abandon(run: Run, reason: 'worker-gone' | 'lease-lost' | 'shutdown' | 'cancelled' | 'paused'): boolean {
    if (!run.abandon(reason)) return false;
    if (reason === 'worker-gone' || reason === 'lease-lost') this.observeEnd(run, 'lost');
    if (reason === 'cancelled' || reason === 'paused') this.observeEnd(run, 'parked');
    this.runOver();
    return true;
  }

  runOver(): void {
    this.running -= 1;
    if (this.running === 0) this.whenIdle?.();
  }

  observeEnd({ worker, task, startedMs, quality, isReplay }: Run, outcome: 'completed' | 'rejected' | 'lost' | 'parked'): void {
    const { observe } = this.options;
    if (observe === undefined) return;
    const atMs = this.nowMs();
    const more = { ...(quality === undefined ? {} : { score: quality }), ...(isReplay ? { replayed: true as const } : {}) };
    // Its calls have told what they cost.
    const spent = { usd: 0, tokens: 0 };
    observe({ type: 'run.ended', atMs, worker, kind: task.kind, task: task.id, ms: atMs - startedMs, outcome, ...more, ...spent });
  }

  // ── Queues ───────────────────────────────────────────────────────────────────────────────────

  /** Tells the queue that a slot is free: once for all runs that end in one burst. */
  slotFree({ kind }: KindPlan, run: Held): void {
    const queue = this.options.queueOf(kind);
    const waiting = this.#endedRuns.get(queue);
    if (waiting !== undefined) {
      waiting.push(run);
      return;
    }
    this.#endedRuns.set(queue, [run]);
    if (this.#endedRuns.size > 1) return;
    queueMicrotask(() => {
      const ended = this.#endedRuns;
      this.#endedRuns = new Map();
      for (const [to, runs] of ended) this.options.host.send(to, { type: 'queue.ended', runs } as QueueMessage);
    });
  }

  tellQueue(kind: string, message: QueueMessage, lane: 'work' | 'control' = 'work'): void {
    this.options.host.send(this.options.queueOf(kind), message, lane);
  }

  /** Those kinds may have got something to claim. */
  ready(kinds: Iterable<string>): void {
    for (const kind of kinds) {
      // A store may hold kinds that this topology no longer has.
      if (Object.hasOwn(this.options.topology.kinds, kind)) this.tellQueue(kind, { type: 'queue.ready' });
    }
  }

  /** It is kept from running until somebody says otherwise. */
  paused(task: { readonly id: string; readonly kind: string }): void {
    this.emit('task.paused', () => ({ ...refOf(task), atMs: this.nowMs() }));
  }

  // ── The store ────────────────────────────────────────────────────────────────────────────────

  /** Whether what failed may be tried again. A failure for good ends the fleet. */
  isPassing(error: unknown): boolean {
    if (this.isClosed) return false;
    const passing = (error as { retryable?: unknown } | null)?.retryable === true;
    if (passing) this.storeRetries(error);
    else this.options.onFatal(error);
    return passing;
  }

  storeRetries(error: unknown): void {
    this.options.log.warn({ err: error }, 'a command of the store failed and is sent again');
    this.emit('store.retrying', () => ({ atMs: this.nowMs(), error: toErrorRecord(error) }));
  }

  // ── Observers ────────────────────────────────────────────────────────────────────────────────

  emit<N extends keyof FleetEvents>(name: N, event: () => Parameters<FleetEvents[N]>[0]): void {
    announce(this.options.events, this.options.log, name, event);
  }
}

/** How events name a task. */
export function refOf({ id, kind }: { readonly id: string; readonly kind: string }): { readonly id: string; readonly kind: string } {
  return { id, kind };
}
