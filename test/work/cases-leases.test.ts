/**
 * What queues elsewhere were tested for in leases and limits of runs: family Q of the behaviour cases. What does not apply, and what is shown elsewhere, is in `README.md`.
 */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import { Testbed } from '../runtime/harness.ts';
import { newTask } from '../stores/tasks.ts';
import { GROUNDS, makeGround } from './ground.ts';

const HOUR_MS = 3_600_000;

describe('leases', () => {
  test('Q-04: four runs that are renewed for forty leases long stay with the worker that has them', async () => {
    await using bed = new Testbed();
    const slow = bed.service({}, () => ({ afterMs: 4_000, reply: 'done' }));
    const work = agent({ uses: { slow: slow.dependency }, replicas: 4, leaseMs: 100, run: (n: number, ctx) => ctx.call('slow', n) });
    const fleet = await bed.start({ agents: { work } });
    const handles = await bed.drive(
      fleet.submitMany(
        'work',
        [1, 2, 3, 4].map((input) => ({ id: `t${input}`, input })),
      ),
    );
    await bed.until(() => slow.inFlight === 4);
    for (let look = 0; look < 60; look += 1) {
      await bed.advance(50);
      const tasks = await bed.drive(fleet.tasks({ limit: 10 }));
      expect(tasks.map(({ status, fence }) => `${status} ${fence}`)).toEqual(['running 1', 'running 1', 'running 1', 'running 1']);
    }
    await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    expect(slow.calls).toHaveLength(4);
    expect(fleet.stats).toMatchObject({ started: 4, lost: 0, completed: 4 });
  });

  test('Q-07: a renewal that is refused is told, with the id of the task, and the run does not go on as if it held its lease', async () => {
    await using bed = new Testbed();
    const slow = bed.service({}, () => ({ afterMs: 10_000, reply: 'done' }));
    const work = agent({ uses: { slow: slow.dependency }, leaseMs: 1_000, run: (_: null, ctx) => ctx.call('slow', null) });
    const fleet = await bed.start({ agents: { work } });
    const lost = bed.record(fleet, 'lease.lost');
    const handle = await bed.drive(fleet.submit('work', null, { id: 'job-1' }));
    await bed.until(() => slow.inFlight === 1);
    // Another node swept, over a clock that went faster.
    bed.disk.tasks.sweep(bed.nowMs + HOUR_MS);
    await bed.advance(1_000);
    expect(lost).toMatchObject([{ id: 'job-1', fence: 1 }]);
    expect(slow.calls[0]).toMatchObject({ aborted: { code: 'DROVER_RUN_OVER' } });
    expect(await bed.drive(handle.result())).toBe('done');
    expect(fleet.stats).toMatchObject({ lost: 1, completed: 1 });
  });

  test('Q-08: while the fleet closes a lease is renewed until its run has ended, and closing ends after it', async () => {
    await using bed = new Testbed();
    const slow = bed.service({}, () => ({ afterMs: 3_000, reply: 'done' }));
    const work = agent({ uses: { slow: slow.dependency }, leaseMs: 1_000, run: (_: null, ctx) => ctx.call('slow', null) });
    const fleet = await bed.start({ agents: { work } });
    const completed = bed.record(fleet, 'task.completed');
    const renewals: number[] = [];
    bed.faults.committed = (command) => void (command === 'renew' && renewals.push(bed.nowMs));
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.until(() => slow.inFlight === 1);
    await bed.advance(1_000);
    const closingAtMs = bed.nowMs;
    await bed.close(fleet, { deadlineMs: 10_000 });
    expect(bed.nowMs - closingAtMs).toBeGreaterThanOrEqual(1_900);
    expect(renewals.filter((atMs) => atMs > closingAtMs).length).toBeGreaterThan(0);
    expect(await handle.result()).toBe('done');
    expect(completed).toHaveLength(1);
    expect(slow.calls).toHaveLength(1);
  });

  test('Q-21: signs of life of a run that is over change nothing: no error, and nobody comes back to life', async () => {
    await using bed = new Testbed();
    const contexts: { progress(done: number): void }[] = [];
    const work = agent({
      run: async (_: null, ctx) => {
        contexts.push(ctx);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.run(fleet, 'work', null, { id: 'x' });
    const progressed = bed.record(fleet, 'task.progressed');
    contexts[0]!.progress(1);
    await bed.advance(60_000);
    expect(progressed).toEqual([]);
    expect(await bed.drive(fleet.task('x'))).toMatchObject({ status: 'completed', attempt: 1, fence: 1 });
  });

  test.each(GROUNDS)('Q-21: the %s store refuses to renew what has ended, and leaves it as it is', async (name) => {
    const ground = makeGround(name);
    const store = ground.store();
    await store.open({ nowMs: 0, maxUnfinished: 10 });
    await store.submit([newTask('x')], 0);
    const [task] = await store.claim({ wants: [{ kind: newTask('x').kind, limit: 1 }], leaseUntilMs: 10, nowMs: 0 });
    await store.start([task!], 0);
    await store.settle([{ ...task!, outcome: { at: 'completed', result: '1', sends: [] } }], 1);
    const before = await store.get(['x']);
    expect(await store.renew([{ id: 'x', fence: task!.fence, leaseUntilMs: 100 }], 2)).toEqual([false]);
    expect(await store.get(['x'])).toEqual(before);
    await store.close();
    await ground.remove();
  });

  test.each(GROUNDS)('Q-27: the %s store lets a lock go when the lease of its holder has run out, and no other', async (name) => {
    const ground = makeGround(name);
    const store = ground.store();
    await store.open({ nowMs: 0, maxUnfinished: 10 });
    const { kind } = newTask('x');
    const untilMs = { endless: Number.MAX_SAFE_INTEGER, fresh: 5 * HOUR_MS, stale: 4 * HOUR_MS };
    for (const [id, leaseUntilMs] of Object.entries(untilMs)) {
      await store.submit([newTask(id, { locks: [{ resource: id, mode: 'write' }] })], 0);
      const claimed = await store.claim({ wants: [{ kind, limit: 1 }], leaseUntilMs, nowMs: 0 });
      expect(await store.start(claimed, 0)).toMatchObject([{ at: 'started' }]);
    }
    // Each has somebody who waits for it.
    for (const id of Object.keys(untilMs)) {
      await store.submit([newTask(`after ${id}`, { locks: [{ resource: id, mode: 'write' }] })], 1);
      const claimed = await store.claim({ wants: [{ kind, limit: 1 }], leaseUntilMs: HOUR_MS, nowMs: 1 });
      expect(await store.start(claimed, 1)).toMatchObject([{ at: 'blocked', resource: id }]);
    }
    expect((await store.sweep(4 * HOUR_MS + 1)).expired).toMatchObject([{ id: 'stale' }]);
    expect(await store.get(['endless', 'fresh', 'stale', 'after endless', 'after fresh', 'after stale'])).toMatchObject([
      { status: 'running' },
      { status: 'running' },
      { status: 'queued' },
      { status: 'parked', parkedFor: 'locks' },
      { status: 'parked', parkedFor: 'locks' },
      { status: 'queued' },
    ]);
    await store.close();
    await ground.remove();
  });
});

describe('limits of a run', () => {
  test('Q-17: a run beyond its limit uses up its attempt; the last one and the task is dead', async () => {
    await using bed = new Testbed();
    const slow = bed.service({}, () => ({ never: true }));
    const work = agent({
      uses: { slow: slow.dependency },
      attempts: 1,
      runTimeoutMs: 1_000,
      run: (_: null, ctx) => ctx.call('slow', null),
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    expect(await bed.rejection(handle.result(), 5_000)).toMatchObject({
      detail: { status: 'dead', error: { code: 'DROVER_RUN_TIMEOUT' } },
    });
    slow.disconnect();
  });

  test('Q-18: a run beyond its limit comes back as the same task while there are attempts left', async () => {
    await using bed = new Testbed();
    const slow = bed.service({}, () => (slow.calls.length === 1 ? { never: true } : { reply: 'done' }));
    const work = agent({
      uses: { slow: slow.dependency },
      attempts: 2,
      runTimeoutMs: 1_000,
      run: (_: null, ctx) => ctx.call('slow', null),
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null, { id: 'x' })).toBe('done');
    expect(await bed.drive(fleet.task('x'))).toMatchObject({ attempt: 2, fence: 2, losses: 0 });
    expect(await bed.drive(fleet.counts())).toMatchObject({ work: { completed: 1, queued: 0, retrying: 0 } });
  });

  test('Q-20: a run that shows no life is over well before its limit', async () => {
    await using bed = new Testbed();
    const work = agent({
      attempts: 1,
      stallMs: 10_000,
      runTimeoutMs: 10 * HOUR_MS,
      run: () => new Promise<never>(() => {}),
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    const fromMs = bed.nowMs;
    expect(await bed.rejection(handle.result(), HOUR_MS)).toMatchObject({
      detail: { error: { message: expect.stringMatching(/10.?000/) } },
    });
    expect(bed.nowMs - fromMs).toBeLessThan(20_000);
  });
});

describe.each(GROUNDS)('Q-33: over the %s store', (name) => {
  test('stuck tasks that cannot be rescued do not hide others, however many they are', async () => {
    const ground = makeGround(name);
    const store = ground.store();
    await store.open({ nowMs: 0, maxUnfinished: 100_000 });
    const { kind } = newTask('x');
    // More than one sweep looks at: held for ever, each claimed before the one that can be rescued.
    const stuck = Array.from({ length: 6_000 }, (_, at) => newTask(`stuck ${at}`));
    await store.submit(stuck, 0);
    await store.claim({ wants: [{ kind, limit: stuck.length }], leaseUntilMs: Number.MAX_SAFE_INTEGER, nowMs: 0 });
    await store.submit([newTask('rescuable')], 0);
    await store.claim({ wants: [{ kind, limit: 1 }], leaseUntilMs: 1_000, nowMs: 0 });
    expect((await store.sweep(1_001)).expired).toMatchObject([{ id: 'rescuable', status: 'queued' }]);
    await store.close();
    await ground.remove();
  });

  test('of more than a sweep takes back, the next sweeps take the rest', async () => {
    const ground = makeGround(name);
    const store = ground.store();
    await store.open({ nowMs: 0, maxUnfinished: 100_000 });
    const { kind } = newTask('x');
    const tasks = Array.from({ length: 6_000 }, (_, at) => newTask(`t${at}`));
    await store.submit(tasks, 0);
    await store.claim({ wants: [{ kind, limit: tasks.length }], leaseUntilMs: 1_000, nowMs: 0 });
    const back = new Set<string>();
    for (let sweep = 0; sweep < 20 && back.size < tasks.length; sweep += 1) {
      for (const { id } of (await store.sweep(1_001 + sweep)).expired) back.add(id);
    }
    expect(back.size).toBe(tasks.length);
    await store.close();
    await ground.remove();
  });
});
