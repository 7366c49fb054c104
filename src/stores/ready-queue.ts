/**
 * ReadyQueue: the claimable tasks of one kind, best first: resumed ones, but not for ever; then the tenants take turns;
 * within a tenant by rank, then by arrival. While there is only one tenant, nobody keeps turns.
 */
import type { MemoryTask } from './memory-task.ts';
import { ReadyLane } from './ready-lane.ts';
import { TenantTurns } from './tenant-turns.ts';
import type { Band } from './tenant-turns.ts';

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
  /** Resumed ones that have gone in a row. */
  #inRow = 0;
  #mostBegun: number;

  /** `mostBegun`: as many resumed ones go in a row while something new is here. */
  constructor(mostBegun: number) {
    this.#mostBegun = mostBegun;
  }

  /** Somebody else claims from now on, who knows of none that have gone. */
  begin(mostBegun: number): void {
    this.#mostBegun = mostBegun;
    this.#inRow = 0;
  }

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
    const task = this.#best(this.#inRow >= this.#mostBegun ? 'new' : 'resumed');
    if (task === undefined) return undefined;
    this.#inRow = task.resumed ? this.#inRow + 1 : 0;
    this.#turns?.charge(task.tenant ?? '');
    this.remove(task);
    return task;
  }

  /** `first`: of which is taken first. */
  #best(first: Band): MemoryTask | undefined {
    const second = first === 'new' ? 'resumed' : 'new';
    const only = this.#only;
    if (only !== undefined) return only[first].peek() ?? only[second].peek();
    const band = this.#turns?.next(first) === undefined ? second : first;
    const tenant = this.#turns?.next(band);
    return tenant === undefined ? undefined : this.#tenants.get(tenant)![band].peek();
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
