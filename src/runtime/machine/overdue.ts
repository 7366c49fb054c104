/**
 * Overdue: delays of a machine that were over while nobody ran it, and what came meanwhile, in the order of their times.
 *
 *     a delay is overdue, and something has come ─▶ all is quiet ─▶ when that came is asked ─┬─▶ what came first is seen
 *                                                         ▲                                  ├─▶ the first delay is over
 *                                                         └────── until none is overdue ─────┘
 *
 * What came at the very moment came too late, as with `withinMs`. Where nothing has come the delays are simply over.
 */
import type { Run } from '../run.ts';
import type { Came } from '../run/came.ts';
import { Pending } from '../run/operation.ts';

type EventRef = NonNullable<Came['event']>;

export interface OverdueOptions {
  readonly run: Run;
  /** When the first delay was over that the machine has not been told of; undefined: there is none. */
  readonly firstDueMs: () => number | undefined;
  /** Tells the machine of that one. */
  readonly endFirst: () => void;
  /** Events that the machine has not taken. */
  readonly inLine: () => readonly EventRef[];
  /** Gives the machine what it may have now. False when there was nothing. */
  readonly give: () => boolean;
  /** Something of what came is still on its way through an operation, or to the store. */
  readonly isBusy: () => boolean;
}

interface Held {
  readonly came: Came;
  readonly look: () => void;
}

export class Overdue {
  readonly #options: OverdueOptions;
  readonly #held = new Set<Held>();
  /** When the events came that have been asked for, by `keyOf`; the same of what is held. */
  readonly #toldMs = new Map<string, number>();
  readonly #heldMs = new Map<Held, number>();
  /** What came before may be seen. */
  #beforeMs = -Infinity;
  /** The run does not park over it; undefined: no delay is overdue, or nothing has come. */
  #wait: Pending | undefined;
  #isLooking = false;
  #isAsking = false;

  constructor(options: OverdueOptions) {
    this.#options = options;
  }

  /** Delays that are over now wait for their turn. */
  get isUnderWay(): boolean {
    return this.#wait !== undefined;
  }

  /** Something has come, or is done. */
  moved(): void {
    const { run, firstDueMs } = this.#options;
    if (run.over !== undefined) return;
    if (this.#wait === undefined) {
      if (firstDueMs() === undefined) return;
      this.#beforeMs = -Infinity;
      this.#wait = run.opened(new Pending());
    }
    this.#look();
  }

  /** Whether the machine may take the event before the delays that are overdue. */
  allows(event: EventRef): boolean {
    return this.#wait === undefined || (this.#toldMs.get(keyOf(event)) ?? Infinity) < this.#beforeMs;
  }

  /** An operation looks at what came for it: once no delay was over before. */
  inTime(came: Came, look: () => void): void {
    if (this.#wait === undefined && this.#options.firstDueMs() === undefined) return look();
    this.#held.add({ came, look });
    this.moved();
  }

  /** Again, when what is under way has come as far as it does by itself. */
  #look(): void {
    if (this.#isLooking || this.#isAsking) return;
    this.#isLooking = true;
    const { run, isBusy } = this.#options;
    const { signs } = run;
    run.afterSeen(() => {
      this.#isLooking = false;
      if (run.over !== undefined || this.#wait === undefined) return;
      if (run.signs !== signs) this.#look();
      else if (!isBusy()) this.#step();
    });
  }

  #step(): void {
    const { firstDueMs, endFirst, give } = this.#options;
    const dueMs = firstDueMs();
    if (dueMs === undefined) return this.#end();
    if (this.#asks()) return;
    const heldMs = Math.min(...this.#heldMs.values());
    this.#beforeMs = Math.min(heldMs, dueMs);
    this.#isLooking = true;
    if (!give()) {
      if (heldMs < dueMs) this.#release(heldMs);
      else endFirst();
    }
    this.#isLooking = false;
    this.#look();
  }

  /** Asks when everything came of which that is not known. False when all is known. */
  #asks(): boolean {
    const { run, inLine } = this.#options;
    const events = inLine().filter((event) => !this.#toldMs.has(keyOf(event)));
    const held = [...this.#held].filter((one) => !this.#heldMs.has(one));
    if (events.length + held.length === 0) return false;
    this.#isAsking = true;
    run.engine.requests.whenCame(run, [...events.map((event) => ({ event })), ...held.map(({ came }) => came)], (atMs) => {
      this.#isAsking = false;
      for (const [at, event] of events.entries()) this.#toldMs.set(keyOf(event), atMs[at]!);
      for (const [at, one] of held.entries()) this.#heldMs.set(one, atMs[events.length + at]!);
      this.moved();
    });
    return true;
  }

  /** What came then is seen. */
  #release(atMs: number): void {
    for (const [one, cameMs] of this.#heldMs) {
      if (cameMs !== atMs) continue;
      this.#held.delete(one);
      this.#heldMs.delete(one);
      one.look();
    }
  }

  /** All that came after the last of them is seen now. */
  #end(): void {
    const wait = this.#wait!;
    this.#wait = undefined;
    this.#beforeMs = Infinity;
    if (!this.#options.run.done(wait)) return;
    const cameMs = (one: Held): number => this.#heldMs.get(one) ?? Infinity;
    const others = [...this.#held].toSorted((a, b) => (cameMs(a) < cameMs(b) ? -1 : 1));
    this.#held.clear();
    this.#heldMs.clear();
    for (const { look } of others) look();
    this.#options.give();
  }
}

function keyOf({ name, n }: EventRef): string {
  return `${n} ${name}`;
}
