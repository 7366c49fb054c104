import { expect } from 'vitest';
import {
  breakerOf,
  callTicket,
  ended,
  isolated,
  issued,
  lookAt,
  mayIssue,
  passed,
  planBreaker,
  probeTicket,
  refused,
  released,
  reset,
  restored,
  tripped,
} from '../../../actors/breaker/breaker.ts';
import type { Breaker, BreakerLook, BreakerResult, BreakerSpec } from '../../../actors/breaker/breaker.ts';

/** A breaker, its clock, and what became of it, one entry for each change of condition. */
export class Subject {
  readonly spec: BreakerSpec;
  nowMs = 0;
  breaker: Breaker;
  readonly conditions: Breaker['at'][] = [];

  constructor(spec: BreakerSpec = {}) {
    this.spec = spec;
    this.breaker = breakerOf(planBreaker(spec), this.nowMs);
  }

  get at(): Breaker['at'] {
    return this.breaker.at;
  }

  get look(): BreakerLook {
    return lookAt(this.breaker);
  }

  /** Time passes, backwards too, and the breaker sees where it has come to. */
  pass(ms: number): void {
    this.nowMs += ms;
    this.#become(passed(this.breaker, this.nowMs));
  }

  /** Asks for a call: its ticket, or undefined when it is refused. */
  ask(chance = 0): number | undefined {
    this.#become(passed(this.breaker, this.nowMs));
    const answer = mayIssue(this.breaker, chance);
    if (answer === 'no') {
      this.#become(refused(this.breaker, this.nowMs));
      return undefined;
    }
    this.#become(issued(this.breaker, this.nowMs));
    if ((answer === 'probe') !== probeTicket(this.breaker) > 0) throw new Error('a probe has a ticket, and nothing else has one');
    return callTicket(this.breaker);
  }

  end(ticket: number, result: BreakerResult, score?: number): void {
    this.#become(ended(this.breaker, result, ticket, score, this.nowMs));
  }

  /** Asks, and ends at once. Whether the call was made. */
  call(result: BreakerResult, score?: number): boolean {
    const ticket = this.ask();
    if (ticket !== undefined) this.end(ticket, result, score);
    return ticket !== undefined;
  }

  calls(count: number, result: BreakerResult, score?: number): void {
    for (let call = 0; call < count; call += 1) this.call(result, score);
  }

  isolate(): void {
    this.#become(isolated(this.breaker, this.nowMs));
  }

  release(): void {
    this.#become(released(this.breaker, this.nowMs));
  }

  reset(): void {
    this.#become(reset(this.breaker, this.nowMs));
  }

  trip(): void {
    this.#become(tripped(this.breaker, this.nowMs));
  }

  /** Its holder crashes: what it said last is stored as text and read again `afterMs` later. */
  crash(afterMs = 0, spec = this.spec): void {
    const stored = JSON.stringify(this.breaker);
    this.nowMs += afterMs;
    this.#become(restored(planBreaker(spec), JSON.parse(stored) as Breaker, this.nowMs));
  }

  #become(breaker: Breaker): void {
    if (breaker.at !== this.breaker.at) this.conditions.push(breaker.at);
    this.breaker = breaker;
  }
}

/** One that two failures open for a second. */
export function opened(spec: BreakerSpec = {}): Subject {
  const subject = new Subject({ failures: 2, resetAfterMs: 1_000, ...spec });
  subject.calls(2, 'failure');
  expect(subject.at).toBe('open');
  return subject;
}

/** One that is half-open, with nothing out. */
export function halfOpen(spec: BreakerSpec = {}): Subject {
  const subject = opened(spec);
  subject.pass(subject.look.untilMs! - subject.nowMs);
  expect(subject.at).toBe('half-open');
  return subject;
}
