/** Whoever waits over a store that does not answer is answered in time, and what the store grants later goes back. */
import { describe, expect, test } from 'vitest';
import { intents, leader, locks } from 'drover/coordination';
import { StoreFailedError } from 'drover';
import { World } from './world.ts';
import type { Process } from './world.ts';

const AWAY_MS = 5_000;
const ttlMs = 60_000;
type Got = Promise<{ readonly isHeld: boolean; [Symbol.asyncDispose](): Promise<void> }>;
const wants = {
  lock: ({ store, options }: Process, wait: object): Got => locks(store, options).lock('x', { ttlMs, ...wait }),
  enter: ({ store, options }: Process, wait: object): Got => intents(store, options).enter('x', { ttlMs, ...wait }),
};

describe.each(['lock', 'enter'] as const)('%s, while the store does not answer', (what) => {
  const command = what === 'lock' ? 'takeLeases' : 'registerIntents';
  const away = (process: Process, how: 'thereMs' | 'backMs', ms = AWAY_MS): void => {
    process.way = (asked) => (asked === command ? { [how]: ms } : {});
  };

  test.each([
    [0, 1_000],
    [300, 1_000],
    [2_000, 2_000],
  ])('is refused for waitMs %d after %d ms, and what is granted later goes back at once', async (waitMs, refusedMs) => {
    for (const how of ['thereMs', 'backMs'] as const) {
      const world = await new World().open();
      const [one, two] = [world.process(), world.process()];
      const beganMs = world.nowMs;
      away(one, how);
      expect(await world.rejection(wants[what](one, { waitMs }))).toMatchObject({
        code: 'DROVER_STORE_FAILED',
        message: `store: ${command} failed: no answer within ${refusedMs} ms`,
      });
      expect(world.nowMs - beganMs).toBe(refusedMs);
      await world.advance(beganMs + AWAY_MS - world.nowMs);
      const got = await world.drive(wants[what](two, { waitMs: 0 }));
      expect(got.isHeld).toBe(true);
      await world.drive(got[Symbol.asyncDispose]());
      expect(world.clock.pending).toBe(0);
    }
  });

  test('is over when its signal aborts, and what is granted later goes back at once', async () => {
    for (const how of ['thereMs', 'backMs'] as const) {
      const world = await new World().open();
      const [one, two] = [world.process(), world.process()];
      const controller = new AbortController();
      const beganMs = world.nowMs;
      away(one, how);
      const { signal } = controller;
      const waiting = wants[what](one, { signal }).catch((error: unknown) => error);
      await world.advance(500);
      controller.abort(new Error('changed my mind'));
      expect(await waiting).toMatchObject({ message: 'changed my mind' });
      expect(world.nowMs - beganMs).toBe(500);
      await world.advance(AWAY_MS - 500);
      const got = await world.drive(wants[what](two, { waitMs: 0 }));
      await world.drive(got[Symbol.asyncDispose]());
      expect(world.clock.pending).toBe(0);
    }
  });

  test('has what the store grants within a second, however short it would wait', async () => {
    const world = await new World().open();
    const one = world.process();
    away(one, 'backMs', 400);
    const got = await world.drive(wants[what](one, { waitMs: 0 }));
    expect(got.isHeld).toBe(true);
    await world.drive(got[Symbol.asyncDispose]());
    expect(world.clock.pending).toBe(0);
  });

  test('gives back what was granted later over a store that fails once more', async () => {
    const world = await new World().open();
    const [one, two] = [world.process(), world.process()];
    const error = new StoreFailedError({ store: 'test', command: 'any' });
    away(one, 'backMs');
    await world.rejection(wants[what](one, { waitMs: 2_000 }));
    one.way = () => ({ error });
    await world.advance(AWAY_MS);
    one.way = () => ({});
    await world.advance(ttlMs / 5);
    const got = await world.drive(wants[what](two, { waitMs: 0 }));
    await world.drive(got[Symbol.asyncDispose]());
    expect(world.clock.pending).toBe(0);
  });
});

test('a candidate that is closed while it asks waits for the answer, so that nothing is granted to it later', async () => {
  const world = await new World().open();
  const one = world.process();
  one.way = (command) => (command === 'takeLeases' ? { backMs: AWAY_MS } : {});
  const beganMs = world.nowMs;
  const candidate = leader(one.store, 'scheduler', { ...one.options, ttlMs, onElected: () => {} });
  await world.drive(candidate.close());
  expect(world.nowMs - beganMs).toBe(AWAY_MS);
  expect(await world.store.readLeases(['leader:scheduler'], world.nowMs)).toEqual([undefined]);
  expect(world.clock.pending).toBe(0);
});
