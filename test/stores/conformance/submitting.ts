import { describe, expect, test } from 'vitest';
import { Bench, newTask, STALE } from './place.ts';
import type { MakePlace } from './place.ts';

export function submitting(makePlace: MakePlace): void {
  describe('submit', () => {
    const bench = new Bench(makePlace);

    test('a submitted task is queued, and comes back as it went in', async () => {
      bench.nowMs = 1_234.5;
      const outcomes = await bench.store.submit(
        [newTask('a', { kind: 'k', version: '7', input: '[1]', priority: -2.5, maxAttempts: 4, maxLosses: 5, depth: 3 })],
        bench.nowMs,
      );
      expect(outcomes).toEqual([{ at: 'accepted' }]);
      expect(await bench.record('a')).toEqual({
        id: 'a',
        kind: 'k',
        version: '7',
        status: 'queued',
        input: '[1]',
        result: null,
        error: null,
        priority: -2.5,
        attempt: 0,
        losses: 0,
        maxAttempts: 4,
        maxLosses: 5,
        fence: 0,
        depth: 3,
        parentId: null,
        parkedFor: null,
        submittedAtMs: 1_234.5,
        finishedAtMs: null,
        rootId: null,
        tenant: null,
        affinity: null,
        orderKey: null,
        deadlineMs: null,
        locks: [],
        dueAtMs: null,
        undone: false,
        kept: false,
        noted: null,
      });
    });

    test('what a task may have beside that comes back too', async () => {
      const more = { rootId: 'root', tenant: 'acme', affinity: 'warm', orderKey: 'one by one', deadlineMs: 9_000.5 };
      await bench.submit(newTask('a', { ...more, locks: [{ resource: 'file', mode: 'write' }], onConflict: 'reject' }));
      expect(await bench.record('a')).toMatchObject({ ...more, locks: [{ resource: 'file', mode: 'write' }], status: 'queued' });
      const { orderKey: _, ...claimed } = more;
      expect(await bench.claim()).toMatchObject([{ id: 'a', ...claimed }]);
    });

    test('nothing is submitted by an empty batch', async () => {
      expect(await bench.store.submit([], bench.nowMs)).toEqual([]);
      expect(await bench.all()).toEqual([]);
    });

    test('a task that was never submitted is not there', async () => {
      await bench.submit('a');
      expect((await bench.store.get(['b', 'a', 'b'])).map((task) => task?.id)).toEqual([undefined, 'a', undefined]);
    });

    test('the same id is the same task: it is known as it stands, and nothing of it changes', async () => {
      await bench.submit(newTask('a', { input: 'first' }));
      const before = await bench.record('a');
      const outcomes = await bench.store.submit([newTask('a', { input: 'second', kind: 'other', priority: 9 })], bench.nowMs + 5);
      expect(outcomes).toEqual([{ at: 'known', task: before }]);
      expect(await bench.record('a')).toEqual(before);
      expect(await bench.claim(1, { kind: 'other' })).toEqual([]);
    });

    test('of two with one id in a batch the first is accepted, the second is known', async () => {
      const outcomes = await bench.store.submit(
        [newTask('a', { input: 'first' }), newTask('b'), newTask('a', { input: 'second' })],
        bench.nowMs,
      );
      const task = await bench.record('a');
      expect(task?.input).toBe('first');
      expect(outcomes).toEqual([{ at: 'accepted' }, { at: 'accepted' }, { at: 'known', task }]);
      expect((await bench.all()).map(({ id }) => id)).toEqual(['a', 'b']);
      expect((await bench.claim(10)).map(({ id }) => id)).toEqual(['a', 'b']);
    });

    test('an id stays known when its task has ended', async () => {
      await bench.complete(await bench.running('a'), '42');
      const [outcome] = await bench.store.submit([newTask('a')], bench.nowMs);
      expect(outcome).toMatchObject({ at: 'known', task: { status: 'completed', result: '42' } });
      expect(await bench.claim()).toEqual([]);
    });

    test('known tasks in a large batch do not disturb the new ones', async () => {
      await bench.submit('task-3', 'task-77');
      const batch = Array.from({ length: 130 }, (_, at) => newTask(`task-${at}`));
      const outcomes = await bench.store.submit(batch, bench.nowMs);
      expect(outcomes.flatMap(({ at }, index) => (at === 'accepted' ? [] : [`${at} ${batch[index]!.id}`]))).toEqual([
        'known task-3',
        'known task-77',
      ]);
      expect(await bench.claim(1_000)).toHaveLength(130);
    });

    describe('at the limit of unfinished tasks', () => {
      test('the store is full for new tasks, and the known ones stay known', async () => {
        await bench.store.close();
        await bench.open(2);
        const outcomes = await bench.store.submit([newTask('a'), newTask('b'), newTask('c'), newTask('a')], bench.nowMs);
        expect(outcomes).toMatchObject([{ at: 'accepted' }, { at: 'accepted' }, { at: 'full', limit: 2 }, { at: 'known' }]);
        expect(await bench.record('c')).toBeUndefined();
      });

      test('a task that ends makes room, one that only waits does not', async () => {
        await bench.store.close();
        await bench.open(1);
        const run = await bench.running('a');
        await bench.settle(run, { at: 'retry', error: 'e', readyAtMs: bench.nowMs });
        expect(await bench.store.submit([newTask('b')], bench.nowMs)).toMatchObject([{ at: 'full', limit: 1 }]);
        await bench.store.sweep(bench.nowMs);
        await bench.complete(await bench.runNext('a'));
        expect(await bench.store.submit([newTask('b')], bench.nowMs)).toEqual([{ at: 'accepted' }]);
      });

      test('children are exempt, and count', async () => {
        await bench.store.close();
        await bench.open(1);
        const { id, fence } = await bench.running('a');
        const child = newTask('a/1', { parent: { id, fence, place: 'ask#1' } });
        expect(await bench.store.submit([newTask('b'), child, newTask('c')], bench.nowMs)).toMatchObject([
          { at: 'full', limit: 1 },
          { at: 'accepted' },
          { at: 'full', limit: 1 },
        ]);
        // It runs, so it has not ended with its parent.
        await bench.runNext('a/1');
        await bench.complete({ id, fence });
        expect(await bench.store.submit([newTask('b')], bench.nowMs)).toMatchObject([{ at: 'full', limit: 1 }]);
      });

      test('tasks that are there already count for the next owner', async () => {
        await bench.submit('a', 'b');
        await bench.store.close();
        await bench.open(3);
        expect(await bench.store.submit([newTask('c'), newTask('d')], bench.nowMs)).toMatchObject([
          { at: 'accepted' },
          { at: 'full', limit: 3 },
        ]);
      });
    });

    describe('by a run', () => {
      test('a child knows its parent', async () => {
        const { id, fence } = await bench.running('a');
        await bench.submit(newTask('a/1', { parent: { id, fence, place: 'ask#1' }, depth: 1 }));
        expect(await bench.record('a/1')).toMatchObject({ parentId: 'a', depth: 1, status: 'queued' });
        expect(await bench.claim()).toMatchObject([{ id: 'a/1', parentId: 'a', depth: 1 }]);
      });

      test('a run that has its lease may ask for a child before it has started', async () => {
        await bench.submit('a');
        const [leased] = await bench.claim();
        const { id, fence } = leased!;
        await bench.submit(newTask('a/1', { parent: { id, fence, place: 'ask#1' } }));
        expect(await bench.store.start([{ id, fence }], bench.nowMs)).toMatchObject([
          { at: 'started', children: [{ id: 'a/1', place: 'ask#1', status: 'queued' }] },
        ]);
      });

      test('a run that no longer has its lease is refused, and the rest of the batch is not', async () => {
        const first = await bench.running('a');
        await bench.settle(first, { at: 'released' });
        const second = await bench.runNext('a');
        const child = (of: { id: string; fence: number }, id: string) => newTask(id, { parent: { id: of.id, fence: of.fence, place: id } });
        const never = child({ id: 'nobody', fence: 1 }, 'c4');
        const outcomes = await bench.store.submit(
          [child(first, 'c1'), newTask('b'), child(second, 'c2'), child({ id: 'a', fence: 99 }, 'c3'), never],
          bench.nowMs,
        );
        expect(outcomes).toEqual([STALE, { at: 'accepted' }, { at: 'accepted' }, STALE, STALE]);
        expect((await bench.all()).map(({ id }) => id)).toEqual(['a', 'b', 'c2']);
      });

      test('a run that has ended is refused, also for a child that is known', async () => {
        const run = await bench.running('a');
        const child = newTask('a/1', { parent: { id: run.id, fence: run.fence, place: 'ask#1' } });
        await bench.submit(child);
        expect(await bench.store.submit([child], bench.nowMs)).toMatchObject([{ at: 'known' }]);
        await bench.complete(run);
        expect(await bench.store.submit([child, newTask('a/2', child)], bench.nowMs)).toEqual([STALE, STALE]);
      });
    });
  });
}
