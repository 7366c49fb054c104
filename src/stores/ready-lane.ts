/**
 * ReadyLane: tasks by rank, then by arrival. What comes in order costs a push; what comes out of order
 * (a release, a more urgent one) goes to a heap. Each task knows its place (`slot`), so any of
 * them can leave: at or above 0 it is one of the heap, below it is counted from the first push on.
 */
import type { MemoryTask } from './memory-task.ts';

/** Above this many taken places the front of the array is cut off. */
const KEPT_PLACES = 1_024;

export class ReadyLane {
  /** From `#head` on; before it, and where one has left, nothing. Its last place is taken. */
  #inOrder: (MemoryTask | undefined)[] = [];
  #head = 0;
  /** Places that were cut off. */
  #cut = 0;
  /** A binary heap. */
  readonly #late: MemoryTask[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(task: MemoryTask): void {
    this.#size += 1;
    const inOrder = this.#inOrder;
    const newest = inOrder[inOrder.length - 1];
    if (newest === undefined || isBefore(newest, task)) {
      task.slot = -2 - (this.#cut + inOrder.length);
      inOrder.push(task);
    } else {
      this.#late.push(task);
      this.#up(this.#late.length - 1, task);
    }
  }

  /** The one that goes next. */
  peek(): MemoryTask | undefined {
    const next = this.#next();
    const late = this.#late[0];
    return late !== undefined && (next === undefined || isBefore(late, next)) ? late : next;
  }

  pop(): MemoryTask | undefined {
    const task = this.peek();
    if (task !== undefined) this.remove(task);
    return task;
  }

  /** One that is in here. */
  remove(task: MemoryTask): void {
    this.#size -= 1;
    if (task.slot >= 0) this.#removeLate(task);
    else this.#removeInOrder(-2 - task.slot - this.#cut);
    task.slot = -1;
  }

  #next(): MemoryTask | undefined {
    const inOrder = this.#inOrder;
    while (this.#head < inOrder.length && inOrder[this.#head] === undefined) this.#head += 1;
    return inOrder[this.#head];
  }

  #removeInOrder(at: number): void {
    const inOrder = this.#inOrder;
    inOrder[at] = undefined;
    if (at === this.#head) this.#head += 1;
    if (at === inOrder.length - 1) while (inOrder.length > this.#head && inOrder[inOrder.length - 1] === undefined) inOrder.pop();
    if (this.#head >= inOrder.length) this.#cutTo(inOrder.length);
    else if (this.#head > KEPT_PLACES && this.#head * 2 > inOrder.length) this.#cutTo(this.#head);
  }

  #cutTo(head: number): void {
    this.#inOrder = this.#inOrder.slice(head);
    this.#cut += head;
    this.#head = 0;
  }

  #removeLate(task: MemoryTask): void {
    const heap = this.#late;
    const at = task.slot;
    const last = heap.pop()!;
    if (last === task) return;
    this.#up(at, last);
    this.#down(last.slot, last);
  }

  #up(from: number, task: MemoryTask): void {
    const heap = this.#late;
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (isBefore(heap[above]!, task)) break;
      this.#put(at, heap[above]!);
      at = above;
    }
    this.#put(at, task);
  }

  #down(from: number, task: MemoryTask): void {
    const heap = this.#late;
    let at = from;
    for (;;) {
      let below = at * 2 + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below += 1;
      if (isBefore(task, heap[below]!)) break;
      this.#put(at, heap[below]!);
      at = below;
    }
    this.#put(at, task);
  }

  #put(at: number, task: MemoryTask): void {
    this.#late[at] = task;
    task.slot = at;
  }
}

function isBefore(a: MemoryTask, b: MemoryTask): boolean {
  return a.rank === b.rank ? a.seq < b.seq : a.rank < b.rank;
}
