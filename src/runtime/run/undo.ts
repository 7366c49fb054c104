/**
 * Undo: what a task has registered by `ctx.compensate` is undone, in reverse, one after the other.
 *
 *     replaying ── all that is remembered has been given ──▶ undoing ── each remembered ──▶ undone
 *
 * The functions that undo are the run's own, so the run is executed once more over what is remembered.
 * An operation that no earlier run has made is not made: it never settles, and the run goes no further.
 * Undoing begins when every compensation that was registered has been come by; by then no operation of
 * the run settles, so user code runs in one place at a time. When the run has ended before, or nothing
 * moves any more, only what was registered after all that it has not come by is undone: that has to be
 * undone before the rest, and other code may come by it.
 */
import { toErrorRecord } from '../../../actors/kernel/errors.ts';
import type { ErrorRecord } from '../../../actors/kernel/errors.ts';
import type { StepContext } from '../../topology/context.ts';
import type { Rest } from '../engine/settlements.ts';
import { checkFunction, decode } from '../payload.ts';
import type { Run, Settle } from '../run.ts';
import { readErrorRecord } from '../task-error.ts';
import { CompensateInStepError, CompensationFailedError, FailureForgottenError } from './errors.ts';
import { idempotencyKeyOf } from './idempotency-key.ts';
import { inStep, stepAround } from './in-step.ts';
import { Pending } from './operation.ts';
import { numberIn } from './order.ts';
import { checkName, Step } from './step.ts';

/** How the task will end once it has been undone. */
export interface Undone {
  readonly status: 'failed' | 'cancelled' | 'dead';
  readonly error: string | null;
}

type UndoFunction = (step: StepContext) => unknown;

const REGISTERED = 'compensate:';
/** Of what is in the way of a run. */
const MOST_NAMED = 3;
/** What a thread or process has been answered takes a moment to bring its next question. */
const ISOLATED_QUIET_MS = 250;
/** So long nothing moves of a run that may wait for a child that does not settle, or for something of its own. */
const UNSEEN_QUIET_MS = 3_000;

/** `ctx.compensate`. */
export function compensate(run: Run, name: string, undo: UndoFunction, resolve: Settle, reject: Settle): void {
  checkName('a compensation', name);
  checkFunction(`compensation ${name}`, undo);
  const step = stepAround(run);
  if (step !== undefined) throw new CompensateInStepError({ id: run.task.id, step, compensation: name });
  const place = run.memory.once('compensate', name);
  const known = run.memory.recall(place, '');
  const registered = (): void => resolve(undefined);
  if (run.undoing !== undefined && known !== undefined) run.undoing.register(name, undo, numberIn(known.hash));
  if (known !== undefined) return run.give(known, registered, reject);
  if (!run.mayPass(registered)) return;
  const register = (): void => run.keep(run.opened(new Pending()), place, '', run.nextRegistration(), registered, reject);
  if (run.memory.isBefore(place)) run.holdBack(place, register, reject);
  else register();
}

/** What is remembered of a registration says how many there were before. */
function orderIn(value: string): number | undefined {
  const order = decode(value);
  return typeof order === 'number' ? order : undefined;
}

/** One that has failed in this run. */
interface Failure {
  readonly name: string;
  readonly error: unknown;
}

export class Undo {
  readonly ends: Undone;
  readonly #run: Run;
  /** Registered by earlier runs, not undone by any, and not come by yet in this one. */
  readonly #missing: Set<string>;
  /** In the order of their registration. */
  readonly #registered: { readonly name: string; readonly undo: UndoFunction; readonly number: number | undefined }[] = [];
  /** In this run. */
  readonly #undone = new Set<string>();
  readonly #failed: Failure[] = [];
  /** Counts what the run does; two looks compare. */
  #moves = 0;
  #isStuck = false;
  /** What the run has come to that is not remembered. */
  #unknown: Settle[] = [];
  /** The same, of what brings nothing: goes past it. */
  #passable: (() => void)[] = [];
  /** What it does now, and all of that that is not remembered, in words. */
  #doing = '';
  readonly #inTheWay = new Set<string>();
  /** Children that it asks for, and whose failure no earlier run has seen. */
  readonly #unseen = new Set<string>();
  #cancelUnseen: (() => void) | undefined;
  #cause: unknown;
  #isFrozen = false;
  /** What is being undone now, and what gives that up. */
  #current: { readonly name: string; readonly giveUp: (error: unknown) => void } | undefined;
  #cancelLook: (() => void) | undefined;
  #rest: Rest | undefined;
  #sinceMs: number;

  constructor(run: Run, ends: Undone) {
    this.#run = run;
    this.ends = ends;
    const registered = [...run.memory.beginning(REGISTERED)].map(({ place }) => place.slice(REGISTERED.length));
    this.#missing = new Set(registered.filter((name) => !run.memory.has(`undo:${name}`)));
    this.#sinceMs = run.startedMs;
  }

  /** No operation of the run settles any more. */
  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /** Something that was registered, and is not undone, has not been come by. */
  get isIncomplete(): boolean {
    return this.#missing.size > 0;
  }

  /** What becomes of the task when this attempt fails. */
  get rest(): Rest {
    return (this.#rest ??= this.#run.engine.restOf(this.#run));
  }

  /** Since when it has had its time: since the run began, or the last one was given up that took too long. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Begins the replay, unless all is undone already. Children are undone first: it waits for them, holding nothing. */
  begin(replay: () => void): void {
    const { memory, parks } = this.#run;
    const children = memory.unfinishedChildren;
    if (children.length > 0) return parks.untilEnded(children);
    if (this.isIncomplete) replay();
    else this.#freeze();
  }

  /** `number`: in what order it was registered beside others, whoever comes by it first now. */
  register(name: string, undo: UndoFunction, number: number | undefined): void {
    const later = number === undefined ? -1 : this.#registered.findIndex((other) => other.number !== undefined && other.number > number);
    this.#registered.splice(later < 0 ? this.#registered.length : later, 0, { name, undo, number });
    this.#missing.delete(name);
    if (this.#missing.size === 0) this.#freeze();
  }

  /** The run has begun an operation, `doing` in words, or been given something. */
  moved(doing = this.#doing): void {
    this.#doing = doing;
    this.#moves += 1;
    this.#look();
  }

  /** The run has come to something that no earlier run has done, as far as is remembered. */
  stuck(reject?: Settle): void {
    this.#inTheWay.add(this.#doing);
    if (reject !== undefined) this.#unknown.push(reject);
    this.goesNoFurther();
  }

  /** Once nothing moves any more. */
  goesNoFurther(): void {
    this.#isStuck = true;
    this.#look();
  }

  /** As `stuck`, at what brings nothing: `pass` goes past it. */
  stuckAtNothing(pass: () => void): void {
    this.#passable.push(pass);
    this.stuck();
  }

  /** As `stuck`, of one operation of a statechart: others may still move. */
  cameTo(pass?: () => void): void {
    this.#inTheWay.add(this.#doing);
    if (pass !== undefined) this.#passable.push(pass);
  }

  /** The run asks for a child that has failed, and no earlier run has seen that: it does not settle, and they have gone past it. */
  neverSeen(): void {
    this.#unseen.add(this.#doing);
    this.#lookUnseen();
  }

  /** The run has returned, or thrown. */
  ended(cause?: unknown): void {
    this.#cause = cause;
    this.#freeze();
  }

  cancel(): void {
    this.#cancelLook?.();
    this.#cancelUnseen?.();
  }

  /** What is being undone now takes too long. Whether it goes on without that: there are no more tries. */
  goesOnWithout(error: Error): boolean {
    const current = this.#current;
    if (this.rest.at === 'again' || current === undefined) return false;
    this.#sinceMs = this.#run.engine.nowMs();
    current.giveUp(error);
    return true;
  }

  /** What it means for the task that this attempt at undoing it has failed. `cause`: of what is being undone now, if anything is. */
  failureOf(cause: unknown): Error {
    const { task } = this.#run;
    const failed = this.#failed.map(({ name, error }) => ({ name, why: toErrorRecord(error).message }));
    if (this.#current !== undefined) failed.push({ name: this.#current.name, why: toErrorRecord(cause).message });
    for (const name of this.#missing) failed.push({ name, why: this.#whyMissing(name) });
    const error: ErrorRecord | null = readErrorRecord(this.ends.error);
    const first = this.#failed[0]?.error ?? cause;
    return new CompensationFailedError(
      { id: task.id, failed, left: this.#left() },
      { status: this.ends.status, error },
      first === undefined ? {} : { cause: first },
    );
  }

  /** What is in the way, and under which code it may be undone. */
  #whyMissing(name: string): string {
    const inTheWay = [...(this.#inTheWay.size > 0 ? this.#inTheWay : this.#unseen)].slice(0, MOST_NAMED);
    const first = inTheWay.length === 0 ? '' : `, but to ${inTheWay.join(', ')}, which no earlier run has done`;
    const version = this.#versions.get(name);
    const code = version === this.#run.plan.version ? 'code runs that comes by it' : `code of version ${version} runs, which registered it`;
    return `the run does not come by it any more${first}; put the task back when ${code}`;
  }

  /** How many were registered before it; undefined: nobody knows. */
  #orderOf(name: string): number | undefined {
    for (const { place, value } of this.#run.memory.beginning(REGISTERED)) if (place === REGISTERED + name) return orderIn(value);
    return undefined;
  }

  /** Names of those that are to be undone before any that the run does not come by. */
  #undoable(): readonly string[] {
    const missing = [...this.#missing].map((name) => this.#orderOf(name) ?? Infinity);
    const last = Math.max(-1, ...missing);
    return this.#registered.map(({ name }) => name).filter((name) => last < 0 || (this.#orderOf(name) ?? -1) > last);
  }

  /** By which version of the code each was registered. */
  get #versions(): ReadonlyMap<string, string> {
    const { memory, claimed } = this.#run;
    const items = [...memory.beginning(REGISTERED)];
    return new Map(items.map(({ place, version = claimed.version }) => [place.slice(REGISTERED.length), version]));
  }

  /** Something that it has yet to come by was registered by other code: what is not remembered may be new. */
  get #isOther(): boolean {
    const versions = this.#versions;
    return [...this.#missing].some((name) => versions.get(name) !== this.#run.plan.version);
  }

  /** In the order in which they are to be undone, as far as that is known. */
  #left(): readonly string[] {
    const { memory } = this.#run;
    const registered = this.#registered.map(({ name }) => name).toReversed();
    return [...this.#missing, ...registered].filter((name) => !this.#undone.has(name) && !memory.has(`undo:${name}`));
  }

  /** Looks once more when everything has run that can run without time passing. */
  #look(): void {
    if (this.#cancelLook !== undefined || this.#isFrozen || this.#run.over !== undefined) return;
    const { engine, plan } = this.#run;
    const moves = this.#moves;
    const quietMs = plan.isolation !== 'inline' && engine.isolation !== undefined ? ISOLATED_QUIET_MS : 0;
    this.#cancelLook = engine.alarm(quietMs, () => {
      this.#cancelLook = undefined;
      if (moves !== this.#moves) this.#look();
      else if (this.#isStuck && !this.#run.occupied) this.#passUnknown();
    });
  }

  /** Once what may wait for a child that does not settle has had time for something of its own. */
  #lookUnseen(): void {
    const run = this.#run;
    if (this.#cancelUnseen !== undefined || this.#isFrozen || run.over !== undefined) return;
    const moves = this.#moves;
    this.#cancelUnseen = run.engine.alarm(UNSEEN_QUIET_MS, () => {
      this.#cancelUnseen = undefined;
      if (moves !== this.#moves || run.occupied) this.#lookUnseen();
      else this.goesNoFurther();
    });
  }

  /**
   * What is missing lies behind what is not remembered. So an earlier run has been there, and has ended with that it failed,
   * though not at once: its retry has forgotten that. Or the code is another, and what stands there is new: it is gone past
   * where it brings nothing.
   */
  #passUnknown(): void {
    const unknown = this.#unknown.splice(0);
    const passable = unknown.length === 0 && this.#passable.length > 0 && this.#isOther ? this.#passable.splice(0) : [];
    if (!this.isIncomplete || unknown.length + passable.length === 0) return this.#freeze();
    for (const reject of unknown) reject(new FailureForgottenError({ id: this.#run.task.id }));
    for (const pass of passable) pass();
    // An alarm that is due is rung within this one, before the run can take note of it.
    queueMicrotask(() => this.#look());
  }

  #freeze(): void {
    if (this.#isFrozen || this.#run.over !== undefined) return;
    this.#isFrozen = true;
    this.cancel();
    this.#run.dropOpen();
    // What has been given already may still be taken note of.
    this.#cancelLook = this.#run.engine.alarm(0, () => void this.#undoAll());
  }

  /**
   * What was registered later is undone first. As long as there are more tries, one that fails keeps those before it
   * waiting; in the last one they are undone without it: it has been tried. What the run does not come by has not, and may
   * have to be undone first: only what was registered later still is undone without it.
   */
  async #undoAll(): Promise<void> {
    const run = this.#run;
    if (this.isIncomplete && this.rest.at === 'again') return run.engine.rejected(run, this.#cause);
    const undoable = this.#undoable();
    for (const { name, undo } of this.#registered.toReversed()) {
      if (run.memory.has(`undo:${name}`) || !undoable.includes(name)) continue;
      run.engine.checkLeases(run.engine.nowMs());
      if (run.over !== undefined) return;
      try {
        await this.#undo(name, undo);
        this.#undone.add(name);
      } catch (error) {
        if (run.over !== undefined) return;
        this.#failed.push({ name, error });
        if (this.rest.at === 'again') return run.engine.rejected(run, error);
      }
    }
    if (run.over !== undefined) return;
    if (this.isIncomplete || this.#failed.length > 0) return run.engine.rejected(run, this.#cause);
    run.end({ at: 'undone' });
  }

  /** Resolves when it is done and remembered; never when the run is over first. */
  #undo(name: string, undo: UndoFunction): Promise<void> {
    const run = this.#run;
    const operation = run.opened(new Pending());
    const place = `undo:${name}`;
    const context = new Step(run, idempotencyKeyOf(run.task.id, place));
    return new Promise((resolve, reject) => {
      let isGivenUp = false;
      const fail = (error: unknown): void => {
        if (isGivenUp || !run.done(operation)) return;
        this.#current = undefined;
        reject(error);
      };
      const kept = (): void => {
        this.#current = undefined;
        resolve();
      };
      const giveUp = (error: unknown): void => {
        fail(error);
        isGivenUp = true;
      };
      this.#current = { name, giveUp };
      new Promise((settle) => settle(run.within(() => inStep(run, place, () => undo(context))))).then(() => {
        if (isGivenUp) return;
        // Its time may pass, and its being undone still be on its way to the store: that is waited for.
        if (this.#current?.giveUp === giveUp) this.#current = { name, giveUp: () => {} };
        run.keep(operation, place, '', undefined, kept, fail);
      }, fail);
    });
  }
}
