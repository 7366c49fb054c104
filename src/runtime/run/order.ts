/**
 * Order: what came first in an earlier run comes first again.
 *
 * Where operations are open side by side, what a run does next may depend on which ends first (a race).
 * So the ends of such operations are numbered as they are remembered, and a later run gets them in that
 * order, each with time for what follows from it; and only then what no run has seen yet, such as a
 * sleep that is over by now. An operation that was alone needs no number.
 */
import type { RunOperation } from './operation.ts';

/** What follows from one end within a run, in microtasks: more than a chain of promises has links. */
const HOPS = 32;
/** Of what no run has seen. */
const UNSEEN = Infinity;

interface Due {
  readonly number: number;
  /** In what order they came, of those that no run has seen; undefined: nobody knows. */
  readonly came: number | undefined;
  readonly deliver: () => void;
}

/** On its way into the memory of the run. */
export interface Sent {
  readonly number: number;
  /** Undefined: nobody knows yet whether it is there. */
  deliver: (() => void) | undefined;
}

export class RunOrder {
  readonly #isOver: () => boolean;
  /** That were open beside another one. */
  readonly #racing = new Set<RunOperation>();
  readonly #due: Due[] = [];
  /** By number. */
  readonly #sent: Sent[] = [];
  #last: number;
  #pumping = false;

  /** `last`: the highest number that is remembered. */
  constructor(last: number, isOver: () => boolean) {
    this.#last = last;
    this.#isOver = isOver;
  }

  /** Something that has ended already has yet to be given to the run. */
  get isBusy(): boolean {
    return this.#due.length > 0;
  }

  raced(operation: RunOperation): void {
    this.#racing.add(operation);
  }

  isRacing(operation: RunOperation): boolean {
    return this.#racing.has(operation);
  }

  ended(operation: RunOperation): void {
    this.#racing.delete(operation);
  }

  next(): number {
    return (this.#last += 1);
  }

  /** Delivers it when its turn has come; without a number, after all that have one, and those of which it is known in the order in which they `came`. */
  deliver(number: number | undefined, deliver: () => void, came?: number): void {
    const due = { number: number ?? UNSEEN, came, deliver };
    const at = this.#due.findIndex((other) => isAfter(other, due));
    if (at < 0) this.#due.push(due);
    else this.#due.splice(at, 0, due);
    if (this.#pumping) return;
    this.#pumping = true;
    this.#hop(HOPS);
  }

  /** The end with this number is about to be remembered. */
  sends(number: number): Sent {
    const sent: Sent = { number, deliver: undefined };
    const at = this.#sent.findIndex((other) => other.number > number);
    if (at < 0) this.#sent.push(sent);
    else this.#sent.splice(at, 0, sent);
    return sent;
  }

  /** It is there: the run is given it after all with smaller numbers, which may have had to be sent again. */
  arrived(sent: Sent, deliver: () => void): void {
    sent.deliver = deliver;
    const waiting = this.#sent.findIndex((other) => other.deliver === undefined);
    const ready = this.#sent.splice(0, waiting < 0 ? this.#sent.length : waiting);
    if (ready.length === 1 && !this.isBusy) ready[0]!.deliver!();
    else for (const one of ready) this.deliver(one.number, one.deliver!);
  }

  #hop(left: number): void {
    queueMicrotask(() => {
      if (left > 0) return this.#hop(left - 1);
      const first = this.#isOver() ? undefined : this.#due.shift();
      if (first === undefined) {
        this.#pumping = false;
        this.#due.length = 0;
        return;
      }
      first.deliver();
      this.#hop(HOPS);
    });
  }
}

function isAfter(one: Due, other: Due): boolean {
  if (one.number !== other.number) return one.number > other.number;
  return one.came !== undefined && other.came !== undefined && one.came > other.came;
}

/** What sets a hash apart from the number of an end. */
const NUMBER = ';';

/** A hash with the number of the end that is remembered with it. */
export function numbered(hash: string, number: number): string {
  return `${hash}${NUMBER}${number}`;
}

/** Undefined: its operation was alone. */
export function numberIn(hash: string): number | undefined {
  const at = hash.indexOf(NUMBER);
  return at < 0 ? undefined : Number(hash.slice(at + 1));
}

export function withoutNumber(hash: string): string {
  const at = hash.indexOf(NUMBER);
  return at < 0 ? hash : hash.slice(0, at);
}
