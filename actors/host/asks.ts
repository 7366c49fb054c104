/**
 * Asks: questions that wait for their answer, each at an address of its own.
 *
 * An address is a place in an array and how often that place has been used, so a late second answer
 * finds nobody. No Map: one that is filled and emptied all the time is rebuilt again and again, each
 * old table points to the next one, and once the collector has taken one of them for old, all that
 * was ever asked after it stays in memory until the next full collection.
 */
import { ChurnMap } from '../kernel/churn-map.ts';
import type { ActorId, ReplyTo } from '../kernel/effects.ts';
import { DroverError, invariant } from '../kernel/errors.ts';

/** Whoever waits for the answer to one question, outside the actors. */
export interface Asker<T = never> {
  /** Whom the question went to. */
  readonly asked: string;
  /** The answer, once, within a turn: `host.goesOutside` before anything that may take its time. */
  answered(value: T): void;
  /** There will be no answer: the one who was asked is gone. Ask again, or give up. */
  lost?(): void;
}

/** Nobody lives at the address that was asked, or its tenant ended without an answer. */
export class ActorGoneError extends DroverError {
  readonly code = 'DROVER_ACTOR_GONE';
  readonly retryable = true;
  override readonly detail: { readonly actor: ActorId };
  constructor(actor: ActorId) {
    super(`${actor}: is gone and did not answer`);
    this.detail = { actor };
  }
}

/** Questions that can wait at the same time. */
const PLACES = 2 ** 22;

/** A place is used again so many times before an address repeats. */
const LIVES = 2 ** 31;

/** No place: the end of a list. */
const NONE = -1;

export class Asks {
  readonly #askers: (Asker | undefined)[] = [];
  readonly #lives: number[] = [];
  readonly #free: number[] = [];
  /** Those who wait for the same one are a list: its first place, and from each place the next and the one before. */
  readonly #first = new ChurnMap<string, number>();
  readonly #next: number[] = [];
  readonly #before: number[] = [];

  get size(): number {
    return this.#askers.length - this.#free.length;
  }

  add(asker: Asker): ReplyTo {
    const place = this.#free.pop() ?? this.#grow();
    this.#askers[place] = asker;
    const next = this.#first.get(asker.asked) ?? NONE;
    this.#next[place] = next;
    this.#before[place] = NONE;
    if (next !== NONE) this.#before[next] = place;
    this.#first.set(asker.asked, place);
    const life = (this.#lives[place] = (this.#lives[place]! + 1) % LIVES);
    return life * PLACES + place;
  }

  has(address: ReplyTo): boolean {
    return this.#find(address) !== undefined;
  }

  /** Who waits there, and no longer does. */
  take(address: ReplyTo): Asker | undefined {
    const asker = this.#find(address);
    if (asker === undefined) return undefined;
    this.#leave(address % PLACES, asker);
    return asker;
  }

  /** All whose question went to `asked`, and who no longer wait. */
  takeAllOf(asked: string): Asker[] {
    const taken: Asker[] = [];
    for (let place = this.#first.get(asked); place !== undefined; place = this.#first.get(asked)) {
      const asker = this.#askers[place]!;
      this.#leave(place, asker);
      taken.push(asker);
    }
    return taken;
  }

  clear(): void {
    for (const [place, asker] of this.#askers.entries()) if (asker !== undefined) this.#leave(place, asker);
  }

  #leave(place: number, { asked }: Asker): void {
    const next = this.#next[place]!;
    const before = this.#before[place]!;
    if (next !== NONE) this.#before[next] = before;
    if (before !== NONE) this.#next[before] = next;
    else if (next !== NONE) this.#first.set(asked, next);
    else this.#first.delete(asked);
    this.#askers[place] = undefined;
    this.#free.push(place);
  }

  #find(address: ReplyTo): Asker | undefined {
    const place = address % PLACES;
    return this.#lives[place] === (address - place) / PLACES ? this.#askers[place] : undefined;
  }

  #grow(): number {
    invariant(this.#askers.length < PLACES, `at most ${PLACES} questions wait at the same time`);
    this.#askers.push(undefined);
    this.#lives.push(0);
    this.#next.push(NONE);
    this.#before.push(NONE);
    return this.#askers.length - 1;
  }
}
