/**
 * Engine: performs what queues decide. It claims, starts and settles tasks at the store, begins and
 * ends runs, and keeps their leases.
 *
 *     queue.claim ─▶ store.claim ─▶ queue.claimed        queue.start ─▶ store.start ─▶ a run
 *     a run is over ─▶ queue.ended (its worker is free)  and ─▶ store.settle (its task is safe)
 *
 * Renewal, once a tick:
 *   1. A run that timed out or stalled is abandoned; it is not renewed, its task goes back.
 *   2. A lease with less than two thirds of its time is renewed. Trust counts from when the request
 *      was sent, not from when it was answered.
 *   3. A lease that ran out before its renewal came is given up: its run is abandoned at once.
 * A process that stood still past a tick does so before any other effect (`checkLeases`).
 */
import type { EventEmitter } from 'eventemitter3';
import type { Logger } from 'pino';
import { ChurnMap } from '../../actors/kernel/churn-map.ts';
import type { Host } from '../../actors/host/host.ts';
import type { ActorId, ExitReason, Message, OwnEffect } from '../../actors/kernel/effects.ts';
import { invariant, toErrorRecord } from '../../actors/kernel/errors.ts';
import type { Observation } from '../../supervisors/meta-agent/observation.ts';
import type { ErrorRecord } from '../../actors/kernel/errors.ts';
import type { Random } from '../../actors/kernel/random.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import type {
  ChildRecord,
  ClaimedTask,
  Held,
  NewTask,
  RememberItem,
  SettledOutcome,
  SettleOutcome,
  Settlement,
  StartOutcome,
  Store,
  SubmitOutcome,
  TaskRecord,
} from '../../actors/ports/store.ts';
import type { QueueEffect, QueueMessage, Start } from '../../actors/queue.ts';
import type { Isolation } from '../isolation/isolation.ts';
import type { Watchdog } from '../isolation/watchdog.ts';
import type { KindPlan, Topology } from '../topology/fleet.ts';
import { Batcher } from './batcher.ts';
import type { Requester } from './batcher.ts';
import type { Calls } from '../admission/calls.ts';
import { RunTimeoutError } from './errors.ts';
import { announce } from './events.ts';
import type { FleetEvents, FleetStats } from './events.ts';
import { Leases } from './leases.ts';
import type { Lease } from './leases.ts';
import { sameJson } from './payload.ts';
import { Run } from './run.ts';
import { readErrorRecord, writeErrorRecord } from './task-error.ts';
import { WakeGate } from './wake-gate.ts';

export interface EngineOptions {
  readonly topology: Topology;
  readonly store: Store;
  readonly host: Host;
  readonly random: Random;
  readonly events: EventEmitter<FleetEvents>;
  readonly log: Logger;
  readonly queueOf: (kind: string) => ActorId;
  readonly callsOf: (dependency: string) => Calls;
  /** The budgets that pay for the calls of a run. */
  readonly scopesOf: (plan: KindPlan, worker: ActorId, task: string) => readonly string[];
  readonly parking: boolean;
  /** Where the runs of isolated kinds execute. Undefined: all run inline. */
  readonly isolation: Isolation | undefined;
  readonly watchdog: Watchdog | undefined;
  /** Who watches workers, if anybody does. */
  readonly observe: ((observation: Observation) => void) | undefined;
  /** The store has failed for good. */
  readonly onFatal: (error: unknown) => void;
}

/** Whoever wants to know that a task has ended. */
export interface TaskListener {
  ended(task: ChildRecord): void;
  /** The engine closes: nobody will say so any more. */
  closed?(error: unknown): void;
}

/** The store is looked through for due and ready tasks at least so often: a notification is only a hint. */
const SWEEP_MS = 1_000;
const CLAIM_RETRY_MS = 500;
/** No attempt, loss or renewal is measured finer than this. */
const SHORTEST_TICK_MS = 20;
const LONGEST_TICK_MS = 1_000;
/** What a closing fleet cannot write within this is left to the next owner of the store. */
const LONGEST_FLUSH_MS = 5_000;

export class RunEngine {
  readonly random: Random;
  readonly bounds: Topology['bounds'];
  readonly maxBytes: number;
  readonly parking: boolean;
  readonly isolation: Isolation | undefined;
  readonly watchdog: Watchdog | undefined;
  readonly stats: { -readonly [K in keyof FleetStats]: FleetStats[K] } = {
    submitted: 0,
    started: 0,
    completed: 0,
    failed: 0,
    dead: 0,
    retried: 0,
    parked: 0,
    lost: 0,
    stolen: 0,
    restarts: 0,
    calls: 0,
    callRetries: 0,
    rateLimited: 0,
    inputTokens: 0,
    outputTokens: 0,
    usd: 0,
  };
  readonly #options: EngineOptions;
  readonly #host: Host;
  readonly #store: Store;
  readonly #leases = new Leases();
  readonly #listeners = new ChurnMap<string, TaskListener | TaskListener[]>();
  readonly #submits: Batcher<NewTask, SubmitOutcome>;
  readonly #starts: Batcher<Held, StartOutcome>;
  readonly #memories: Batcher<RememberItem, boolean>;
  readonly #settlements: Batcher<Settlement, SettleOutcome>;
  /** Undefined: whoever wakes goes at once. */
  readonly #wakeGate: WakeGate | undefined;
  readonly #tickMs: number;
  /** Tasks that may have ended without this node hearing of it: looked up with each sweep until it is sure. */
  readonly #doubts = new Map<string, Doubt>();
  /** Workers that were told to yield: in which life, and by when. */
  readonly #yielding = new Map<ActorId, { readonly incarnation: number; readonly byMs: number }>();
  #endedRuns = new Map<ActorId, Held[]>();
  #cancelTick: (() => void) | undefined;
  /** When the next tick is due; until `open` never. */
  #tickDueMs = Infinity;
  #sweepAlarm: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #polledMs = -Infinity;
  #renewing = false;
  #closing = false;
  #closed = false;
  #running = 0;
  #whenIdle: (() => void) | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#host = options.host;
    this.#store = options.store;
    this.random = options.random;
    this.bounds = options.topology.bounds;
    this.maxBytes = this.bounds.payloadBytes;
    this.parking = options.parking;
    this.isolation = options.isolation;
    this.watchdog = options.watchdog;
    const batching = {
      host: options.host,
      random: options.random,
      onRetry: (error: unknown) => this.#storeRetries(error),
      onFatal: options.onFatal,
    };
    const { store } = options;
    this.#submits = new Batcher(async (tasks) => this.#submitAll(tasks), batching);
    this.#starts = new Batcher((items) => store.start(items, this.nowMs()), batching);
    this.#memories = new Batcher((items) => store.remember(items, this.nowMs()), batching);
    this.#settlements = new Batcher(async (items) => this.#settleAll(items), batching);
    const { wakeGate, name } = options.topology;
    if (wakeGate !== undefined) this.#wakeGate = new WakeGate({ ...batching, store, gate: `${name}/wake`, most: wakeGate.most });
    const shortest = Object.values(options.topology.kinds).map(({ leaseMs, runTimeoutMs, stallMs }) =>
      Math.min(leaseMs / 3, runTimeoutMs / 4, stallMs / 4),
    );
    this.#tickMs = Math.max(SHORTEST_TICK_MS, Math.min(LONGEST_TICK_MS, ...shortest));
  }

  nowMs(): number {
    return this.#host.clock.nowMs();
  }

  alarm(inMs: number, fire: () => void): () => void {
    return this.#host.alarm(this.nowMs() + inMs, fire);
  }

  callsOf(dependency: string): Calls {
    return this.#options.callsOf(dependency);
  }

  scopesOf(plan: KindPlan, worker: ActorId, task: string): readonly string[] {
    return this.#options.scopesOf(plan, worker, task);
  }

  /** Runs that have begun and are not over. */
  get running(): number {
    return this.#running;
  }

  /** Tasks under lease here, running or not. */
  get held(): number {
    return this.#leases.size;
  }

  open(): void {
    this.#tick();
    this.#sweep();
  }

  // ── Tasks ────────────────────────────────────────────────────────────────────────────────────

  newTask(kind: string, input: string, given: Pick<NewTask, 'id' | 'priority' | 'depth'>): NewTask {
    const plan = this.#planOf(kind);
    return { ...given, kind, input, version: plan.version, maxAttempts: plan.attempts, maxLosses: plan.losses };
  }

  submit(task: NewTask, from: Requester<SubmitOutcome>): void {
    this.#submits.add(task, from);
  }

  /** A child of a run. Tried again until the store has answered. */
  submitChild(task: NewTask, done: (submitted: 'accepted' | 'lease-lost' | 'diverged' | ChildRecord) => void): void {
    const replied = (outcome: SubmitOutcome): void => {
      if (outcome.at === 'stale') return done('lease-lost');
      if (outcome.at !== 'known') return done('accepted');
      const { id, kind, input, status, result, error } = outcome.task;
      if (kind !== task.kind || !sameJson(input, task.input)) return done('diverged');
      done({ id, place: task.parent!.place, status, result, error });
    };
    this.#submits.add(task, { replied });
  }

  /** Tells `listener` once when the task is terminal. Returns what forgets it. */
  onTaskEnded(id: string, listener: TaskListener): () => void {
    this.listen(id, listener);
    return () => this.forget(id, listener);
  }

  listen(id: string, listener: TaskListener): void {
    const before = this.#listeners.get(id);
    if (before === undefined) this.#listeners.set(id, listener);
    else this.#listeners.set(id, Array.isArray(before) ? [...before, listener] : [before, listener]);
  }

  forget(id: string, listener: TaskListener): void {
    const now = this.#listeners.get(id);
    const left = Array.isArray(now) ? now.filter((other) => other !== listener) : [];
    if (left.length > 0) this.#listeners.set(id, left);
    else if (now === listener || Array.isArray(now)) this.#listeners.delete(id);
  }

  // ── What queues want done ────────────────────────────────────────────────────────────────────

  perform(plan: KindPlan, own: OwnEffect): void {
    const effect = own as QueueEffect;
    switch (effect.type) {
      case 'queue.claim':
        return this.#claim(plan, effect.limit);
      case 'queue.start':
        for (const start of effect.starts) this.#start(plan, start);
        return;
      case 'queue.release':
        for (const task of effect.tasks) this.#release(task);
        return;
      case 'queue.orphan':
        for (const task of effect.tasks) this.#orphan(task, effect.reason);
        return;
      case 'queue.stole':
        this.stats.stolen += effect.count;
        this.#emit('mailbox.stolen', () => ({ atMs: this.nowMs(), thief: effect.thief, victim: effect.victim, count: effect.count }));
        return;
      default:
        invariant(false, `a queue has no effect ${effect.type}`);
    }
  }

  /** A queue's actor was started again and has forgotten its mailboxes: everything of the kind goes back. */
  queueRestarted(plan: KindPlan): void {
    if (this.#closing) this.#tellQueueOf(plan.kind, { type: 'queue.drain' }, 'control');
    for (const lease of [...this.#leases]) {
      if (lease.plan !== plan) continue;
      if (lease.run === undefined) this.#release(lease.task);
      else if (this.#abandon(lease.run, 'worker-gone')) this.#settle(lease.task, { at: 'released' });
    }
  }

  /**
   * Before an effect: a process that stood still past its tick may have lost leases without having
   * seen it. Their runs are abandoned now, before they act for a task that somebody else holds.
   */
  checkLeases(nowMs: number): void {
    if (nowMs >= this.#tickDueMs) this.#loseExpired(nowMs);
  }

  // ── What runs want done ──────────────────────────────────────────────────────────────────────

  remember(item: RememberItem & Requester<boolean>): void {
    this.#memories.add(item, item);
  }

  /** The run has done something that gets it on: it told progress, or made a step. */
  operated({ worker, task }: Run): void {
    this.#options.observe?.({ type: 'operation', atMs: this.nowMs(), worker, kind: task.kind, task: task.id, progressed: true });
  }

  /** Runs of a kind that go on, and how many of those only wait for admission. */
  loadOf(kind: string): { readonly running: number; readonly waitingForAdmission: number } {
    let running = 0;
    let waitingForAdmission = 0;
    for (const { plan, run } of this.#leases) {
      if (plan.kind !== kind || run === undefined || run.over !== undefined) continue;
      running += 1;
      if (run.waitsForAdmission) waitingForAdmission += 1;
    }
    return { running, waitingForAdmission };
  }

  progressed(run: Run, done: number, total: number | undefined): void {
    this.#emit('task.progressed', () => ({ ...refOf(run.claimed), atMs: this.nowMs(), done, ...(total === undefined ? {} : { total }) }));
  }

  logger(run: Run): Logger {
    return this.#options.log.child({ task: run.task.id, kind: run.task.kind, attempt: run.task.attempt, worker: run.worker });
  }

  /** The run threw or rejected: an outcome of the task, as its kind says. */
  rejected(run: Run, error: unknown): void {
    const { plan, task, losses } = run;
    const failures = task.attempt - losses;
    this.ended(run, this.#outcomeOf(plan, failures, toErrorRecord(error)));
    if (plan.onRejection === 'restart') this.#host.send(run.worker, { type: 'worker.fail', error } as Message);
  }

  /** The run is over: its worker is free now, its task is safe once the store has settled it. */
  ended(run: Run, outcome: SettledOutcome): void {
    this.#observeEnd(run, outcome.at === 'completed' || outcome.at === 'parked' ? outcome.at : 'rejected');
    this.#runOver();
    this.#tellQueue(run.plan, run.claimed);
    this.#settle(run.claimed, outcome, run);
  }

  /** The store says that somebody else holds the task now. */
  leaseLost(run: Run): void {
    const lease = this.#leases.get(run.claimed);
    if (lease !== undefined) this.#lose(lease);
  }

  // ── Suspending ───────────────────────────────────────────────────────────────────────────────

  /** The worker is being suspended: its runs park at their next safe points, those that have yet to begin too. */
  yieldRuns(worker: ActorId, withinMs: number): void {
    const incarnation = this.#host.incarnationOf(worker);
    if (incarnation === undefined) return;
    this.#yielding.set(worker, { incarnation, byMs: this.nowMs() + withinMs });
    for (const { run } of [...this.#leases]) if (run?.worker === worker) run.yieldWithin(withinMs);
  }

  /** The worker is suspended: should it have been killed for being late, its runs park without it. */
  parkRuns(worker: ActorId): void {
    for (const { run } of [...this.#leases]) if (run?.worker === worker) run.parkNow();
  }

  // ── Closing ──────────────────────────────────────────────────────────────────────────────────

  /** Starts nothing more and waits until every run is over; after `deadlineMs` they are abandoned, their attempts given back. */
  async drain(deadlineMs: number): Promise<void> {
    this.#closing = true;
    const deadlineAtMs = this.nowMs() + deadlineMs;
    for (const kind of Object.keys(this.#options.topology.kinds)) this.#tellQueueOf(kind, { type: 'queue.drain' }, 'control');
    await this.#until(deadlineAtMs, Promise.all([this.#submits.idle(), this.#starts.idle()]));
    await this.#until(
      deadlineAtMs,
      new Promise<void>((resolve) => {
        if (this.#running === 0) resolve();
        else this.#whenIdle = resolve;
      }),
    );
    for (const lease of [...this.#leases]) {
      // A start on its way is too late: its run does not begin.
      if (lease.run === undefined) lease.orphaned ??= 'released';
      if (lease.run === undefined || !this.#abandon(lease.run, 'shutdown')) continue;
      this.#tellQueue(lease.plan, lease.task);
      this.#settle(lease.task, { at: 'released' });
    }
    await this.#until(this.nowMs() + LONGEST_FLUSH_MS, this.#flush());
  }

  /** Stops everything at once. What the store has not settled, its next owner takes back. */
  close(error: unknown): void {
    this.#closed = true;
    this.#cancelTick?.();
    this.#sweepAlarm?.cancel();
    for (const batcher of [this.#submits, this.#starts, this.#memories, this.#settlements]) batcher.close();
    this.#wakeGate?.close();
    for (const lease of [...this.#leases]) lease.run?.abandon('shutdown');
    const listeners = [...this.#listeners.values()].flat();
    this.#listeners.clear();
    for (const listener of listeners) listener.closed?.(error);
  }

  /** Waits for `work`, but no longer than until `atMs`. */
  async #until(atMs: number, work: Promise<unknown>): Promise<void> {
    const late = Promise.withResolvers<void>();
    const cancel = this.#host.alarm(atMs, late.resolve);
    await Promise.race([work, late.promise]);
    cancel();
  }

  async #flush(): Promise<void> {
    // A mailbox that was given back may still be on its way through the queue.
    for (let round = 0; round < 3; round += 1) {
      await Promise.all([this.#submits.idle(), this.#starts.idle(), this.#memories.idle(), this.#settlements.idle()]);
    }
  }

  // ── Store commands ───────────────────────────────────────────────────────────────────────────

  async #submitAll(tasks: readonly NewTask[]): Promise<readonly SubmitOutcome[]> {
    const outcomes = await this.#store.submit(tasks, this.nowMs());
    const ready = new Set<string>();
    for (let at = 0; at < tasks.length; at += 1) {
      if (outcomes[at]!.at !== 'accepted') continue;
      ready.add(tasks[at]!.kind);
      this.#submitted(tasks[at]!);
    }
    this.#hint(ready);
    return outcomes;
  }

  async #settleAll(items: readonly Settlement[]): Promise<readonly SettleOutcome[]> {
    const nowMs = this.nowMs();
    if (nowMs >= this.#tickDueMs) return this.#settleLate(items, nowMs);
    const { outcomes, ready } = await this.#store.settle(items, nowMs);
    this.#hint(ready);
    return outcomes;
  }

  /** The process stood still: what a run decided whose lease ran out meanwhile is not committed. */
  async #settleLate(items: readonly Settlement[], nowMs: number): Promise<readonly SettleOutcome[]> {
    this.#loseExpired(nowMs);
    const held = items.filter((item) => this.#leases.get(item) !== undefined);
    const settled = await this.#settleAll(held);
    const outcomes = new Map(held.map((item, at) => [item, settled[at]!]));
    return items.map((item) => outcomes.get(item) ?? { at: 'stale' });
  }

  #claim(plan: KindPlan, limit: number): void {
    const nowMs = this.nowMs();
    const leaseUntilMs = nowMs + plan.leaseMs;
    this.#store.claim({ wants: [{ kind: plan.kind, limit }], leaseUntilMs, nowMs }).then(
      (claimed) => {
        // An answer that took longer than the lease: the store has taken the tasks back, or will.
        const tasks = this.nowMs() < leaseUntilMs ? claimed : [];
        for (const task of tasks) {
          // The store took it back unseen, and gave it to this node again.
          const former = this.#leases.add(plan, task);
          if (former !== undefined) this.#lose(former);
        }
        this.#tellQueueOf(plan.kind, { type: 'queue.claimed', tasks, asked: limit });
      },
      (error: unknown) => {
        if (!this.#isPassing(error) || this.#closing) return;
        this.alarm(CLAIM_RETRY_MS * (1 + this.random.next()), () => this.#claim(plan, limit));
      },
    );
  }

  #start(plan: KindPlan, start: Start): void {
    const starting = new Starting(this, plan, start);
    this.#starts.add(starting, starting);
  }

  /** The store has counted the attempt. */
  begin(plan: KindPlan, { worker, incarnation, task }: Start, outcome: StartOutcome): void {
    const lease = this.#leases.get(task);
    if (lease === undefined || lease.orphaned === 'settled') return this.#tellQueue(plan, task);
    if (outcome.at === 'stale') return this.#lose(lease);
    if (lease.orphaned !== undefined) {
      this.#tellQueue(plan, task);
      return this.#settle(task, orphanOutcome(lease.orphaned));
    }
    const { attempt, losses, memory, children } = outcome;
    const run = new Run(this, { plan, worker, claimed: task, attempt, losses, memory, children });
    lease.run = run;
    this.stats.started += 1;
    this.#running += 1;
    this.#emit('task.started', () => ({ ...refOf(task), atMs: run.startedMs, attempt, worker }));
    this.#options.observe?.({ type: 'run.started', atMs: run.startedMs, worker, kind: plan.kind, task: task.id });
    if (this.#wakeGate?.wakes(worker, incarnation) === true) run.executeThrough(this.#wakeGate);
    else run.execute();
    const yielding = this.#yielding.get(worker);
    // Its start was on its way. It parks after its first operation: given back now it might come again at once.
    if (yielding === undefined || yielding.incarnation < incarnation || yielding.byMs <= run.startedMs) return;
    run.yieldAfterNext(yielding.byMs - run.startedMs);
  }

  #orphan(task: ClaimedTask, reason: ExitReason): void {
    const lease = this.#leases.get(task);
    if (lease === undefined) return;
    const orphaned = reason.at === 'error' || (reason.at === 'killed' && !this.#closing) ? 'lost' : 'released';
    if (lease.run === undefined) {
      lease.orphaned ??= orphaned;
      return;
    }
    // A run that is over already has its settlement on the way.
    if (this.#abandon(lease.run, 'worker-gone')) this.#settle(task, orphanOutcome(orphaned, reason));
  }

  /** Gives back a task whose run has not begun, and will not. */
  #release(task: ClaimedTask): void {
    const lease = this.#leases.get(task);
    if (lease?.orphaned === 'settled') return;
    if (lease !== undefined) lease.orphaned = 'settled';
    this.#settle(task, { at: 'released' });
  }

  #settle(task: ClaimedTask, outcome: SettledOutcome, run?: Run): void {
    const settling = new Settling(this, task, outcome, run);
    this.#settlements.add(settling, settling);
  }

  /** The store has settled what became of a task, or refused it. */
  settled(task: ClaimedTask, outcome: SettledOutcome, reply: SettleOutcome, run: Run | undefined): void {
    this.#leases.drop(task);
    const atMs = this.nowMs();
    if (reply.at === 'stale') {
      // Somebody else holds the task; or an earlier try, whose answer was lost, has settled it.
      this.#doubts.set(task.id, { fence: task.fence, run, told: false });
      return this.#sweepBy(atMs);
    }
    if (this.#doubts.size > 0) this.#doubts.delete(task.id);
    switch (outcome.at) {
      case 'completed':
        for (const sent of outcome.sends) this.#submitted(sent);
        return this.#taskCompleted(task.id, outcome.result, run!, atMs);
      case 'failed':
      case 'dead':
        return this.#taskFailed(task, outcome.at, outcome.error);
      case 'lost':
        this.stats.lost += 1;
        return reply.status === 'dead' ? this.#taskFailed(task, 'dead', outcome.error) : undefined;
      case 'retry':
        this.stats.retried += 1;
        this.#emit('task.retrying', () => ({
          ...refOf(task),
          atMs,
          attempt: run!.task.attempt,
          inMs: Math.max(0, outcome.readyAtMs - atMs),
          error: readErrorRecord(outcome.error)!,
        }));
        return this.#sweepBy(outcome.readyAtMs);
      case 'parked':
        this.stats.parked += 1;
        this.#emit('task.parked', () => ({ ...refOf(task), atMs, reason: outcome.reason }));
        return outcome.wakeAtMs === null ? undefined : this.#sweepBy(outcome.wakeAtMs);
      case 'released':
    }
  }

  #submitted(task: NewTask): void {
    this.stats.submitted += 1;
    this.#emit('task.submitted', () => ({ ...refOf(task), atMs: this.nowMs() }));
  }

  #taskCompleted(id: string, result: string | null, run: Run, atMs: number): void {
    this.stats.completed += 1;
    const { plan, worker, startedMs, quality, task } = run;
    const scored = quality === undefined ? {} : { quality };
    this.#emit('task.completed', () => ({ id, kind: plan.kind, atMs, attempt: task.attempt, ms: atMs - startedMs, worker, ...scored }));
    this.#taskEnded({ id, place: '', status: 'completed', result, error: null });
  }

  #taskFailed(task: { readonly id: string; readonly kind: string }, status: 'failed' | 'dead', error: string | null): void {
    this.stats[status] += 1;
    this.#emit('task.failed', () => ({ ...refOf(task), atMs: this.nowMs(), status, error: readErrorRecord(error) }));
    this.#taskEnded({ id: task.id, place: '', status, result: null, error });
  }

  #taskEnded(child: ChildRecord): void {
    if (this.#doubts.size > 0) this.#doubts.delete(child.id);
    const listeners = this.#listeners.get(child.id);
    if (listeners === undefined) return;
    this.#listeners.delete(child.id);
    if (Array.isArray(listeners)) for (const listener of listeners) listener.ended(child);
    else listeners.ended(child);
  }

  #outcomeOf(plan: KindPlan, failures: number, error: ErrorRecord): SettledOutcome {
    const text = JSON.stringify(error);
    if (error.retryable === false) return { at: 'failed', error: text };
    if (failures >= plan.attempts) return { at: 'dead', error: text };
    const delayMs = this.#delayOf(plan, failures);
    // A backoff that says no, or makes no sense, gives up.
    return Number.isFinite(delayMs) && delayMs >= 0
      ? { at: 'retry', error: text, readyAtMs: this.nowMs() + delayMs }
      : { at: 'failed', error: text };
  }

  #delayOf({ backoff }: KindPlan, failures: number): number {
    if (typeof backoff !== 'function') {
      const ceilingMs = Math.min(backoff.capMs, backoff.baseMs * 2 ** Math.min(failures - 1, 60));
      return ceilingMs * (0.1 + 0.9 * this.random.next());
    }
    try {
      return backoff(failures);
    } catch (error) {
      this.#options.log.error({ err: error }, 'a backoff function threw');
      return -1;
    }
  }

  // ── Upkeep ───────────────────────────────────────────────────────────────────────────────────

  #tick(): void {
    const nowMs = this.nowMs();
    this.#tickDueMs = nowMs + this.#tickMs;
    const due: Lease[] = [];
    for (const lease of [...this.#leases]) {
      if (nowMs >= lease.untilMs) this.#lose(lease);
      else if (lease.run !== undefined && lease.run.over === undefined && this.#timedOut(lease.run, nowMs)) continue;
      else if (lease.run?.parkIfOnlyWaiting(nowMs, false) === true) continue;
      else if (lease.untilMs - nowMs < (lease.plan.leaseMs * 2) / 3) due.push(lease);
    }
    if (due.length > 0 && !this.#renewing) this.#renew(due, nowMs);
    this.#cancelTick = this.alarm(this.#tickMs, () => this.#tick());
  }

  #timedOut(run: Run, nowMs: number): boolean {
    const { runTimeoutMs, stallMs } = run.plan;
    run.look(nowMs);
    const late = nowMs - run.startedMs >= runTimeoutMs;
    if (!late && (run.occupied || nowMs - run.lastSignMs < stallMs)) return false;
    const error = new RunTimeoutError(
      late ? { id: run.task.id, limit: 'runTimeoutMs', ms: runTimeoutMs } : { id: run.task.id, limit: 'stallMs', ms: stallMs },
    );
    if (run.abandon(late ? 'timeout' : 'stalled')) this.rejected(run, error);
    return true;
  }

  #renew(due: readonly Lease[], sentMs: number): void {
    this.#renewing = true;
    const items = due.map(({ task, plan }) => ({ id: task.id, fence: task.fence, leaseUntilMs: sentMs + plan.leaseMs }));
    this.#store.renew(items, sentMs).then(
      (kept) => {
        this.#renewing = false;
        for (let at = 0; at < due.length; at += 1) {
          if (kept[at] === true) due[at]!.untilMs = items[at]!.leaseUntilMs;
          // Settled meanwhile is no loss.
          else if (this.#leases.get(due[at]!.task) !== undefined && due[at]!.run?.over === undefined) this.#lose(due[at]!);
        }
      },
      (error: unknown) => {
        this.#renewing = false;
        this.#isPassing(error);
      },
    );
  }

  #loseExpired(nowMs: number): void {
    this.#tickDueMs = nowMs + this.#tickMs;
    for (const lease of [...this.#leases]) if (nowMs >= lease.untilMs) this.#lose(lease);
  }

  #lose(lease: Lease): void {
    const { task, plan, run, orphaned } = lease;
    this.#leases.drop(task);
    // Its settlement is on its way: the store's answer to that decides.
    if (orphaned === 'settled' || run?.over !== undefined) return;
    // Its last loss may end it, in a sweep.
    this.#doubts.set(task.id, { fence: task.fence, run, told: true });
    if (run === undefined) this.#tellQueueOf(plan.kind, { type: 'queue.revoked', tasks: [{ id: task.id, fence: task.fence }] });
    else this.#abandon(run, 'lease-lost');
    this.#tellQueue(plan, task);
    this.stats.lost += 1;
    this.#emit('lease.lost', () => ({ ...refOf(task), atMs: this.nowMs(), fence: task.fence }));
  }

  #sweep(): void {
    this.#sweepAlarm = undefined;
    const nowMs = this.nowMs();
    this.#store.sweep(nowMs).then(
      ({ ready, expired, nextAtMs }) => {
        if (this.#closed) return;
        this.#hint(this.#isPollDue(nowMs) ? Object.keys(this.#options.topology.kinds) : ready);
        for (const { id, fence } of expired) this.#expired({ id, fence });
        this.#resolveDoubts();
        this.#sweepBy(Math.min(nextAtMs ?? Infinity, this.nowMs() + SWEEP_MS));
      },
      (error: unknown) => {
        if (this.#isPassing(error)) this.#sweepBy(this.nowMs() + SWEEP_MS);
      },
    );
  }

  /** Whether to look for ready tasks without having been told of any: others submit too, and answers get lost. */
  #isPollDue(nowMs: number): boolean {
    if (nowMs - this.#polledMs < SWEEP_MS) return false;
    this.#polledMs = nowMs;
    return true;
  }

  /** Looks for due tasks at `atMs`, or earlier when that is planned already. */
  #sweepBy(atMs: number): void {
    if (this.#closed || (this.#sweepAlarm !== undefined && this.#sweepAlarm.atMs <= atMs)) return;
    this.#sweepAlarm?.cancel();
    this.#sweepAlarm = { atMs, cancel: this.#host.alarm(atMs, () => this.#sweep()) };
  }

  #expired(held: Held): void {
    const lease = this.#leases.get(held);
    if (lease !== undefined) this.#lose(lease);
    else if (!this.#doubts.has(held.id)) this.#doubts.set(held.id, { fence: held.fence, run: undefined, told: true });
  }

  #resolveDoubts(): void {
    const doubts = [...this.#doubts];
    if (doubts.length === 0) return;
    this.#store.get(doubts.map(([id]) => id)).then(
      (tasks) => {
        for (const [at, [id, doubt]] of doubts.entries()) if (this.#doubts.get(id) === doubt) this.#resolve(id, doubt, tasks[at]);
      },
      (error: unknown) => this.#isPassing(error),
    );
  }

  #resolve(id: string, { fence, run, told }: Doubt, task: TaskRecord | undefined): void {
    if (task === undefined) {
      this.#doubts.delete(id);
      return;
    }
    const { status, result, error } = task;
    const ended = isTerminal(status);
    const waits = status === 'retrying' || status === 'parked';
    // What became of it under this fence is what this node made of it.
    const own = task.fence === fence && (ended || waits);
    if (!told && !own) this.#emit('lease.lost', () => ({ ...refOf(task), atMs: this.nowMs(), fence }));
    if (own && status === 'completed' && run !== undefined) this.#taskCompleted(id, result, run, this.nowMs());
    else if (own && (status === 'failed' || status === 'dead')) this.#taskFailed(task, status, error);
    else if (ended) this.#taskEnded({ id, place: '', status, result, error });
    // Held here again, its end will be heard; only waiting, it has none before it is held.
    else if (waits || this.#leases.holds(id)) this.#doubts.delete(id);
    else this.#doubts.set(id, { fence, run, told: true });
  }

  // ── Small ────────────────────────────────────────────────────────────────────────────────────

  #abandon(run: Run, reason: 'worker-gone' | 'lease-lost' | 'shutdown'): boolean {
    if (!run.abandon(reason)) return false;
    if (reason !== 'shutdown') this.#observeEnd(run, 'lost');
    this.#runOver();
    return true;
  }

  #observeEnd({ worker, task, startedMs, quality, isReplay }: Run, outcome: 'completed' | 'rejected' | 'lost' | 'parked'): void {
    const { observe } = this.#options;
    if (observe === undefined) return;
    const atMs = this.nowMs();
    const more = { ...(quality === undefined ? {} : { score: quality }), ...(isReplay ? { replayed: true as const } : {}) };
    // Its calls have told what they cost.
    const spent = { usd: 0, tokens: 0 };
    observe({ type: 'run.ended', atMs, worker, kind: task.kind, task: task.id, ms: atMs - startedMs, outcome, ...more, ...spent });
  }

  #runOver(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#whenIdle?.();
  }

  /** Tells the queue that a slot is free: once for all runs that end in one burst. */
  #tellQueue(plan: KindPlan, run: Held): void {
    const queue = this.#options.queueOf(plan.kind);
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
      for (const [to, runs] of ended) this.#host.send(to, { type: 'queue.ended', runs } as QueueMessage);
    });
  }

  #tellQueueOf(kind: string, message: QueueMessage, lane: 'work' | 'control' = 'work'): void {
    this.#host.send(this.#options.queueOf(kind), message, lane);
  }

  #hint(kinds: Iterable<string>): void {
    for (const kind of kinds) {
      // A store may hold kinds that this topology no longer has.
      if (Object.hasOwn(this.#options.topology.kinds, kind)) this.#tellQueueOf(kind, { type: 'queue.ready' });
    }
  }

  #planOf(kind: string): KindPlan {
    const plan = this.#options.topology.kinds[kind];
    invariant(plan !== undefined, `kind ${kind} was checked before`);
    return plan;
  }

  /** Whether what failed may be tried again. A failure for good ends the fleet. */
  #isPassing(error: unknown): boolean {
    if (this.#closed) return false;
    const passing = (error as { retryable?: unknown } | null)?.retryable === true;
    if (passing) this.#storeRetries(error);
    else this.#options.onFatal(error);
    return passing;
  }

  #storeRetries(error: unknown): void {
    this.#options.log.warn({ err: error }, 'a command of the store failed and is sent again');
    this.#emit('store.retrying', () => ({ atMs: this.nowMs(), error: toErrorRecord(error) }));
  }

  #emit<N extends keyof FleetEvents>(name: N, event: () => Parameters<FleetEvents[N]>[0]): void {
    announce(this.#options.events, this.#options.log, name, event);
  }
}

/** A task whose end may have been missed. */
interface Doubt {
  /** Under which it was held here last. */
  readonly fence: number;
  readonly run: Run | undefined;
  /** Observers know that its lease is lost. */
  readonly told: boolean;
}

/** A start on its way: the item of the command, and who waits for it. */
class Starting implements Held, Requester<StartOutcome> {
  readonly id: string;
  readonly fence: number;
  readonly #engine: RunEngine;
  readonly #plan: KindPlan;
  readonly #start: Start;

  constructor(engine: RunEngine, plan: KindPlan, start: Start) {
    this.id = start.task.id;
    this.fence = start.task.fence;
    this.#engine = engine;
    this.#plan = plan;
    this.#start = start;
  }

  replied(outcome: StartOutcome): void {
    this.#engine.begin(this.#plan, this.#start, outcome);
  }
}

/** A settlement on its way. */
class Settling implements Requester<SettleOutcome> {
  readonly id: string;
  readonly fence: number;
  readonly outcome: SettledOutcome;
  readonly #engine: RunEngine;
  readonly #task: ClaimedTask;
  readonly #run: Run | undefined;

  constructor(engine: RunEngine, task: ClaimedTask, outcome: SettledOutcome, run: Run | undefined) {
    this.id = task.id;
    this.fence = task.fence;
    this.outcome = outcome;
    this.#engine = engine;
    this.#task = task;
    this.#run = run;
  }

  replied(reply: SettleOutcome): void {
    this.#engine.settled(this.#task, this.outcome, reply, this.#run);
  }
}

function refOf({ id, kind }: { readonly id: string; readonly kind: string }): { readonly id: string; readonly kind: string } {
  return { id, kind };
}

function orphanOutcome(orphaned: 'lost' | 'released', reason?: ExitReason): SettledOutcome {
  if (orphaned === 'released') return { at: 'released' };
  const cause = reason?.at === 'error' ? { cause: reason.error } : undefined;
  return { at: 'lost', error: writeErrorRecord(new Error('the worker died under the run', cause)) };
}
