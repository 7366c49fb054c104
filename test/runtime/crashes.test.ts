/** Actors crash: workers, queues, limiters, supervisors. Tasks go on, permits come home. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import { seededRandom } from '../../actors/kernel/random.ts';
import { Testbed } from './harness.ts';
import type { Service } from './harness.ts';

function callingAgent(
  service: Service,
  spec: {
    readonly replicas?: number;
    readonly attempts?: number;
    readonly losses?: number;
    readonly onRejection?: 'retry' | 'restart';
  } = {},
) {
  return agent({ uses: { service: service.dependency }, ...spec, run: (input: unknown, ctx) => ctx.call('service', input) });
}

const PATIENT = { intensity: 1_000, periodMs: 1_000, backoff: { baseMs: 10, capMs: 100 } };

describe('a worker that throws', () => {
  test('loses its run: the task runs again under a new fence, no attempt but one loss is used', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 1_000, reply: 'done' }));
    const work = callingAgent(service, { attempts: 1 });
    const fleet = await bed.start({ agents: { work } });
    const events = bed.record(fleet, 'worker.ended', 'worker.restarting', 'worker.started');
    const handle = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
    await bed.until(() => service.inFlight === 1);
    bed.crashWorker('work');
    await bed.settle();
    expect(service.calls[0]).toMatchObject({ aborted: { code: 'DROVER_RUN_OVER' } });
    expect(fleet.load.running).toBe(0);
    expect(await bed.drive(handle.result())).toBe('done');
    expect(await fleet.task('x')).toMatchObject({ attempt: 2, losses: 1, fence: 2 });
    expect(fleet.stats).toMatchObject({ lost: 1, retried: 0, restarts: 1, completed: 1 });
    expect(events).toMatchObject([
      {
        name: 'worker.ended',
        worker: 'test/agents/work/0',
        incarnation: 1,
        reason: { at: 'error', error: { message: 'the worker breaks' } },
      },
      { name: 'worker.restarting', worker: 'test/agents/work/0' },
      { name: 'worker.started', worker: 'test/agents/work/0', incarnation: 2 },
    ]);
  });

  test('passes its mailbox on to its peers', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 100, reply: 'done' }));
    const work = callingAgent(service, { replicas: 2 });
    const fleet = await bed.start({ agents: { work } });
    const handles = await bed.drive(Promise.all([1, 2, 3, 4, 5, 6].map((at) => fleet.submit('work', at))));
    await bed.until(() => service.inFlight === 2);
    bed.crashWorker('work', 0);
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toHaveLength(6);
    expect(fleet.stats.lost).toBe(1);
  });

  test('without the crash, nothing is lost and nothing restarts', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 100, reply: 'done' }));
    const work = callingAgent(service, { replicas: 2 });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(Promise.all([1, 2, 3, 4].map((at) => bed.run(fleet, 'work', at))));
    expect(fleet.stats).toMatchObject({ lost: 0, restarts: 0 });
  });

  test('under the same task too often makes it dead, not endless', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 10_000 }));
    const work = callingAgent(service, { losses: 3 });
    const fleet = await bed.start({ agents: { work }, supervision: PATIENT });
    const failed = bed.record(fleet, 'task.failed');
    const handle = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
    for (let loss = 1; loss <= 3; loss += 1) {
      await bed.until(() => service.calls.length === loss && service.inFlight === 1);
      bed.crashWorker('work');
    }
    expect(await bed.rejection(handle.result())).toMatchObject({
      detail: { status: 'dead', error: { message: 'the worker died under the run' } },
    });
    expect(failed).toMatchObject([{ id: 'x', status: 'dead' }]);
    expect(fleet.stats).toMatchObject({ lost: 3, dead: 1 });
    expect(await fleet.task('x')).toMatchObject({ losses: 3, status: 'dead' });
  });

  test('while its run is being started loses that run too', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ reply: 'done' }));
    const work = callingAgent(service);
    bed.faults.delays = (command) => (command === 'start' ? [50, 50] : [0, 0]);
    const fleet = await bed.start({ agents: { work }, supervision: PATIENT });
    const handle = await bed.drive(fleet.submit('work', 1));
    await bed.advance(20);
    bed.crashWorker('work');
    expect(await bed.drive(handle.result())).toBe('done');
    expect(service.calls).toHaveLength(1);
    expect(fleet.stats).toMatchObject({ started: 1, lost: 1 });
  });

  test('does not use up an attempt: a run that rejects afterwards is still tried again', async () => {
    await using bed = new Testbed();
    const service = bed.service({ attempts: 1 }, () =>
      service.calls.length === 1 ? { never: true } : service.calls.length === 2 ? { error: new Error('no') } : { reply: 'done' },
    );
    const work = callingAgent(service, { attempts: 2 });
    const fleet = await bed.start({ agents: { work }, supervision: PATIENT });
    const handle = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
    await bed.until(() => service.inFlight === 1);
    bed.crashWorker('work');
    expect(await bed.drive(handle.result())).toBe('done');
    expect(await fleet.task('x')).toMatchObject({ attempt: 3, losses: 1 });
  });

  test('more often than the intensity allows ends the fleet, and the tasks are safe', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 60_000 }));
    const work = callingAgent(service);
    const fleet = await bed.start({ agents: { work }, supervision: { intensity: 1, periodMs: 60_000 } });
    const gaveUp = bed.record(fleet, 'supervisor.gave-up', 'fleet.failed');
    const handle = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
    const rejected = bed.rejection(handle.result());
    for (let life = 1; gaveUp.every(({ name }) => name !== 'fleet.failed'); life += 1) {
      await bed.until(() => bed.host.incarnationOf('test/agents/work/0') === life || gaveUp.some(({ name }) => name === 'fleet.failed'));
      bed.crashWorker('work');
      await bed.advance(1_000);
    }
    expect(gaveUp[0]).toMatchObject({
      name: 'supervisor.gave-up',
      supervisor: 'test/agents/work',
      child: '0',
      intensity: 1,
      periodMs: 60_000,
    });
    expect(await rejected).toMatchObject({ code: 'DROVER_FLEET_CLOSED', cause: expect.anything() as unknown });
    expect(await bed.rejection(fleet.submit('work', 2))).toMatchObject({ code: 'DROVER_FLEET_CLOSED' });
    service.respond = () => ({ reply: 'done' });
    const next = await bed.start({ agents: { work } });
    expect(await bed.run(next, 'work', 1, { id: 'x' })).toBe('done');
  });
});

describe("onRejection: 'restart'", () => {
  test.each([
    ['restart', 2],
    ['retry', 0],
  ] as const)('%s: a run that rejects ends the incarnation %i times of two', async (onRejection, restarts) => {
    await using bed = new Testbed();
    const service = bed.service({ attempts: 1 }, ({ key }) =>
      service.calls.filter((call) => call.key === key).length <= 2 ? { error: new Error('no') } : { reply: 'done' },
    );
    const work = callingAgent(service, { onRejection });
    const fleet = await bed.start({ agents: { work }, supervision: PATIENT });
    expect(await bed.run(fleet, 'work', 1, { id: 'x' })).toBe('done');
    // The task's affair is the same either way.
    expect(await fleet.task('x')).toMatchObject({ attempt: 3, losses: 0 });
    expect(fleet.stats).toMatchObject({ retried: 2, lost: 0, restarts });
  });
});

describe('a queue that crashes', () => {
  test('forgets its mailboxes; everything of its kind goes back and runs again, with nothing used up', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 500, reply: 'done' }));
    const work = callingAgent(service, { replicas: 2, attempts: 1, losses: 1 });
    const fleet = await bed.start({ agents: { work }, supervision: PATIENT });
    const handles = await bed.drive(Promise.all(Array.from({ length: 10 }, (_, at) => fleet.submit('work', at, { id: `x${at}` }))));
    await bed.until(() => service.inFlight === 2);
    bed.crashQueue('work');
    await bed.settle();
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())), 60_000)).toHaveLength(10);
    for (let at = 0; at < 10; at += 1) expect(await fleet.task(`x${at}`)).toMatchObject({ status: 'completed', attempt: 1, losses: 0 });
    expect(fleet.stats).toMatchObject({ lost: 0, completed: 10 });
  });

  test('again and again, at any moment, loses nothing', async () => {
    for (let seed = 0; seed < 40; seed += 1) {
      await using bed = new Testbed(seed);
      const chance = seededRandom(`crash/${seed}`);
      const service = bed.service({ limits: { concurrency: 2 } }, () => ({ afterMs: 20, reply: 'done' }));
      const work = callingAgent(service, { replicas: 3 });
      bed.faults.delays = () => [chance.next() * 10, chance.next() * 10];
      const fleet = await bed.start({ agents: { work }, supervision: PATIENT });
      const lost = bed.record(fleet, 'lease.lost');
      const handles = await bed.drive(Promise.all(Array.from({ length: 12 }, (_, at) => fleet.submit('work', at))));
      for (let crash = 0; crash < 5; crash += 1) {
        await bed.advance(chance.next() * 60);
        bed.crashQueue('work');
      }
      expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())), 120_000)).toHaveLength(12);
      expect(service.peak).toBeLessThanOrEqual(2);
      expect(lost, `seed ${seed}`).toEqual([]);
    }
  });

  test('while the fleet closes does not hold it up', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 300, reply: 'done' }));
    const work = callingAgent(service);
    const fleet = await bed.start({ agents: { work }, supervision: PATIENT });
    await bed.drive(fleet.submit('work', 1, { id: 'x' }));
    await bed.until(() => service.inFlight === 1);
    const closing = fleet.close();
    bed.crashQueue('work');
    const fromMs = bed.nowMs;
    await bed.drive(closing);
    expect(bed.nowMs - fromMs).toBeLessThan(5_000);
    expect(bed.disk.tasks.get(['x'])).toMatchObject([{ status: 'queued', attempt: 0 }]);
  });
});

describe('a limiter that crashes', () => {
  test('strands nobody and loses no permit; calls in flight stay below the limit', async () => {
    for (let seed = 0; seed < 40; seed += 1) {
      await using bed = new Testbed(seed);
      const chance = seededRandom(`crash/${seed}`);
      const service = bed.service({ limits: { concurrency: 3 } }, () => ({ afterMs: 1 + chance.next() * 200, reply: 'done' }));
      const work = callingAgent(service, { replicas: 12 });
      const fleet = await bed.start({ agents: { work }, supervision: PATIENT });
      const handles = await bed.drive(Promise.all(Array.from({ length: 30 }, (_, at) => fleet.submit('work', at))));
      for (let crash = 0; crash < 8; crash += 1) {
        await bed.advance(chance.next() * 150);
        bed.crashLimiter('service');
      }
      expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())), 60_000)).toHaveLength(30);
      expect(service.peak, `seed ${seed}`).toBe(3);
      expect(service.calls, `seed ${seed}`).toHaveLength(30);
      expect(limiterOf(bed)).toMatchObject({ inFlight: 0 });
    }
  });

  test('is up again within its backoff, and a call waits that long', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 1 } });
    const work = callingAgent(service);
    const fleet = await bed.start({ agents: { work }, supervision: { backoff: { baseMs: 400, capMs: 400 } } });
    bed.crashLimiter('service');
    await bed.settle();
    const fromMs = bed.nowMs;
    await bed.run(fleet, 'work', 1);
    expect(service.calls[0]!.atMs - fromMs).toBeGreaterThan(190);
    expect(service.calls[0]!.atMs - fromMs).toBeLessThan(410);
  });

  test('while runs are abandoned gets no permit twice', async () => {
    for (let seed = 0; seed < 40; seed += 1) {
      await using bed = new Testbed(seed);
      const chance = seededRandom(`crash/${seed}`);
      const service = bed.service({ limits: { concurrency: 2 } }, () => ({ afterMs: 50, reply: 'done' }));
      const work = callingAgent(service, { replicas: 6 });
      const fleet = await bed.start({ agents: { work }, supervision: PATIENT });
      const handles = await bed.drive(Promise.all(Array.from({ length: 20 }, (_, at) => fleet.submit('work', at))));
      for (let crash = 0; crash < 8; crash += 1) {
        await bed.advance(chance.next() * 60);
        bed.crashLimiter('service');
        bed.crashWorker('work', chance.int(6));
      }
      expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())), 60_000)).toHaveLength(20);
      expect(service.peak, `seed ${seed}`).toBeLessThanOrEqual(2);
      expect(limiterOf(bed)).toMatchObject({ inFlight: 0 });
    }
  });
});

describe('a supervisor that crashes', () => {
  test.each(['test/agents/work', 'test/work', 'test/dependencies', 'test/agents'])(
    '%s takes its children with it, and all come back',
    async (id) => {
      await using bed = new Testbed();
      const service = bed.service({ limits: { concurrency: 2 } }, () => ({ afterMs: 300, reply: 'done' }));
      const work = callingAgent(service, { replicas: 3 });
      const fleet = await bed.start({ agents: { work }, supervision: PATIENT });
      const handles = await bed.drive(Promise.all(Array.from({ length: 9 }, (_, at) => fleet.submit('work', at))));
      await bed.until(() => service.inFlight === 2);
      bed.send(id, { type: 'exited' });
      expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())), 60_000)).toHaveLength(9);
      expect(service.peak).toBe(2);
      expect(bed.host.isAlive('test/agents/work/2')).toBe(true);
    },
  );
});

function limiterOf(bed: Testbed): unknown {
  return (bed.host.snapshotOf('test/dependencies/service') as { readonly state: unknown } | undefined)?.state;
}
