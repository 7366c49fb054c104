/**
 * Invocation: one operation of a machine, from when its state is entered until it ends or that state is
 * left. To the functions behind `ctx` it is the run, but for its places, which are its own, and its end.
 *
 *     begun ─┬─ returned, thrown ──▶ ended
 *            └─ its state is left ─▶ stopped: what is under way is given up, and nothing new has an effect
 *
 * What it leaves for the end of the task is kept with the machine, because no later run comes by it:
 * what it sends, once it has returned; and that it has registered compensations.
 */
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
} from '../../topology/context.ts';
import { ask, sent } from '../run/ask.ts';
import { Begins } from '../run/begun.ts';
import { call, hold } from '../run/call.ts';
import { EventWait, approval, sleep, waitFor } from '../run/waits.ts';
import type { Came } from '../run/came.ts';
import { Pending } from '../run/operation.ts';
import type { RunOperation } from '../run/operation.ts';
import type { Run, Settle } from '../run.ts';
import type { RunOverReason } from '../errors.ts';
import { RunOverError } from '../errors.ts';
import { RunState } from '../run/state.ts';
import { step } from '../run/step.ts';
import { compensate } from '../run/undo.ts';
import { widen } from '../run/widen.ts';
import { MachineStateError } from './errors.ts';
import { InvocationPlaces } from './places.ts';
import type { KeptSend } from './record.ts';

export interface InvocationOptions {
  readonly run: Run;
  /** Its place in the machine. */
  readonly label: string;
  /** It registers something to be undone. */
  readonly onCompensate?: () => void;
  /** It has come to something that no earlier run has done, in a run that only undoes. */
  readonly onStuck?: () => void;
  /** Something has come for it before the run began: `look` when it is its turn. */
  readonly inTime?: (came: Came, look: () => void) => void;
  /** Something that had come, or that it has brought, has been given to it. */
  readonly onGiven?: () => void;
  /** What earlier runs of it have asked people. */
  readonly asked?: readonly string[];
  /** It asks a person something new. */
  readonly onAsked?: () => void;
  /** Its state has been left: nobody need decide these any more. */
  readonly onWithdrawn?: (names: readonly string[]) => void;
}

/** What the functions behind `ctx` ask of a run, beside its memory. */
type RunPart = Pick<
  Run,
  | 'afterSeen'
  | 'askPerson'
  | 'claimed'
  | 'done'
  | 'engine'
  | 'events'
  | 'finish'
  | 'give'
  | 'holdBack'
  | 'inOrder'
  | 'inTime'
  | 'keep'
  | 'keepChildFailure'
  | 'keepFailure'
  | 'leaseLost'
  | 'locks'
  | 'mayAct'
  | 'mayPass'
  | 'mayRepeat'
  | 'cannotRead'
  | 'misfits'
  | 'read'
  | 'nextRegistration'
  | 'note'
  | 'noteAsked'
  | 'offspring'
  | 'opened'
  | 'operate'
  | 'otherwise'
  | 'over'
  | 'parkIfPostponed'
  | 'parks'
  | 'plan'
  | 'priority'
  | 'putBack'
  | 'scopes'
  | 'undoing'
  | 'unseen'
  | 'widening'
  | 'within'
  | 'worker'
>;

export class Invocation implements Context, RunPart {
  readonly memory: InvocationPlaces;
  /** What it has begun on `ctx`. */
  readonly begins = new Begins();
  /** In their order. */
  readonly sends: KeptSend[] = [];
  /** What it has asked people, decided or not. */
  readonly asked: Set<string>;
  readonly #run: Run;
  readonly #options: InvocationOptions;
  /** Under way, and not about to be remembered. */
  readonly #open = new Set<RunOperation>();
  #state: State | undefined;
  #rows: RunState | undefined;
  #controller: AbortController | undefined;
  #stopped = false;
  #hasBegun = false;
  #isPerforming = false;
  /** What is on its way to it, or into memory and then to it. */
  #keeping = 0;
  /** What is opened registers a compensation. */
  #isRegistering = false;

  constructor(options: InvocationOptions) {
    this.#options = options;
    this.#run = options.run;
    this.memory = new InvocationPlaces(options.run.memory, options.label);
    this.asked = new Set(options.asked);
  }

  /** Its state has been left. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const error = new RunOverError('ended');
    for (const operation of this.#open) {
      if (operation.waitsFor === 'child') this.#run.leavesChildren = true;
      operation.cancel(error);
      if (operation instanceof EventWait && operation.event !== undefined) this.#run.events.release(operation.event);
      this.#run.done(operation);
    }
    this.#open.clear();
    if (this.asked.size > 0) this.#options.onWithdrawn?.([...this.asked]);
    this.#controller?.abort(error);
  }

  /** Its place in the machine. */
  get label(): string {
    return this.#options.label;
  }

  /** It has begun something, and so has come by what it has brought. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Its code does something that is none of `ctx`. */
  get works(): boolean {
    return this.#isPerforming && !this.#stopped && this.#open.size === 0;
  }

  /** Its code begins, or has ended. */
  performs(isUnderWay: boolean): void {
    this.#isPerforming = isUnderWay;
  }

  /** Something that has come is on its way to it. */
  get isGiven(): boolean {
    return this.#keeping > 0 || [...this.#open].some((operation) => operation instanceof Pending && operation.settling);
  }

  // ── What it does ─────────────────────────────────────────────────────────────────────────────

  call(name: string, request: unknown, options: CallOptions = {}): Promise<never> {
    return this.operate('call', name, (resolve, reject) => call(this.#self, name, request, options, resolve, reject));
  }

  hold<T>(name: string, fn: (place: StepContext) => Promise<T>, options: HoldOptions = {}): Promise<T> {
    return this.operate('hold', name, (resolve, reject) => hold(this.#self, name, fn, options, resolve, reject));
  }

  step<T>(name: string, fn: (step: StepContext) => T | Promise<T>, options: KeyOptions = {}): Promise<T> {
    return this.operate('step', name, (resolve, reject) => step(this.#self, this.#named(name), fn, options, resolve, reject));
  }

  ask(kind: string, input: unknown, options: AskOptions = {}): Promise<never> {
    return this.operate('ask', kind, (resolve, reject) => ask(this.#self, kind, input, options, resolve, reject));
  }

  send(kind: string, input: unknown, options: AskOptions = {}): void {
    if (this.over !== undefined) return;
    const { offspring } = this.#run;
    // Refused here, where it stands; it is named when the task completes.
    sent(this.#self, kind, input, options, this.sends.length);
    this.#run.offspring = offspring;
    this.sends.push({ kind, input, ...options });
  }

  sleep(until: number | Date, options: KeyOptions = {}): Promise<void> {
    return this.operate('sleep', undefined, (resolve, reject) => sleep(this.#self, until, options, resolve, reject));
  }

  waitFor(name: string, options: WaitOptions = {}): Promise<never> {
    return this.operate('waitFor', name, (resolve, reject) => waitFor(this.#self, name, options, resolve, reject));
  }

  approval(name: string, request: unknown, options: WaitOptions = {}): Promise<never> {
    return this.operate('approval', name, (resolve, reject) => approval(this.#self, this.#named(name), request, options, resolve, reject));
  }

  get state(): State {
    if (this.#state !== undefined) return this.#state;
    const rows = (this.#rows = new RunState(this.#self));
    const refuse = (operation: string) => () => Promise.reject(new MachineStateError({ id: this.task.id, operation }));
    this.#state = { get: (key) => rows.get(key), set: refuse('state.set'), delete: refuse('state.delete'), update: refuse('state.update') };
    return this.#state;
  }

  /** It has ended. `conflict`: what it has read of rows before the task was parked, or its run lost, is not what is there now. */
  whenSame(same: () => void, conflict: (error: Error) => void): void {
    if (this.#rows === undefined || this.over !== undefined) same();
    else this.#rows.compare(same, conflict);
  }

  compensate(name: string, undo: (step: StepContext) => unknown): Promise<void> {
    return this.operate('compensate', name, (resolve, reject) => {
      this.#options.onCompensate?.();
      this.#isRegistering = true;
      try {
        compensate(this.#self, this.#named(name), undo, resolve, reject);
      } finally {
        this.#isRegistering = false;
      }
    });
  }

  widen(resources: readonly string[]): Promise<void> {
    return this.operate('widen', undefined, (resolve) => widen(this.#self, resources, resolve));
  }

  progress(done: number, total?: number): void {
    if (!this.#stopped) this.#run.progress(done, total);
  }

  score(quality: number): void {
    if (!this.#stopped) this.#run.score(quality);
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#stopped) this.#controller.abort(new RunOverError('ended'));
    }
    return AbortSignal.any([this.#run.signal, this.#controller.signal]);
  }

  get log(): RunLogger {
    return this.#run.log;
  }

  get task(): Context['task'] {
    return this.#run.task;
  }

  // ── What the functions behind it take for the run ────────────────────────────────────────────

  get over(): RunOverReason | undefined {
    return this.#stopped ? 'ended' : this.#run.over;
  }

  operate<T>(operation: string, name: string | undefined, begin: (resolve: Settle, reject: Settle) => void): Promise<T> {
    return this.#stopped ? new Promise(() => {}) : this.#run.operate(operation, name, begin, this);
  }

  /** What it has failed with is not asked for: an invocation is restored with what it remembers. */
  mayAct(): boolean {
    if (this.#run.undoing === undefined) return !this.#stopped;
    this.#run.undoing.cameTo();
    this.#options.onStuck?.();
    return false;
  }

  mayPass(pass: () => void): boolean {
    this.#run.undoing?.cameTo(pass);
    return this.mayAct();
  }

  mayRepeat(): boolean {
    return this.#run.undoing?.isIncomplete === true || this.mayAct();
  }

  opened<O extends RunOperation>(operation: O): O {
    this.#hasBegun = true;
    this.#open.add(operation);
    // Numbered, even alone: those of all operations are undone in one order.
    if (this.#isRegistering) this.#run.order.raced(operation);
    return this.#run.opened(operation);
  }

  done(operation: RunOperation): boolean {
    return this.#open.delete(operation) && this.#run.done(operation);
  }

  keep(operation: RunOperation, ...[place, hash, value, resolve, reject]: Rest<Run['keep']>): void {
    if (!this.#open.delete(operation)) return;
    this.#keeping += 1;
    this.#run.keep(operation, place, hash, value, this.#given(resolve), this.#given(reject));
  }

  keepFailure(operation: RunOperation, ...[place, hash, error, reject]: Rest<Run['keepFailure']>): void {
    if (!this.#open.delete(operation)) return;
    this.#keeping += 1;
    this.#run.keepFailure(operation, place, hash, error, this.#given(reject));
  }

  keepChildFailure(operation: RunOperation, ...[place, error, reject]: Rest<Run['keepChildFailure']>): void {
    if (!this.#open.delete(operation)) return;
    this.#keeping += 1;
    this.#run.keepChildFailure(operation, place, error, this.#given(reject));
  }

  nextRegistration(): number {
    return this.#run.nextRegistration();
  }

  putBack(place: string): void {
    this.#run.putBack(place);
  }

  finish(operation: RunOperation, place: string, deliver: () => void): void {
    if (!this.#open.delete(operation)) return;
    this.#keeping += 1;
    this.#run.finish(operation, place, this.#given(deliver));
  }

  #given<A extends readonly unknown[]>(settle: (...given: A) => void): (...given: A) => void {
    return (...given) => {
      this.#keeping -= 1;
      settle(...given);
      this.#options.onGiven?.();
    };
  }

  note(place: string, value: number, kept: () => void): void {
    this.#run.note(place, value, () => {
      if (!this.#stopped) kept();
    });
  }

  noteAsked(place: string, hash: string, kept: () => void): void {
    this.#run.noteAsked(place, hash, () => {
      if (!this.#stopped) kept();
    });
  }

  holdBack(...held: Parameters<Run['holdBack']>): void {
    this.#run.holdBack(...held);
  }

  otherwise(...asked: Parameters<Run['otherwise']>): void {
    this.#run.otherwise(...asked);
  }

  give(...given: Parameters<Run['give']>): void {
    this.#run.give(...given);
  }

  inOrder(...given: Parameters<Run['inOrder']>): void {
    this.#run.inOrder(...given);
  }

  afterSeen(act: () => void, came?: number): void {
    this.#keeping += 1;
    const given = this.#given(() => {
      if (!this.#stopped) act();
    });
    this.#run.afterSeen(given, came);
  }

  askPerson(name: string, request: string, expiresAtMs: number | null, asked: () => void): void {
    const isNew = !this.asked.has(name);
    this.asked.add(name);
    this.#run.askPerson(name, request, expiresAtMs, () => {
      if (!this.#stopped) return asked();
      // It may have come to the store after it was withdrawn.
      if (this.#run.over === undefined) this.engine.requests.withdrawApprovals(this.#run, [name], () => {});
    });
    if (isNew) this.#options.onAsked?.();
  }

  inTime(came: Came, look: () => void): void {
    const { inTime } = this.#options;
    if (inTime === undefined) return look();
    inTime(came, () => {
      if (!this.#stopped) look();
    });
  }

  unseen(place: string, deliver: () => void): void {
    this.#keeping += 1;
    this.#run.unseen(place, this.#given(deliver));
  }

  misfits(error: unknown): boolean {
    return this.#run.misfits(error);
  }

  cannotRead(error: unknown): boolean {
    return this.#run.cannotRead(error);
  }

  read(act: () => void, reject: Settle): void {
    this.#run.read(act, reject);
  }

  within<T>(act: () => T): T {
    return this.#run.within(act);
  }

  get parks(): Run['parks'] {
    return this.#run.parks;
  }

  parkIfPostponed(): void {
    this.#run.parkIfPostponed();
  }

  leaseLost(): void {
    this.#run.leaseLost();
  }

  get engine(): Run['engine'] {
    return this.#run.engine;
  }

  get plan(): Run['plan'] {
    return this.#run.plan;
  }

  get worker(): string {
    return this.#run.worker;
  }

  get claimed(): Run['claimed'] {
    return this.#run.claimed;
  }

  get events(): Run['events'] {
    return this.#run.events;
  }

  get locks(): Run['locks'] {
    return this.#run.locks;
  }

  get widening(): Set<string> {
    return this.#run.widening;
  }

  get scopes(): Run['scopes'] {
    return this.#run.scopes;
  }

  get priority(): number {
    return this.#run.priority;
  }

  get undoing(): Run['undoing'] {
    return this.#run.undoing;
  }

  get offspring(): number {
    return this.#run.offspring;
  }

  set offspring(offspring: number) {
    this.#run.offspring = offspring;
  }

  /** Whoever is refused by its name is told the name that was given. */
  #named(name: string): string {
    return typeof name === 'string' && name !== '' ? this.memory.named(name) : name;
  }

  get #self(): Run {
    return this as unknown as Run;
  }
}

type Rest<F extends (operation: RunOperation, ...rest: never[]) => void> = F extends (operation: RunOperation, ...rest: infer R) => void
  ? R
  : never;
