import { describe, expect, test } from 'vitest';
import { intents } from 'drover/coordination';
import type { Place } from 'drover/coordination';
import { World } from './world.ts';

const ttlMs = 1_000;

describe('a gate', () => {
  test('lets so many through at a time, first come, first served', async () => {
    const world = await new World().open();
    const order: number[] = [];
    let inside = 0;
    let most = 0;
    const all = Array.from({ length: 9 }, async (_, at) => {
      const { store, options } = world.process();
      await intents(store, options).through(
        'wake',
        async () => {
          order.push(at);
          inside += 1;
          most = Math.max(most, inside);
          await new Promise<void>((resolve) => world.clock.wakeAt(world.nowMs + 700, resolve));
          inside -= 1;
        },
        { most: 3, ttlMs },
      );
    });
    await world.drive(Promise.all(all));
    expect(most).toBe(3);
    expect(order.slice(0, 3).toSorted()).toEqual([0, 1, 2]);
    expect(order.slice(3, 6).toSorted()).toEqual([3, 4, 5]);
    expect(world.clock.pending).toBe(0);
  });

  test('forgets who died, inside or waiting', async () => {
    const world = await new World().open();
    const [one, two, three] = [world.process(), world.process(), world.process()];
    const beganMs = world.nowMs;
    await intents(one.store, one.options).enter('wake', { ttlMs });
    void intents(two.store, two.options).enter('wake', { ttlMs });
    await world.advance(1);
    one.die();
    two.die();
    const place = await world.drive(intents(three.store, three.options).enter('wake', { ttlMs }));
    expect(world.nowMs - beganMs).toBeLessThanOrEqual(1.3 * ttlMs);
    await world.advance(5 * ttlMs);
    expect(place.isHeld).toBe(true);
    await world.drive(place.leave());
  });

  test('tells who stood still inside for too long that the place is gone', async () => {
    const world = await new World().open();
    const [one, two] = [world.process(), world.process()];
    const place: Place = await intents(one.store, one.options).enter('wake', { ttlMs });
    one.stop();
    const next = await world.drive(intents(two.store, two.options).enter('wake', { ttlMs }));
    one.goOn();
    expect(place.isHeld).toBe(false);
    expect(place.signal.reason).toMatchObject({ code: 'DROVER_LEASE_LOST', detail: { name: 'wake', why: 'expired' } });
    await world.drive(next.leave());
  });

  test('that is full refuses after waitMs, and forgets who gave up', async () => {
    const world = await new World().open();
    const [one, two] = [world.process(), world.process()];
    const place = await intents(one.store, one.options).enter('wake', { ttlMs });
    const refused = { code: 'DROVER_GATE_FULL', detail: { name: 'wake', ahead: 1 } };
    expect(await world.rejection(intents(two.store, two.options).enter('wake', { ttlMs, waitMs: 0 }))).toMatchObject(refused);
    expect(await world.rejection(intents(two.store, two.options).enter('wake', { ttlMs, waitMs: 300 }))).toMatchObject(refused);
    await world.drive(place.leave());
    const again = await world.drive(intents(one.store, one.options).enter('wake', { ttlMs, waitMs: 0 }));
    await world.drive(again.leave());
    const wrong = intents(one.store, one.options).enter('wake', { most: 0 });
    expect(await world.rejection(wrong)).toMatchObject({ code: 'DROVER_COORDINATION_OPTION', detail: { option: 'most' } });
  });
});
