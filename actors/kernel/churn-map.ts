/**
 * ChurnMap: a Map for entries that come and go all the time.
 *
 * V8 rebuilds a Map's table when it is full of deleted entries or has become too large, and the old
 * table keeps a pointer to the new one, for iterators. Once the collector has taken one dead table
 * for old, every later one, and all that was in it, survives until the next full collection. So this
 * one moves to a fresh Map before V8 would rebuild: the old table then points nowhere.
 *
 * @see V8, `OrderedHashTable::EnsureCapacityForAdding` and `Shrink`: what `#capacity` follows. Should V8
 * do otherwise, this costs memory and no correctness.
 */
const SMALLEST = 4;

export class ChurnMap<K, V> {
  #map = new Map<K, V>();
  /** Entries of the table, the deleted ones among them. */
  #used = 0;
  #capacity = SMALLEST;

  get size(): number {
    return this.#map.size;
  }

  get(key: K): V | undefined {
    return this.#map.get(key);
  }

  has(key: K): boolean {
    return this.#map.has(key);
  }

  set(key: K, value: V): void {
    const before = this.#map.size;
    if (this.#used === this.#capacity) this.#makeRoom(before);
    this.#map.set(key, value);
    if (this.#map.size > before) this.#used += 1;
  }

  delete(key: K): boolean {
    if (this.#capacity > SMALLEST && this.#map.size * 4 <= this.#capacity) this.#move();
    return this.#map.delete(key);
  }

  clear(): void {
    this.#map = new Map();
    this.#used = 0;
    this.#capacity = SMALLEST;
  }

  keys(): IterableIterator<K> {
    return this.#map.keys();
  }

  values(): IterableIterator<V> {
    return this.#map.values();
  }

  /** V8 doubles a table of mostly living entries; one of mostly deleted ones is what must not be rebuilt. */
  #makeRoom(size: number): void {
    if (size * 2 > this.#capacity) this.#capacity *= 2;
    else this.#move();
  }

  #move(): void {
    const fresh = new Map<K, V>();
    for (const [key, value] of this.#map) fresh.set(key, value);
    this.#map = fresh;
    this.#used = fresh.size;
    this.#capacity = SMALLEST;
    while (this.#capacity < fresh.size) this.#capacity *= 2;
  }
}
