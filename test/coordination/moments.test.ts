/** Whoever leaves in the very moment in which it gets something: after each number of turns of the microtask queue. */
import { describe, expect, test } from 'vitest';
import { intents, leader, locks } from 'drover/coordination';
import { World } from './world.ts';

const TURNS = Array.from({ length: 40 }, (_, turns) => turns);

async function pass(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
}

describe('in the moment of its grant', () => {
  test('a candidate that is closed is not elected any more, and closes', async () => {
    const terms: number[] = [];
    for (const turns of TURNS) {
      const world = await new World().open();
      const { store, options } = world.process();
      let isClosed = false;
      const late: number[] = [];
      const onElected = (epoch: number): unknown => (isClosed ? late : terms).push(epoch);
      const candidate = leader(store, 'scheduler', { ...options, onElected });
      await pass(turns);
      isClosed = true;
      await world.drive(candidate.close());
      expect(late, `after ${turns}`).toEqual([]);
      expect(candidate.isLeader).toBe(false);
      expect(await world.store.readLeases(['leader:scheduler'], world.nowMs), `after ${turns}`).toEqual([undefined]);
      expect(world.clock.pending).toBe(0);
    }
    // Some were closed before their election, some after it.
    expect(terms.length).toBeGreaterThan(0);
    expect(terms.length).toBeLessThan(TURNS.length);
  });

  test.each(['withLock', 'through'] as const)(
    'nothing is begun by %s under a signal that has aborted, and all is given back',
    async (by) => {
      let begun = 0;
      for (const turns of TURNS) {
        const world = await new World().open();
        const { store, options } = world.process();
        const controller = new AbortController();
        const { signal } = controller;
        let isLate = false;
        const fn = (): void => {
          begun += 1;
          isLate = signal.aborted;
        };
        const at =
          by === 'withLock' ? locks(store, options).withLock('x', fn, { signal }) : intents(store, options).through('x', fn, { signal });
        const done = at.catch((error: Error) => error.message);
        await pass(turns);
        controller.abort(new Error('changed my mind'));
        await world.drive(done);
        await world.settle();
        expect(isLate, `after ${turns}`).toBe(false);
        const next =
          by === 'withLock'
            ? locks(store, options).withLock('x', () => 'in', { waitMs: 0 })
            : intents(store, options).through('x', () => 'in', { waitMs: 0 });
        expect(await world.drive(next), `after ${turns}`).toBe('in');
        expect(world.clock.pending).toBe(0);
      }
      expect(begun).toBeGreaterThan(0);
      expect(begun).toBeLessThan(TURNS.length);
    },
  );
});
