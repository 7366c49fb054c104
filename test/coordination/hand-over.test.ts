/** How fast what is given back goes to the next one who waits in the same process, over the same store object. */
import { describe, expect, test } from 'vitest';
import { intents, leader, locks } from 'drover/coordination';
import { World } from './world.ts';
import type { Process } from './world.ts';

const pass = (world: World, ms: number): Promise<void> => new Promise((resolve) => world.clock.wakeAt(world.nowMs + ms, () => resolve()));

const asked = ({ sent }: Process, command: string): number => sent.filter((each) => each === command).length;

describe('a lock that is released', () => {
  test('goes to the next one who waits in this process without time passing, and nobody else asks for it', async () => {
    const world = await new World().open();
    const one = world.process();
    const at = locks(one.store, one.options);
    const order: number[] = [];
    const beganMs = world.nowMs;
    const all = Array.from({ length: 20 }, (_, n) =>
      at.withLock('x', async () => {
        order.push(n);
        await pass(world, 1);
      }),
    );
    await world.drive(Promise.all(all));
    expect(world.nowMs - beganMs).toBe(20);
    expect(order).toEqual(Array.from({ length: 20 }, (_, n) => n));
    // Each once when it came, and once when it was woken.
    expect(asked(one, 'takeLeases')).toBe(39);
    expect(world.clock.pending).toBe(0);
  });

  test('is told of when the store has it, and not before', async () => {
    const world = await new World().open();
    const one = world.process();
    const at = locks(one.store, one.options);
    const held = await at.lock('x');
    const next = at.lock('x');
    await world.settle();
    one.way = (command) => (command === 'releaseLeases' ? { thereMs: 30 } : {});
    const beganMs = world.nowMs;
    void held.release();
    const lock = await world.drive(next);
    expect(world.nowMs - beganMs).toBe(30);
    expect(asked(one, 'takeLeases')).toBe(3);
    await world.drive(lock.release());
  });

  test('is not missed by who has asked meanwhile, and has no answer yet', async () => {
    const world = await new World().open();
    const one = world.process();
    const at = locks(one.store, one.options);
    const held = await at.lock('x');
    one.way = (command) => (command === 'takeLeases' ? { backMs: 40 } : {});
    const next = at.lock('x');
    await world.settle();
    const beganMs = world.nowMs;
    await held.release();
    const lock = await world.drive(next);
    expect(world.nowMs - beganMs).toBe(80);
    await world.drive(lock.release());
  });

  test('goes past whoever has left the line, by its signal or its waitMs', async () => {
    const world = await new World().open();
    const one = world.process();
    const at = locks(one.store, one.options);
    const held = await at.lock('x');
    const controller = new AbortController();
    const left = [world.rejection(at.lock('x', { signal: controller.signal })), world.rejection(at.lock('x', { waitMs: 50 }))];
    const next = at.lock('x');
    await world.advance(50);
    controller.abort(new Error('changed my mind'));
    await world.settle();
    expect(await Promise.all(left)).toMatchObject([{ message: 'changed my mind' }, { code: 'DROVER_LOCK_TAKEN' }]);
    const beganMs = world.nowMs;
    await held.release();
    const lock = await world.drive(next);
    expect(world.nowMs).toBe(beganMs);
    await world.drive(lock.release());
    expect(world.clock.pending).toBe(0);
  });

  test.each(['woken', 'asking'])('and whose next one leaves when it is %s already, goes to the one behind that', async (when) => {
    const world = await new World().open();
    const one = world.process();
    const at = locks(one.store, one.options);
    const held = await at.lock('x');
    const controller = new AbortController();
    const left = at.lock('x', { signal: controller.signal });
    const next = at.lock('x');
    await world.settle();
    const { takeLeases } = one.store;
    const store: { takeLeases: typeof takeLeases } = one.store;
    // The first question after the release is that of the one who leaves.
    store.takeLeases = async (...args) => {
      store.takeLeases = takeLeases;
      if (when === 'asking') controller.abort(new Error('changed my mind'));
      return takeLeases(...args);
    };
    const beganMs = world.nowMs;
    const released = held.release();
    if (when === 'woken') void released.then(() => controller.abort(new Error('changed my mind')));
    expect(await world.rejection(left)).toMatchObject({ message: 'changed my mind' });
    const lock = await world.drive(next);
    expect(world.nowMs).toBe(beganMs);
    await world.drive(lock.release());
    expect(world.clock.pending).toBe(0);
  });

  test('goes to another process when that stands first, by its own asking; and who was woken here for nothing waits on', async () => {
    const world = await new World().open();
    const [one, two] = [world.process(), world.process()];
    const at = locks(one.store, one.options);
    const held = await at.lock('x');
    const first = locks(two.store, two.options).lock('x');
    await world.settle();
    const second = at.lock('x');
    await world.settle();
    const beganMs = world.nowMs;
    await held.release();
    await world.settle();
    expect(asked(one, 'takeLeases')).toBe(3);
    const lock = await world.drive(first);
    expect(world.nowMs - beganMs).toBeGreaterThan(0);
    expect(world.nowMs - beganMs).toBeLessThanOrEqual(1_000);
    await world.drive(lock.release());
    const last = await world.drive(second);
    expect(last.fence).toBeGreaterThan(lock.fence);
    await world.drive(last.release());
    expect(world.clock.pending).toBe(0);
  });

  test('goes by the order in which they stand in the store, also when they all lost their places to a stall and came back in another', async () => {
    let turned = 0;
    for (let seed = 1; seed <= 10; seed += 1) {
      const world = await new World(seed).open();
      const one = world.process();
      const at = locks(one.store, one.options);
      const held = await at.lock('x', { ttlMs: 60_000 });
      const order: number[] = [];
      const all = [0, 1, 2, 3].map((n) => at.withLock('x', () => order.push(n), { ttlMs: 1_000 }));
      await world.settle();
      world.clock.stall(500);
      await world.advance(100);
      const beganMs = world.nowMs;
      await held.release();
      await world.drive(Promise.all(all));
      expect(world.nowMs, `seed ${seed}`).toBe(beganMs);
      if (order.join() !== '0,1,2,3') turned += 1;
    }
    expect(turned).toBeGreaterThan(0);
  });

  test('by another process, and not taken by the first in line here, who leaves, goes to the one behind that', async () => {
    const world = await new World().open();
    const [one, two] = [world.process(), world.process()];
    const at = locks(one.store, one.options);
    const held = await locks(two.store, two.options).lock('x');
    const controller = new AbortController();
    const left = world.rejection(at.lock('x', { signal: controller.signal }));
    const next = at.lock('x');
    await world.settle();
    const beganMs = world.nowMs;
    await held.release();
    controller.abort(new Error('changed my mind'));
    const lock = await world.drive(next);
    expect(world.nowMs).toBe(beganMs);
    expect(await left).toMatchObject({ message: 'changed my mind' });
    await world.drive(lock.release());
  });

  test('wakes nobody of another name', async () => {
    const world = await new World().open();
    const one = world.process();
    const at = locks(one.store, one.options);
    const [held, other] = [await at.lock('x'), await at.lock('y')];
    const waiting = at.lock('y');
    await world.settle();
    await held.release();
    await world.settle();
    expect(asked(one, 'takeLeases')).toBe(3);
    await other.release();
    await world.drive((await world.drive(waiting)).release());
  });
});

test('a try that does not wait wakes nobody', async () => {
  const world = await new World().open();
  const one = world.process();
  const at = locks(one.store, one.options);
  const held = await at.lock('x');
  const waiting = at.lock('x');
  await world.settle();
  for (let n = 0; n < 10; n += 1) await world.rejection(at.lock('x', { waitMs: 0 }));
  await world.settle();
  expect(asked(one, 'takeLeases')).toBe(12);
  await held.release();
  await world.drive((await world.drive(waiting)).release());
  const gates = intents(one.store, one.options);
  const place = await gates.enter('x');
  const outside = gates.enter('x');
  await world.settle();
  const before = asked(one, 'registerIntents');
  for (let n = 0; n < 10; n += 1) await world.rejection(gates.enter('x', { waitMs: 0 }));
  await world.settle();
  expect(asked(one, 'registerIntents') - before).toBe(10);
  await place.leave();
  await world.drive((await world.drive(outside)).leave());
});

test('an office that is given up has its next leader without time passing', async () => {
  const world = await new World().open();
  const { store, options } = world.process();
  const elected: number[] = [];
  const candidates = [0, 1, 2].map((n) => leader(store, 'office', { ...options, onElected: () => elected.push(n) }));
  await world.settle();
  const beganMs = world.nowMs;
  for (const n of [0, 1, 2]) {
    await candidates[n]!.resign();
    await world.settle();
  }
  expect(elected).toEqual([0, 1, 2, 0]);
  expect(world.nowMs).toBe(beganMs);
  await world.drive(Promise.all(candidates.map((candidate) => candidate.close())));
  expect(world.clock.pending).toBe(0);
});

describe('a gate that is left', () => {
  test.each([1, 2, 5])('by some of %i lets as many in who wait in this process, without time passing', async (most) => {
    const world = await new World().open();
    const one = world.process();
    const at = intents(one.store, one.options);
    const order: number[] = [];
    const beganMs = world.nowMs;
    const all = Array.from({ length: 20 }, (_, n) =>
      at.through(
        'x',
        async () => {
          order.push(n);
          await pass(world, 10);
        },
        { most },
      ),
    );
    await world.drive(Promise.all(all));
    expect(world.nowMs - beganMs).toBe((20 / most) * 10);
    expect(order).toEqual(Array.from({ length: 20 }, (_, n) => n));
    // Each is entered for its whole time as well; those behind the first ones ask once before, too.
    expect(asked(one, 'registerIntents')).toBe(2 * 20 + (20 - most));
    expect(world.clock.pending).toBe(0);
  });

  test('by two at a time wakes two, also when the first of them is still asking', async () => {
    const world = await new World().open();
    const one = world.process();
    const at = intents(one.store, one.options);
    const inside = [await at.enter('x', { most: 2 }), await at.enter('x', { most: 2 })];
    let slow = true;
    one.way = (command) => {
      const backMs = slow && command === 'registerIntents' ? 400 : 0;
      slow = false;
      return { backMs };
    };
    const first = at.enter('x', { most: 2 });
    const second = at.enter('x', { most: 2 });
    await world.settle();
    const beganMs = world.nowMs;
    for (const place of inside) await place.leave();
    await world.drive((await world.drive(second)).leave());
    expect(world.nowMs).toBe(beganMs);
    await world.drive((await world.drive(first)).leave());
    expect(world.nowMs).toBe(beganMs + 400);
  });

  test('and wakes one who has been let in already, though it does not know yet, lets in the one behind that', async () => {
    const world = await new World().open();
    const one = world.process();
    const at = intents(one.store, one.options);
    const inside = [await at.enter('x', { most: 2 }), await at.enter('x', { most: 2 })];
    const first = at.enter('x', { most: 2 });
    const second = at.enter('x', { most: 2 });
    await world.settle();
    one.way = (command) => ({ backMs: command === 'registerIntents' ? 20 : 0 });
    const beganMs = world.nowMs;
    await inside[0]!.leave();
    await world.settle();
    await inside[1]!.leave();
    const places = await world.drive(Promise.all([first, second]));
    // Each asks twice to be let in for the whole time.
    expect(world.nowMs - beganMs).toBe(80);
    await world.drive(Promise.all(places.map((place) => place.leave())));
    expect(world.clock.pending).toBe(0);
  });

  test('goes past whoever has given up, and who gives up when woken passes that on', async () => {
    const world = await new World().open();
    const one = world.process();
    const at = intents(one.store, one.options);
    const held = await at.enter('x');
    const controller = new AbortController();
    const gaveUp = world.rejection(at.enter('x', { waitMs: 50 }));
    const woken = world.rejection(at.enter('x', { signal: controller.signal }));
    const next = at.enter('x');
    await world.advance(50);
    expect(await gaveUp).toMatchObject({ code: 'DROVER_GATE_FULL' });
    const beganMs = world.nowMs;
    void held.leave().then(() => controller.abort(new Error('changed my mind')));
    const place = await world.drive(next);
    expect(await woken).toMatchObject({ message: 'changed my mind' });
    expect(world.nowMs).toBe(beganMs);
    await world.drive(place.leave());
    expect(world.clock.pending).toBe(0);
  });
});
