/**
 * Call places: where the calls of a run stand in what earlier runs have brought.
 *
 *     first attempt      the how-manieth of its name; another request there is another way of the run
 *     a later attempt    where the same request stands; one that is new, where nothing stands
 *
 * For a retry tries anew what the attempt before it has ended with: what the run did before it threw that, such as
 * telling somebody, it may not do again, and whatever comes after has another number than before. What it asks in the
 * same words is not paid again all the same.
 */
import type { Remembered } from '../../../actors/ports/store.ts';
import { withoutNumber } from './order.ts';

/** The place of the `n`th of a name. */
export type PlaceAt = (n: number) => string;

/** What earlier runs have brought at a place. */
type Find = (place: string) => Remembered | undefined;

export class CallPlaces {
  readonly #find: Find;
  readonly #places: () => Iterable<string>;
  /** No place has a higher number; looked for when it is asked for. */
  #last: number | undefined;
  /** Where calls of this run stand. */
  readonly #taken = new Map<string, { readonly at: PlaceAt; readonly n: number }>();
  #mayDiffer: boolean;

  /** `places`: all of them, as they are stored. `mayDiffer`: the run may go another way than earlier ones did. */
  constructor(find: Find, places: () => Iterable<string>, mayDiffer: boolean) {
    this.#find = find;
    this.#places = places;
    this.#mayDiffer = mayDiffer;
  }

  /** Of the call that is the `n`th of its name, with that hash; undefined: one that is not remembered. */
  place(at: PlaceAt, n: number, hash: string | undefined): string {
    const place = this.#mayDiffer ? this.#standing(at, n, hash) : at(n);
    this.#taken.set(place, { at, n });
    return place;
  }

  /** Where a call stands that does not stand there, for the run may go another way after all. */
  elsewhere(place: string, hash: string): string {
    this.#mayDiffer = true;
    const { at, n } = this.#taken.get(place)!;
    this.#taken.delete(place);
    return this.place(at, n, hash);
  }

  #standing(at: PlaceAt, n: number, hash: string | undefined): string {
    if (hash !== undefined && this.#isOf(at(n), hash)) return at(n);
    if (hash !== undefined) {
      this.#last ??= lastNumberOf(this.#places());
      for (let other = 1; other <= this.#last; other += 1) if (this.#isOf(at(other), hash)) return at(other);
    }
    let free = n;
    while (!this.#isFree(at(free))) free += 1;
    return at(free);
  }

  #isFree(place: string): boolean {
    return !this.#taken.has(place) && this.#find(place) === undefined;
  }

  #isOf(place: string, hash: string): boolean {
    const known = this.#taken.has(place) ? undefined : this.#find(place);
    return known !== undefined && withoutNumber(known.hash) === hash;
  }
}

function lastNumberOf(places: Iterable<string>): number {
  let last = 0;
  for (const place of places) for (const [, number] of place.matchAll(/#(\d{1,9})/g)) last = Math.max(last, Number(number));
  return last;
}
