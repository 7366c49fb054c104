/**
 * Records of what may be there or not, such that what does not matter is gone in the smallest failure.
 *
 * A number of fast-check's remembers, while it is shrunk, which smaller ones did not fail. That saves tries,
 * but what did not fail before the schedule was shrunk may well fail after it. Here each round begins
 * anew, at nothing.
 */
import * as fc from 'fast-check';

type Fields<T> = { readonly [P in keyof T]: fc.Arbitrary<T[P]> };

/** With a prototype always: that fast-check's records have none now and then says nothing here, and reads badly. */
export function record<T>(fields: Fields<T>): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true });
}

/** Fields that say nothing (0, false, an empty list or record) are left out. The first thing to shrink to is none at all. */
export function sparse<T>(fields: Fields<T>): fc.Arbitrary<Partial<T>> {
  const some = record(fields).map(
    (all) => Object.fromEntries(Object.entries(all as object).filter(([, value]) => !isNothing(value))) as Partial<T>,
  );
  return new OrNothing(some);
}

/** A whole number from 0, which is 0 half of the time, and shrinks anew in each round. */
export function few(max: number): fc.Arbitrary<number> {
  return new Afresh(fc.integer({ min: -max, max })).map((number) => Math.max(0, number));
}

/** Shrinks as `inner` does at its first time, each time. */
class Afresh<T> extends fc.Arbitrary<T> {
  readonly #inner: fc.Arbitrary<T>;

  constructor(inner: fc.Arbitrary<T>) {
    super();
    this.#inner = inner;
  }

  generate(random: fc.Random, bias: number | undefined): fc.Value<T> {
    return this.#inner.generate(random, bias);
  }

  canShrinkWithoutContext(value: unknown): value is T {
    return this.#inner.canShrinkWithoutContext(value);
  }

  shrink(value: T): fc.Stream<fc.Value<T>> {
    return this.#inner.shrink(value, undefined);
  }
}

/** Tries an empty record first, in each round: of two faults that mask each other neither can be left out alone. */
class OrNothing<T extends object> extends fc.Arbitrary<T> {
  readonly #inner: fc.Arbitrary<T>;

  constructor(inner: fc.Arbitrary<T>) {
    super();
    this.#inner = inner;
  }

  generate(random: fc.Random, bias: number | undefined): fc.Value<T> {
    return this.#inner.generate(random, bias);
  }

  canShrinkWithoutContext(value: unknown): value is T {
    return this.#inner.canShrinkWithoutContext(value);
  }

  shrink(value: T, context: unknown): fc.Stream<fc.Value<T>> {
    if (isNothing(value)) return fc.Stream.nil();
    return fc.Stream.of(new fc.Value({} as T, undefined)).join(this.#inner.shrink(value, context));
  }
}

function isNothing(value: unknown): boolean {
  if (value === 0 || value === false || value === undefined) return true;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
