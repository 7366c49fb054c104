import { describe, expect, test } from 'vitest';
import { intents, leader, locks } from 'drover/coordination';
import { StoreFailedError } from 'drover';
import { World } from './world.ts';

const ttlMs = 1_000;
const passing = new StoreFailedError({ store: 'test', command: 'any' });

test('an option that there is not is refused by all that is got from a store', async () => {
  const world = await new World().open();
  const { store, options } = world.process();
  const wrong = { waitMS: 0 } as never;
  const onElected = (): void => {};
  for (const slip of [
    async () => locks(store, options).lock('x', wrong),
    async () => locks(store, options).withLock('x', () => {}, wrong),
    async () => intents(store, options).enter('x', wrong),
    async () => locks(store, wrong),
    async () => intents(store, wrong),
    async () => leader(store, 'x', { onElected, ...(wrong as object) }),
  ])
    expect(await world.rejection(slip())).toMatchObject({ code: 'DROVER_COORDINATION_OPTION', detail: { option: 'waitMS' } });
});

describe('a lock', () => {
  test('is held by one at a time, first come, first served, and each token is greater than the one before', async () => {
    const world = await new World().open();
    const order: string[] = [];
    let inside = 0;
    const works = ['a', 'b', 'c', 'd'].map(async (name) => {
      const { store, options } = world.process();
      return locks(store, options).withLock(
        'report',
        async ({ fence }) => {
          inside += 1;
          expect(inside).toBe(1);
          order.push(name);
          await new Promise<void>((resolve) => world.clock.wakeAt(world.nowMs + 300, resolve));
          inside -= 1;
          return fence;
        },
        { ttlMs },
      );
    });
    const fences = await world.drive(Promise.all(works));
    expect(order).toEqual(['a', 'b', 'c', 'd']);
    expect(fences).toEqual(fences.toSorted((a, b) => a - b));
    expect(new Set(fences).size).toBe(4);
    expect(world.clock.pending).toBe(0);
  });

  test('is kept for as long as its holder lives, by renewal', async () => {
    const world = await new World().open();
    const one = world.process();
    const lock = await locks(one.store, one.options).lock('x', { ttlMs });
    await world.advance(60_000);
    expect(lock.isHeld).toBe(true);
    expect(await locks(one.store, one.options).look('x')).toMatchObject({ name: 'x', fence: lock.fence, waiting: 0 });
    await world.drive(lock.release());
    expect(lock.signal.reason).toMatchObject({ code: 'DROVER_LEASE_LOST', detail: { why: 'released' } });
    expect(await locks(one.store, one.options).look('x')).toBeUndefined();
    expect(world.clock.pending).toBe(0);
  });

  test('goes to the next in line when its holder dies, once its time is over', async () => {
    const world = await new World().open();
    const [one, two] = [world.process(), world.process()];
    await locks(one.store, one.options).lock('x', { ttlMs });
    const beganMs = world.nowMs;
    one.die();
    const next = await world.drive(locks(two.store, two.options).lock('x', { ttlMs }));
    expect(next.isHeld).toBe(true);
    expect(world.nowMs - beganMs).toBeLessThanOrEqual(ttlMs * 1.2);
    await world.drive(next.release());
  });

  test('that somebody else has is refused after waitMs, at once with 0, and the place in line is given up', async () => {
    const world = await new World().open();
    const [one, two] = [world.process(), world.process()];
    const lock = await locks(one.store, one.options).lock('x', { ttlMs });
    const at = locks(two.store, two.options);
    const refused = { code: 'DROVER_LOCK_TAKEN', retryable: true, detail: { name: 'x' } };
    const beganMs = world.nowMs;
    expect(await world.rejection(at.lock('x', { ttlMs, waitMs: 0 }))).toMatchObject(refused);
    expect(world.nowMs).toBe(beganMs);
    expect(await world.rejection(at.lock('x', { ttlMs, waitMs: 500 }))).toMatchObject(refused);
    expect(world.nowMs).toBe(beganMs + 500);
    expect(await at.look('x')).toMatchObject({ waiting: 0 });
    await world.drive(lock.release());
  });

  test('is waited for no longer when the signal aborts', async () => {
    const world = await new World().open();
    const [one, two] = [world.process(), world.process()];
    const lock = await locks(one.store, one.options).lock('x', { ttlMs });
    const controller = new AbortController();
    const waiting = locks(two.store, two.options).lock('x', { ttlMs, signal: controller.signal });
    await world.settle();
    controller.abort(new Error('changed my mind'));
    expect(await world.rejection(waiting)).toMatchObject({ message: 'changed my mind' });
    expect(await locks(two.store, two.options).look('x')).toMatchObject({ waiting: 0 });
    await world.drive(lock.release());
    expect(world.clock.pending).toBe(0);
  });

  test('is asked for again when the store fails, and the same lease is found when the answer alone was lost', async () => {
    const world = await new World().open();
    const one = world.process();
    const { takeLeases } = one.store;
    let tries = 0;
    const store = {
      ...one.store,
      takeLeases: async (...args: Parameters<typeof takeLeases>) => {
        const reply = await takeLeases(...args);
        tries += 1;
        if (tries === 1) throw passing;
        return reply;
      },
    };
    const lock = await world.drive(locks(store, one.options).lock('x', { ttlMs }));
    expect(tries).toBe(2);
    expect((await locks(one.store, one.options).look('x'))?.fence).toBe(lock.fence);
    await world.drive(lock.release());
  });

  test('is held on to over a store that is away for less than its time, and lost when it is away for longer', async () => {
    const world = await new World().open();
    const one = world.process();
    const lock = await locks(one.store, one.options).lock('x', { ttlMs });
    await world.advance(100);
    one.way = () => ({ error: passing });
    await world.advance(600);
    one.way = () => ({});
    await world.advance(5_000);
    expect(lock.isHeld).toBe(true);
    one.way = () => ({ error: passing });
    const lostMs = world.nowMs;
    await world.advance(2_000);
    expect(lock.isHeld).toBe(false);
    expect(lock.signal.reason).toMatchObject({ detail: { why: 'expired' } });
    expect(world.nowMs - lostMs).toBeGreaterThan(ttlMs / 2);
  });

  test('is lost at once when its store has failed for good', async () => {
    const world = await new World().open();
    const one = world.process();
    const lock = await locks(one.store, one.options).lock('x', { ttlMs });
    await world.store.close();
    await world.advance(ttlMs / 2);
    expect(lock.signal.reason).toMatchObject({ detail: { why: 'failed' }, cause: { code: 'DROVER_STORE_CLOSED' } });
  });

  test.each([
    [{ ttlMs: 0 }, 'ttlMs'],
    [{ ttlMs: Number.NaN }, 'ttlMs'],
    [{ waitMs: -1 }, 'waitMs'],
  ])('refuses %o', async (options, option) => {
    const world = await new World().open();
    const one = world.process();
    expect(await world.rejection(locks(one.store, one.options).lock('x', options))).toMatchObject({
      code: 'DROVER_COORDINATION_OPTION',
      detail: { option },
    });
    expect(await world.rejection(locks(one.store, one.options).lock(''))).toMatchObject({ detail: { option: 'name' } });
  });

  test('excludes over any delays, stalls and deaths, as far as its holders look before they act', { timeout: 60_000 }, async () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const world = await new World(seed).open();
      const holders: { readonly isHeld: boolean; readonly fence: number }[] = [];
      let most = 0;
      let entered = 0;
      for (let at = 0; at < 4; at += 1) {
        const process = world.process();
        const random = process.options.random.fork('faults');
        process.way = () => ({ thereMs: random.int(200), backMs: random.int(400), ...(random.next() < 0.1 ? { error: passing } : {}) });
        const work = async (): Promise<void> => {
          for (let round = 0; round < 5; round += 1) {
            await locks(process.store, process.options).withLock(
              'x',
              async (lock) => {
                holders.push(lock);
                entered += 1;
                for (let step = 0; step < 3; step += 1) {
                  await new Promise<void>((resolve) => process.options.clock.wakeAt(world.nowMs + random.int(300), resolve));
                  most = Math.max(most, holders.filter(({ isHeld }) => isHeld).length);
                  if (random.next() < 0.15) {
                    process.stop();
                    world.clock.wakeAt(world.nowMs + random.int(2_500), () => process.goOn());
                  }
                }
              },
              { ttlMs },
            );
          }
        };
        void work();
      }
      await world.advance(120_000);
      expect(most, `seed ${seed}`).toBe(1);
      expect(entered, `seed ${seed}`).toBe(20);
      const fences = holders.map(({ fence }) => fence);
      expect(fences, `seed ${seed}`).toEqual(fences.toSorted((a, b) => a - b));
    }
  });
});

describe('from those who broke locks before', () => {
  test('JEP-06: a lease that ran out a millisecond ago is not renewed, though nobody else took it; taken again it has a greater token', async () => {
    const world = await new World().open();
    const one = world.process();
    const lock = await locks(one.store, one.options).lock('x', { ttlMs });
    one.stop();
    await world.advance(ttlMs + 1);
    const held = { name: 'lock:x', holder: 'process-1-1', fence: lock.fence };
    expect(await world.store.renewLeases([{ ...held, ttlMs }], world.nowMs)).toEqual([false]);
    one.goOn();
    expect(lock.isHeld).toBe(false);
    expect(() => lock.ensureHeld()).toThrow(expect.objectContaining({ code: 'DROVER_LEASE_LOST' }));
    const again = await world.drive(locks(one.store, one.options).lock('x', { ttlMs }));
    expect(again.fence).toBeGreaterThan(lock.fence);
    await world.drive(again.release());
  });

  test('JEP-07: who has lost a lock to another cannot release it', async () => {
    const world = await new World().open();
    const [one, two] = [world.process(), world.process()];
    const lost = await locks(one.store, one.options).lock('x', { ttlMs });
    one.stop();
    const lock = await world.drive(locks(two.store, two.options).lock('x', { ttlMs }));
    one.goOn();
    await world.drive(lost.release());
    expect(await world.store.releaseLeases([{ name: 'lock:x', holder: 'process-1-1', fence: lost.fence }], world.nowMs)).toEqual([false]);
    await world.advance(ttlMs * 3);
    expect(lock.isHeld).toBe(true);
    expect((await locks(two.store, two.options).look('x'))?.fence).toBe(lock.fence);
    await world.drive(lock.release());
  });

  test('JEP-08: a waiter that stood still for too long is passed over, not granted the lock', async () => {
    const world = await new World().open();
    const [one, two, three] = [world.process(), world.process(), world.process()];
    const lock = await locks(one.store, one.options).lock('x', { ttlMs });
    const second = locks(two.store, two.options).lock('x', { ttlMs });
    await world.advance(10);
    const third = locks(three.store, three.options).lock('x', { ttlMs });
    await world.advance(10);
    two.stop();
    await world.advance(2 * ttlMs);
    await world.drive(lock.release());
    const got = await world.drive(third);
    expect(got.isHeld).toBe(true);
    two.goOn();
    await world.advance(ttlMs);
    await world.drive(got.release());
    const late = await world.drive(second);
    expect(late.fence).toBeGreaterThan(got.fence);
    await world.drive(late.release());
  });

  test('JEP-10: a renewal whose answer takes a whole term does not stretch the trust: the lock is lost, and no second renewal is sent', async () => {
    const world = await new World().open();
    const one = world.process();
    const lock = await locks(one.store, one.options).lock('x', { ttlMs });
    one.way = (command) => (command === 'renewLeases' ? { backMs: ttlMs } : {});
    await world.advance(ttlMs - 1);
    expect(lock.isHeld).toBe(true);
    await world.advance(1);
    expect(lock.isHeld).toBe(false);
    expect(lock.signal.reason).toMatchObject({ detail: { why: 'expired' } });
    await world.advance(10 * ttlMs);
    expect(one.sent.filter((command) => command === 'renewLeases')).toHaveLength(1);
  });

  test('after a slow renewal trust ends a term after that was sent, not after it was answered', async () => {
    const world = await new World().open();
    const one = world.process();
    const lock = await locks(one.store, one.options).lock('x', { ttlMs });
    const beganMs = world.nowMs;
    one.way = () => ({ backMs: 400 });
    await world.advance(ttlMs / 3 + 100);
    one.way = () => ({ error: passing });
    await world.advance(beganMs + ttlMs * (4 / 3) - 1 - world.nowMs);
    expect(lock.isHeld).toBe(true);
    await world.advance(2);
    expect(lock.isHeld).toBe(false);
  });

  test('a renewal that is answered only after the old term does not bring the lock back, though no timer has fired', async () => {
    const world = await new World().open();
    const one = world.process();
    const answer = Promise.withResolvers<readonly boolean[]>();
    const lock = await locks({ ...one.store, renewLeases: () => answer.promise }, one.options).lock('x', { ttlMs });
    await world.advance(ttlMs / 2);
    world.clock.stall(ttlMs / 2 + 100);
    answer.resolve([true]);
    await world.settle();
    expect(lock.isHeld).toBe(false);
    await world.advance(0);
  });

  test('B3: after a stall beyond the lease its holder knows before any timer has fired', async () => {
    const world = await new World().open();
    const one = world.process();
    const lock = await locks(one.store, one.options).lock('x', { ttlMs });
    world.clock.stall(ttlMs + 1);
    expect(lock.signal.aborted).toBe(false);
    expect(lock.isHeld).toBe(false);
    expect(lock.signal.aborted).toBe(true);
    await world.advance(0);
  });

  test('a grant whose answer takes longer than the lease is not believed', async () => {
    const world = await new World().open();
    const one = world.process();
    let slow = true;
    one.way = (command) => {
      const isSlow = slow && command === 'takeLeases';
      slow = false;
      return isSlow ? { backMs: ttlMs + 1 } : {};
    };
    const beganMs = world.nowMs;
    const lock = await world.drive(locks(one.store, one.options).lock('x', { ttlMs }));
    expect(world.nowMs).toBeGreaterThan(beganMs + ttlMs);
    expect(lock.fence).toBeGreaterThan(1);
    expect(lock.isHeld).toBe(true);
    await world.drive(lock.release());
  });
});
