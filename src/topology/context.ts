/** Context: all that a run may do to the world, and the only way it may do it. */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { AnyContract, InputOf, OutputOf } from './contract.ts';
import type { AnyDependency, ReplyOf, RequestOf } from './dependency.ts';

export type DependencyMap = Readonly<Record<string, AnyDependency>>;
export type ContractMap = Readonly<Record<string, AnyContract>>;
/** Outside events by their name, each with the schema of what it carries. */
export type EventMap = Readonly<Record<string, StandardSchemaV1>>;

/** Of whatever a run remembers by its place. */
export interface KeyOptions {
  /**
   * What it is remembered by, in place of the how-manieth of its name it is: for loops over sets whose order, or length, may
   * be another in a later run, which need not come by it then. Unique within the run for that operation and name; 1 to 200 characters. Default: none.
   *
   * @example
   * for (const { id } of invoices) await ctx.call('bank', { id }, { key: id });
   */
  readonly key?: string;
}

export interface CallOptions extends KeyOptions {
  /** Whether the reply is kept with the task, so that no later run pays for it again. Default true. Of one that is not kept, let nothing follow that the run does. */
  readonly remember?: boolean;
}

export interface HoldOptions extends KeyOptions {
  /** Places that it takes. At least 1, default 1. */
  readonly slots?: number;
}

/** What the function of a step gets. */
export interface StepContext {
  readonly signal: AbortSignal;
  /** The same in every run of the same task: give it to whatever the step writes to. */
  readonly idempotencyKey: string;
}

export interface AskOptions extends KeyOptions {
  /** Higher goes first. Default: the asking task's own. */
  readonly priority?: number;
}

export interface WaitOptions extends KeyOptions {
  /** How long, from when the run first came here. Default: for ever, or until the task's deadline. */
  readonly withinMs?: number;
}

/** What a person said. */
export interface Approved {
  /** Who, as the one who decided gave it. */
  readonly by: string;
  readonly note: string | null;
}

/** A row as it was read. */
export interface StateValue<T = unknown> {
  readonly value: T;
  /** For `set` and `delete`: they refuse when the row has another one by then. */
  readonly version: number;
}

/**
 * Versioned rows that the tasks of a fleet share. A run writes only what its kind declares in `writes`;
 * while it runs nobody else does. Writes are committed with the task's completion, all of them or none,
 * fenced. A park gives the locks up, and so does the loss of a run (a crash, a worker that dies): what was read before may
 * be stale then, and `set` says so. What the run has read of rows in `reads` or `writes`, or got by `widen`, is compared at
 * the latest when the task completes: where one that it neither writes, nor was refused by `set`, has another version by then,
 * nothing is committed, and the task is tried again like one with an uncaught `VersionConflictError`, and reads anew. So its
 * rows are as they were at one moment. A row that it does not declare may change at any time, and is not compared. Each
 * operation of a statechart is compared for itself, when it ends.
 */
export interface State {
  /**
   * The row, as it was when the attempt first came here; remembered, like everything that a run learns. Undefined: none.
   * After a `set` of this run, what was set.
   *
   * @throws StateInStepError inside a step, whose result would hide what it rests on.
   */
  get<T = unknown>(key: string): Promise<StateValue<T> | undefined>;
  /**
   * Writes the row when the task completes. `version`: what `get` gave, or null where it found none.
   *
   * @throws UndeclaredWriteError when the kind's `writes` do not name the key, nor `widen` did.
   * @throws VersionConflictError when somebody has written it since. Uncaught, the task is tried again and reads anew.
   */
  set(key: string, value: unknown, version: number | null): Promise<void>;
  /** As `set`: there is no row then. */
  delete(key: string, version: number): Promise<void>;
  /**
   * Reads the row as it is now and writes what `change` makes of it; in a run that was parked meanwhile it does so again,
   * over the row as it is then. What it brings is not remembered: let nothing follow from it that the run does.
   */
  update<T = unknown>(key: string, change: (value: T | undefined) => T): Promise<T>;
}

export interface RunLogger {
  debug(facts: object, message?: string): void;
  info(facts: object, message?: string): void;
  warn(facts: object, message?: string): void;
  error(facts: object, message?: string): void;
}

/**
 * `run` may be executed several times for one task: after a failure, a crash, or a park. Each time
 * it starts from the top over what is remembered, so what it decides must follow from its input and
 * from what `ctx` gave it.
 *
 * What an operation fails with is remembered as well. A later run comes by it again, unless a run has ended with it (it has
 * thrown that, or an error with that as its `cause`), or has begun nothing after it: then the next attempt tries it anew.
 *
 * A run that begins something new, or returns, before it has come by all that earlier runs of its version have brought, takes
 * another way: its task fails with `ReplayDivergedError`, and what is new has not begun. Not looked at so are a task that has
 * failed before and is tried again, one that is undone, statecharts, and what has a `key`: there another request at the same
 * place is what shows.
 *
 * Await every operation, or race it. A run that returns while one of them is under way that nobody awaits, or a write, or
 * after one was rejected that nobody looked at, does not complete: `OperationsOpenError`, or that rejection.
 */
export interface Context<U extends DependencyMap = DependencyMap, A extends ContractMap = ContractMap, E extends EventMap = EventMap> {
  readonly task: {
    readonly id: string;
    readonly kind: string;
    /** 1 for the first. Runs that were lost count too: let no other way follow from it. */
    readonly attempt: number;
    readonly fence: number;
    /**
     * The token of the locks that this run holds: grows with every grant, over restarts too. Give it to whatever it writes
     * to, which refuses a smaller one than it has seen. A restored backup counts on from where it was. 0 without locks.
     */
    readonly lockFence: number;
  };
  /** Aborts when this run is over for whatever reason: parked, timed out, lease lost, shut down. */
  readonly signal: AbortSignal;
  /**
   * Calls a dependency: admitted by its limiter, retried within its bounds, paid once. The reply is
   * remembered by its place in the run (the how-manieth call of that dependency).
   *
   * @throws CallError when all tries are used up, or the failure is permanent.
   * @throws ReplayDivergedError when an earlier run made another request at this place.
   */
  call<N extends keyof U & string>(name: N, request: RequestOf<U[N]>, options?: CallOptions): Promise<ReplyOf<U[N]>>;
  /**
   * Any other effect, made once and remembered under its name, which is unique within the run (with a `key`: the two
   * together). The result must be JSON. A step keeps its worker and its locks until it has ended, so nothing that a run parks
   * for (`ask`, `sleep`, `waitFor`, `approval`, `widen`), nor `send`, is begun in one: `OperationInStepError`.
   */
  step<T>(name: string, fn: (step: StepContext) => T | Promise<T>, options?: KeyOptions): Promise<T>;
  /**
   * Does something with a place of a bulkhead in hand, and gives the place back when it has ended. Waits for it in fairness;
   * holding nothing else, or places of lower rank only; no child, event or approval is waited for with a place in hand, and a
   * sleep keeps it. What it brings is not remembered: put a `step` in it, or it in a step.
   * In an isolated run it must be JSON.
   *
   * @throws BulkheadOrderError when a place of this or a higher rank is held, and on `ask` while any is.
   * @throws CallTimeoutError when it was aborted after `holdMs`; CallError when the line was full; otherwise what `fn` throws.
   */
  hold<T>(name: keyof U & string, fn: (place: StepContext) => Promise<T>, options?: HoldOptions): Promise<T>;
  /**
   * Submits a child task and waits for its result. The run parks while it waits: it gives back its
   * worker, its lease and its attempt, and starts again over what is remembered.
   * Should this task end while the child has not ended (it has lost a race, say), the child is cancelled, and undone first.
   *
   * @throws ChildFailedError when the child failed for good, or was cancelled.
   */
  ask<N extends keyof A & string>(kind: N, input: InputOf<A[N]>, options?: AskOptions): Promise<OutputOf<A[N]>>;
  /**
   * Submits a task together with this task's completion, and does not wait: work that goes on after it.
   * Where too many others of the family are unfinished by then (`bounds.family`), the run has failed (retryable), and is tried again.
   *
   * @throws BoundReachedError for one more than a task may have (`bounds.fanOut`), or than `bounds.family` has room for with
   * nothing but what this run has sent.
   */
  send<N extends keyof A & string>(kind: N, input: InputOf<A[N]>, options?: AskOptions): void;
  /**
   * Waits, holding nothing but what a `hold` around it has taken: the run parks. Ends at the same moment whatever restarts meanwhile. A date waits until then.
   *
   * @throws PayloadInvalidError unless it is a date, or milliseconds from 0 to a hundred years.
   */
  sleep(until: number | Date, options?: KeyOptions): Promise<void>;
  /**
   * Waits for an outside event of this task (`fleet.signal`), the next of that name that no earlier `waitFor` has
   * taken; one that was told before is there at once. The run parks while it waits.
   *
   * @throws WaitTimeoutError after `withinMs`.
   */
  waitFor<N extends keyof E & string>(name: N, options?: WaitOptions): Promise<StandardSchemaV1.InferOutput<E[N]>>;
  /**
   * Asks a person (`fleet.approvals`, `fleet.approve`, `fleet.reject`) and waits, parked. `name` is unique within the run; with a
   * `key` the two together, and it is listed and decided as `name[key]`; in a statechart as `name/draft#2`, by its second `draft`
   * (a `/` of the name is written `%2F`); by a version that begins a task anew (`onVersionChange: 'restart'`) as `name@version`:
   * a word given to another question counts for nothing.
   *
   * @throws ApprovalRejectedError with who rejected it and why; WaitTimeoutError after `withinMs`.
   */
  approval(name: string, request: unknown, options?: WaitOptions): Promise<Approved>;
  /** Versioned rows that the tasks of a fleet share. */
  readonly state: State;
  /**
   * Registers what undoes a step, before that step: should the task fail for good, die or be cancelled, all that was
   * registered is undone in reverse, each at least once (with the same idempotency key each time) and remembered like a
   * step, under the locks that the task holds, when its children have been undone. `name` is unique within the run. It
   * must allow for a step that was not made, or not to the end. What goes on failing makes the task dead in the end, when
   * the others have been undone; `fleet.requeue` tries again what is left.
   */
  compensate(name: string, undo: (step: StepContext) => unknown): Promise<void>;
  /**
   * Adds to what the task may write. Goes on at once when it holds that already; else the run gives everything back, and
   * starts again once it has both the old and the new.
   */
  widen(resources: readonly string[]): Promise<void>;
  /** Tells observers how far the run is. A sign of life: it keeps a long run from counting as stalled. */
  progress(done: number, total?: number): void;
  /** Says how good the output of this run is, from 0 to 1; the last word counts. Told to observers with the run's end. */
  score(quality: number): void;
  readonly log: RunLogger;
}

/** What a health check may do: it sees no task, and what it calls is not remembered. */
export interface HealthContext<U extends DependencyMap = DependencyMap> {
  /** Aborts when the check has taken too long, or is not needed any more. */
  readonly signal: AbortSignal;
  /** As in a run. Waits in a flow of its own, so that a busy fleet does not hold it up. */
  call<N extends keyof U & string>(name: N, request: RequestOf<U[N]>): Promise<ReplyOf<U[N]>>;
  readonly log: RunLogger;
}
