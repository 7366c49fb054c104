/**
 * Left aside: what another version of the code has brought, and the present one has not come by. Where a kind goes on over
 * what old code has brought (`onVersionChange: 'replay'`) that is no error: the new code may do without it. But it may have
 * a new name for the same thing, and do it twice: so it is told.
 */
import type { Remembered } from '../../../actors/ports/store.ts';

export class LeftAside {
  /** One that has brought some of it. */
  readonly version: string;
  readonly #places: Set<string>;
  /** The present version has not brought anything yet. */
  #isFirst: boolean;

  private constructor(version: string, places: Set<string>, isFirst: boolean) {
    this.version = version;
    this.#places = places;
    this.#isFirst = isFirst;
  }

  /** Undefined: no other version has brought anything. `placeOf`: as the run names a place, where it is to be come by. */
  static of(
    items: Iterable<Remembered>,
    begun: string,
    present: string,
    placeOf: (stored: string) => string | undefined,
  ): LeftAside | undefined {
    const places = new Set<string>();
    let other: string | undefined;
    let isFirst = true;
    for (const { place, version = begun } of items) {
      // Rows that were read carry no version.
      if (place.startsWith('state:')) continue;
      if (version === present) {
        isFirst = false;
        continue;
      }
      const plain = placeOf(place);
      // To have slept longer does no harm.
      if (plain === undefined || plain.startsWith('sleep')) continue;
      places.add(plain);
      other ??= version;
    }
    return other === undefined ? undefined : new LeftAside(other, places, isFirst);
  }

  /** The run has come by that place. */
  passed(place: string): void {
    this.#places.delete(place);
  }

  /**
   * The run has brought something new at that place: what of the same operation it has not come by, when it is the first that
   * this version brings. It may still come by that: what is new may stand in front of it.
   */
  atNew(place: string): readonly string[] {
    if (!this.#isFirst) return [];
    const operation = operationOf(place);
    const alike = this.atEnd().filter((left) => operationOf(left) === operation);
    if (alike.length > 0) this.#isFirst = false;
    return alike;
  }

  /** What it has not come by. */
  atEnd(): readonly string[] {
    return [...this.#places];
  }
}

function operationOf(place: string): string {
  return /^[a-z]*/.exec(place)![0];
}
