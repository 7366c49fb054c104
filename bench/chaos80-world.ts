/** World: one play's clock, provider and ledger, and whoever lets its time pass. */
import { setImmediate } from 'node:timers/promises';
import { seededRandom } from '../actors/kernel/random.ts';
import type { Random } from '../actors/kernel/random.ts';
import { VirtualClock } from '../src/testing/virtual-clock.ts';
import { Ledger, PlainTable } from './chaos80-ledger.ts';
import { Provider } from './chaos80-provider.ts';
import { BAD_FROM_MS, RESTARTS_MS, sceneOf, START_MS } from './chaos80-scene.ts';
import type { Play, Scene } from './chaos80-scene.ts';

/** Something that goes wrong at a time. */
export type Trouble = { readonly atMs: number } & ({ readonly what: 'restart' } | { readonly what: 'crash'; readonly worker: number });

export class World {
  readonly play: Play;
  readonly scene: Scene;
  readonly clock = new VirtualClock(START_MS);
  readonly ledger: Ledger;
  readonly provider: Provider;
  /** The records of a fleet without versions. */
  readonly table: PlainTable;
  readonly random: Random;
  /** Messages that are under way in a fleet. */
  pending: () => number = () => 0;

  constructor(play: Play) {
    this.play = play;
    this.scene = sceneOf(play.seed);
    this.ledger = new Ledger(this.scene, () => this.clock.nowMs());
    this.provider = new Provider(this.scene.items, this.clock, play);
    this.table = new PlainTable(this.ledger);
    this.random = seededRandom(`chaos80 world ${play.seed}`);
  }

  /** In order of time. */
  get troubles(): readonly Trouble[] {
    if (this.play.troubles === 'healthy') return [];
    const restarts = RESTARTS_MS.map((atMs): Trouble => ({ atMs, what: 'restart' }));
    const crashes = this.scene.crashes.map((crash): Trouble => ({ ...crash, what: 'crash' }));
    return [...restarts, ...crashes].toSorted((a, b) => a.atMs - b.atMs);
  }

  isBad(worker: number | undefined): boolean {
    return this.play.troubles === 'chaos' && worker === this.scene.badWorker && this.ledger.sinceMs >= BAD_FROM_MS;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.wakeAt(this.clock.nowMs() + ms, resolve));
  }

  /** Lets time pass until it holds, or until then. */
  async until(isOver: () => boolean, untilMs = Infinity): Promise<void> {
    await this.#settle();
    while (!isOver()) {
      const dueMs = this.clock.nextDueMs;
      if (dueMs === undefined || dueMs > START_MS + untilMs) break;
      this.clock.advanceTo(Math.max(dueMs, this.clock.nowMs()));
      await this.#settle();
    }
    if (!isOver() && untilMs !== Infinity) this.clock.advanceTo(Math.max(this.clock.nowMs(), START_MS + untilMs));
  }

  /** Lets time pass until the promise has settled. */
  async drive<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const over = (): void => {
      settled = true;
    };
    promise.then(over, over);
    await this.until(() => settled);
    return promise;
  }

  async #settle(): Promise<void> {
    do await setImmediate();
    while (this.pending() > 0);
  }
}
