/**
 * DueHeap: retrying and parked tasks by the time when they come due. Each task knows its place in
 * the heap (`slot`), so one that a child wakes early leaves at once and nothing stale is kept.
 */
import type { MemoryTask } from './memory-task.ts';

/** A binary heap by `untilMs`. */
export class DueHeap {
  readonly #heap: MemoryTask[] = [];

  /** When the next one comes due, null when there is none. */
  get nextAtMs(): number | null {
    return this.#heap.length === 0 ? null : this.#heap[0]!.untilMs;
  }

  /** Adds a task with the `untilMs` that it has now, and keeps until it leaves. */
  add(task: MemoryTask): void {
    this.#heap.push(task);
    this.#up(this.#heap.length - 1, task);
  }

  remove(task: MemoryTask): void {
    const heap = this.#heap;
    const at = task.slot;
    const last = heap.pop()!;
    task.slot = -1;
    if (last === task) return;
    this.#up(at, last);
    this.#down(last.slot, last);
  }

  /** Takes out one that is due. */
  popDue(nowMs: number): MemoryTask | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.untilMs > nowMs) return undefined;
    this.remove(first);
    return first;
  }

  #up(from: number, task: MemoryTask): void {
    const heap = this.#heap;
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (heap[above]!.untilMs <= task.untilMs) break;
      this.#put(at, heap[above]!);
      at = above;
    }
    this.#put(at, task);
  }

  #down(from: number, task: MemoryTask): void {
    const heap = this.#heap;
    let at = from;
    for (;;) {
      let below = at * 2 + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && heap[below + 1]!.untilMs < heap[below]!.untilMs) below += 1;
      if (heap[below]!.untilMs >= task.untilMs) break;
      this.#put(at, heap[below]!);
      at = below;
    }
    this.#put(at, task);
  }

  #put(at: number, task: MemoryTask): void {
    this.#heap[at] = task;
    task.slot = at;
  }
}
