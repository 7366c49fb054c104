/** Replay stepper: what a person says, and what is shown then. Pure, but for the walk that it goes on with. */
import { stepLine, waitLines } from './replay-steps.ts';
import type { ShownStep, Walk } from './replay-steps.ts';

export const PROMPT = 'Enter next, N steps, /text, w waits, q quit > ';

const MOST_STEPS = 1_000_000;

export class Stepper {
  readonly #walk: Walk;
  readonly #showWaits: boolean;
  #number = 0;
  #over = false;

  constructor(walk: Walk, showWaits: boolean) {
    this.#walk = walk;
    this.#showWaits = showWaits;
  }

  /** No further step. */
  get isOver(): boolean {
    return this.#over;
  }

  /** Lines to show, or undefined to end. Many of them come one by one: they may be more than fit anywhere. */
  command(text: string): Iterable<string> | undefined {
    const said = text.trim();
    if (said === 'q') return undefined;
    if (said === '') return this.take(1);
    if (said === 'w') return waitLines(this.#walk.waits());
    if (said.startsWith('/') && said.length > 1) return this.#until(said.slice(1));
    if (/^\d{1,9}$/.test(said)) return this.take(Math.min(Number(said), MOST_STEPS));
    return [`${JSON.stringify(said)}: expected Enter, a number, /text, w or q`];
  }

  /** The next steps. */
  *take(count: number): Generator<string> {
    for (let at = 0; at < count; at += 1) {
      const step = this.#next();
      if (step === undefined) return yield* this.#end();
      yield* this.#show(step);
    }
  }

  /** Everything that is left. */
  rest(): Iterable<string> {
    return this.take(Infinity);
  }

  /** Steps up to one that contains the text; only that one is shown. */
  *#until(text: string): Generator<string> {
    for (let passed = 0; ; passed += 1) {
      const step = this.#next();
      if (step === undefined) {
        yield `no further step contains ${JSON.stringify(text)}`;
        return yield* this.#end();
      }
      if (!step.says.includes(text)) continue;
      if (passed > 0) yield `        (${passed} passed)`;
      return yield* this.#show(step);
    }
  }

  #next(): ShownStep | undefined {
    const step = this.#walk.next();
    if (step !== undefined) this.#number += 1;
    return step;
  }

  *#show(step: ShownStep): Generator<string> {
    yield stepLine(this.#number, step);
    if (this.#showWaits) yield* waitLines(this.#walk.waits());
  }

  *#end(): Generator<string> {
    if (!this.#over) yield* this.#walk.end;
    this.#over = true;
  }
}
