import { describe, expect, test } from 'vitest';
import { Bench, KIND, newTask, parked, SETTLED } from './place.ts';
import type { MakePlace } from './place.ts';

export function holdingBack(makePlace: MakePlace): void {
  describe('a paused kind', () => {
    const bench = new Bench(makePlace);
    const pause = (kind: string, paused: boolean) => bench.store.pauseKinds([{ kind, paused }]);

    test('gives nothing to claim, the others do, and all of it is there when it goes on', async () => {
      await bench.submit('a', newTask('b', { kind: 'other' }));
      await pause(KIND, true);
      const wants = [KIND, 'other'].map((kind) => ({ kind, limit: 9 }));
      const claim = async () => (await bench.store.claim({ wants, leaseUntilMs: 9e9, nowMs: bench.nowMs })).map(({ id }) => id);
      expect(await claim()).toEqual(['b']);
      await bench.submit('c');
      expect(await claim()).toEqual([]);
      await pause(KIND, false);
      expect(await claim()).toEqual(['a', 'c']);
    });

    test('what it has under lease goes on', async () => {
      const run = await bench.running('a');
      await pause(KIND, true);
      await bench.complete(run);
    });

    test('it is known as paused, also after a crash', async () => {
      await pause('x', true);
      await pause('y', true);
      await pause('x', true);
      await pause('y', false);
      await pause('z', false);
      expect(await bench.store.pausedKinds()).toEqual(['x']);
      await bench.crashAndOpen();
      expect(await bench.store.pausedKinds()).toEqual(['x']);
      await bench.submit(newTask('a', { kind: 'x' }));
      expect(await bench.claim(1, { kind: 'x' })).toEqual([]);
    });
  });

  describe('a box', () => {
    const bench = new Bench(makePlace);

    const claim = async (box?: string, limit = 9): Promise<string[]> => {
      const want = { kind: KIND, limit, ...(box === undefined ? {} : { box }) };
      return (await bench.store.claim({ wants: [want], leaseUntilMs: bench.nowMs + 60_000, nowMs: bench.nowMs })).map(({ id }) => id);
    };

    /** Spills these into boxes. */
    async function spill(into: Record<string, string>): Promise<void> {
      await bench.submit(...Object.keys(into));
      for (const task of await bench.claim(99))
        expect(await bench.settle(task, { at: 'released', box: into[task.id]! })).toEqual(SETTLED('queued'));
    }

    test('what was spilled into it is claimed by it only', async () => {
      await spill({ a: 'w1', b: 'w2', c: 'w1' });
      await bench.submit('free');
      expect(await claim()).toEqual(['free']);
      expect(await claim('w3')).toEqual([]);
      expect(await claim('w1', 1)).toEqual(['a']);
      expect(await claim('w1')).toEqual(['c']);
      expect(await claim('w2')).toEqual(['b']);
    });

    test('one claim may want of boxes and of none', async () => {
      await spill({ a: 'w1', b: 'w2' });
      await bench.submit('free');
      const wants = [
        { kind: KIND, limit: 9 },
        { kind: KIND, limit: 9, box: 'w2' },
      ];
      const claimed = await bench.store.claim({ wants, leaseUntilMs: 9e9, nowMs: bench.nowMs });
      expect(claimed.map(({ id }) => id).toSorted()).toEqual(['b', 'free']);
    });

    test('unboxed, it may be claimed by everybody again', async () => {
      await spill({ a: 'w1', b: 'w2' });
      await bench.store.unbox([
        { kind: 'other', box: 'w1' },
        { kind: KIND, box: 'none' },
      ]);
      expect(await claim()).toEqual([]);
      await bench.store.unbox([{ kind: KIND, box: 'w1' }]);
      expect(await claim()).toEqual(['a']);
      expect(await claim('w1')).toEqual([]);
    });

    for (const how of ['crash', 'close'] as const) {
      test(`after a ${how} every box is empty`, async () => {
        await spill({ a: 'w1' });
        if (how === 'crash') await bench.crashAndOpen();
        else await bench.reopen();
        expect(await claim('w1')).toEqual([]);
        expect(await claim()).toEqual(['a']);
      });
    }

    test('a task leaves it when it is claimed', async () => {
      await spill({ a: 'w1' });
      const [run] = await bench.store.claim({ wants: [{ kind: KIND, limit: 1, box: 'w1' }], leaseUntilMs: 9e9, nowMs: bench.nowMs });
      await bench.settle(run!, parked('sleep', { wakeAtMs: bench.nowMs }));
      expect(await claim()).toEqual(['a']);
    });

    test('in a box too there is an order: resumed ones first, then arrival', async () => {
      await bench.submit('a', 'b', 'c');
      await bench.settle((await bench.claim(1))[0]!, { at: 'released', box: 'w' });
      await bench.settle((await bench.claim(1))[0]!, { at: 'lost', error: 'e' });
      for (const task of await bench.claim(9)) await bench.settle(task, { at: 'released', box: 'w' });
      expect(await claim('w')).toEqual(['b', 'a', 'c']);
    });

    test('what is in a box can be steered, counts, and is swept like anything else', async () => {
      await bench.submit('a', newTask('late', { deadlineMs: bench.nowMs + 10 }));
      for (const task of await bench.claim(9)) await bench.settle(task, { at: 'released', box: 'w' });
      expect((await bench.store.counts())[KIND]?.queued).toBe(2);
      expect((await bench.sweepIn(10)).ended).toEqual(['late']);
      await bench.steer('a', 'cancel');
      expect(await claim('w')).toEqual([]);
    });
  });
}
