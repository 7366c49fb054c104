/**
 * Child run: the `ctx` of a run in a thread or process. Every operation is a message to the fleet, which
 * does it; only the functions of steps, and what `run` itself does, happen here.
 *
 * Once the run is over its pending operations never settle and new ones have no effect, as everywhere.
 */
import { childTask } from '../../runtime/child-task.ts';
import { checkHold, checkNoHold, holding } from '../../runtime/holding.ts';
import type { Held } from '../../runtime/holding.ts';
import { checkQuality, encode } from '../../runtime/payload.ts';
import type { AskOptions, CallOptions, Context, HoldOptions, RunLogger, StepContext } from '../../topology/context.ts';
import type { KindPlan, Topology } from '../../topology/fleet.ts';
import { NotTransferableError } from '../errors.ts';
import { fromWire, toFacts, toWire } from '../wire.ts';
import type { FromRun, Level, RunOrder, ToChild, WireError } from '../wire.ts';

interface Operation {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Of a step: what to do when no earlier run has done it. */
  readonly perform: ((step: StepContext) => unknown) | undefined;
}

type Said = Extract<ToChild, { readonly run: number }>;

export class ChildRun implements Context {
  readonly task: Context['task'];
  readonly log: RunLogger;
  readonly #order: RunOrder;
  readonly #plan: KindPlan;
  readonly #bounds: Topology['bounds'];
  readonly #post: (said: FromRun) => void;
  readonly #open = new Map<number, Operation>();
  #tickets = 0;
  #offspring = 0;
  #over: Error | undefined;
  #controller: AbortController | undefined;

  constructor(order: RunOrder, plan: KindPlan, bounds: Topology['bounds'], post: (said: FromRun) => void) {
    this.#order = order;
    this.#plan = plan;
    this.#bounds = bounds;
    this.#post = (said) => {
      if (this.#over === undefined) post(said);
    };
    this.task = order.task;
    this.log = { debug: this.#logs('debug'), info: this.#logs('info'), warn: this.#logs('warn'), error: this.#logs('error') };
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#over !== undefined) this.#controller.abort(this.#over);
    return this.#controller.signal;
  }

  heard(said: Said): void {
    switch (said.at) {
      case 'run':
        return;
      case 'over':
        return this.#end(said.error);
      case 'resolved':
        return this.#take(said.ticket)?.resolve(said.value);
      case 'rejected':
        return this.#take(said.ticket)?.reject(fromWire(said.error));
      case 'do-step':
        return void this.#perform(said.ticket, said.idempotencyKey);
    }
  }

  call(name: string, request: unknown, { remember = true }: CallOptions = {}): Promise<never> {
    return this.#operate((ticket) => {
      try {
        this.#post({ at: 'call', ticket, name, request, remember });
      } catch (cause) {
        throw new NotTransferableError(`request to ${name}`, { cause });
      }
    });
  }

  step<T>(name: string, fn: (step: StepContext) => T | Promise<T>): Promise<T> {
    return this.#operate((ticket) => this.#post({ at: 'step', ticket, name }), fn);
  }

  hold<T>(name: string, fn: (place: StepContext) => Promise<T>, options: HoldOptions = {}): Promise<T> {
    let held: Held | undefined;
    return this.#operate(
      (ticket) => {
        held = checkHold(this, this.#plan, name);
        this.#post({ at: 'hold', ticket, name, options });
      },
      (place: StepContext) => holding(held!, () => fn(place)),
    );
  }

  ask(kind: string, input: unknown, options: AskOptions = {}): Promise<never> {
    return this.#operate((ticket) => {
      checkNoHold(this, this.#plan.kind, kind);
      this.#post({ at: 'ask', ticket, ...this.#child(kind, input, options) });
    });
  }

  send(kind: string, input: unknown, options: AskOptions = {}): void {
    if (this.#over === undefined) this.#post({ at: 'send', ...this.#child(kind, input, options) });
  }

  score(quality: number): void {
    this.#post({ at: 'score', quality: checkQuality(quality) });
  }

  progress(done: number, total?: number): void {
    this.#post({ at: 'progress', done, total });
  }

  /** Checked here too, so that what is refused is refused where it stands. */
  #child(kind: string, input: unknown, options: AskOptions) {
    const { task, depth, priority } = this.#order;
    const asking = { plan: this.#plan, bounds: this.#bounds, id: task.id, depth, priority, offspring: this.#offspring };
    const checked = childTask(asking, kind, input, options);
    this.#offspring += 1;
    return { kind, input: checked.input, options: { priority: checked.priority } };
  }

  #operate<T>(begin: (ticket: number) => void, perform?: (step: StepContext) => unknown): Promise<T> {
    if (this.#over !== undefined) return new Promise(() => {});
    const ticket = (this.#tickets += 1);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    // A run may look at a refusal later, or never: that is no reason to end the process.
    promise.catch(() => {});
    this.#open.set(ticket, { resolve, reject, perform });
    try {
      begin(ticket);
    } catch (error) {
      this.#take(ticket)?.reject(error);
    }
    return promise as Promise<T>;
  }

  async #perform(ticket: number, idempotencyKey: string): Promise<void> {
    const operation = this.#open.get(ticket);
    if (operation?.perform === undefined) return;
    try {
      const { signal } = this;
      const value = await operation.perform({ signal, idempotencyKey });
      this.#post({ at: 'step-done', ticket, value: encode(value, 'what a step brought', this.#bounds.payloadBytes) });
    } catch (error) {
      this.#post({ at: 'step-failed', ticket, error: toWire(error) });
    }
  }

  #take(ticket: number): Operation | undefined {
    const operation = this.#open.get(ticket);
    this.#open.delete(ticket);
    return operation;
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
