/**
 * Engine: performs what queues decide. It claims, starts and settles tasks at the store, begins and
 * ends runs, and keeps their leases. Each idea of it has a file of its own in `engine/`.
 *
 *     queue.claim ─▶ store.claim ─▶ queue.claimed        queue.start ─▶ store.start ─▶ a run
 *     a run is over ─▶ queue.ended (its worker is free)  and ─▶ store.settle (its task is safe)
 */
import type { Logger } from 'pino';
import type { ActorId, Message, OwnEffect } from '../../actors/kernel/effects.ts';
import { invariant } from '../../actors/kernel/errors.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { Held, NewTask, SettledOutcome, SubmitOutcome, TaskEvent } from '../../actors/ports/store.ts';
import type { QueueEffect } from '../../actors/queue.ts';
import type { Calls } from '../admission/calls.ts';
import type { Isolation } from '../isolation/isolation.ts';
import type { Watchdog } from '../isolation/watchdog.ts';
import type { KindPlan, Topology } from '../topology/fleet.ts';
import { Batcher } from './batcher.ts';
import type { Requester } from './batcher.ts';
import { EngineCore, refOf } from './engine/core.ts';
import { Endings } from './engine/endings.ts';
import type { TaskListener } from './engine/listeners.ts';
import type { EngineOptions } from './engine/options.ts';
import { RunRequests } from './engine/requests.ts';
import { Settlements } from './engine/settlements.ts';
import type { Rest } from './engine/settlements.ts';
import { Starts } from './engine/starts.ts';
import { Upkeep } from './engine/upkeep.ts';
import type { FleetStats } from './events.ts';
import type { Run } from './run.ts';
import type { LeftAside } from './run/left-aside.ts';
import { DeadlinePassedError } from './run/errors.ts';
import { writeErrorRecord } from './task-error.ts';

export type { TaskListener } from './engine/listeners.ts';
export type { EngineOptions } from './engine/options.ts';

/** What a closing fleet cannot write within this is left to the next owner of the store. */
const LONGEST_FLUSH_MS = 5_000;

export class RunEngine {
  readonly random: Random;
  readonly bounds: Topology['bounds'];
  readonly maxBytes: number;
  readonly parking: boolean;
  readonly isolation: Isolation | undefined;
  readonly watchdog: Watchdog | undefined;
  /** What runs ask of the store. */
  readonly requests: RunRequests;
  readonly stats: { -readonly [K in keyof FleetStats]: FleetStats[K] };
  readonly #options: EngineOptions;
  readonly #core: EngineCore;
  readonly #upkeep: Upkeep;
  readonly #settlements: Settlements;
  readonly #starts: Starts;
  readonly #submits: Batcher<NewTask, SubmitOutcome>;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.random = options.random;
    this.bounds = options.topology.bounds;
    this.maxBytes = this.bounds.payloadBytes;
    this.parking = options.parking;
    this.isolation = options.isolation;
    this.watchdog = options.watchdog;
    const { host, random, onFatal } = options;
    const core = new EngineCore(options);
    this.#core = core;
    this.stats = core.stats;
    const batching = { host, random, onRetry: (error: unknown) => core.storeRetries(error), onFatal };
    const endings = new Endings(core, (id) => this.#upkeep.isSure(id));
    this.#upkeep = new Upkeep(
      core,
      endings,
      (run, error) => this.rejected(run, error),
      (held, why) => this.letGo(held, why),
    );
    this.#settlements = new Settlements(core, batching, endings, () => this.#upkeep);
    this.#starts = new Starts(this, core, batching, this.#settlements, this.#upkeep);
    this.#submits = new Batcher(async (tasks) => this.#submitAll(tasks), batching);
    this.requests = new RunRequests(core, batching);
  }

  nowMs(): number {
    return this.#core.nowMs();
  }

  alarm(inMs: number, fire: () => void): () => void {
    return this.#core.alarm(inMs, fire);
  }

  callsOf(dependency: string): Calls {
    return this.#options.callsOf(dependency);
  }

  scopesOf(plan: KindPlan, worker: ActorId, task: string): readonly string[] {
    return this.#options.scopesOf(plan, worker, task);
  }

  planOf(kind: string): KindPlan {
    const plan = this.#options.topology.kinds[kind];
    invariant(plan !== undefined, `kind ${kind} was checked before`);
    return plan;
  }

  /** Runs that have begun and are not over. */
  get running(): number {
    return this.#core.running;
  }

  /** Tasks under lease here, running or not. */
  get held(): number {
    return this.#core.leases.size;
  }

  /** Keeps leases from now on. */
  open(): void {
    this.#upkeep.open();
  }

  /** Looks for due tasks and schedules, now and again and again. */
  sweep(): void {
    this.#upkeep.sweep();
  }

  // ── Tasks ────────────────────────────────────────────────────────────────────────────────────

  /** A task from outside, or a child of a run. One that cannot take a failure is sent again until the store has answered. */
  submit(task: NewTask, from: Requester<SubmitOutcome>): void {
    this.#submits.add(task, from);
  }

  /** Tells `listener` once when the task is terminal. Returns what forgets it. */
  onTaskEnded(id: string, listener: TaskListener): () => void {
    this.listen(id, listener);
    return () => this.forget(id, listener);
  }

  listen(id: string, listener: TaskListener): void {
    this.#core.listeners.listen(id, listener);
  }

  forget(id: string, listener: TaskListener): void {
    this.#core.listeners.forget(id, listener);
  }

  /** Those kinds may have got something to claim. */
  ready(kinds: Iterable<string>): void {
    this.#core.ready(kinds);
  }

  /** What waits in the mailboxes of a kind goes back to the store, and nothing more is asked of it, until `openKind`. */
  shutKind(kind: string): void {
    this.#core.tellQueue(kind, { type: 'queue.drain' }, 'control');
  }

  openKind(kind: string): void {
    // A fleet that closes begins nothing more.
    if (!this.#core.isClosing) this.#core.tellQueue(kind, { type: 'queue.reopen' }, 'control');
  }

  /** Looks for due tasks and schedules at `atMs`, or earlier when that is planned already. */
  sweepBy(atMs: number): void {
    this.#upkeep.sweepBy(atMs);
  }

  /** Those tasks may have ended elsewhere: they are looked up, and whoever waits for them is told. */
  lookAgain(ids: readonly string[], awaited = false): void {
    this.#upkeep.lookAgain(ids, awaited);
  }

  /** The task has been told of an event: should it run here, its run takes it at once. */
  told(id: string, event: TaskEvent): void {
    const lease = this.#core.leases.of(id);
    if (lease === undefined) return;
    // The start may have been answered before, and be on its way.
    if (lease.run === undefined) (lease.told ??= []).push(event);
    else lease.run.told(event);
  }

  /**
   * An operator wants the task, which is held here: its run lets go at its next safe point, at the latest when the
   * time that workers have to stop is over; in a mailbox or on its way it does not begin. Then the store does what
   * was noted. Nothing when it is not held any more.
   */
  letGo(held: Held, why: 'cancelled' | 'paused'): void {
    const core = this.#core;
    const lease = core.leases.get(held);
    if (lease === undefined) return;
    const { task, plan, run } = lease;
    if (run === undefined) {
      core.tellQueue(plan.kind, { type: 'queue.revoked', tasks: [{ id: task.id, fence: task.fence }] });
      return this.#starts.release(task, { at: 'released' }, (reply) => {
        if (why === 'paused' && reply.at === 'settled' && reply.status === 'parked') core.paused(task);
      });
    }
    // One that is over has its settlement on the way.
    run.letGoWithin(this.#options.topology.supervision.shutdownMs, why, () => {
      if (!core.abandon(run, why)) return;
      core.slotFree(plan, task);
      this.#settlements.settle(task, { at: 'released' }, run);
    });
  }

  // ── What queues want done ────────────────────────────────────────────────────────────────────

  perform(plan: KindPlan, own: OwnEffect): void {
    const effect = own as QueueEffect;
    switch (effect.type) {
      case 'queue.claim':
        return this.#starts.claim(plan, effect);
      case 'queue.start':
        for (const start of effect.starts) this.#starts.start(plan, start);
        return;
      case 'queue.release':
        for (const task of effect.tasks) this.#starts.release(task);
        return;
      case 'queue.spill':
        return this.#starts.spill(plan, effect.worker, effect.tasks);
      case 'queue.unbox':
        return this.#starts.unbox(plan, effect.worker);
      case 'queue.orphan':
        for (const task of effect.tasks) this.#starts.orphan(task, effect.reason);
        return;
      case 'queue.stole':
        this.stats.stolen += effect.count;
        this.#core.emit('mailbox.stolen', () => ({
          atMs: this.nowMs(),
          thief: effect.thief,
          victim: effect.victim,
          count: effect.count,
        }));
        return;
      default:
        invariant(false, `a queue has no effect ${effect.type}`);
    }
  }

  /** A queue's actor was started again and has forgotten its mailboxes: everything of the kind goes back. */
  queueRestarted(plan: KindPlan): void {
    const core = this.#core;
    if (core.isClosing) core.tellQueue(plan.kind, { type: 'queue.drain' }, 'control');
    this.#starts.unboxAll(plan);
    for (const lease of [...core.leases]) {
      if (lease.plan !== plan) continue;
      if (lease.run === undefined) this.#starts.release(lease.task);
      else if (core.abandon(lease.run, 'worker-gone')) this.#settlements.settle(lease.task, { at: 'released' });
    }
  }

  /**
   * Before an effect: a process that stood still past its tick may have lost leases without having
   * seen it. Their runs are abandoned now, before they act for a task that somebody else holds.
   */
  checkLeases(nowMs: number): void {
    if (this.#upkeep.isLate(nowMs)) this.#upkeep.loseExpired(nowMs);
  }

  // ── What runs want done ──────────────────────────────────────────────────────────────────────

  /** The run has done something that gets it on: it told progress, or made a step. */
  operated({ worker, task }: Run): void {
    this.#options.observe?.({ type: 'operation', atMs: this.nowMs(), worker, kind: task.kind, task: task.id, progressed: true });
  }

  /** Runs of a kind that go on, and how many of those only wait for admission. */
  loadOf(kind: string): { readonly running: number; readonly waitingForAdmission: number } {
    let running = 0;
    let waitingForAdmission = 0;
    for (const { plan, run } of this.#core.leases) {
      if (plan.kind !== kind || run === undefined || run.over !== undefined) continue;
      running += 1;
      if (run.waitsForAdmission) waitingForAdmission += 1;
    }
    return { running, waitingForAdmission };
  }

  progressed(run: Run, done: number, total: number | undefined): void {
    const of = total === undefined ? {} : { total };
    this.#core.emit('task.progressed', () => ({ ...refOf(run.claimed), atMs: this.nowMs(), done, ...of }));
  }

  /** `places`: what the code of another version has brought, and this run has not come by before it did `did`, or completed. */
  leftAside(
    { claimed, plan }: Pick<Run, 'claimed' | 'plan'>,
    { version: of }: LeftAside,
    places: readonly string[],
    did: string | null,
  ): void {
    if (places.length === 0) return;
    const { version } = plan;
    const facts = { ...refOf(claimed), version, of, places, did };
    const what =
      'a task goes on under another version of its kind without what that has brought; what has only got another name is done twice';
    this.#options.log.warn(facts, what);
    this.#core.emit('task.left-aside', () => ({ ...facts, atMs: this.nowMs() }));
  }

  logger(run: Run): Logger {
    return this.#options.log.child({ task: run.task.id, kind: run.task.kind, attempt: run.task.attempt, worker: run.worker });
  }

  /** Whether the task of a run that is rejected is tried again, and when. */
  restOf(run: Run): Rest {
    return this.#settlements.restOf(run);
  }

  /** The run threw or rejected, or could not be undone: an outcome of the task, as its kind says. */
  rejected(run: Run, error: unknown): void {
    run.abandon('ended');
    const outcome = this.#settlements.outcomeOf(run, error);
    this.ended(run, outcome);
    if (run.plan.onRejection === 'restart') this.#options.host.send(run.worker, { type: 'worker.fail', error } as Message);
  }

  /** The task's deadline has come while it runs. */
  deadlinePassed(run: Run): void {
    const { id, deadlineMs } = run.claimed;
    if (!run.abandon('deadline')) return;
    this.ended(run, { at: 'failed', error: writeErrorRecord(new DeadlinePassedError({ id, deadlineMs: deadlineMs! })) });
  }

  /** The run is over: its worker is free now, its task is safe once the store has settled it. */
  ended(run: Run, outcome: SettledOutcome): void {
    const { at } = outcome;
    this.#core.observeEnd(run, at === 'completed' ? at : at === 'parked' || at === 'released' ? 'parked' : 'rejected');
    this.#core.runOver();
    this.#core.slotFree(run.plan, run.claimed);
    this.#settlements.settle(run.claimed, outcome, run);
  }

  /** The store says that somebody else holds the task now. */
  leaseLost(run: Run): void {
    const lease = this.#core.leases.get(run.claimed);
    if (lease !== undefined) this.#upkeep.lose(lease);
  }

  // ── Suspending ───────────────────────────────────────────────────────────────────────────────

  /** The worker is being suspended: its runs park at their next safe points, those that have yet to begin too. */
  yieldRuns(worker: ActorId, withinMs: number): void {
    const incarnation = this.#options.host.incarnationOf(worker);
    if (incarnation === undefined) return;
    this.#starts.yields(worker, incarnation, this.nowMs() + withinMs);
    for (const { run } of [...this.#core.leases]) if (run?.worker === worker) run.yieldWithin(withinMs);
  }

  /** The worker is suspended: should it have been killed for being late, its runs park without it. */
  parkRuns(worker: ActorId): void {
    for (const { run } of [...this.#core.leases]) if (run?.worker === worker) run.parkNow();
  }

  // ── Closing ──────────────────────────────────────────────────────────────────────────────────

  /** Starts nothing more and waits until every run is over; after `deadlineMs` they are abandoned, their attempts given back. */
  async drain(deadlineMs: number): Promise<void> {
    const core = this.#core;
    core.isClosing = true;
    const deadlineAtMs = this.nowMs() + deadlineMs;
    for (const kind of Object.keys(this.#options.topology.kinds)) core.tellQueue(kind, { type: 'queue.drain' }, 'control');
    await this.#until(deadlineAtMs, Promise.all([this.#submits.idle(), this.#starts.idle()]));
    await this.#until(
      deadlineAtMs,
      new Promise<void>((resolve) => {
        if (core.running === 0) resolve();
        else core.whenIdle = resolve;
      }),
    );
    for (const lease of [...core.leases]) {
      // A start on its way is too late: its run does not begin, and its worker does not wait for a store that may not answer.
      if (lease.run === undefined) lease.orphaned ??= 'released';
      if (lease.run !== undefined && !core.abandon(lease.run, 'shutdown')) continue;
      core.slotFree(lease.plan, lease.task);
      if (lease.run === undefined) continue;
      this.#settlements.settle(lease.task, { at: 'released' });
    }
    await this.#until(this.nowMs() + LONGEST_FLUSH_MS, this.#flush());
  }

  /** Stops everything at once. What the store has not settled, its next owner takes back. */
  close(error: unknown): void {
    const core = this.#core;
    core.isClosed = true;
    this.#upkeep.close();
    this.#starts.close();
    this.#settlements.close();
    this.#submits.close();
    this.requests.close();
    for (const lease of [...core.leases]) lease.run?.abandon('shutdown');
    core.listeners.close(error);
  }

  /** Waits for `work`, but no longer than until `atMs`. */
  async #until(atMs: number, work: Promise<unknown>): Promise<void> {
    const late = Promise.withResolvers<void>();
    const cancel = this.#options.host.alarm(atMs, late.resolve);
    await Promise.race([work, late.promise]);
    cancel();
  }

  async #flush(): Promise<void> {
    // A mailbox that was given back may still be on its way through the queue.
    for (let round = 0; round < 3; round += 1) {
      await Promise.all([this.#submits.idle(), this.#starts.idle(), this.requests.idle(), this.#settlements.idle()]);
    }
  }

  async #submitAll(tasks: readonly NewTask[]): Promise<readonly SubmitOutcome[]> {
    const outcomes = await this.#core.store.submit(tasks, this.nowMs());
    const ready = new Set<string>();
    for (let at = 0; at < tasks.length; at += 1) {
      if (outcomes[at]!.at !== 'accepted') continue;
      ready.add(tasks[at]!.kind);
      this.#settlements.submitted(tasks[at]!);
    }
    this.#core.ready(ready);
    return outcomes;
  }
}
