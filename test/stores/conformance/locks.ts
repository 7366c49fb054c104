import { describe, expect, test } from 'vitest';
import type { ClaimedTask } from '../../../actors/ports/store.ts';
import { Bench, newTask, parked, read, SETTLED, write } from './place.ts';
import type { MakePlace } from './place.ts';

export function locking(makePlace: MakePlace): void {
  describe('locks', () => {
    const bench = new Bench(makePlace);

    test('a run is told what it has locked, under a token; one without locks has none', async () => {
      await bench.submit(newTask('a', { locks: [...write('f'), ...read('g')] }), 'plain');
      const { outcome } = await bench.tryNext('a');
      expect(outcome).toMatchObject({ at: 'started', attempt: 1 });
      if (outcome.at !== 'started') return;
      expect(outcome.locks.toSorted((a, b) => (a.resource < b.resource ? -1 : 1))).toEqual([...write('f'), ...read('g')]);
      expect(outcome.lockFence).toBeGreaterThan(0);
      expect((await bench.tryNext('plain')).outcome).toMatchObject({ at: 'started', locks: [], lockFence: 0 });
    });

    test('somebody else has it: the task waits outside, holding nothing, and its attempt is not counted', async () => {
      await bench.running('a', { locks: write('f') });
      await bench.submit(newTask('b', { locks: write('e', 'f') }), newTask('c', { locks: write('e') }));
      const { run, outcome } = await bench.tryNext('b');
      expect(outcome).toEqual({ at: 'blocked', resource: 'f', holder: 'a' });
      expect(await bench.record('b')).toMatchObject({ status: 'parked', parkedFor: 'locks', attempt: 0, losses: 0 });
      expect(await bench.settle(run, { at: 'completed', result: null, sends: [] })).toEqual({ at: 'stale' });
      // All or nothing: what was free of its wants is still free.
      expect((await bench.tryNext('c')).outcome.at).toBe('started');
    });

    test('when the holder lets go it is queued, ahead of new work, and its kind is ready', async () => {
      const a = await bench.running('a', { locks: write('f') });
      await bench.submit(newTask('b', { kind: 'other', locks: write('f') }));
      const [b] = await bench.claim(1, { kind: 'other' });
      expect((await bench.start(b!)).at).toBe('blocked');
      await bench.submit(newTask('new', { kind: 'other', priority: 5 }));
      const outcome = { at: 'completed', result: null, sends: [] } as const;
      const { ready } = await bench.store.settle([{ id: 'a', fence: a.fence, outcome }], bench.nowMs);
      expect(ready).toEqual(['other']);
      const [again] = await bench.claim(1, { kind: 'other' });
      expect(again?.id).toBe('b');
      expect(await bench.start(again!)).toMatchObject({ at: 'started', attempt: 1, locks: write('f') });
    });

    test('readers share, a writer has it alone', async () => {
      await bench.running('r1', { locks: read('f') });
      await bench.submit(newTask('r2', { locks: read('f') }), newTask('w', { locks: write('f') }), newTask('r3', { locks: read('f') }));
      expect((await bench.tryNext('r2')).outcome.at).toBe('started');
      expect((await bench.tryNext('w')).outcome).toMatchObject({ at: 'blocked', resource: 'f' });
      expect((await bench.tryNext('r3')).outcome.at).toBe('started');
    });

    test('a reader waits for a writer', async () => {
      await bench.running('w', { locks: write('f') });
      await bench.submit(newTask('r', { locks: read('f') }));
      expect((await bench.tryNext('r')).outcome).toEqual({ at: 'blocked', resource: 'f', holder: 'w' });
    });

    test('of one batch of starts the first has them, the next is blocked', async () => {
      await bench.submit(newTask('a', { locks: write('f') }), newTask('b', { locks: write('f') }), newTask('c', { locks: write('g') }));
      const claimed = await bench.claim(3);
      expect((await bench.store.start(claimed, bench.nowMs)).map(({ at }) => at)).toEqual(['started', 'blocked', 'started']);
    });

    test('onConflict reject: also of what one wants only later that wanted nothing when it came', async () => {
      await bench.running('a', { locks: write('f') });
      await bench.settle(await bench.running('b', { onConflict: 'reject' }), parked('sleep', { wakeAtMs: bench.nowMs, locks: write('f') }));
      expect((await bench.tryNext('b')).outcome).toEqual({ at: 'rejected', resource: 'f', holder: 'a' });
    });

    test('onConflict reject: it is told, and still holds its lease, and no lock', async () => {
      const a = await bench.running('a', { locks: write('f') });
      await bench.submit(newTask('b', { locks: write('f', 'g'), onConflict: 'reject' }), newTask('c', { locks: write('g') }));
      const { run, outcome } = await bench.tryNext('b');
      expect(outcome).toEqual({ at: 'rejected', resource: 'f', holder: 'a' });
      expect(await bench.record('b')).toMatchObject({ status: 'leased', attempt: 0 });
      expect((await bench.tryNext('c')).outcome.at).toBe('started');
      expect(await bench.settle(run, { at: 'failed', error: 'conflict' })).toEqual(SETTLED('failed'));
      await bench.complete(a);
    });

    test('a start that is sent again finds its locks, under the same token, and takes nothing twice', async () => {
      const run = await bench.running('a', { locks: write('f') });
      const given = await bench.given(run);
      expect(await bench.given(run)).toEqual(given);
      await bench.complete(run);
      expect((await bench.given(await bench.running('b', { locks: write('f') }))).lockFence).toBeGreaterThan(given.lockFence);
    });

    for (const [how, letGo] of Object.entries({
      completed: (run) => bench.settle(run, { at: 'completed', result: null, sends: [] }),
      retry: (run) => bench.settle(run, { at: 'retry', error: 'e', readyAtMs: 9e9 }),
      failed: (run) => bench.settle(run, { at: 'failed', error: 'e' }),
      dead: (run) => bench.settle(run, { at: 'dead', error: 'e' }),
      parked: (run) => bench.settle(run, parked('sleep', { wakeAtMs: 9e9 })),
      released: (run) => bench.settle(run, { at: 'released' }),
      lost: (run) => bench.settle(run, { at: 'lost', error: 'e' }),
      'an expired lease': () => bench.sweepIn(100),
      'a new owner': () => bench.crashAndOpen(),
      'a noted cancel': async (run) => {
        await bench.steer(run.id, 'cancel');
        await bench.settle(run, { at: 'released' });
      },
      'a noted pause': async (run) => {
        await bench.steer(run.id, 'pause');
        await bench.settle(run, { at: 'released' });
      },
    } satisfies Record<string, (run: ClaimedTask) => Promise<unknown>>)) {
      test(`locks go with the lease: ${how} (L3, S11)`, async () => {
        const run = await bench.running('a', { locks: write('f'), leaseMs: 100 });
        await bench.submit(newTask('b', { kind: 'other', locks: write('f') }));
        const [b] = await bench.claim(1, { kind: 'other', leaseMs: 9e9 });
        expect((await bench.start(b!)).at).toBe('blocked');
        await letGo(run);
        expect(await bench.standing('b')).toEqual(['queued']);
        const [again] = await bench.claim(1, { kind: 'other', leaseMs: 9e9 });
        expect((await bench.start(again!)).at).toBe('started');
      });
    }

    test('a waiter that ends wakes those whom nothing else is in the way of', async () => {
      const a = await bench.running('a', { locks: write('f') });
      await bench.submit(newTask('b', { locks: write('f') }), newTask('c', { locks: write('f') }));
      await bench.tryNext('b');
      await bench.tryNext('c');
      await bench.steer('b', 'cancel');
      await bench.complete(a);
      expect(await bench.standing('b', 'c')).toEqual(['cancelled', 'queued']);
    });

    test('tokens grow over restarts too (S3)', async () => {
      const tokens: number[] = [];
      for (const id of ['a', 'b', 'c']) {
        const run = await bench.running(id, { locks: write(`of ${id}`) });
        tokens.push((await bench.given(run)).lockFence);
        await bench.complete(run);
        await bench.crashAndOpen();
      }
      expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
      expect(new Set(tokens).size).toBe(3);
    });

    test('who waits for locks still does after a crash, in its place', async () => {
      await bench.running('a', { locks: write('f'), maxLosses: 1 });
      await bench.submit(newTask('b', { locks: write('f') }), newTask('c', { locks: write('f'), priority: 1 }));
      await bench.tryNext('c');
      bench.nowMs += 1;
      await bench.tryNext('b');
      await bench.crashAndOpen();
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['c']);
    });

    test('what a run grew by is wanted by every later run, and goes with all or nothing', async () => {
      const a = await bench.running('a', { locks: write('f') });
      const outcome = parked('locks', { locks: [...write('g'), ...write('f')], wakeAtMs: bench.nowMs });
      expect(await bench.settle(a, outcome)).toEqual(SETTLED('queued'));
      expect((await bench.record('a'))?.locks.map(({ resource }) => resource).toSorted()).toEqual(['f', 'g']);
      const [again] = await bench.claim(1);
      expect((await bench.start(again!)).at).toBe('started');
      await bench.crashAndOpen();
      const [third] = await bench.claim(1);
      expect((await bench.given(third!)).locks.map(({ resource }) => resource).toSorted()).toEqual(['f', 'g']);
    });

    test('a reader that grows to a writer is a writer', async () => {
      const a = await bench.running('a', { locks: read('f') });
      await bench.settle(a, parked('locks', { locks: write('f'), wakeAtMs: bench.nowMs }));
      expect((await bench.given((await bench.claim(1))[0]!)).locks).toEqual(write('f'));
    });

    test('a run that parks for nothing but more locks comes back when they are free, without a time', async () => {
      const a = await bench.running('a', { locks: write('f') });
      await bench.submit(newTask('b', { kind: 'other', locks: write('g') }));
      const [b] = await bench.claim(1, { kind: 'other' });
      expect((await bench.start(b!)).at).toBe('started');
      await bench.settle(a, parked('locks', { locks: write('g') }));
      const [early] = await bench.claim(1);
      if (early !== undefined) expect(await bench.start(early)).toMatchObject({ at: 'blocked', resource: 'g', holder: 'b' });
      await bench.complete(b!);
      expect(await bench.standing('a')).toEqual(['queued']);
      expect((await bench.given((await bench.claim(1))[0]!)).locks).toHaveLength(2);
    });

    test('a run that parks for nothing but locks that are free is queued at once', async () => {
      const a = await bench.running('a', { locks: write('f') });
      expect(await bench.settle(a, parked('locks', { locks: write('g') }))).toEqual(SETTLED('queued'));
    });

    test('names of resources have at most 512 characters, and none stands twice', async () => {
      await bench.submit(newTask('fits', { locks: write('x'.repeat(512)) }));
      for (const locks of [write('x'.repeat(513)), write('f', 'f')])
        await expect(bench.store.submit([newTask('b', { locks })], bench.nowMs)).rejects.toMatchObject({ code: 'DROVER_STORE_INPUT' });
      expect(await bench.record('b')).toBeUndefined();
    });
  });
}
