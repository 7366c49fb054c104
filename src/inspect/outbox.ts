/**
 * Outbox: inspection events on their way to an inspector, which is the user's own code and may be slow,
 * throw, or both. Events are taken within an actor's turn, at the cost of one place in a ring, and handed
 * over later, in a turn of the event loop of its own.
 *
 * Slow. An inspector gets about a tenth (`SHARE`) of the thread's time: after a batch that took 1 ms it
 * rests for 9. What it puts off counts too: `@statelyai/inspect` does its work in a `setTimeout` of 0, so a
 * batch lies between two timers of the same length, and what runs between them is its. A batch is as
 * large as its cost so far allows (`BATCH_MS`). What cannot be handed over in time waits, `capacity`
 * events at most; then the oldest are dropped, counted and told, in the log and to the inspector.
 *
 * What a drop may not do is to leave a wrong picture. An actor that lives is always announced, its parent
 * before it; and once the inspector has caught up it is told the present state of every actor of which
 * it has missed something.
 *
 * Throwing. A throw, or a promise that rejects, is counted and logged, once a second at most; after
 * `MOST_THROWS` in a row the inspector is detached for good.
 */
import { toObserver } from 'xstate';
import type { InspectionEvent } from 'xstate';
import type { CancelWake, Clock } from '../../actors/kernel/clock.ts';
import { systemClock } from '../../actors/kernel/clock.ts';
import type { ActorView } from './actor-view.ts';
import type { Inspect, InspectLog } from './inspect.ts';
import { countOf, inspectionEventsOf } from './told.ts';
import type { Told } from './told.ts';

/** Of the thread's time. */
const SHARE = 0.1;
const BATCH_MS = 2;
const FIRST_BATCH = 16;
const LARGEST_BATCH = 4_096;
const MOST_THROWS = 10;
const LOG_EVERY_MS = 1_000;
/** What is left at the end is handed over without rests, until that has taken so long. */
const LAST_MS = 1_000;

/** As many turns as a host takes in one go. */
export const CAPACITY = 4_096;

export interface OutboxOptions {
  readonly inspect: Inspect;
  readonly log?: InspectLog | undefined;
  /** The inspector has been detached. */
  readonly onDetach: () => void;
  /** Turns that may wait. Default `CAPACITY`. */
  readonly capacity?: number;
  /** Default: that of the process, also for a fleet in virtual time, since an inspector is not. */
  readonly clock?: Clock;
}

export class Outbox {
  readonly #next: (event: InspectionEvent) => unknown;
  readonly #log: InspectLog | undefined;
  readonly #onDetach: () => void;
  readonly #capacity: number;
  readonly #clock: Clock;
  /** A ring: the oldest is at `#head`. */
  readonly #ring: (Told | undefined)[] = [];
  #head = 0;
  #waiting = 0;
  /** Actors whose announcement has been dropped. They live, so there are no more than actors. */
  readonly #owed = new Set<ActorView>();
  readonly #announced = new WeakSet<ActorView>();
  /** Actors that the inspector has missed something of. */
  readonly #missed = new Set<ActorView>();
  /** From a batch that is to come to the end of that batch: there is never a second one. */
  #isBusy = false;
  #cancelNext: CancelWake | undefined;
  #restsUntilMs = 0;
  #batch = FIRST_BATCH;
  /** Once it is closed: what it may still take. */
  #lastMs: number | undefined;
  #detached = false;
  #throwsInARow = 0;
  #thrown = 0;
  #dropped = 0;
  #toldDropped = 0;
  readonly #loggedAtMs = { thrown: -Infinity, dropped: -Infinity };

  constructor({ inspect, log, onDetach, capacity = CAPACITY, clock = systemClock() }: OutboxOptions) {
    const observer = toObserver(inspect);
    this.#next = (event) => observer.next?.(event);
    this.#log = log;
    this.#onDetach = onDetach;
    this.#capacity = capacity;
    this.#clock = clock;
  }

  /** Events that the inspector never got. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Events at which the inspector threw. */
  get thrown(): number {
    return this.#thrown;
  }

  get isDetached(): boolean {
    return this.#detached;
  }

  push(told: Told): void {
    if (this.#detached) return;
    if (this.#waiting === this.#capacity) this.#drop();
    this.#ring[(this.#head + this.#waiting) % this.#capacity] = told;
    this.#waiting += 1;
    if (!this.#isBusy) this.#schedule();
  }

  /** Nothing more will come: hands over what is left, as far as it goes quickly. */
  close(): void {
    if (this.#lastMs !== undefined) return;
    this.#lastMs = LAST_MS;
    this.#restsUntilMs = 0;
    if (this.#cancelNext === undefined) return;
    this.#cancelNext();
    this.#schedule();
  }

  #drop(): void {
    const told = this.#take();
    const { view } = told;
    this.#dropped += countOf(told);
    // One that was never seen and is gone leaves no picture that could be wrong.
    if (view.hasEnded && !this.#announced.has(view)) return;
    if (told.at === 'actor') this.#owed.add(view);
    else if ((told.at === 'turn' || told.at === 'snapshot') && !this.#missed.has(view)) this.#miss(view);
  }

  #miss(view: ActorView): void {
    this.#missed.add(view);
    // Those that live are told as late as it takes; of many that have ended the oldest are forgotten, two for each that comes.
    for (let looks = 0; looks < 2 && this.#missed.size > this.#capacity; looks += 1) {
      const [oldest] = this.#missed;
      this.#missed.delete(oldest!);
      if (!oldest!.hasEnded) this.#missed.add(oldest!);
    }
  }

  #take(): Told {
    const told = this.#ring[this.#head]!;
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) % this.#capacity;
    this.#waiting -= 1;
    return told;
  }

  #schedule(): void {
    this.#isBusy = true;
    this.#cancelNext = this.#clock.wakeAt(Math.max(this.#restsUntilMs, this.#clock.nowMs()), this.#handOver);
  }

  readonly #handOver = (): void => {
    this.#cancelNext = undefined;
    const beganMs = this.#clock.nowMs();
    let putOffMs = beganMs;
    this.#clock.wakeAt(beganMs, () => (putOffMs = this.#clock.nowMs()));
    let count = 0;
    let nowMs = beganMs;
    while (!this.#detached && count < this.#batch && nowMs - beganMs < BATCH_MS && this.#handOverNext()) {
      count += 1;
      nowMs = this.#clock.nowMs();
    }
    this.#logDropped(nowMs);
    const spentMs = nowMs - beganMs;
    this.#clock.wakeAt(beganMs, () => this.#settle(count, spentMs + this.#clock.nowMs() - putOffMs));
  };

  /** A batch is over, together with what the inspector had put off. */
  #settle(count: number, tookMs: number): void {
    if (this.#detached) return;
    const nowMs = this.#clock.nowMs();
    const fitting = Math.floor((BATCH_MS * count) / Math.max(tookMs, 0.001));
    // Not all at once up: one quick batch says little about the next.
    if (count > 0) this.#batch = Math.max(1, Math.min(LARGEST_BATCH, fitting, this.#batch * 2));
    this.#isBusy = false;
    if (this.#lastMs === undefined) this.#restsUntilMs = nowMs + tookMs * (1 / SHARE - 1);
    else if ((this.#lastMs -= tookMs) <= 0) return this.#giveUp();
    if (this.#hasMore()) this.#schedule();
  }

  #hasMore(): boolean {
    return this.#waiting > 0 || this.#owed.size > 0 || this.#missed.size > 0;
  }

  /** False when there is nothing to hand over. */
  #handOverNext(): boolean {
    for (const view of this.#owed) return this.#announce(view);
    if (this.#waiting > 0) {
      const told = this.#take();
      const { view, at } = told;
      this.#announce(view);
      if (at === 'turn' || at === 'snapshot') this.#missed.delete(view);
      if (at !== 'actor') this.#give(told);
      return true;
    }
    for (const view of this.#missed) {
      this.#missed.delete(view);
      this.#announce(view);
      const event = { type: 'inspect.missed', dropped: this.#dropped };
      this.#giveOne({ type: '@xstate.snapshot', rootId: view.rootId, actorRef: view, event, snapshot: view.getSnapshot() });
      return true;
    }
    return false;
  }

  /** An inspector has to know an actor before it hears of it, and its parent before that. */
  #announce(view: ActorView): true {
    if (this.#owed.size > 0) this.#owed.delete(view);
    if (this.#announced.has(view)) return true;
    this.#announced.add(view);
    if (view.parent !== undefined) this.#announce(view.parent);
    this.#give({ at: 'actor', view });
    return true;
  }

  #give(told: Told): void {
    for (const event of inspectionEventsOf(told)) this.#giveOne(event);
  }

  #giveOne(event: InspectionEvent): void {
    if (this.#detached) return;
    try {
      const answer = this.#next(event) as PromiseLike<unknown> | undefined;
      // An async function that throws would end the process.
      if (typeof answer?.then === 'function') {
        answer.then(
          () => (this.#throwsInARow = 0),
          (error: unknown) => this.#threw(error),
        );
      } else this.#throwsInARow = 0;
    } catch (error) {
      this.#threw(error);
    }
  }

  #threw(error: unknown): void {
    if (this.#detached) return;
    this.#thrown += 1;
    this.#throwsInARow += 1;
    if (this.#throwsInARow >= MOST_THROWS) {
      this.#log?.warn({ err: error, thrown: this.#thrown }, `the inspector threw ${MOST_THROWS} times in a row: it is detached`);
      return this.#detach();
    }
    if (this.#isQuiet('thrown')) this.#log?.warn({ err: error, thrown: this.#thrown }, 'the inspector threw');
  }

  #logDropped(nowMs: number): void {
    if (this.#dropped === this.#toldDropped || !this.#isQuiet('dropped', nowMs)) return;
    const dropped = this.#dropped - this.#toldDropped;
    this.#toldDropped = this.#dropped;
    this.#log?.warn({ dropped, droppedInAll: this.#dropped }, 'the inspector is behind: the oldest inspection events were dropped');
  }

  /** Nothing has been logged of it for a while. */
  #isQuiet(what: 'thrown' | 'dropped', nowMs = this.#clock.nowMs()): boolean {
    if (nowMs - this.#loggedAtMs[what] < LOG_EVERY_MS) return false;
    this.#loggedAtMs[what] = nowMs;
    return true;
  }

  #giveUp(): void {
    while (this.#waiting > 0) this.#dropped += countOf(this.#take());
    if (this.#dropped > this.#toldDropped) {
      this.#loggedAtMs.dropped = -Infinity;
      this.#logDropped(this.#clock.nowMs());
    }
    this.#detach();
  }

  #detach(): void {
    this.#detached = true;
    this.#ring.length = 0;
    this.#waiting = 0;
    this.#owed.clear();
    this.#missed.clear();
    this.#onDetach();
  }
}
