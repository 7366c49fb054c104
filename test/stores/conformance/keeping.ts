import { describe, expect, test } from 'vitest';
import type { ClaimedTask, NewTask } from '../../../actors/ports/store.ts';
import { Bench, newTask, parked, SETTLED, STALE, write } from './place.ts';
import type { MakePlace } from './place.ts';

const KEPT = { at: 'failed', error: '"refused"', keeps: true } as const;

export function keepingAsItStands(makePlace: MakePlace): void {
  describe('a task that fails and is kept as it stands', () => {
    const bench = new Bench(makePlace);

    /** Claims the task and starts it: what it is given. */
    async function next(id: string): Promise<ClaimedTask> {
      const [claimed] = await bench.claim();
      expect(claimed?.id).toBe(id);
      return claimed!;
    }

    const childOf = ({ id, fence }: ClaimedTask, name: string): NewTask =>
      newTask(name, { kind: name, parent: { id, fence, place: `ask:${name}` }, rootId: id, depth: 1 });

    test('has failed at once with its error, nothing of it is to be undone, and its lease is over', async () => {
      const run = await bench.compensated('a');
      bench.nowMs += 5;
      expect(await bench.settle(run, KEPT)).toEqual(SETTLED('failed'));
      expect(await bench.record('a')).toMatchObject({
        status: 'failed',
        error: '"refused"',
        kept: true,
        undone: false,
        noted: null,
        finishedAtMs: bench.nowMs,
      });
      expect(await bench.claim()).toEqual([]);
      expect(await bench.settle(run, KEPT)).toEqual(STALE);
    });

    test('is listed with the failed, and its story tells how its run ended', async () => {
      await bench.settle(await bench.compensated('a'), KEPT);
      expect(await bench.store.list({ status: 'failed', limit: 9 })).toMatchObject([{ id: 'a', kept: true }]);
      expect((await bench.store.story('a')).at(-1)).toMatchObject({ at: 'run', outcome: 'failed', detail: '"refused"' });
      expect((await bench.store.counts())['triage']).toMatchObject({ failed: 1, queued: 0 });
    });

    test('is not what fails, or dies, without that word', async () => {
      await bench.settle(await bench.running('a'), { at: 'failed', error: '"e"' });
      await bench.settle(await bench.running('b'), { at: 'failed', error: '"e"', keeps: false });
      await bench.settle(await bench.running('c'), { at: 'dead', error: '"e"' });
      expect((await bench.all()).map(({ kept }) => kept)).toEqual([false, false, false]);
    });

    test('gives its locks back, and its turn', async () => {
      const run = await bench.compensated('a', { locks: write('f'), orderKey: 'k' });
      await bench.submit(newTask('locked', { locks: write('f') }), newTask('inLine', { orderKey: 'k' }));
      const { outcome } = await bench.tryNext('locked');
      expect(outcome).toMatchObject({ at: 'blocked', holder: 'a' });
      await bench.settle(run, KEPT);
      expect(await bench.standing('locked', 'inLine')).toEqual(['queued', 'queued']);
    });

    test('leaves whom it has asked as they are; whoever has asked for it is told', async () => {
      await bench.submit(newTask('p', { kind: 'parent' }));
      const [parent] = await bench.claim(1, { kind: 'parent' });
      const run = await bench.compensated('a', { parent: { id: 'p', fence: parent!.fence, place: 'ask:a' } });
      await bench.submit(childOf(run, 'child'));
      await bench.settle(parent!, parked('child', { children: ['a'] }));
      await bench.settle(run, KEPT);
      expect(await bench.standing('p', 'child')).toEqual(['queued', 'queued']);
      expect((await bench.sweepIn(1)).ended).toEqual([]);
      const [again] = await bench.claim(1, { kind: 'parent' });
      expect((await bench.given(again!)).children).toMatchObject([{ id: 'a', status: 'failed', error: '"refused"' }]);
    });

    test('stays so when whoever has asked for it is cancelled', async () => {
      const parent = await bench.running('p', { kind: 'triage' });
      const run = await bench.compensated('a', { parent: { id: 'p', fence: parent.fence, place: 'ask:a' } });
      await bench.settle(run, KEPT);
      await bench.steer('p', 'cancel');
      await bench.settle(parent, { at: 'released' });
      expect((await bench.record('p'))!.status).toBe('cancelled');
      expect(await bench.record('a')).toMatchObject({ status: 'failed', kept: true });
    });

    test('stays so when whoever has asked for it ends, and is put back with it', async () => {
      const parent = await bench.running('p', { kind: 'triage' });
      const run = await bench.compensated('a', { parent: { id: 'p', fence: parent.fence, place: 'ask:a' } });
      await bench.settle(run, KEPT);
      await bench.settle(parent, { at: 'failed', error: '"e"' });
      expect(await bench.record('a')).toMatchObject({ status: 'failed', kept: true });
      await bench.steer('p', 'requeue');
      expect(await bench.record('a')).toMatchObject({ status: 'queued', kept: false, undone: false });
    });

    for (const over of ['as it is', 'over a crash'] as const) {
      test(`goes on from what it remembers when it is put back, ${over}`, async () => {
        const run = await bench.compensated('a');
        await bench.submit(childOf(run, 'child'));
        await bench.settle(run, KEPT);
        if (over === 'over a crash') await bench.crashAndOpen();
        expect(await bench.record('a')).toMatchObject({ status: 'failed', kept: true });
        expect((await bench.steer('a', 'requeue')).outcomes).toEqual([{ at: 'done', status: 'queued' }]);
        expect(await bench.record('a')).toMatchObject({ error: null, kept: false, undone: false, finishedAtMs: null });
        const again = await next('a');
        const given = await bench.given(again);
        expect(given).toMatchObject({ attempt: 1, undo: null, children: [{ id: 'child', status: 'queued' }] });
        expect(given.memory).toMatchObject([{ place: 'compensate:pay#0' }]);
        await bench.complete(again);
        expect(await bench.record('a')).toMatchObject({ status: 'completed', kept: false });
      });

      test(`is undone with those it has asked when it is cancelled, and cancelled then, ${over}`, async () => {
        const run = await bench.compensated('a', { locks: write('f') });
        await bench.store.remember([{ id: 'a', fence: run.fence, place: 'step:x', hash: '', value: '!', failed: true }], bench.nowMs);
        await bench.submit(childOf(run, 'child'));
        await bench.settle(run, KEPT);
        if (over === 'over a crash') await bench.crashAndOpen();
        expect(await bench.steer('a', 'cancel')).toMatchObject({
          outcomes: [{ at: 'done', status: 'queued' }],
          ended: ['child'],
          ready: ['triage'],
        });
        expect(await bench.record('a')).toMatchObject({ kept: false, undone: true, finishedAtMs: null });
        expect(await bench.record('child')).toMatchObject({ status: 'cancelled' });
        expect((await bench.store.story('a')).at(-1)).toMatchObject({ at: 'steered', action: 'cancel', by: 'ann' });
        const again = await next('a');
        const given = await bench.given(again);
        expect(given).toMatchObject({ attempt: 1, undo: { status: 'cancelled', error: null } });
        // The way to what is undone goes over what has failed.
        expect(given.memory.map(({ place }) => place).toSorted()).toEqual(['compensate:pay#0', 'step:x']);
        expect(given.lockFence).toBeGreaterThan(0);
        expect(await bench.settle(again, { at: 'undone' })).toEqual(SETTLED('cancelled'));
        expect(await bench.record('a')).toMatchObject({ status: 'cancelled', error: null, kept: false, undone: true });
        expect((await bench.steer('a', 'requeue')).outcomes).toEqual([{ at: 'refused', why: 'undone', status: 'cancelled' }]);
      });
    }

    test('with nothing to undo is cancelled at once, and can be put back after that', async () => {
      await bench.settle(await bench.running('a', { orderKey: 'k', deadlineMs: bench.nowMs + 1_000 }), KEPT);
      expect(await bench.steer('a', 'cancel')).toMatchObject({ outcomes: [{ at: 'done', status: 'cancelled' }], ended: ['a'] });
      expect(await bench.record('a')).toMatchObject({ status: 'cancelled', error: null, kept: false, attempt: 1 });
      expect((await bench.steer('a', 'cancel')).outcomes).toEqual([{ at: 'refused', why: 'ended', status: 'cancelled' }]);
      expect(await bench.sweepIn(500)).toMatchObject({ ended: [], nextAtMs: null });
      await bench.submit(newTask('b', { orderKey: 'k' }));
      expect(await bench.standing('b')).toEqual(['queued']);
      expect((await bench.steer('a', 'requeue')).outcomes).toEqual([{ at: 'done', status: 'queued' }]);
    });

    test('cannot be paused, or told of anything', async () => {
      await bench.settle(await bench.compensated('a'), KEPT);
      for (const action of ['pause', 'unpause'] as const)
        expect((await bench.steer('a', action)).outcomes).toEqual([{ at: 'refused', why: 'ended', status: 'failed' }]);
      const { outcomes } = await bench.store.signal([{ id: 'a', name: 'e', value: '1' }], bench.nowMs);
      expect(outcomes).toEqual([{ at: 'ended', status: 'failed' }]);
    });

    test('is no part of what is unfinished, until it is put back or undone', async () => {
      await bench.store.close();
      await bench.open(1);
      await bench.settle(await bench.compensated('a'), KEPT);
      await bench.submit('b');
      await bench.complete(await bench.runNext('b'));
      await bench.steer('a', 'cancel');
      expect(await bench.store.submit([newTask('c')], bench.nowMs)).toMatchObject([{ at: 'full' }]);
      const again = await next('a');
      await bench.start(again);
      await bench.settle(again, { at: 'undone' });
      expect(await bench.store.submit([newTask('c')], bench.nowMs)).toMatchObject([{ at: 'accepted' }]);
    });

    test('is kept again where it is put back and refused again, and again', async () => {
      await bench.settle(await bench.compensated('a'), KEPT);
      for (let time = 0; time < 2; time += 1) {
        await bench.steer('a', 'requeue');
        const again = await next('a');
        await bench.start(again);
        expect(await bench.settle(again, KEPT)).toEqual(SETTLED('failed'));
        expect(await bench.record('a')).toMatchObject({ kept: true });
      }
    });

    test('is not kept where it is cancelled by then, or is being undone', async () => {
      const cancelled = await bench.compensated('a');
      await bench.steer('a', 'cancel');
      expect(await bench.settle(cancelled, KEPT)).toEqual(SETTLED('queued'));
      const undone = await next('a');
      expect((await bench.given(undone)).undo).toEqual({ status: 'cancelled', error: null });
      expect(await bench.settle(undone, KEPT)).toEqual(SETTLED('dead'));
      expect(await bench.record('a')).toMatchObject({ status: 'dead', kept: false });
    });

    test('is kept where it is to be paused', async () => {
      const run = await bench.compensated('a');
      await bench.steer('a', 'pause');
      expect(await bench.settle(run, KEPT)).toEqual(SETTLED('failed'));
      expect(await bench.record('a')).toMatchObject({ status: 'failed', kept: true, noted: null });
    });
  });
}
