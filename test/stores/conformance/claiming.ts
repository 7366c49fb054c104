import { describe, expect, test } from 'vitest';
import { Bench, newTask, SETTLED } from './place.ts';
import type { MakePlace } from './place.ts';

export function claiming(makePlace: MakePlace): void {
  describe('claim', () => {
    const bench = new Bench(makePlace);
    const ids = (tasks: readonly { readonly id: string }[]): string[] => tasks.map(({ id }) => id);

    test('a claimed task carries what a run needs', async () => {
      await bench.submit(newTask('a', { version: '2', input: '{"x":1}', priority: 4, depth: 2 }));
      expect(await bench.claim(1, { leaseMs: 500.25 })).toEqual([
        {
          id: 'a',
          kind: 'triage',
          version: '2',
          input: '{"x":1}',
          priority: 4,
          // Its arrival, less a minute for each level.
          rank: bench.nowMs - 4 * 60_000,
          fence: 1,
          depth: 2,
          parentId: null,
          leaseUntilMs: bench.nowMs + 500.25,
          rootId: null,
          tenant: null,
          affinity: null,
          deadlineMs: null,
        },
      ]);
      expect(await bench.record('a')).toMatchObject({ status: 'leased', fence: 1, attempt: 0 });
    });

    test('a task under lease is not claimed again', async () => {
      await bench.submit('a', 'b');
      expect(ids(await bench.claim())).toEqual(['a']);
      expect(ids(await bench.claim(5))).toEqual(['b']);
      expect(await bench.claim(5)).toEqual([]);
    });

    test('only the wanted kinds are claimed, and no more than the limit of each', async () => {
      await bench.submit(
        newTask('a1', { kind: 'a' }),
        newTask('b1', { kind: 'b' }),
        newTask('a2', { kind: 'a' }),
        newTask('c1', { kind: 'c' }),
        newTask('a3', { kind: 'a' }),
      );
      const wants = [
        { kind: 'a', limit: 2 },
        { kind: 'b', limit: 2 },
        { kind: 'none', limit: 2 },
        { kind: 'c', limit: 0 },
      ];
      expect(ids(await bench.store.claim({ wants, leaseUntilMs: 9e9, nowMs: bench.nowMs }))).toEqual(['a1', 'b1', 'a2']);
    });

    test('a limit may be endless, and nothing may be wanted', async () => {
      await bench.submit('a', 'b', 'c');
      expect(await bench.store.claim({ wants: [], leaseUntilMs: 9e9, nowMs: bench.nowMs })).toEqual([]);
      expect(await bench.claim(-1)).toEqual([]);
      expect(ids(await bench.claim(Infinity))).toEqual(['a', 'b', 'c']);
    });

    test('a kind that is wanted twice is claimed up to both limits', async () => {
      await bench.submit('a', 'b', 'c', 'd');
      const wants = [
        { kind: 'triage', limit: 1 },
        { kind: 'triage', limit: 2 },
      ];
      expect(ids(await bench.store.claim({ wants, leaseUntilMs: 9e9, nowMs: bench.nowMs }))).toEqual(['a', 'b', 'c']);
    });

    test('higher priority goes first, then arrival', async () => {
      await bench.submit(
        newTask('low', { priority: -1 }),
        newTask('a'),
        newTask('high', { priority: 10 }),
        newTask('b'),
        newTask('higher', { priority: 10.5 }),
      );
      expect(ids(await bench.claim(3))).toEqual(['higher', 'high', 'a']);
      await bench.submit(newTask('late', { priority: 10 }));
      expect(ids(await bench.claim(3))).toEqual(['late', 'b', 'low']);
    });

    test('tasks of several kinds come in one order', async () => {
      await bench.submit(
        newTask('a1', { kind: 'a' }),
        newTask('b1', { kind: 'b', priority: 1 }),
        newTask('a2', { kind: 'a', priority: 2 }),
        newTask('b2', { kind: 'b' }),
      );
      const wants = [
        { kind: 'a', limit: 9 },
        { kind: 'b', limit: 9 },
      ];
      expect(ids(await bench.store.claim({ wants, leaseUntilMs: 9e9, nowMs: bench.nowMs }))).toEqual(['a2', 'b1', 'a1', 'b2']);
    });

    test('a resumed task goes ahead of new work, whatever its priority', async () => {
      await bench.submit(newTask('new', { priority: 100 }));
      const [parked] = await bench.claim();
      await bench.submit('other');
      await bench.settle(parked!, { at: 'parked', reason: 'timer', children: [], wakeAtMs: bench.nowMs + 10 });
      const run = await bench.runNext('other');
      await bench.settle(run, { at: 'parked', reason: 'timer', children: [], wakeAtMs: bench.nowMs + 10 });
      await bench.submit(newTask('urgent', { priority: 1_000 }));
      await bench.store.sweep(bench.nowMs + 10);
      // Among resumed ones priority decides.
      expect(ids(await bench.claim(9))).toEqual(['new', 'other', 'urgent']);
    });

    test('a retried task stands where it arrived, not ahead and not at the end', async () => {
      await bench.submit('a', 'b', 'c');
      const run = await bench.runNext('a');
      await bench.settle(run, { at: 'retry', error: 'e', readyAtMs: bench.nowMs });
      await bench.store.sweep(bench.nowMs);
      await bench.submit(newTask('urgent', { priority: 1 }));
      expect(ids(await bench.claim(9))).toEqual(['urgent', 'a', 'b', 'c']);
    });

    test('a resumed task that is retried later is new work again', async () => {
      const run = await bench.running('a');
      await bench.settle(run, { at: 'lost', error: 'e' });
      await bench.settle(await bench.runNext('a'), { at: 'retry', error: 'e', readyAtMs: bench.nowMs });
      await bench.store.sweep(bench.nowMs);
      await bench.submit(newTask('urgent', { priority: 1 }));
      expect(ids(await bench.claim(9))).toEqual(['urgent', 'a']);
    });

    test('the fence grows with every claim, and only then', async () => {
      await bench.submit('a');
      for (let fence = 1; fence <= 4; fence += 1) {
        const [claimed] = await bench.claim();
        expect(claimed?.fence).toBe(fence);
        expect(await bench.settle(claimed!, { at: 'released' })).toEqual(SETTLED('queued'));
        expect((await bench.record('a'))?.fence).toBe(fence);
      }
    });

    test('of many tasks each is claimed once, in order', async () => {
      const many = Array.from({ length: 3_000 }, (_, at) => `task-${at}`);
      await bench.submit(...many);
      const claimed: string[] = [];
      for (const limit of [1, 7, 100, 250, 1_000, 5_000]) claimed.push(...ids(await bench.claim(limit)));
      expect(claimed).toEqual(many);
    });

    test('claims at the same time share the tasks out', async () => {
      await bench.submit(...Array.from({ length: 50 }, (_, at) => `task-${at}`));
      const claims = await Promise.all(Array.from({ length: 20 }, () => bench.claim(3)));
      const all = claims.flat().map(({ id }) => id);
      expect(all).toHaveLength(50);
      expect(new Set(all).size).toBe(50);
    });
  });
}
