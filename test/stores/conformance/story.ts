import { describe, expect, test } from 'vitest';
import { STORY_LENGTH } from '../../../actors/ports/store.ts';
import type { StoryEntry } from '../../../actors/ports/store.ts';
import { Bench, newTask, parked, write } from './place.ts';
import type { MakePlace } from './place.ts';

type Run = Extract<StoryEntry, { at: 'run' }>;

export function telling(makePlace: MakePlace): void {
  describe('the story of a task', () => {
    const bench = new Bench(makePlace);

    /** Claims the task and starts it as this worker, a little later each. */
    async function runAs(worker: string) {
      bench.nowMs += 1;
      const [claimed] = await bench.claim();
      bench.nowMs += 1;
      await bench.store.start([{ id: claimed!.id, fence: claimed!.fence, worker }], bench.nowMs);
      bench.nowMs += 1;
      return claimed!;
    }
    const runs = async (id: string): Promise<Run[]> => (await bench.store.story(id)).filter((entry): entry is Run => entry.at === 'run');

    test('of a task that is not known there is none', async () => {
      expect(await bench.store.story('nobody')).toEqual([]);
    });

    test('a task that completes in its first run: who ran it, when, under which fence', async () => {
      await bench.submit('a');
      const submittedAtMs = bench.nowMs;
      await bench.complete(await runAs('triage/0#1'), '1');
      const claimedAtMs = submittedAtMs + 1;
      expect(await bench.store.story('a')).toEqual([
        { at: 'submitted', atMs: submittedAtMs },
        {
          at: 'run',
          atMs: bench.nowMs,
          fence: 1,
          worker: 'triage/0#1',
          claimedAtMs,
          startedAtMs: claimedAtMs + 1,
          outcome: 'completed',
          detail: null,
        },
      ]);
    });

    test('one that only waits has been submitted, and no more', async () => {
      await bench.submit('a');
      expect(await bench.store.story('a')).toEqual([{ at: 'submitted', atMs: bench.nowMs }]);
    });

    test('a deadline that has passed while nobody ran it is told, once, and so is how it was undone', async () => {
      const run = await bench.compensated('a', { deadlineMs: bench.nowMs + 10 });
      await bench.settle(run, parked('event', { events: [{ name: 'e', n: 0 }] }));
      await bench.sweepIn(20);
      const passedMs = bench.nowMs;
      await bench.settle(await runAs('w#1'), { at: 'undone' });
      await bench.sweepIn(20);
      expect(await bench.store.story('a')).toMatchObject([
        { at: 'submitted' },
        { at: 'run', outcome: 'parked' },
        { at: 'deadline', atMs: passedMs },
        { at: 'run', outcome: 'undone' },
      ]);
      await bench.submit(newTask('b', { deadlineMs: bench.nowMs + 10 }));
      await bench.sweepIn(20);
      expect(await bench.store.story('b')).toMatchObject([{ at: 'submitted' }, { at: 'deadline', atMs: bench.nowMs }]);
    });

    test('each run says how it let go of the lease, oldest first', async () => {
      await bench.submit(newTask('a', { maxLosses: 9 }));
      await bench.settle(await runAs('w#1'), { at: 'retry', error: '"no luck"', readyAtMs: bench.nowMs });
      await bench.store.sweep(bench.nowMs);
      await bench.settle(await runAs('w#2'), parked('child', { wakeAtMs: bench.nowMs }));
      await bench.settle(await runAs('w#3'), { at: 'released' });
      await bench.settle(await runAs('w#4'), { at: 'lost', error: '"died"' });
      await runAs('w#5');
      await bench.sweepIn(60_000);
      await runAs('w#6');
      await bench.crashAndOpen();
      await bench.settle(await runAs('w#7'), { at: 'failed', error: '"for good"' });
      const told = await runs('a');
      expect(told.map(({ fence, worker, outcome }) => `${fence} ${worker} ${outcome}`)).toEqual([
        '1 w#1 retry',
        '2 w#2 parked',
        '3 w#3 released',
        '4 w#4 lost',
        '5 w#5 expired',
        '6 w#6 owner-gone',
        '7 w#7 failed',
      ]);
      expect([told[0], told[1], told[3], told[6]].map((run) => run?.detail)).toEqual(['"no luck"', 'child', '"died"', '"for good"']);
      for (const run of told) expect([run.claimedAtMs < run.startedAtMs!, run.startedAtMs! < run.atMs]).toEqual([true, true]);
    });

    test('a claim that did not become a run is told too, and what blocked it', async () => {
      await bench.running('holder', { locks: write('f') });
      await bench.submit(newTask('a', { locks: write('f') }));
      await bench.tryNext('a');
      expect(await runs('a')).toMatchObject([{ outcome: 'blocked', startedAtMs: null, fence: 1 }]);
      expect((await runs('a'))[0]?.detail).toContain('f');
      await bench.submit('b');
      await bench.settle((await bench.claim())[0]!, { at: 'released' });
      expect(await runs('b')).toMatchObject([{ outcome: 'released', startedAtMs: null, worker: null }]);
    });

    test('events and steering are part of it, in the order in which they happened', async () => {
      await bench.submit('a');
      await bench.store.signal([{ id: 'a', name: 'paid', value: '1' }], bench.nowMs);
      await bench.steer('a', 'pause');
      await bench.steer('a', 'unpause');
      await bench.settle(await runAs('w#1'), { at: 'dead', error: 'e' });
      await bench.steer('a', 'requeue');
      await bench.complete(await runAs('w#2'));
      const told = (await bench.store.story('a')).map((entry) =>
        entry.at === 'run' ? entry.outcome : entry.at === 'steered' ? entry.action : entry.at === 'event' ? entry.name : entry.at,
      );
      expect(told).toEqual(['submitted', 'paid', 'pause', 'unpause', 'dead', 'requeue', 'completed']);
    });

    test('who steered, and why', async () => {
      await bench.submit('a');
      await bench.steer('a', 'cancel');
      expect((await bench.store.story('a')).at(-1)).toEqual({
        at: 'steered',
        atMs: bench.nowMs,
        action: 'cancel',
        by: 'ann',
        reason: 'because',
      });
    });

    test('what was decided, as it was given', async () => {
      const { id, fence } = await bench.running('a');
      await bench.store.askApproval([{ id, fence, name: 'pay', request: '1', expiresAtMs: null }], bench.nowMs);
      await bench.store.decideApproval([{ id, name: 'pay', decision: '{"approved":false}' }], bench.nowMs);
      const entry = { at: 'event', atMs: bench.nowMs, name: 'approval:pay', decision: '{"approved":false}' };
      expect((await bench.store.story('a')).at(-1)).toEqual(entry);
      await bench.crashAndOpen();
      expect(await bench.store.story('a')).toContainEqual(entry);
    });

    test('what was refused, or told twice, is not part of it', async () => {
      await bench.submit('a');
      await bench.steer('a', 'unpause');
      await bench.steer('a', 'requeue');
      for (let twice = 0; twice < 2; twice += 1) await bench.store.signal([{ id: 'a', name: 'e', value: '1', key: 'k' }], bench.nowMs);
      expect((await bench.store.story('a')).map(({ at }) => at)).toEqual(['submitted', 'event']);
    });

    test('it outlives a crash', async () => {
      await bench.submit('a');
      await bench.settle(await runAs('w#1'), { at: 'retry', error: 'e', readyAtMs: bench.nowMs });
      const before = await bench.store.story('a');
      await bench.crashAndOpen();
      expect(await bench.store.story('a')).toEqual(before);
      await bench.store.sweep(bench.nowMs);
      await bench.complete(await runAs('w#2'));
      expect((await runs('a')).map(({ outcome }) => outcome)).toEqual(['retry', 'completed']);
    });

    test(`of old entries no more than ${STORY_LENGTH} are kept, the latest`, async () => {
      await bench.submit('a');
      for (let at = 0; at < STORY_LENGTH + 20; at += 100)
        await bench.store.signal(
          Array.from({ length: 100 }, (_, n) => ({ id: 'a', name: `e${at + n}`, value: '1' })),
          bench.nowMs,
        );
      const story = await bench.store.story('a');
      expect(story.length).toBeLessThanOrEqual(STORY_LENGTH + 1);
      expect(story.length).toBeGreaterThanOrEqual(STORY_LENGTH);
      expect(story.at(-1)).toMatchObject({ name: 'e1099' });
    }, 30_000);
  });
}
