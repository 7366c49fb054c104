/**
 * Machinery: the parts of a running fleet and how they hold on to each other. `Fleet` is what a user has of it.
 *
 * Closing, in order:
 *   1. `submit` refuses. Queues claim nothing more and give back what waits in mailboxes.
 *   2. Running runs may end until the deadline; then they are abandoned and their attempts given back.
 *   3. The supervision tree stops in reverse order of its start.
 *   4. What is decided is written, the store closes, and no timer is left.
 */
import { EventEmitter } from 'eventemitter3';
import type { Logger } from 'pino';
import { Host } from '../../actors/host/host.ts';
import { fifoTransport } from '../../actors/host/transport.ts';
import { systemClock } from '../../actors/kernel/clock.ts';
import type { ActorId } from '../../actors/kernel/effects.ts';
import { toErrorRecord } from '../../actors/kernel/errors.ts';
import { risingIds } from '../../actors/kernel/ids.ts';
import { systemRandom } from '../../actors/kernel/random.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { Store } from '../../actors/ports/store.ts';
import { inspectTree } from '../inspect/inspect.ts';
import type { Inspection } from '../inspect/inspect.ts';
import { Isolation } from '../isolation/isolation.ts';
import { Watchdog } from '../isolation/watchdog.ts';
import type { WatchdogSpec } from '../isolation/watchdog.ts';
import type { KindPlan, Topology } from '../topology/fleet.ts';
import { machines } from '../topology/machine.ts';
import { Dependencies } from './dependencies.ts';
import { RunEngine } from './engine.ts';
import { FleetClosedError, FleetGaveUpError, UnknownKindError } from './errors.ts';
import { announce } from './events.ts';
import type { FleetEvents } from './events.ts';
import { noteFact } from './facts.ts';
import { Health } from './health.ts';
import { PARTS } from './internals.ts';
import type { Internals } from './internals.ts';
import { Kinds } from './kinds.ts';
import { Operator } from './operator.ts';
import type { FleetOptions } from './options.ts';
import { refusingStore } from './refusing-store.ts';
import { Schedules } from './schedules.ts';
import { SharedState } from './shared-state.ts';
import { Signals } from './signals.ts';
import { Spending } from './spending.ts';
import { Steering } from './steering.ts';
import type { PersonCall } from './steering.ts';
import { Submissions } from './submissions.ts';
import { Tasks } from './tasks.ts';
import { runMachine } from './machine/machine-run.ts';
import { MachineViews } from './machine/views.ts';
import { FleetTree, kindOf, queueOf } from './tree.ts';

export class Machinery {
  readonly topology: Topology;
  readonly events = new EventEmitter<FleetEvents>();
  /** For whoever looks or steers: when the fleet could not go on, it says why. */
  readonly store: Store;
  readonly host: Host;
  readonly engine: RunEngine;
  readonly dependencies: Dependencies;
  readonly spending: Spending;
  readonly operator: Operator;
  readonly submissions: Submissions;
  readonly tasks: Tasks;
  readonly kinds: Kinds;
  readonly signals: Signals;
  readonly schedules: Schedules;
  readonly state: SharedState;
  /** What the machinery itself works with, to the end. */
  readonly #store: Store;
  readonly #log: Logger;
  readonly #isolation: Isolation | undefined;
  readonly #watchdog: Watchdog | undefined;
  readonly #tree: FleetTree;
  readonly #health: Health;
  readonly #steering: Steering;
  readonly #personHook: FleetOptions['onPersonNeeded'];
  readonly #inspection: Inspection | undefined;
  readonly #onUnheard: Internals['onUnheard'];
  readonly #ended = Promise.withResolvers<void>();
  /** Somebody waits for its end, and hears how that was. At first it is whoever starts the fleet. */
  #isAwaited = true;
  #closing: Promise<void> | undefined;
  #refusal: FleetClosedError | undefined;
  #failure: FleetClosedError | undefined;

  /** `epoch`: grows with each opening of the store. */
  constructor(
    topology: Topology,
    store: Store,
    options: FleetOptions & { readonly logger: Logger; readonly epoch: number },
    internals: Internals,
  ) {
    // Agents are declared on a floor that knows nothing of how they run.
    machines.runner = runMachine;
    this.topology = topology;
    this.#store = store;
    this.store = refusingStore(
      store,
      () => this.#failure,
      () => this.#refused(),
    );
    this.#onUnheard = internals.onUnheard;
    // It is also told in other ways.
    this.#ended.promise.catch(() => {});
    this.#log = options.logger.child({ fleet: topology.name });
    this.#personHook = options.onPersonNeeded;
    const random = options.random ?? systemRandom;
    this.host = new Host({
      clock: options.clock ?? systemClock(),
      random: random.fork('host'),
      transport: options.transport ?? fifoTransport(),
      onCrash: (id, error) => this.#log.error({ err: error, actor: id }, 'an actor crashed'),
    });
    internals.onHost?.(this.host);
    const { inspect } = options;
    if (inspect !== undefined) this.#inspection = inspectTree(this.host, { root: topology.name, inspect, log: this.#log });
    const views = inspect === undefined && internals.onHost === undefined ? undefined : new MachineViews(this.host);
    if (internals.isolation !== false) this.#isolation = this.#isolate();
    if (options.watchdog !== undefined) this.#watchdog = this.#watch(options.watchdog);
    const parts = { ...PARTS, ...internals.parts };
    this.#steering = this.#steer();
    this.spending = this.#spend(random);
    this.dependencies = this.#depend(random, parts.limiter);
    this.engine = this.#drive(random, internals, options.epoch);
    views?.of(this.engine);
    this.#health = this.#watchHealth(random);
    this.#tree = this.#grow(random, parts);
    this.operator = new Operator({
      topology,
      host: this.host,
      engine: this.engine,
      tree: this.#tree,
      onRemoved: (worker, kind) => this.#steering.observe?.({ type: 'worker.removed', atMs: this.#nowMs(), worker, kind }),
    });
    const rooms = { topology, store: this.store, host: this.host, engine: this.engine, events: this.events, log: this.#log };
    this.tasks = new Tasks(rooms);
    this.kinds = new Kinds({ ...rooms, tree: this.#tree });
    this.signals = new Signals(rooms);
    this.schedules = new Schedules({ ...rooms, random: random.fork('schedules') });
    this.state = new SharedState({ store: this.store, nowMs: () => this.#nowMs(), maxBytes: topology.bounds.payloadBytes });
    this.submissions = new Submissions({
      topology,
      store,
      ids: options.ids ?? risingIds(),
      engine: this.engine,
      control: {
        cancel: (id, by) => this.open().tasks.cancel(id, by),
        signal: (id, name, payload, key) => this.open().signals.signal(id, name, payload, key),
        whyCancelled: (id) => this.tasks.whyCancelled(id),
      },
    });
    void this.#tree.ended.then((reason) => {
      if (this.#closing === undefined) this.#fail(reason.at === 'error' ? reason.error : new FleetGaveUpError(topology.name));
    });
  }

  /** Why the fleet could not go on; undefined when it could. */
  get failure(): FleetClosedError | undefined {
    return this.#failure;
  }

  /** Settles when the fleet has been closed, or could not go on. Whoever asks for it hears of that. */
  get ended(): Promise<void> {
    this.#isAwaited = true;
    return this.#ended.promise;
  }

  get actors(): number {
    return this.host.actorCount;
  }

  /** Resolves when every actor runs. */
  async started(): Promise<void> {
    await this.#tree.started;
    // Workers run already: their leases are kept, and lost, however long the store takes for its schedules.
    this.engine.open();
    await this.schedules.open();
    // What is due is looked for when the store has the schedules of this program.
    this.engine.sweep();
    this.#steering.open();
    this.spending.open();
    this.host.alarm(this.#nowMs(), () => void this.#warnOfUnknownKinds());
    this.#isAwaited = false;
  }

  /** Once whoever has started the fleet can listen. That a store does not answer now is no reason to ask again. */
  async #warnOfUnknownKinds(): Promise<void> {
    if (this.#closing !== undefined) return;
    for (const { kind, unfinished } of await this.kinds.unknown().catch(() => [])) {
      const what = `no agent is called ${kind}, so its tasks wait for ever: declare it again, or cancel them (fleet.cancel; what is to be undone waits for its code)`;
      this.#log.warn({ kind, unfinished }, what);
      this.#emit('kind.unknown', () => ({ atMs: this.#nowMs(), kind, unfinished }));
    }
  }

  /** This, unless it closes: then it takes no more orders. @throws FleetClosedError */
  open(): this {
    const refused = this.#refused();
    if (refused !== undefined) throw refused;
    return this;
  }

  /** Made where it is told: its stack says who has called. */
  #refused(): FleetClosedError | undefined {
    return this.#refusal === undefined ? undefined : (this.#failure ?? new FleetClosedError(this.topology.name));
  }

  /** @throws UnknownKindError, FleetClosedError */
  planOf(kind: string): KindPlan {
    const { kinds } = this.open().topology;
    if (!Object.hasOwn(kinds, kind)) throw new UnknownKindError(kind, Object.keys(kinds));
    return kinds[kind]!;
  }

  close(deadlineMs: number): Promise<void> {
    this.#refusal ??= new FleetClosedError(this.topology.name);
    if (this.#closing === undefined) {
      this.#closing = this.#close(deadlineMs);
      this.#closing.then(this.#ended.resolve, this.#ended.reject);
    }
    return this.#closing;
  }

  async #close(deadlineMs: number): Promise<void> {
    try {
      this.#quiet();
      await this.engine.drain(deadlineMs);
      this.#tree.stop();
      await this.#tree.ended;
    } finally {
      await this.#letGo();
    }
  }

  /** Whoever acts of his own accord does so no more. */
  #quiet(): void {
    this.#health.close();
    this.#steering.close();
    this.schedules.close();
    this.kinds.close(this.#refusal);
  }

  async #letGo(): Promise<void> {
    this.#quiet();
    this.engine.close(this.#refusal);
    // Nothing outlives the fleet, and the host's timers are needed to see to it.
    if (this.#isolation !== undefined) await this.#isolation.close();
    if (this.#watchdog !== undefined) await this.#watchdog.close();
    // What calls in flight had reserved is settled by now; what is left goes back to the store.
    await this.spending.close();
    this.host.close();
    this.#inspection?.close();
    await this.#store.close();
  }

  /** The fleet cannot go on: everything stops at once. What was accepted is safe in the store, unless it is that which has failed. */
  #fail(error: unknown): void {
    if (this.#closing !== undefined) return;
    const failure = new FleetClosedError(this.topology.name, { cause: error });
    this.#failure = failure;
    this.#refusal = failure;
    this.#log.fatal({ err: error }, 'the fleet cannot go on');
    this.#closing = this.#letGo().catch((cause: unknown) => {
      // A store that is damaged says so once more.
      if (toErrorRecord(cause).code !== toErrorRecord(error).code) this.#log.error({ err: cause }, 'the store did not close');
    });
    const isHeard = this.#isAwaited || this.events.listenerCount('fleet.failed') > 0;
    this.#emit('fleet.failed', () => ({ atMs: this.#nowMs(), error: toErrorRecord(error) }));
    this.#ended.reject(failure);
    if (!isHeard) this.#onUnheard?.();
  }

  // ── How the parts are made ───────────────────────────────────────────────────────────────────

  #steer(): Steering {
    return new Steering({
      topology: this.topology,
      host: this.host,
      store: this.#store,
      operator: () => this.operator,
      loadOf: (kind) => this.engine.loadOf(kind),
      onDecision: (decision) => {
        this.#log.info(decision, 'the meta-agent decided');
        this.#emit('meta.decided', () => decision);
      },
      onFact: (fact) => this.#emit('meta.noted', () => ({ atMs: this.#nowMs(), fact })),
      onScaling: (kind, replicas, why) => this.#emit('kind.scaling', () => ({ atMs: this.#nowMs(), kind, replicas, why })),
      callPerson: (call) => this.#callPerson(call),
      openBreaker: (dependency) => this.dependencies.breakerOf(dependency).trip(),
    });
  }

  #spend(random: Random): Spending {
    return new Spending({
      topology: this.topology,
      host: this.host,
      store: this.#store,
      random: random.fork('budgets'),
      operator: () => this.operator,
      whenEnded: (task, ended) => this.engine.listen(task, { ended }),
      log: this.#log,
      events: this.events,
    });
  }

  #depend(random: Random, limiter: typeof PARTS.limiter): Dependencies {
    return new Dependencies({
      topology: this.topology,
      host: this.host,
      random,
      log: this.#log,
      events: this.events,
      stats: () => this.engine.stats,
      limiter,
      budgets: this.spending.budgets,
      beforeTry: (nowMs) => this.engine.checkLeases(nowMs),
      observe: this.#steering.observe,
    });
  }

  #drive(random: Random, { parking = true }: Internals, epoch: number): RunEngine {
    return new RunEngine({
      topology: this.topology,
      epoch,
      store: this.#store,
      host: this.host,
      random: random.fork('engine'),
      events: this.events,
      log: this.#log,
      queueOf: (kind) => queueOf(this.topology, kind),
      callsOf: (name) => this.dependencies.callsOf(name),
      scopesOf: (plan, worker, task) => this.spending.scopesOf(plan, worker, task),
      parking,
      isolation: this.#isolation,
      watchdog: this.#watchdog,
      observe: this.#steering.observe,
      onSchedules: (due) => this.schedules.fire(due),
      onFatal: (error) => this.#fail(error),
    });
  }

  #watchHealth(random: Random): Health {
    return new Health({
      host: this.host,
      random: random.fork('health'),
      callsOf: (name) => this.dependencies.callsOf(name),
      logOf: (worker) => this.#log.child({ worker }),
      resume: (worker, reason) => void this.operator.resume(worker, reason).catch(() => {}),
      onChecked: (worker, error) =>
        this.#emit('worker.checked', () => ({ atMs: this.#nowMs(), worker, error: error === undefined ? null : toErrorRecord(error) })),
    });
  }

  #grow(random: Random, parts: typeof PARTS): FleetTree {
    const { topology } = this;
    /** Kinds by the address of their supervisor. */
    const plans = new Map(Object.values(topology.kinds).map((plan) => [kindOf(topology, plan.kind), plan]));
    const facts = {
      nowMs: () => this.#nowMs(),
      log: this.#log,
      planOf: (supervisor: ActorId) => plans.get(supervisor),
      engine: () => this.engine,
      health: () => this.#health,
      observe: this.#steering.observe,
      emit: this.#emit.bind(this),
    };
    return new FleetTree({
      topology,
      host: this.host,
      parts,
      random: random.fork('queues'),
      performQueue: (plan, effect) => this.engine.perform(plan, effect),
      onQueueRestart: (plan) => this.engine.queueRestarted(plan),
      limiters: this.dependencies.children(),
      steering: this.#steering.children(),
      onFact: (supervisor, fact) => noteFact(facts, supervisor, fact),
    });
  }

  #isolate(): Isolation | undefined {
    return Isolation.of({
      topology: this.topology,
      host: this.host,
      onStray: (worker, error) =>
        this.#log.warn({ err: error, worker }, 'in an isolated worker a promise was rejected and nobody looked at it'),
    });
  }

  #watch(spec: WatchdogSpec): Watchdog {
    return new Watchdog(spec, {
      fleet: this.topology.name,
      host: this.host,
      onBlocked: (blocked) => {
        const { run, blockedMs, known, stack } = blocked;
        this.#log.warn({ ...run, blockedMs, known, ...(stack[0] === undefined ? {} : { stack: stack[0] }) }, 'the event loop was blocked');
        const atMs = this.#nowMs();
        if (run !== null) this.#steering.observe?.({ type: 'loop.blocked', atMs, worker: run.worker, kind: run.kind, ms: blockedMs });
        this.#emit('loop.blocked', () => ({ atMs, ...blocked }));
      },
      onFailed: (error) => this.#log.error({ err: error }, 'the watchdog of the event loop failed'),
    });
  }

  #callPerson(call: PersonCall): void {
    this.#log.error(call, 'a person is needed');
    this.#emit('person.needed', () => ({ atMs: this.#nowMs(), ...call }));
    try {
      this.#personHook?.(call);
    } catch (error) {
      this.#log.error({ err: error }, 'the hook that calls a person threw');
    }
  }

  #nowMs(): number {
    return this.host.clock.nowMs();
  }

  #emit<N extends keyof FleetEvents>(name: N, event: () => Parameters<FleetEvents[N]>[0]): void {
    announce(this.events, this.#log, name, event);
  }
}
