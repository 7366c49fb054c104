import { describe, expect, test } from 'vitest';
import { Bench, newTask, SETTLED, STALE, swept } from './place.ts';
import type { MakePlace } from './place.ts';

export function settling(makePlace: MakePlace): void {
  describe('settle', () => {
    const bench = new Bench(makePlace);

    test('completed: the task has its result, and no error of earlier runs', async () => {
      await bench.settle(await bench.running('a'), { at: 'retry', error: 'earlier', readyAtMs: bench.nowMs });
      await bench.store.sweep(bench.nowMs);
      const run = await bench.runNext('a');
      expect((await bench.record('a'))?.error).toBe('earlier');
      bench.nowMs += 5.5;
      await bench.complete(run, '{"ok":true}');
      expect(await bench.record('a')).toMatchObject({
        status: 'completed',
        result: '{"ok":true}',
        error: null,
        attempt: 2,
        finishedAtMs: bench.nowMs,
      });
    });

    test('completed with no result', async () => {
      await bench.complete(await bench.running('a'), null);
      expect(await bench.record('a')).toMatchObject({ status: 'completed', result: null });
    });

    for (const at of ['failed', 'dead'] as const) {
      test(`${at}: the task has ended with its error`, async () => {
        const run = await bench.running('a');
        expect(await bench.settle(run, { at, error: 'why' })).toEqual(SETTLED(at));
        expect(await bench.record('a')).toMatchObject({
          status: at,
          error: 'why',
          result: null,
          attempt: 1,
          losses: 0,
          finishedAtMs: bench.nowMs,
        });
        expect(await bench.claim()).toEqual([]);
      });
    }

    test('retry: the task waits until it is due, with its error, and keeps its attempt', async () => {
      const run = await bench.running('a');
      expect(await bench.settle(run, { at: 'retry', error: 'why', readyAtMs: bench.nowMs + 100.5 })).toEqual(SETTLED('retrying'));
      expect(await bench.record('a')).toMatchObject({ status: 'retrying', error: 'why', attempt: 1, finishedAtMs: null });
      expect(await bench.store.sweep(bench.nowMs + 100)).toEqual(swept({ nextAtMs: bench.nowMs + 100.5 }));
      expect(await bench.claim()).toEqual([]);
      expect(await bench.store.sweep(bench.nowMs + 100.5)).toEqual(swept({ ready: ['triage'] }));
      expect(await bench.claim()).toMatchObject([{ id: 'a', fence: 2 }]);
    });

    test('retry: whether attempts are used up is for the caller to say', async () => {
      const run = await bench.running('a', { maxAttempts: 1 });
      expect(await bench.settle(run, { at: 'retry', error: 'why', readyAtMs: bench.nowMs })).toEqual(SETTLED('retrying'));
    });

    test('released: a run that had started gives its attempt back, even the last one', async () => {
      const run = await bench.running('a', { maxAttempts: 1 });
      expect(await bench.settle(run, { at: 'released' })).toEqual(SETTLED('queued'));
      expect(await bench.record('a')).toMatchObject({ status: 'queued', attempt: 0, losses: 0, error: null });
      expect(await bench.store.start(await bench.claim(), bench.nowMs)).toMatchObject([{ attempt: 1 }]);
    });

    test('released: a lease that was not used goes back as it was', async () => {
      await bench.settle(await bench.running('a'), { at: 'retry', error: 'why', readyAtMs: bench.nowMs });
      await bench.store.sweep(bench.nowMs);
      const [leased] = await bench.claim();
      expect(await bench.settle(leased!, { at: 'released' })).toEqual(SETTLED('queued'));
      expect(await bench.record('a')).toMatchObject({ status: 'queued', attempt: 1, error: 'why' });
    });

    test('lost: the task is queued ahead of new work until its losses are used up', async () => {
      await bench.submit(newTask('a', { maxLosses: 2 }), newTask('urgent', { priority: -1 }));
      const first = await bench.runNext('a');
      await bench.submit(newTask('more urgent', { priority: 5 }));
      expect(await bench.settle(first, { at: 'lost', error: 'worker 1 died' })).toEqual(SETTLED('queued'));
      expect(await bench.record('a')).toMatchObject({
        status: 'queued',
        attempt: 1,
        losses: 1,
        error: 'worker 1 died',
        finishedAtMs: null,
      });
      const second = await bench.runNext('a');
      expect(await bench.settle(second, { at: 'lost', error: 'worker 2 died' })).toEqual(SETTLED('dead'));
      expect(await bench.record('a')).toMatchObject({
        status: 'dead',
        attempt: 2,
        losses: 2,
        error: 'worker 2 died',
        finishedAtMs: bench.nowMs,
      });
    });

    test('lost before it had started: nothing is counted', async () => {
      await bench.submit(newTask('a', { maxLosses: 1 }));
      const [leased] = await bench.claim();
      await bench.submit(newTask('urgent', { priority: 5 }));
      expect(await bench.settle(leased!, { at: 'lost', error: 'worker died' })).toEqual(SETTLED('queued'));
      expect(await bench.record('a')).toMatchObject({ attempt: 0, losses: 0, error: null });
      expect(await bench.claim()).toMatchObject([{ id: 'a' }]);
    });

    test('a mixed batch: each item is taken for itself', async () => {
      const [a, b, c, d, e, f] = (await Promise.all(
        ['a', 'b', 'c', 'd', 'e', 'f'].map(async (id) => {
          await bench.submit(newTask(id, { kind: id }));
          const [claimed] = await bench.claim(1, { kind: id });
          await bench.store.start([claimed!], bench.nowMs);
          return { id, fence: claimed!.fence };
        }),
      )) as [Held, Held, Held, Held, Held, Held];
      const { outcomes, ready } = await bench.store.settle(
        [
          { ...a, outcome: { at: 'completed', result: '1', sends: [] } },
          { ...a, outcome: { at: 'failed', error: 'again' } },
          { ...b, fence: 7, outcome: { at: 'completed', result: '1', sends: [] } },
          { ...b, outcome: { at: 'retry', error: 'e', readyAtMs: bench.nowMs + 1 } },
          { ...c, outcome: { at: 'failed', error: 'e' } },
          { id: 'nobody', fence: 1, outcome: { at: 'released' } },
          { ...d, outcome: { at: 'released' } },
          { ...e, outcome: { at: 'parked', reason: 'r', children: [], wakeAtMs: null } },
          { ...f, outcome: { at: 'lost', error: 'e' } },
        ],
        bench.nowMs,
      );
      expect(outcomes).toEqual([
        SETTLED('completed'),
        STALE,
        STALE,
        SETTLED('retrying'),
        SETTLED('failed'),
        STALE,
        SETTLED('queued'),
        SETTLED('parked'),
        SETTLED('queued'),
      ]);
      expect(ready.toSorted()).toEqual(['d', 'f']);
      expect((await bench.all()).map(({ status }) => status)).toEqual(['completed', 'retrying', 'failed', 'queued', 'parked', 'queued']);
    });

    test('an empty batch settles nothing', async () => {
      expect(await bench.store.settle([], bench.nowMs)).toEqual({ outcomes: [], ready: [] });
    });

    test('a large batch is settled as one', async () => {
      await bench.submit(...Array.from({ length: 333 }, (_, at) => `task-${at}`));
      const claimed = await bench.claim(333);
      expect((await bench.store.start(claimed, bench.nowMs)).every(({ at }) => at === 'started')).toBe(true);
      const { outcomes } = await bench.store.settle(
        claimed.map(({ id, fence }) => ({ id, fence, outcome: { at: 'completed', result: id, sends: [] } })),
        bench.nowMs,
      );
      expect(outcomes).toEqual(claimed.map(() => SETTLED('completed')));
      expect((await bench.all()).every(({ id, result }) => id === result)).toBe(true);
    });
  });

  describe('sends of a completed run', () => {
    const bench = new Bench(makePlace);

    test('they are submitted with it, and their kinds have something to claim', async () => {
      const { id, fence } = await bench.running('a');
      const sends = [newTask('s1', { kind: 'mail' }), newTask('s2', { kind: 'log' }), newTask('s3', { kind: 'mail' })];
      const { ready } = await bench.store.settle([{ id, fence, outcome: { at: 'completed', result: null, sends } }], bench.nowMs);
      expect(ready.toSorted()).toEqual(['log', 'mail']);
      expect(await bench.record('s1')).toMatchObject({ status: 'queued', parentId: null, submittedAtMs: bench.nowMs });
      expect((await bench.claim(9, { kind: 'mail' })).map((task) => task.id)).toEqual(['s1', 's3']);
    });

    test('an id that is there already is left alone, and makes nothing ready', async () => {
      await bench.complete(await bench.running('old'), 'done');
      const run = await bench.running('a');
      const before = await bench.record('old');
      const { ready } = await bench.store.settle(
        [{ id: run.id, fence: run.fence, outcome: { at: 'completed', result: null, sends: [newTask('old', { input: 'other' })] } }],
        bench.nowMs,
      );
      expect(ready).toEqual([]);
      expect(await bench.record('old')).toEqual(before);
    });

    test('of two that send the same id in a batch the first is taken', async () => {
      await bench.submit('a', 'b');
      const claimed = await bench.claim(2);
      await bench.store.settle(
        claimed.map(({ id, fence }) => ({
          id,
          fence,
          outcome: { at: 'completed', result: null, sends: [newTask('s', { input: `by ${id}` })] },
        })),
        bench.nowMs,
      );
      expect(await bench.record('s')).toMatchObject({ input: 'by a' });
    });

    test('they are not refused when the store is full', async () => {
      await bench.store.close();
      await bench.open(1);
      const { id, fence } = await bench.running('a');
      await bench.store.settle(
        [{ id, fence, outcome: { at: 'completed', result: null, sends: [newTask('s1'), newTask('s2')] } }],
        bench.nowMs,
      );
      expect(await bench.claim(9)).toHaveLength(2);
    });

    test('the completed run may be their parent, one that no longer holds may not', async () => {
      const { id, fence } = await bench.running('a');
      const sends = [
        newTask('own', { parent: { id, fence, place: 'send#1' } }),
        newTask('not', { parent: { id, fence: fence + 1, place: 'send#2' } }),
      ];
      await bench.settle({ id, fence }, { at: 'completed', result: null, sends });
      expect(await bench.record('own')).toMatchObject({ parentId: 'a', status: 'queued' });
      expect(await bench.record('not')).toBeUndefined();
    });

    test('a stale completion sends nothing', async () => {
      const { id, fence } = await bench.running('a');
      expect(await bench.settle({ id, fence: fence + 1 }, { at: 'completed', result: null, sends: [newTask('s')] })).toEqual(STALE);
      expect(await bench.record('s')).toBeUndefined();
    });
  });
}

interface Held {
  readonly id: string;
  readonly fence: number;
}
