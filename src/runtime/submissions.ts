/**
 * Submissions: how tasks get into the store from outside. Each is checked, written as text, and on its way until the store
 * has answered; its handle hears of its end however early that comes.
 *
 * Bounded: so many submits may be on their way, and one id that is submitted again and again has one handle, as long as
 * it is the same task and has not ended.
 */
import { ChurnMap } from '../../actors/kernel/churn-map.ts';
import type { Ids } from '../../actors/kernel/ids.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import type { ChildRecord, NewTask, Store, SubmitOutcome } from '../../actors/ports/store.ts';
import type { KindPlan, Topology } from '../topology/fleet.ts';
import type { Requester } from './batcher.ts';
import type { RunEngine } from './engine.ts';
import type { TaskListener } from './engine/listeners.ts';
import { SubmitOptionError, TaskConflictError } from './errors.ts';
import { TaskHandle } from './handle.ts';
import type { TaskControl } from './handle.ts';
import { newTask } from './new-task.ts';
import { encode, parse, samePayload } from './payload.ts';
import { RoomEstimate } from './room-estimate.ts';
import { checkId, checkPriority } from './task-id.ts';
import { FleetFullError } from './work-errors.ts';

/**
 * Of a task that is there already under its `id`, the options that it came with first count: those that come with the same
 * id again are not compared, for they are advice (a deadline is often reckoned from now). What makes it this task is its id,
 * kind and input; another of those is a `TaskConflictError`.
 */
export interface SubmitOptions {
  /** The same id is the same task, until it is forgotten (`retention` of the topology; default never). 1 to 512 characters. Default: a new random one. */
  readonly id?: string;
  /** A whole number; higher goes first. Default 0. */
  readonly priority?: number;
  /** It is kept until then, in the store. A Date, or milliseconds since the epoch. Default: now. */
  readonly notBefore?: Date | number;
  /**
   * It fails with `DeadlinePassedError` when it has not ended by then; its children inherit that. A Date, or milliseconds
   * since the epoch, and not before `notBefore`. The earlier of this and its kind's `deadlineMs` counts. Default: that.
   */
  readonly deadline?: Date | number;
}

/** One of many tasks that are submitted together. */
export interface SubmitItem<In = unknown> extends SubmitOptions {
  readonly input: In;
}

export interface SubmissionsOptions {
  readonly topology: Topology;
  readonly store: Pick<Store, 'counts'>;
  readonly ids: Ids;
  readonly engine: RunEngine;
  readonly control: Omit<TaskControl, 'forget'>;
}

/** Submits on their way, of tasks. Looked at before a list begins, so one `submitMany` may go beyond it by its own length. */
export const MOST_SUBMITTING = 100_000;

const OPTIONS = ['id', 'priority', 'notBefore', 'deadline'];
const FIELDS = ['input', ...OPTIONS];

export class Submissions implements TaskControl {
  readonly #options: SubmissionsOptions;
  readonly #room: RoomEstimate;
  /** Handles of unfinished tasks whose id was given by their submitter: it may come again. */
  readonly #open = new ChurnMap<string, OpenHandle>();
  #submitting = 0;

  constructor(options: SubmissionsOptions) {
    this.#options = options;
    this.#room = new RoomEstimate(() => options.store.counts());
  }

  submit(plan: KindPlan, input: unknown, options: SubmitOptions): Promise<TaskHandle> {
    return new Promise((resolve, reject) => {
      checkOptions(options, OPTIONS);
      const task = this.#taskOf(plan, input, options);
      this.#checkRoom(plan);
      this.#submit(task, options.id !== undefined, resolve, reject);
    });
  }

  submitMany(plan: KindPlan, items: readonly SubmitItem[]): Promise<TaskHandle[]> {
    return new Promise((resolve, reject) => {
      if (!Array.isArray(items)) throw new SubmitOptionError('items', 'a list of objects, such as [{ input }]', items);
      // A hole is an item too, though not for `map`.
      const tasks = Array.from(items as readonly SubmitItem[], (item, at) => {
        checkOptions(item, FIELDS, `items[${at}]`, '{ input }');
        return this.#taskOf(plan, item.input, item);
      });
      this.#checkRoom(plan);
      const stored: string[] = [];
      const refused: unknown[] = [];
      // What is there all the same is known once all have been answered.
      const settled = (): void => {
        if (stored.length + refused.length < tasks.length) return;
        if (refused.length === 0) return resolve(handles);
        const [first] = refused;
        reject(first instanceof FleetFullError ? new FleetFullError({ ...first.detail, stored }, plan.kind) : first);
      };
      const accepted = ({ id }: TaskHandle): void => {
        stored.push(id);
        settled();
      };
      const failed = (error: unknown): void => {
        refused.push(error);
        settled();
      };
      const handles = tasks.map((task, at) => this.#submit(task, items[at]!.id !== undefined, accepted, failed));
      if (tasks.length === 0) resolve([]);
    });
  }

  // ── What handles want done ───────────────────────────────────────────────────────────────────

  get cancel(): TaskControl['cancel'] {
    return this.#options.control.cancel;
  }

  get signal(): TaskControl['signal'] {
    return this.#options.control.signal;
  }

  get whyCancelled(): TaskControl['whyCancelled'] {
    return this.#options.control.whyCancelled;
  }

  forget(id: string): void {
    if (this.#open.size > 0) this.#open.delete(id);
  }

  // ── What becomes of a submission ─────────────────────────────────────────────────────────────

  arrived(): void {
    this.#submitting -= 1;
  }

  isSameInput(kind: string, known: string, given: string): boolean {
    const { agent, names } = this.#options.topology.kinds[kind]!;
    return samePayload(agent.input, known, given, names.input);
  }

  accepted(kind: string): void {
    this.#room.accepted(kind);
  }

  full({ of = 'store', limit }: Extract<SubmitOutcome, { readonly at: 'full' }>, { kind, tenant = '' }: NewTask): FleetFullError {
    const nowMs = this.#options.engine.nowMs();
    const retryAfterMs =
      of === 'tenant'
        ? this.#room.retryAfterMs(nowMs, kind, { name: tenant, limit })
        : this.#room.retryAfterMs(nowMs, of === 'kind' ? kind : undefined);
    return new FleetFullError({ of, limit, retryAfterMs }, kind);
  }

  #taskOf(plan: KindPlan, input: unknown, { id, priority, notBefore, deadline }: SubmitOptions): NewTask {
    const { topology, ids, engine } = this.#options;
    const { agent, names } = plan;
    const parsed = parse(agent.input, input, names.input);
    const notBeforeMs = notBefore === undefined ? undefined : checkTime(notBefore, 'notBefore');
    const deadlineMs = deadline === undefined ? undefined : checkTime(deadline, 'deadline');
    if (notBeforeMs !== undefined && deadlineMs !== undefined && deadlineMs < notBeforeMs) {
      throw new SubmitOptionError('deadline', 'a time after notBefore', deadline);
    }
    const given = { id: id === undefined ? ids() : checkId(id), priority: checkPriority(priority ?? 0), depth: 0, notBeforeMs, deadlineMs };
    return newTask(plan, parsed, encode(input, names.input, topology.bounds.payloadBytes), given, engine.nowMs());
  }

  #checkRoom({ kind }: KindPlan): void {
    if (this.#submitting < MOST_SUBMITTING) return;
    const retryAfterMs = this.#room.retryAfterMs(this.#options.engine.nowMs(), undefined);
    throw new FleetFullError({ of: 'submitting', limit: MOST_SUBMITTING, retryAfterMs }, kind);
  }

  #submit(task: NewTask, isNamed: boolean, resolve: (handle: TaskHandle) => void, reject: (error: unknown) => void): TaskHandle {
    const { engine } = this.#options;
    const known = isNamed ? this.#open.get(task.id) : undefined;
    const open = known?.handle.kind === task.kind ? known : new OpenHandle(new TaskHandle(task.id, task.kind, this));
    if (open !== known) {
      // Listening begins before the store can answer: the task may end before we hear of its acceptance.
      engine.listen(task.id, open);
      if (isNamed && known === undefined) this.#open.set(task.id, open);
    }
    open.waiting += 1;
    this.#submitting += 1;
    engine.submit(task, new Submission(this, engine, open, task, resolve, reject));
    return open.handle;
  }
}

/** A handle, and whether it is one of a task that the store has. */
class OpenHandle implements TaskListener {
  readonly handle: TaskHandle;
  isAccepted = false;
  /** Of its end was heard before the store has answered: it may have been that of another task, which has been forgotten since. */
  hasEnded = false;
  /** Submissions of it on their way. */
  waiting = 0;

  constructor(handle: TaskHandle) {
    this.handle = handle;
  }

  ended(task: ChildRecord): void {
    if (this.isAccepted) this.handle.ended(task);
    else this.hasEnded = true;
  }

  closed(error: unknown): void {
    this.handle.closed(error);
  }
}

/** A submitted task on its way into the store. */
class Submission implements Requester<SubmitOutcome> {
  readonly #submissions: Submissions;
  readonly #engine: RunEngine;
  readonly #open: OpenHandle;
  readonly #task: NewTask;
  readonly #resolve: (handle: TaskHandle) => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    submissions: Submissions,
    engine: RunEngine,
    open: OpenHandle,
    task: NewTask,
    resolve: (handle: TaskHandle) => void,
    reject: (error: unknown) => void,
  ) {
    this.#submissions = submissions;
    this.#engine = engine;
    this.#open = open;
    this.#task = task;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  replied(outcome: SubmitOutcome): void {
    const { handle } = this.#open;
    const { id, kind } = handle;
    if (outcome.at === 'full') return this.failed(this.#submissions.full(outcome, this.#task));
    if (outcome.at === 'known') {
      const { task } = outcome;
      if (task.kind !== kind || !this.#submissions.isSameInput(kind, task.input, this.#task.input))
        return this.failed(new TaskConflictError(id, kind, task));
      if (isTerminal(task.status)) {
        this.#engine.forget(id, this.#open);
        this.#open.hasEnded = false;
        handle.ended({ id, place: '', status: task.status, result: task.result, error: task.error });
      }
    } else this.#submissions.accepted(kind);
    this.#arrived();
    this.#open.isAccepted = true;
    if (this.#open.hasEnded) {
      this.#open.hasEnded = false;
      this.#engine.listen(id, this.#open);
      this.#engine.lookAgain([id], true);
    }
    this.#resolve(handle);
  }

  failed(error: unknown): void {
    this.#arrived();
    const { handle, isAccepted, waiting } = this.#open;
    // Another submission of the same may have been accepted, or may yet be.
    if (!isAccepted && waiting === 0) {
      this.#engine.forget(handle.id, this.#open);
      this.#submissions.forget(handle.id);
    }
    this.#reject(error);
  }

  #arrived(): void {
    this.#open.waiting -= 1;
    this.#submissions.arrived();
  }
}

function checkOptions(options: unknown, known: readonly string[], what = 'options', example = '{ id }'): void {
  if (typeof options !== 'object' || options === null) throw new SubmitOptionError(what, `an object, such as ${example}`, options);
  for (const name in options) {
    if (!known.includes(name)) {
      throw new SubmitOptionError(name, `no such option; there are ${known.join(', ')}`, (options as Record<string, unknown>)[name]);
    }
  }
}

/** As far as a Date reaches. */
const LAST_MS = 8_640_000_000_000_000;

function checkTime(time: unknown, option: string): number {
  const ms = time instanceof Date ? time.getTime() : time;
  if (typeof ms === 'number' && ms >= 0 && ms <= LAST_MS) return ms;
  throw new SubmitOptionError(option, 'a valid Date, or milliseconds since the epoch', time);
}
