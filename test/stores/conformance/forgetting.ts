import { describe, expect, test } from 'vitest';
import type { EndedStatus, ForgetReply } from '../../../actors/ports/store.ts';
import { Bench, newTask, STALE } from './place.ts';
import type { MakePlace } from './place.ts';

const EVERY: readonly EndedStatus[] = ['completed', 'failed', 'cancelled', 'dead'];

export function forgetting(makePlace: MakePlace): void {
  describe('forgetting', () => {
    const bench = new Bench(makePlace);

    /** Whatever of these has ended so long ago. */
    const forget = (agoMs = 0, statuses: readonly EndedStatus[] = EVERY, limit = 100): Promise<ForgetReply> =>
      bench.store.forget({ endedByMs: Object.fromEntries(statuses.map((status) => [status, bench.nowMs - agoMs])), limit });

    const ids = async (): Promise<string[]> => (await bench.all()).map(({ id }) => id);

    /** It has asked for `child`, which has completed, and has sent `sent`. */
    async function family(): Promise<void> {
      const parent = await bench.running('parent');
      const of = { id: 'parent', fence: parent.fence };
      await bench.submit(newTask('child', { parent: { ...of, place: 'ask:child' }, rootId: 'parent', depth: 1 }));
      await bench.complete(await bench.runNext('child'));
      const send = newTask('sent', { parent: { ...of, place: 'send:sent' }, rootId: 'parent', depth: 1 });
      await bench.settle(parent, { at: 'completed', result: null, sends: [send] });
    }

    test('takes what has ended for so long, in the statuses that are named, and nothing else', async () => {
      await bench.complete(await bench.running('completed'));
      await bench.settle(await bench.running('failed'), { at: 'failed', error: 'e' });
      await bench.settle(await bench.running('dead'), { at: 'dead', error: 'e' });
      await bench.submit('cancelled', newTask('queued', { kind: 'other' }), newTask('parked', { notBeforeMs: 9e9 }));
      await bench.steer('cancelled', 'cancel');
      bench.nowMs += 100;
      await bench.complete(await bench.running('young'));
      expect(await forget(101)).toEqual({ forgotten: 0, more: false });
      expect(await forget(100, ['completed', 'failed'])).toEqual({ forgotten: 2, more: false });
      expect(await ids()).toEqual(['dead', 'cancelled', 'queued', 'parked', 'young']);
      expect(await forget(100)).toEqual({ forgotten: 2, more: false });
      expect(await bench.store.counts()).toMatchObject({
        triage: { completed: 1, failed: 0, dead: 0, cancelled: 0, parked: 1 },
        other: { queued: 1 },
      });
    });

    test('leaves nothing of it: no record, no story, no word that it was told', async () => {
      const run = await bench.running('a');
      await bench.store.remember([{ id: 'a', fence: run.fence, place: 'p', hash: 'h', value: '1' }], bench.nowMs);
      await bench.store.signal([{ id: 'a', name: 'e', value: '1', key: 'k' }], bench.nowMs);
      await bench.complete(run);
      await forget();
      expect([await bench.record('a'), await bench.store.story('a')]).toEqual([undefined, []]);
      expect(await bench.steer('a', 'cancel')).toMatchObject({ outcomes: [{ at: 'unknown' }] });
      const { outcomes } = await bench.store.signal([{ id: 'a', name: 'e', value: '1', key: 'k' }], bench.nowMs);
      expect(outcomes).toMatchObject([{ at: 'unknown' }]);
      const again = await bench.running('a');
      expect(await bench.given(again)).toMatchObject({ memory: [], events: [], attempt: 1 });
    });

    test('takes a task with all that it asked for and sent, at once, when all of them have ended for as long', async () => {
      await family();
      expect(await forget()).toEqual({ forgotten: 0, more: false });
      bench.nowMs += 10;
      await bench.complete(await bench.runNext('sent'));
      expect(await forget(10)).toEqual({ forgotten: 0, more: false });
      expect(await ids()).toEqual(['parent', 'child', 'sent']);
      bench.nowMs += 10;
      expect(await forget(10)).toEqual({ forgotten: 3, more: false });
      expect(await ids()).toEqual([]);
    });

    test('keeps all of them for one that is dead, where the dead are kept', async () => {
      await family();
      await bench.settle(await bench.runNext('sent'), { at: 'dead', error: 'e' });
      expect((await forget(0, ['completed'])).forgotten).toBe(0);
      expect((await forget()).forgotten).toBe(3);
    });

    test('an id that comes again is a new task, and no run of the one before can do anything to it, over restarts either', async () => {
      const before = await bench.running('a');
      await bench.complete(before);
      await forget();
      const after = await bench.running('a');
      expect(after.fence).toBeGreaterThan(before.fence);
      expect(await bench.settle(before, { at: 'completed', result: 'late', sends: [] })).toEqual(STALE);
      for (let at = 0; at < 5; at += 1) await bench.settle(await (at === 0 ? after : bench.runNext('a')), { at: 'released' });
      await bench.steer('a', 'cancel');
      const { fence } = (await bench.record('a'))!;
      await forget();
      await bench.crashAndOpen();
      expect((await bench.running('a')).fence).toBeGreaterThan(fence);
    });

    test('looks at so many with each command, the oldest first, and begins again when it has come to the end', async () => {
      for (const id of ['a', 'b', 'c', 'd', 'e']) await bench.submit(id);
      for (const id of ['b', 'd', 'e']) await bench.steer(id, 'cancel');
      expect(await forget(0, EVERY, 2)).toEqual({ forgotten: 1, more: true });
      expect(await forget(0, EVERY, 2)).toEqual({ forgotten: 1, more: true });
      expect(await forget(0, EVERY, 2)).toEqual({ forgotten: 1, more: false });
      await bench.steer('a', 'cancel');
      expect(await forget(0, EVERY, 2)).toEqual({ forgotten: 1, more: false });
      expect(await ids()).toEqual(['c']);
    });

    test('looks no further than to the first that came later than it asks for', async () => {
      await bench.submit('old');
      bench.nowMs += 10;
      await bench.submit('young', 'younger');
      expect(await forget(1, EVERY, 1)).toEqual({ forgotten: 0, more: false });
      await bench.steer('old', 'cancel');
      expect(await forget(0, EVERY, 1)).toEqual({ forgotten: 1, more: true });
    });

    test('what comes after it goes on where it was in the list, and in line for locks', async () => {
      const locks = [{ resource: 'r', mode: 'write' as const }];
      await bench.complete(await bench.running('gone'));
      const holder = await bench.running('holder', { locks });
      await bench.submit(newTask('waiter', { locks }));
      expect((await bench.tryNext('waiter')).outcome).toMatchObject({ at: 'blocked', holder: 'holder' });
      await forget();
      await bench.complete(holder);
      expect(await bench.standing('waiter')).toEqual(['queued']);
      expect((await bench.store.list({ limit: 9, after: 'holder' })).map(({ id }) => id)).toEqual(['waiter']);
    });
  });
}
