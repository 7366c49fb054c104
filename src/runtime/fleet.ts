/**
 * Fleet: a topology that runs on a store.
 *
 * Closing, in order:
 *   1. `submit` refuses. Queues claim nothing more and give back what waits in mailboxes.
 *   2. Running runs may end until the deadline; then they are abandoned and their attempts given back.
 *   3. The supervision tree stops in reverse order of its start.
 *   4. What is decided is written, the store closes, and no timer is left.
 */
import { EventEmitter } from 'eventemitter3';
import { pino } from 'pino';
import type { Logger } from 'pino';
import type { BudgetSpec } from '../../actors/budget/plan.ts';
import { Host } from '../../actors/host/host.ts';
import { fifoTransport } from '../../actors/host/transport.ts';
import type { Transport } from '../../actors/host/transport.ts';
import { systemClock } from '../../actors/kernel/clock.ts';
import type { Clock } from '../../actors/kernel/clock.ts';
import type { ActorId } from '../../actors/kernel/effects.ts';
import { toErrorRecord } from '../../actors/kernel/errors.ts';
import { risingIds } from '../../actors/kernel/ids.ts';
import type { Ids } from '../../actors/kernel/ids.ts';
import { systemRandom } from '../../actors/kernel/random.ts';
import type { Random } from '../../actors/kernel/random.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import type { NewTask, Store, SubmitOutcome, TaskCounts, TaskRecord } from '../../actors/ports/store.ts';
import type { SupervisorFact } from '../../supervisors/state.ts';
import { inspectTree, isInspect } from '../inspect/inspect.ts';
import type { Inspect, Inspection } from '../inspect/inspect.ts';
import { Isolation } from '../isolation/isolation.ts';
import { isIsolated } from '../isolation/mark.ts';
import { IsolatedModuleError } from '../isolation/errors.ts';
import { checkWatchdog, Watchdog } from '../isolation/watchdog.ts';
import type { WatchdogSpec } from '../isolation/watchdog.ts';
import { memoryStore } from '../stores/memory.ts';
import type { InputOf, OutputOf } from '../topology/contract.ts';
import type { AgentMap, KindPlan, Topology } from '../topology/fleet.ts';
import { TopologyError } from '../topology/topology-error.ts';
import type { Requester } from './batcher.ts';
import { RunEngine } from './engine.ts';
import {
  FleetClosedError,
  FleetFullError,
  FleetGaveUpError,
  SubmitOptionError,
  SuspendReasonError,
  TaskConflictError,
  UnknownKindError,
} from './errors.ts';
import { Dependencies } from './dependencies.ts';
import type { DependencyLook } from './dependencies.ts';
import { announce } from './events.ts';
import type { FleetEvents, FleetStats } from './events.ts';
import { TaskHandle } from './handle.ts';
import { Health } from './health.ts';
import { PARTS } from './internals.ts';
import type { Internals } from './internals.ts';
import { Operator } from './operator.ts';
import type { SuspendReason, WorkerInfo } from './operator.ts';
import { encode, parse, sameJson } from './payload.ts';
import { Spending } from './spending.ts';
import type { BudgetLook } from './spending.ts';
import { Steering } from './steering.ts';
import type { PersonCall } from './steering.ts';
import { checkId, checkPriority } from './task-id.ts';
import { FleetTree, kindOf, queueOf } from './tree.ts';

export interface FleetOptions {
  /** Where tasks live. Default: memory, gone with the process. */
  readonly store?: Store;
  /** Default: warnings and errors to standard error, as JSON. */
  readonly logger?: Logger;
  /**
   * Shows every actor of the fleet as one tree in the XState inspector: what XState's own `inspect` takes,
   * such as `createWebSocketInspector({ url }).inspect` of `@statelyai/inspect`. It cannot hold up the
   * fleet: one that is behind misses events, one that goes on throwing is detached. Default: none.
   */
  readonly inspect?: Inspect;
  /**
   * A thread that names the run which blocks the event loop (`loop.blocked`), and can end the process.
   * Default: none. `drover run` has one.
   */
  readonly watchdog?: WatchdogSpec;
  /** Called when the meta-agent has nothing left that helps: page somebody. Default: it is logged, and told as `person.needed`. */
  readonly onPersonNeeded?: (call: PersonCall) => void;
  /** For tests and simulation; defaults are those of production. */
  readonly clock?: Clock;
  readonly random?: Random;
  readonly ids?: Ids;
  readonly transport?: Transport<never>;
}

export interface SubmitOptions {
  /** The same id is the same task, for ever. 1 to 512 characters. Default: a new random one. */
  readonly id?: string;
  /** A whole number; higher goes first. Default 0. */
  readonly priority?: number;
}

/** One of many tasks that are submitted together. */
export interface SubmitItem<In = unknown> extends SubmitOptions {
  readonly input: In;
}

export interface CloseOptions {
  /** How long running runs may go on. Default: `supervision.shutdownMs`. 0 abandons them at once. */
  readonly deadlineMs?: number;
}

type Task<K extends AgentMap, N extends keyof K> = TaskHandle<OutputOf<K[N]>>;

export class Fleet<K extends AgentMap = AgentMap> {
  readonly topology: Topology<K>;
  /** Typed events of this fleet; a listener that throws is logged and disturbs nobody. */
  readonly events = new EventEmitter<FleetEvents>();
  readonly #store: Store;
  readonly #host: Host;
  readonly #ids: Ids;
  readonly #log: Logger;
  readonly #engine: RunEngine;
  readonly #dependencies: Dependencies;
  readonly #spending: Spending;
  readonly #isolation: Isolation | undefined;
  readonly #watchdog: Watchdog | undefined;
  readonly #tree: FleetTree;
  readonly #operator: Operator;
  readonly #health: Health;
  readonly #steering: Steering;
  readonly #observe: Steering['observe'];
  /** Kinds by the address of their supervisor. */
  readonly #plans: ReadonlyMap<ActorId, KindPlan>;
  readonly #personHook: FleetOptions['onPersonNeeded'];
  readonly #inspection: Inspection | undefined;
  #closing: Promise<void> | undefined;
  #refusal: FleetClosedError | undefined;

  /** Use `startFleet`. */
  constructor(topology: Topology<K>, store: Store, options: FleetOptions, internals: Internals = {}) {
    this.topology = topology;
    this.#store = store;
    this.#ids = options.ids ?? risingIds();
    this.#log = (options.logger ?? defaultLogger()).child({ fleet: topology.name });
    const random = options.random ?? systemRandom;
    this.#personHook = options.onPersonNeeded;
    this.#plans = new Map(Object.values(topology.kinds).map((plan) => [kindOf(topology, plan.kind), plan]));
    this.#host = new Host({
      clock: options.clock ?? systemClock(),
      random: random.fork('host'),
      transport: options.transport ?? fifoTransport(),
      onCrash: (id, error) => this.#log.error({ err: error, actor: id }, 'an actor crashed'),
    });
    internals.onHost?.(this.#host);
    const { inspect } = options;
    if (inspect !== undefined) this.#inspection = inspectTree(this.#host, { root: topology.name, inspect, log: this.#log });
    if (internals.isolation !== false) this.#isolation = this.#isolate();
    if (options.watchdog !== undefined) this.#watchdog = this.#watch(options.watchdog);
    this.#steering = new Steering({
      topology,
      host: this.#host,
      store,
      operator: () => this.#operator,
      loadOf: (kind) => this.#engine.loadOf(kind),
      onDecision: (decision) => {
        this.#log.info(decision, 'the meta-agent decided');
        this.#emit('meta.decided', () => decision);
      },
      onFact: (fact) => this.#emit('meta.noted', () => ({ atMs: this.#host.clock.nowMs(), fact })),
      onScaling: (kind, replicas, why) => this.#emit('kind.scaling', () => ({ atMs: this.#host.clock.nowMs(), kind, replicas, why })),
      callPerson: (call) => this.#callPerson(call),
      openBreaker: (dependency) => this.#dependencies.breakerOf(dependency).trip(),
    });
    this.#observe = this.#steering.observe;
    const parts = { ...PARTS, ...internals.parts };
    this.#spending = new Spending({
      topology,
      host: this.#host,
      store,
      random: random.fork('budgets'),
      operator: () => this.#operator,
      whenEnded: (task, ended) => this.#engine.listen(task, { ended }),
      log: this.#log,
      events: this.events,
    });
    this.#dependencies = new Dependencies({
      topology,
      host: this.#host,
      random,
      log: this.#log,
      events: this.events,
      stats: () => this.#engine.stats,
      limiter: parts.limiter,
      budgets: this.#spending.budgets,
      beforeTry: (nowMs) => this.#engine.checkLeases(nowMs),
      observe: this.#observe,
    });
    this.#engine = new RunEngine({
      topology,
      store,
      host: this.#host,
      random: random.fork('engine'),
      events: this.events,
      log: this.#log,
      queueOf: (kind) => queueOf(topology, kind),
      callsOf: (name) => this.#dependencies.callsOf(name),
      scopesOf: (plan, worker, task) => this.#spending.scopesOf(plan, worker, task),
      parking: internals.parking ?? true,
      isolation: this.#isolation,
      watchdog: this.#watchdog,
      observe: this.#observe,
      onFatal: (error) => this.#fail(error),
    });
    this.#health = new Health({
      host: this.#host,
      random: random.fork('health'),
      callsOf: (name) => this.#dependencies.callsOf(name),
      logOf: (worker) => this.#log.child({ worker }),
      resume: (worker, reason) => void this.#operator.resume(worker, reason).catch(() => {}),
      onChecked: (worker, error) =>
        this.#emit('worker.checked', () => ({
          atMs: this.#host.clock.nowMs(),
          worker,
          error: error === undefined ? null : toErrorRecord(error),
        })),
    });
    this.#tree = new FleetTree({
      topology,
      host: this.#host,
      parts,
      performQueue: (plan, effect) => this.#engine.perform(plan, effect),
      onQueueRestart: (plan) => this.#engine.queueRestarted(plan),
      limiters: this.#dependencies.children(),
      steering: this.#steering.children(),
      onFact: (supervisor, fact) => this.#noted(supervisor, fact),
    });
    this.#operator = new Operator({
      topology,
      host: this.#host,
      engine: this.#engine,
      tree: this.#tree,
      onRemoved: (worker, kind) => this.#observe?.({ type: 'worker.removed', atMs: this.#host.clock.nowMs(), worker, kind }),
    });
    void this.#tree.ended.then((reason) => {
      if (this.#closing === undefined) this.#fail(reason.at === 'error' ? reason.error : new FleetGaveUpError(topology.name));
    });
  }

  /** Resolves when every actor runs. */
  async started(): Promise<void> {
    await this.#tree.started;
    this.#engine.open();
    this.#steering.open();
    this.#spending.open();
  }

  /** Sums since the start. */
  get stats(): FleetStats {
    return { ...this.#engine.stats };
  }

  /** What runs now: runs that are not over, tasks under lease, actors. */
  get load(): { readonly running: number; readonly held: number; readonly actors: number } {
    return { running: this.#engine.running, held: this.#engine.held, actors: this.#host.actorCount };
  }

  /**
   * Submits a task. Resolves when the store has it, synced: from then on it ends exactly once,
   * whatever crashes. The same id with the same input gives the same task.
   *
   * @throws PayloadInvalidError, PayloadNotJsonError, PayloadTooLargeError before anything is stored
   * @throws UnknownKindError, SubmitOptionError, TaskConflictError, FleetFullError, FleetClosedError
   * @throws what the store rejects with; the task may then be there or not, submit the same id again
   */
  submit<N extends keyof K & string>(kind: N, input: InputOf<K[N]>, options: SubmitOptions = {}): Promise<Task<K, N>> {
    return new Promise((resolve, reject) => {
      checkOptions(options, SUBMIT_OPTIONS);
      const task = this.#taskOf(this.#planOf(kind), input, options);
      this.#submit(task, resolve as (handle: TaskHandle) => void, reject);
    });
  }

  /**
   * Submits many tasks of one kind, in order. Resolves with a handle for each when the store has them
   * all, synced. Cheaper than as many `submit`s, and one to await instead of many.
   *
   * All are checked before any is stored. Stored they are some hundreds at a time: when one is
   * refused, those beside it may be there. With ids of your own, submitting them all again is safe.
   *
   * @throws as `submit`; of several refusals the first
   * @example
   * const handles = await fleet.submitMany('triage', mails.map(({ id }) => ({ id: `mail-${id}`, input: { mailId: id } })));
   * const results = await Promise.all(handles.map((handle) => handle.result()));
   */
  submitMany<N extends keyof K & string>(kind: N, items: readonly SubmitItem<InputOf<K[N]>>[]): Promise<Task<K, N>[]> {
    return new Promise((resolve, reject) => {
      const plan = this.#planOf(kind);
      const tasks = items.map((item) => {
        checkOptions(item, SUBMIT_FIELDS);
        return this.#taskOf(plan, item.input, item);
      });
      let left = tasks.length;
      const accepted = (): void => {
        left -= 1;
        if (left === 0) resolve(handles as Task<K, N>[]);
      };
      const handles = tasks.map((task) => this.#submit(task, accepted, reject));
      if (left === 0) resolve([]);
    });
  }

  /** The task as the store has it, or undefined. */
  async task(id: string): Promise<TaskRecord | undefined> {
    return (await this.#store.get([id]))[0];
  }

  /** How many tasks are where, by kind. */
  counts(): Promise<Readonly<Record<string, TaskCounts>>> {
    return this.#store.counts();
  }

  /** Tasks in order of arrival, e.g. the dead ones. */
  tasks(query: Parameters<Store['list']>[0]): ReturnType<Store['list']> {
    return this.#store.list(query);
  }

  /** Every worker, or those of one kind: where it is, and why it is suspended. */
  workers(kind?: keyof K & string): Promise<readonly WorkerInfo[]> {
    return this.#operator.workers(kind);
  }

  /**
   * Suspends a worker for a reason. Its run parks at the next safe point, and may be gone on with by
   * another worker of the kind. Resolves when the worker holds nothing any more.
   *
   * `health`, `quality` and `intensity` are cleared by a passed health check, the others by whoever
   * gave them. A worker resumes when it has no reason left.
   *
   * @throws UnknownWorkerError, SuspendReasonError, FleetClosedError
   */
  async suspend(worker: string, reason: SuspendReason = 'operator'): Promise<void> {
    return this.#operator.suspend(worker, checkReason(reason));
  }

  /** What a dependency admits now: its limiter, its breaker, who waits. @throws UnknownDependencyError */
  dependency(name: string): Promise<DependencyLook> {
    return this.#dependencies.look(name);
  }

  /**
   * Opens the breaker of a dependency by hand: nobody calls it until every isolation has been released.
   * Returns what releases this one, once.
   *
   * @throws UnknownDependencyError
   */
  isolate(dependency: string): () => void {
    return this.#dependencies.breakerOf(dependency).isolate();
  }

  /** Closes the breaker of a dependency, whatever it was, and ends every isolation. @throws UnknownDependencyError */
  resetBreaker(dependency: string): void {
    this.#dependencies.breakerOf(dependency).reset();
  }

  /** Every budget that is in use, with what is spent of it. */
  budgets(): readonly BudgetLook[] {
    return this.#spending.look();
  }

  /**
   * Gives a budget another limit, e.g. `fleet`, `kind:triage`, or as `budget.exhausted` names it. Whoever is suspended for it
   * goes on, if there is room now.
   *
   * @throws BudgetInputError
   */
  raiseBudget(scope: string, budget: BudgetSpec): void {
    this.#spending.raise(scope, budget);
  }

  /** Takes a reason away. The last one gone, the worker starts with a clean slate. */
  async resume(worker: string, reason: SuspendReason = 'operator'): Promise<void> {
    return this.#operator.resume(worker, checkReason(reason));
  }

  /** Gives a worker a new incarnation, at a safe point of its run. No restart is counted. */
  restart(worker: string): Promise<void> {
    return this.#operator.restart(worker);
  }

  /**
   * Gives a kind so many workers, within its `replicas`.
   *
   * @throws ReplicasError, UnknownWorkerError, FleetClosedError
   */
  scale(kind: keyof K & string, replicas: number): Promise<void> {
    return this.#operator.scale(kind, replicas);
  }

  /** Closes in order. Safe to call more than once; the store is closed too. */
  close(options: CloseOptions = {}): Promise<void> {
    this.#refusal ??= new FleetClosedError(this.topology.name);
    this.#closing ??= this.#close(options.deadlineMs ?? this.topology.supervision.shutdownMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #planOf(kind: string): KindPlan {
    if (this.#refusal !== undefined) throw this.#refusal;
    const { kinds } = this.topology;
    if (!Object.hasOwn(kinds, kind)) throw new UnknownKindError(kind, Object.keys(kinds));
    return kinds[kind]!;
  }

  #taskOf({ kind, agent, names }: KindPlan, input: unknown, { id, priority }: SubmitOptions): NewTask {
    parse(agent.input, input, names.input);
    return this.#engine.newTask(kind, encode(input, names.input, this.topology.bounds.payloadBytes), {
      id: id === undefined ? this.#ids() : checkId(id),
      priority: checkPriority(priority ?? 0),
      depth: 0,
    });
  }

  #submit(task: NewTask, accepted: (handle: TaskHandle) => void, refused: (error: unknown) => void): TaskHandle {
    const handle = new TaskHandle(task.id, task.kind);
    // Listening begins before the store can answer: the task may end before we hear of its acceptance.
    this.#engine.listen(task.id, handle);
    this.#engine.submit(task, new Submission(this.#engine, handle, task.input, accepted, refused));
    return handle;
  }

  async #close(deadlineMs: number): Promise<void> {
    try {
      this.#health.close();
      this.#steering.close();
      await this.#engine.drain(deadlineMs);
      this.#tree.stop();
      await this.#tree.ended;
    } finally {
      await this.#letGo();
    }
  }

  async #letGo(): Promise<void> {
    this.#health.close();
    this.#steering.close();
    this.#engine.close(this.#refusal);
    // Nothing outlives the fleet, and the host's timers are needed to see to it.
    if (this.#isolation !== undefined) await this.#isolation.close();
    if (this.#watchdog !== undefined) await this.#watchdog.close();
    // What calls in flight had reserved is settled by now; what is left goes back to the store.
    await this.#spending.close();
    this.#host.close();
    this.#inspection?.close();
    await this.#store.close();
  }

  /** The fleet cannot go on: everything stops at once, and what was accepted is safe in the store. */
  #fail(error: unknown): void {
    if (this.#closing !== undefined) return;
    this.#refusal = new FleetClosedError(this.topology.name, { cause: error });
    this.#log.fatal({ err: error }, 'the fleet cannot go on');
    this.#closing = this.#letGo().catch((cause: unknown) => this.#log.error({ err: cause }, 'the store did not close'));
    this.#emit('fleet.failed', () => ({ atMs: this.#host.clock.nowMs(), error: toErrorRecord(error) }));
  }

  #isolate(): Isolation | undefined {
    return Isolation.of({
      topology: this.topology,
      host: this.#host,
      onStray: (worker, error) =>
        this.#log.warn({ err: error, worker }, 'in an isolated worker a promise was rejected and nobody looked at it'),
    });
  }

  #watch(spec: WatchdogSpec): Watchdog {
    return new Watchdog(spec, {
      fleet: this.topology.name,
      host: this.#host,
      onBlocked: (blocked) => {
        const { run, blockedMs, known, stack } = blocked;
        this.#log.warn({ ...run, blockedMs, known, ...(stack[0] === undefined ? {} : { stack: stack[0] }) }, 'the event loop was blocked');
        const atMs = this.#host.clock.nowMs();
        if (run !== null) this.#observe?.({ type: 'loop.blocked', atMs, worker: run.worker, kind: run.kind, ms: blockedMs });
        this.#emit('loop.blocked', () => ({ atMs, ...blocked }));
      },
      onFailed: (error) => this.#log.error({ err: error }, 'the watchdog of the event loop failed'),
    });
  }

  #callPerson(call: PersonCall): void {
    this.#log.error(call, 'a person is needed');
    this.#emit('person.needed', () => ({ atMs: this.#host.clock.nowMs(), ...call }));
    try {
      this.#personHook?.(call);
    } catch (error) {
      this.#log.error({ err: error }, 'the hook that calls a person threw');
    }
  }

  #noted(supervisor: ActorId, fact: SupervisorFact): void {
    const atMs = this.#host.clock.nowMs();
    const worker = `${supervisor}/${fact.child}`;
    const plan = this.#plans.get(supervisor);
    switch (fact.at) {
      case 'started':
        if (plan !== undefined) {
          // Also when its kind starts anew, and its suspension is forgotten.
          this.#health.started(worker);
          this.#observe?.({ type: 'worker.started', atMs, worker, kind: plan.kind });
        }
        return this.#emit('worker.started', () => ({ atMs, worker, incarnation: fact.life }));
      case 'ended':
        return this.#emit('worker.ended', () => ({ atMs, worker, incarnation: fact.life, reason: fact.reason }));
      case 'restarting':
        this.#engine.stats.restarts += 1;
        return this.#emit('worker.restarting', () => ({ atMs, worker, inMs: fact.inMs }));
      case 'suspended':
        this.#log.warn({ worker, reasons: fact.reasons }, 'a worker is suspended');
        if (plan !== undefined) {
          this.#engine.parkRuns(worker);
          this.#health.suspended(plan, worker, fact.reasons);
          this.#observe?.({ type: 'worker.suspended', atMs, worker, kind: plan.kind });
        }
        return this.#emit('worker.suspended', () => ({ atMs, worker, reasons: fact.reasons }));
      case 'resumed':
        this.#health.resumed(worker);
        return this.#emit('worker.resumed', () => ({ atMs, worker }));
      case 'stop-error':
        return this.#log.warn({ worker, ...fact }, 'did not stop as it was told to');
      case 'intensity-exceeded': {
        this.#log.error({ supervisor, ...fact }, 'a supervisor gave up');
        const { child, intensity, periodMs } = fact;
        return this.#emit('supervisor.gave-up', () => ({ atMs, supervisor, child, intensity, periodMs }));
      }
      case 'auto-shutdown':
    }
  }

  #emit<N extends keyof FleetEvents>(name: N, event: () => Parameters<FleetEvents[N]>[0]): void {
    announce(this.events, this.#log, name, event);
  }
}

/** A submitted task on its way into the store. */
class Submission implements Requester<SubmitOutcome> {
  readonly #engine: RunEngine;
  readonly #handle: TaskHandle;
  readonly #input: string;
  readonly #resolve: (handle: TaskHandle) => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    engine: RunEngine,
    handle: TaskHandle,
    input: string,
    resolve: (handle: TaskHandle) => void,
    reject: (error: unknown) => void,
  ) {
    this.#engine = engine;
    this.#handle = handle;
    this.#input = input;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  replied(outcome: SubmitOutcome): void {
    if (outcome.at === 'accepted') return this.#resolve(this.#handle);
    if (outcome.at !== 'known') return this.failed(new FleetFullError(outcome.at === 'full' ? outcome.limit : 0));
    const { task } = outcome;
    const { id, kind } = this.#handle;
    if (task.kind !== kind || !sameJson(task.input, this.#input)) return this.failed(new TaskConflictError(id, kind, task));
    if (isTerminal(task.status)) {
      this.#engine.forget(id, this.#handle);
      this.#handle.ended({ id, place: '', status: task.status, result: task.result, error: task.error });
    }
    this.#resolve(this.#handle);
  }

  failed(error: unknown): void {
    this.#engine.forget(this.#handle.id, this.#handle);
    this.#reject(error);
  }
}

/**
 * Starts a topology on a store. Resolves when the store is owned and every actor runs; tasks that a
 * former owner left go on at once.
 *
 * @throws what the store refuses with (`DROVER_STORE_*`): it has not been changed then
 * @throws IsolatedModuleError in the thread or process of an isolated worker, whose module must not start a fleet
 * @example
 * await using fleet = await startFleet(topology, { store: sqlite('inbox.db') });
 * const handle = await fleet.submit('triage', { mailId: '17' }, { id: 'mail-17' });
 * const { label } = await handle.result();
 */
export function startFleet<K extends AgentMap>(topology: Topology<K>, options: FleetOptions = {}): Promise<Fleet<K>> {
  return startFleetWith(topology, options, {});
}

/** For the testing kit. */
export async function startFleetWith<K extends AgentMap>(
  topology: Topology<K>,
  options: FleetOptions,
  internals: Internals,
): Promise<Fleet<K>> {
  if ((topology as { is?: unknown } | null | undefined)?.is !== 'topology') {
    throw new TopologyError({ path: ['startFleet', 'topology'], value: topology, expected: 'a topology, made by defineFleet(...)' });
  }
  if (options.inspect !== undefined && !isInspect(options.inspect)) {
    const expected = 'a function or an observer, as XState takes them, such as createWebSocketInspector({ url }).inspect';
    throw new TopologyError({ path: ['startFleet', 'inspect'], value: options.inspect, expected });
  }
  if (options.watchdog !== undefined) checkWatchdog(options.watchdog);
  if (isIsolated()) {
    const why = 'it starts a fleet while an isolated worker of one loads it; keep the topology in a module that only exports it';
    throw new IsolatedModuleError(topology.module ?? topology.name, why);
  }
  const store = options.store ?? memoryStore();
  if (typeof (store as { open?: unknown } | null)?.open !== 'function') {
    throw new TopologyError({ path: ['startFleet', 'store'], value: store, expected: 'a store, such as sqlite(...) or memoryStore()' });
  }
  const clock = options.clock ?? systemClock();
  await store.open({ nowMs: clock.nowMs(), maxUnfinished: topology.bounds.unfinished });
  const fleet = new Fleet(topology, store, { ...options, clock }, internals);
  try {
    await fleet.started();
  } catch (error) {
    await fleet.close({ deadlineMs: 0 });
    throw error;
  }
  return fleet;
}

const SUSPEND_REASONS = ['budget', 'health', 'quality', 'intensity', 'operator'];

function checkReason(reason: SuspendReason): SuspendReason {
  if (SUSPEND_REASONS.includes(reason)) return reason;
  throw new SuspendReasonError(reason, SUSPEND_REASONS);
}

const SUBMIT_OPTIONS = ['id', 'priority'];
const SUBMIT_FIELDS = ['input', ...SUBMIT_OPTIONS];

function checkOptions(options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw new SubmitOptionError('options', 'an object, such as { id }', options);
  for (const name in options) {
    if (!known.includes(name)) {
      throw new SubmitOptionError(name, `no such option; there are ${known.join(', ')}`, (options as Record<string, unknown>)[name]);
    }
  }
}

function defaultLogger(): Logger {
  const redact = { paths: ['*.apiKey', '*.authorization', '*.headers.authorization', '*.password', '*.token'], censor: '[redacted]' };
  return pino({ name: 'drover', level: process.env['DROVER_LOG'] ?? 'warn', redact }, pino.destination({ fd: 2, sync: true }));
}
