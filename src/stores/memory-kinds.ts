/** MemoryKinds: the kinds of one memory store, each with what may be claimed of it, by everybody or out of a box. */
import { MOST_BEGUN } from '../../actors/ports/store.ts';
import type { KindLimits } from '../../actors/ports/store.ts';
import type { MemoryKind, MemoryTask } from './memory-task.ts';
import { ReadyQueue } from './ready-queue.ts';
import { noCounts } from './task-status.ts';

const NO_LIMITS = { maxUnfinished: Infinity, maxOfTenant: Infinity, weights: new Map<string, number>() };

export class MemoryKinds {
  readonly #kinds = new Map<string, MemoryKind>();
  #mostBegun = MOST_BEGUN;
  #limits: ReadonlyMap<string, KindLimits> = new Map();

  all(): Iterable<MemoryKind> {
    return this.#kinds.values();
  }

  /** Undefined: nobody has submitted anything of it. */
  get(name: string): MemoryKind | undefined {
    return this.#kinds.get(name);
  }

  of(name: string): MemoryKind {
    let kind = this.#kinds.get(name);
    if (kind === undefined) {
      kind = {
        name,
        ready: new ReadyQueue(this.#mostBegun),
        boxes: new Map(),
        counts: noCounts(),
        unfinished: 0,
        ofTenants: new Map(),
        ...NO_LIMITS,
      };
      this.#limit(kind);
      this.#kinds.set(name, kind);
    }
    return kind;
  }

  /** A new owner. What is in boxes may be claimed by everybody again. */
  begin(mostBegun: number): void {
    this.#mostBegun = mostBegun;
    for (const { name, ready, boxes } of this.#kinds.values()) {
      ready.begin(mostBegun);
      for (const box of boxes.keys()) this.unbox(name, box);
    }
  }

  /** In place of the limits before. */
  limit(limits: Readonly<Record<string, KindLimits>>): void {
    this.#limits = new Map(Object.entries(limits));
    for (const kind of this.#kinds.values()) this.#limit(kind);
  }

  /** What is in this box may be claimed by everybody again. */
  unbox(name: string, box: string): void {
    const kind = this.#kinds.get(name);
    const queue = kind?.boxes.get(box);
    if (kind === undefined || queue === undefined) return;
    kind.boxes.delete(box);
    for (let task = queue.pop(); task !== undefined; task = queue.pop()) {
      task.more!.box = undefined;
      kind.ready.push(task);
    }
  }

  /** Where it is while it is queued. */
  queueOf({ kind, more }: MemoryTask): ReadyQueue {
    const box = more?.box;
    if (box === undefined) return kind.ready;
    let queue = kind.boxes.get(box);
    if (queue === undefined) {
      queue = new ReadyQueue(this.#mostBegun);
      queue.weights = kind.weights;
      kind.boxes.set(box, queue);
    }
    return queue;
  }

  #limit(kind: MemoryKind): void {
    const { maxUnfinished = Infinity, maxOfTenant = Infinity, weights = {} } = this.#limits.get(kind.name) ?? {};
    kind.maxUnfinished = maxUnfinished;
    kind.maxOfTenant = maxOfTenant;
    kind.weights = new Map(Object.entries(weights));
    for (const queue of [kind.ready, ...kind.boxes.values()]) queue.weights = kind.weights;
  }
}
