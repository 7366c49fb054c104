/** MemoryArrivals: the tasks of one memory store in order of arrival, and how those that have ended are forgotten. */
import type { ForgetCommand, ForgetReply } from '../../actors/ports/store.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import type { MemoryTask } from './memory-task.ts';

export class MemoryArrivals {
  #tasks: MemoryTask[] = [];
  /** Of the next one that arrives. */
  nextSeq = 0;
  /** Those before it have been looked at since forgetting began with the oldest. */
  #lookedUntil = 0;

  [Symbol.iterator](): Iterator<MemoryTask> {
    return this.#tasks.values();
  }

  add(task: MemoryTask): void {
    this.#tasks.push(task);
    this.nextSeq = task.seq + 1;
  }

  of(seq: number): MemoryTask {
    return this.#tasks[this.#firstFrom(seq)]!;
  }

  /** From this one on. */
  *from(seq: number): Generator<MemoryTask> {
    for (let at = this.#firstFrom(seq); at < this.#tasks.length; at += 1) yield this.#tasks[at]!;
  }

  /** A new owner begins with the oldest. */
  open(): void {
    this.#lookedUntil = 0;
  }

  forget({ endedByMs, limit }: ForgetCommand, gone: (task: MemoryTask) => void): ForgetReply {
    const latestMs = Math.max(-Infinity, ...Object.values(endedByMs));
    const hasEnded = ({ status, finishedAtMs }: MemoryTask): boolean =>
      isTerminal(status) && finishedAtMs! <= (endedByMs[status] ?? -Infinity);
    const forgotten = new Set<MemoryTask>();
    let looked = 0;
    let more = false;
    for (const task of this.from(this.#lookedUntil)) {
      // Whoever came later has ended later.
      if (task.submittedAtMs > latestMs) break;
      if (looked >= limit) {
        more = true;
        break;
      }
      looked += 1;
      this.#lookedUntil = task.seq + 1;
      if (task.parent !== undefined || !hasEnded(task)) continue;
      const family = [task];
      // It grows while it is gone through.
      for (const member of family) for (const child of member.children ?? []) family.push(child);
      if (family.every(hasEnded)) for (const member of family) forgotten.add(member);
    }
    if (!more) this.#lookedUntil = 0;
    for (const task of forgotten) gone(task);
    if (forgotten.size > 0) this.#tasks = this.#tasks.filter((task) => !forgotten.has(task));
    return { forgotten: forgotten.size, more };
  }

  /** The place of the first with this number or a greater one. */
  #firstFrom(seq: number): number {
    let [from, to] = [0, this.#tasks.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#tasks[middle]!.seq < seq) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
