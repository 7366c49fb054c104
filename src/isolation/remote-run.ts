/**
 * Remote run: the fleet's end of a run that executes in a child. What the run asks for is done here, on
 * the real `ctx`: limits, memory and parking never leave the fleet.
 */
import type { Context } from '../topology/context.ts';
import { NotTransferableError } from './errors.ts';
import { fromWire, toWire } from './wire.ts';
import type { FromRun, ToChild } from './wire.ts';

/** A run, as whoever executes it sees it. */
export interface IsolatedRun {
  readonly ctx: Context;
  /** Aborts when the run is over; that of `ctx` may have before, and then what it does may still end. */
  readonly ended: AbortSignal;
  /** As the store has it. */
  readonly input: string;
  readonly depth: number;
  readonly priority: number;
  /** Does it as something that happens within that step. */
  inStep(step: string, act: () => void): void;
  /** It has returned this JSON text. */
  returned(result: string): void;
  /** `holding`: what operations were rejected with and it was thrown for. */
  threw(error: unknown, holding?: readonly unknown[]): void;
}

type Answer = Extract<ToChild, { readonly ticket: number }>;

export class RemoteRun {
  readonly #run: IsolatedRun;
  readonly #number: number;
  readonly #post: (message: ToChild) => void;
  /** Steps, and what is like them, that the child does now. */
  readonly #steps = new Map<number, PromiseWithResolvers<unknown>>();
  /** What operations were rejected with, by ticket. */
  readonly #failures = new Map<number, unknown>();
  /** What errors of the child's hold of that. */
  readonly #held = new Map<unknown, readonly unknown[]>();
  #undone = 0;

  constructor(run: IsolatedRun, number: number, post: (message: ToChild) => void) {
    this.#run = run;
    this.#number = number;
    this.#post = post;
  }

  heard(said: FromRun): void {
    const { within } = said;
    if (within === undefined) this.#heard(said);
    else this.#run.inStep(within, () => this.#heard(said));
  }

  #heard(said: FromRun): void {
    const { ctx } = this.#run;
    switch (said.at) {
      case 'call':
        return this.#answer(said.ticket, `reply of ${said.name}`, ctx.call(said.name as never, said.request, said.options));
      case 'step':
        return this.#answer(
          said.ticket,
          `what step ${said.name} brought`,
          ctx.step(said.name, (step) => this.#step(said.ticket, step.idempotencyKey), said.options),
        );
      case 'hold':
        return this.#answer(
          said.ticket,
          `what was done with a place of ${said.name} brought`,
          ctx.hold(said.name, (place) => this.#step(said.ticket, place.idempotencyKey), said.options),
        );
      case 'step-done':
        return this.#take(said.ticket)?.resolve(decode(said.value));
      case 'step-failed':
        return this.#take(said.ticket)?.reject(this.#came(said));
      case 'ask':
        return this.#answer(said.ticket, `result of ${said.kind}`, ctx.ask(said.kind as never, decode(said.input), said.options));
      case 'sleep':
        return this.#answer(said.ticket, 'sleep', ctx.sleep(said.until, said.options));
      case 'wait-for':
        return this.#answer(said.ticket, `event ${said.name}`, ctx.waitFor(said.name as never, said.options));
      case 'approval':
        return this.#answer(said.ticket, `approval of ${said.name}`, ctx.approval(said.name, decode(said.request), said.options));
      case 'compensate':
        return this.#answer(
          said.ticket,
          `compensation ${said.name}`,
          ctx.compensate(said.name, (step) => this.#undo(said.name, step.idempotencyKey)),
        );
      case 'widen':
        return this.#answer(said.ticket, 'widen', ctx.widen(said.resources));
      case 'state-get':
        return this.#answer(said.ticket, `row ${said.key}`, ctx.state.get(said.key));
      case 'state-set':
        return this.#answer(said.ticket, `row ${said.key}`, ctx.state.set(said.key, decode(said.value), said.version));
      case 'state-delete':
        return this.#answer(said.ticket, `row ${said.key}`, ctx.state.delete(said.key, said.version));
      case 'state-update':
        return this.#answer(
          said.ticket,
          `row ${said.key}`,
          ctx.state.update(said.key, (value) => this.#change(said.ticket, value)),
        );
      case 'send':
        return this.#try(() => ctx.send(said.kind as never, decode(said.input), said.options));
      case 'score':
        return ctx.score(said.quality);
      case 'progress':
        return ctx.progress(said.done, said.total);
      case 'log':
        return said.message === undefined ? ctx.log[said.level](said.facts) : ctx.log[said.level](said.facts, said.message);
      case 'returned':
        return this.#run.returned(said.result);
      case 'threw':
        return this.#run.threw(this.#came(said), [...this.#heldBy(said.of)]);
    }
  }

  #answer(ticket: number, what: string, operation: Promise<unknown>): void {
    const run = this.#number;
    operation.then(
      (value) => this.#reply({ at: 'resolved', run, ticket, value }, what),
      (error: unknown) => {
        this.#failures.set(ticket, error);
        this.#reply({ at: 'rejected', run, ticket, error: toWire(error) }, what);
      },
    );
  }

  #reply(answer: Answer, what: string): void {
    try {
      this.#post(answer);
    } catch (cause) {
      this.#post({ at: 'rejected', run: this.#number, ticket: answer.ticket, error: toWire(new NotTransferableError(what, { cause })) });
    }
  }

  /** An error of the child's, which has lost on its way what it holds. */
  #came({ error, of }: Pick<Extract<FromRun, { at: 'threw' }>, 'error' | 'of'>): Error {
    const came = fromWire(error);
    if (of.length > 0) this.#held.set(came, [...this.#heldBy(of)]);
    return came;
  }

  /** What those were rejected with; where that is what a step has failed with, also what it failed for. */
  *#heldBy(tickets: readonly number[]): Iterable<unknown> {
    for (const ticket of tickets) {
      const error = this.#failures.get(ticket);
      yield error;
      yield* this.#held.get(error) ?? [];
    }
  }

  #step(ticket: number, idempotencyKey: string): Promise<unknown> {
    const step = Promise.withResolvers<unknown>();
    this.#steps.set(ticket, step);
    this.#post({ at: 'do-step', run: this.#number, ticket, idempotencyKey });
    return step.promise;
  }

  /** Tickets of what the child has not asked for are below 0. */
  #undo(name: string, idempotencyKey: string): Promise<unknown> {
    const ticket = -(this.#undone += 1);
    const step = Promise.withResolvers<unknown>();
    this.#steps.set(ticket, step);
    this.#post({ at: 'do-undo', run: this.#number, ticket, name, idempotencyKey });
    return step.promise;
  }

  #change(ticket: number, value: unknown): Promise<unknown> {
    const step = Promise.withResolvers<unknown>();
    this.#steps.set(ticket, step);
    this.#post({ at: 'do-change', run: this.#number, ticket, value: value === undefined ? '' : JSON.stringify(value) });
    return step.promise;
  }

  #take(ticket: number): PromiseWithResolvers<unknown> | undefined {
    const step = this.#steps.get(ticket);
    this.#steps.delete(ticket);
    return step;
  }

  /** The child has checked it already: what is refused nevertheless, fails the run. */
  #try(operation: () => void): void {
    try {
      operation();
    } catch (error) {
      this.#run.threw(error);
    }
  }
}

function decode(text: string): unknown {
  return text === '' ? undefined : (JSON.parse(text) as unknown);
}
