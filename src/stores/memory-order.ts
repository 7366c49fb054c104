/**
 * OrderLine: the unfinished tasks with one order key. The oldest of them goes, and nobody else while
 * somebody is under lease. Those that are parked for what a younger one may bring stand aside.
 */
import { IndexedHeap } from './indexed-heap.ts';
import type { MemoryTask } from './memory-task.ts';

/** Whoever is parked for one of these lets the next one by. */
const STANDS_ASIDE: ReadonlySet<string | null> = new Set(['child', 'event', 'approval']);

export class OrderLine {
  readonly key: string;
  /** The run that has one of them under lease. */
  held: MemoryTask | undefined;
  /** The one that can be claimed. */
  queued: MemoryTask | undefined;
  /** Those that are unfinished. */
  size = 0;
  /** Those that do not stand aside. */
  readonly #standing = new IndexedHeap<MemoryTask>(({ seq: a }, { seq: b }) => a < b);
  /** Priorities of those behind, by arrival, each lower than the one before it. */
  #behind: { readonly seq: number; readonly priority: number }[] = [];

  constructor(key: string) {
    this.key = key;
  }

  /** The oldest one that does not stand aside. */
  get first(): MemoryTask | undefined {
    return this.#standing.first;
  }

  /** It stands in line, or aside, as its status says now. */
  place(task: MemoryTask): void {
    if (task.status === 'parked' && STANDS_ASIDE.has(task.parkedFor)) this.#standing.remove(task);
    else if (!this.#standing.has(task)) this.#standing.add(task);
  }

  leave(task: MemoryTask): void {
    this.#standing.remove(task);
    if (this.queued === task) this.queued = undefined;
    this.size -= 1;
  }

  /** Whether it may be queued now. */
  mayGo(task: MemoryTask): boolean {
    return (this.held === undefined || this.held === task) && this.first === task;
  }

  /** It waits behind others: whoever goes first inherits its priority. */
  press({ seq, priority }: MemoryTask): void {
    const behind = this.#behind;
    while (behind.length > 0 && behind[behind.length - 1]!.priority <= priority) behind.pop();
    behind.push({ seq, priority });
  }

  /** The highest priority of those that arrived after `seq` and waited here. */
  pressureOn(seq: number): number {
    const passed = this.#behind.findIndex((one) => one.seq > seq);
    if (passed > 0) this.#behind = this.#behind.slice(passed);
    else if (passed < 0) this.#behind = [];
    return this.#behind.length === 0 ? -Infinity : this.#behind[0]!.priority;
  }
}

/** The lines of one store. */
export class OrderLines {
  readonly #lines = new Map<string, OrderLine>();

  /** The line that a new task stands in; undefined when an ancestor has the key already: it runs on its behalf. */
  lineFor(key: string, parent: MemoryTask | undefined): OrderLine | undefined {
    for (let above = parent; above !== undefined; above = above.parent) if (above.more?.orderKey === key) return undefined;
    let line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, (line = new OrderLine(key)));
    return line;
  }

  /** Nobody is in it any more. */
  drop({ key }: OrderLine): void {
    this.#lines.delete(key);
  }
}
