/**
 * Lists that shrink by leaving parts out: none at all, halves, quarters, ... and then by their items.
 * fast-check's arrays remember which lengths did not fail; here each round begins anew, for a shorter
 * workload may well fail once the schedule is another one.
 *
 * @see Zeller & Hildebrandt, "Simplifying and isolating failure-inducing input", TSE 2002
 */
import * as fc from 'fast-check';

export interface ListBounds {
  readonly minLength?: number;
  readonly maxLength: number;
}

/** Parts of a list that are left out in one round, at most: the finer come when it has become shorter. */
const MOST_PARTS = 16;

export function list<T>(item: fc.Arbitrary<T>, { minLength = 0, maxLength }: ListBounds): fc.Arbitrary<readonly T[]> {
  return new List(item, minLength, maxLength);
}

class List<T> extends fc.Arbitrary<readonly T[]> {
  readonly #item: fc.Arbitrary<T>;
  readonly #minLength: number;
  readonly #maxLength: number;

  constructor(item: fc.Arbitrary<T>, minLength: number, maxLength: number) {
    super();
    this.#item = item;
    this.#minLength = minLength;
    this.#maxLength = maxLength;
  }

  generate(random: fc.Random, bias: number | undefined): fc.Value<readonly T[]> {
    const isBiased = bias !== undefined && random.nextInt(1, bias) === 1;
    // Short ones are tried often: they are fast, and easy to read when they fail.
    const most = isBiased ? this.#minLength + Math.floor(Math.log2(this.#maxLength - this.#minLength + 1)) : this.#maxLength;
    const length = random.nextInt(this.#minLength, most);
    return valueOf(Array.from({ length }, () => this.#item.generate(random, bias)));
  }

  canShrinkWithoutContext(_value: unknown): _value is readonly T[] {
    return false;
  }

  shrink(_value: readonly T[], context: unknown): fc.Stream<fc.Value<readonly T[]>> {
    return fc.stream(this.#smaller(context as readonly fc.Value<T>[]));
  }

  *#smaller(items: readonly fc.Value<T>[]): IterableIterator<fc.Value<readonly T[]>> {
    const { length } = items;
    if (length > this.#minLength) yield valueOf(items.slice(0, this.#minLength));
    for (let parts = 2; parts <= MOST_PARTS && parts < 2 * length; parts *= 2) {
      const size = Math.ceil(length / parts);
      if (length - size < this.#minLength) continue;
      for (let at = 0; at < length; at += size) yield valueOf([...items.slice(0, at), ...items.slice(at + size)]);
    }
    for (const [at, item] of items.entries()) {
      for (const smaller of this.#item.shrink(item.value, item.context)) yield valueOf(items.with(at, smaller));
    }
  }
}

function valueOf<T>(items: readonly fc.Value<T>[]): fc.Value<readonly T[]> {
  return new fc.Value(
    items.map((item) => item.value),
    items,
  );
}
