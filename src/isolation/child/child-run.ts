/**
 * Child run: the `ctx` of a run in a thread or process. Every operation is a message to the fleet, which
 * does it; only the functions of steps, and what `run` itself does, happen here.
 *
 * Once the run is over its pending operations never settle and new ones have no effect, as everywhere.
 */
import { describe } from '../../../actors/kernel/errors.ts';
import { childTask } from '../../runtime/child-task.ts';
import { checkHold, checkNoHold, holding } from '../../runtime/holding.ts';
import type { Held } from '../../runtime/holding.ts';
import { checkFunction, checkQuality, decode, encode } from '../../runtime/payload.ts';
import { Begins, newBegun } from '../../runtime/run/begun.ts';
import { CompensateInStepError } from '../../runtime/run/errors.ts';
import { errorsIn } from '../../runtime/run/failures.ts';
import { placeOfKey } from '../../runtime/run/idempotency-key.ts';
import { checkOutsideStep, inStep, stepAround, stepOf } from '../../runtime/run/in-step.ts';
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
import type { KindPlan, Topology } from '../../topology/fleet.ts';
import { ChildState } from './child-state.ts';
import { NotTransferableError } from '../errors.ts';
import { fromWire, toFacts, toWire } from '../wire.ts';
import type { FromRun, Level, RunOrder, ToChild, WireError } from '../wire.ts';

interface Operation {
  /** `step:file it`. */
  readonly what: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Of a step: what to do when no earlier run has done it. Of a change: what to make of a row. */
  readonly perform: Perform | undefined;
}

// oxlint-disable-next-line typescript/no-explicit-any -- the context of a step, or a row
type Perform = (given: any) => unknown;

type Said = Extract<ToChild, { readonly run: number }>;

export class ChildRun implements Context {
  readonly task: Context['task'];
  readonly log: RunLogger;
  readonly #order: RunOrder;
  readonly #plan: KindPlan;
  readonly #bounds: Topology['bounds'];
  readonly #post: (said: FromRun) => void;
  readonly #open = new Map<number, Operation>();
  /** What it has begun. */
  readonly #begins = new Begins();
  /** What was rejected by the fleet, by ticket. */
  readonly #failures = new Map<number, Error>();
  #state: ChildState | undefined;
  /** What was registered to undo steps, by name. */
  #undos: Map<string, Perform> | undefined;
  #tickets = 0;
  #offspring = 0;
  #sends = 0;
  #stopped: Error | undefined;
  #over: Error | undefined;
  #controller: AbortController | undefined;

  constructor(order: RunOrder, plan: KindPlan, bounds: Topology['bounds'], post: (said: FromRun) => void) {
    this.#order = order;
    this.#plan = plan;
    this.#bounds = bounds;
    this.#post = (said) => {
      if (this.#over !== undefined) return;
      const within = stepAround(this);
      post(within === undefined ? said : { ...said, within });
    };
    this.task = order.task;
    this.log = { debug: this.#logs('debug'), info: this.#logs('info'), warn: this.#logs('warn'), error: this.#logs('error') };
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    const why = this.#over ?? this.#stopped;
    if (why !== undefined) this.#controller.abort(why);
    return this.#controller.signal;
  }

  heard(said: Said): void {
    switch (said.at) {
      case 'run':
        return;
      case 'stop':
        return this.#stop(said.error);
      case 'over':
        return this.#end(said.error);
      case 'resolved':
        return this.#take(said.ticket)?.resolve(said.value);
      case 'rejected':
        return this.#reject(said.ticket, fromWire(said.error));
      case 'do-step':
        return this.#performOpen(said.ticket, said.idempotencyKey);
      case 'do-change':
        return this.#performOpen(said.ticket, decode(said.value));
      case 'do-undo': {
        const undo = this.#undos?.get(said.name);
        return void this.#perform(
          said.ticket,
          `undo:${said.name}`,
          undo && ((key) => inStep(this, `undo:${said.name}`, () => undo(this.#step(key)))),
          said.idempotencyKey,
        );
      }
    }
  }

  call(name: string, request: unknown, options: CallOptions = {}): Promise<never> {
    return this.operate('call', name, (ticket) => {
      try {
        this.#post({ at: 'call', ticket, name, request, options });
      } catch (cause) {
        throw new NotTransferableError(`request to ${name}`, { cause });
      }
    });
  }

  step<T>(name: string, fn: (step: StepContext) => T | Promise<T>, options: KeyOptions = {}): Promise<T> {
    return this.operate(
      'step',
      name,
      (ticket) => {
        checkFunction(`step ${name}`, fn);
        this.#post({ at: 'step', ticket, name, options });
      },
      (key: string) => inStep(this, stepOf(placeOfKey(this.task.id, key)), () => fn(this.#step(key))),
    );
  }

  hold<T>(name: string, fn: (place: StepContext) => Promise<T>, options: HoldOptions = {}): Promise<T> {
    let held: Held | undefined;
    return this.operate(
      'hold',
      name,
      (ticket) => {
        held = checkHold(this, this.#plan, name);
        checkFunction(`hold of ${name}`, fn);
        this.#post({ at: 'hold', ticket, name, options });
      },
      (key: string) => holding(held!, () => fn(this.#step(key))),
    );
  }

  ask(kind: string, input: unknown, options: AskOptions = {}): Promise<never> {
    return this.operate('ask', kind, (ticket) => {
      checkNoHold(this, this.#plan.kind, kind);
      this.#post({ at: 'ask', ticket, ...this.#child(kind, input, options) });
    });
  }

  send(kind: string, input: unknown, options: AskOptions = {}): void {
    checkOutsideStep(this, `send ${describe(kind)}`);
    if (this.#over !== undefined) return;
    this.#post({ at: 'send', ...this.#child(kind, input, options, this.#sends) });
    this.#sends += 1;
  }

  sleep(until: number | Date, options: KeyOptions = {}): Promise<void> {
    return this.operate('sleep', undefined, (ticket) => this.#post({ at: 'sleep', ticket, until, options }));
  }

  waitFor(name: string, options: WaitOptions = {}): Promise<never> {
    return this.operate('waitFor', name, (ticket) => {
      checkNoHold(this, this.#plan.kind, `event ${name}`);
      this.#post({ at: 'wait-for', ticket, name, options });
    });
  }

  approval(name: string, request: unknown, options: WaitOptions = {}): Promise<never> {
    return this.operate('approval', name, (ticket) => {
      checkNoHold(this, this.#plan.kind, `approval ${name}`);
      const text = encode(request, `request for approval of ${name}`, this.#bounds.payloadBytes);
      this.#post({ at: 'approval', ticket, name, request: text, options });
    });
  }

  get state(): State {
    return (this.#state ??= new ChildState(this, this.#bounds.payloadBytes, this.#post));
  }

  compensate(name: string, undo: (step: StepContext) => unknown): Promise<void> {
    return this.operate('compensate', name, (ticket) => {
      const step = stepAround(this);
      if (step !== undefined) throw new CompensateInStepError({ id: this.task.id, step, compensation: name });
      checkFunction(`compensation ${name}`, undo);
      // A name that is used twice is refused by the fleet; the first one stays.
      this.#undos ??= new Map();
      if (!this.#undos.has(name)) this.#undos.set(name, undo);
      this.#post({ at: 'compensate', ticket, name });
    });
  }

  widen(resources: readonly string[]): Promise<void> {
    return this.operate('widen', undefined, (ticket) => this.#post({ at: 'widen', ticket, resources }));
  }

  score(quality: number): void {
    this.#post({ at: 'score', quality: checkQuality(quality) });
  }

  progress(done: number, total?: number): void {
    this.#post({ at: 'progress', done, total });
  }

  /** Checked here too, so that what is refused is refused where it stands. */
  #child(kind: string, input: unknown, options: AskOptions, sends = 0) {
    const { task, depth, priority } = this.#order;
    const asking = { plan: this.#plan, bounds: this.#bounds, id: task.id, depth, priority, offspring: this.#offspring, sends };
    const checked = childTask(asking, kind, input, options);
    this.#offspring += 1;
    // Without one of its own it gets that of the run, which may have grown meanwhile.
    return { kind, input: checked.input, options };
  }

  /** What keeps the run that has returned from completing; undefined: nothing. */
  get forgotten(): unknown {
    return this.#begins.failureOf(this.task.id);
  }

  /** The tickets of operations that were rejected with what that error holds. */
  holding(thrown: unknown): readonly number[] {
    const held = errorsIn(thrown);
    const same = [...this.#failures].filter(([, error]) => held.has(error));
    if (same.length > 0) return same.map(([ticket]) => ticket);
    return [...this.#failures].flatMap(([ticket, error]) => ([...errorsIn(error)].some((part) => held.has(part)) ? [ticket] : []));
  }

  /** Begins an operation: none once the run is over. */
  operate<T>(operation: string, name: string | undefined, begin: (ticket: number) => void, perform?: Perform): Promise<T> {
    if (this.#over !== undefined) return new Promise(() => {});
    const ticket = (this.#tickets += 1);
    const { promise, resolve, reject } = newBegun(operation, name);
    this.#begins.add(promise);
    this.#open.set(ticket, { what: `${operation}:${name}`, resolve, reject, perform });
    try {
      begin(ticket);
    } catch (error) {
      this.#take(ticket)?.reject(error);
    }
    return promise as Promise<T>;
  }

  #performOpen(ticket: number, given: unknown): void {
    const { what = '', perform } = this.#open.get(ticket) ?? {};
    void this.#perform(ticket, what, perform, given);
  }

  async #perform(ticket: number, what: string, perform: Perform | undefined, given: unknown): Promise<void> {
    if (perform === undefined) return;
    try {
      const value: unknown = await perform(given);
      this.#post({ at: 'step-done', ticket, value: encode(value, `what ${what} brought`, this.#bounds.payloadBytes) });
    } catch (error) {
      this.#post({ at: 'step-failed', ticket, error: toWire(error), of: this.holding(error) });
    }
  }

  #step(idempotencyKey: string): StepContext {
    const { signal } = this;
    return { signal, idempotencyKey };
  }

  #take(ticket: number): Operation | undefined {
    const operation = this.#open.get(ticket);
    this.#open.delete(ticket);
    return operation;
  }

  #reject(ticket: number, error: Error): void {
    this.#failures.set(ticket, error);
    this.#take(ticket)?.reject(error);
  }

  #stop(error: WireError): void {
    this.#stopped = fromWire(error);
    this.#controller?.abort(this.#stopped);
  }

  #end(error: WireError): void {
    this.#over = fromWire(error);
    this.#open.clear();
    this.#controller?.abort(this.#over);
  }

  #logs(level: Level) {
    return (facts: object, message?: string): void => this.#post({ at: 'log', level, facts: toFacts(facts), message });
  }
}
