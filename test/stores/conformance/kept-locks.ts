import { describe, expect, test } from 'vitest';
import type { ClaimedTask, NewTask } from '../../../actors/ports/store.ts';
import { Bench, newTask, parked, SETTLED, write } from './place.ts';
import type { MakePlace } from './place.ts';

export function keepingLocks(makePlace: MakePlace): void {
  describe('locks of a task that is to be undone', () => {
    const bench = new Bench(makePlace);
    const LOCKS = { locks: write('f') };

    /** Runs, holds its locks, and has something to be undone. Behind it another one waits for the same. */
    async function contested(changes: Partial<NewTask> = {}): Promise<ClaimedTask> {
      const run = await bench.compensated('a', { ...LOCKS, ...changes });
      await bench.submit(newTask('b', LOCKS));
      expect((await bench.tryNext('b')).outcome).toEqual({ at: 'blocked', resource: 'f', holder: 'a' });
      return run;
    }

    async function goesOn(): Promise<ClaimedTask & { readonly lockFence: number }> {
      const { run, outcome } = await bench.tryNext('a');
      expect(outcome).toMatchObject({ at: 'started', locks: write('f') });
      return { ...run, lockFence: outcome.at === 'started' ? outcome.lockFence : 0 };
    }

    const endBadly: Readonly<Record<string, (run: ClaimedTask) => Promise<unknown>>> = {
      failed: (run) => bench.settle(run, { at: 'failed', error: 'why' }),
      dead: (run) => bench.settle(run, { at: 'dead', error: 'why' }),
      'its last loss': (run) => bench.settle(run, { at: 'lost', error: 'why' }),
      'its lease, which has run out': () => bench.sweepIn(60_000),
      'a crash of the process': () => bench.crashAndOpen(),
      'a cancel, and it is given back': async (run) => {
        await bench.steer('a', 'cancel');
        await bench.settle(run, { at: 'released' });
      },
      'a cancel, and it is to be retried': async (run) => {
        await bench.steer('a', 'cancel');
        await bench.settle(run, { at: 'retry', error: 'e', readyAtMs: bench.nowMs });
      },
      'a cancel, and it parks to hold more': async (run) => {
        await bench.steer('a', 'cancel');
        await bench.settle(run, parked('locks', { locks: write('g') }));
      },
    };
    for (const [how, end] of Object.entries(endBadly)) {
      test(`are kept until it has ended: nobody comes in between (${how})`, async () => {
        await end(await contested({ maxLosses: 1 }));
        expect(await bench.standing('a', 'b')).toEqual(['queued', 'parked:locks']);
        const undoing = await goesOn();
        expect(await bench.standing('b')).toEqual(['parked:locks']);
        await bench.settle(undoing, { at: 'undone' });
        expect(await bench.standing('b')).toEqual(['queued']);
      });
    }

    const goOn: Readonly<Record<string, (run: ClaimedTask) => Promise<unknown>>> = {
      'is tried again': async (run) => {
        await bench.settle(run, { at: 'retry', error: 'e', readyAtMs: bench.nowMs + 5 });
        expect(await bench.standing('a', 'b')).toEqual(['retrying', 'parked:locks']);
        await bench.sweepIn(5);
      },
      'is lost': (run) => bench.settle(run, { at: 'lost', error: 'e' }),
      'is given back': (run) => bench.settle(run, { at: 'released' }),
      expires: () => bench.sweepIn(60_000),
      'dies with its process': () => bench.crashAndOpen(),
    };
    for (const [how, again] of Object.entries(goOn)) {
      test(`are kept when its undoing ${how}; each run has a token of its own, greater than the one before`, async () => {
        const run = await contested();
        const { lockFence: first } = await bench.given(run);
        await bench.settle(run, { at: 'failed', error: 'why' });
        const undoing = await goesOn();
        expect(undoing.lockFence).toBeGreaterThan(first);
        await again(undoing);
        expect(await bench.standing('a', 'b')).toEqual(['queued', 'parked:locks']);
        const next = await goesOn();
        expect(next.lockFence).toBeGreaterThan(undoing.lockFence);
        await bench.settle(next, { at: 'undone' });
        expect(await bench.standing('b')).toEqual(['queued']);
      });
    }

    test('are kept over a crash while it is queued, or retried', async () => {
      await bench.settle(await contested(), { at: 'failed', error: 'why' });
      await bench.crashAndOpen();
      expect(await bench.standing('a', 'b')).toEqual(['queued', 'parked:locks']);
      await bench.settle(await goesOn(), { at: 'retry', error: 'e', readyAtMs: bench.nowMs + 5 });
      await bench.crashAndOpen();
      await bench.submit(newTask('c', LOCKS));
      expect((await bench.tryNext('c')).outcome).toEqual({ at: 'blocked', resource: 'f', holder: 'a' });
    });

    test('are kept by one whose claim goes back unused', async () => {
      await bench.settle(await contested(), { at: 'failed', error: 'why' });
      const [claimed] = await bench.claim();
      await bench.settle(claimed!, { at: 'released' });
      expect(await bench.standing('a', 'b')).toEqual(['queued', 'parked:locks']);
    });

    test('are let go of by one that could not be undone', async () => {
      await bench.settle(await contested(), { at: 'failed', error: 'why' });
      expect(await bench.settle(await goesOn(), { at: 'dead', error: 'bank is down' })).toEqual(SETTLED('dead'));
      expect(await bench.standing('b')).toEqual(['queued']);
      // Put back, it gets them like anybody else.
      const b = await bench.runNext('b');
      await bench.steer('a', 'requeue');
      expect((await bench.tryNext('a')).outcome).toEqual({ at: 'blocked', resource: 'f', holder: 'b' });
      await bench.complete(b);
      await goesOn();
    });

    test('are let go of while it is parked for its children, and got again in its turn', async () => {
      await bench.settle(await contested(), { at: 'failed', error: 'why' });
      expect(await bench.settle(await goesOn(), parked('child', { children: ['c'] }))).toEqual(SETTLED('parked'));
      const b = await bench.runNext('b');
      await bench.submit(newTask('c'));
      await bench.complete(await bench.runNext('c'));
      expect((await bench.tryNext('a')).outcome).toEqual({ at: 'blocked', resource: 'f', holder: 'b' });
      await bench.complete(b);
      await goesOn();
    });

    for (const where of ['queued', 'leased', 'running', 'retrying'] as const) {
      test(`are let go of when it is paused, ${where}`, async () => {
        await bench.settle(await contested(), { at: 'failed', error: 'why' });
        let claimed: ClaimedTask | undefined;
        if (where === 'leased') [claimed] = await bench.claim();
        if (where === 'running' || where === 'retrying') claimed = await goesOn();
        if (where === 'retrying') await bench.settle(claimed!, { at: 'retry', error: 'e', readyAtMs: bench.nowMs + 5 });
        await bench.steer('a', 'pause');
        if (where === 'leased' || where === 'running') await bench.settle(claimed!, { at: 'released' });
        expect(await bench.standing('a', 'b')).toEqual(['parked:operator', 'queued']);
      });
    }

    test('are let go of by a task that is to be undone and was told to pause', async () => {
      const run = await contested();
      await bench.steer('a', 'pause');
      await bench.settle(run, { at: 'failed', error: 'why' });
      expect(await bench.standing('a', 'b')).toEqual(['parked:operator', 'queued']);
    });

    test('are let go of while it waits for its turn: who is before it within its order key may need them', async () => {
      await bench.submit(newTask('old', { ...LOCKS, orderKey: 'k' }));
      const old = await bench.runNext('old');
      // It lets others by.
      await bench.settle(old, parked('event', { events: [{ name: 'e', n: 0 }] }));
      const run = await bench.compensated('a', { ...LOCKS, orderKey: 'k' });
      await bench.store.signal([{ id: 'old', name: 'e', value: '1' }], bench.nowMs);
      await bench.settle(run, { at: 'failed', error: 'why' });
      expect(await bench.standing('old', 'a')).toEqual(['queued', 'parked:order']);
      await bench.complete(await bench.runNext('old'));
      await goesOn();
    });

    test('are not got before its turn by one that did not hold any', async () => {
      const run = await bench.compensated('a', LOCKS);
      await bench.settle(run, parked('event', { events: [{ name: 'e', n: 0 }] }));
      const b = await bench.running('b', LOCKS);
      await bench.steer('a', 'cancel');
      expect((await bench.tryNext('a')).outcome).toEqual({ at: 'blocked', resource: 'f', holder: 'b' });
      await bench.complete(b);
      await goesOn();
    });

    test('are let go of by one that has nothing to undo', async () => {
      const run = await bench.running('a', LOCKS);
      await bench.submit(newTask('b', LOCKS));
      await bench.tryNext('b');
      await bench.settle(run, { at: 'failed', error: 'why' });
      expect(await bench.standing('b')).toEqual(['queued']);
    });

    test('are let go of by one that is only tried again', async () => {
      const run = await contested();
      await bench.settle(run, { at: 'retry', error: 'e', readyAtMs: bench.nowMs + 5 });
      expect(await bench.standing('b')).toEqual(['queued']);
    });

    test('whoever waits for them makes it as urgent as he is', async () => {
      await bench.settle(await bench.compensated('a', LOCKS), { at: 'failed', error: 'why' });
      await bench.submit(newTask('b', { ...LOCKS, kind: 'other', priority: 7 }));
      const [b] = await bench.claim(1, { kind: 'other' });
      expect(await bench.start(b!)).toEqual({ at: 'blocked', resource: 'f', holder: 'a' });
      expect((await bench.record('a'))?.priority).toBe(7);
    });
  });
}
