/**
 * Asks: questions that wait for their answer, each at an address of its own.
 *
 * An address is a place in an array and how often that place has been used, so a late second answer
 * finds nobody. No Map: one that is filled and emptied all the time is rebuilt again and again, each
 * old table points to the next one, and once the collector has taken one of them for old, all that
 * was ever asked after it stays in memory until the next full collection.
 */
import type { ReplyTo } from '../kernel/effects.ts';
import { invariant } from '../kernel/errors.ts';

/** Whoever waits for the answer to one question, outside the actors. */
export interface Asker<T = never> {
  /** Whom the question went to. */
  readonly asked: string;
  /** The answer, once. */
  answered(value: T): void;
  /** There will be no answer: the one who was asked is gone. Ask again, or give up. */
  lost?(): void;
}

/** Questions that can wait at the same time. */
const PLACES = 2 ** 22;

/** A place is used again so many times before an address repeats. */
const LIVES = 2 ** 31;

export class Asks {
  readonly #askers: (Asker | undefined)[] = [];
  readonly #lives: number[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#askers.length - this.#free.length;
  }

  add(asker: Asker): ReplyTo {
    const place = this.#free.pop() ?? this.#grow();
    this.#askers[place] = asker;
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
    const place = address % PLACES;
    this.#askers[place] = undefined;
    this.#free.push(place);
    return asker;
  }

  /** All whose question went to `asked`, and who no longer wait. */
  takeAllOf(asked: string): Asker[] {
    const taken: Asker[] = [];
    for (let place = 0; place < this.#askers.length; place += 1) {
      const asker = this.#askers[place];
      if (asker?.asked !== asked) continue;
      this.#askers[place] = undefined;
      this.#free.push(place);
      taken.push(asker);
    }
    return taken;
  }

  clear(): void {
    for (let place = 0; place < this.#askers.length; place += 1) {
      if (this.#askers[place] === undefined) continue;
      this.#askers[place] = undefined;
      this.#free.push(place);
    }
  }

  #find(address: ReplyTo): Asker | undefined {
    const place = address % PLACES;
    return this.#lives[place] === (address - place) / PLACES ? this.#askers[place] : undefined;
  }

  #grow(): number {
    invariant(this.#askers.length < PLACES, `at most ${PLACES} questions wait at the same time`);
    this.#askers.push(undefined);
    this.#lives.push(0);
    return this.#askers.length - 1;
  }
}
