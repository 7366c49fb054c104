/**
 * Call readings: what a dependency's own functions say about its replies and errors. They are the user's:
 * one that throws, or gives what makes no sense, is reported as misread and has said nothing, and the
 * call goes on without it.
 */
import type { BreakerResult } from '../../actors/breaker/breaker.ts';
import type { CallFailure, DependencySpec, Usage } from '../topology/dependency.ts';
import type { CallObserver, ReadField } from './caller.ts';
import { classifyError } from './failure.ts';
import { isAmount, isUsage } from './try.ts';

const FAILURES: readonly unknown[] = ['rate-limited', 'overloaded', 'transient', 'permanent'];

/** Of one dependency. */
export class CallReadings {
  readonly #name: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- requests and replies are typed where the agent is defined
  readonly #spec: DependencySpec<any, any>;
  readonly #observer: CallObserver;

  constructor(name: string, spec: DependencySpec<unknown, unknown>, observer: CallObserver) {
    this.#name = name;
    this.#spec = spec;
    this.#observer = observer;
  }

  /** What a reply says that was used. Undefined: nothing is said. */
  usage(reply: unknown, request: unknown): Usage | undefined {
    const spec = this.#spec;
    if (spec.usage === undefined) return undefined;
    try {
      const usage = spec.usage(reply, request);
      if (isUsage(usage)) return usage;
    } catch (error) {
      this.#misread('usage', error);
    }
    return undefined;
  }

  /** US dollars; undefined: the price makes no sense. */
  price(usage: Usage | undefined, request: unknown): number | undefined {
    const spec = this.#spec;
    if (usage === undefined || spec.price === undefined) return 0;
    try {
      const usd = spec.price(usage, request) as unknown;
      if (isAmount(usd)) return usd;
      this.#misread('price', usd);
    } catch (error) {
      this.#misread('price', error);
    }
    return undefined;
  }

  /** What kind of failure an error is. */
  failure(error: unknown, nowMs: number): CallFailure {
    const spec = this.#spec;
    const failure = spec.classify === undefined ? undefined : this.#read('classify', () => spec.classify!(error));
    if (failure !== undefined && FAILURES.includes(failure.at)) return failure;
    if (failure !== undefined) this.#misread('classify', failure);
    return classifyError(error, nowMs);
  }

  /** What the breaker makes of a failure: that somebody asked for what he may not have says nothing about the provider. */
  result(error: unknown, failure: CallFailure): BreakerResult {
    const { breaker } = this.#spec;
    if (breaker === undefined || breaker === false) return 'ignored';
    if (breaker.counts !== undefined) {
      const counts = this.#read('counts', () => breaker.counts!(error, failure));
      if (typeof counts === 'boolean') return counts ? 'failure' : 'ignored';
    }
    return failure.at === 'transient' || failure.at === 'overloaded' ? 'failure' : 'ignored';
  }

  #read<T>(field: ReadField, ask: () => T): T | undefined {
    try {
      return ask();
    } catch (error) {
      this.#misread(field, error);
      return undefined;
    }
  }

  #misread(field: ReadField, error: unknown): void {
    this.#observer.misread(this.#name, field, error);
  }
}
