import { describe, expect, test } from 'vitest';
import type { ClaimedTask, Store, TaskStatus } from '../../../actors/ports/store.ts';
import { Bench, newTask, SETTLED, swept } from './place.ts';
import type { MakePlace } from './place.ts';

export function sweeping(makePlace: MakePlace): void {
  describe('sweep', () => {
    const bench = new Bench(makePlace);

    test('a lease that has run out is taken back: a run is lost, an unused lease is not', async () => {
      await bench.submit(
        'leased',
        newTask('running', { priority: -1 }),
        newTask('dead', { priority: -2, maxLosses: 1 }),
        newTask('kept', { priority: -3 }),
      );
      const [leased, ...runs] = await bench.claim(3, { leaseMs: 100 });
      await bench.store.start(runs, bench.nowMs);
      await bench.claim(1, { leaseMs: 101 });
      expect((await bench.store.sweep(bench.nowMs + 99)).expired).toEqual([]);
      const { expired, ready } = await bench.store.sweep(bench.nowMs + 100);
      expect(expired.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
        { id: 'dead', fence: 1, status: 'dead' },
        { id: 'leased', fence: 1, status: 'queued' },
        { id: 'running', fence: 1, status: 'queued' },
      ]);
      expect(ready).toEqual(['triage']);
      expect(await bench.record('leased')).toMatchObject({ status: 'queued', attempt: 0, losses: 0, error: null });
      expect(await bench.record('running')).toMatchObject({ status: 'queued', attempt: 1, losses: 1, finishedAtMs: null });
      expect(await bench.record('dead')).toMatchObject({ status: 'dead', attempt: 1, losses: 1, finishedAtMs: bench.nowMs + 100 });
      expect(JSON.parse((await bench.record('dead'))!.error!)).toMatchObject({ code: 'DROVER_RUN_LOST' });
      expect(await bench.settle(leased!, { at: 'released' })).toEqual({ at: 'stale' });
      // The lost one goes ahead of new work.
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['running', 'leased']);
    });

    test('a run whose lease has run out, but was not taken back yet, may still be settled', async () => {
      const run = await bench.running('a', { leaseMs: 10 });
      bench.nowMs += 20;
      expect(await bench.settle(run, { at: 'completed', result: null, sends: [] })).toEqual(SETTLED('completed'));
      expect((await bench.store.sweep(bench.nowMs)).expired).toEqual([]);
    });

    test('it tells the next time when something comes due, leases not among them', async () => {
      const at = async (id: string, outcome: 'retry' | 'parked', ms: number): Promise<void> => {
        const run = await bench.running(id);
        await bench.settle(
          run,
          outcome === 'retry' ? { at: 'retry', error: 'e', readyAtMs: ms } : { at: 'parked', reason: 'r', children: [], wakeAtMs: ms },
        );
      };
      await at('a', 'retry', 5_000);
      await at('b', 'parked', 3_000);
      await at('c', 'retry', 4_000);
      await bench.running('held', { leaseMs: 500 });
      const times: unknown[] = [];
      for (const nowMs of [1_000, 3_000, 4_500, 5_000]) times.push((await bench.store.sweep(nowMs)).nextAtMs);
      expect(times).toEqual([3_000, 4_000, 5_000, null]);
    });

    test('the kinds of all that has come due are ready', async () => {
      for (const kind of ['a', 'b', 'c']) {
        await bench.submit(newTask(kind, { kind }));
        const [claimed] = await bench.claim(1, { kind });
        await bench.settle(claimed!, { at: 'retry', error: 'e', readyAtMs: kind === 'c' ? 9e9 : bench.nowMs });
      }
      expect((await bench.store.sweep(bench.nowMs)).ready.toSorted()).toEqual(['a', 'b']);
    });

    test('an empty store has nothing to sweep', async () => {
      expect(await bench.store.sweep(bench.nowMs)).toEqual(swept());
    });
  });
}

export function looking(makePlace: MakePlace): void {
  describe('list and counts', () => {
    const bench = new Bench(makePlace);
    const ids = async (query: Parameters<Store['list']>[0]): Promise<string[]> => (await bench.store.list(query)).map(({ id }) => id);

    /** One task in every status that can be reached, of two kinds, in this order of arrival. */
    async function oneOfEach(): Promise<Record<string, TaskStatus>> {
      const held: ClaimedTask[] = [];
      for (const id of ['completed', 'failed', 'dead', 'retrying', 'parked', 'running', 'leased', 'queued']) {
        await bench.submit(newTask(id, { kind: id.length > 6 ? 'long' : 'short' }));
      }
      for (const kind of ['short', 'long']) held.push(...(await bench.claim(9, { kind })));
      const by = (id: string) => held.find((task) => task.id === id)!;
      await bench.store.start(
        held.filter(({ id }) => id !== 'leased' && id !== 'queued'),
        bench.nowMs,
      );
      await bench.complete(by('completed'));
      await bench.settle(by('failed'), { at: 'failed', error: 'e' });
      await bench.settle(by('dead'), { at: 'dead', error: 'e' });
      await bench.settle(by('retrying'), { at: 'retry', error: 'e', readyAtMs: 9e9 });
      await bench.settle(by('parked'), { at: 'parked', reason: 'r', children: [], wakeAtMs: null });
      await bench.settle(by('queued'), { at: 'released' });
      return Object.fromEntries((await bench.all()).map(({ id, status }) => [id, status]));
    }

    test('every task is found by its status and its kind, in order of arrival', async () => {
      const statuses = await oneOfEach();
      for (const [id, status] of Object.entries(statuses)) {
        expect(id).toBe(status);
        expect(await ids({ status, limit: 9 })).toEqual([id]);
        expect(await ids({ status, kind: id.length > 6 ? 'long' : 'short', limit: 9 })).toEqual([id]);
        expect(await ids({ status, kind: id.length > 6 ? 'short' : 'long', limit: 9 })).toEqual([]);
      }
      expect(await ids({ kind: 'short', limit: 9 })).toEqual(['failed', 'dead', 'parked', 'leased', 'queued']);
      expect(await ids({ status: 'cancelled', limit: 9 })).toEqual([]);
      expect(await ids({ parkedFor: 'r', limit: 9 })).toEqual(['parked']);
      expect(await ids({ parkedFor: 'r', status: 'parked', kind: 'short', limit: 9 })).toEqual(['parked']);
      expect(await ids({ parkedFor: 'r', kind: 'long', limit: 9 })).toEqual([]);
      expect(await ids({ parkedFor: 'r', status: 'queued', limit: 9 })).toEqual([]);
      expect(await ids({ parkedFor: 'other', limit: 9 })).toEqual([]);
      expect(await ids({ kind: 'none', limit: 9 })).toEqual([]);
    });

    test('pages follow one another without gaps, and a page may be empty', async () => {
      await bench.submit(...Array.from({ length: 25 }, (_, at) => newTask(`t${at}`, { kind: at % 2 === 0 ? 'even' : 'odd' })));
      expect(await ids({ kind: 'even', limit: 4 })).toEqual(['t0', 't2', 't4', 't6']);
      expect(await ids({ kind: 'even', limit: 4, after: 't6' })).toEqual(['t8', 't10', 't12', 't14']);
      expect(await ids({ kind: 'odd', limit: 99, after: 't20' })).toEqual(['t21', 't23']);
      expect(await ids({ limit: 3, after: 't24' })).toEqual([]);
      expect(await ids({ limit: 0 })).toEqual([]);
      expect(await ids({ limit: Infinity })).toHaveLength(25);
    });

    test('to go on after a task that is not there is refused', async () => {
      await expect(bench.store.list({ after: 'nobody', limit: 1 })).rejects.toMatchObject({ code: 'DROVER_STORE_INPUT' });
    });

    test('what was submitted is counted in exactly one place, by kind (S14)', async () => {
      expect(await bench.store.counts()).toEqual({});
      await oneOfEach();
      const none = { queued: 0, leased: 0, running: 0, retrying: 0, parked: 0, completed: 0, failed: 0, cancelled: 0, dead: 0 };
      expect(await bench.store.counts()).toEqual({
        short: { ...none, failed: 1, dead: 1, parked: 1, leased: 1, queued: 1 },
        long: { ...none, completed: 1, retrying: 1, running: 1 },
      });
    });

    test('a kind may have any name', async () => {
      for (const kind of ['__proto__', 'constructor', '']) await bench.submit(newTask(`of ${kind}`, { kind }));
      const counts = await bench.store.counts();
      expect(Object.keys(counts).toSorted()).toEqual(['', '__proto__', 'constructor']);
      expect(await bench.claim(1, { kind: '__proto__' })).toMatchObject([{ id: 'of __proto__', kind: '__proto__' }]);
    });
  });
}

export function owning(makePlace: MakePlace): void {
  describe('open and close', () => {
    const bench = new Bench(makePlace);

    test('a second owner is refused, and may try again when the first is gone', async () => {
      const second = bench.place.store();
      await expect(second.open({ nowMs: 0, maxUnfinished: 9 })).rejects.toMatchObject({ code: 'DROVER_STORE_OWNED', retryable: true });
      await bench.submit('a');
      await bench.store.close();
      expect(await second.open({ nowMs: 0, maxUnfinished: 9 })).toEqual({ epoch: 2, recovered: 0 });
      bench.store = second;
      expect((await bench.record('a'))?.status).toBe('queued');
    });

    test('a store is not opened twice', async () => {
      await expect(bench.store.open({ nowMs: 0, maxUnfinished: 9 })).rejects.toMatchObject({ code: 'DROVER_STORE_OWNED' });
      await bench.submit('a');
    });

    test('the epoch grows with each owner, and tasks outlive them', async () => {
      await bench.complete(await bench.running('a'), 'r');
      await bench.submit('b');
      const before = await bench.all();
      for (const epoch of [2, 3, 4]) {
        await bench.store.close();
        bench.store = bench.place.store();
        expect(await bench.store.open({ nowMs: 0, maxUnfinished: 9 })).toEqual({ epoch, recovered: 0 });
      }
      expect(await bench.all()).toEqual(before);
    });

    for (const end of ['crash', 'close'] as const) {
      test(`after a ${end} the next owner takes back every lease: runs are lost, unused leases are not`, async () => {
        const running = await bench.running('running');
        await bench.running('dead', { maxLosses: 1 });
        await bench.submit('leased', 'queued');
        const [leased] = await bench.claim();
        bench.nowMs += 77;
        if (end === 'close') await bench.store.close();
        const opened = await bench.crashAndOpen();
        expect(opened).toEqual({ epoch: 2, recovered: 2 });
        expect(await bench.record('running')).toMatchObject({ status: 'queued', attempt: 1, losses: 1, fence: 1 });
        expect(await bench.record('leased')).toMatchObject({ status: 'queued', attempt: 0, losses: 0, error: null });
        expect(await bench.record('dead')).toMatchObject({ status: 'dead', losses: 1, finishedAtMs: bench.nowMs });
        expect(JSON.parse((await bench.record('running'))!.error!)).toMatchObject({ code: 'DROVER_RUN_LOST' });
        expect(await bench.settle(running, { at: 'completed', result: null, sends: [] })).toEqual({ at: 'stale' });
        expect(await bench.settle(leased!, { at: 'released' })).toEqual({ at: 'stale' });
        expect((await bench.store.sweep(bench.nowMs + 1e9)).expired).toEqual([]);
        // No fence is given twice, and the lost run goes ahead of the others.
        expect((await bench.claim(9)).map(({ id, fence }) => [id, fence])).toEqual([
          ['running', 2],
          ['leased', 2],
          ['queued', 2],
        ]);
      });
    }

    test('everything but leases is as it was after a crash', async () => {
      const run = await bench.running('a');
      await bench.store.remember([{ id: 'a', fence: run.fence, place: 'p', hash: 'h', value: 'v' }], bench.nowMs);
      await bench.settle(run, { at: 'retry', error: 'e', readyAtMs: bench.nowMs + 10 });
      const parked = await bench.running('b');
      await bench.settle(parked, { at: 'parked', reason: 'r', children: ['c'], wakeAtMs: bench.nowMs + 20 });
      const before = await bench.all();
      const counts = await bench.store.counts();
      await bench.crashAndOpen();
      expect(await bench.all()).toEqual(before);
      expect(await bench.store.counts()).toEqual(counts);
      expect(await bench.store.sweep(bench.nowMs + 10)).toMatchObject({ ready: ['triage'], nextAtMs: bench.nowMs + 20 });
      const [started] = await bench.store.start(await bench.claim(), bench.nowMs);
      expect(started).toMatchObject({ attempt: 2, memory: [{ place: 'p', hash: 'h', value: 'v' }] });
      await bench.complete(await bench.running('c', { priority: 9 }));
      expect((await bench.record('b'))?.status).toBe('queued');
    });

    test('before open and after close every command is refused', async () => {
      const commands = (store: Store): Promise<unknown>[] => [
        store.submit([], 0),
        store.claim({ wants: [], leaseUntilMs: 0, nowMs: 0 }),
        store.start([], 0),
        store.remember([], 0),
        store.renew([], 0),
        store.settle([], 0),
        store.sweep(0),
        store.get([]),
        store.list({ limit: 1 }),
        store.counts(),
        store.takeBudget([]),
        store.returnBudget([]),
        store.readBudgets([]),
        store.registerIntents([], 0),
        store.withdrawIntents([]),
        store.unbox([]),
        store.readState([], 0),
        store.getState([]),
        store.listState({ prefix: '', limit: 1 }),
        store.setState([], 0),
        store.signal([], 0),
        store.askApproval([], 0),
        store.withdrawApproval([], 0),
        store.decideApproval([], 0),
        store.approvals({ limit: 1, nowMs: 0 }),
        store.steer([], 0),
        store.pauseKinds([]),
        store.pausedKinds(),
        store.story('a'),
        store.putSchedules([]),
        store.removeSchedules([]),
        store.schedules(),
        store.fireSchedules([], 0),
        store.takeLeases([], 0),
        store.renewLeases([], 0),
        store.releaseLeases([], 0),
        store.readLeases([], 0),
      ];
      const other = await bench.otherPlace();
      for (const store of [bench.store, other.store()]) {
        await store.close();
        for (const command of commands(store)) await expect(command).rejects.toMatchObject({ code: 'DROVER_STORE_CLOSED' });
        await expect(store.open({ nowMs: 0, maxUnfinished: 1 })).rejects.toMatchObject({
          code: 'DROVER_STORE_CLOSED',
          message: `${store.name}: this object has been closed, and cannot be opened again; make a new one`,
        });
        await store.close();
      }
      const fresh = other.store();
      for (const command of commands(fresh)) await expect(command).rejects.toMatchObject({ code: 'DROVER_STORE_CLOSED' });
      await other.remove();
    });

    test('close waits for what is under way', async () => {
      const submitted = bench.store.submit(
        Array.from({ length: 500 }, (_, at) => newTask(`t${at}`)),
        0,
      );
      const counted = bench.store.counts();
      await bench.store.close();
      expect((await submitted).every(({ at }) => at === 'accepted')).toBe(true);
      expect((await counted)['triage']?.queued).toBe(500);
      await bench.open();
      expect(await bench.all()).toHaveLength(500);
    });

    test('a store says what it is', () => {
      expect(bench.store.name).not.toBe('');
    });
  });
}
