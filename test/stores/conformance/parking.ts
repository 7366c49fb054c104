import { describe, expect, test } from 'vitest';
import type { ClaimedTask, SettledOutcome } from '../../../actors/ports/store.ts';
import { Bench, KIND, newTask, SETTLED, started, swept } from './place.ts';
import type { MakePlace } from './place.ts';

const waitFor = (...children: string[]): SettledOutcome => ({ at: 'parked', reason: 'children', children, wakeAtMs: null });

export function parking(makePlace: MakePlace): void {
  describe('park', () => {
    const bench = new Bench(makePlace);

    /** A running parent of kind `parent` and its running children. */
    async function family(...children: string[]): Promise<{ parent: ClaimedTask; child: Record<string, ClaimedTask> }> {
      await bench.submit(newTask('p', { kind: 'parent' }));
      const [parent] = await bench.claim(1, { kind: 'parent' });
      await bench.store.start([parent!], bench.nowMs);
      await bench.submit(
        ...children.map((id) => newTask(id, { parent: { id: 'p', fence: parent!.fence, place: `ask:${id}` }, depth: 1, maxLosses: 1 })),
      );
      const claimed = await bench.claim(children.length, { leaseMs: 1_000 });
      await bench.store.start(claimed, bench.nowMs);
      return { parent: parent!, child: Object.fromEntries(claimed.map((task) => [task.id, task])) };
    }

    const parentStatus = async (): Promise<string | undefined> => (await bench.record('p'))?.status;

    test('a parked task gives lease and attempt back, and says what for', async () => {
      const { parent } = await family('c');
      expect(await bench.settle(parent, waitFor('c'))).toEqual(SETTLED('parked'));
      expect(await bench.record('p')).toMatchObject({ status: 'parked', attempt: 0, losses: 0, parkedFor: 'children', finishedAtMs: null });
      expect(await bench.claim(1, { kind: 'parent' })).toEqual([]);
    });

    test('a run that parks before it had started has no attempt to give back', async () => {
      await bench.submit('a');
      const [leased] = await bench.claim();
      expect(await bench.settle(leased!, waitFor())).toEqual(SETTLED('parked'));
      expect((await bench.record('a'))?.attempt).toBe(0);
    });

    test('a child that ends after the park wakes its parent, which finds the result', async () => {
      const { parent, child } = await family('c');
      await bench.settle(parent, waitFor('c'));
      const { ready } = await bench.store.settle(
        [{ id: 'c', fence: child['c']!.fence, outcome: { at: 'completed', result: '"r"', sends: [] } }],
        bench.nowMs,
      );
      expect(ready).toEqual(['parent']);
      expect(await bench.record('p')).toMatchObject({ status: 'queued', parkedFor: null });
      const [again] = await bench.claim(1, { kind: 'parent' });
      expect(again?.fence).toBe(parent.fence + 1);
      expect(await bench.store.start([again!], bench.nowMs)).toEqual([
        started({ children: [{ id: 'c', place: 'ask:c', status: 'completed', result: '"r"', error: null }] }),
      ]);
    });

    test('a child that has ended before the park queues its parent at once', async () => {
      const { parent, child } = await family('c');
      await bench.complete(child['c']!);
      const { outcomes, ready } = await bench.store.settle([{ id: 'p', fence: parent.fence, outcome: waitFor('c') }], bench.nowMs);
      expect(outcomes).toEqual([SETTLED('queued')]);
      expect(ready).toEqual(['parent']);
      expect(await bench.record('p')).toMatchObject({ status: 'queued', attempt: 0, parkedFor: null });
    });

    for (const order of ['park first', 'child first'] as const) {
      test(`a child that ends in the very batch in which its parent parks wakes it (${order})`, async () => {
        const { parent, child } = await family('c');
        const items = [
          { id: 'p', fence: parent.fence, outcome: waitFor('c') },
          { id: 'c', fence: child['c']!.fence, outcome: { at: 'failed', error: 'e' } as const },
        ];
        if (order === 'child first') items.reverse();
        const { outcomes, ready } = await bench.store.settle(items, bench.nowMs);
        expect(outcomes.map((outcome) => outcome.at === 'settled' && outcome.status).toSorted()).toEqual(['failed', 'queued']);
        expect(ready).toEqual(['parent']);
        expect(await parentStatus()).toBe('queued');
      });
    }

    for (const at of ['completed', 'failed', 'dead', 'lost'] as const) {
      test(`a child that ends as ${at === 'lost' ? 'dead by losses' : at} wakes its parent`, async () => {
        const { parent, child } = await family('c');
        await bench.settle(parent, waitFor('c'));
        await bench.settle(child['c']!, at === 'completed' ? { at, result: null, sends: [] } : { at, error: 'e' });
        expect(await parentStatus()).toBe('queued');
      });
    }

    for (const [how, outcome] of Object.entries({
      retries: { at: 'retry', error: 'e', readyAtMs: 0 },
      'is released': { at: 'released' },
      parks: { at: 'parked', reason: 'r', children: [], wakeAtMs: null },
    } satisfies Record<string, SettledOutcome>)) {
      test(`a child that only ${how} does not wake its parent`, async () => {
        const { parent, child } = await family('c');
        await bench.settle(parent, waitFor('c'));
        await bench.settle(child['c']!, outcome);
        await bench.store.sweep(bench.nowMs);
        expect(await parentStatus()).toBe('parked');
      });
    }

    test('a child that dies of an expired lease wakes its parent', async () => {
      const { parent } = await family('c');
      await bench.settle(parent, waitFor('c'));
      const { ready, expired } = await bench.store.sweep(bench.nowMs + 1_000);
      expect(expired).toMatchObject([{ id: 'c', status: 'dead' }]);
      expect(ready).toEqual(['parent']);
      expect(await parentStatus()).toBe('queued');
    });

    test('a child that dies with its owner wakes its parent', async () => {
      const { parent } = await family('c');
      await bench.settle(parent, waitFor('c'));
      await bench.crashAndOpen();
      expect(await bench.record('c')).toMatchObject({ status: 'dead', losses: 1 });
      expect(await parentStatus()).toBe('queued');
    });

    test('waiting for many children, the first that ends wakes, and the others do not wake it again', async () => {
      const ids = Array.from({ length: 30 }, (_, at) => `c${at}`);
      const { parent, child } = await family(...ids);
      await bench.settle(parent, waitFor(...ids));
      await bench.complete(child['c17']!);
      expect(await parentStatus()).toBe('queued');
      const [again] = await bench.claim(1, { kind: 'parent' });
      await bench.store.start([again!], bench.nowMs);
      await bench.complete(child['c3']!);
      expect(await parentStatus()).toBe('running');
      // It waits for one of the others now: what it waited for before no longer counts.
      await bench.settle(again!, waitFor('c9'));
      await bench.complete(child['c4']!);
      expect(await parentStatus()).toBe('parked');
      await bench.complete(child['c9']!);
      expect(await parentStatus()).toBe('queued');
    });

    test('a child that it does not wait for does not wake it', async () => {
      const { parent, child } = await family('c', 'd');
      await bench.settle(parent, waitFor('c'));
      await bench.complete(child['d']!);
      expect(await parentStatus()).toBe('parked');
    });

    test('several tasks may wait for one, and it need not be their child', async () => {
      const child = await bench.running('c');
      await bench.submit('x', 'y');
      const [x, y] = await bench.claim(2);
      await bench.settle(x!, waitFor('c'));
      await bench.settle(y!, waitFor('c', 'c', 'nobody'));
      await bench.complete(child);
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['x', 'y']);
    });

    test('a task that is submitted only after the park wakes too when it ends', async () => {
      await bench.settle(await bench.running('a'), waitFor('later'));
      const later = await bench.running('later', { priority: 1 });
      expect((await bench.record('a'))?.status).toBe('parked');
      await bench.complete(later);
      expect((await bench.record('a'))?.status).toBe('queued');
    });

    test('the clock wakes a parked task when it is due, ahead of new work', async () => {
      const { parent } = await family('c');
      await bench.settle(parent, { at: 'parked', reason: 'timer', children: ['c'], wakeAtMs: bench.nowMs + 50 });
      await bench.submit(newTask('new', { kind: 'parent', priority: 9 }));
      expect(await bench.store.sweep(bench.nowMs + 49)).toEqual(swept({ nextAtMs: bench.nowMs + 50 }));
      expect(await bench.store.sweep(bench.nowMs + 50)).toEqual(swept({ ready: ['parent'] }));
      expect((await bench.claim(9, { kind: 'parent' })).map(({ id }) => id)).toEqual(['p', 'new']);
    });

    test('a child that ends first leaves no alarm behind', async () => {
      const { parent, child } = await family('c');
      await bench.settle(parent, { at: 'parked', reason: 'timer', children: ['c'], wakeAtMs: bench.nowMs + 50 });
      await bench.complete(child['c']!);
      expect(await bench.store.sweep(bench.nowMs + 60)).toEqual(swept());
    });

    test('a time that has come already queues at once', async () => {
      const run = await bench.running('a');
      expect(await bench.settle(run, { at: 'parked', reason: 'timer', children: ['nobody'], wakeAtMs: bench.nowMs })).toEqual(
        SETTLED('queued'),
      );
      expect(await bench.claim(1, { kind: KIND })).toMatchObject([{ id: 'a' }]);
    });

    test('a task that waits for nothing stays parked', async () => {
      await bench.settle(await bench.running('a'), waitFor());
      expect(await bench.store.sweep(bench.nowMs + 1e9)).toEqual(swept());
      expect((await bench.record('a'))?.status).toBe('parked');
    });

    test('a grandchild wakes its parent, and that one, when it ends, its own', async () => {
      const { parent, child } = await family('c');
      await bench.settle(parent, waitFor('c'));
      await bench.submit(newTask('g', { kind: 'leaf', parent: { id: 'c', fence: child['c']!.fence, place: 'ask:g' }, depth: 2 }));
      await bench.settle(child['c']!, waitFor('g'));
      const [leaf] = await bench.claim(1, { kind: 'leaf' });
      await bench.complete(leaf!);
      expect(await parentStatus()).toBe('parked');
      await bench.complete(await bench.runNext('c'));
      expect(await parentStatus()).toBe('queued');
    });

    test('a parent and its child that are started by one batch: the child is told as started', async () => {
      const run = await bench.running('p');
      await bench.submit(newTask('c', { parent: { id: 'p', fence: run.fence, place: 'ask' } }));
      const [child] = await bench.claim();
      expect(await bench.store.start([run, child!], bench.nowMs)).toMatchObject([
        { children: [{ id: 'c', status: 'running' }] },
        { at: 'started' },
      ]);
    });

    test('children come in order of arrival, and a retried parent finds them too', async () => {
      const { parent, child } = await family('c2', 'c1', 'c3');
      await bench.settle(child['c1']!, { at: 'failed', error: 'broken' });
      await bench.settle(parent, { at: 'retry', error: 'e', readyAtMs: bench.nowMs });
      await bench.store.sweep(bench.nowMs);
      const [again] = await bench.claim(1, { kind: 'parent' });
      const [run] = await bench.store.start([again!], bench.nowMs);
      expect(run).toMatchObject({
        attempt: 2,
        children: [
          { id: 'c2', place: 'ask:c2', status: 'running', result: null, error: null },
          { id: 'c1', place: 'ask:c1', status: 'failed', result: null, error: 'broken' },
          { id: 'c3', place: 'ask:c3', status: 'running', result: null, error: null },
        ],
      });
    });
  });
}
