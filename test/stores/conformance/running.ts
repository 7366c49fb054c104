import { describe, expect, test } from 'vitest';
import { Bench, newTask, SETTLED, STALE, started } from './place.ts';
import type { MakePlace } from './place.ts';

const byPlace = (a: { place: string }, b: { place: string }): number => (a.place < b.place ? -1 : 1);

export function running(makePlace: MakePlace): void {
  describe('start', () => {
    const bench = new Bench(makePlace);

    test('the first run counts one attempt and finds nothing', async () => {
      await bench.submit('a');
      const claimed = await bench.claim();
      expect(await bench.store.start(claimed, bench.nowMs)).toEqual([started()]);
      expect(await bench.record('a')).toMatchObject({ status: 'running', attempt: 1 });
    });

    test('sent again it finds the run started, and counts nothing twice', async () => {
      await bench.submit('a');
      const [claimed] = await bench.claim();
      expect(await bench.store.start([claimed!, claimed!], bench.nowMs)).toEqual([started(), started()]);
      expect(await bench.store.start([claimed!], bench.nowMs)).toEqual([started()]);
      expect((await bench.record('a'))?.attempt).toBe(1);
    });

    test('stale ones in a batch do not disturb the others', async () => {
      await bench.submit('a', 'b');
      const [a, b] = await bench.claim(2);
      const outcomes = await bench.store.start(
        [{ id: 'a', fence: 0 }, a!, { id: 'nobody', fence: 1 }, b!, { id: 'b', fence: 2 }],
        bench.nowMs,
      );
      expect(outcomes.map(({ at }) => at)).toEqual(['stale', 'started', 'stale', 'started', 'stale']);
    });

    test('a later run counts on, and hears of lost ones', async () => {
      await bench.settle(await bench.running('a'), { at: 'retry', error: 'e', readyAtMs: bench.nowMs });
      await bench.store.sweep(bench.nowMs);
      await bench.settle(await bench.runNext('a'), { at: 'lost', error: 'e' });
      expect(await bench.store.start(await bench.claim(), bench.nowMs)).toMatchObject([{ attempt: 3, losses: 1 }]);
    });
  });

  describe('remember', () => {
    const bench = new Bench(makePlace);
    const memoryOf = async (held: { id: string; fence: number }): Promise<readonly { place: string; hash: string; value: string }[]> => {
      const [run] = await bench.store.start([held], bench.nowMs);
      return run?.at === 'started' ? run.memory.map(({ place, hash, value }) => ({ place, hash, value })).toSorted(byPlace) : [];
    };

    test('later runs find what earlier ones did, however these ended', async () => {
      for (const [id, outcome] of Object.entries({
        retried: { at: 'retry', error: 'e', readyAtMs: 0 },
        parked: { at: 'parked', reason: 'r', children: [], wakeAtMs: 0 },
        released: { at: 'released' },
        lost: { at: 'lost', error: 'e' },
      } as const)) {
        const run = await bench.running(id);
        const items = [
          { place: 'call:b#1', hash: 'h1', value: 'v1' },
          { place: 'call:a#1', hash: 'h2', value: 'v2' },
        ];
        expect(
          await bench.store.remember(
            items.map((item) => ({ ...item, id, fence: run.fence })),
            bench.nowMs,
          ),
        ).toEqual([true, true]);
        await bench.settle(run, outcome);
        await bench.store.sweep(bench.nowMs);
        const [claimed] = await bench.claim();
        expect(claimed?.id).toBe(id);
        expect(await memoryOf(claimed!)).toEqual(items.toSorted(byPlace));
      }
    });

    test('a place keeps its first value, within a batch and after it', async () => {
      const { id, fence } = await bench.running('a');
      const remember = (...values: string[]) =>
        bench.store.remember(
          values.map((value) => ({ id, fence, place: 'p', hash: `h-${value}`, value })),
          bench.nowMs,
        );
      expect(await remember('first', 'second')).toEqual([true, true]);
      expect(await remember('third')).toEqual([true]);
      expect(await memoryOf({ id, fence })).toEqual([{ place: 'p', hash: 'h-first', value: 'first' }]);
    });

    test('each task has places of its own', async () => {
      const a = await bench.running('a');
      const b = await bench.running('b');
      await bench.store.remember(
        [a, b].map(({ id, fence }) => ({ id, fence, place: 'p', hash: '', value: id })),
        bench.nowMs,
      );
      expect(await memoryOf(a)).toEqual([{ place: 'p', hash: '', value: 'a' }]);
      expect(await memoryOf(b)).toEqual([{ place: 'p', hash: '', value: 'b' }]);
    });

    test('an older holder remembers nothing, and the rest of its batch is not disturbed', async () => {
      const old = await bench.running('a');
      await bench.settle(old, { at: 'released' });
      const now = await bench.runNext('a');
      const items = [old, now, { id: 'nobody', fence: 1 }].map(({ id, fence }) => ({
        id,
        fence,
        place: `by ${fence}`,
        hash: '',
        value: '',
      }));
      expect(await bench.store.remember(items, bench.nowMs)).toEqual([false, true, false]);
      expect(await memoryOf(now)).toEqual([{ place: 'by 2', hash: '', value: '' }]);
    });

    test('a run that has its lease may remember before it has started', async () => {
      await bench.submit('a');
      const [held] = await bench.claim();
      expect(await bench.store.remember([{ id: 'a', fence: held!.fence, place: 'p', hash: '', value: 'v' }], bench.nowMs)).toEqual([true]);
      expect(await memoryOf(held!)).toEqual([{ place: 'p', hash: '', value: 'v' }]);
    });
  });

  describe('renew', () => {
    const bench = new Bench(makePlace);

    test('a renewed lease outlives its first end, and one that is not renewed does not', async () => {
      const a = await bench.running('a', { leaseMs: 100 });
      await bench.running('b', { leaseMs: 100 });
      expect(await bench.store.renew([{ id: 'a', fence: a.fence, leaseUntilMs: bench.nowMs + 500 }], bench.nowMs + 99)).toEqual([true]);
      expect((await bench.store.sweep(bench.nowMs + 100)).expired.map(({ id }) => id)).toEqual(['b']);
      expect((await bench.store.sweep(bench.nowMs + 499)).expired).toEqual([]);
      expect((await bench.store.sweep(bench.nowMs + 500)).expired.map(({ id }) => id)).toEqual(['a']);
    });

    test('a lease may be made shorter', async () => {
      const a = await bench.running('a', { leaseMs: 100 });
      expect(await bench.store.renew([{ id: 'a', fence: a.fence, leaseUntilMs: bench.nowMs + 10 }], bench.nowMs)).toEqual([true]);
      expect((await bench.store.sweep(bench.nowMs + 10)).expired).toHaveLength(1);
    });

    test('a lease that has run out is not renewed, though nobody has taken the task yet', async () => {
      const a = await bench.running('a', { leaseMs: 100 });
      expect(await bench.store.renew([{ id: 'a', fence: a.fence, leaseUntilMs: bench.nowMs + 900 }], bench.nowMs + 100)).toEqual([false]);
      expect((await bench.store.sweep(bench.nowMs + 100)).expired).toHaveLength(1);
    });

    test('an older holder renews nothing; of two for one run the later counts', async () => {
      const old = await bench.running('a');
      await bench.settle(old, { at: 'released' });
      const now = await bench.runNext('a');
      const until = (held: { id: string; fence: number }, ms: number) => ({
        id: held.id,
        fence: held.fence,
        leaseUntilMs: bench.nowMs + ms,
      });
      expect(
        await bench.store.renew([until(old, 1), until(now, 20), until({ id: 'nobody', fence: 1 }, 1), until(now, 30)], bench.nowMs),
      ).toEqual([false, true, false, true]);
      expect((await bench.store.sweep(bench.nowMs + 20)).expired).toEqual([]);
      expect((await bench.store.sweep(bench.nowMs + 30)).expired).toHaveLength(1);
    });
  });

  describe('a late word from an older holder', () => {
    const bench = new Bench(makePlace);

    for (const [name, say] of Object.entries({
      start: (old) => bench.store.start([old], bench.nowMs),
      'settle: completed': (old) => bench.settle(old, { at: 'completed', result: 'late', sends: [newTask('sent')] }),
      'settle: retry': (old) => bench.settle(old, { at: 'retry', error: 'late', readyAtMs: 0 }),
      'settle: failed': (old) => bench.settle(old, { at: 'failed', error: 'late' }),
      'settle: dead': (old) => bench.settle(old, { at: 'dead', error: 'late' }),
      'settle: parked': (old) => bench.settle(old, { at: 'parked', reason: 'late', children: [], wakeAtMs: null }),
      'settle: released': (old) => bench.settle(old, { at: 'released' }),
      'settle: lost': (old) => bench.settle(old, { at: 'lost', error: 'late' }),
      remember: (old) => bench.store.remember([{ ...old, place: 'p', hash: '', value: '' }], bench.nowMs),
      renew: (old) => bench.store.renew([{ ...old, leaseUntilMs: 0 }], bench.nowMs),
      'submit of a child': (old) => bench.store.submit([newTask('child', { parent: { ...old, place: 'p' } })], bench.nowMs),
    } satisfies Record<string, (old: { id: string; fence: number }) => Promise<unknown>>)) {
      test(`${name}: it is stale, and changes nothing`, async () => {
        const { id, fence } = await bench.running('a');
        await bench.settle({ id, fence }, { at: 'lost', error: 'first' });
        // Nobody holds it, then somebody else does, then it has ended.
        const unchanged = async (): Promise<void> => {
          const before = await bench.all();
          const said = JSON.stringify(await say({ id, fence }));
          expect(said === '[false]' || said.includes('stale')).toBe(true);
          expect(await bench.all()).toEqual(before);
        };
        await unchanged();
        const now = await bench.runNext('a');
        await unchanged();
        expect(await bench.settle(now, { at: 'completed', result: 'r', sends: [] })).toEqual(SETTLED('completed'));
        await unchanged();
      });
    }

    test('a settled run is not settled again, not even by the same one in the same batch', async () => {
      const { id, fence } = await bench.running('a');
      const { outcomes } = await bench.store.settle(
        [
          { id, fence, outcome: { at: 'completed', result: 'first', sends: [] } },
          { id, fence, outcome: { at: 'failed', error: 'second' } },
        ],
        bench.nowMs,
      );
      expect(outcomes).toEqual([SETTLED('completed'), STALE]);
      expect(await bench.record(id)).toMatchObject({ status: 'completed', result: 'first', error: null });
    });
  });
}
