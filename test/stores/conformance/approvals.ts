import { describe, expect, test } from 'vitest';
import { Bench, newTask, parked } from './place.ts';
import type { MakePlace } from './place.ts';

export function approving(makePlace: MakePlace): void {
  describe('approvals', () => {
    const bench = new Bench(makePlace);

    const ask = (held: { id: string; fence: number }, name: string, changes: { request?: string; expiresAtMs?: number | null } = {}) =>
      bench.store.askApproval([{ id: held.id, fence: held.fence, name, request: '"may I?"', expiresAtMs: null, ...changes }], bench.nowMs);
    const decide = async (id: string, name: string, decision = '"yes"') =>
      (await bench.store.decideApproval([{ id, name, decision }], bench.nowMs)).outcomes;
    const asked = async (): Promise<string[]> =>
      (await bench.store.approvals({ limit: 99, nowMs: bench.nowMs })).map(({ id, name }) => `${id} ${name}`);

    test('what is asked is listed, in order of asking, with all that was said', async () => {
      const b = await bench.running('b');
      const a = await bench.running('a');
      expect(await ask(a, 'pay', { request: '"100 $"', expiresAtMs: 5_000 })).toEqual([true]);
      bench.nowMs += 1;
      await ask(b, 'send');
      expect(await bench.store.approvals({ limit: 9, nowMs: bench.nowMs })).toEqual([
        { id: 'a', kind: 'triage', name: 'pay', request: '"100 $"', askedAtMs: bench.nowMs - 1, expiresAtMs: 5_000, cursor: 1 },
        { id: 'b', kind: 'triage', name: 'send', request: '"may I?"', askedAtMs: bench.nowMs, expiresAtMs: null, cursor: 2 },
      ]);
      expect(await bench.store.approvals({ limit: 1, nowMs: bench.nowMs })).toHaveLength(1);
    });

    test('page by page, also behind one that has gone meanwhile', async () => {
      const runs = await Promise.all(['a', 'b', 'c', 'd'].map((id) => bench.running(id)));
      for (const run of runs) await ask(run, 'pay');
      const page = async (after?: number) =>
        await bench.store.approvals({ limit: 2, nowMs: bench.nowMs, ...(after === undefined ? {} : { after }) });
      const first = await page();
      expect(first.map(({ id }) => id)).toEqual(['a', 'b']);
      await decide('b', 'pay');
      expect((await page(first[1]!.cursor)).map(({ id }) => id)).toEqual(['c', 'd']);
      expect(await page((await page(first[1]!.cursor))[1]!.cursor)).toEqual([]);
      for (const after of [-1, 1.5, Number.NaN]) await expect(page(after)).rejects.toThrow('after');
    });

    test('a decision is told as an event, and wakes the task that waits for it', async () => {
      const run = await bench.running('a');
      await ask(run, 'pay');
      await bench.settle(run, parked('approval', { events: [{ name: 'approval:pay', n: 0 }] }));
      expect(await bench.store.decideApproval([{ id: 'a', name: 'pay', decision: '"yes"' }], bench.nowMs)).toEqual({
        outcomes: [{ at: 'told', n: 0 }],
        ready: ['triage'],
      });
      expect((await bench.given((await bench.claim())[0]!)).events).toEqual([{ name: 'approval:pay', n: 0, value: '"yes"' }]);
      expect(await asked()).toEqual([]);
    });

    test('it is decided once; what nobody asks is not asked', async () => {
      const run = await bench.running('a');
      await ask(run, 'pay');
      expect(await decide('a', 'pay')).toEqual([{ at: 'told', n: 0 }]);
      expect(await decide('a', 'pay', '"no"')).toEqual([{ at: 'not-asked' }]);
      // The same word again, of whoever did not hear the answer.
      expect(await decide('a', 'pay')).toEqual([{ at: 'known', value: '"yes"' }]);
      expect(await decide('a', 'other')).toEqual([{ at: 'not-asked' }]);
      expect(await decide('nobody', 'pay')).toEqual([{ at: 'unknown' }]);
      expect((await bench.given(run)).events).toHaveLength(1);
    });

    test('asked again, what was asked before stays as it was, also when it has been decided', async () => {
      const run = await bench.running('a');
      await ask(run, 'pay');
      expect(await ask(run, 'pay', { request: '"more?"' })).toEqual([true]);
      expect(await bench.store.approvals({ limit: 9, nowMs: bench.nowMs })).toMatchObject([{ request: '"may I?"' }]);
      await decide('a', 'pay');
      expect(await ask(run, 'pay')).toEqual([true]);
      expect(await asked()).toEqual([]);
      expect(await decide('a', 'pay', '"no"')).toEqual([{ at: 'not-asked' }]);
    });

    const withdraw = ({ id, fence }: { id: string; fence: number }, name: string) =>
      bench.store.withdrawApproval([{ id, fence, name }], bench.nowMs);

    test('what is withdrawn is not listed, and nobody decides it, after a crash neither', async () => {
      const run = await bench.running('a');
      await ask(run, 'pay', { expiresAtMs: bench.nowMs + 1_000 });
      await ask(run, 'send');
      expect(await withdraw(run, 'pay')).toEqual([true]);
      expect(await withdraw(run, 'nothing')).toEqual([true]);
      expect(await asked()).toEqual(['a send']);
      expect(await decide('a', 'pay')).toEqual([{ at: 'not-asked' }]);
      bench.nowMs += 1_000;
      expect(await decide('a', 'pay')).toEqual([{ at: 'not-asked' }]);
      expect((await bench.given(run)).events).toEqual([]);
      await bench.crashAndOpen();
      expect(await asked()).toEqual(['a send']);
      expect(await decide('a', 'pay')).toEqual([{ at: 'not-asked' }]);
    });

    test('what is withdrawn and asked again is a new question, behind those that were asked meanwhile', async () => {
      const run = await bench.running('a');
      await ask(run, 'pay');
      await ask(run, 'send');
      await withdraw(run, 'pay');
      await ask(run, 'pay', { request: '"more?"' });
      expect(await asked()).toEqual(['a send', 'a pay']);
      expect((await bench.store.approvals({ limit: 9, nowMs: bench.nowMs }))[1]).toMatchObject({ request: '"more?"' });
      expect(await decide('a', 'pay')).toEqual([{ at: 'told', n: 0 }]);
    });

    test('a cursor is never that of another question, also when its own is gone: whoever goes on from there finds what came since', async () => {
      const run = await bench.running('a');
      await ask(run, 'pay');
      const cursor = (await bench.store.approvals({ limit: 9, nowMs: bench.nowMs }))[0]!.cursor;
      await withdraw(run, 'pay');
      await bench.crashAndOpen();
      await ask(await bench.runNext('a'), 'send');
      const since = await bench.store.approvals({ limit: 9, nowMs: bench.nowMs, after: cursor });
      expect(since.map(({ name }) => name)).toEqual(['send']);
    });

    test('what has been decided stays so when it is withdrawn, and an older holder withdraws nothing', async () => {
      const old = await bench.running('a');
      await ask(old, 'pay');
      await ask(old, 'send');
      await decide('a', 'pay');
      expect(await withdraw(old, 'pay')).toEqual([true]);
      expect(await ask(old, 'pay')).toEqual([true]);
      expect(await asked()).toEqual(['a send']);
      await bench.settle(old, { at: 'released' });
      await bench.runNext('a');
      expect(await withdraw(old, 'send')).toEqual([false]);
      expect(await withdraw({ id: 'nobody', fence: 1 }, 'send')).toEqual([false]);
      expect(await asked()).toEqual(['a send']);
    });

    test('what is withdrawn is not asked again by a task that is put back', async () => {
      const run = await bench.running('a');
      await ask(run, 'pay');
      await ask(run, 'send');
      await withdraw(run, 'pay');
      await bench.settle(run, { at: 'failed', error: 'e' });
      await bench.store.steer([{ id: 'a', action: 'requeue', by: 'ann', reason: null }], bench.nowMs);
      expect(await asked()).toEqual(['a send']);
    });

    test('an older holder asks nothing', async () => {
      const old = await bench.running('a');
      await bench.settle(old, { at: 'released' });
      await bench.runNext('a');
      expect(await ask(old, 'pay')).toEqual([false]);
      expect(await ask({ id: 'nobody', fence: 1 }, 'pay')).toEqual([false]);
      expect(await asked()).toEqual([]);
    });

    test('of a task that has ended nothing is listed or decided', async () => {
      const run = await bench.running('a');
      await ask(run, 'pay');
      await bench.settle(run, { at: 'failed', error: 'e' });
      expect(await asked()).toEqual([]);
      expect(await decide('a', 'pay')).toEqual([{ at: 'ended', status: 'failed' }]);
    });

    test('a decision after its wait was over is refused, and changes nothing', async () => {
      const run = await bench.running('a');
      const expiresAtMs = bench.nowMs + 1_000;
      await bench.store.askApproval([{ ...run, name: 'pay', request: '1', expiresAtMs }], bench.nowMs);
      bench.nowMs = expiresAtMs;
      expect(await decide('a', 'pay')).toEqual([{ at: 'expired', expiresAtMs }]);
    });

    test('one that has expired is not listed, and hides none behind it', async () => {
      const run = await bench.running('a');
      await ask(run, 'quick', { expiresAtMs: bench.nowMs + 1_000 });
      await ask(run, 'important');
      expect(await asked()).toEqual(['a quick', 'a important']);
      bench.nowMs += 1_000;
      expect(await bench.store.approvals({ limit: 1, nowMs: bench.nowMs })).toMatchObject([{ name: 'important' }]);
    });

    test('one of a task that is being undone is not listed, and deciding it is refused', async () => {
      const run = await bench.running('a');
      await ask(run, 'pay');
      await bench.store.remember([{ ...run, place: 'compensate:book', hash: '', value: '' }], bench.nowMs);
      await bench.store.settle([{ id: run.id, fence: run.fence, outcome: { at: 'failed', error: '{}' } }], bench.nowMs);
      expect(await bench.store.get(['a'])).toMatchObject([{ status: 'queued', undone: true }]);
      expect(await asked()).toEqual([]);
      expect(await decide('a', 'pay')).toEqual([{ at: 'not-asked' }]);
    });

    test('both questions and decisions outlive a crash', async () => {
      const run = await bench.running('a');
      await ask(run, 'pay');
      await ask(run, 'send');
      await decide('a', 'pay');
      await bench.crashAndOpen();
      expect(await asked()).toEqual(['a send']);
      expect(await decide('a', 'pay')).toEqual([{ at: 'known', value: '"yes"' }]);
      expect(await decide('a', 'pay', '"no"')).toEqual([{ at: 'not-asked' }]);
      expect(await decide('a', 'send')).toEqual([{ at: 'told', n: 0 }]);
      await bench.submit(newTask('b'));
    });

    test('a batch of decisions: each for itself', async () => {
      const run = await bench.running('a');
      await ask(run, 'pay');
      const item = { id: 'a', name: 'pay', decision: '1' };
      const { outcomes } = await bench.store.decideApproval(
        [item, item, { ...item, decision: '2' }, { ...item, id: 'nobody' }],
        bench.nowMs,
      );
      expect(outcomes).toEqual([{ at: 'told', n: 0 }, { at: 'known', value: '1' }, { at: 'not-asked' }, { at: 'unknown' }]);
    });
  });
}
