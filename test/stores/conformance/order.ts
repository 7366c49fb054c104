import { describe, expect, test } from 'vitest';
import { Bench, newTask, parked, SETTLED } from './place.ts';
import type { MakePlace } from './place.ts';

export function ordering(makePlace: MakePlace): void {
  describe('order keys', () => {
    const bench = new Bench(makePlace);
    const keyed = (id: string, changes: Parameters<typeof newTask>[1] = {}) => newTask(id, { orderKey: 'x', ...changes });

    test('of one key only the oldest can be claimed; the next follows when it ends (Q-26, Q-31)', async () => {
      await bench.submit(keyed('a'), keyed('b'), keyed('c'), keyed('other', { orderKey: 'y' }), newTask('none'));
      expect(await bench.standing('a', 'b', 'c')).toEqual(['queued', 'parked:order', 'parked:order']);
      const claimed = await bench.claim(9);
      expect(claimed.map(({ id }) => id)).toEqual(['a', 'other', 'none']);
      await bench.store.start(claimed, bench.nowMs);
      const { ready } = await bench.store.settle(
        [{ id: 'a', fence: claimed[0]!.fence, outcome: { at: 'completed', result: null, sends: [] } }],
        bench.nowMs,
      );
      expect(ready).toEqual(['triage']);
      expect(await bench.standing('b', 'c')).toEqual(['queued', 'parked:order']);
      await bench.complete(await bench.runNext('b'));
      await bench.complete(await bench.runNext('c'));
    });

    test('the key is one line through all kinds, and the ready kinds are those of the next', async () => {
      await bench.submit(keyed('a', { kind: 'k' }), keyed('b', { kind: 'l' }));
      const [run] = await bench.claim(1, { kind: 'k' });
      const outcome = { at: 'completed', result: null, sends: [] } as const;
      const { ready } = await bench.store.settle([{ id: 'a', fence: run!.fence, outcome }], bench.nowMs);
      expect(ready).toEqual(['l']);
    });

    test('whose turn comes is new work: it does not go ahead of what arrived before', async () => {
      await bench.submit(keyed('a'), newTask('between'), keyed('b'));
      await bench.complete(await bench.runNext('a'));
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['between', 'b']);
    });

    for (const at of ['failed', 'dead'] as const) {
      test(`a task that ends ${at} leaves the head of the line (D14)`, async () => {
        await bench.submit(keyed('poison'), keyed('b'));
        await bench.settle(await bench.runNext('poison'), { at, error: 'e' });
        expect(await bench.standing('b')).toEqual(['queued']);
      });
    }

    test('a cancelled head leaves the line, and a cancelled one behind it never blocks', async () => {
      await bench.submit(keyed('a'), keyed('b'), keyed('c'));
      await bench.steer('b', 'cancel');
      const { ready } = await bench.steer('a', 'cancel');
      expect(ready).toEqual(['triage']);
      expect(await bench.standing('a', 'b', 'c')).toEqual(['cancelled', 'cancelled', 'queued']);
    });

    test('a head that dies with its lease leaves the line', async () => {
      await bench.submit(keyed('a', { maxLosses: 1 }), keyed('b'));
      await bench.runNext('a', 10);
      expect((await bench.sweepIn(10)).ready).toEqual(['triage']);
      expect(await bench.standing('a', 'b')).toEqual(['dead', 'queued']);
    });

    test('a head that retries keeps the line', async () => {
      await bench.submit(keyed('a'), keyed('b'));
      await bench.settle(await bench.runNext('a'), { at: 'retry', error: 'e', readyAtMs: bench.nowMs + 10 });
      expect(await bench.standing('b')).toEqual(['parked:order']);
      await bench.sweepIn(10);
      await bench.complete(await bench.runNext('a'));
      await bench.runNext('b');
    });

    for (const reason of ['admission', 'suspended', 'sleep', 'locks']) {
      test(`a head that is parked for ${reason} keeps the line`, async () => {
        await bench.submit(keyed('a'), keyed('b'));
        await bench.settle(await bench.runNext('a'), parked(reason, { wakeAtMs: bench.nowMs + 10 }));
        expect(await bench.standing('b')).toEqual(['parked:order']);
      });
    }

    test('a head that is put back, and waits for its time, comes before those who came since it ended', async () => {
      await bench.submit(keyed('later', { notBeforeMs: bench.nowMs + 100 }));
      await bench.steer('later', 'cancel');
      await bench.submit(keyed('a'));
      expect(await bench.standing('a')).toEqual(['queued']);
      await bench.steer('later', 'requeue');
      expect(await bench.standing('later', 'a')).toEqual(['parked:time', 'parked:order']);
      await bench.sweepIn(100);
      await bench.complete(await bench.runNext('later'));
      await bench.runNext('a');
    });

    test('a head that is paused by an operator, or waits for its time, keeps the line', async () => {
      await bench.submit(keyed('a'), keyed('b'), keyed('later', { orderKey: 'y', notBeforeMs: 5_000 }), keyed('behind', { orderKey: 'y' }));
      await bench.steer('a', 'pause');
      expect(await bench.standing('a', 'b', 'later', 'behind')).toEqual(['parked:operator', 'parked:order', 'parked:time', 'parked:order']);
    });

    for (const reason of ['child', 'event', 'approval']) {
      test(`a head that is parked for ${reason} lets the next one by`, async () => {
        await bench.submit(keyed('a'), keyed('b'), keyed('c'));
        const { id, fence } = await bench.runNext('a');
        const { ready } = await bench.store.settle([{ id, fence, outcome: parked(reason, { children: ['nobody'] }) }], bench.nowMs);
        expect(ready).toEqual(['triage']);
        expect(await bench.standing('b', 'c')).toEqual(['queued', 'parked:order']);
      });
    }

    test('who was let by may bring what the head waits for: the head goes next, ahead of new work', async () => {
      await bench.submit(keyed('a'), keyed('b'), keyed('c'));
      await bench.settle(await bench.runNext('a'), parked('event', { events: [{ name: 'go', n: 0 }] }));
      const b = await bench.runNext('b');
      await bench.store.signal([{ id: 'a', name: 'go', value: '1' }], bench.nowMs);
      // Not while another one of the key is under lease.
      expect(await bench.standing('a', 'c')).toEqual(['parked:order', 'parked:order']);
      await bench.submit(newTask('new', { priority: 9 }));
      await bench.complete(b);
      expect(await bench.standing('a', 'b', 'c')).toEqual(['queued', 'completed', 'parked:order']);
      await bench.runNext('a');
    });

    test('a head that is woken before the next one was claimed has its turn back', async () => {
      await bench.submit(keyed('a'), keyed('b'));
      await bench.settle(await bench.runNext('a'), parked('event', { events: [{ name: 'go', n: 0 }] }));
      expect(await bench.standing('b')).toEqual(['queued']);
      await bench.store.signal([{ id: 'a', name: 'go', value: '1' }], bench.nowMs);
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['a']);
    });

    test('the one let by that parks for a time does not let go of the key for those behind it', async () => {
      await bench.submit(keyed('a'), keyed('b'), keyed('c'));
      await bench.settle(await bench.runNext('a'), parked('child', { children: ['nobody'] }));
      await bench.settle(await bench.runNext('b'), parked('sleep', { wakeAtMs: bench.nowMs + 10 }));
      expect(await bench.standing('a', 'b', 'c')).toEqual(['parked:child', 'parked:sleep', 'parked:order']);
    });

    test('a child on behalf of whoever has the key does not wait for it, nor does its own child', async () => {
      const a = await bench.running('a', { orderKey: 'x' });
      const child = (id: string, of: { id: string; fence: number }, changes = {}) =>
        keyed(id, { parent: { id: of.id, fence: of.fence, place: `ask:${id}` }, kind: id, ...changes });
      await bench.submit(child('c', a), child('stranger', a, { orderKey: 'y' }), keyed('behind'));
      expect(await bench.standing('c', 'stranger', 'behind')).toEqual(['queued', 'queued', 'parked:order']);
      const [c] = await bench.claim(1, { kind: 'c' });
      await bench.submit(child('g', c!));
      expect(await bench.standing('g')).toEqual(['queued']);
      await bench.complete(c!);
      expect(await bench.standing('behind')).toEqual(['parked:order']);
    });

    test('a released head keeps its turn, also after a crash', async () => {
      await bench.submit(keyed('a'), keyed('b'));
      expect(await bench.settle(await bench.runNext('a'), { at: 'released' })).toEqual(SETTLED('queued'));
      await bench.claim(1);
      await bench.crashAndOpen();
      expect(await bench.standing('a', 'b')).toEqual(['queued', 'parked:order']);
      await bench.complete(await bench.runNext('a'));
      await bench.runNext('b');
    });

    test('an older one that is put back has its turn before younger ones, but not beside them', async () => {
      await bench.submit(keyed('a'), keyed('b'), keyed('c'));
      await bench.settle(await bench.runNext('a'), { at: 'failed', error: 'e' });
      const b = await bench.runNext('b');
      await bench.steer('a', 'requeue');
      expect(await bench.standing('a', 'c')).toEqual(['parked:order', 'parked:order']);
      await bench.complete(b);
      expect(await bench.standing('a', 'c')).toEqual(['queued', 'parked:order']);
    });

    test('with the same key while another runs: the new one is there, and the running one is not disturbed (Q-29)', async () => {
      const a = await bench.running('a', { orderKey: 'x' });
      await bench.submit(keyed('b'));
      expect(await bench.standing('a', 'b')).toEqual(['running', 'parked:order']);
      await bench.complete(a);
    });
  });
}
