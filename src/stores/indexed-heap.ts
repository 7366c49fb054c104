/** IndexedHeap: a binary heap that knows where each of its items is, so that any of them can leave or sink. */
export class IndexedHeap<T> {
  readonly #goesFirst: (a: T, b: T) => boolean;
  readonly #heap: T[] = [];
  readonly #places = new Map<T, number>();

  /** Of two items at most one goes first. The order of two in the heap changes only through `sink`. */
  constructor(goesFirst: (a: T, b: T) => boolean) {
    this.#goesFirst = goesFirst;
  }

  get first(): T | undefined {
    return this.#heap[0];
  }

  has(item: T): boolean {
    return this.#places.has(item);
  }

  /** Adds one that is not there. */
  add(item: T): void {
    this.#heap.push(item);
    this.#up(this.#heap.length - 1, item);
  }

  /** Whether it was there. */
  remove(item: T): boolean {
    const at = this.#places.get(item);
    if (at === undefined) return false;
    this.#places.delete(item);
    const last = this.#heap.pop()!;
    if (last === item) return true;
    this.#up(at, last);
    this.#down(this.#places.get(last)!, last);
    return true;
  }

  /** It goes later than it did. Whoever is not there is left out. */
  sink(item: T): void {
    const at = this.#places.get(item);
    if (at !== undefined && this.#heap.length > 1) this.#down(at, item);
  }

  #up(from: number, item: T): void {
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#goesFirst(item, this.#heap[above]!)) break;
      this.#put(at, this.#heap[above]!);
      at = above;
    }
    this.#put(at, item);
  }

  #down(from: number, item: T): void {
    const heap = this.#heap;
    let at = from;
    for (;;) {
      let below = at * 2 + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && this.#goesFirst(heap[below + 1]!, heap[below]!)) below += 1;
      if (!this.#goesFirst(heap[below]!, item)) break;
      this.#put(at, heap[below]!);
      at = below;
    }
    this.#put(at, item);
  }

  #put(at: number, item: T): void {
    this.#heap[at] = item;
    this.#places.set(item, at);
  }
}
