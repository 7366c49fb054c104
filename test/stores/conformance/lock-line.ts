import { describe, expect, test } from 'vitest';
import { PROMISE_MS } from '../../../actors/conflicts/lock-table.ts';
import type { ClaimedTask } from '../../../actors/ports/store.ts';
import { Bench, newTask, write } from './place.ts';
import type { MakePlace } from './place.ts';

export function standingInLine(makePlace: MakePlace): void {
  describe('the line for locks', () => {
    const bench = new Bench(makePlace);

    /** Runs of tasks that come one after the other, each of a kind of its own; undefined: it was blocked. */
    async function arrive(id: string, ...resources: string[]): Promise<ClaimedTask | undefined> {
      await bench.submit(newTask(id, { kind: id, locks: write(...resources) }));
      bench.nowMs += 1;
      return again(id);
    }

    async function again(id: string): Promise<ClaimedTask | undefined> {
      const [claimed] = await bench.claim(1, { kind: id, leaseMs: 9e9 });
      if (claimed === undefined) return undefined;
      return (await bench.start(claimed)).at === 'started' ? claimed : undefined;
    }

    test('those who can run together are woken together, the oldest first; nobody else is', async () => {
      const holder = await arrive('holder', 'f', 'g');
      for (const [id, ...resources] of [
        ['a', 'f'],
        ['b', 'f', 'g'],
        ['c', 'g'],
        ['d', 'f'],
      ] as const)
        await arrive(id, ...resources);
      await bench.complete(holder!);
      expect(await bench.standing('a', 'b', 'c', 'd')).toEqual(['queued', 'parked:locks', 'queued', 'parked:locks']);
      const a = await again('a');
      const c = await again('c');
      await bench.complete(a!);
      // d could go, b could not.
      expect((await bench.standing('b'))[0]).toBe('parked:locks');
      await bench.complete(c!);
      expect((await bench.standing('b', 'd')).includes('queued')).toBe(true);
    });

    test('who is woken and does not come keeps nobody out for longer by a clock that was set back over a restart', async () => {
      const holder = await arrive('holder', 'f');
      await arrive('woken', 'f');
      await arrive('next', 'f');
      await bench.complete(holder!);
      expect(await bench.standing('woken', 'next')).toEqual(['queued', 'parked:locks']);
      bench.nowMs -= 3_600_000;
      await bench.crashAndOpen();
      await bench.sweepIn(PROMISE_MS - 1);
      expect(await bench.standing('next')).toEqual(['parked:locks']);
      await bench.sweepIn(1);
      expect(await bench.standing('next')).toEqual(['queued']);
    });

    test('a new owner takes back what was held in order of arrival: whoever can go first is woken, however it was claimed', async () => {
      const [t, r] = ['t', 'r'].map((resource) => ({ resource, mode: 'read' as const }));
      await bench.submit(newTask('a', { kind: 'late', locks: [t!], maxLosses: 1 }), newTask('g', { locks: [r!], maxLosses: 1 }));
      await bench.submit(newTask('e', { locks: [t!, ...write('r')] }), newTask('i', { locks: write('t') }));
      for (const claimed of await bench.claim(1)) await bench.start(claimed);
      for (const claimed of await bench.claim(1, { kind: 'late' })) await bench.start(claimed);
      for (const claimed of await bench.claim(2)) expect(await bench.start(claimed)).toMatchObject({ at: 'blocked' });
      await bench.crashAndOpen();
      expect(await bench.standing('a', 'g', 'e', 'i')).toEqual(['dead', 'dead', 'parked:locks', 'queued']);
    });

    for (const mostPassed of [1, 3]) {
      test(`a wide set is passed by at most ${mostPassed} younger ones that take what it wants (L5)`, async () => {
        await bench.reopen({ mostPassed });
        let holder = await arrive('holder', 'f');
        expect(await arrive('wide', 'f', 'g')).toBeUndefined();
        let passed = 0;
        for (let at = 0; at < 10; at += 1) {
          // A stream of narrow ones, of which one always holds g.
          const narrow = await arrive(`narrow ${at}`, 'g');
          if (narrow === undefined) continue;
          passed += 1;
          await bench.complete(narrow);
        }
        expect(passed).toBe(mostPassed);
        expect(await bench.standing('wide', 'narrow 9')).toEqual(['parked:locks', 'parked:locks']);
        await bench.complete(holder!);
        holder = await again('wide');
        expect(holder?.id).toBe('wide');
        await bench.complete(holder!);
        // When it has run, all whom it kept out come by in the end.
        for (let at = mostPassed; at < 10; at += 1) await bench.complete((await again(`narrow ${at}`))!);
      });
    }

    test('who takes something else does not pass anybody', async () => {
      await bench.reopen({ mostPassed: 1 });
      await arrive('holder', 'f');
      await arrive('waits', 'f', 'g');
      for (const id of ['a', 'b', 'c']) await bench.complete((await arrive(id, `of ${id}`))!);
      expect((await arrive('passes', 'g'))?.id).toBe('passes');
      expect(await arrive('too late', 'g')).toBeUndefined();
    });

    test('whoever has been passed often enough is named as the one in the way', async () => {
      await bench.reopen({ mostPassed: 1 });
      await arrive('holder', 'f');
      await arrive('wide', 'f', 'g');
      await bench.complete((await arrive('passes', 'g'))!);
      await bench.submit(newTask('kept out', { locks: write('g') }));
      expect((await bench.tryNext('kept out')).outcome).toEqual({ at: 'blocked', resource: 'g', holder: 'wide' });
    });

    test('how often it was passed outlives a crash', async () => {
      await bench.reopen({ mostPassed: 1 });
      await bench.running('holder', { locks: write('f') });
      await arrive('wide', 'f', 'g');
      await bench.complete((await arrive('passes', 'g'))!);
      await bench.place.crash(bench.store);
      await bench.open(100, { mostPassed: 1 });
      expect(await arrive('kept out', 'g')).toBeUndefined();
      expect((await again('wide'))?.id).toBe('wide');
    });

    describe('a task that is to be undone wants the same locks, and keeps its place', () => {
      /** It has something to undo, waits for f and g, and may not be passed any more. */
      async function waiting(): Promise<{ readonly holder: ClaimedTask }> {
        await bench.reopen({ mostPassed: 1 });
        const run = await bench.compensated('undone', { locks: write('f', 'g'), deadlineMs: bench.nowMs + 1_000 });
        await bench.settle(run, { at: 'released' });
        const holder = (await arrive('holder', 'f'))!;
        expect((await bench.tryNext('undone')).outcome).toMatchObject({ at: 'blocked' });
        await bench.complete((await arrive('passes', 'g'))!);
        return { holder };
      }

      for (const [how, happens] of [
        ['its deadline passes', () => bench.sweepIn(1_000)],
        ['it is cancelled', () => bench.steer('undone', 'cancel')],
      ] as const)
        test(`when ${how} while it waits`, async () => {
          const { holder } = await waiting();
          await happens();
          expect(await bench.standing('undone')).toEqual(['queued']);
          expect(await arrive('too late', 'g')).toBeUndefined();
          await bench.complete(holder);
          expect(await bench.given(await bench.runNext('undone'))).toMatchObject({ undo: {} });
        });

      test('when it is cancelled on its way to a worker', async () => {
        const { holder } = await waiting();
        await bench.complete(holder);
        const [claimed] = await bench.claim();
        await bench.steer('undone', 'cancel');
        await bench.settle(claimed!, { at: 'released' });
        expect(await arrive('too late', 'g')).toBeUndefined();
        expect(await bench.given(await bench.runNext('undone'))).toMatchObject({ undo: { status: 'cancelled' } });
      });
    });

    test("one that has nothing to undo and is cancelled on its way to a worker is in nobody's way any more", async () => {
      const holder = (await arrive('holder', 'f', 'g'))!;
      expect(await arrive('cancelled', 'f')).toBeUndefined();
      expect(await arrive('behind', 'f', 'g')).toBeUndefined();
      await bench.complete(holder);
      const [claimed] = await bench.claim(1, { kind: 'cancelled' });
      await bench.steer('cancelled', 'cancel');
      await bench.settle(claimed!, { at: 'released' });
      expect(await bench.standing('cancelled', 'behind')).toEqual(['cancelled', 'queued']);
    });

    describe('a reservation', () => {
      /** `wide` has been passed once, is next to have f and g, and was woken; `behind` waits for g. */
      async function reserved(): Promise<void> {
        await bench.reopen({ mostPassed: 1 });
        const holder = await arrive('holder', 'f');
        await arrive('wide', 'f', 'g');
        await bench.complete((await arrive('passes', 'g'))!);
        expect(await arrive('behind', 'g')).toBeUndefined();
        await bench.complete(holder!);
        expect(await bench.standing('wide', 'behind')).toEqual(['queued', 'parked:locks']);
      }

      test('ends when nobody starts the task for 30 seconds: a suspended kind blocks nobody for ever', async () => {
        await reserved();
        const { ready } = await bench.sweepIn(29_000);
        expect(ready).toEqual([]);
        expect(await bench.standing('behind')).toEqual(['parked:locks']);
        expect((await bench.sweepIn(1_500)).ready).toEqual(['behind']);
        expect((await again('behind'))?.id).toBe('behind');
      });

      test('ends for newcomers too', async () => {
        await reserved();
        expect(await arrive('early', 'g')).toBeUndefined();
        bench.nowMs += 30_000;
        expect((await arrive('late', 'g'))?.id).toBe('late');
      });

      test('the place in line stays when it ends', async () => {
        await reserved();
        bench.nowMs += 31_000;
        const late = await arrive('late', 'g');
        expect(await again('wide')).toBeUndefined();
        await bench.complete(late!);
        expect(await bench.standing('wide')).toEqual(['queued']);
        expect((await again('wide'))?.id).toBe('wide');
      });

      for (const action of ['cancel', 'pause'] as const) {
        test(`ends with a task that an operator does ${action === 'cancel' ? 'cancel' : 'pause'}`, async () => {
          await reserved();
          expect((await bench.steer('wide', action)).ready).toEqual(['behind']);
          expect((await again('behind'))?.id).toBe('behind');
        });
      }

      test('ends with a task whose deadline passes', async () => {
        await bench.reopen({ mostPassed: 1 });
        await arrive('holder', 'f');
        await bench.submit(newTask('wide', { kind: 'wide', locks: write('f', 'g'), deadlineMs: bench.nowMs + 50 }));
        await again('wide');
        await bench.complete((await arrive('passes', 'g'))!);
        expect(await arrive('behind', 'g')).toBeUndefined();
        expect(await bench.sweepIn(60)).toMatchObject({ ended: ['wide'], ready: ['behind'] });
      });
    });
  });
}
