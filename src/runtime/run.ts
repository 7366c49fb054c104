/**
 * Run: one execution of a kind's `run(input, ctx)` for one task by one incarnation, and the `ctx`
 * of that execution. Each operation has a file of its own in `run/`; what they have in common is in
 * `run/operations.ts`.
 *
 *     running ─┬─ returned, thrown ──────────────▶ over (ended)
 *              ├─ only waits, for long ──────────▶ over (parked)
 *              └─ timeout, stall, lease lost, ...▶ over (abandoned)
 *
 * Every operation has a place: its name and the how-manieth of that name it is. What it brings is
 * remembered under that place before the run sees it; a later run finds it there. So does what it
 * fails with, unless the run ends with that: then the next attempt tries it anew.
 *
 * Once a run is over, its pending operations never settle and new ones have no effect, so code
 * after an `await` cannot act for a task that somebody else holds.
 */
import type { NewTask, SettledOutcome, TaskEvent } from '../../actors/ports/store.ts';
import type {
  AskOptions,
  CallOptions,
  Context,
  HoldOptions,
  KeyOptions,
  RunLogger,
  State,
  StepContext,
  WaitOptions,
} from '../topology/context.ts';
import type { RunEngine } from './engine.ts';
import { checkQuality } from './payload.ts';
import { ask, sent } from './run/ask.ts';
import { call, hold } from './run/call.ts';
import { PayloadInvalidError, PayloadUnreadableError } from './errors.ts';
import { isDivergence, VersionRefusedError } from './run/errors.ts';
import type { DroverError } from '../../actors/kernel/errors.ts';
import { execute } from './run/execution.ts';
import { Pending, waitingOf } from './run/operation.ts';
import { checkOptions } from './run/options.ts';
import { RunOperations } from './run/operations.ts';
import type { RunBirth } from './run/operations.ts';
import { RunState } from './run/state.ts';
import { step } from './run/step.ts';
import { compensate, Undo } from './run/undo.ts';
import { approval, sleep, waitFor } from './run/waits.ts';
import { widen } from './run/widen.ts';
import { writeErrorRecord } from './task-error.ts';
import type { WakeGate } from './wake-gate.ts';

export type { RunBirth, Settle } from './run/operations.ts';

export class Run extends RunOperations implements Context {
  /** What the run says of its output, or undefined. */
  quality: number | undefined;
  /** How many children it has named. */
  offspring = 0;
  /** It may leave somebody behind, when it completes, whom it or an earlier run has asked and who has not ended. */
  leavesChildren = false;
  #sends: NewTask[] | undefined;
  #state: RunState | undefined;

  constructor(engine: RunEngine, birth: RunBirth) {
    super(engine, birth);
    const { undo } = birth.started;
    if (undo !== null) this.undoing = new Undo(this, undo);
  }

  /** It has read or written rows, or an earlier run may have. */
  get usesState(): boolean {
    return this.#state !== undefined || this.isReplay;
  }

  /** It, or an earlier run, has asked or sent something. */
  get hasAsked(): boolean {
    return this.offspring > 0 || this.memory.hasChildren;
  }

  /** All that it does is wait for permits. */
  get waitsForAdmission(): boolean {
    return this.over === undefined && this.occupied && this.open.every(({ waitsFor }) => waitsFor === 'admission');
  }

  /** The children that the run waits for, when that is all it does; undefined while anything else goes on. */
  get waitsOnlyFor(): readonly string[] | undefined {
    if (this.over !== undefined || !this.open.every(({ waitsFor }) => waitsFor === 'child')) return undefined;
    return waitingOf(this.open, 0)?.children;
  }

  get log(): RunLogger {
    return this.engine.logger(this);
  }

  // ── Beginning and end ────────────────────────────────────────────────────────────────────────

  /** As `execute`, once the gate lets it through; it leaves the gate with its first operation. */
  executeThrough(gate: WakeGate): void {
    let leave = (): void => {};
    const wait = new Pending();
    wait.waitsFor = 'admission';
    wait.stop = () => leave();
    this.opened(wait);
    leave = gate.enter(`${this.worker}#${this.task.fence}`, () => {
      if (!this.done(wait)) return leave();
      this.leaveGate = leave;
      this.execute();
    });
  }

  /** Executes the agent's function. Ends the run through the engine. */
  execute(): void {
    const { plan, claimed, memory, undoing } = this;
    if (undoing !== undefined) return undoing.begin(() => execute(this));
    const begun = plan.onVersionChange === 'refuse' ? memory.otherVersion : undefined;
    if (begun !== undefined) {
      const { id, kind } = this.task;
      return this.refuse(new VersionRefusedError({ id, kind, begun, version: plan.version }));
    }
    const { deadlineMs } = claimed;
    // Who is to be undone is done with deadlines.
    if (deadlineMs !== null) this.cancelDeadline = this.engine.alarm(deadlineMs - this.startedMs, () => this.engine.deadlinePassed(this));
    if (deadlineMs === null || deadlineMs > this.startedMs) execute(this);
  }

  /**
   * Nothing of it is run, and nothing undone: the code that could go on, or undo, is that of the version it was begun under.
   * No failure of the worker's, nor of the run's.
   */
  refuse(error: DroverError): void {
    this.end({ at: 'failed', error: writeErrorRecord(error), keeps: true });
  }

  /**
   * Something that is stored does not fit a schema of the present code, or is no JSON any more: the task is kept as it stands
   * until one is back that it fits, or the text is. False: that is not what the error says; or it is being undone, and has to
   * do without.
   */
  misfits(error: unknown): boolean {
    const isMisfit = error instanceof PayloadInvalidError || error instanceof PayloadUnreadableError;
    if (!isMisfit || this.undoing !== undefined) return false;
    this.refuse(error);
    return true;
  }

  /**
   * The run has taken another way than those before it: the task is kept as it stands, for the code that brought what is
   * remembered may come back. False: that is not what the error says; or it is being undone, and has to do without.
   */
  diverged(error: unknown): boolean {
    if (!isDivergence(error) || this.undoing !== undefined) return false;
    this.refuse(error);
    return true;
  }

  /** As `misfits`, where what the run itself gives may be refused too. */
  cannotRead(error: unknown): boolean {
    return error instanceof PayloadUnreadableError && this.misfits(error);
  }

  /** The agent's function has returned: `result` is its JSON. */
  returned(result: string): void {
    if (this.undoing !== undefined) return this.undoing.ended();
    if (this.memory.isBefore(''))
      return this.holdBack(
        'the end of the run',
        () => this.returned(result),
        () => {},
      );
    const forgotten = this.begins.failureOf(this.task.id);
    if (forgotten !== undefined) return this.threw(forgotten);
    if (this.hasAsked)
      this.leavesChildren ||= this.open.some(({ waitsFor }) => waitsFor === 'child') || this.memory.unfinishedChildren.length > 0;
    const { leftAside } = this.memory;
    if (leftAside !== undefined) this.engine.leftAside(this, leftAside, leftAside.atEnd(), null);
    const { writes = [], reads = [] } = this.#state ?? {};
    const rows = { ...(writes.length === 0 ? {} : { writes }), ...(reads.length === 0 ? {} : { reads }) };
    this.end({ at: 'completed', result, sends: this.#sends ?? [], ...rows });
  }

  /** The agent's function has thrown. `holding`: failures of operations that it holds, though it does not show them. */
  threw(error: unknown, holding: readonly unknown[] = []): void {
    if (this.over !== undefined) return;
    if (holding.length > 0) this.failures.blame(holding);
    // It may well have thrown because it was told to stop: what it has in flight has its time all the same.
    if (this.lettingGo === 'cancelled') return this.parks.nowIfSafe();
    if (this.undoing !== undefined) this.undoing.ended(error);
    else if (!this.diverged(error)) this.engine.rejected(this, error);
  }

  end(outcome: SettledOutcome): void {
    if (this.abandon('ended')) this.engine.ended(this, outcome);
  }

  // ── Parking ──────────────────────────────────────────────────────────────────────────────────

  /**
   * Parks the run at its next safe point, for its worker is suspended: between operations, or once
   * what is in flight has brought its result and that is remembered. After `withinMs` what is still
   * in flight is aborted.
   */
  yieldWithin(withinMs: number): void {
    this.parks.yieldWithin(withinMs);
  }

  /** As `yieldWithin`, but not before an operation has ended, or the time is up. */
  yieldAfterNext(withinMs: number): void {
    this.parks.yieldAfterNext(withinMs);
  }

  /**
   * An operator wants the task: `letGo` is called at the next safe point, as with `yieldWithin`, but nothing new is begun until
   * then; cancelled, what is in flight is told to stop.
   */
  letGoWithin(withinMs: number, why: 'cancelled' | 'paused', letGo: () => void): void {
    if (this.over !== undefined) return;
    this.closes(why);
    this.parks.letGoWithin(withinMs, letGo);
  }

  /** Parks the run for its worker is suspended, whatever is in flight. */
  parkNow(): void {
    if (this.over === undefined) this.parks.now();
  }

  /** Parks the run when all that it still does is waiting. */
  parkIfOnlyWaiting(nowMs: number, lingered: boolean): boolean {
    return this.occupied && this.parks.ifOnlyWaiting(nowMs, lingered);
  }

  /** One of its operations has to wait for long: parks the run, unless another is still under way. */
  parkIfPostponed(): void {
    this.parkIfOnlyWaiting(this.engine.nowMs(), false);
  }

  /** The task has been told of an event, since the run began or shortly before. */
  told(event: TaskEvent): void {
    if (this.over !== undefined || !this.events.add(event)) return;
    if (this.occupied) this.parks.told(event.name);
    this.events.onTold?.(event);
  }

  // ── What the agent's function does ───────────────────────────────────────────────────────────

  call(name: string, request: unknown, options: CallOptions = {}): Promise<never> {
    return this.operate('call', name, (resolve, reject) => {
      checkOptions('call', options);
      call(this, name, request, options, resolve, reject);
    });
  }

  hold<T>(name: string, fn: (place: StepContext) => Promise<T>, options: HoldOptions = {}): Promise<T> {
    return this.operate('hold', name, (resolve, reject) => {
      checkOptions('hold', options);
      hold(this, name, fn, options, resolve, reject);
    });
  }

  step<T>(name: string, fn: (step: StepContext) => T | Promise<T>, options: KeyOptions = {}): Promise<T> {
    return this.operate('step', name, (resolve, reject) => {
      checkOptions('step', options);
      step(this, name, fn, options, resolve, reject);
    });
  }

  ask(kind: string, input: unknown, options: AskOptions = {}): Promise<never> {
    return this.operate('ask', kind, (resolve, reject) => {
      checkOptions('ask', options);
      ask(this, kind, input, options, resolve, reject);
    });
  }

  send(kind: string, input: unknown, options: AskOptions = {}): void {
    if (!this.sign()) return;
    checkOptions('send', options);
    const sends = (this.#sends ??= []);
    sends.push(sent(this, kind, input, options, sends.length));
  }

  sleep(until: number | Date, options: KeyOptions = {}): Promise<void> {
    return this.operate('sleep', undefined, (resolve, reject) => {
      checkOptions('sleep', options);
      sleep(this, until, options, resolve, reject);
    });
  }

  waitFor(name: string, options: WaitOptions = {}): Promise<never> {
    return this.operate('waitFor', name, (resolve, reject) => {
      checkOptions('waitFor', options);
      waitFor(this, name, options, resolve, reject);
    });
  }

  approval(name: string, request: unknown, options: WaitOptions = {}): Promise<never> {
    return this.operate('approval', name, (resolve, reject) => {
      checkOptions('approval', options);
      approval(this, name, request, options, resolve, reject);
    });
  }

  get state(): State {
    return (this.#state ??= new RunState(this));
  }

  compensate(name: string, undo: (step: StepContext) => unknown): Promise<void> {
    return this.operate('compensate', name, (resolve, reject) => compensate(this, name, undo, resolve, reject));
  }

  widen(resources: readonly string[]): Promise<void> {
    return this.operate('widen', undefined, (resolve) => widen(this, resources, resolve));
  }

  progress(done: number, total?: number): void {
    if (!this.sign()) return;
    this.engine.progressed(this, done, total);
    this.engine.operated(this);
  }

  score(quality: number): void {
    if (!this.sign()) return;
    this.quality = checkQuality(quality);
  }
}
