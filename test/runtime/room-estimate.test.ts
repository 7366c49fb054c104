import { expect, test } from 'vitest';
import { setImmediate } from 'node:timers/promises';
import { LATEST_MS, RoomEstimate, SOONEST_MS } from '../../src/runtime/room-estimate.ts';

/** A full store of one kind, which makes room for so many a second, taken at once by somebody else. */
class FullStore {
  readonly room: RoomEstimate;
  nowMs = 1_750_000_000_000;
  perSecond: number;
  readonly #unfinished: number;

  constructor(unfinished: number, perSecond: number) {
    this.#unfinished = unfinished;
    this.perSecond = perSecond;
    const counts = { queued: unfinished, leased: 0, running: 0, retrying: 0, parked: 0, completed: 0, failed: 0, dead: 0, cancelled: 0 };
    this.room = new RoomEstimate(async () => ({ work: counts }));
  }

  refuse(): number {
    return this.room.retryAfterMs(this.nowMs, 'work');
  }

  get drainMs(): number {
    return (this.#unfinished / this.perSecond) * 1_000;
  }

  /** Each second so many are refused, who all come again whatever they are told; gives what they are told. */
  async pass(seconds: number, refusals: number): Promise<readonly number[]> {
    const told: number[] = [];
    for (let second = 0; second < seconds; second += 1) {
      for (let n = 0; n < refusals; n += 1) told.push(this.refuse());
      await setImmediate();
      for (let n = 0; n < this.perSecond; n += 1) this.room.accepted('work');
      this.nowMs += 1_000;
    }
    return told;
  }
}

test('whoever does not wait as told does not put off those who come later: nobody is told more than the queue takes to drain', async () => {
  const store = new FullStore(200, 400);
  await store.pass(3, 1);
  for (const told of await store.pass(20, 5_000)) {
    expect(told).toBeLessThanOrEqual(store.drainMs);
    expect(told).toBeGreaterThanOrEqual(SOONEST_MS);
  }
});

test('what was promised at a slow pace does not stand when the pace has grown', async () => {
  const store = new FullStore(100, 0);
  expect((await store.pass(40, 10)).at(-1)).toBe(LATEST_MS);
  store.perSecond = 100;
  // The samples of the slow time are forgotten.
  await store.pass(31, 1);
  expect(store.refuse()).toBeLessThanOrEqual(store.drainMs);
});

test('a herd that is refused at once comes back spread over the time that the queue takes, also when it is larger than that', async () => {
  const store = new FullStore(50, 10);
  await store.pass(3, 1);
  store.nowMs += 5_000;
  const told = Array.from({ length: 500 }, () => store.refuse());
  const perSecond = Array.from({ length: 5 }, (_, at) => told.filter((ms) => ms > at * 1_000 && ms <= (at + 1) * 1_000).length);
  expect(perSecond.reduce((sum, count) => sum + count)).toBe(500);
  for (const count of perSecond) {
    expect(count).toBeGreaterThanOrEqual(90);
    expect(count).toBeLessThanOrEqual(110);
  }
});

test('a promise whose time has passed is forgotten', async () => {
  const store = new FullStore(50, 10);
  await store.pass(3, 1);
  store.nowMs += 5_000;
  expect(store.refuse()).toBe(100);
  expect(store.refuse()).toBe(200);
  store.nowMs += 200;
  expect(store.refuse()).toBe(100);
});
