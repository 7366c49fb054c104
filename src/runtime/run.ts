/**
 * Run: one execution of a kind's `run(input, ctx)` for one task by one incarnation, and the `ctx`
 * of that execution.
 *
 *     running ─┬─ returned, thrown ──────────────▶ over (ended)
 *              ├─ only waits, for long ──────────▶ over (parked)
 *              └─ timeout, stall, lease lost, ...▶ over (abandoned)
 *
 * Every operation has a place: its name and the how-manieth of that name it is. What it brings is
 * remembered under that place before the run sees it; a later run finds it there.
 *
 * Once a run is over, its pending operations never settle and new ones have no effect, so code
 * after an `await` cannot act for a task that somebody else holds.
 */
import { isTerminal } from '../../actors/ports/store.ts';
import type { ChildRecord, ClaimedTask, NewTask, Remembered, RememberItem, SettledOutcome } from '../../actors/ports/store.ts';
import { CallError } from '../admission/call-errors.ts';
import type { Caller, CallSubject, Operation } from '../admission/caller.ts';
import { joining } from '../admission/joining.ts';
import type { Isolation } from '../isolation/isolation.ts';
import type { LoopHolder } from '../isolation/watchdog.ts';
import type { Holding } from '../topology/bulkhead.ts';
import type { AskOptions, CallOptions, Context, HoldOptions, RunLogger, StepContext } from '../topology/context.ts';
import type { KindPlan } from '../topology/fleet.ts';
import type { Requester } from './batcher.ts';

import { childTask } from './child-task.ts';
import {
  BoundReachedError,
  ChildFailedError,
  DuplicateStepError,
  PayloadInvalidError,
  ReplayDivergedError,
  RunOverError,
  UndeclaredError,
} from './errors.ts';
import type { RunOverReason } from './errors.ts';
import type { RunEngine } from './engine.ts';
import type { WakeGate } from './wake-gate.ts';
import { checkHold, checkNoHold, holding } from './holding.ts';
import { checkQuality, decode, encode, hashText, parse } from './payload.ts';
import { readErrorRecord } from './task-error.ts';
import { childId } from './task-id.ts';

/** A run that only waits for admission holds its worker for so long, then it parks. */
const ADMISSION_LINGER_MS = 30_000;
/** A run that parked for admission comes back after 5 to 10 s, or so long after the time that it waits for, spread out so that no herd wakes. */
const ADMISSION_PARK_MS = 5_000;
/** Who is known to wait for longer does not linger. */
const LONG_WAIT_MS = 2_000;
const LONGEST_STEP_NAME = 512;

/** What a run needs to begin. */
export interface RunBirth {
  readonly plan: KindPlan;
  readonly worker: string;
  readonly claimed: ClaimedTask;
  readonly attempt: number;
  readonly losses: number;
  readonly memory: readonly Remembered[];
  readonly children: readonly ChildRecord[];
}

export class Run implements Context {
  readonly plan: KindPlan;
  readonly worker: string;
  readonly claimed: ClaimedTask;
  readonly losses: number;
  readonly task: Context['task'];
  readonly startedMs: number;
  /** What the run says of its output, or undefined. */
  quality: number | undefined;
  /** Whose task it is, where the kind says so. */
  tenant: string | undefined;
  /** The budgets that pay for its calls. */
  readonly scopes: readonly string[];
  /** When a tick last found that the run had done something on `ctx`: the clock is not read for each operation. */
  lastSignMs: number;
  readonly #engine: RunEngine;
  readonly #memory: ReadonlyMap<string, Remembered> | undefined;
  readonly #children: ReadonlyMap<string, ChildRecord> | undefined;
  readonly #counters: { readonly name: string; count: number }[] = [];
  /** Names of steps are as many as the run likes. */
  #steps: Set<string> | undefined;
  /** Few at a time: an array is cheaper than a set. */
  readonly #open: Operation[] = [];
  #sends: NewTask[] | undefined;
  #operations = 0;
  /** Counts what the run does; a tick compares. */
  #signs = 0;
  #seenSigns = 0;
  #offspring = 0;
  #over: RunOverReason | undefined;
  #controller: AbortController | undefined;
  #cancelLinger: (() => void) | undefined;
  /** Set once the run is to park at its next safe point; cancels the deadline. */
  #cancelYield: (() => void) | undefined;
  #holder: LoopHolder | undefined;
  #leaveGate: (() => void) | undefined;

  constructor(engine: RunEngine, birth: RunBirth) {
    this.#engine = engine;
    this.plan = birth.plan;
    this.worker = birth.worker;
    this.claimed = birth.claimed;
    this.losses = birth.losses;
    this.task = { id: birth.claimed.id, kind: birth.plan.kind, attempt: birth.attempt, fence: birth.claimed.fence };
    this.scopes = engine.scopesOf(birth.plan, birth.worker, birth.claimed.id);
    this.startedMs = engine.nowMs();
    this.lastSignMs = this.startedMs;
    this.#memory = birth.memory.length === 0 ? undefined : new Map(birth.memory.map((item) => [item.place, item]));
    this.#children = birth.children.length === 0 ? undefined : new Map(birth.children.map((child) => [child.place, child]));
  }

  get over(): RunOverReason | undefined {
    return this.#over;
  }

  /** It goes on where an earlier run of the task has ended. */
  get isReplay(): boolean {
    return this.#memory !== undefined || this.#children !== undefined;
  }

  /** Looks at the run once a tick. */
  look(nowMs: number): void {
    if (this.#signs === this.#seenSigns) return;
    this.#seenSigns = this.#signs;
    this.lastSignMs = nowMs;
  }

  /** An operation is under way: such a run is alive however long it is silent. */
  get occupied(): boolean {
    return this.#open.length > 0;
  }

  /** All that it does is wait for permits. */
  get waitsForAdmission(): boolean {
    return this.#over === undefined && this.#open.length > 0 && this.#open.every(({ waitsFor }) => waitsFor === 'admission');
  }

  /** The children that the run waits for, when that is all it does; undefined while anything else goes on. */
  get waitsOnlyFor(): readonly string[] | undefined {
    if (this.#over !== undefined || this.#open.length === 0) return undefined;
    const children: string[] = [];
    for (const operation of this.#open) {
      if (operation.waitsFor !== 'child') return undefined;
      children.push((operation as ChildWait).child);
    }
    return children;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#over !== undefined) this.#controller.abort(new RunOverError(this.#over));
    return this.#controller.signal;
  }

  get log(): RunLogger {
    return this.#engine.logger(this);
  }

  /** As `execute`, once the gate lets it through; it leaves the gate with its first operation. */
  executeThrough(gate: WakeGate): void {
    let leave = (): void => {};
    const wait: Operation = { waitsFor: 'admission', cancel: () => leave() };
    this.#open.push(wait);
    leave = gate.enter(`${this.worker}#${this.task.fence}`, () => {
      if (!this.done(wait)) return leave();
      this.#leaveGate = leave;
      this.execute();
    });
  }

  /** Executes the agent's function. Ends the run through the engine. */
  execute(): void {
    const { agent, names, isolation } = this.plan;
    const { maxBytes } = this.#engine;
    const isolated = isolation === 'inline' ? undefined : this.#engine.isolation;
    try {
      if (isolated !== undefined && agent.spec.tenant === undefined) return this.#isolated(isolated);
      const input = parse(agent.input, decode(this.claimed.input), names.input);
      this.tenant = this.#tenantOf(input);
      if (isolated !== undefined) return this.#isolated(isolated);
      Promise.resolve(this.within(() => joining.run(undefined, () => agent.spec.run(input, this) as unknown))).then(
        (value) => {
          if (this.#over !== undefined) return;
          try {
            const result = encode(parse(agent.output, value, names.output, true), names.output, maxBytes);
            this.#end({ at: 'completed', result, sends: this.#sends ?? [] });
          } catch (error) {
            this.#fail(error);
          }
        },
        (error: unknown) => this.#fail(error),
      );
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Limiters tell tenants apart by their names: anything but a text would be nobody's name. */
  #tenantOf(input: unknown): string | undefined {
    const { spec } = this.plan.agent;
    if (spec.tenant === undefined) return undefined;
    const tenant: unknown = spec.tenant(input);
    if (typeof tenant === 'string' || tenant === undefined) return tenant;
    throw new PayloadInvalidError(`tenant of ${this.task.kind}`, [{ path: '', message: 'expected a text' }], tenant, false);
  }

  /** Executes the agent's function in the thread or process of its worker. When that dies first, the queue says what becomes of the task. */
  #isolated(isolation: Isolation): void {
    const { input, depth, priority } = this.claimed;
    isolation.execute(this.plan, this.worker, {
      ctx: this as never,
      input: input ?? '',
      depth,
      priority,
      returned: (result) => this.#over === undefined && this.#end({ at: 'completed', result, sends: this.#sends ?? [] }),
      threw: (error) => this.#fail(error),
    });
  }

  /** Ends the run from outside: nothing that it still does has an effect. False when it was over already. */
  abandon(reason: Exclude<RunOverReason, 'ended'>): boolean {
    if (this.#over !== undefined) return false;
    this.#close(reason);
    return true;
  }

  /**
   * Parks the run at its next safe point, for its worker is suspended: between operations, or once
   * what is in flight has brought its result and that is remembered. After `withinMs` what is still
   * in flight is aborted.
   */
  yieldWithin(withinMs: number): void {
    this.yieldAfterNext(withinMs);
    if (this.#isSafe()) this.parkNow();
  }

  /** As `yieldWithin`, but not before an operation has ended, or the time is up. */
  yieldAfterNext(withinMs: number): void {
    if (this.#over === undefined) this.#cancelYield ??= this.#engine.alarm(Math.max(0, withinMs), () => this.parkNow());
  }

  /** Nothing is in flight: every operation that is open only waits. */
  #isSafe(): boolean {
    return this.#open.every(({ waitsFor }) => waitsFor !== undefined);
  }

  /** Parks the run for its worker is suspended, whatever is in flight. */
  parkNow(): void {
    if (this.#over !== undefined) return;
    const children = this.#open.filter(({ waitsFor }) => waitsFor === 'child').map((wait) => (wait as ChildWait).child);
    const onlyForChildren = children.length > 0 && children.length === this.#open.length;
    this.#close('parked');
    // Another worker of the kind may go on at once, unless there is something to wait for.
    const wakeAtMs = onlyForChildren ? null : this.#engine.nowMs();
    this.#engine.ended(this, { at: 'parked', reason: 'suspended', children, wakeAtMs });
  }

  call(name: string, request: unknown, options: CallOptions = {}): Promise<never> {
    return this.#operate((resolve, reject) => {
      const { uses, kind } = this.plan;
      const dependency = Object.hasOwn(uses, name) ? uses[name] : undefined;
      if (dependency === undefined || this.plan.agent.spec.uses[name].spec.rank !== undefined)
        throw new UndeclaredError({ kind, field: 'uses', name }, Object.keys(uses));
      const place = this.#place(`call:${name}`);
      const remember = options.remember !== false;
      const hash = remember ? hashText(encode(request, `request to ${name}`, Infinity)) : '';
      const known = remember ? this.#recall(place, hash) : undefined;
      if (known !== undefined) return resolve(decode(known.value));
      const caller = new Calling(this, place, remember ? hash : undefined, resolve, reject);
      caller.operation = this.#engine.callsOf(dependency).begin(request, caller);
      this.#open.push(caller.operation);
    });
  }

  hold<T>(name: string, fn: (place: StepContext) => Promise<T>, { slots = 1 }: HoldOptions = {}): Promise<T> {
    return this.#operate((resolve, reject) => {
      const held = checkHold(this, this.plan, name);
      const caller = new Calling(this, this.#place(`hold:${name}`), undefined, resolve, (error) => {
        // What is done with a place is the run's own: so are its errors.
        reject(error instanceof CallError && error.detail.failure !== 'refused' ? error.cause : error);
      });
      const request: Holding = { fn: (call) => holding(held, () => fn(call)), slots };
      caller.operation = this.#engine.callsOf(this.plan.uses[name]!).begin(request, caller);
      this.#open.push(caller.operation);
    });
  }

  step<T>(name: string, fn: (step: StepContext) => T | Promise<T>): Promise<T> {
    return this.#operate((resolve, reject) => {
      const place = `step:${name}`;
      if (typeof name !== 'string' || name === '' || name.length > LONGEST_STEP_NAME || !name.isWellFormed()) {
        const expected = `expected a text of 1 to ${LONGEST_STEP_NAME} characters of well-formed Unicode`;
        throw new PayloadInvalidError('name of a step', [{ path: '', message: expected }], name, false);
      }
      this.#steps ??= new Set();
      if (this.#steps.has(name)) throw new DuplicateStepError({ id: this.task.id, step: name });
      this.#steps.add(name);
      const known = this.#recall(place, '');
      if (known !== undefined) return resolve(decode(known.value));
      this.#engine.checkLeases(this.#engine.nowMs());
      if (this.#over !== undefined) return;
      const operation: Operation = { waitsFor: undefined, cancel: () => {} };
      this.#open.push(operation);
      const perform = (): T | Promise<T> => fn(new Step(this, `${this.task.id}/${place}`));
      this.#engine.operated(this);
      new Promise<T>((settle) => settle(this.within(perform))).then(
        (value) => this.keep(operation, place, '', value, resolve, reject),
        (error: unknown) => this.done(operation) && reject(error),
      );
    });
  }

  ask(kind: string, input: unknown, options: AskOptions = {}): Promise<never> {
    return this.#operate((resolve, reject) => {
      checkNoHold(this, this.plan.kind, kind);
      const name = this.#place(kind);
      const child = this.#newTask(kind, input, options, name);
      const place = `ask:${name}@${hashText(child.input)}`;
      const wait: ChildWait = { child: child.id, waitsFor: undefined, cancel: () => {} };
      const tell = (task: ChildRecord): void => {
        if (task.status === 'completed') resolve(decode(task.result));
        else reject(new ChildFailedError({ id: task.id, kind, status: task.status, error: readErrorRecord(task.error) }));
      };
      const answer = (task: ChildRecord): void => {
        if (this.done(wait)) tell(task);
      };
      const known = this.#children?.get(place);
      // What is remembered is no operation: a run that is to park would come by it again for ever.
      if (known !== undefined && isTerminal(known.status)) return tell(known);
      this.#open.push(wait);
      if (known !== undefined) return this.#await(wait, answer);
      this.#engine.submitChild({ ...child, parent: { id: this.task.id, fence: this.task.fence, place } }, (submitted) => {
        if (this.#over !== undefined) return;
        if (submitted === 'lease-lost') this.#engine.leaseLost(this);
        else if (submitted === 'diverged') {
          if (this.done(wait)) reject(new ReplayDivergedError({ id: this.task.id, place }));
        } else if (submitted !== 'accepted' && isTerminal(submitted.status)) answer(submitted);
        else this.#await(wait, answer);
      });
    });
  }

  send(kind: string, input: unknown, options: AskOptions = {}): void {
    if (this.#over !== undefined) return;
    this.#signs += 1;
    (this.#sends ??= []).push(this.#newTask(kind, input, options, this.#place(`send:${kind}`)));
  }

  progress(done: number, total?: number): void {
    if (this.#over !== undefined) return;
    this.#signs += 1;
    this.#engine.progressed(this, done, total);
    this.#engine.operated(this);
  }

  score(quality: number): void {
    if (this.#over !== undefined) return;
    this.#signs += 1;
    this.quality = checkQuality(quality);
  }

  /** Parks the run when all that it still does is waiting: for children once that has lingered, for admission after a while. */
  parkIfOnlyWaiting(nowMs: number, lingered: boolean): boolean {
    if (this.#over !== undefined || this.#open.length === 0 || !this.#engine.parking) return false;
    const children: string[] = [];
    let notBeforeMs = Infinity;
    for (const operation of this.#open) {
      if (operation.waitsFor === undefined) return false;
      if (operation.waitsFor === 'child') children.push((operation as ChildWait).child);
      else notBeforeMs = Math.min(notBeforeMs, operation.notBeforeMs ?? nowMs);
    }
    const forAdmission = children.length < this.#open.length;
    const isLong = forAdmission ? notBeforeMs - nowMs > LONG_WAIT_MS || nowMs - this.lastSignMs >= ADMISSION_LINGER_MS : lingered;
    if (!isLong) return false;
    const fromMs = Math.max(nowMs + ADMISSION_PARK_MS, notBeforeMs);
    const wakeAtMs = forAdmission ? fromMs + ADMISSION_PARK_MS * this.#engine.random.next() : null;
    this.#close('parked');
    this.#engine.ended(this, { at: 'parked', reason: forAdmission ? 'admission' : 'child', children, wakeAtMs });
    return true;
  }

  /** One of its operations has to wait for long: parks the run, unless another is still under way. */
  parkIfPostponed(): void {
    this.parkIfOnlyWaiting(this.#engine.nowMs(), false);
  }

  /** Begins an operation: none once the run is over. */
  #operate<T>(begin: (resolve: Settle, reject: Settle) => void): Promise<T> {
    if (this.#over !== undefined) return new Promise(() => {});
    this.#signs += 1;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const refuse = (error: unknown): void => {
      // A run may look at it later, or never: that is no reason to end the process.
      promise.catch(() => {});
      reject(error);
    };
    try {
      const { operations } = this.#engine.bounds;
      if ((this.#operations += 1) > operations) throw new BoundReachedError({ id: this.task.id, bound: 'operations', limit: operations });
      const { watchdog } = this.#engine;
      if (watchdog === undefined) begin(resolve, refuse);
      else watchdog.outside(() => begin(resolve, refuse));
    } catch (error) {
      refuse(error);
    }
    return promise as Promise<T>;
  }

  /** Calls code of the user's for this run: should it hold the event loop, the watchdog names the run. */
  within<T>(act: () => T): T {
    const { watchdog } = this.#engine;
    return watchdog === undefined ? act() : watchdog.within(this.#holding(), act);
  }

  #holding(): LoopHolder {
    this.#holder ??= { worker: this.worker, kind: this.task.kind, task: this.task.id };
    return this.#holder;
  }

  /** The operation has ended. False when the run is over: then nothing of it may be seen. */
  done(operation: Operation): boolean {
    if (this.#over !== undefined) return false;
    if (this.#open.length === 1) this.#open.pop();
    else this.#open.splice(this.#open.indexOf(operation), 1);
    this.#signs += 1;
    this.#leaveGate?.();
    if (this.#cancelYield !== undefined && this.#isSafe()) {
      // What the operation brought is remembered: a later run will see it.
      this.parkNow();
      return false;
    }
    this.#engine.watchdog?.enter(this.#holding());
    if (this.#open.length > 0) this.#linger();
    return true;
  }

  /** Remembers what an operation brought; only then does the run see it. */
  keep(operation: Operation, place: string, hash: string, value: unknown, resolve: Settle, reject: Settle): void {
    if (this.#over !== undefined) return;
    try {
      const text = encode(value, `what ${place} brought`, this.#engine.maxBytes);
      this.#engine.remember(new Keeping(this, operation, { place, hash, value: text }, resolve));
    } catch (error) {
      if (this.done(operation)) reject(error);
    }
  }

  /** The store refused what this run brought: somebody else holds the task. */
  leaseLost(): void {
    this.#engine.leaseLost(this);
  }

  #recall(place: string, hash: string): Remembered | undefined {
    const known = this.#memory?.get(place);
    if (known !== undefined && known.hash !== hash) throw new ReplayDivergedError({ id: this.task.id, place });
    return known;
  }

  #newTask(kind: string, input: unknown, options: AskOptions, name: string): NewTask {
    const { id, depth, priority } = this.claimed;
    const asking = { plan: this.plan, bounds: this.#engine.bounds, id, depth, priority, offspring: this.#offspring };
    const { input: text, ...checked } = childTask(asking, kind, input, options);
    this.#offspring += 1;
    return this.#engine.newTask(kind, text, { id: childId(id, name), ...checked });
  }

  #await(wait: ChildWait, answer: (task: ChildRecord) => void): void {
    wait.waitsFor = 'child';
    wait.cancel = this.#engine.onTaskEnded(wait.child, { ended: answer });
    this.#linger();
  }

  /** Looks again whether to park, once the youngest wait is old enough. */
  #linger(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    if (!this.#open.some(({ waitsFor }) => waitsFor === 'child')) return;
    this.#cancelLinger = this.#engine.alarm(this.plan.lingerMs, () => {
      this.#cancelLinger = undefined;
      this.parkIfOnlyWaiting(this.#engine.nowMs(), true);
    });
  }

  #place(name: string): string {
    return `${name}#${this.#count(name)}`;
  }

  /** The how-manieth of that name. Names are few (those of `uses` and `asks`): a list is cheaper than a map. */
  #count(name: string): number {
    for (const counter of this.#counters) if (counter.name === name) return (counter.count += 1);
    this.#counters.push({ name, count: 1 });
    return 1;
  }

  #fail(error: unknown): void {
    if (this.#over !== undefined) return;
    this.#close('ended');
    this.#engine.rejected(this, error);
  }

  #end(outcome: SettledOutcome): void {
    this.#close('ended');
    this.#engine.ended(this, outcome);
  }

  #close(reason: RunOverReason): void {
    this.#over = reason;
    this.#cancelLinger?.();
    this.#cancelYield?.();
    this.#leaveGate?.();
    const error = new RunOverError(reason);
    for (const operation of this.#open.splice(0)) operation.cancel(error);
    this.#controller?.abort(error);
  }
}

type Settle = (value: unknown) => void;

/** A call, seen from the run. */
class Calling implements Caller {
  operation: Operation | undefined;
  readonly #run: Run;
  readonly #place: string;
  /** Of the request; undefined when the reply is not to be remembered. */
  readonly #hash: string | undefined;
  readonly #resolve: Settle;
  readonly #reject: Settle;

  constructor(run: Run, place: string, hash: string | undefined, resolve: Settle, reject: Settle) {
    this.#run = run;
    this.#place = place;
    this.#hash = hash;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get tenant(): string | undefined {
    return this.#run.tenant;
  }

  get flow(): string {
    return this.#run.plan.kind;
  }

  get priority(): number {
    return this.#run.claimed.priority;
  }

  get scopes(): readonly string[] {
    return this.#run.scopes;
  }

  get idempotencyKey(): string {
    return `${this.#run.task.id}/${this.#place}`;
  }

  get subject(): CallSubject {
    const { worker, task } = this.#run;
    return { worker, kind: task.kind, task: task.id, request: this.#hash };
  }

  within<T>(act: () => T): T {
    return this.#run.within(act);
  }

  replied(reply: unknown): void {
    const operation = this.operation!;
    if (this.#hash !== undefined) this.#run.keep(operation, this.#place, this.#hash, reply, this.#resolve, this.#reject);
    else if (this.#run.done(operation)) this.#resolve(reply);
  }

  failed(error: unknown): void {
    if (this.#run.done(this.operation!)) this.#reject(error);
  }

  postponed(): void {
    // While it is being begun the run does not have it yet: the next tick looks again.
    this.#run.parkIfPostponed();
  }
}

/** Something on its way into the memory of a run: the item of the command, and who waits for it. */
class Keeping implements RememberItem, Requester<boolean> {
  readonly id: string;
  readonly fence: number;
  readonly place: string;
  readonly hash: string;
  readonly value: string;
  readonly #run: Run;
  readonly #operation: Operation;
  readonly #resolve: Settle;

  constructor(run: Run, operation: Operation, { place, hash, value }: Remembered, resolve: Settle) {
    this.id = run.task.id;
    this.fence = run.task.fence;
    this.place = place;
    this.hash = hash;
    this.value = value;
    this.#run = run;
    this.#operation = operation;
    this.#resolve = resolve;
  }

  replied(kept: boolean): void {
    if (!kept) this.#run.leaseLost();
    else if (this.#run.done(this.#operation)) this.#resolve(decode(this.value));
  }
}

/** An operation that waits for a child. */
interface ChildWait extends Operation {
  readonly child: string;
  waitsFor: 'child' | undefined;
  cancel: () => void;
}

class Step implements StepContext {
  readonly idempotencyKey: string;
  readonly #run: Run;

  constructor(run: Run, idempotencyKey: string) {
    this.#run = run;
    this.idempotencyKey = idempotencyKey;
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }
}
