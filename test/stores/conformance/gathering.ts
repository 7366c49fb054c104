import { describe, expect, test } from 'vitest';
import type { ClaimedTask, SettleReply } from '../../../actors/ports/store.ts';
import { Bench, newTask, parked, SETTLED } from './place.ts';
import type { MakePlace } from './place.ts';

export function gathering(makePlace: MakePlace): void {
  describe('a task that gathers', () => {
    const bench = new Bench(makePlace);
    let children: readonly ClaimedTask[] = [];

    /** A parent that waits for three children, and what else is said. */
    async function waiting(changes: { gatherMs?: number; wakeAtMs?: number } = {}): Promise<void> {
      await bench.submit(newTask('p', { kind: 'parent' }));
      const [parent] = await bench.claim(1, { kind: 'parent' });
      await bench.submit(...['c1', 'c2', 'c3'].map((id) => newTask(id, { parent: { id: 'p', fence: parent!.fence, place: id } })));
      children = await bench.claim(3);
      const outcome = parked('child', { children: ['c1', 'c2', 'c3'], gatherMs: 50, ...changes });
      expect(await bench.settle(parent!, outcome)).toEqual(SETTLED('parked'));
    }

    const end = (...which: number[]): Promise<SettleReply> =>
      bench.store.settle(
        which.map((at) => ({ id: children[at]!.id, fence: children[at]!.fence, outcome: { at: 'completed', result: null, sends: [] } })),
        bench.nowMs,
      );

    test('the first that comes does not queue it yet, and it is told when to look', async () => {
      await waiting();
      bench.nowMs += 5;
      expect(await end(0)).toMatchObject({ ready: [], nextAtMs: bench.nowMs + 50 });
      expect(await bench.record('p')).toMatchObject({ status: 'parked', parkedFor: 'child', dueAtMs: bench.nowMs + 50 });
    });

    test('the second that comes by a clock that was set back changes nothing of when that is', async () => {
      await waiting();
      await end(0);
      const dueAtMs = (await bench.record('p'))?.dueAtMs;
      bench.nowMs -= 10;
      expect((await end(1)).nextAtMs).toBeUndefined();
      expect(await bench.record('p')).toMatchObject({ status: 'parked', dueAtMs });
    });

    test('one that began to gather when the store was opened is not told of by a later command', async () => {
      await bench.submit(newTask('p', { kind: 'parent' }), newTask('lost', { kind: 'child', maxLosses: 1 }));
      const [[parent], [lost]] = [await bench.claim(1, { kind: 'parent' }), await bench.claim(1, { kind: 'child' })];
      await bench.start(parent!);
      await bench.start(lost!);
      const either = { children: ['lost'], events: [{ name: 'go', n: 0 }], gatherMs: 20 };
      await bench.settle(parent!, parked('child', either));
      await bench.crashAndOpen();
      expect(await bench.standing('lost', 'p')).toEqual(['dead', 'parked:child']);
      await bench.sweepIn(20);
      const p = await bench.claim(1, { kind: 'parent' });
      await bench.start(p[0]!);
      const outcome = parked('event', { events: [{ name: 'go', n: 0 }], wakeAtMs: bench.nowMs + 1_000 });
      const reply = await bench.store.settle([{ id: 'p', fence: p[0]!.fence, outcome }], bench.nowMs);
      expect(reply.nextAtMs).toBeUndefined();
    });

    test('it is queued when all are there', async () => {
      await waiting();
      await end(0);
      expect((await end(2)).ready).toEqual([]);
      expect((await end(1)).ready).toEqual(['parent']);
      expect((await bench.sweepIn(60)).nextAtMs).toBeNull();
    });

    test('it is queued when the time is over, counted from the first', async () => {
      await waiting();
      await end(0);
      bench.nowMs += 30;
      expect((await end(1)).nextAtMs ?? bench.nowMs + 20).toBe(bench.nowMs + 20);
      expect(await bench.sweepIn(19)).toMatchObject({ ready: [], nextAtMs: bench.nowMs + 1 });
      expect((await bench.sweepIn(1)).ready).toEqual(['parent']);
      const [again] = await bench.claim(1, { kind: 'parent' });
      expect((await bench.given(again!)).children.map(({ status }) => status)).toEqual(['completed', 'completed', 'leased']);
    });

    test('all in one command queue it at once', async () => {
      await waiting();
      expect((await end(0, 1, 2)).ready).toEqual(['parent']);
    });

    test('the time that it waits for comes first, if that is earlier', async () => {
      await waiting({ wakeAtMs: bench.nowMs + 20 });
      await end(0);
      expect(await bench.sweepIn(20)).toMatchObject({ ready: ['parent'] });
    });

    test('without a time to gather the first that comes queues it', async () => {
      await waiting({ gatherMs: 0 });
      expect((await end(1)).ready).toEqual(['parent']);
    });

    test('one that waits for one thing only does not gather', async () => {
      const run = await bench.running('a');
      await bench.settle(run, parked('event', { events: [{ name: 'e', n: 0 }], gatherMs: 50 }));
      expect((await bench.store.signal([{ id: 'a', name: 'e', value: '1' }], bench.nowMs)).ready).toEqual(['triage']);
    });

    test('what had come before the park is the first: the others may follow', async () => {
      const run = await bench.running('a');
      await bench.store.signal([{ id: 'a', name: 'e', value: '1' }], bench.nowMs);
      const events = [0, 1].map((n) => ({ name: 'e', n }));
      const { outcomes, nextAtMs } = await bench.store.settle(
        [{ id: 'a', fence: run.fence, outcome: parked('event', { events, gatherMs: 50 }) }],
        bench.nowMs,
      );
      expect(outcomes).toEqual([SETTLED('parked')]);
      expect(nextAtMs).toBe(bench.nowMs + 50);
      await bench.store.signal([{ id: 'a', name: 'e', value: '2' }], bench.nowMs);
      expect(await bench.standing('a')).toEqual(['queued']);
    });

    test('one that has gathered, and waits for something else by now, is not told of any more', async () => {
      const events = [0, 1].map((n) => ({ name: 'e', n }));
      await bench.settle(await bench.running('a'), parked('event', { events, gatherMs: 50 }));
      await bench.store.signal([{ id: 'a', name: 'e', value: '1' }], bench.nowMs);
      await bench.sweepIn(50);
      const run = await bench.runNext('a');
      const outcome = parked('child', { children: ['nobody'] });
      expect((await bench.store.settle([{ id: 'a', fence: run.fence, outcome }], bench.nowMs)).nextAtMs).toBeUndefined();
    });

    test('it goes on gathering after a crash', async () => {
      await waiting();
      await end(0);
      await bench.crashAndOpen();
      expect((await bench.sweepIn(49)).ready).not.toContain('parent');
      expect((await bench.sweepIn(1)).ready).toContain('parent');
    });
  });
}
