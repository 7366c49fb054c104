/** Pollers: nodes that look into one list of what is open, each for itself, and mark what is done at the end. No lease says who is at it. */
import type { Random } from '../actors/kernel/random.ts';
import { NODES, WORKERS } from './chaos80-scene.ts';
import type { Item } from './chaos80-scene.ts';
import type { World } from './chaos80-world.ts';

/** `select ... where status = 'open' limit 200`, shuffled, so that not everybody takes the same. */
const LOOKS_AT = 200;
const EVERY_MS = 500;
/** What a node has under way: enough for its part of the workers, and a few that wait. */
const UNDER_WAY = WORKERS / NODES + 5;

/** The list of what is open. */
export class OpenList {
  readonly #open: Map<number, Item>;

  constructor(items: readonly Item[]) {
    this.#open = new Map(items.map((item) => [item.at, item]));
  }

  /** One of the first that are open and not taken by whoever asks. */
  pick(isMine: (item: number) => boolean, random: Random): Item | undefined {
    const seen: Item[] = [];
    for (const item of this.#open.values()) {
      if (seen.length === LOOKS_AT) break;
      if (!isMine(item.at)) seen.push(item);
    }
    return seen.length === 0 ? undefined : seen[random.int(seen.length)];
  }

  mark(item: number): void {
    this.#open.delete(item);
  }
}

export class Pollers {
  readonly #world: World;
  readonly #submit: (item: Item, id: string) => void;
  readonly #list: OpenList;
  readonly #random: Random;
  /** What each node has under way. */
  readonly #nodes = Array.from({ length: NODES }, () => new Map<number, Item>());
  #isStopped = false;

  constructor(world: World, submit: (item: Item, id: string) => void) {
    this.#world = world;
    this.#submit = submit;
    this.#list = new OpenList(world.scene.items);
    this.#random = world.random.fork('pollers');
  }

  start(): void {
    for (const node of this.#nodes.keys()) this.#poll(node);
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** The fleet is another process: what was under way is handed in again, under the same names. */
  again(): void {
    for (const [node, mine] of this.#nodes.entries()) for (const item of mine.values()) this.#submit(item, `t${item.at}@${node}`);
  }

  /** A task has ended; `id` says whose it was. */
  done(id: string, isWell: boolean): void {
    const item = Number.parseInt(id.slice(1), 10);
    this.#nodes[Number(id.slice(id.indexOf('@') + 1))]!.delete(item);
    this.#list.mark(item);
    if (isWell) this.#world.ledger.completed(item);
    else this.#world.ledger.givenUp(item);
  }

  #poll(node: number): void {
    if (this.#isStopped) return;
    const mine = this.#nodes[node]!;
    while (mine.size < UNDER_WAY) {
      const item = this.#list.pick((at) => mine.has(at), this.#random);
      if (item === undefined) break;
      mine.set(item.at, item);
      this.#submit(item, `t${item.at}@${node}`);
    }
    this.#world.clock.wakeAt(this.#world.clock.nowMs() + EVERY_MS, () => this.#poll(node));
  }
}
