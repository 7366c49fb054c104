/** Context: all that a run may do to the world, and the only way it may do it. */
import type { AnyContract, InputOf, OutputOf } from './contract.ts';
import type { AnyDependency, ReplyOf, RequestOf } from './dependency.ts';

export type DependencyMap = Readonly<Record<string, AnyDependency>>;
export type ContractMap = Readonly<Record<string, AnyContract>>;

export interface CallOptions {
  /** Whether the reply is kept with the task, so that no later run pays for it again. Default true. */
  readonly remember?: boolean;
}

export interface HoldOptions {
  /** Places that it takes. At least 1, default 1. */
  readonly slots?: number;
}

/** What the function of a step gets. */
export interface StepContext {
  readonly signal: AbortSignal;
  /** The same in every run of the same task: give it to whatever the step writes to. */
  readonly idempotencyKey: string;
}

export interface AskOptions {
  /** Higher goes first. Default: the asking task's own. */
  readonly priority?: number;
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
 */
export interface Context<U extends DependencyMap = DependencyMap, A extends ContractMap = ContractMap> {
  readonly task: { readonly id: string; readonly kind: string; readonly attempt: number; readonly fence: number };
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
   * Any other effect, made once and remembered under its name, which is unique within the run. The
   * result must be JSON.
   */
  step<T>(name: string, fn: (step: StepContext) => T | Promise<T>): Promise<T>;
  /**
   * Does something with a place of a bulkhead in hand, and gives the place back when it has ended. Waits for it in fairness;
   * holding nothing else, or places of lower rank only. What it brings is not remembered: put a `step` in it, or it in a step.
   * In an isolated run it must be JSON.
   *
   * @throws BulkheadOrderError when a place of this or a higher rank is held, and on `ask` while any is.
   * @throws CallTimeoutError when it was aborted after `holdMs`; CallError when the line was full; otherwise what `fn` throws.
   */
  hold<T>(name: keyof U & string, fn: (place: StepContext) => Promise<T>, options?: HoldOptions): Promise<T>;
  /**
   * Submits a child task and waits for its result. The run parks while it waits: it gives back its
   * worker, its lease and its attempt, and starts again over what is remembered.
   *
   * @throws ChildFailedError when the child failed for good.
   */
  ask<N extends keyof A & string>(kind: N, input: InputOf<A[N]>, options?: AskOptions): Promise<OutputOf<A[N]>>;
  /** Submits a child task together with this task's completion, and does not wait. */
  send<N extends keyof A & string>(kind: N, input: InputOf<A[N]>, options?: AskOptions): void;
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
