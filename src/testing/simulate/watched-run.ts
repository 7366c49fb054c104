/**
 * Watched run: the `ctx` that a simulated run gets, and the operations of its machine. It does what the runtime's does,
 * and notes what the run does with it: effects begin, time does not pass, the run waits for something of its own.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type {
  Approved,
  AskOptions,
  CallOptions,
  Context,
  HoldOptions,
  KeyOptions,
  RunLogger,
  State,
  StateValue,
  StepContext,
  WaitOptions,
} from '../../topology/context.ts';
import type { Run } from '../../runtime/run.ts';
import type { Invocation } from '../../runtime/machine/invocation.ts';
import type { Onlooker } from '../../runtime/machine/onlooker.ts';
import { SimulationStuckError } from '../errors.ts';
import { placeOf } from '../place.ts';
import type { Scene } from './scene.ts';

/** Operations of all runs at one virtual instant, after which time is taken to stand still. */
export const MOST_AT_ONCE = 100_000;

/** What runs have in common with the simulation. */
export interface Watch {
  readonly scene: Scene;
  /** Operations since time last moved. */
  operations: number;
  /** Whether waits and other nondeterminism are looked for. */
  readonly marking: boolean;
  /** Runs so far, by kind. */
  readonly runs: Map<string, number>;
  /** Told of an operation that was begun inside a step. */
  readonly nested?: (run: WatchedRun, what: string, step: string) => void;
  /** Told of an operation that its kind does not declare, where the runtime allows it. */
  readonly undeclared?: (run: WatchedRun, what: string) => void;
}

export interface WatchedRunOptions {
  /** Whether its process is. What JavaScript still runs of a dead one does nothing, and is not seen. */
  readonly isAlive: () => boolean;
  /** Runs code of the user's on behalf of its task. */
  readonly within: <T>(act: () => T) => T;
}

/** Of so many first runs of a kind it is remembered where they call `ctx`: it costs as much as the call. */
const MARKED_RUNS = 64;

/** The step whose function is running, and whose it is. */
const steps = new AsyncLocalStorage<{ readonly run: WatchedRun; readonly name: string }>();

export class WatchedRun implements Onlooker {
  readonly run: Run;
  readonly task: Context['task'];
  /** What its function, or its machine, is given. */
  readonly ctx: Context;
  /** Its function has returned or thrown. */
  ended = false;
  /** Where its last operation was called, and which. */
  readonly mark: { stack?: string } = {};
  last: string | undefined;
  #stepsOpen = 0;
  readonly #watch: Watch;
  readonly #options: WatchedRunOptions;
  readonly #marked: boolean;

  constructor(run: Run, watch: Watch, options: WatchedRunOptions) {
    this.run = run;
    this.#options = options;
    this.task = run.task;
    this.#watch = watch;
    const { kind } = run.task;
    const runs = watch.runs.get(kind) ?? 0;
    watch.runs.set(kind, runs + 1);
    this.#marked = watch.marking && runs < MARKED_RUNS;
    this.ctx = new WatchedContext(this, run, '');
  }

  get scene(): Scene {
    return this.#watch.scene;
  }

  get isAlive(): boolean {
    return this.#options.isAlive();
  }

  /** Alive, and without anything on `ctx` that could let it go on. */
  get waitsElsewhere(): boolean {
    return !this.ended && this.run.over === undefined && !this.run.occupied;
  }

  /** It timed out in a step: no step of a simulated run takes time, so it waited for something that cannot be seen. */
  get stuckInStep(): boolean {
    return !this.ended && this.#stepsOpen > 0 && (this.run.over === 'timeout' || this.run.over === 'stalled');
  }

  /** Where the last operation was called: what the run waits for comes after it. */
  get place(): string | undefined {
    return placeOf(this.mark);
  }

  perform<T>(operation: Invocation, act: (ctx: Context) => T): T {
    const ctx = new WatchedContext(this, operation, `/${operation.label}`);
    return this.#options.within(() => act(ctx));
  }

  /** What a step, or a compensation, does to the world. */
  effect<T>(name: string, step: StepContext, fn: (step: StepContext) => T | Promise<T>): T | Promise<T> {
    const { scene, marking } = this.#watch;
    const { id, fence } = this.task;
    if (!this.isAlive) return new Promise(() => {});
    scene.note(3, step.idempotencyKey, fence);
    scene.see({ at: 'step.began', key: step.idempotencyKey, task: id, fence });
    return marking ? this.#inStep(name, () => fn(step)) : fn(step);
  }

  /** Runs the function of a step so that what it begins on `ctx` is known to be inside of it. */
  async #inStep<T>(name: string, act: () => T | Promise<T>): Promise<T> {
    this.#stepsOpen += 1;
    try {
      return await steps.run({ run: this, name }, act);
    } finally {
      this.#stepsOpen -= 1;
    }
  }

  /** It widens what it holds. */
  widens(): void {
    if (this.run.plan.agent.spec.writes === undefined) this.#watch.undeclared?.(this, 'ctx.widen');
  }

  /** Notes the operation; gives a promise that never settles when too much happens at once. */
  begin(what: string, from: (...args: never[]) => unknown): Promise<never> | undefined {
    if (!this.isAlive) return new Promise(() => {});
    this.last = what;
    if (this.#watch.marking && this.#watch.nested !== undefined) {
      const around = steps.getStore();
      if (around?.run === this) this.#watch.nested(this, what, around.name);
    }
    if (this.#marked) Error.captureStackTrace(this.mark, from);
    if ((this.#watch.operations += 1) <= MOST_AT_ONCE) return undefined;
    Error.captureStackTrace(this.mark, from);
    const { scene } = this.#watch;
    const detail = {
      atMs: scene.nowMs,
      what: `operations of ${this.task.kind} (${this.task.id}), such as ${what}`,
      limit: MOST_AT_ONCE,
      place: this.place,
    };
    scene.fail(new SimulationStuckError(detail));
    return new Promise(() => {});
  }
}

/** The `ctx` of a run, or of an operation of its machine. */
class WatchedContext implements Context {
  /** Whose it is. */
  readonly onlooker: WatchedRun;
  readonly #inner: Context;
  /** Ends the keys of its sleeps. */
  readonly #suffix: string;
  #sleeps = 0;
  #state: State | undefined;

  constructor(run: WatchedRun, inner: Context, suffix: string) {
    this.onlooker = run;
    this.#inner = inner;
    this.#suffix = suffix;
  }

  get task(): Context['task'] {
    return this.onlooker.task;
  }

  get signal(): AbortSignal {
    return this.#inner.signal;
  }

  get log(): RunLogger {
    return this.#inner.log;
  }

  call(name: string, request: unknown, options?: CallOptions): Promise<never> {
    return this.onlooker.begin(`ctx.call(${name})`, this.call) ?? (this.#inner.call(name, request, options) as Promise<never>);
  }

  hold<T>(name: string, fn: (place: StepContext) => Promise<T>, options?: HoldOptions): Promise<T> {
    return this.onlooker.begin(`ctx.hold(${name})`, this.hold) ?? this.#inner.hold(name, fn, options);
  }

  step<T>(name: string, fn: (step: StepContext) => T | Promise<T>, options?: KeyOptions): Promise<T> {
    const run = this.onlooker;
    return run.begin(`ctx.step(${name})`, this.step) ?? this.#inner.step(name, (step) => run.effect(name, step, fn), options);
  }

  async compensate(name: string, undo: (step: StepContext) => unknown): Promise<void> {
    const run = this.onlooker;
    await (run.begin(`ctx.compensate(${name})`, this.compensate) ??
      this.#inner.compensate(name, (step) => run.effect(`undo of ${name}`, step, undo)));
  }

  ask(kind: string, input: unknown, options?: AskOptions): Promise<never> {
    return this.onlooker.begin(`ctx.ask(${kind})`, this.ask) ?? (this.#inner.ask(kind, input, options) as Promise<never>);
  }

  send(kind: string, input: unknown, options?: AskOptions): void {
    if (this.onlooker.begin(`ctx.send(${kind})`, this.send) === undefined) this.#inner.send(kind, input, options);
  }

  async sleep(until: number | Date, options?: KeyOptions): Promise<void> {
    const { onlooker } = this;
    const { scene } = onlooker;
    const { id } = this.task;
    const place = `sleep${options?.key === undefined ? `#${(this.#sleeps += 1)}` : `[${options.key}]`}${this.#suffix}`;
    const key = `${id}/${place}`;
    const stopped = onlooker.begin('ctx.sleep', this.sleep);
    if (stopped !== undefined) return stopped;
    // What is no time is for the runtime to refuse.
    scene.see({ at: 'sleep.began', key, task: id, untilMs: until instanceof Date ? until.getTime() : scene.nowMs + until });
    await this.#inner.sleep(until, options);
    // Who is undone goes past a sleep that only other code has.
    if (onlooker.isAlive && scene.task(id)?.undone !== true) scene.see({ at: 'sleep.ended', key, task: id });
  }

  waitFor(name: string, options?: WaitOptions): Promise<never> {
    return this.onlooker.begin(`ctx.waitFor(${name})`, this.waitFor) ?? (this.#inner.waitFor(name, options) as Promise<never>);
  }

  approval(name: string, request: unknown, options?: WaitOptions): Promise<Approved> {
    return this.onlooker.begin(`ctx.approval(${name})`, this.approval) ?? this.#inner.approval(name, request, options);
  }

  get state(): State {
    return (this.#state ??= new WatchedState(this.#inner.state, (what, from) => this.onlooker.begin(what, from)));
  }

  async widen(resources: readonly string[]): Promise<void> {
    this.onlooker.widens();
    await (this.onlooker.begin('ctx.widen', this.widen) ?? this.#inner.widen(resources));
  }

  score(quality: number): void {
    if (this.onlooker.begin('ctx.score', this.score) === undefined) this.#inner.score(quality);
  }

  progress(done: number, total?: number): void {
    if (this.onlooker.begin('ctx.progress', this.progress) === undefined) this.#inner.progress(done, total);
  }
}

type Begin = (what: string, from: (...args: never[]) => unknown) => Promise<never> | undefined;

/** The rows of a run, watched like its other operations. */
class WatchedState implements State {
  readonly #state: State;
  readonly #begin: Begin;

  constructor(state: State, begin: Begin) {
    this.#state = state;
    this.#begin = begin;
  }

  get<T = unknown>(key: string): Promise<StateValue<T> | undefined> {
    return this.#begin(`ctx.state.get(${key})`, this.get) ?? this.#state.get<T>(key);
  }

  async set(key: string, value: unknown, version: number | null): Promise<void> {
    await (this.#begin(`ctx.state.set(${key})`, this.set) ?? this.#state.set(key, value, version));
  }

  async delete(key: string, version: number): Promise<void> {
    await (this.#begin(`ctx.state.delete(${key})`, this.delete) ?? this.#state.delete(key, version));
  }

  update<T = unknown>(key: string, change: (value: T | undefined) => T): Promise<T> {
    return this.#begin(`ctx.state.update(${key})`, this.update) ?? this.#state.update(key, change);
  }
}
