/**
 * What queues elsewhere were tested for, here: family Q of the behaviour cases (BullMQ, pg-boss, graphile-worker, River,
 * Oban). What does not apply, and what is shown elsewhere, is in `README.md`.
 */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import { Testbed } from '../runtime/harness.ts';
import { GROUNDS, makeGround } from './ground.ts';

const HOUR_MS = 3_600_000;

describe('the same work twice', () => {
  test('Q-09: an id that is there is that task, while it waits and when it has ended', async () => {
    await using bed = new Testbed();
    let runs = 0;
    const work = agent({ run: async () => (runs += 1) });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.pauseKind('work'));
    const [first, second] = [await bed.drive(fleet.submit('work', 1, { id: 'x' })), await bed.drive(fleet.submit('work', 1, { id: 'x' }))];
    expect([first.id, second.id]).toEqual(['x', 'x']);
    await bed.drive(fleet.unpauseKind('work'));
    expect(await bed.drive(Promise.all([first.result(), second.result()]))).toEqual([1, 1]);
    // Elsewhere a third one would be new work: here an id is one task, for ever, and new work has another id.
    const third = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
    expect(await bed.drive(third.result())).toBe(1);
    expect(runs).toBe(1);
  });

  test('Q-26, Q-31: of one order key one runs at a time and in order, over several workers; another key goes beside it', async () => {
    await using bed = new Testbed();
    const slow = bed.service({}, () => ({ afterMs: 100, reply: null }));
    const running = new Set<string>();
    const seen: string[] = [];
    const work = agent({
      uses: { slow: slow.dependency },
      replicas: 4,
      orderKey: (input: string) => input[0],
      run: async (input: string, ctx) => {
        for (const other of running) seen.push(`${other} beside ${input}`);
        running.add(input);
        seen.push(input);
        await ctx.call('slow', input);
        running.delete(input);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handles = await bed.drive(
      fleet.submitMany(
        'work',
        ['a1', 'a2', 'b1', 'a3', 'a4', 'a5'].map((input) => ({ input })),
      ),
    );
    await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    expect(seen.filter((what) => /^a\d$/.test(what))).toEqual(['a1', 'a2', 'a3', 'a4', 'a5']);
    expect(seen.filter((what) => /^a\d beside a/.test(what))).toEqual([]);
    expect(seen.some((what) => what.includes('beside b1') || what.startsWith('b1 beside'))).toBe(true);
  });

  test('Q-29: with the key of one that runs, new work is kept beside it, and the running one is not touched', async () => {
    await using bed = new Testbed();
    const slow = bed.service({}, ({ request }) => ({ afterMs: 1_000, reply: request }));
    const work = agent({ uses: { slow: slow.dependency }, replicas: 2, orderKey: () => 'x', run: (n: number, ctx) => ctx.call('slow', n) });
    const fleet = await bed.start({ agents: { work } });
    const first = await bed.drive(fleet.submit('work', 1, { id: 'first' }));
    await bed.until(() => slow.inFlight === 1);
    const before = await bed.drive(fleet.task('first'));
    const second = await bed.drive(fleet.submit('work', 2, { id: 'second' }));
    expect(await bed.drive(fleet.task('first'))).toEqual(before);
    expect(await bed.drive(fleet.task('second'))).toMatchObject({ status: 'parked', parkedFor: 'order' });
    expect(await bed.drive(Promise.all([first.result(), second.result()]))).toEqual([1, 2]);
    expect(slow.peak).toBe(1);
  });

  test.each(GROUNDS)('Q-40: of many who submit one id at once over the %s store all get the same one task', async (name) => {
    const ground = makeGround(name);
    const store = ground.store();
    let runs = 0;
    {
      await using bed = new Testbed();
      const work = agent({ run: async (n: number) => n + (runs += 1) });
      const fleet = await bed.start({ agents: { work } }, { store });
      const handles = await bed.drive(Promise.all(Array.from({ length: 50 }, () => fleet.submit('work', 10, { id: 'one' }))));
      expect(new Set(handles.map(({ id }) => id)).size).toBe(1);
      expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual(handles.map(() => 11));
      expect(await bed.drive(fleet.tasks({ limit: 10 }))).toHaveLength(1);
    }
    expect(runs).toBe(1);
    await ground.remove();
  });
});

describe('retries', () => {
  test('Q-14: a backoff that says no fails the task for good, with attempts left', async () => {
    await using bed = new Testbed();
    const work = agent({
      attempts: 5,
      backoff: () => -1,
      run: async (): Promise<null> => {
        throw new Error('not today');
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed', error: { message: 'not today' } } });
    expect(await bed.drive(fleet.task('x'))).toMatchObject({ attempt: 1 });
  });

  test('Q-22: a delay of next to nothing is one: a task that failed is not there to be claimed in the same moment', async () => {
    await using bed = new Testbed();
    const startedMs: number[] = [];
    const work = agent({
      attempts: 3,
      run: async (): Promise<null> => {
        startedMs.push(bed.nowMs);
        throw new Error('again');
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    await bed.rejection(handle.result());
    // A tenth of the base delay at least, and from there full jitter.
    expect(startedMs[1]! - startedMs[0]!).toBeGreaterThanOrEqual(50);
    expect(startedMs[2]! - startedMs[1]!).toBeGreaterThanOrEqual(100);
  });

  test('Q-37, Q-39: whatever the attempt, the delay is within its bounds, also where doubling has long overflowed', async () => {
    await using bed = new Testbed();
    const work = agent({
      attempts: 1_100,
      backoff: { baseMs: 10, capMs: 1_000 },
      run: async (): Promise<null> => {
        throw new Error('again');
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const retrying = bed.record(fleet, 'task.retrying');
    const handle = await bed.drive(fleet.submit('work', null));
    await bed.rejection(handle.result(), 24 * HOUR_MS);
    expect(retrying).toHaveLength(1_099);
    for (const { attempt, inMs } of retrying) {
      const ceilingMs = Math.min(1_000, 10 * 2 ** (attempt - 1));
      expect(inMs).toBeGreaterThanOrEqual(ceilingMs / 10 - 0.01);
      expect(inMs).toBeLessThanOrEqual(ceilingMs + 0.01);
    }
  });
});

describe('stopping', () => {
  test('Q-34: a run at its last attempt that a stop cuts short is there again at once, with its attempt and without an error', async () => {
    await using bed = new Testbed();
    const slow = bed.service({}, () => ({ never: true }));
    const work = agent({
      uses: { slow: slow.dependency },
      attempts: 2,
      backoff: () => 10,
      run: async (_: null, ctx) => {
        if (ctx.task.attempt === 1) throw new Error('the first one fails');
        return ctx.call('slow', null);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.until(() => slow.inFlight === 1);
    await bed.close(fleet, { deadlineMs: 100 });
    slow.disconnect();
    expect(bed.disk.tasks.get(['x'])).toMatchObject([{ status: 'queued', attempt: 1, losses: 0 }]);
    slow.respond = () => ({ reply: 'done' });
    const next = await bed.start({ agents: { work } });
    const handle = await bed.drive(next.submit('work', null, { id: 'x' }));
    const fromMs = bed.nowMs;
    expect(await bed.drive(handle.result())).toBe('done');
    expect(bed.nowMs - fromMs).toBeLessThan(1_000);
  });

  test('Q-36: a cancel beats the retries that are left, ends the task for good, and lets go of what it had to itself', async () => {
    await using bed = new Testbed();
    const slow = bed.service({}, () => ({ afterMs: 1_000, reply: 'done' }));
    const work = agent({
      uses: { slow: slow.dependency },
      attempts: 5,
      replicas: 2,
      orderKey: () => 'x',
      writes: ['row'],
      run: (_: null, ctx) => ctx.call('slow', null),
    });
    const fleet = await bed.start({ agents: { work } });
    const first = await bed.drive(fleet.submit('work', null, { id: 'first' }));
    const second = await bed.drive(fleet.submit('work', null, { id: 'second' }));
    await bed.until(() => slow.inFlight === 1);
    await bed.drive(fleet.cancel('first', { by: 'ann', reason: 'not needed' }));
    expect(await bed.rejection(first.result())).toMatchObject({
      code: 'DROVER_TASK_CANCELLED',
      detail: { by: 'ann', reason: 'not needed' },
    });
    expect(await bed.drive(second.result(), 5_000)).toBe('done');
    expect(await bed.drive(fleet.task('first'))).toMatchObject({ status: 'cancelled' });
  });
});
