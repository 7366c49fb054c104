import { describe, expect, test } from 'vitest';
import { DeadlinePassedError } from '../../../src/runtime/run/errors.ts';
import { Bench, newTask, parked, SETTLED } from './place.ts';
import type { MakePlace } from './place.ts';

export function waitingForTimes(makePlace: MakePlace): void {
  describe('a delayed task', () => {
    const bench = new Bench(makePlace);

    test('is parked for its time, and queued then as new work', async () => {
      await bench.submit(newTask('later', { notBeforeMs: bench.nowMs + 100.5 }), 'now');
      expect(await bench.record('later')).toMatchObject({ status: 'parked', parkedFor: 'time', dueAtMs: bench.nowMs + 100.5, attempt: 0 });
      expect(await bench.sweepIn(100)).toMatchObject({ ready: [], nextAtMs: bench.nowMs + 0.5 });
      await bench.submit(newTask('urgent', { priority: 1 }));
      expect(await bench.sweepIn(0.5)).toMatchObject({ ready: ['triage'], nextAtMs: null });
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['urgent', 'later', 'now']);
    });

    test('whose time has come is queued at once', async () => {
      await bench.submit(newTask('a', { notBeforeMs: bench.nowMs }), newTask('b', { notBeforeMs: -1 }));
      expect(await bench.standing('a', 'b')).toEqual(['queued', 'queued']);
    });

    test('survives a crash', async () => {
      await bench.submit(newTask('a', { notBeforeMs: bench.nowMs + 100 }));
      await bench.crashAndOpen();
      expect(await bench.claim()).toEqual([]);
      await bench.sweepIn(100);
      expect(await bench.claim()).toMatchObject([{ id: 'a' }]);
    });

    test('whose time had come when it began, or came into line, does not wait for it again by a clock that was set back', async () => {
      const [soon, key] = [{ notBeforeMs: bench.nowMs }, { orderKey: 'k' }];
      await bench.submit(newTask('begun', soon), newTask('head', key), newTask('behind', { ...soon, ...key }));
      const [begun, head] = await bench.claim(2);
      await bench.start(begun!);
      bench.nowMs -= 3_600_000;
      await bench.crashAndOpen();
      expect(await bench.standing('begun', 'head', 'behind')).toEqual(['queued', 'queued', 'parked:order']);
      expect(head!.id).toBe('head');
      await bench.complete(await bench.runNext('begun'));
      await bench.complete(await bench.runNext('head'));
      expect(await bench.standing('behind')).toEqual(['queued']);
    });

    test('counts as unfinished', async () => {
      await bench.store.close();
      await bench.open(1);
      await bench.submit(newTask('a', { notBeforeMs: 9e9 }));
      expect(await bench.store.submit([newTask('b')], bench.nowMs)).toMatchObject([{ at: 'full' }]);
    });

    test('of one that is sent or asked for the same is true', async () => {
      const run = await bench.running('a');
      const send = newTask('s', { notBeforeMs: bench.nowMs + 100 });
      const { ready } = await bench.store.settle(
        [{ id: 'a', fence: run.fence, outcome: { at: 'completed', result: null, sends: [send] } }],
        bench.nowMs,
      );
      expect(ready).toEqual([]);
      expect(await bench.standing('s')).toEqual(['parked:time']);
    });
  });

  describe('tasks of an owner whose clock was an hour ahead', () => {
    const bench = new Bench(makePlace);

    test('are tried again, and have their turn, by the clock of who opens the store next', async () => {
      await bench.submit('long here');
      bench.nowMs += 3_600_000;
      await bench.store.sweep(bench.nowMs);
      await bench.submit(newTask('ahead'), newTask('fails', { priority: 1e6 }), newTask('dead', { priority: 1e6, maxAttempts: 1 }));
      const retry = { at: 'retry', error: 'e', readyAtMs: bench.nowMs + 2_000 } as const;
      await bench.settle(await bench.runNext('fails'), retry);
      await bench.settle(await bench.runNext('dead'), { at: 'dead', error: 'e' });
      bench.nowMs -= 3_599_000;
      await bench.crashAndOpen();
      expect(await bench.record('fails')).toMatchObject({ status: 'retrying', dueAtMs: bench.nowMs + 2_000 });
      await bench.store.steer([{ id: 'dead', action: 'requeue', by: 'me', reason: null }], bench.nowMs);
      bench.nowMs += 1;
      await bench.submit('new');
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['dead', 'long here', 'ahead', 'new']);
      expect(await bench.sweepIn(2_000)).toMatchObject({ ready: ['triage'] });
    });

    test('which was ahead by less than a minute are not looked for', async () => {
      bench.nowMs += 30_000;
      await bench.store.sweep(bench.nowMs);
      await bench.submit('ahead');
      bench.nowMs -= 1_000;
      await bench.crashAndOpen();
      await bench.submit('new');
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['new', 'ahead']);
    });
  });

  describe('a deadline', () => {
    const bench = new Bench(makePlace);
    const within = (id: string, ms: number, changes = {}) => newTask(id, { deadlineMs: bench.nowMs + ms, ...changes });

    test('ends whatever is not held, wherever it is, as failed; and says so', async () => {
      await bench.submit(
        within('retrying', 100),
        within('parked', 100),
        within('queued', 100),
        within('delayed', 100, { notBeforeMs: 9e9 }),
      );
      await bench.settle(await bench.runNext('retrying'), { at: 'retry', error: 'e', readyAtMs: bench.nowMs + 100 });
      await bench.settle(await bench.runNext('parked'), parked('child', { children: ['nobody'] }));
      await bench.submit(within('paused', 100));
      await bench.steer('paused', 'pause');
      expect(await bench.sweepIn(99)).toMatchObject({ ended: [], nextAtMs: bench.nowMs + 1 });
      const { ended, ready, nextAtMs } = await bench.sweepIn(1);
      expect(ended.toSorted()).toEqual(['delayed', 'parked', 'paused', 'queued', 'retrying']);
      expect(ready).toEqual([]);
      expect(nextAtMs).toBeNull();
      for (const id of ended) {
        const task = await bench.record(id);
        expect(task).toMatchObject({ status: 'failed', finishedAtMs: bench.nowMs });
        expect(JSON.parse(task!.error!)).toMatchObject({
          code: 'DROVER_DEADLINE_PASSED',
          // As a run says it that finds out itself.
          message: new DeadlinePassedError({ id, deadlineMs: bench.nowMs }).message,
        });
      }
      expect(await bench.claim()).toEqual([]);
    });

    test('a run that holds is left to its engine, and may still complete', async () => {
      const run = await bench.running('a', { deadlineMs: bench.nowMs + 10 });
      expect(run.deadlineMs).toBe(bench.nowMs + 10);
      expect((await bench.sweepIn(20)).ended).toEqual([]);
      expect(await bench.standing('a')).toEqual(['running']);
      await bench.complete(run);
    });

    test('a task that comes back late is ended by the next sweep', async () => {
      const run = await bench.running('a', { deadlineMs: bench.nowMs + 10 });
      bench.nowMs += 20;
      await bench.settle(run, { at: 'released' });
      expect((await bench.sweepIn(0)).ended).toEqual(['a']);
      await bench.running('b', { deadlineMs: bench.nowMs + 10, leaseMs: 20 });
      expect((await bench.sweepIn(20)).expired).toMatchObject([{ id: 'b' }]);
      await bench.sweepIn(0);
      expect(await bench.record('b')).toMatchObject({ status: 'failed' });
    });

    test('tells whoever waits for the task', async () => {
      const p = await bench.running('p');
      await bench.submit(within('c', 10, { parent: { id: 'p', fence: p.fence, place: 'c' } }));
      await bench.settle(p, parked('child', { children: ['c'] }));
      expect(await bench.sweepIn(10)).toMatchObject({ ended: ['c'], ready: ['triage'] });
      expect(await bench.standing('p')).toEqual(['queued']);
    });

    test('of an ended task nothing is heard any more, also after a crash', async () => {
      await bench.complete(await bench.running('a', { deadlineMs: bench.nowMs + 10 }));
      await bench.crashAndOpen();
      expect(await bench.sweepIn(20)).toMatchObject({ ended: [], nextAtMs: null });
    });

    test('is kept over a crash', async () => {
      await bench.submit(within('a', 10));
      await bench.crashAndOpen();
      expect((await bench.sweepIn(10)).ended).toEqual(['a']);
    });

    test('the head of a key that passes its own lets the next one go', async () => {
      await bench.submit(within('a', 10, { orderKey: 'x' }), newTask('b', { orderKey: 'x' }));
      expect((await bench.sweepIn(10)).ready).toEqual(['triage']);
      expect(await bench.settle(await bench.runNext('b'), { at: 'completed', result: null, sends: [] })).toEqual(SETTLED('completed'));
    });
  });
}
