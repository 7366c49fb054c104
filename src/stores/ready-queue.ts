/**
 * ReadyQueue: the claimable tasks of one kind, best first: resumed ones; then the tenants take turns;
 * within a tenant by rank, then by arrival. While there is only one tenant, nobody keeps turns.
 */
import type { MemoryTask } from './memory-task.ts';
import { ReadyLane } from './ready-lane.ts';
import { TenantTurns } from './tenant-turns.ts';

/** What one tenant has. */
interface Lanes {
  readonly tenant: string;
  readonly resumed: ReadyLane;
  readonly new: ReadyLane;
}

/** Of one kind, or of one box of it. */
export class ReadyQueue {
  /** Those with something, and the one that had something last. */
  readonly #tenants = new Map<string, Lanes>();
  /** The only one in `#tenants`. */
  #only: Lanes | undefined;
  /** From when a second tenant comes until nobody has anything. */
  #turns: TenantTurns | undefined;
  #weights: ReadonlyMap<string, number> = new Map();

  set weights(weights: ReadonlyMap<string, number>) {
    this.#weights = weights;
    if (this.#turns !== undefined) this.#turns.weights = weights;
  }

  /** With the rank and `resumed` that it has now, and keeps until it leaves. */
  push(task: MemoryTask): void {
    const lanes = this.#lanesOf(task);
    const lane = task.resumed ? lanes.resumed : lanes.new;
    lane.push(task);
    if (lane.size === 1) this.#turns?.enter(lanes.tenant, task.resumed ? 'resumed' : 'new');
  }

  /** Takes the best one out. */
  pop(): MemoryTask | undefined {
    const only = this.#only;
    if (only !== undefined) return only.resumed.pop() ?? only.new.pop();
    const turns = this.#turns;
    if (turns === undefined) return undefined;
    const band = turns.next('resumed') === undefined ? 'new' : 'resumed';
    const tenant = turns.next(band);
    if (tenant === undefined) return undefined;
    const task = this.#tenants.get(tenant)![band].peek()!;
    turns.charge(tenant);
    this.remove(task);
    return task;
  }

  /** One that is in here. */
  remove(task: MemoryTask): void {
    const lanes = this.#lanesOf(task);
    const lane = task.resumed ? lanes.resumed : lanes.new;
    lane.remove(task);
    if (lane.size > 0 || this.#turns === undefined) return;
    this.#turns.leave(lanes.tenant, task.resumed ? 'resumed' : 'new');
    if (lanes.resumed.size > 0 || lanes.new.size > 0) return;
    this.#tenants.delete(lanes.tenant);
    if (this.#tenants.size === 0) this.#turns = undefined;
  }

  #lanesOf({ tenant }: MemoryTask): Lanes {
    const name = tenant ?? '';
    if (this.#only?.tenant === name) return this.#only;
    let lanes = this.#tenants.get(name);
    if (lanes === undefined) {
      lanes = { tenant: name, resumed: new ReadyLane(), new: new ReadyLane() };
      this.#admit(lanes);
    }
    return lanes;
  }

  #admit(lanes: Lanes): void {
    const only = this.#only;
    if (only !== undefined && only.resumed.size === 0 && only.new.size === 0) {
      this.#tenants.delete(only.tenant);
      this.#only = undefined;
    }
    if (this.#tenants.size === 0) this.#only = lanes;
    else if (this.#only !== undefined) {
      const { tenant, resumed, new: fresh } = this.#only;
      this.#only = undefined;
      this.#turns = new TenantTurns(this.#weights);
      if (resumed.size > 0) this.#turns.enter(tenant, 'resumed');
      if (fresh.size > 0) this.#turns.enter(tenant, 'new');
    }
    this.#tenants.set(lanes.tenant, lanes);
  }
}
