/** Workers are suspended, resumed, restarted and scaled; their runs park, and nothing is lost or paid twice. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import type { Context, Fleet } from 'drover';
import { Testbed } from './harness.ts';

const W0 = 'test/agents/work/0';
const W1 = 'test/agents/work/1';

const states = async (bed: Testbed, fleet: Fleet): Promise<string[]> =>
  (await bed.drive(fleet.workers())).map(({ at, reasons }) => [at, ...reasons].join(' '));

describe('a suspended worker', () => {
  test('gives back its run at a safe point: what it paid for is remembered, the attempt is given back, another worker goes on', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, ({ request }) => ({ afterMs: 1_000, reply: request }));
    const workers: string[] = [];
    const work = agent({
      uses: { service: service.dependency },
      replicas: 2,
      attempts: 1,
      async run(_input: unknown, ctx) {
        return [await ctx.call('service', 'a'), await ctx.call('service', 'b')];
      },
    });
    const fleet = await bed.start({ agents: { work } });
    fleet.events.on('task.started', ({ worker }) => workers.push(worker));
    const handle = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
    await bed.until(() => service.inFlight === 1);
    const first = workers[0]!;
    await bed.drive(fleet.suspend(first, 'quality'));
    expect((await bed.drive(fleet.workers())).find(({ worker }) => worker === first)).toMatchObject({
      at: 'suspended',
      reasons: ['quality'],
      incarnation: undefined,
    });
    expect(await bed.drive(handle.result())).toEqual(['a', 'b']);
    expect(service.calls.map(({ request }) => request)).toEqual(['a', 'b']);
    expect(workers).toEqual([first, first === W0 ? W1 : W0]);
    expect(await fleet.task('x')).toMatchObject({ attempt: 1, losses: 0 });
    expect(fleet.stats).toMatchObject({ lost: 0, restarts: 0, completed: 1 });
  });

  test('aborts a call that takes longer than the deadline, and makes it again with the same key', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, ({ attempt }) => (attempt > 0 && service.calls.length > 1 ? { reply: 'late' } : { never: true }));
    const work = agent({ uses: { service: service.dependency }, run: (_input: unknown, ctx) => ctx.call('service', 1) });
    const fleet = await bed.start({ agents: { work }, supervision: { shutdownMs: 1_000 } });
    const handle = await bed.drive(fleet.submit('work', 1));
    await bed.until(() => service.inFlight === 1);
    const began = bed.nowMs;
    await bed.drive(fleet.suspend(W0));
    expect(bed.nowMs - began).toBeLessThanOrEqual(1_000);
    expect(service.calls[0]!.aborted).toBeDefined();
    expect(service.inFlight).toBe(0);
    await bed.drive(fleet.resume(W0));
    expect(await bed.drive(handle.result())).toBe('late');
    expect(new Set(service.calls.map(({ key }) => key)).size).toBe(1);
    expect(fleet.stats.lost).toBe(0);
  });

  test('stays until the last of its reasons is gone', async () => {
    await using bed = new Testbed();
    const work = agent({ run: async () => 'done' });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.suspend(W0, 'operator'));
    await bed.drive(fleet.suspend(W0, 'budget'));
    const handle = await bed.drive(fleet.submit('work', 1));
    await bed.drive(fleet.resume(W0, 'operator'));
    await bed.settle();
    expect(await states(bed, fleet)).toEqual(['suspended budget']);
    expect(fleet.stats.started).toBe(0);
    await bed.drive(fleet.resume(W0, 'budget'));
    expect(await bed.drive(handle.result())).toBe('done');
    expect(await states(bed, fleet)).toEqual(['idle']);
    expect((await bed.drive(fleet.workers()))[0]!.incarnation).toBe(2);
  });

  test('holds no actor, no run, no lease and no permit', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 1 } }, () => ({ afterMs: 100, reply: 1 }));
    const work = agent({ uses: { service: service.dependency }, run: (_input: unknown, ctx) => ctx.call('service', 1) });
    const fleet = await bed.start({ agents: { work } });
    const actors = fleet.load.actors;
    for (let at = 0; at < 5; at += 1) await bed.drive(fleet.submit('work', at));
    await bed.until(() => service.inFlight === 1);
    await bed.drive(fleet.suspend(W0));
    await bed.settle();
    expect(fleet.load).toEqual({ running: 0, held: 0, actors: actors - 1 });
    expect(service.inFlight).toBe(0);
    await bed.drive(fleet.resume(W0));
    await bed.until(() => fleet.stats.completed === 5);
  });

  test('that is killed for being late runs nothing any more when observers hear of it, whoever hears first', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      await using bed = new Testbed(seed);
      const service = bed.service({}, () => (service.calls.length === 1 ? { never: true } : { reply: 'done' }));
      const work = agent({ uses: { service: service.dependency }, run: (_input: unknown, ctx) => ctx.call('service', 1) });
      const fleet = await bed.start({ agents: { work }, supervision: { shutdownMs: 0 } });
      const running: number[] = [];
      fleet.events.on('worker.suspended', () => running.push(fleet.load.running));
      const handle = await bed.drive(fleet.submit('work', 1));
      await bed.until(() => service.inFlight === 1);
      await bed.drive(fleet.suspend(W0));
      expect(running).toEqual([0]);
      await bed.drive(fleet.resume(W0));
      expect(await bed.drive(handle.result())).toBe('done');
    }
  });

  test('parks a run that waits for a child with what it waits for', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 5_000, reply: 'slow' }));
    const child = agent({
      uses: { service: service.dependency },
      run: (_input: unknown, ctx) => ctx.call('service', 1) as Promise<string>,
    });
    const work = agent({ asks: { child }, lingerMs: 60_000, run: (_input: unknown, ctx) => ctx.ask('child', 1) });
    const fleet = await bed.start({ agents: { work, child } });
    const handle = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
    await bed.until(() => service.inFlight === 1);
    await bed.drive(fleet.suspend(W0));
    expect(await fleet.task('x')).toMatchObject({ status: 'parked' });
    await bed.drive(fleet.resume(W0));
    await bed.settle();
    expect(fleet.stats.started).toBe(2);
    expect(await bed.drive(handle.result())).toBe('slow');
    expect(fleet.stats.started).toBe(3);
  });

  test('lets its run go on elsewhere with what has just ended, though what is open beside that waits for a day', async () => {
    await using bed = new Testbed();
    const began = bed.nowMs;
    const work = agent({
      replicas: 2,
      run: (_input: unknown, ctx) => {
        const both = async (): Promise<string> => {
          await ctx.step('one', () => bed.sleep(1_000));
          await ctx.step('two', () => bed.sleep(1_000));
          return 'done';
        };
        return Promise.race([both(), ctx.sleep(86_400_000)]);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    let first = '';
    fleet.events.on('task.started', ({ worker }) => (first ||= worker));
    const handle = await bed.drive(fleet.submit('work', 1));
    await bed.advance(500);
    await bed.drive(fleet.suspend(first));
    expect(await bed.drive(handle.result())).toBe('done');
    expect(bed.nowMs - began).toBeLessThan(5_000);
  });

  test('is suspended at every step of its run in turn, and the run always comes to the same end, each call paid once', async () => {
    for (let steps = 0; steps < 8; steps += 1) {
      await using bed = new Testbed(steps);
      const service = bed.service({}, ({ request }) => ({ afterMs: 100, reply: request }));
      const effects: string[] = [];
      const run = async (_input: unknown, ctx: Context<{ service: typeof service.dependency }>) => {
        const a = await ctx.call('service', 'a');
        const b = await ctx.step('b', async () => {
          await bed.sleep(100);
          effects.push('b');
          return 'b';
        });
        const [c, d] = await Promise.all([ctx.call('service', 'c'), ctx.call('service', 'd')]);
        return [a, b, c, d];
      };
      const work = agent({ uses: { service: service.dependency }, run });
      const fleet = await bed.start({ agents: { work } });
      const handle = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
      await bed.advance(steps * 45);
      await bed.drive(fleet.suspend(W0));
      expect(fleet.load, `after ${steps} steps`).toMatchObject({ running: 0, held: 0 });
      await bed.drive(fleet.resume(W0));
      expect(await bed.drive(handle.result()), `after ${steps} steps`).toEqual(['a', 'b', 'c', 'd']);
      expect(service.calls).toHaveLength(3);
      expect(effects).toEqual(['b']);
    }
  });
});

describe('an exhausted worker', () => {
  const FRAGILE = { supervision: { intensity: 1, periodMs: 60_000, backoff: { baseMs: 10 }, suspendAboveShare: 0.5 } };

  async function exhaust(bed: Testbed, replica: number): Promise<void> {
    for (let crash = 0; crash < 2; crash += 1) {
      bed.crashWorker('work', replica);
      await bed.advance(100);
    }
  }

  test('is suspended while its peers go on, and resumes once its health check passes', async () => {
    await using bed = new Testbed();
    let healthy = false;
    let checks = 0;
    const work = agent({
      replicas: 3,
      healthCheck: async () => {
        checks += 1;
        if (!healthy) throw new Error('still ill');
      },
      run: async () => 'done',
    });
    const fleet = await bed.start({ agents: { work }, ...FRAGILE });
    const told = bed.record(fleet, 'worker.suspended', 'worker.checked', 'worker.resumed');
    await exhaust(bed, 0);
    expect(await states(bed, fleet)).toEqual(['suspended intensity', 'idle', 'idle']);
    expect(await bed.drive((await bed.drive(fleet.submit('work', 1))).result())).toBe('done');
    await bed.until(() => checks === 3);
    expect(await states(bed, fleet)).toEqual(['suspended intensity', 'idle', 'idle']);
    healthy = true;
    await bed.until(() => told.some(({ name }) => name === 'worker.resumed'));
    await bed.advance(1);
    expect(await states(bed, fleet)).toEqual(['idle', 'idle', 'idle']);
    expect(told.map(({ name }) => name)).toEqual([
      'worker.suspended',
      ...Array.from({ length: 4 }, () => 'worker.checked'),
      'worker.resumed',
    ]);
    expect(told[1]).toMatchObject({ error: { message: 'still ill' } });
    expect(told[4]).toMatchObject({ error: null });
  });

  test('has a clean slate after it resumed: it may crash as often as at first', async () => {
    await using bed = new Testbed();
    const work = agent({ replicas: 3, run: async () => 'done' });
    const fleet = await bed.start({ agents: { work }, ...FRAGILE });
    await exhaust(bed, 0);
    await bed.until(() => fleet.load.actors > 0 && fleet.stats.restarts === 1);
    await bed.advance(2_000);
    expect(await states(bed, fleet)).toEqual(['idle', 'idle', 'idle']);
    bed.crashWorker('work', 0);
    await bed.advance(100);
    expect(await states(bed, fleet)).toEqual(['idle', 'idle', 'idle']);
  });

  test('takes its kind with it only when more than the share of its workers is exhausted', async () => {
    await using bed = new Testbed();
    const work = agent({ replicas: 4, healthCheck: async () => false, run: async () => 'done' });
    const fleet = await bed.start({ agents: { work }, ...FRAGILE });
    const gaveUp = bed.record(fleet, 'supervisor.gave-up');
    await exhaust(bed, 0);
    await exhaust(bed, 1);
    expect(gaveUp).toEqual([]);
    expect(await states(bed, fleet)).toEqual(['suspended intensity', 'suspended intensity', 'idle', 'idle']);
    await exhaust(bed, 2);
    await bed.advance(1_000);
    expect(gaveUp).toMatchObject([{ supervisor: 'test/agents/work' }]);
    // Its supervisor has started the kind anew: everybody has a clean slate.
    expect(await states(bed, fleet)).toEqual(['idle', 'idle', 'idle', 'idle']);
  });

  test('that an operator has suspended stays so when its kind starts anew', async () => {
    await using bed = new Testbed();
    const work = agent({ replicas: 3, healthCheck: async () => false, run: async () => 'done' });
    const fleet = await bed.start({ agents: { work }, ...FRAGILE });
    await bed.drive(fleet.suspend(W0));
    await exhaust(bed, 1);
    await exhaust(bed, 2);
    await bed.advance(1_000);
    expect(await states(bed, fleet)).toEqual(['suspended operator', 'idle', 'idle']);
  });

  test('calls its model for a health check ahead of a long line, and holds nothing afterwards', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 1 } }, () => ({ afterMs: 100, reply: 'pong' }));
    const work = agent({
      replicas: 3,
      uses: { service: service.dependency },
      healthCheck: (ctx) => ctx.call('service', 'ping'),
      run: (input: unknown, ctx) => Promise.all(Array.from({ length: 200 }, (_, at) => ctx.call('service', [input, at]))),
    });
    const fleet = await bed.start({ agents: { work }, ...FRAGILE });
    await bed.drive(fleet.submit('work', 'busy'));
    await bed.until(() => service.inFlight === 1);
    const idle = (await bed.drive(fleet.workers())).find(({ at }) => at === 'idle')!;
    await exhaust(bed, idle.replica);
    const resumed = bed.record(fleet, 'worker.resumed');
    await bed.until(() => resumed.length > 0);
    expect(service.calls.findIndex(({ request }) => request === 'ping')).toBeLessThan(30);
    await bed.until(() => fleet.stats.completed === 1);
  });
});

describe('a kind that gives up', () => {
  test.each([
    ['one_for_one', ['b']],
    ['one_for_all', ['b', 'c', 'a']],
    ['rest_for_one', ['b', 'a']],
  ] as const)('under %s the kinds %j start anew, in the order of the topology', async (strategy, anew) => {
    await using bed = new Testbed();
    const run = async (): Promise<string> => 'done';
    const kinds = { a: agent({ run }), b: agent({ run }), c: agent({ run }) };
    const supervision = { strategy, children: ['c', 'b', 'a'], intensity: 1, periodMs: 60_000, backoff: { baseMs: 10, capMs: 10 } };
    const fleet = await bed.start({ agents: kinds, supervision });
    for (let crash = 0; crash < 2; crash += 1) {
      bed.crashWorker('b');
      await bed.advance(100);
    }
    const lives = await bed.drive(fleet.workers());
    expect(lives.filter(({ incarnation }) => incarnation! > 1).map(({ kind }) => kind)).toEqual(
      ['a', 'b', 'c'].filter((kind) => (anew as readonly string[]).includes(kind)),
    );
    expect(lives.every(({ at }) => at === 'idle')).toBe(true);
    for (const kind of ['a', 'b', 'c'] as const) expect(await bed.drive((await bed.drive(fleet.submit(kind, 1))).result())).toBe('done');
  });
});

describe('an operator', () => {
  test('restarts a worker without a restart being counted', async () => {
    await using bed = new Testbed();
    const work = agent({ run: async () => 'done' });
    const fleet = await bed.start({ agents: { work }, supervision: { intensity: 0 } });
    for (let at = 0; at < 3; at += 1) await bed.drive(fleet.restart(W0));
    await bed.advance(1);
    expect((await bed.drive(fleet.workers()))[0]).toMatchObject({ at: 'idle', incarnation: 4 });
    expect(fleet.stats.restarts).toBe(0);
  });

  test('scales a kind up and down while it works, and no task is lost or run twice', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 100, reply: 1 }));
    const work = agent({
      replicas: { min: 1, max: 6 },
      uses: { service: service.dependency },
      run: (input: unknown, ctx) => ctx.call('service', input),
    });
    const fleet = await bed.start({ agents: { work }, staggerMs: 10 });
    for (let at = 0; at < 40; at += 1) await bed.drive(fleet.submit('work', at));
    await bed.drive(fleet.scale('work', 6));
    await bed.until(() => service.inFlight === 6);
    await Promise.all([bed.drive(fleet.scale('work', 2)), bed.drive(fleet.scale('work', 3))]);
    expect(await bed.drive(fleet.workers())).toHaveLength(3);
    await bed.until(() => fleet.stats.completed === 40);
    expect(service.calls).toHaveLength(40);
    expect(fleet.stats.lost).toBe(0);
  });

  test('keeps the number of workers when the kind, or its queue, crashes', async () => {
    await using bed = new Testbed();
    const work = agent({ replicas: { min: 1, max: 4 }, run: async () => 'done' });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.scale('work', 3));
    bed.host.stop('test/agents/work', 0);
    await bed.advance(2_000);
    bed.host.stop('test/work/work', 0);
    await bed.advance(2_000);
    expect(await states(bed, fleet)).toEqual(['idle', 'idle', 'idle']);
    expect(await bed.drive((await bed.drive(fleet.submit('work', 1))).result())).toBe('done');
  });

  test('is told what is wrong with a command', async () => {
    await using bed = new Testbed();
    const work = agent({ replicas: { min: 1, max: 2 }, run: async () => 'done' });
    const few = agent({ replicas: { min: 3, max: 6 }, run: async () => 'done' });
    const fleet = await bed.start({ agents: { work, few } });
    await expect(fleet.suspend(W0, 'weird' as never)).rejects.toMatchObject({ code: 'DROVER_SUSPEND_REASON', detail: { reason: 'weird' } });
    for (const worker of [
      undefined as never,
      'test/agents/work/1',
      'test/agents/work/x',
      'test/agents/nobody/0',
      'other/agents/work/0',
      '',
      'work',
    ]) {
      await expect(fleet.suspend(worker)).rejects.toMatchObject({ code: 'DROVER_UNKNOWN_WORKER' });
    }
    for (const replicas of [0, 3, 1.5, NaN]) {
      await expect(fleet.scale('work', replicas)).rejects.toMatchObject({ code: 'DROVER_REPLICAS', detail: { most: 2 } });
    }
    // A kind that scales itself would have its `min` again at once.
    await expect(fleet.scale('few', 2)).rejects.toMatchObject({
      detail: { least: 3, most: 6 },
      message: expect.stringMatching(/^few can have 3 to 6 workers/),
    });
    await bed.drive(fleet.scale('few', 3));
    await expect(fleet.scale('nobody' as never, 1)).rejects.toMatchObject({ code: 'DROVER_UNKNOWN_WORKER' });
    await bed.drive(fleet.close());
    await expect(fleet.suspend(W0)).rejects.toMatchObject({ code: 'DROVER_FLEET_CLOSED' });
  });
});
