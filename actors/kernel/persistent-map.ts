/**
 * Persistent map: a map as a value. `with` and `without` give a new map and leave the old one as it
 * was, so that a decision over a hundred thousand children stays a pure function; yet they cost what
 * a native map costs, as long as it is the newest version that is read and changed.
 *
 * All versions share one native map. The version that was used last owns it; every other one knows
 * how it differs from a version nearer to the owner, and takes the map over when somebody reads it.
 * That is slow for an old version, and rare: a state that was replaced is garbage.
 *
 * Keys come in no promised order.
 *
 * @see Baker, "Shallow binding makes functional arrays fast", SIGPLAN Notices 26(8), 1991
 */

/** `map`: this version owns the native map. Otherwise it is as `next`, but for one key. */
type Version<V> = Owner<V> | Other<V>;

interface Owner<V> {
  readonly at: 'owner';
  readonly map: Map<string, V>;
}

interface Other<V> {
  readonly at: 'other';
  readonly next: PersistentMap<V>;
  readonly key: string;
  readonly value: V | undefined;
}

export class PersistentMap<V> {
  #version: Version<V>;

  /** @param entries values are anything but undefined. */
  constructor(entries: Iterable<readonly [string, V]> = [], version: Version<V> = { at: 'owner', map: new Map(entries) }) {
    this.#version = version;
  }

  get size(): number {
    return this.#own().size;
  }

  get(key: string): V | undefined {
    return this.#own().get(key);
  }

  /** This map with `value` under `key`. */
  with(key: string, value: V): PersistentMap<V> {
    return this.#change(key, value);
  }

  /** This map without `key`. */
  without(key: string): PersistentMap<V> {
    return this.get(key) === undefined ? this : this.#change(key, undefined);
  }

  /** A copy. */
  values(): V[] {
    return [...this.#own().values()];
  }

  #change(key: string, value: V | undefined): PersistentMap<V> {
    const map = this.#own();
    const next = new PersistentMap<V>(undefined, this.#version);
    this.#version = { at: 'other', next, key, value: map.get(key) };
    put(map, key, value);
    return next;
  }

  /** Makes this version the owner of the native map. */
  #own(): Map<string, V> {
    if (this.#version.at === 'owner') return this.#version.map;
    // From here to the owner, then back: each takes the map over from the one before, and notes the difference there.
    const path: PersistentMap<V>[] = [this];
    for (let next = this.#version.next; ; next = next.#version.next) {
      path.push(next);
      if (next.#version.at === 'owner') break;
    }
    const owned = path.at(-1)!.#version as Owner<V>;
    for (let at = path.length - 2; at >= 0; at -= 1) {
      const { key, value } = path[at]!.#version as Other<V>;
      path[at + 1]!.#version = { at: 'other', next: path[at]!, key, value: owned.map.get(key) };
      put(owned.map, key, value);
      path[at]!.#version = owned;
    }
    return owned.map;
  }
}

function put<V>(map: Map<string, V>, key: string, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
