import { describe, expect, test } from 'vitest';
import type { ClaimedTask, NewTask } from '../../../actors/ports/store.ts';
import { Bench, newTask, parked, SETTLED, write } from './place.ts';
import type { MakePlace } from './place.ts';

export function endingParents(makePlace: MakePlace): void {
  describe('the end of a task', () => {
    const bench = new Bench(makePlace);

    const child = (id: string, of: ClaimedTask, changes: Partial<NewTask> = {}): NewTask =>
      newTask(id, { kind: id, parent: { id: of.id, fence: of.fence, place: id }, rootId: 'p', depth: 1, ...changes });

    async function runOf(id: string): Promise<ClaimedTask> {
      const [run] = await bench.claim(1, { kind: id });
      await bench.start(run!);
      return run!;
    }

    /** `p` has asked `waits`, which has asked `below`; `runs`, which runs; `done`, which has completed. `sent` was sent by it. */
    async function family(changes: Partial<NewTask> = {}): Promise<{ readonly p: ClaimedTask; readonly runs: ClaimedTask }> {
      const p = await bench.running('p', changes);
      await bench.submit(child('waits', p), child('runs', p), child('done', p), newTask('sent', { kind: 'sent', rootId: 'p' }));
      const waits = await runOf('waits');
      await bench.submit(child('below', waits));
      await bench.settle(waits, parked('child', { children: ['below'] }));
      await bench.complete(await runOf('done'));
      return { p, runs: await runOf('runs') };
    }

    const registers = (held: ClaimedTask): Promise<unknown> =>
      bench.store.remember([{ ...held, place: 'compensate:pay#0', hash: 'h', value: '"pay back"' }], bench.nowMs);

    const ALL = ['p', 'waits', 'below', 'runs', 'done', 'sent'] as const;

    const endBadly: Readonly<
      Record<string, readonly [status: 'failed' | 'dead' | 'cancelled', end: (p: ClaimedTask) => Promise<unknown>]>
    > = {
      'that fails': ['failed', (p) => bench.settle(p, { at: 'failed', error: 'why' })],
      'that is dead': ['dead', (p) => bench.settle(p, { at: 'dead', error: 'why' })],
      'that is lost once too often': ['dead', (p) => bench.settle(p, { at: 'lost', error: 'why' })],
      'that an operator cancels, when its run lets go': [
        'cancelled',
        async (p) => {
          await bench.steer('p', 'cancel');
          await bench.settle(p, { at: 'released' });
        },
      ],
      'whose deadline passes': [
        'failed',
        async (p) => {
          await bench.settle(p, parked('child', { children: ['waits'] }));
          await bench.sweepIn(1_000);
        },
      ],
    };

    for (const [how, [status, end]] of Object.entries(endBadly)) {
      test(`${how} cancels whom it has asked, in the same command; what has ended stays, what was sent goes on`, async () => {
        const { p, runs } = await family({ maxLosses: 1, deadlineMs: bench.nowMs + 1_000 });
        await end(p);
        expect(await bench.standing(...ALL)).toEqual([status, 'cancelled', 'cancelled', 'running', 'completed', 'queued']);
        expect(await bench.record('runs')).toMatchObject({ noted: 'cancel' });
        expect(await bench.settle(runs, { at: 'released' })).toEqual(SETTLED('cancelled'));
      });

      test(`${how} and is to be undone cancels them before; and waits for those that run`, async () => {
        const { p, runs } = await family({ maxLosses: 1, deadlineMs: bench.nowMs + 1_000 });
        await registers(p);
        await end(p);
        expect(await bench.standing(...ALL)).toEqual(['queued', 'cancelled', 'cancelled', 'running', 'completed', 'queued']);
        const undoing = await bench.runNext('p');
        await bench.settle(undoing, parked('child', { children: ['runs'] }));
        await bench.settle(runs, { at: 'released' });
        expect(await bench.standing('p', 'runs')).toEqual(['queued', 'cancelled']);
        expect(await bench.settle(await bench.runNext('p'), { at: 'undone' })).toEqual(SETTLED(status));
      });
    }

    test('that dies with its process does so too, before anybody can claim one of them', async () => {
      const { p } = await family({ maxLosses: 1 });
      expect(await bench.record(p.id)).toMatchObject({ status: 'running' });
      await bench.crashAndOpen();
      // The one that ran was lost with it, and is cancelled as it is queued again.
      expect(await bench.standing(...ALL)).toEqual(['dead', 'cancelled', 'cancelled', 'cancelled', 'completed', 'queued']);
    });

    test('by a lease that has run out: the sweep tells who has ended, and which runs are to let go', async () => {
      const { runs } = await family({ maxLosses: 1 });
      await bench.store.renew([{ ...runs, leaseUntilMs: bench.nowMs + 90_000 }], bench.nowMs);
      const reply = await bench.sweepIn(60_000);
      expect(reply.expired).toMatchObject([{ id: 'p', status: 'dead' }]);
      expect(reply.ended.toSorted()).toEqual(['below', 'waits']);
      expect(reply.noted).toEqual([{ id: 'runs', fence: runs.fence, what: 'cancel' }]);
    });

    test('by a settlement: the next sweep tells, once', async () => {
      const { p, runs } = await family();
      await bench.settle(p, { at: 'failed', error: 'why' });
      const reply = await bench.sweepIn(1);
      expect(reply.ended.toSorted()).toEqual(['below', 'waits']);
      expect(reply.noted).toEqual([{ id: 'runs', fence: runs.fence, what: 'cancel' }]);
      expect((await bench.sweepIn(1)).ended).toEqual([]);
    });

    test('is named in the stories of those who are cancelled', async () => {
      const { p } = await family();
      await bench.settle(p, { at: 'failed', error: 'why' });
      const order = { at: 'steered', atMs: bench.nowMs, action: 'cancel', by: 'drover', reason: 'task p, which it worked for, has failed' };
      for (const id of ['waits', 'below', 'runs']) expect((await bench.store.story(id)).at(-1)).toEqual(order);
      for (const id of ['done', 'sent']) expect((await bench.store.story(id)).map(({ at }) => at)).not.toContain('steered');
    });

    test('by an operator is his in all of their stories, also of those below one that was still running', async () => {
      const p = await bench.running('p');
      await bench.submit(child('runs', p));
      const runs = await runOf('runs');
      await bench.submit(child('below', runs));
      await bench.settle(p, parked('child', { children: ['runs'] }));
      await bench.steer('p', 'cancel');
      await bench.settle(runs, { at: 'released' });
      expect(await bench.standing('p', 'runs', 'below')).toEqual(['cancelled', 'cancelled', 'cancelled']);
      const order = { at: 'steered', action: 'cancel', by: 'ann', reason: 'because' };
      for (const id of ['p', 'runs', 'below'])
        expect((await bench.store.story(id)).filter(({ at }) => at === 'steered')).toMatchObject([order]);
    });

    test('has those undone that have something to undo; whoever is being undone goes on with that', async () => {
      const p = await bench.running('p');
      await bench.submit(child('waits', p), child('fails', p));
      const waits = await runOf('waits');
      await registers(waits);
      await bench.settle(waits, parked('approval', { events: [{ name: 'approval:ok', n: 0 }] }));
      const fails = await runOf('fails');
      await registers(fails);
      await bench.settle(fails, { at: 'failed', error: 'own' });
      const undoing = await runOf('fails');
      await bench.settle(p, { at: 'failed', error: 'why' });
      expect(await bench.standing('p', 'waits', 'fails')).toEqual(['failed', 'queued', 'running']);
      expect((await bench.given(await runOf('waits'))).undo).toEqual({ status: 'cancelled', error: null });
      expect(await bench.settle(undoing, { at: 'undone' })).toEqual(SETTLED('failed'));
    });

    test('leaves nobody waiting for locks, for its turn, or for an operator', async () => {
      await bench.running('other', { locks: write('f'), orderKey: 'k' });
      const p = await bench.running('p');
      await bench.submit(child('locked', p, { locks: write('f') }), child('inLine', p, { orderKey: 'k' }), child('paused', p));
      const [locked] = await bench.claim(1, { kind: 'locked' });
      await bench.start(locked!);
      await bench.steer('paused', 'pause');
      expect(await bench.standing('locked', 'inLine', 'paused')).toEqual(['parked:locks', 'parked:order', 'parked:operator']);
      await bench.settle(p, { at: 'dead', error: 'why' });
      expect(await bench.standing('locked', 'inLine', 'paused')).toEqual(['cancelled', 'cancelled', 'cancelled']);
    });

    for (const isFirst of [true, false]) {
      test(`does not keep one from completing by the same command, ${isFirst ? 'before' : 'after'} it`, async () => {
        const p = await bench.running('p');
        await bench.submit(child('runs', p));
        const completed = { ...(await runOf('runs')), outcome: { at: 'completed', result: '1', sends: [] } } as const;
        const failed = { ...p, outcome: { at: 'failed', error: 'why' } } as const;
        await bench.store.settle(isFirst ? [completed, failed] : [failed, completed], bench.nowMs);
        expect(await bench.standing('p', 'runs')).toEqual(['failed', 'completed']);
      });
    }

    for (const [how, outcome] of [
      ['parks', parked('sleep', { wakeAtMs: 9e9 })],
      ['is to be tried again', { at: 'retry', error: 'e', readyAtMs: 9e9 }],
      ['is given back', { at: 'released' }],
    ] as const) {
      test(`reaches one that ${how} by the same command, and the answer says so`, async () => {
        const p = await bench.running('p');
        await bench.submit(child('runs', p));
        const runs = await runOf('runs');
        const items = [
          { ...runs, outcome },
          { ...p, outcome: { at: 'failed', error: 'why' } as const },
        ];
        const { outcomes } = await bench.store.settle(items, bench.nowMs);
        expect(outcomes).toEqual([SETTLED('cancelled'), SETTLED('failed')]);
        expect(await bench.standing('runs')).toEqual(['cancelled']);
        expect(await bench.claim(1, { kind: 'runs' })).toEqual([]);
      });
    }

    test('is not that of a run that is only tried again, lost or parked', async () => {
      const { p } = await family({ maxLosses: 3 });
      await bench.settle(p, { at: 'retry', error: 'e', readyAtMs: bench.nowMs });
      await bench.sweepIn(0);
      await bench.settle(await bench.runNext('p'), { at: 'lost', error: 'e' });
      await bench.settle(await bench.runNext('p'), parked('child', { children: ['waits'] }));
      expect(await bench.standing('p', 'waits', 'below', 'runs')).toEqual(['parked:child', 'parked:child', 'queued', 'running']);
    });

    test('that completes cancels whom it has asked and who has not ended, in the same command; what was sent goes on', async () => {
      const { p, runs } = await family();
      await bench.complete(p);
      expect(await bench.standing(...ALL)).toEqual(['completed', 'cancelled', 'cancelled', 'running', 'completed', 'queued']);
      const reply = await bench.sweepIn(1);
      expect(reply.ended.toSorted()).toEqual(['below', 'waits']);
      expect(reply.noted).toEqual([{ id: 'runs', fence: runs.fence, what: 'cancel' }]);
      const order = { action: 'cancel', by: 'drover', reason: 'task p, which it worked for, has completed without it' };
      for (const id of ['waits', 'below', 'runs']) expect((await bench.store.story(id)).at(-1)).toMatchObject(order);
      expect(await bench.settle(runs, { at: 'released' })).toEqual(SETTLED('cancelled'));
    });

    test('that completes does so too where it had asked in an earlier run, before a crash or a park', async () => {
      const { p } = await family({ maxLosses: 3 });
      await bench.settle(p, parked('child', { children: ['done'] }));
      await bench.complete(await bench.runNext('p'));
      expect(await bench.standing('p', 'waits', 'below', 'runs')).toEqual(['completed', 'cancelled', 'cancelled', 'running']);
    });

    test('that completes does so where it was under lease when the process of its store died', async () => {
      const { p } = await family({ maxLosses: 3 });
      await bench.crashAndOpen();
      expect(await bench.record(p.id)).toMatchObject({ status: 'queued' });
      await bench.complete(await bench.runNext('p'));
      expect(await bench.standing('p', 'waits', 'below', 'runs')).toEqual(['completed', 'cancelled', 'cancelled', 'cancelled']);
    });

    test('that completes has those undone that have something to undo', async () => {
      const p = await bench.running('p');
      await bench.submit(child('waits', p));
      const waits = await runOf('waits');
      await registers(waits);
      await bench.settle(waits, parked('approval', { events: [{ name: 'approval:ok', n: 0 }] }));
      await bench.complete(p);
      expect(await bench.standing('p', 'waits')).toEqual(['completed', 'queued']);
      expect((await bench.given(await runOf('waits'))).undo).toEqual({ status: 'cancelled', error: null });
    });

    test('that is waited for to be undone is not a cancel: that is refused, and says how it ends', async () => {
      const { p } = await family();
      await registers(p);
      await bench.settle(p, { at: 'failed', error: 'why' });
      await bench.settle(await bench.runNext('p'), parked('child', { children: ['runs'] }));
      const refused = { at: 'refused', why: 'undoing', status: 'parked', ends: 'failed' };
      expect((await bench.steer('p', 'cancel')).outcomes).toEqual([refused]);
    });

    describe('is taken back by putting it back', () => {
      test('with those that were cancelled by it, at every depth, over a crash; none of the others', async () => {
        const { p, runs } = await family();
        await bench.submit(child('stopped', p));
        await bench.steer('stopped', 'cancel');
        await bench.settle(p, { at: 'failed', error: 'why' });
        await bench.settle(runs, { at: 'released' });
        await bench.crashAndOpen();
        expect((await bench.steer('p', 'requeue')).outcomes).toEqual([{ at: 'done', status: 'queued' }]);
        expect(await bench.standing(...ALL)).toEqual(['queued', 'queued', 'queued', 'queued', 'completed', 'queued']);
        expect(await bench.standing('stopped')).toEqual(['cancelled']);
        expect((await bench.store.story('below')).at(-1)).toMatchObject({ at: 'steered', action: 'requeue', by: 'ann' });
        expect(await bench.record('runs')).toMatchObject({ attempt: 0, noted: null, finishedAtMs: null });
      });

      test('with those that had failed, for which it would only fail again; what has completed stays', async () => {
        const { p } = await family();
        await bench.submit(child('fails', p), child('dies', p));
        await bench.settle(await runOf('fails'), { at: 'failed', error: 'own' });
        await bench.settle(await runOf('dies'), { at: 'dead', error: 'own' });
        await bench.settle(p, { at: 'failed', error: 'why' });
        await bench.crashAndOpen();
        await bench.steer('p', 'requeue');
        expect(await bench.standing('p', 'fails', 'dies', 'done')).toEqual(['queued', 'queued', 'queued', 'completed']);
        expect(await bench.record('dies')).toMatchObject({ attempt: 0, error: null, finishedAtMs: null });
        expect((await bench.store.story('fails')).at(-1)).toMatchObject({ at: 'steered', action: 'requeue', by: 'ann' });
      });

      test('but for those that have been undone', async () => {
        const p = await bench.running('p');
        await bench.submit(child('waits', p));
        const waits = await runOf('waits');
        await registers(waits);
        await bench.settle(p, { at: 'failed', error: 'why' });
        await bench.settle(waits, { at: 'released' });
        await bench.settle(await runOf('waits'), { at: 'undone' });
        await bench.steer('p', 'requeue');
        expect(await bench.standing('p', 'waits')).toEqual(['queued', 'cancelled']);
      });

      test('once: one that an operator has cancelled since stays so', async () => {
        const { p, runs } = await family();
        await bench.settle(p, { at: 'failed', error: 'why' });
        await bench.settle(runs, { at: 'released' });
        await bench.steer('p', 'requeue');
        await bench.steer('waits', 'cancel');
        await bench.settle(await bench.runNext('p'), { at: 'failed', error: 'again' });
        await bench.steer('p', 'requeue');
        expect(await bench.standing('p', 'waits', 'runs')).toEqual(['queued', 'cancelled', 'queued']);
      });
    });
  });
}
