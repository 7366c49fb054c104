import { describe, expect, test } from 'vitest';
import type { ClaimedTask } from '../../../actors/ports/store.ts';
import { Bench, newTask, parked, SETTLED, write } from './place.ts';
import type { MakePlace } from './place.ts';

export function undoing(makePlace: MakePlace): void {
  describe('compensation', () => {
    const bench = new Bench(makePlace);

    /** Claims the task that is to be undone, and starts it. */
    async function undo(id: string): Promise<ClaimedTask> {
      const [claimed] = await bench.claim();
      expect(claimed?.id).toBe(id);
      return claimed!;
    }

    for (const [how, status, endBadly] of [
      ['fails for good', 'failed', (run) => bench.settle(run, { at: 'failed', error: 'why' })],
      ['has used its attempts up', 'dead', (run) => bench.settle(run, { at: 'dead', error: 'why' })],
      ['has used its losses up', 'dead', (run) => bench.settle(run, { at: 'lost', error: 'why' })],
    ] as readonly [string, 'failed' | 'dead', (run: ClaimedTask) => Promise<unknown>][]) {
      test(`a task with compensations that ${how} is undone first, ahead of new work, and ends ${status} then`, async () => {
        const run = await bench.compensated('a', { maxLosses: 1 });
        await bench.submit(newTask('new', { priority: 9 }));
        expect(await endBadly(run)).toEqual(SETTLED('queued'));
        expect(await bench.record('a')).toMatchObject({ status: 'queued', undone: true, attempt: 0, losses: 0, finishedAtMs: null });
        const again = await undo('a');
        const given = await bench.given(again);
        expect(given).toMatchObject({ attempt: 1, losses: 0, undo: { status, error: 'why' } });
        expect(given.memory).toMatchObject([{ place: 'compensate:pay#0', value: '"pay back"' }]);
        bench.nowMs += 5;
        expect(await bench.settle(again, { at: 'undone' })).toEqual(SETTLED(status));
        expect(await bench.record('a')).toMatchObject({ status, error: 'why', undone: true, finishedAtMs: bench.nowMs });
      });
    }

    test('a lease that expires, or an owner that goes, undoes too', async () => {
      await bench.compensated('a', { maxLosses: 1 });
      await bench.crashAndOpen();
      const again = await undo('a');
      const { undo: kept } = await bench.given(again);
      expect(kept?.status).toBe('dead');
      expect(JSON.parse(kept!.error!)).toMatchObject({ code: 'DROVER_RUN_LOST' });
      await bench.compensated('b', { maxLosses: 1 });
      expect((await bench.sweepIn(60_000)).expired).toContainEqual({ id: 'b', fence: 2, status: 'queued' });
    });

    test('a cancelled task with compensations is undone, and cancelled then', async () => {
      const run = await bench.compensated('a');
      await bench.settle(run, parked('event', { events: [{ name: 'e', n: 0 }] }));
      expect(await bench.steer('a', 'cancel')).toMatchObject({
        outcomes: [{ at: 'done', status: 'queued' }],
        ended: [],
        ready: ['triage'],
      });
      const again = await undo('a');
      expect((await bench.given(again)).undo).toMatchObject({ status: 'cancelled' });
      expect(await bench.settle(again, { at: 'undone' })).toEqual(SETTLED('cancelled'));
    });

    test('one that is cancelled while it runs is undone when it lets go', async () => {
      const run = await bench.compensated('a');
      await bench.steer('a', 'cancel');
      expect(await bench.settle(run, { at: 'released' })).toEqual(SETTLED('queued'));
      expect((await bench.given(await undo('a'))).undo?.status).toBe('cancelled');
    });

    test('one that is paused when its deadline passes stays paused, and is undone when it is unpaused', async () => {
      const run = await bench.compensated('a', { deadlineMs: bench.nowMs + 100 });
      await bench.settle(run, parked('sleep', { wakeAtMs: bench.nowMs + 50 }));
      await bench.steer('a', 'pause');
      expect((await bench.sweepIn(100)).ended).toEqual([]);
      expect(await bench.record('a')).toMatchObject({ status: 'parked', parkedFor: 'operator', undone: true });
      expect(await bench.claim()).toEqual([]);
      await bench.crashAndOpen();
      expect(await bench.claim()).toEqual([]);
      expect((await bench.sweepIn(60_000)).nextAtMs).toBeNull();
      expect((await bench.steer('a', 'cancel')).outcomes).toMatchObject([{ at: 'refused', why: 'undoing', ends: 'failed' }]);
      await bench.steer('a', 'unpause');
      const again = await undo('a');
      expect((await bench.given(again)).undo).toMatchObject({ status: 'failed' });
      expect(await bench.settle(again, { at: 'undone' })).toEqual(SETTLED('failed'));
    });

    test('one whose deadline passes is undone, and failed then; the deadline does not end it twice', async () => {
      const run = await bench.compensated('a', { deadlineMs: bench.nowMs + 100 });
      await bench.settle(run, parked('sleep', { wakeAtMs: bench.nowMs + 1_000 }));
      expect(await bench.sweepIn(100)).toMatchObject({ ended: [], ready: ['triage'], nextAtMs: null });
      expect(await bench.sweepIn(100)).toMatchObject({ ended: [], nextAtMs: null });
      const again = await undo('a');
      expect(await bench.settle(again, { at: 'undone' })).toEqual(SETTLED('failed'));
      expect(JSON.parse((await bench.record('a'))!.error!)).toMatchObject({ code: 'DROVER_DEADLINE_PASSED' });
    });

    test('a completed task is not undone', async () => {
      await bench.complete(await bench.compensated('a'));
      expect(await bench.record('a')).toMatchObject({ status: 'completed', undone: false });
    });

    test('undoing is retried like a run, from its own first attempt', async () => {
      await bench.settle(await bench.compensated('a'), { at: 'failed', error: 'why' });
      await bench.settle(await undoStarted(), { at: 'retry', error: 'later', readyAtMs: bench.nowMs });
      await bench.store.sweep(bench.nowMs);
      const second = await undo('a');
      expect(await bench.given(second)).toMatchObject({ attempt: 2, undo: { status: 'failed', error: 'why' } });
      await bench.settle(second, { at: 'lost', error: 'l' });
      const third = await undo('a');
      expect(await bench.given(third)).toMatchObject({ attempt: 3, losses: 1, undo: { status: 'failed', error: 'why' } });
      expect(await bench.settle(third, { at: 'undone' })).toEqual(SETTLED('failed'));
      expect((await bench.record('a'))?.error).toBe('why');
    });

    async function undoStarted(): Promise<ClaimedTask> {
      const run = await undo('a');
      await bench.given(run);
      return run;
    }

    for (const at of ['failed', 'dead', 'lost'] as const) {
      test(`a task that cannot be undone (${at}) is dead, with that error, and is not undone again`, async () => {
        await bench.settle(await bench.compensated('a', { maxLosses: 1 }), { at: 'failed', error: 'first' });
        expect(await bench.settle(await undoStarted(), { at, error: 'second' })).toEqual(SETTLED('dead'));
        expect(await bench.record('a')).toMatchObject({ status: 'dead', error: 'second' });
        expect(await bench.claim()).toEqual([]);
      });
    }

    test('what it is to end as outlives a crash', async () => {
      await bench.settle(await bench.compensated('a'), { at: 'failed', error: 'why' });
      await undoStarted();
      await bench.crashAndOpen();
      const again = await undo('a');
      expect((await bench.given(again)).undo).toEqual({ status: 'failed', error: 'why' });
      expect(await bench.settle(again, { at: 'undone' })).toEqual(SETTLED('failed'));
    });

    test('a cancel of what is being undone is refused, and says how it ends', async () => {
      await bench.settle(await bench.compensated('a'), { at: 'failed', error: 'why' });
      const refused = { at: 'refused', why: 'undoing', ends: 'failed' };
      expect(await bench.steer('a', 'cancel')).toEqual({ outcomes: [{ ...refused, status: 'queued' }], ready: [], ended: [], held: [] });
      const run = await undoStarted();
      expect(await bench.steer('a', 'cancel')).toEqual({ outcomes: [{ ...refused, status: 'running' }], ready: [], ended: [], held: [] });
      expect((await bench.record('a'))?.noted).toBeNull();
      expect(await bench.settle(run, { at: 'undone' })).toEqual(SETTLED('failed'));
    });

    for (const at of ['failed', 'dead', 'lost'] as const) {
      test(`what could not be undone (${at}) is put back to be undone, ahead of new work, with all its attempts, and ends as was kept for it`, async () => {
        const deadlineMs = bench.nowMs + 100;
        const run = await bench.compensated('a', { maxLosses: 1, deadlineMs });
        await bench.store.remember([{ id: 'a', fence: run.fence, place: 'step:x', hash: '', value: '!', failed: true }], bench.nowMs);
        await bench.settle(run, { at: 'failed', error: 'first' });
        await bench.settle(await undoStarted(), { at, error: 'second' });
        expect(await bench.record('a')).toMatchObject({ status: 'dead', error: 'second', undone: false });
        await bench.submit(newTask('new', { priority: 9 }));
        expect((await bench.steer('a', 'requeue')).outcomes).toEqual([{ at: 'done', status: 'queued' }]);
        expect(await bench.record('a')).toMatchObject({ attempt: 0, losses: 0, undone: true, finishedAtMs: null });
        // Nor does its deadline end it now.
        expect((await bench.sweepIn(200)).ended).toEqual([]);
        const again = await undo('a');
        const given = await bench.given(again);
        expect(given).toMatchObject({ attempt: 1, losses: 0, undo: { status: 'failed', error: 'first' } });
        // The way to what is undone goes over what has failed.
        expect(given.memory.map(({ place }) => place).toSorted()).toEqual(['compensate:pay#0', 'step:x']);
        expect(await bench.settle(again, { at: 'undone' })).toEqual(SETTLED('failed'));
        expect(await bench.record('a')).toMatchObject({ status: 'failed', error: 'first', undone: true });
        expect((await bench.steer('a', 'requeue')).outcomes).toEqual([{ at: 'refused', why: 'undone', status: 'failed' }]);
      });
    }

    test('what could not be undone can be put back after a crash too', async () => {
      await bench.settle(await bench.compensated('a'), { at: 'failed', error: 'why' });
      await bench.settle(await undoStarted(), { at: 'dead', error: 'bank is down' });
      await bench.crashAndOpen();
      expect((await bench.steer('a', 'requeue')).outcomes).toEqual([{ at: 'done', status: 'queued' }]);
      expect((await bench.given(await undo('a'))).undo).toEqual({ status: 'failed', error: 'why' });
    });

    test('what has been compensated cannot be put back', async () => {
      await bench.settle(await bench.compensated('a'), { at: 'failed', error: 'why' });
      await bench.settle(await undoStarted(), { at: 'undone' });
      expect((await bench.steer('a', 'requeue')).outcomes).toEqual([{ at: 'refused', why: 'undone', status: 'failed' }]);
    });

    test('a task that would rather be rejected than wait for locks waits for them while it is undone', async () => {
      const run = await bench.compensated('a', { locks: write('f'), onConflict: 'reject' });
      await bench.settle(run, { at: 'failed', error: 'why' });
      // Paused, it lets go of what it has.
      await bench.steer('a', 'pause');
      const other = await bench.running('b', { locks: write('f') });
      await bench.steer('a', 'unpause');
      const again = await undo('a');
      expect(await bench.start(again)).toEqual({ at: 'blocked', resource: 'f', holder: 'b' });
      await bench.complete(other);
      expect((await bench.given(await undo('a'))).undo).toEqual({ status: 'failed', error: 'why' });
    });

    test('its parent is told when it has been undone, not before', async () => {
      await bench.submit(newTask('p', { kind: 'parent' }));
      const [parent] = await bench.claim(1, { kind: 'parent' });
      const child = await bench.compensated('c', { parent: { id: 'p', fence: parent!.fence, place: 'ask' } });
      await bench.settle(parent!, parked('child', { children: ['c'] }));
      await bench.settle(child, { at: 'failed', error: 'why' });
      expect(await bench.standing('p')).toEqual(['parked:child']);
      const [again] = await bench.claim();
      await bench.settle(again!, { at: 'undone' });
      expect(await bench.standing('p')).toEqual(['queued']);
    });

    test('it counts as unfinished until then', async () => {
      await bench.store.close();
      await bench.open(1);
      await bench.settle(await bench.compensated('a'), { at: 'failed', error: 'why' });
      expect(await bench.store.submit([newTask('b')], bench.nowMs)).toMatchObject([{ at: 'full' }]);
      await bench.settle(await undoStarted(), { at: 'undone' });
      expect(await bench.store.submit([newTask('b')], bench.nowMs)).toMatchObject([{ at: 'accepted' }]);
    });
  });
}
