/**
 * A world in virtual time with one store and several processes that share it. A process can stand still (nothing of it
 * moves, time goes on), be cut off (what it asks is never answered), or have its commands delayed.
 */
import { setImmediate } from 'node:timers/promises';
import type { CancelWake, Clock } from '../../actors/kernel/clock.ts';
import { countingIds } from '../../actors/kernel/ids.ts';
import { seededRandom } from '../../actors/kernel/random.ts';
import type { Store } from '../../actors/ports/store.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const START_MS = 1_750_000_000_000;

export type LeaseCommand = 'takeLeases' | 'renewLeases' | 'releaseLeases' | 'readLeases' | 'registerIntents' | 'withdrawIntents';

export interface Process {
  readonly options: { readonly clock: Clock; readonly random: ReturnType<typeof seededRandom>; readonly ids: () => string };
  readonly store: Pick<Store, LeaseCommand>;
  /** Virtual ms that a command takes there and back; a rejection instead of an answer. Both may be changed. */
  way: (command: LeaseCommand) => { readonly thereMs?: number; readonly backMs?: number; readonly error?: Error };
  readonly sent: LeaseCommand[];
  stop(): void;
  goOn(): void;
  /** From now on nobody hears of it. */
  die(): void;
}

export class World {
  readonly clock = new VirtualClock(START_MS);
  readonly store = memoryStore();
  readonly seed: number;
  #processes = 0;

  constructor(seed = 1) {
    this.seed = seed;
  }

  get nowMs(): number {
    return this.clock.nowMs();
  }

  async open(): Promise<this> {
    await this.store.open({ nowMs: this.nowMs, maxUnfinished: 1_000 });
    return this;
  }

  process(): Process {
    const name = `process-${(this.#processes += 1)}`;
    let isStopped = false;
    let isDead = false;
    const missed: (() => void)[] = [];
    const awake = (): Promise<void> =>
      isDead ? new Promise(() => {}) : isStopped ? new Promise((resolve) => missed.push(resolve)) : Promise.resolve();
    const clock: Clock = {
      nowMs: () => this.nowMs,
      wakeAt: (atMs, fire): CancelWake => {
        let isCancelled = false;
        const cancel = this.clock.wakeAt(atMs, () => void awake().then(() => (isCancelled ? undefined : fire())));
        return () => {
          isCancelled = true;
          cancel();
        };
      },
    };
    const carry = <A extends unknown[], R>(command: LeaseCommand, perform: (...args: A) => Promise<R>) => {
      return async (...args: A): Promise<R> => {
        process.sent.push(command);
        const { thereMs = 0, backMs = 0, error } = process.way(command);
        if (thereMs > 0) await this.#pass(thereMs);
        if (isDead) await awake();
        if (error !== undefined) throw error;
        const reply = await perform(...args);
        if (backMs > 0) await this.#pass(backMs);
        await awake();
        return reply;
      };
    };
    const { store } = this;
    const process: Process = {
      options: { clock, random: seededRandom(`${this.seed}/${name}`), ids: countingIds(name) },
      store: {
        takeLeases: carry('takeLeases', store.takeLeases.bind(store)),
        renewLeases: carry('renewLeases', store.renewLeases.bind(store)),
        releaseLeases: carry('releaseLeases', store.releaseLeases.bind(store)),
        readLeases: carry('readLeases', store.readLeases.bind(store)),
        registerIntents: carry('registerIntents', store.registerIntents.bind(store)),
        withdrawIntents: carry('withdrawIntents', store.withdrawIntents.bind(store)),
      },
      way: () => ({}),
      sent: [],
      stop: () => (isStopped = true),
      goOn: () => {
        isStopped = false;
        for (const resolve of missed.splice(0)) resolve();
      },
      die: () => (isDead = true),
    };
    return process;
  }

  /** Everything that goes on without time passing. */
  async settle(): Promise<void> {
    for (let round = 0; round < 3; round += 1) await setImmediate();
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    await this.settle();
    for (let dueMs = this.clock.nextDueMs; dueMs !== undefined && dueMs <= untilMs; dueMs = this.clock.nextDueMs) {
      this.clock.fireNext();
      await this.settle();
    }
    this.clock.advanceTo(Math.max(untilMs, this.nowMs));
  }

  /** Lets time pass until the promise has settled. */
  async drive<T>(promise: Promise<T>, withinMs = 3_600_000): Promise<T> {
    const state = { isSettled: false };
    const over = (): void => {
      state.isSettled = true;
    };
    promise.then(over, over);
    const limitMs = this.nowMs + withinMs;
    await this.settle();
    while (!state.isSettled) {
      const dueMs = this.clock.nextDueMs;
      if (dueMs === undefined || dueMs > limitMs) throw new Error(`not within ${withinMs} ms`);
      this.clock.fireNext();
      await this.settle();
    }
    return promise;
  }

  async rejection(promise: Promise<unknown>): Promise<{ readonly code?: string; readonly detail?: unknown }> {
    const caught = promise.then(
      (value) => {
        throw new Error(`expected a rejection, got ${String(value)}`);
      },
      (error: unknown) => error as object,
    );
    return this.drive(caught);
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.wakeAt(this.nowMs + ms, resolve));
  }
}
