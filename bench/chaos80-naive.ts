/**
 * Naive: eighty agents as people write them. Four processes of twenty loops look into one list, read a record,
 * call the model, try again after 1, 2, 4 and 8 s whatever went wrong, write the record back, and mark the
 * task done. A loop that crashes is gone until its process is started anew.
 */
import type { Outcome } from './chaos80-ledger.ts';
import type { Reply, Request } from './chaos80-provider.ts';
import { OpenList } from './chaos80-pollers.ts';
import { BAD, NODES, RESTART_TAKES_MS, WORKERS } from './chaos80-scene.ts';
import type { Item } from './chaos80-scene.ts';
import type { World } from './chaos80-world.ts';

const RETRIES_AFTER_MS = [1_000, 2_000, 4_000, 8_000] as const;
const IDLE_MS = 500;
const PER_NODE = WORKERS / NODES;

/** Plays the scene to its end. */
export async function playNaive(world: World): Promise<Outcome> {
  return new NaiveFleet(world).play();
}

class NaiveFleet {
  readonly #world: World;
  readonly #list: OpenList;
  readonly #random;
  readonly #nodes = Array.from({ length: NODES }, () => new Set<number>());
  /** A loop goes on while its life is the latest of its worker. */
  readonly #lives = Array.from({ length: WORKERS }, () => 0);

  constructor(world: World) {
    this.#world = world;
    this.#list = new OpenList(world.scene.items);
    this.#random = world.random.fork('naive');
  }

  async play(): Promise<Outcome> {
    const world = this.#world;
    const { ledger } = world;
    for (let worker = 0; worker < WORKERS; worker += 1) this.#begin(worker);
    for (const [at, trouble] of world.troubles.entries()) {
      if (trouble.atMs > world.play.untilMs) break;
      await world.until(() => ledger.isOver, trouble.atMs);
      if (ledger.isOver) break;
      if (trouble.what === 'crash') this.#crash(trouble.worker);
      else this.#restart(at % NODES);
    }
    await world.until(() => ledger.isOver, world.play.untilMs);
    for (let worker = 0; worker < WORKERS; worker += 1) this.#lives[worker]! += 1;
    return ledger.close(world.table.rows, false, world.provider);
  }

  #begin(worker: number): void {
    this.#world.ledger.came(worker);
    void this.#live(worker, (this.#lives[worker]! += 1));
  }

  #crash(worker: number): void {
    this.#lives[worker]! += 1;
    this.#world.ledger.left(worker);
  }

  #restart(node: number): void {
    const workers = Array.from({ length: PER_NODE }, (_, at) => node * PER_NODE + at);
    for (const worker of workers) this.#lives[worker]! += 1;
    this.#nodes[node]!.clear();
    this.#world.clock.wakeAt(this.#world.clock.nowMs() + RESTART_TAKES_MS, () => {
      for (const worker of workers) this.#begin(worker);
    });
  }

  async #live(worker: number, life: number): Promise<void> {
    const world = this.#world;
    const mine = this.#nodes[Math.floor(worker / PER_NODE)]!;
    const isAlive = (): boolean => this.#lives[worker] === life;
    while (isAlive()) {
      const item = this.#list.pick((at) => mine.has(at), this.#random);
      if (item === undefined) {
        if (world.ledger.isOver) return;
        await world.sleep(IDLE_MS);
        continue;
      }
      mine.add(item.at);
      const isWell = await (world.isBad(worker) ? this.#goBad(isAlive) : this.#work(item, isAlive));
      if (!isAlive()) return;
      mine.delete(item.at);
      this.#list.mark(item.at);
      if (isWell) world.ledger.completed(item.at);
      else world.ledger.givenUp(item.at);
    }
  }

  async #work(item: Item, isAlive: () => boolean): Promise<boolean> {
    const { table } = this.#world;
    const seen = table.read(item.record);
    const reply = await this.#call({ item: item.at }, isAlive);
    if (reply === undefined || !isAlive()) return false;
    table.write(item, seen);
    return true;
  }

  /** It leaves its task for lost. */
  async #goBad(isAlive: () => boolean): Promise<boolean> {
    const { provider } = this.#world;
    const loop = async (): Promise<void> => {
      for (let call = 0; call < BAD.calls && isAlive(); call += 1) await provider.call({ item: null }).catch(() => {});
    };
    await Promise.all(Array.from({ length: BAD.loops }, loop));
    return false;
  }

  async #call(request: Request, isAlive: () => boolean): Promise<Reply | undefined> {
    for (const waitMs of [...RETRIES_AFTER_MS, null]) {
      try {
        return await this.#world.provider.call(request);
      } catch {
        if (waitMs === null || !isAlive()) return undefined;
        await this.#world.sleep(waitMs);
      }
    }
    return undefined;
  }
}
