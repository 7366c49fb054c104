/** Leases: which tasks this node holds, and until when. */
import { ChurnMap } from '../../actors/kernel/churn-map.ts';
import type { ClaimedTask, Held, TaskEvent } from '../../actors/ports/store.ts';
import type { KindPlan } from '../topology/fleet.ts';
import type { Run } from './run.ts';

/** A task that this node holds: in a mailbox, starting, running, or being committed. */
export interface Lease {
  readonly plan: KindPlan;
  readonly task: ClaimedTask;
  untilMs: number;
  run: Run | undefined;
  /** What the task has been told since it was claimed, and before its run began. */
  told: TaskEvent[] | undefined;
  /** Its own, or what it has inherited. */
  priority: number;
  /** The run will not begin: what becomes of the task once its start is answered; `settled`: that is decided already. */
  orphaned: 'lost' | 'released' | 'settled' | undefined;
}

export class Leases {
  readonly #held = new ChurnMap<string, Lease>();

  get size(): number {
    return this.#held.size;
  }

  /** Returns the lease of an earlier claim of the task, where there still is one. */
  add(plan: KindPlan, task: ClaimedTask): Lease | undefined {
    const former = this.#held.get(task.id);
    const { leaseUntilMs: untilMs, priority } = task;
    this.#held.set(task.id, { plan, task, untilMs, run: undefined, told: undefined, priority, orphaned: undefined });
    return former;
  }

  /** The lease of exactly this claim: a later claim of the same task has another fence. */
  get({ id, fence }: Held): Lease | undefined {
    const lease = this.#held.get(id);
    return lease?.task.fence === fence ? lease : undefined;
  }

  /** Under whatever fence. */
  of(id: string): Lease | undefined {
    return this.#held.get(id);
  }

  drop(held: Held): void {
    if (this.get(held) === undefined) return;
    this.#held.delete(held.id);
  }

  [Symbol.iterator](): IterableIterator<Lease> {
    return this.#held.values();
  }
}
