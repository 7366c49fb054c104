/** Leases: renewed while a run lives, given up when it does not, and never trusted longer than asked for. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import type { Fleet } from 'drover';
import type { Settlement } from '../../actors/ports/store.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { newTask } from '../stores/tasks.ts';
import { Testbed } from './harness.ts';

/** One agent whose runs call a service that takes `afterMs`. */
async function leasing(bed: Testbed, afterMs: number, spec: object = {}) {
  const service = bed.service({}, () => ({ afterMs, reply: 'done' }));
  const work = agent({
    uses: { service: service.dependency },
    leaseMs: 3_000,
    ...spec,
    run: (input: number, ctx) => ctx.call('service', input),
  });
  const fleet = await bed.start({ agents: { work } });
  return { service, fleet };
}

test('a lease is renewed as long as the run lives, however short it is', async () => {
  await using bed = new Testbed();
  const { service, fleet } = await leasing(bed, 60_000, { leaseMs: 100 });
  const handle = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
  expect(await bed.drive(handle.result())).toBe('done');
  expect(service.calls).toHaveLength(1);
  expect(await fleet.task('x')).toMatchObject({ attempt: 1, losses: 0, fence: 1 });
});

test('what waits in a mailbox keeps its lease too', async () => {
  await using bed = new Testbed();
  const { service, fleet } = await leasing(bed, 5_000, { leaseMs: 100 });
  const handles = await bed.drive(Promise.all([1, 2, 3].map((at) => fleet.submit('work', at, { id: `x${at}` }))));
  await bed.drive(Promise.all(handles.map((handle) => handle.result())));
  expect(service.calls).toHaveLength(3);
  expect(await fleet.task('x3')).toMatchObject({ attempt: 1, losses: 0, fence: 1 });
});

test('a renewal that the store refuses ends the run: observers are told, its result is refused, the task runs again', async () => {
  await using bed = new Testbed();
  const { service, fleet } = await leasing(bed, 2_500);
  const lost = bed.record(fleet, 'lease.lost');
  const handle = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
  await bed.until(() => service.inFlight === 1);
  // As another node would, after an outage of this one.
  bed.disk.tasks.sweep(Infinity);
  expect(await bed.drive(handle.result())).toBe('done');
  expect(lost).toMatchObject([{ id: 'x', kind: 'work', fence: 1 }]);
  expect(service.calls).toMatchObject([
    { aborted: { code: 'DROVER_RUN_OVER', detail: expect.anything() as unknown } },
    { aborted: undefined },
  ]);
  expect(await fleet.task('x')).toMatchObject({ fence: 2, losses: 1 });
  expect(fleet.stats).toMatchObject({ lost: 1, completed: 1 });
});

test('a result that comes when somebody else holds the task is refused, and the handle gets the one that counts', async () => {
  await using bed = new Testbed();
  let taken = false;
  const work = agent({
    leaseMs: 3_000,
    async run(_input: number, ctx) {
      if (!taken) {
        taken = true;
        bed.disk.tasks.sweep(Infinity);
        return 'too late';
      }
      return `under fence ${ctx.task.fence}`;
    },
  });
  const fleet = await bed.start({ agents: { work } });
  const lost = bed.record(fleet, 'lease.lost');
  expect(await bed.run(fleet, 'work', 1, { id: 'x' })).toBe('under fence 2');
  expect(lost).toMatchObject([{ id: 'x', fence: 1 }]);
  expect(fleet.stats).toMatchObject({ completed: 1 });
});

test('trust counts from when the renewal was sent: a slow answer does not stretch it', async () => {
  await using bed = new Testbed();
  const { service, fleet } = await leasing(bed, 20_000);
  const lost = bed.record(fleet, 'lease.lost');
  const handle = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
  await bed.until(() => service.inFlight === 1);
  const sentMs: number[] = [];
  bed.faults.delays = (command) => {
    if (command !== 'renew') return [0, 0];
    sentMs.push(bed.nowMs);
    // The store renews at once; its answer takes longer than the lease.
    return [0, 3_500];
  };
  await bed.until(() => lost.length === 1, 10_000);
  expect(lost[0]!.atMs - bed.disk.tasks.get(['x'])[0]!.submittedAtMs).toBeLessThan(3_000 + 1_100);
  expect(sentMs).toHaveLength(1);
  bed.faults.delays = undefined;
  await bed.drive(handle.result());
});

test('trust is counted like that also when the answer comes in time', async () => {
  await using bed = new Testbed();
  const { service, fleet } = await leasing(bed, 20_000);
  const lost = bed.record(fleet, 'lease.lost');
  const handle = await bed.drive(fleet.submit('work', 1));
  await bed.until(() => service.inFlight === 1);
  let renewedMs: number | undefined;
  bed.faults.delays = (command) => (command === 'renew' ? [0, 900] : [0, 0]);
  bed.faults.fault = (command) => {
    if (command === 'sweep') return 'before';
    if (command !== 'renew') return undefined;
    if (renewedMs !== undefined) return 'before';
    renewedMs = bed.nowMs;
    return undefined;
  };
  await bed.until(() => lost.length === 1, 10_000);
  expect(lost[0]!.atMs - renewedMs!).toBeGreaterThanOrEqual(3_000);
  expect(lost[0]!.atMs - renewedMs!).toBeLessThan(3_900);
  bed.faults.fault = undefined;
  await bed.drive(handle.result());
});

test('a renewal that is refused ends the run at once, whatever the lease still had', async () => {
  await using bed = new Testbed();
  const store = memoryStore(bed.disk);
  const refusing = { ...store, renew: async (items: readonly object[]) => items.map(() => false) };
  const service = bed.service({}, () => ({ afterMs: 20_000 }));
  const work = agent({ uses: { service: service.dependency }, leaseMs: 6_000, run: (input: number, ctx) => ctx.call('service', input) });
  const fleet = await bed.start({ agents: { work } }, { store: Object.assign(store, refusing) });
  const lost = bed.record(fleet, 'lease.lost');
  await bed.drive(fleet.submit('work', 1, { id: 'x' }));
  await bed.until(() => lost.length === 1, 10_000);
  expect(lost).toMatchObject([{ id: 'x', fence: 1 }]);
  expect(lost[0]!.atMs - service.calls[0]!.atMs).toBeLessThan(4_000);
  expect(service.inFlight).toBe(0);
});

test('the late answer to a claim does not disturb the claim after it', async () => {
  await using bed = new Testbed();
  const runs: number[] = [];
  const work = agent({
    leaseMs: 2_000,
    async run(_input: number, ctx) {
      runs.push(ctx.task.fence);
      await bed.sleep(5_000);
    },
  });
  const fleet = await bed.start({ agents: { work } });
  await bed.advance(1);
  let claims = 0;
  bed.faults.delays = (command) => (command === 'claim' && (claims += 1) === 1 ? [0, 4_500] : [0, 0]);
  const handle = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
  await bed.advance(100);
  // The new queue claims for itself.
  bed.crashQueue('work');
  await bed.drive(handle.result());
  expect(runs).toEqual([2]);
  expect(await fleet.task('x')).toMatchObject({ fence: 2, losses: 0, attempt: 1 });
});

test('a lease that ran out a moment ago is not renewed: the task goes back, and comes with a higher fence', async () => {
  await using bed = new Testbed();
  const { service, fleet } = await leasing(bed, 20_000);
  const handle = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
  await bed.until(() => service.inFlight === 1);
  bed.faults.fault = (command) => (command === 'renew' || command === 'sweep' ? 'before' : undefined);
  await bed.advance(2_999);
  expect(service.inFlight).toBe(1);
  await bed.advance(1_002);
  expect(service.inFlight).toBe(0);
  bed.faults.fault = undefined;
  await bed.drive(handle.result());
  expect(await fleet.task('x')).toMatchObject({ fence: 2, losses: 1 });
});

describe('a process that stood still for longer than the lease', () => {
  test('does not commit what its run returned: the task goes back once, and runs again', async () => {
    await using bed = new Testbed();
    const settled: Settlement[] = [];
    let stalls = 1;
    const hog = agent({
      leaseMs: 3_000,
      async run(_input: number, ctx) {
        if (stalls-- > 0) bed.clock.stall(10_000);
        return ctx.task.fence;
      },
    });
    bed.faults.committed = (command, items) => command === 'settle' && settled.push(...(items as Settlement[]));
    const fleet = await bed.start({ agents: { hog } });
    const lost = bed.record(fleet, 'lease.lost');
    expect(await bed.run(fleet, 'hog', 1, { id: 'x' })).toBe(2);
    expect(settled).toMatchObject([{ id: 'x', fence: 2, outcome: { at: 'completed' } }]);
    expect(lost).toMatchObject([{ id: 'x', fence: 1 }]);
    expect(await fleet.task('x')).toMatchObject({ fence: 2, losses: 1, status: 'completed' });
  });

  test('without outlasting the lease, it commits', async () => {
    await using bed = new Testbed();
    const hog = agent({
      leaseMs: 3_000,
      async run(_input: number, ctx) {
        bed.clock.stall(2_500);
        return ctx.task.fence;
      },
    });
    const fleet = await bed.start({ agents: { hog } });
    expect(await bed.run(fleet, 'hog', 1)).toBe(1);
  });

  test('makes no call and no step for a run that lost its lease', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    const effects: number[] = [];
    let stalls = 1;
    const stalled = agent({
      uses: { service: service.dependency },
      leaseMs: 3_000,
      async run(kind: 'call' | 'step', ctx) {
        if (stalls-- > 0) bed.clock.stall(10_000);
        if (kind === 'step') return ctx.step('effect', () => effects.push(ctx.task.fence));
        return ctx.call('service', ctx.task.fence);
      },
    });
    const fleet = await bed.start({ agents: { stalled } });
    await bed.run(fleet, 'stalled', 'step', { id: 'x' });
    expect(effects).toEqual([2]);
    stalls = 1;
    await bed.run(fleet, 'stalled', 'call', { id: 'y' });
    expect(service.calls.map(({ request }) => request)).toEqual([2]);
  });

  test('makes nothing that a run had held back until it had come by what is remembered', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 500, reply: 'done' }));
    const effects: number[] = [];
    let runs = 0;
    const stalled = agent({
      uses: { service: service.dependency },
      leaseMs: 3_000,
      async run(_input: null, ctx) {
        runs += 1;
        const late = async (): Promise<void> => {
          await bed.sleep(10);
          if (runs === 2) bed.clock.stall(10_000);
          await ctx.step('known', () => null);
        };
        const effect = async (): Promise<void> => {
          effects.push(ctx.task.fence);
          await bed.sleep(500);
        };
        await Promise.all([ctx.step('effect', effect), ctx.call('service', 1), late()]);
      },
    });
    const fleet = await bed.start({ agents: { stalled } });
    await bed.drive(fleet.submit('stalled', null, { id: 'x' }));
    await bed.advance(100);
    bed.kill();
    const next = await bed.start({ agents: { stalled } });
    const handle = await bed.drive(next.submit('stalled', null, { id: 'x' }));
    await bed.drive(handle.result());
    expect(runs).toBe(3);
    expect(effects).toEqual([1, 3]);
    expect(service.calls).toHaveLength(2);
  });

  test('loses the runs of others as well, and their permits come home', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 2 } }, () => ({ afterMs: 1_000, reply: 'done' }));
    const work = agent({
      uses: { service: service.dependency },
      leaseMs: 3_000,
      replicas: 4,
      run: (input: number, ctx) => ctx.call('service', input),
    });
    const hog = agent({
      leaseMs: 60_000,
      async run() {
        bed.clock.stall(10_000);
      },
    });
    const fleet = await bed.start({ agents: { work, hog } });
    const handles = await bed.drive(Promise.all([1, 2, 3, 4].map((at) => fleet.submit('work', at))));
    await bed.until(() => service.inFlight === 2);
    await bed.run(fleet, 'hog', null);
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toHaveLength(4);
    expect(service.peak).toBe(2);
    expect(service.calls).toHaveLength(6);
  });
});

describe('a run that takes too long', () => {
  const silent = { runTimeoutMs: 4_000, attempts: 2, backoff: () => 100 };

  test('is over, its attempt is used, and its late result is refused', async () => {
    await using bed = new Testbed();
    const { service, fleet } = await leasing(bed, 6_000, silent);
    const retrying = bed.record(fleet, 'task.retrying');
    const handle = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
    const error = await bed.rejection(handle.result());
    expect(error).toMatchObject({
      detail: {
        status: 'dead',
        error: { code: 'DROVER_RUN_TIMEOUT', message: expect.stringContaining('4000 ms (runTimeoutMs)') as unknown },
      },
    });
    expect(retrying).toMatchObject([{ attempt: 1, error: { code: 'DROVER_RUN_TIMEOUT', retryable: true } }]);
    expect(service.calls).toHaveLength(2);
    expect(service.calls[0]).toMatchObject({ aborted: { code: 'DROVER_RUN_OVER' } });
    // Within a quarter of the limit.
    expect(service.calls[0]!.endedAtMs! - service.calls[0]!.atMs).toBeGreaterThanOrEqual(4_000 - 5);
    expect(service.calls[0]!.endedAtMs! - service.calls[0]!.atMs).toBeLessThan(5_000);
    expect(await fleet.task('x')).toMatchObject({ attempt: 2, losses: 0 });
  });

  test('gets its own signal aborted with the reason', async () => {
    await using bed = new Testbed();
    const reasons: unknown[] = [];
    const hung = agent({
      ...silent,
      run: (_input: null, ctx) =>
        new Promise<never>(() => {
          ctx.signal.addEventListener('abort', () => reasons.push((ctx.signal.reason as { detail: unknown }).detail));
        }),
    });
    const fleet = await bed.start({ agents: { hung } });
    const handle = await bed.drive(fleet.submit('hung', null));
    await bed.rejection(handle.result());
    expect(reasons).toEqual([{ reason: 'timeout' }, { reason: 'timeout' }]);
  });

  test('a run that comes back to life after its end can do nothing any more', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    const note = agent({ run: async (input: string) => input });
    const zombie = agent({
      ...silent,
      attempts: 1,
      uses: { service: service.dependency },
      asks: { note },
      async run(_input: null, ctx) {
        await bed.sleep(10_000);
        ctx.send('note', 'sent');
        ctx.progress(1);
        void ctx.ask('note', 'asked').then(() => service.calls.push(undefined as never));
        void ctx.step('step', () => service.calls.push(undefined as never));
        await ctx.call('service', 'called');
        return 'late';
      },
    });
    const fleet = await bed.start({ agents: { zombie, note } });
    const progressed = bed.record(fleet, 'task.progressed');
    const handle = await bed.drive(fleet.submit('zombie', null, { id: 'x' }));
    await bed.rejection(handle.result());
    await bed.advance(20_000);
    expect(service.calls).toEqual([]);
    expect(progressed).toEqual([]);
    expect((await fleet.counts())['note']).toBeUndefined();
    expect(await fleet.task('x')).toMatchObject({ status: 'dead' });
  });

  test('and returns after its end has said nothing', async () => {
    await using bed = new Testbed();
    const late = agent({
      ...silent,
      async run(_input: null, ctx) {
        const { attempt } = ctx.task;
        await bed.sleep(attempt === 1 ? 4_500 : 3_000);
        return attempt;
      },
    });
    const fleet = await bed.start({ agents: { late } });
    const completed = bed.record(fleet, 'task.completed', 'lease.lost');
    expect(await bed.run(fleet, 'late', null, { id: 'x' })).toBe(2);
    await bed.advance(10_000);
    expect(completed).toMatchObject([{ name: 'task.completed', attempt: 2 }]);
    expect(fleet.load).toMatchObject({ running: 0, held: 0 });
  });

  test('its lease is not renewed beyond that', async () => {
    await using bed = new Testbed();
    const hung = agent({ ...silent, attempts: 1, leaseMs: 1_000, run: () => new Promise<never>(() => {}) });
    const fleet = await bed.start({ agents: { hung } });
    const handle = await bed.drive(fleet.submit('hung', null));
    await bed.rejection(handle.result());
    expect(fleet.load).toMatchObject({ running: 0, held: 0 });
  });
});

describe('a run that shows no life', () => {
  async function outcome(bed: Testbed, run: Parameters<typeof agent<string>>[0]['run'], spec: object = {}) {
    const quiet = agent<string>({ stallMs: 2_000, runTimeoutMs: 100_000, attempts: 1, ...spec, run });
    const fleet = await bed.start({ agents: { quiet } });
    const handle = await bed.drive(fleet.submit('quiet', 'x', { id: 'x' }));
    return bed.drive(
      handle.result().then(
        () => 'completed',
        (error: { detail: { error: { message: string } } }) => error.detail.error.message,
      ),
    );
  }

  test('on ctx for stallMs is over', async () => {
    await using bed = new Testbed();
    const fromMs = bed.nowMs;
    expect(await outcome(bed, () => bed.sleep(50_000))).toContain('did nothing on ctx for 2000 ms (stallMs)');
    expect(bed.nowMs - fromMs).toBeLessThan(3_100);
  });

  test('but reports progress is alive', async () => {
    await using bed = new Testbed();
    expect(
      await outcome(bed, async (_input, ctx) => {
        for (let at = 0; at < 10; at += 1) {
          await bed.sleep(1_400);
          ctx.progress(at);
        }
      }),
    ).toBe('completed');
  });

  test('but has a step under way is alive', async () => {
    await using bed = new Testbed();
    expect(await outcome(bed, (_input, ctx) => ctx.step('long', () => bed.sleep(50_000)))).toBe('completed');
  });

  test('but has a call in flight is alive', async () => {
    await using bed = new Testbed();
    const { fleet } = await leasing(bed, 50_000, { stallMs: 2_000, attempts: 1 });
    expect(await bed.run(fleet as Fleet, 'work', 1)).toBe('done');
  });

  test('but waits for admission is alive', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 1 } }, () => ({ afterMs: 20_000, reply: 'done' }));
    const work = agent({
      uses: { service: service.dependency },
      replicas: 2,
      stallMs: 2_000,
      attempts: 1,
      run: (input: number, ctx) => ctx.call('service', input),
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.drive(Promise.all([bed.run(fleet, 'work', 1), bed.run(fleet, 'work', 2)]))).toEqual(['done', 'done']);
  });
});

test('a fleet keeps the leases of what it found in its store while that does not take its schedules yet', async () => {
  await using bed = new Testbed();
  const before = memoryStore(bed.disk);
  await before.open({ nowMs: bed.nowMs, maxUnfinished: 10 });
  await before.submit([newTask('x', { kind: 'work', input: '1' })], bed.nowMs);
  await before.close();
  const asked: string[] = [];
  bed.faults.fault = (command) => {
    asked.push(command);
    return command === 'schedules' && asked.filter((other) => other === 'schedules').length <= 20 ? 'before' : undefined;
  };
  const { service, fleet } = await leasing(bed, 60_000);
  // It was not started for ten seconds, and the lease is of three.
  const untilThen = asked.slice(0, asked.lastIndexOf('schedules'));
  expect(service.calls).toHaveLength(1);
  expect(untilThen).toContain('renew');
  // What is due goes by the schedules of this program.
  expect(untilThen).not.toContain('sweep');
  await bed.until(() => fleet.stats.completed === 1, 70_000);
  expect(service.calls).toHaveLength(1);
  expect(await bed.drive(fleet.task('x'))).toMatchObject({ attempt: 1, losses: 0 });
});
