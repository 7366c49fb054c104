/** Fleet: a topology that runs on a store, as its user holds it. How it is put together is in `machinery.ts`. */
import type { EventEmitter } from 'eventemitter3';
import type { BudgetSpec } from '../../actors/budget/plan.ts';
import { systemClock } from '../../actors/kernel/clock.ts';
import type { OpenCommand, TaskCounts } from '../../actors/ports/store.ts';
import { memoryStore } from '../stores/memory.ts';
import type { InputOf, OutputOf } from '../topology/contract.ts';
import type { AgentMap, Topology } from '../topology/fleet.ts';
import type { EventsOf } from '../topology/fitting.ts';
import type { ScheduleSpec } from '../topology/schedule.ts';
import type { DependencyLook } from './dependencies.ts';
import { SuspendReasonError } from './errors.ts';
import type { FleetClosedError } from './errors.ts';
import type { FleetEvents, FleetStats } from './events.ts';
import type { ByOptions, SignalOptions, Steered, TaskHandle } from './handle.ts';
import type { Internals } from './internals.ts';
import type { DrainOptions, MailboxOptions, UnknownKind } from './kinds.ts';
import { Machinery } from './machinery.ts';
import type { SuspendReason, WorkerInfo } from './operator.ts';
import { checkStart, defaultLogger } from './options.ts';
import type { FleetOptions } from './options.ts';
import type { ScheduleLook } from './schedules.ts';
import type { SharedState } from './shared-state.ts';
import type { ApprovalLook, ApprovalsOptions, DecideOptions } from './signals.ts';
import type { BudgetLook } from './spending.ts';
import type { SubmitItem, SubmitOptions } from './submissions.ts';
import type { TaskLook } from './task-look.ts';
import { checkDeadlineMs, checkFields } from './task-query.ts';
import type { TaskQuery } from './task-query.ts';
import type { TaskStory } from './tasks.ts';

export type { FleetOptions } from './options.ts';
export type { SubmitItem, SubmitOptions } from './submissions.ts';

export interface CloseOptions {
  /**
   * How long running runs may go on. Default: `supervision.shutdownMs`. 0 abandons them at once, Infinity waits for them as
   * long as they take. What is decided is written then, which takes longer only where the store does not answer: up to 5 s,
   * and what its command under way takes.
   */
  readonly deadlineMs?: number;
}

type Task<K extends AgentMap, N extends keyof K> = TaskHandle<OutputOf<K[N]>, EventsOf<K[N]>>;

export class Fleet<K extends AgentMap = AgentMap> {
  readonly topology: Topology<K>;
  /** Typed events of this fleet; a listener that throws is logged and disturbs nobody. */
  readonly events: EventEmitter<FleetEvents>;
  /** The versioned rows that its runs share by `ctx.state`, from outside. */
  readonly state: SharedState;
  readonly #machinery: Machinery;

  /** Use `startFleet`. */
  constructor(topology: Topology<K>, machinery: Machinery) {
    this.topology = topology;
    this.events = machinery.events;
    this.state = machinery.state;
    this.#machinery = machinery;
  }

  /** Sums since the start. */
  get stats(): FleetStats {
    return { ...this.#machinery.engine.stats };
  }

  /** What runs now: runs that are not over, tasks under lease, actors. */
  get load(): { readonly running: number; readonly held: number; readonly actors: number } {
    const { engine, actors } = this.#machinery;
    return { running: engine.running, held: engine.held, actors };
  }

  /**
   * Why the fleet could not go on (`cause`: what its store failed with, or its supervision tree): undefined while it goes on, and
   * when it was closed in order.
   */
  get failure(): FleetClosedError | undefined {
    return this.#machinery.failure;
  }

  /**
   * Resolves when the fleet has been closed. Rejects with `failure` when it could not go on, also when that was before you have
   * asked; or with what `close` rejects with. For a service: `await fleet.ended` as its last line.
   */
  get ended(): Promise<void> {
    return this.#machinery.ended;
  }

  // ── Submitting ───────────────────────────────────────────────────────────────────────────────

  /**
   * Submits a task. Resolves when the store has it, synced: from then on it ends exactly once,
   * whatever crashes. The same id with the same input gives the same task.
   *
   * @throws PayloadInvalidError, PayloadNotJsonError, PayloadTooLargeError before anything is stored
   * @throws UnknownKindError, SubmitOptionError, TaskConflictError, FleetClosedError
   * @throws FleetFullError, which says when to come back
   * @throws what the store rejects with; the task may then be there or not, submit the same id again
   */
  submit<N extends keyof K & string>(kind: N, input: InputOf<K[N]>, options: SubmitOptions = {}): Promise<Task<K, N>> {
    try {
      return this.#machinery.submissions.submit(this.#machinery.planOf(kind), input, options) as Promise<Task<K, N>>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Submits many tasks of one kind, in order. Resolves with a handle for each when the store has them
   * all, synced. Cheaper than as many `submit`s, and one to await instead of many.
   *
   * All are checked before any is stored. Stored they are some hundreds at a time: when one is
   * refused, those beside it may be there (`detail.stored` of a `FleetFullError`). With ids of your own, submitting them all
   * again is safe. A list may be longer than what a process may have on its way (100,000 submits): that is looked at once,
   * before it begins.
   *
   * @throws as `submit`; SubmitOptionError for what is no list of items; of several refusals the first
   * @example
   * const handles = await fleet.submitMany('triage', mails.map(({ id }) => ({ id: `mail-${id}`, input: { mailId: id } })));
   * const results = await Promise.all(handles.map((handle) => handle.result()));
   */
  async submitMany<N extends keyof K & string>(kind: N, items: readonly SubmitItem<InputOf<K[N]>>[]): Promise<Task<K, N>[]> {
    return this.#machinery.submissions.submitMany(this.#machinery.planOf(kind), items) as Promise<Task<K, N>[]>;
  }

  /**
   * Makes a recurring task, or changes one that was made so. It is kept in the store, over restarts, until
   * `unschedule`. The same again changes nothing.
   *
   * @throws TopologyError naming what is wrong with it; ScheduleOwnedError; FleetClosedError
   * @example
   * await fleet.schedule('digest', { kind: 'digest', cron: '0 7 * * 1-5', timezone: 'Europe/Zurich' });
   */
  async schedule<N extends keyof K & string>(name: string, spec: ScheduleSpec<N, InputOf<K[N]>>): Promise<void> {
    return this.#machinery.open().schedules.schedule(name, spec);
  }

  /** Removes a recurring task that `schedule` has made. What it has submitted goes on. @throws UnknownScheduleError, ScheduleOwnedError */
  async unschedule(name: string): Promise<void> {
    return this.#machinery.open().schedules.unschedule(name);
  }

  /** Every recurring task, those of the topology too, and when its next turn is. */
  schedules(): Promise<readonly ScheduleLook[]> {
    return this.#machinery.schedules.list();
  }

  // ── Looking ──────────────────────────────────────────────────────────────────────────────────

  /** The task as the store has it now, or undefined. @throws OperatorInputError */
  async task(id: string): Promise<TaskLook | undefined> {
    return this.#machinery.tasks.look(id);
  }

  /** How many tasks are where, by kind. */
  counts(): Promise<Readonly<Record<string, TaskCounts>>> {
    return this.#machinery.store.counts();
  }

  /**
   * Kinds of which the store has unfinished tasks, and the topology has no agent: those wait for ever. Declare the agent
   * again under its name, or cancel them; what is to be undone waits for its code all the same. Logged at the start, and told
   * as `kind.unknown`.
   */
  unknownKinds(): Promise<readonly UnknownKind[]> {
    return this.#machinery.kinds.unknown();
  }

  /**
   * Tasks in order of arrival, e.g. the dead ones, or with `parkedFor: 'operator'` the paused ones: at most 100 unless `limit`
   * says so, and at most 1,000. For the next page give the last id of this one as `after`. Those under way, failed and dead
   * are found by an index; others by going through what is stored, about 1 us a task, beside the fleet's own work.
   *
   * @throws OperatorInputError, also where `after` is no task, or not any more: one whose `retention` is over
   */
  async tasks(query: TaskQuery = {}): Promise<readonly TaskLook[]> {
    return this.#machinery.tasks.list(query);
  }

  /**
   * What happened to a task, oldest first: when it came, each run with its worker, incarnation, process and fencing token and how it
   * let go, a deadline that has passed, events, and what operators did. Of very many runs the oldest are forgotten.
   *
   * @throws UnknownTaskError
   */
  story(id: string): Promise<readonly TaskStory[]> {
    return this.#machinery.tasks.story(id);
  }

  // ── Tasks ────────────────────────────────────────────────────────────────────────────────────

  /**
   * Cancels a task and the unfinished children that it asked for, wherever they are. `done`: it has ended. `noted`: what it
   * has registered with `ctx.compensate` is undone first; or a run has it. That begins nothing any more, what it has in
   * flight gets its abort signal, and what answers all the same within `supervision.shutdownMs` is remembered, for the
   * undoing and for `requeue`; one that completes all the same has completed. A cancelled one is left as it is.
   * Of what has ended only a task that was refused (`onVersionChange: 'refuse'`, its record says `kept`) can be cancelled.
   *
   * @throws UnknownTaskError, TaskEndedError, OperatorInputError, FleetClosedError
   * @throws TaskUndoingError when it is being undone, and does not end as cancelled
   * @throws what the store rejects with, as every order does; it may have been carried out then, give it again
   */
  async cancel(id: string, options?: ByOptions): Promise<Steered> {
    return this.#machinery.open().tasks.cancel(id, options);
  }

  /**
   * Keeps a task from running, or being undone, until `unpause`, over restarts too. `cancel` goes before it: a paused task that
   * is cancelled ends, or is undone, at once; one that was being undone when it was paused waits for `unpause`. Its run begins nothing any more, and
   * lets go when what it has in flight is remembered, or `supervision.shutdownMs` is over; no attempt is used, and its
   * locks are free.
   *
   * @throws UnknownTaskError, TaskEndedError, OperatorInputError, FleetClosedError
   * @throws TaskCancellingError while the run of one that was cancelled lets go
   */
  async pause(id: string, options?: ByOptions): Promise<Steered> {
    return this.#machinery.open().tasks.pause(id, options);
  }

  /** Lets a paused task go on; a retry, or what is not to begin before a time, not before its time. @throws UnknownTaskError, TaskEndedError, TaskNotPausedError, OperatorInputError, FleetClosedError */
  async unpause(id: string, options?: ByOptions): Promise<void> {
    return this.#machinery.open().tasks.unpause(id, options);
  }

  /**
   * Puts back a task that is dead, failed or cancelled, with all its attempts; what it remembers is not paid again, and of its
   * failures only what it has ended with is tried anew. One of which something could not be undone
   * (`DROVER_COMPENSATION_FAILED`) is put back to be undone: only what is left, and then it ends as it was to. One that has been
   * undone, all of it, is refused, and so is one that would run though its deadline has passed. With it go back its children
   * that ended with it, and those that failed, unless it has gone past that. Who has seen its failure is not told again.
   *
   * @throws UnknownTaskError, TaskNotRequeueableError, OperatorInputError, FleetClosedError
   */
  async requeue(id: string, options?: ByOptions): Promise<void> {
    return this.#machinery.open().tasks.requeue(id, options);
  }

  /**
   * Tells a task of an outside event, which its kind declares in `events` and its run takes with `ctx.waitFor`, now or later.
   * Resolves when the store has it; under a `key` that it was told with before, also when it has ended since.
   *
   * @throws UnknownTaskError, TaskEndedError, UndeclaredError, EventsFullError, OperatorInputError, FleetClosedError
   * @throws TaskUndoingError when it is being undone: no wait of it takes anything any more
   * @throws SignalConflictError when it has been told of this event under the same `key` with another payload
   * @throws PayloadInvalidError, PayloadNotJsonError, PayloadTooLargeError
   */
  async signal(id: string, name: string, payload?: unknown, options?: SignalOptions): Promise<void> {
    return this.#machinery.open().signals.signal(id, name, payload, options);
  }

  /** What runs ask persons (`ctx.approval`) and nobody has decided, oldest first: page by page. @throws OperatorInputError */
  async approvals(options: ApprovalsOptions = {}): Promise<readonly ApprovalLook[]> {
    return this.#machinery.signals.approvals(options);
  }

  /** Says yes to what a task asks. The same word by the same person again, which the task knows, resolves. @throws UnknownTaskError, TaskEndedError, ApprovalNotAskedError, ApprovalExpiredError, OperatorInputError, FleetClosedError */
  async approve(id: string, name: string, options?: DecideOptions): Promise<void> {
    return this.#machinery.open().signals.decide(id, name, true, options);
  }

  /** Says no to what a task asks: `ctx.approval` rejects with `ApprovalRejectedError`. @throws as `approve` */
  async reject(id: string, name: string, options?: DecideOptions): Promise<void> {
    return this.#machinery.open().signals.decide(id, name, false, options);
  }

  // ── Kinds ────────────────────────────────────────────────────────────────────────────────────

  /** Begins no task of that kind any more, over restarts too; what runs goes on. @throws UnknownKindError, FleetClosedError */
  async pauseKind(kind: keyof K & string): Promise<void> {
    return this.#machinery.open().kinds.pause(kind);
  }

  /** Begins tasks of that kind again. Who drains it (`drainKind`) hears that it is not. @throws UnknownKindError, FleetClosedError */
  async unpauseKind(kind: keyof K & string): Promise<void> {
    return this.#machinery.open().kinds.unpause(kind);
  }

  pausedKinds(): Promise<readonly string[]> {
    return this.#machinery.kinds.paused();
  }

  /**
   * Pauses a kind and resolves when no task of it is held any more.
   *
   * @throws DrainLateError after `deadlineMs`; DrainEndedError when somebody unpauses it meanwhile; UnknownKindError, OperatorInputError, FleetClosedError
   */
  async drainKind(kind: keyof K & string, options: DrainOptions = {}): Promise<void> {
    return this.#machinery.open().kinds.drain(kind, options);
  }

  /**
   * Changes how the tasks of a kind wait for its workers, from now on and in this process; what is left out stays as it is.
   * What no longer fits goes back to the store; what runs is not disturbed.
   *
   * @throws UnknownKindError, OperatorInputError, FleetClosedError
   */
  configureMailboxes(kind: keyof K & string, mailboxes: MailboxOptions): void {
    this.#machinery.open().kinds.configure(kind, mailboxes);
  }

  /**
   * Gives a kind so many workers, within its `replicas`: from `min` to `max`, or from 1 where it is a number.
   *
   * @throws ReplicasError, UnknownWorkerError, FleetClosedError
   */
  scale(kind: keyof K & string, replicas: number): Promise<void> {
    return this.#machinery.operator.scale(kind, replicas);
  }

  // ── Workers ──────────────────────────────────────────────────────────────────────────────────

  /** Every worker, or those of one kind: where it is, and why it is suspended. */
  workers(kind?: keyof K & string): Promise<readonly WorkerInfo[]> {
    return this.#machinery.operator.workers(kind);
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
    return this.#machinery.operator.suspend(worker, checkReason(reason));
  }

  /** Takes a reason away. The last one gone, the worker starts with a clean slate. */
  async resume(worker: string, reason: SuspendReason = 'operator'): Promise<void> {
    return this.#machinery.operator.resume(worker, checkReason(reason));
  }

  /** Gives a worker a new incarnation, at a safe point of its run. No restart is counted. */
  restart(worker: string): Promise<void> {
    return this.#machinery.operator.restart(worker);
  }

  // ── Dependencies and budgets ─────────────────────────────────────────────────────────────────

  /** What a dependency admits now: its limiter, its breaker, who waits. @throws UnknownDependencyError */
  dependency(name: string): Promise<DependencyLook> {
    return this.#machinery.dependencies.look(name);
  }

  /**
   * Opens the breaker of a dependency by hand: nobody calls it until every isolation has been released.
   * Returns what releases this one, once.
   *
   * @throws UnknownDependencyError
   */
  isolate(dependency: string): () => void {
    return this.#machinery.dependencies.breakerOf(dependency).isolate();
  }

  /** Closes the breaker of a dependency, whatever it was, and ends every isolation. @throws UnknownDependencyError */
  resetBreaker(dependency: string): void {
    this.#machinery.dependencies.breakerOf(dependency).reset();
  }

  /** Every budget that is in use, with what is spent of it. */
  budgets(): readonly BudgetLook[] {
    return this.#machinery.spending.look();
  }

  /**
   * Gives a budget another limit, e.g. `fleet`, `kind:triage`, or as `budget.exhausted` names it. Whoever is suspended for it
   * goes on, if there is room now.
   *
   * @throws BudgetInputError
   */
  raiseBudget(scope: string, budget: BudgetSpec): void {
    this.#machinery.spending.raise(scope, budget);
  }

  // ── Closing ──────────────────────────────────────────────────────────────────────────────────

  /**
   * Closes in order. Safe to call more than once: the deadline of the first counts. The store is closed too. Of a fleet that
   * could not go on (`failure`) it resolves when everything has stopped.
   *
   * @throws OperatorInputError, and the fleet goes on as it was
   * @throws StoreRemovedError, StoreDamagedError when what was acknowledged may not be in the file of the store
   */
  close(options: CloseOptions = {}): Promise<void> {
    try {
      checkFields(options, 'options', ['deadlineMs']);
      const { deadlineMs = this.topology.supervision.shutdownMs } = options;
      checkDeadlineMs(deadlineMs);
      return this.#machinery.close(deadlineMs);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Starts a topology on a store. Resolves when the store is owned and every actor runs; tasks that a
 * former owner left go on at once.
 *
 * A fleet that cannot go on, since its store has failed for good or its supervision tree gave up, stops by itself: it tells
 * `fleet.failed`, `fleet.ended` rejects, and where nobody listens to either, the exit code of the process becomes 1.
 *
 * @throws what the store refuses with (`DROVER_STORE_*`): it has not been changed then
 * @throws IsolatedModuleError in the thread or process of an isolated worker, whose module must not start a fleet
 * @example
 * await using fleet = await startFleet(topology, { store: sqlite('inbox.db') });
 * const handle = await fleet.submit('triage', { mailId: '17' }, { id: 'mail-17' });
 * const { label } = await handle.result();
 */
export function startFleet<K extends AgentMap>(topology: Topology<K>, options: FleetOptions = {}): Promise<Fleet<K>> {
  return startFleetWith(topology, options, { onUnheard: endAsFailed });
}

/** Whoever has started the process, such as a service manager, is told by its exit code. */
function endAsFailed(): void {
  process.exitCode = process.exitCode === undefined || process.exitCode === 0 ? 1 : process.exitCode;
}

/** For the testing kit. */
export async function startFleetWith<K extends AgentMap>(
  topology: Topology<K>,
  options: FleetOptions,
  internals: Internals,
): Promise<Fleet<K>> {
  checkStart(topology, options);
  const store = options.store ?? memoryStore();
  const clock = options.clock ?? systemClock();
  const { epoch } = await store.open(openingOf(topology, clock.nowMs()));
  const machinery = new Machinery(topology, store, { ...options, epoch, clock, logger: options.logger ?? defaultLogger() }, internals);
  const fleet = new Fleet(topology, machinery);
  try {
    await machinery.started();
    if (machinery.failure !== undefined) throw machinery.failure.cause;
  } catch (error) {
    await fleet.close({ deadlineMs: 0 });
    throw machinery.failure?.cause ?? error;
  }
  return fleet;
}

function openingOf({ bounds, agingMs, kinds }: Topology, nowMs: number): OpenCommand {
  const limits = Object.values(kinds).map(
    ({ kind, backlog, tenantBacklog, tenantWeights }) =>
      [
        kind,
        {
          weights: tenantWeights,
          ...(backlog === undefined ? {} : { maxUnfinished: backlog }),
          ...(tenantBacklog === undefined ? {} : { maxOfTenant: tenantBacklog }),
        },
      ] as const,
  );
  return { nowMs, maxUnfinished: bounds.unfinished, maxFamily: bounds.family, agingMs, kinds: Object.fromEntries(limits) };
}

const SUSPEND_REASONS = ['budget', 'health', 'quality', 'intensity', 'operator'];

function checkReason(reason: SuspendReason): SuspendReason {
  if (SUSPEND_REASONS.includes(reason)) return reason;
  throw new SuspendReasonError(reason, SUSPEND_REASONS);
}
