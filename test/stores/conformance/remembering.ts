import { describe, expect, test } from 'vitest';
import type { ClaimedTask, Remembered, SettledOutcome } from '../../../actors/ports/store.ts';
import { Bench, newTask, parked } from './place.ts';
import type { MakePlace } from './place.ts';

export function rememberingMore(makePlace: MakePlace): void {
  describe('what a run remembers', () => {
    const bench = new Bench(makePlace);

    const remember = (run: ClaimedTask, entry: Partial<Remembered> & { place: string; replace?: boolean }) =>
      bench.store.remember([{ id: run.id, fence: run.fence, hash: 'h', value: `"${entry.place}"`, ...entry }], bench.nowMs);

    async function places(): Promise<string[]> {
      const [claimed] = await bench.claim();
      return (await bench.given(claimed!)).memory.map(({ place }) => place).toSorted();
    }

    test('whether it failed, and under which version, comes back', async () => {
      const run = await bench.running('a');
      await remember(run, { place: 'p', failed: true, version: '7' });
      await remember(run, { place: 'q' });
      const { memory } = await bench.given(run);
      expect(memory.find(({ place }) => place === 'p')).toMatchObject({ failed: true, version: '7', value: '"p"' });
      expect(memory.find(({ place }) => place === 'q')?.failed ?? false).toBe(false);
      expect(memory.find(({ place }) => place === 'q')?.version ?? '1').toBe('1');
    });

    test('replace: the new one takes the place of what was there, and of the hash', async () => {
      const run = await bench.running('a');
      await remember(run, { place: 'p', failed: true });
      await remember(run, { place: 'p', value: '"new"', hash: 'h2', replace: true });
      await remember(run, { place: 'q', replace: true });
      const { memory } = await bench.given(run);
      expect(memory).toHaveLength(2);
      const p = memory.find(({ place }) => place === 'p');
      expect(p).toMatchObject({ value: '"new"', hash: 'h2' });
      expect(p?.failed ?? false).toBe(false);
    });

    test('an older holder replaces nothing', async () => {
      const old = await bench.running('a');
      await remember(old, { place: 'p' });
      await bench.settle(old, { at: 'released' });
      const now = await bench.runNext('a');
      expect(await remember(old, { place: 'p', value: '"late"', replace: true })).toEqual([false]);
      expect((await bench.given(now)).memory).toMatchObject([{ value: '"p"' }]);
    });

    for (const [how, outcome, left] of [
      ['stays when the run is retried because of something else', { at: 'retry', error: 'e', readyAtMs: 0 }, ['failed', 'ok', 'state:row']],
      [
        'is forgotten when the run is retried because of it',
        { at: 'retry', error: 'e', readyAtMs: 0, failures: ['ok', 'failed', 'none'] },
        ['ok', 'state:row'],
      ],
      ['stays when the run parks', parked('sleep', { wakeAtMs: 0 }), ['failed', 'ok', 'state:row']],
      ['stays when the run is lost', { at: 'lost', error: 'e' }, ['failed', 'ok', 'state:row']],
      ['stays when the run is released', { at: 'released' }, ['failed', 'ok', 'state:row']],
    ] as readonly [string, SettledOutcome, string[]][]) {
      test(`a failure ${how}`, async () => {
        const run = await bench.running('a');
        for (const place of ['ok', 'failed', 'state:row']) await remember(run, { place, ...(place === 'failed' ? { failed: true } : {}) });
        await bench.settle(run, outcome);
        await bench.store.sweep(bench.nowMs);
        expect(await places()).toEqual(left);
      });
    }

    test('a failure that is forgotten leaves its place to the next run', async () => {
      const run = await bench.running('a');
      await remember(run, { place: 'p', failed: true });
      await bench.settle(run, { at: 'retry', error: 'e', readyAtMs: 0, failures: ['p'] });
      await bench.store.sweep(bench.nowMs);
      const again = await bench.runNext('a');
      await remember(again, { place: 'p', value: '"better"' });
      expect((await bench.given(again)).memory).toMatchObject([{ place: 'p', value: '"better"' }]);
    });

    test('a retry may forget what was read of rows, or everything', async () => {
      for (const [id, forget, left] of [
        ['a', 'state', ['compensate:c', 'ok']],
        ['b', 'everything', []],
      ] as const) {
        const run = await bench.running(id);
        for (const place of ['ok', 'state:row', 'compensate:c']) await remember(run, { place });
        await bench.settle(run, { at: 'retry', error: 'e', readyAtMs: 0, forget });
        await bench.store.sweep(bench.nowMs);
        expect(await places()).toEqual(left);
      }
    });

    test('a failed, dead or cancelled task that is put back finds what it had, and pays nothing twice', async () => {
      for (const at of ['failed', 'dead', 'cancelled'] as const) {
        const run = await bench.running(at);
        await remember(run, { place: 'paid' });
        if (at === 'cancelled') await bench.steer(at, 'cancel');
        await bench.settle(run, at === 'cancelled' ? { at: 'released' } : { at, error: 'e' });
        await bench.steer(at, 'requeue');
        expect(await places()).toEqual(['paid']);
      }
    });

    for (const at of ['failed', 'dead'] as const) {
      test(`of a task that is put back (${at}) those failures are forgotten that it has ended with, and no others`, async () => {
        const run = await bench.running('a');
        for (const place of ['gone past', 'ended with']) await remember(run, { place, failed: true });
        await remember(run, { place: 'paid' });
        await bench.settle(run, { at, error: 'e', failures: ['ended with', 'paid', 'none'] });
        await bench.steer('a', 'requeue');
        expect(await places()).toEqual(['gone past', 'paid']);
      });
    }

    test('what a task is to be undone over is not forgotten', async () => {
      const run = await bench.running('a');
      for (const place of ['ended with', 'compensate:c'])
        await remember(run, { place, ...(place === 'ended with' ? { failed: true } : {}) });
      await bench.settle(run, { at: 'failed', error: 'e', failures: ['ended with'] });
      expect(await places()).toEqual(['compensate:c', 'ended with']);
    });

    test('a new value and its flags outlive a crash', async () => {
      const run = await bench.running('a');
      await remember(run, { place: 'p' });
      await remember(run, { place: 'p', value: '"2"', replace: true });
      await remember(run, { place: 'q', failed: true, version: '9' });
      await bench.crashAndOpen();
      const [claimed] = await bench.claim();
      const { memory } = await bench.given(claimed!);
      expect(memory.find(({ place }) => place === 'p')).toMatchObject({ value: '"2"' });
      expect(memory.find(({ place }) => place === 'q')).toMatchObject({ failed: true, version: '9' });
    });

    test('nothing is remembered of a batch that carries what no store can keep', async () => {
      const run = await bench.running('a');
      const items = [
        { id: 'a', fence: run.fence, place: 'p', hash: 'h', value: 'v' },
        { id: 'a', fence: run.fence, place: 'q', hash: 'h', value: '\ud800', replace: true },
      ];
      await expect(bench.store.remember(items, bench.nowMs)).rejects.toMatchObject({ code: 'DROVER_STORE_INPUT' });
      expect((await bench.given(run)).memory).toEqual([]);
      await bench.submit(newTask('b'));
    });
  });
}
