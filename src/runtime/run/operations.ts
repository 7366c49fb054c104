/**
 * Operations: what all that a run does on `ctx` has in common: how it begins and ends, and how what it
 * brings is remembered and given again.
 */
import type { ClaimedTask, LockWant, Remembered, StartOutcome } from '../../../actors/ports/store.ts';
import type { LoopHolder } from '../../isolation/watchdog.ts';
import type { Context } from '../../topology/context.ts';
import type { KindPlan } from '../../topology/fleet.ts';
import type { RunEngine } from '../engine.ts';
import { RunOverError } from '../errors.ts';
import type { RunOverReason } from '../errors.ts';
import { decode, encode } from '../payload.ts';
import type { Run } from '../run.ts';
import { readFailure, writeFailure } from '../task-error.ts';
import { isHolding } from '../holding.ts';
import type { Came } from './came.ts';
import { Begins, newBegun } from './begun.ts';
import { BoundReachedError, OperationInUndoError } from './errors.ts';
import type { ReplayDivergedError } from './errors.ts';
import { RunEvents } from './events.ts';
import { RunFailures } from './failures.ts';
import { stepAround } from './in-step.ts';
import { remember } from './keeping.ts';
import { failedValue, failureIn, PUT_BACK, RunMemory } from './memory.ts';
import { Pending } from './operation.ts';
import type { RunOperation } from './operation.ts';
import { numbered, numberIn, RunOrder } from './order.ts';
import { RunParks } from './parks.ts';
import { ReplayCheck } from './replay.ts';
import type { Undo } from './undo.ts';

/** What a run needs to begin. */
export interface RunBirth {
  readonly plan: KindPlan;
  readonly worker: string;
  readonly claimed: ClaimedTask;
  /** Of its kind or, by inheritance, higher. */
  readonly priority: number;
  readonly started: Extract<StartOutcome, { readonly at: 'started' }>;
}

export type Settle = (value: unknown) => void;

const KEPT =
  'the run has ended though it did nothing that was not remembered; failures that it went on after are tried again when it throws them, or an error with them as its cause';

export abstract class RunOperations {
  readonly engine: RunEngine;
  readonly plan: KindPlan;
  readonly worker: string;
  readonly claimed: ClaimedTask;
  readonly losses: number;
  readonly task: Context['task'];
  readonly startedMs: number;
  readonly memory: RunMemory;
  /** What it holds. */
  readonly locks: readonly LockWant[];
  /** The budgets that pay for its calls. */
  readonly scopes: readonly string[];
  /** What it has begun on `ctx`. */
  readonly begins = new Begins();
  /** Few at a time: an array is cheaper than a set. */
  readonly open: RunOperation[] = [];
  /** Whether code of the user's is under way of which no operation shows. Of a statechart that is known. */
  works: (() => boolean) | undefined;
  #widening: Set<string> | undefined;
  /** It is executed to be undone. */
  undoing: Undo | undefined;
  /** An operator wants the task: what is in flight may end, nothing new is begun, then the run lets go. */
  lettingGo: 'cancelled' | 'paused' | undefined;
  /** Of its calls and children; grows by `raise`. */
  priority: number;
  /** When a tick last found that the run had done something on `ctx`: the clock is not read for each operation. */
  lastSignMs: number;
  protected leaveGate: (() => void) | undefined;
  protected cancelDeadline: (() => void) | undefined;
  #parks: RunParks | undefined;
  #events: RunEvents | undefined;
  #order: RunOrder | undefined;
  #replay: ReplayCheck | undefined;
  #failures: RunFailures | undefined;
  /** It has begun something that no earlier run has done. */
  #isNew = false;
  #operations = 0;
  /** Compensations that it, or an earlier run, has registered; undefined: not counted yet. */
  #registrations: number | undefined;
  /** Counts what the run does; a tick compares. */
  #signs = 0;
  #seenSigns = 0;
  #over: RunOverReason | undefined;
  #controller: AbortController | undefined;
  #ended: AbortController | undefined;
  #holder: LoopHolder | undefined;

  constructor(engine: RunEngine, { plan, worker, claimed, priority, started }: RunBirth) {
    const { attempt, losses, locks, lockFence } = started;
    this.engine = engine;
    this.plan = plan;
    this.worker = worker;
    this.claimed = claimed;
    this.losses = losses;
    this.task = { id: claimed.id, kind: plan.kind, attempt, fence: claimed.fence, lockFence };
    this.scopes = engine.scopesOf(plan, worker, claimed.id);
    this.startedMs = engine.nowMs();
    this.lastSignMs = this.startedMs;
    this.priority = priority;
    this.memory = new RunMemory(plan, claimed, started);
    this.locks = locks;
  }

  get over(): RunOverReason | undefined {
    return this.#over;
  }

  /** It goes on where an earlier run of the task has ended. */
  get isReplay(): boolean {
    return !this.memory.isEmpty;
  }

  get events(): RunEvents {
    return (this.#events ??= new RunEvents(this.memory));
  }

  /** When it parks. */
  get parks(): RunParks {
    // The one class there is.
    return (this.#parks ??= new RunParks(this as unknown as Run, this.open));
  }

  /** Resources that it waits for beside those that it holds. */
  get widening(): Set<string> {
    return (this.#widening ??= new Set());
  }

  /** Of ends that are side by side. */
  get order(): RunOrder {
    return (this.#order ??= new RunOrder(this.memory.lastNumber, () => this.#over !== undefined || this.undoing?.isFrozen === true));
  }

  /** What its operations have failed with. */
  get failures(): RunFailures {
    return (this.#failures ??= new RunFailures());
  }

  /** The places of failures that the next attempt tries anew, now that it has ended with `thrown`. */
  failuresBehind(thrown: unknown): readonly string[] {
    if (this.#failures === undefined) return [];
    const places = this.#failures.endedBy({ thrown, begun: this.#operations, hasComeByAll: this.memory.hasComeByAll });
    // The next attempt will find all as it was once more, and whoever wrote the run may not have meant that.
    if (places.length === 0 && !this.#isNew) this.engine.logger(this as unknown as Run).warn({ kept: this.#failures.places }, KEPT);
    return places;
  }

  /** How often it has done something. */
  get signs(): number {
    return this.#signs;
  }

  /**
   * What no earlier run has done waits until this one has come by all that they have brought (`memory.isBefore`). Should it
   * not, it takes another way: it ends with `ReplayDivergedError`, and `what` has not begun.
   */
  holdBack(what: string, begin: () => void, reject: Settle): void {
    this.#replayCheck.hold(what, begin, reject);
  }

  /** As `begin`, when the task has been put back: its run may go another way. Otherwise that is an error. */
  otherwise(begin: () => void, error: ReplayDivergedError, reject: Settle): void {
    this.#replayCheck.ask(begin, error, reject);
  }

  get #replayCheck(): ReplayCheck {
    // The one class there is.
    this.#replay ??= new ReplayCheck(this as unknown as Run);
    return this.#replay;
  }

  /** Looks at the run once a tick. */
  look(nowMs: number): void {
    if (this.#signs === this.#seenSigns) return;
    this.#seenSigns = this.#signs;
    this.lastSignMs = nowMs;
  }

  /** An operation is under way: such a run is alive however long it is silent. */
  get occupied(): boolean {
    return this.open.length > 0;
  }

  /** Aborts when the run is over, or is to be soon, since its task is cancelled. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#over !== undefined) this.#controller.abort(new RunOverError(this.#over));
    else if (this.lettingGo === 'cancelled') this.#controller.abort(new RunOverError('cancelled'));
    return this.#controller.signal;
  }

  /** Aborts when the run is over. */
  get ended(): AbortSignal {
    this.#ended ??= new AbortController();
    if (this.#over !== undefined) this.#ended.abort(new RunOverError(this.#over));
    return this.#ended.signal;
  }

  /** Somebody more urgent waits for what it holds, or for its end. */
  raise(priority: number): void {
    this.priority = priority;
    for (const operation of this.open) operation.raised?.();
  }

  /** From now on it begins nothing; what waits for a permit does not get one. Cancelled, it is told so, as is what it has in flight. */
  protected closes(why: 'cancelled' | 'paused'): void {
    if (this.lettingGo === why || this.lettingGo === 'cancelled') return;
    this.lettingGo = why;
    for (const operation of [...this.open]) {
      if (operation.waitsFor !== 'admission') continue;
      this.open.splice(this.open.indexOf(operation), 1);
      operation.cancel();
    }
    if (why === 'paused') return;
    const error = new RunOverError(why);
    this.#controller?.abort(error);
    for (const operation of [...this.open]) operation.abort?.(error);
  }

  /** Ends the run from outside: nothing that it still does has an effect. False when it was over already. */
  abandon(reason: RunOverReason): boolean {
    if (this.#over !== undefined) return false;
    this.#over = reason;
    this.cancelDeadline?.();
    this.#parks?.cancel();
    this.leaveGate?.();
    this.undoing?.cancel();
    // Most runs end with nothing open and nobody listening: an error, with its stack, would be made for nobody.
    if (this.open.length === 0 && this.#controller === undefined && this.#ended === undefined) return true;
    const error = new RunOverError(reason);
    for (const operation of this.open.splice(0)) operation.cancel(error);
    this.#ended?.abort(error);
    this.#controller?.abort(error);
    return true;
  }

  /** The store refused what this run brought: somebody else holds the task. */
  leaseLost(): void {
    if (this.#over === undefined) this.engine.leaseLost(this as unknown as Run);
  }

  /** The run shows life. False when it is over. */
  sign(): boolean {
    if (this.#over !== undefined) return false;
    this.#signs += 1;
    return true;
  }

  /**
   * Begins an operation: none once the run is over, and when it lets go only what belongs to a step, or a place of a
   * bulkhead, that is in flight. `part`: whose it is, and among which it counts when that returns.
   */
  operate<T>(
    operation: string,
    name: string | undefined,
    begin: (resolve: Settle, reject: Settle) => void,
    part: { readonly begins: Begins } = this,
  ): Promise<T> {
    if (this.#over !== undefined) return new Promise(() => {});
    if (this.undoing?.isFrozen === true) {
      const undone = stepAround(this);
      if (undone === undefined) return new Promise(() => {});
      return Promise.reject(new OperationInUndoError({ id: this.task.id, operation, compensation: undone.replace(/^undo:/, '') }));
    }
    if (this.lettingGo !== undefined && stepAround(part) === undefined && !isHolding(part)) return new Promise(() => {});
    this.#signs += 1;
    const { promise, resolve, reject } = newBegun(operation, name);
    this.undoing?.moved(promise.label);
    part.begins.add(promise);
    try {
      const { operations } = this.engine.bounds;
      if ((this.#operations += 1) > operations) throw new BoundReachedError({ id: this.task.id, bound: 'operations', limit: operations });
      const { watchdog } = this.engine;
      if (watchdog === undefined) begin(resolve, reject);
      else watchdog.outside(() => begin(resolve, reject));
    } catch (error) {
      if (!(this as unknown as Run).cannotRead(error)) reject(error);
    }
    return promise as Promise<T>;
  }

  /** Calls code of the user's for this run: should it hold the event loop, the watchdog names the run. */
  within<T>(act: () => T): T {
    const { watchdog } = this.engine;
    return watchdog === undefined ? act() : watchdog.within(this.#holding(), act);
  }

  /**
   * Whether it may do what no earlier run has done. One that is being undone may not, and goes no further there, unless
   * an earlier run has: `reject` is of an operation that may have failed there.
   */
  mayAct(reject?: Settle): boolean {
    this.#isNew = true;
    this.undoing?.stuck(reject);
    return this.undoing === undefined;
  }

  /**
   * As `mayAct`, of what brings nothing and touches nothing outside: where other code is undone than what has brought the rest,
   * the run goes past that.
   */
  mayPass(pass: () => void): boolean {
    this.#isNew = true;
    this.undoing?.stuckAtNothing(pass);
    return this.undoing === undefined;
  }

  /** Whether it may do what every run does anew: being undone, only while there are compensations to be come by. */
  mayRepeat(): boolean {
    return this.undoing?.isIncomplete === true || this.mayAct();
  }

  /** An operation has begun. */
  opened<O extends RunOperation>(operation: O): O {
    if (this.open.length > 0 || this.#order?.isBusy === true) {
      const { order } = this;
      for (const other of this.open) order.raced(other);
      order.raced(operation);
    }
    this.open.push(operation);
    return operation;
  }

  /** The operation has ended. False when the run is over: then nothing of it may be seen. */
  done(operation: RunOperation): boolean {
    if (this.#over !== undefined) return false;
    if (this.open.length === 1) this.open.pop();
    else this.open.splice(this.open.indexOf(operation), 1);
    this.#signs += 1;
    this.#order?.ended(operation);
    this.leaveGate?.();
    if (this.#parks?.isDue === true) {
      // What the operation brought is remembered: a later run will see it.
      this.#parks.now();
      return false;
    }
    this.engine.watchdog?.enter(this.#holding());
    if (this.open.length > 0) this.#parks?.linger();
    return true;
  }

  /** Gives up what is under way: the run goes no further. */
  dropOpen(): void {
    for (const operation of this.open.splice(0)) operation.cancel();
  }

  /** What an earlier run has brought. */
  give({ place, value, hash, failed }: Remembered, resolve: Settle, reject: Settle): void {
    const failure = failureIn(value);
    if (failure === undefined) return this.inOrder(hash, () => this.read(() => resolve(decode(value)), reject));
    this.inOrder(hash, () =>
      this.read(() => {
        const error = readFailure(failure);
        if (failed === true) this.failures.given({ place, error, isFound: true }, this.#operations);
        reject(error);
      }, reject),
    );
  }

  /** Reads what is stored: a task of which that is no JSON any more is kept as it stands. */
  read(act: () => void, reject: Settle): void {
    try {
      act();
    } catch (error) {
      if (!(this as unknown as Run).misfits(error)) reject(error);
    }
  }

  /** Does it at once, or where it was remembered beside others when its turn has come. */
  inOrder(hash: string, deliver: () => void): void {
    const number = numberIn(hash);
    if (number === undefined) deliver();
    else this.#deliver(number, deliver);
  }

  /** Until it is given to the run, it is beside whatever is open. */
  #deliver(number: number | undefined, deliver: () => void, came?: number): void {
    const { order } = this;
    for (const other of this.open) order.raced(other);
    order.deliver(number, deliver, came);
  }

  /** Does it after all that earlier runs have seen and that is on its way to this one; beside others like it in the order in which they `came`. */
  afterSeen(act: () => void, came?: number): void {
    this.#deliver(undefined, act, came);
  }

  /** What no earlier run has seen has come, and is looked at. A statechart looks first at its delays that were over before. */
  inTime(_came: Came, look: () => void): void {
    look();
  }

  /** Something has ended that no earlier run has seen: it comes after all that they have. */
  unseen(place: string, deliver: () => void): void {
    this.#deliver(undefined, () => {
      if (this.undoing !== undefined) deliver();
      else this.finish(this.opened(new Pending()), place, deliver);
    });
  }

  /** What the store knows has ended. That the run has seen it is remembered where another operation was open beside it. */
  finish(operation: RunOperation, place: string, deliver: () => void): void {
    if (this.#over !== undefined) return;
    if (this.#order?.isRacing(operation) !== true) return void (this.done(operation) && deliver());
    remember(this, operation, { place: this.memory.stored(place), hash: this.#hashOf(operation, ''), value: '' }, deliver);
  }

  /** Asks a person, whose word comes as an event. */
  askPerson(name: string, request: string, expiresAtMs: number | null, asked: () => void): void {
    this.engine.requests.askApproval(this as unknown as Run, name, request, expiresAtMs, asked);
  }

  #hashOf(operation: RunOperation, hash: string): string {
    if (numberIn(hash) !== undefined) return hash;
    return this.#order?.isRacing(operation) === true ? numbered(hash, this.#order.next()) : hash;
  }

  /** Remembers what an operation brought; only then does the run see it. */
  keep(operation: RunOperation, place: string, hash: string, value: unknown, resolve: Settle, reject: Settle): void {
    if (this.#over !== undefined) return;
    try {
      const text = encode(value, `what ${place} brought`, this.engine.maxBytes);
      remember(this, operation, { place: this.memory.stored(place), hash: this.#hashOf(operation, hash), value: text }, () =>
        resolve(decode(text)),
      );
    } catch (error) {
      // The run may catch it, and a later one has to come by that.
      this.keepFailure(operation, place, hash, error, reject);
    }
  }

  /** Remembers what an operation failed with, until an attempt ends with that. */
  keepFailure(operation: RunOperation, place: string, hash: string, error: unknown, reject: Settle): void {
    if (this.#over !== undefined) return;
    // Told to stop, it may well have failed for that.
    if (this.lettingGo === 'cancelled') return void this.done(operation);
    const value = failedValue(writeFailure(error));
    const item = { place: this.memory.stored(place), hash: this.#hashOf(operation, hash), value, failed: true } as const;
    remember(this, operation, item, () => {
      this.failures.given({ place: item.place, error, isFound: false }, this.#operations);
      reject(error);
    });
  }

  /**
   * As `keepFailure`, of a child; in its order also when it was alone, since a later run may have others beside it. That it has
   * been seen, and when, stays known where an attempt that ends with it has it forgotten.
   */
  keepChildFailure(operation: RunOperation, place: string, error: unknown, reject: Settle): void {
    if (this.#over !== undefined) return;
    const hash = numbered('', this.order.next());
    if (this.lettingGo !== 'cancelled') {
      const seen = { place: this.memory.stored(`over:${place}`), hash, value: '', replace: true } as const;
      remember(this, undefined, seen, () => {});
    }
    this.keepFailure(operation, place, hash, error, reject);
  }

  /** How many compensations have been registered before: in what order they were, whatever code comes by them. */
  nextRegistration(): number {
    this.#registrations ??= [...this.memory.beginning('compensate:')].length;
    return this.#registrations++;
  }

  /** A child that was seen to have failed has been put back: what was seen is of no account. */
  putBack(place: string): void {
    remember(this, undefined, { place: this.memory.stored(`over:${place}`), hash: '', value: PUT_BACK, replace: true }, () => {});
  }

  /** Remembers something before an operation goes on. */
  note(place: string, value: number, kept: () => void): void {
    remember(this, undefined, { place: this.memory.stored(place), hash: '', value: String(value) }, kept);
  }

  /** What a person is about to be asked, by its hash. */
  noteAsked(place: string, hash: string, kept: () => void): void {
    remember(this, undefined, { place: this.memory.stored(place), hash, value: '' }, kept);
  }

  #holding(): LoopHolder {
    this.#holder ??= { worker: this.worker, kind: this.task.kind, task: this.task.id };
    return this.#holder;
  }
}
