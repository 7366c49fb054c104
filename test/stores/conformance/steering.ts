import { describe, expect, test } from 'vitest';
import type { ClaimedTask, SettledOutcome, SteerAction, SteerOutcome } from '../../../actors/ports/store.ts';
import { Bench, newTask, parked, SETTLED, STALE, write } from './place.ts';
import type { MakePlace } from './place.ts';

type Where = 'queued' | 'leased' | 'running' | 'retrying' | 'parked' | 'paused' | 'completed' | 'failed' | 'cancelled' | 'dead';

const NOTED = { at: 'noted', fence: 1 } as const;
const done = (status: 'queued' | 'running' | 'parked' | 'cancelled' | 'leased' | 'retrying'): SteerOutcome => ({ at: 'done', status });
const refused = (why: 'ended' | 'not-ended' | 'not-paused', status: Exclude<Where, 'paused'>): SteerOutcome => ({
  at: 'refused',
  why,
  status,
});

/** What each action answers, by where the task is. */
const TABLE: Record<SteerAction, Record<Where, SteerOutcome>> = {
  cancel: {
    queued: done('cancelled'),
    leased: NOTED,
    running: NOTED,
    retrying: done('cancelled'),
    parked: done('cancelled'),
    paused: done('cancelled'),
    completed: refused('ended', 'completed'),
    failed: refused('ended', 'failed'),
    cancelled: refused('ended', 'cancelled'),
    dead: refused('ended', 'dead'),
  },
  pause: {
    queued: done('parked'),
    leased: NOTED,
    running: NOTED,
    retrying: done('parked'),
    parked: done('parked'),
    paused: done('parked'),
    completed: refused('ended', 'completed'),
    failed: refused('ended', 'failed'),
    cancelled: refused('ended', 'cancelled'),
    dead: refused('ended', 'dead'),
  },
  unpause: {
    queued: refused('not-paused', 'queued'),
    leased: refused('not-paused', 'leased'),
    running: refused('not-paused', 'running'),
    retrying: refused('not-paused', 'retrying'),
    parked: refused('not-paused', 'parked'),
    paused: done('queued'),
    completed: refused('ended', 'completed'),
    failed: refused('ended', 'failed'),
    cancelled: refused('ended', 'cancelled'),
    dead: refused('ended', 'dead'),
  },
  requeue: {
    queued: refused('not-ended', 'queued'),
    leased: refused('not-ended', 'leased'),
    running: refused('not-ended', 'running'),
    retrying: refused('not-ended', 'retrying'),
    parked: refused('not-ended', 'parked'),
    paused: refused('not-ended', 'parked'),
    completed: refused('ended', 'completed'),
    failed: done('queued'),
    cancelled: done('queued'),
    dead: done('queued'),
  },
};

export function steering(makePlace: MakePlace): void {
  describe('steer', () => {
    const bench = new Bench(makePlace);

    async function bring(where: Where): Promise<void> {
      await bench.submit('a');
      if (where === 'queued') return;
      if (where === 'cancelled' || where === 'paused') return void (await bench.steer('a', where === 'paused' ? 'pause' : 'cancel'));
      const [run] = await bench.claim();
      if (where === 'leased') return;
      await bench.store.start([run!], bench.nowMs);
      if (where === 'running') return;
      const ends: Record<Exclude<Where, 'queued' | 'leased' | 'running' | 'cancelled' | 'paused'>, SettledOutcome> = {
        retrying: { at: 'retry', error: 'e', readyAtMs: 9e9 },
        parked: parked('event', { events: [{ name: 'e', n: 0 }] }),
        completed: { at: 'completed', result: '1', sends: [] },
        failed: { at: 'failed', error: 'e' },
        dead: { at: 'dead', error: 'e' },
      };
      await bench.settle(run!, ends[where]);
    }

    for (const [action, answers] of Object.entries(TABLE)) {
      for (const [where, expected] of Object.entries(answers)) {
        test(`${action} of a task that is ${where}: ${expected.at}`, async () => {
          await bring(where as Where);
          const before = await bench.record('a');
          const reply = await bench.steer('a', action as SteerAction);
          expect(reply.outcomes).toEqual([expected]);
          expect(reply.held).toEqual(expected.at === 'noted' ? [{ id: 'a', fence: 1 }] : []);
          const after = await bench.record('a');
          if (expected.at === 'done') expect(after?.status).toBe(expected.status);
          else expect({ ...after, noted: null }).toEqual(before);
          expect(after?.noted).toBe(expected.at === 'noted' ? action : null);
          expect(reply.ended).toEqual(after?.status === 'cancelled' && before?.status !== 'cancelled' ? ['a'] : []);
        });
      }
    }

    test('a task that is not there is unknown, and each of a batch is taken for itself', async () => {
      await bench.submit('a', 'b');
      const items = ['a', 'nobody', 'b', 'a'].map((id) => ({ id, action: 'cancel' as const, by: 'ann', reason: null }));
      const { outcomes } = await bench.store.steer(items, bench.nowMs);
      expect(outcomes).toEqual([done('cancelled'), { at: 'unknown' }, done('cancelled'), refused('ended', 'cancelled')]);
    });

    test('a cancelled task has ended: nobody claims it, and its place is free', async () => {
      await bench.store.close();
      await bench.open(1);
      await bench.submit('a');
      bench.nowMs += 3;
      await bench.steer('a', 'cancel');
      expect(await bench.record('a')).toMatchObject({ status: 'cancelled', finishedAtMs: bench.nowMs, result: null });
      expect(await bench.claim()).toEqual([]);
      await bench.submit('b');
    });

    test('a cancelled parked task leaves no alarm, and its events wake nobody', async () => {
      await bench.settle(await bench.running('a'), parked('event', { events: [{ name: 'e', n: 0 }], wakeAtMs: bench.nowMs + 10 }));
      await bench.steer('a', 'cancel');
      expect(await bench.sweepIn(20)).toMatchObject({ ready: [], nextAtMs: null });
      expect((await bench.store.signal([{ id: 'a', name: 'e', value: '1' }], bench.nowMs)).outcomes).toEqual([
        { at: 'ended', status: 'cancelled' },
      ]);
    });

    describe('what was noted', () => {
      const LETTING_GO: Record<string, (run: ClaimedTask) => Promise<unknown>> = {
        released: (run) => bench.settle(run, { at: 'released' }),
        retry: (run) => bench.settle(run, { at: 'retry', error: 'e', readyAtMs: 9e9 }),
        parked: (run) => bench.settle(run, parked('child', { children: ['nobody'] })),
        'parked on what is there': (run) => bench.settle(run, parked('sleep', { wakeAtMs: bench.nowMs })),
        lost: (run) => bench.settle(run, { at: 'lost', error: 'e' }),
        'an expired lease': () => bench.sweepIn(60_000),
        'a crash': () => bench.crashAndOpen(),
        'a close': async () => {
          await bench.reopen();
        },
      };
      for (const [how, letGo] of Object.entries(LETTING_GO)) {
        for (const [action, standing] of [
          ['cancel', 'cancelled'],
          ['pause', 'parked:operator'],
        ] as const) {
          test(`${action}: done when the run lets go (${how})`, async () => {
            const run = await bench.running('a');
            await bench.steer('a', action);
            expect(await bench.record('a')).toMatchObject({ status: 'running', noted: action });
            await letGo(run);
            expect(await bench.standing('a')).toEqual([standing]);
            expect((await bench.record('a'))?.noted).toBeNull();
            expect(await bench.claim()).toEqual([]);
            expect(await bench.settle(run, { at: 'completed', result: null, sends: [] })).toEqual(STALE);
          });
        }
      }

      test('a run that completes first has completed', async () => {
        for (const action of ['cancel', 'pause'] as const) {
          const run = await bench.running(action);
          await bench.steer(action, action);
          await bench.complete(run);
          expect(await bench.record(action)).toMatchObject({ status: 'completed', noted: null });
        }
      });

      test('a start that is blocked lets go too', async () => {
        await bench.running('holder', { locks: write('f') });
        await bench.submit(newTask('a', { locks: write('f') }));
        const [leased] = await bench.claim();
        await bench.steer('a', 'pause');
        expect((await bench.start(leased!)).at).toBe('blocked');
        expect(await bench.standing('a')).toEqual(['parked:operator']);
      });

      test('the answer to whoever lets go says where the task is now', async () => {
        const a = await bench.running('a');
        const b = await bench.running('b');
        await bench.steer('a', 'cancel');
        await bench.steer('b', 'pause');
        expect(await bench.settle(a, { at: 'released' })).toEqual(SETTLED('cancelled'));
        expect(await bench.settle(b, { at: 'retry', error: 'e', readyAtMs: 0 })).toEqual(SETTLED('parked'));
      });

      test('a cancel outweighs a pause, in either order', async () => {
        for (const actions of [
          ['pause', 'cancel'],
          ['cancel', 'pause'],
        ] as const) {
          const run = await bench.running(actions.join());
          for (const action of actions) await bench.steer(run.id, action);
          expect(await bench.settle(run, { at: 'released' })).toEqual(SETTLED('cancelled'));
        }
      });

      test('a noted pause is taken back by a resume, a noted cancel is not', async () => {
        const run = await bench.running('a');
        await bench.steer('a', 'pause');
        expect((await bench.steer('a', 'unpause')).outcomes).toEqual([done('running')]);
        expect(await bench.settle(run, { at: 'released' })).toEqual(SETTLED('queued'));
        const again = await bench.runNext('a');
        await bench.steer('a', 'cancel');
        expect((await bench.steer('a', 'unpause')).outcomes[0]?.at).toBe('refused');
        expect(await bench.settle(again, { at: 'released' })).toEqual(SETTLED('cancelled'));
      });
    });

    describe('pause and unpause', () => {
      test('what a paused task waited for does not wake it; resumed it is queued, and looks again', async () => {
        await bench.settle(await bench.running('a'), parked('event', { events: [{ name: 'e', n: 0 }], wakeAtMs: bench.nowMs + 10 }));
        await bench.steer('a', 'pause');
        await bench.store.signal([{ id: 'a', name: 'e', value: '1' }], bench.nowMs);
        expect(await bench.sweepIn(20)).toMatchObject({ ready: [], nextAtMs: null });
        expect(await bench.standing('a')).toEqual(['parked:operator']);
        expect((await bench.steer('a', 'unpause')).ready).toEqual(['triage']);
        expect((await bench.given((await bench.claim())[0]!)).events).toHaveLength(1);
      });

      test('a paused retry keeps its attempts and its error', async () => {
        await bench.settle(await bench.running('a'), { at: 'retry', error: 'why', readyAtMs: bench.nowMs });
        await bench.steer('a', 'pause');
        expect(await bench.record('a')).toMatchObject({ attempt: 1, error: 'why' });
        await bench.steer('a', 'unpause');
        expect(await bench.given((await bench.claim())[0]!)).toMatchObject({ attempt: 2 });
      });

      test('a task that is paused before its time is not resumed before its time', async () => {
        await bench.submit(newTask('a', { notBeforeMs: bench.nowMs + 100 }));
        await bench.steer('a', 'pause');
        await bench.steer('a', 'unpause');
        expect(await bench.claim()).toEqual([]);
        await bench.sweepIn(100);
        expect(await bench.claim()).toMatchObject([{ id: 'a' }]);
      });

      for (const how of ['while it waits', 'while it runs'] as const) {
        test(`a retry that is paused before its time (${how}) is not resumed before its time, over a crash too`, async () => {
          const run = await bench.running('a', { tenant: 't' });
          const retry = () => bench.settle(run, { at: 'retry', error: 'why', readyAtMs: bench.nowMs + 100 });
          if (how === 'while it waits') await retry();
          await bench.steer('a', 'pause');
          if (how === 'while it runs') await retry();
          expect(await bench.record('a')).toMatchObject({ parkedFor: 'operator', dueAtMs: null });
          await bench.crashAndOpen();
          await bench.sweepIn(40);
          expect(await bench.steer('a', 'unpause')).toMatchObject({ outcomes: [done('retrying')], ready: [] });
          expect(await bench.record('a')).toMatchObject({ parkedFor: null, dueAtMs: 1_100, error: 'why' });
          await bench.crashAndOpen();
          expect(await bench.sweepIn(59)).toMatchObject({ ready: [], nextAtMs: 1_100 });
          expect(await bench.claim()).toEqual([]);
          expect((await bench.sweepIn(1)).ready).toEqual(['triage']);
          expect(await bench.given((await bench.claim())[0]!)).toMatchObject({ attempt: 2 });
        });
      }

      test('a retry that came due while it was paused is queued at once', async () => {
        await bench.settle(await bench.running('a'), { at: 'retry', error: 'why', readyAtMs: bench.nowMs + 100 });
        await bench.steer('a', 'pause');
        await bench.sweepIn(100);
        expect((await bench.steer('a', 'unpause')).outcomes).toEqual([done('queued')]);
        expect(await bench.claim()).toMatchObject([{ id: 'a' }]);
      });

      test('a pause says no more when a retry was due once the task has begun anew', async () => {
        await bench.settle(await bench.running('a'), { at: 'retry', error: 'why', readyAtMs: bench.nowMs + 100 });
        for (const action of ['pause', 'cancel', 'requeue', 'pause'] as const) await bench.steer('a', action);
        expect((await bench.steer('a', 'unpause')).outcomes).toEqual([done('queued')]);
      });

      test('paused stays paused over a crash', async () => {
        await bench.submit('a');
        await bench.steer('a', 'pause');
        await bench.crashAndOpen();
        await bench.sweepIn(1e9);
        expect(await bench.standing('a')).toEqual(['parked:operator']);
      });
    });

    describe('a cancel and those it asked for', () => {
      /** `p` waits for `c`, which waits for `g`; `held` is a running child of `p`, `sent` was sent by it. */
      async function family(): Promise<ClaimedTask> {
        const p = await bench.running('p');
        const child = (id: string, of: ClaimedTask) =>
          newTask(id, { kind: id, parent: { id: of.id, fence: of.fence, place: id }, rootId: 'p', depth: 1 });
        await bench.submit(child('c', p), child('held', p), newTask('sent', { kind: 'sent', rootId: 'p' }));
        const [c] = await bench.claim(1, { kind: 'c' });
        await bench.submit(child('g', c!));
        await bench.settle(c!, parked('child', { children: ['g'] }));
        const [held] = await bench.claim(1, { kind: 'held' });
        await bench.settle(p, parked('child', { children: ['c', 'held'] }));
        return held!;
      }

      test('unfinished children end with it, and theirs; held ones are told; what was sent goes on', async () => {
        const held = await family();
        const reply = await bench.steer('p', 'cancel');
        expect(reply.outcomes).toEqual([done('cancelled')]);
        expect(reply.ended.toSorted()).toEqual(['c', 'g', 'p']);
        expect(reply.held).toEqual([{ id: 'held', fence: held.fence }]);
        expect(await bench.standing('p', 'c', 'g', 'held', 'sent')).toEqual(['cancelled', 'cancelled', 'cancelled', 'leased', 'queued']);
        expect(await bench.settle(held, { at: 'released' })).toEqual(SETTLED('cancelled'));
      });

      test('also when it is noted, and done when the run lets go', async () => {
        const p = await bench.running('p');
        await bench.submit(newTask('c', { parent: { id: 'p', fence: p.fence, place: 'c' } }));
        await bench.steer('p', 'cancel');
        await bench.settle(p, { at: 'released' });
        expect(await bench.standing('p', 'c')).toEqual(['cancelled', 'cancelled']);
      });

      test('children that have ended stay as they are', async () => {
        const p = await bench.running('p');
        await bench.submit(newTask('c', { parent: { id: 'p', fence: p.fence, place: 'c' } }));
        await bench.complete(await bench.runNext('c'));
        await bench.settle(p, parked('event', { events: [{ name: 'e', n: 0 }] }));
        expect((await bench.steer('p', 'cancel')).ended).toEqual(['p']);
        expect(await bench.standing('c')).toEqual(['completed']);
      });

      test('a cancelled child wakes its parent, which finds it cancelled', async () => {
        await family();
        expect((await bench.steer('c', 'cancel')).ready).toEqual(['triage']);
        const p = await bench.runNext('p');
        expect((await bench.given(p)).children.map(({ id, status }) => [id, status])).toEqual([
          ['c', 'cancelled'],
          ['held', 'leased'],
        ]);
      });

      test('a pause does not touch the children', async () => {
        await family();
        await bench.steer('p', 'pause');
        expect(await bench.standing('c', 'g')).toEqual(['parked:child', 'queued']);
      });
    });

    describe('requeue', () => {
      test('it begins anew: no attempts, losses or error, as new work, and its fence goes on', async () => {
        await bench.settle(await bench.running('a', { maxLosses: 1 }), { at: 'lost', error: 'e' });
        await bench.submit(newTask('urgent', { priority: 9 }));
        expect((await bench.steer('a', 'requeue')).ready).toEqual(['triage']);
        expect(await bench.record('a')).toMatchObject({ status: 'queued', attempt: 0, losses: 0, error: null, finishedAtMs: null });
        const claimed = await bench.claim(9);
        expect(claimed.map(({ id, fence }) => [id, fence])).toEqual([
          ['urgent', 1],
          ['a', 2],
        ]);
        expect(await bench.start(claimed[1]!)).toMatchObject({ at: 'started', attempt: 1, losses: 0 });
      });

      test('what would run past its deadline is refused, and stays as it is', async () => {
        const deadlineMs = bench.nowMs + 1_000;
        const run = await bench.running('a', { deadlineMs });
        await bench.settle(run, { at: 'failed', error: 'e' });
        bench.nowMs = deadlineMs;
        expect((await bench.steer('a', 'requeue')).outcomes).toEqual([{ at: 'refused', why: 'deadline', status: 'failed', deadlineMs }]);
        bench.nowMs = deadlineMs - 1;
        expect((await bench.steer('a', 'requeue')).outcomes).toEqual([{ at: 'done', status: 'queued' }]);
      });

      test('it counts as unfinished again', async () => {
        await bench.store.close();
        await bench.open(1);
        await bench.settle(await bench.running('a'), { at: 'failed', error: 'e' });
        await bench.steer('a', 'requeue');
        expect(await bench.store.submit([newTask('b')], bench.nowMs)).toMatchObject([{ at: 'full' }]);
      });

      test('a parent that has seen the failure is not told again, one that waits anew is', async () => {
        const p = await bench.running('p');
        await bench.submit(newTask('c', { kind: 'child', parent: { id: 'p', fence: p.fence, place: 'c' } }));
        const [c] = await bench.claim(1, { kind: 'child' });
        await bench.settle(c!, { at: 'failed', error: 'e' });
        await bench.steer('c', 'requeue');
        expect(await bench.settle(p, parked('child', { children: ['c'] }))).toEqual(SETTLED('parked'));
        const [again] = await bench.claim(1, { kind: 'child' });
        await bench.complete(again!);
        expect(await bench.standing('p')).toEqual(['queued']);
      });
    });
  });
}
