/** Events: facts, in order, with what they promise to carry; nothing depends on them. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import type { FleetEvents } from 'drover';
import { pino } from 'pino';
import { Testbed } from './harness.ts';

const NAMES = [
  'task.submitted',
  'task.started',
  'task.parked',
  'task.retrying',
  'task.completed',
  'task.failed',
  'task.progressed',
  'lease.lost',
  'call.completed',
  'call.failed',
  'worker.started',
  'worker.ended',
  'worker.restarting',
  'supervisor.gave-up',
  'mailbox.stolen',
  'store.retrying',
  'fleet.failed',
] as const satisfies readonly (keyof FleetEvents)[];

/** A fleet in which every event happens, and the handles of what went well in it. */
async function eventful(bed: Testbed, logger = pino({ level: 'silent' })) {
  const service = bed.service({ usage: () => ({ inputTokens: 2, outputTokens: 3 }) }, ({ attempt }) =>
    attempt === 1 ? { error: new Error('first') } : { reply: 'said' },
  );
  const child = agent({ run: () => bed.sleep(500).then(() => 'child') });
  const parent = agent({
    uses: { service: service.dependency },
    asks: { child },
    backoff: () => 100,
    async run(_input: number, ctx) {
      ctx.progress(1, 3);
      const said = await ctx.call('service', 1);
      ctx.progress(2);
      if (ctx.task.attempt === 1) throw new Error('first attempt');
      return [said, await ctx.ask('child', null)];
    },
  });
  const failing = agent({
    attempts: 1,
    async run(): Promise<never> {
      throw new Error('dead');
    },
  });
  const hung = agent({
    leaseMs: 2_000,
    async run(_input: null, ctx) {
      if (ctx.task.fence === 1) await bed.sleep(60_000);
      return 'found';
    },
  });
  const slow = agent({ replicas: 2, mailbox: { capacity: 8, stealAbove: 1 }, affinity: () => 'mail', run: (ms: number) => bed.sleep(ms) });
  const fleet = await bed.start({ agents: { parent, child, failing, hung, slow }, supervision: { intensity: 50 } }, { logger });
  return { fleet, service };
}

async function letItHappen(bed: Testbed, fleet: Awaited<ReturnType<typeof eventful>>['fleet']) {
  const slowOnes = await bed.drive(Promise.all([60_000, 1, 1, 1, 1, 1, 1, 1, 1].map((ms) => fleet.submit('slow', ms))));
  const well = await bed.drive(fleet.submit('parent', 1, { id: 'x' }));
  const badly = await bed.drive(fleet.submit('failing', 1, { id: 'y' }));
  const lost = await bed.drive(fleet.submit('hung', null, { id: 'z' }));
  await bed.advance(50);
  let left = 2;
  bed.faults.fault = (command) => (command === 'settle' && left-- > 0 ? 'before' : undefined);
  bed.crashWorker('failing');
  expect(await bed.drive(well.result())).toEqual(['said', 'child']);
  await bed.rejection(badly.result());
  bed.disk.tasks.sweep(Infinity);
  expect(await bed.drive(lost.result())).toBe('found');
  await bed.drive(Promise.all(slowOnes.slice(1).map((handle) => handle.result())));
}

test('each event comes in its order, with its payload', async () => {
  await using bed = new Testbed();
  const { fleet } = await eventful(bed);
  const events = bed.record(fleet, ...NAMES);
  await letItHappen(bed, fleet);
  const said = events.map((event) => event.name);
  for (const name of [
    'task.submitted',
    'task.started',
    'task.parked',
    'task.retrying',
    'task.completed',
    'task.failed',
    'task.progressed',
    'lease.lost',
    'call.completed',
    'call.failed',
    'worker.ended',
    'worker.restarting',
    'worker.started',
    'mailbox.stolen',
    'store.retrying',
  ] as const) {
    expect(said).toContain(name);
  }
  const ofX = events.filter((event) => 'id' in event && event.id === 'x');
  expect(ofX).toMatchObject([
    { name: 'task.submitted', kind: 'parent' },
    { name: 'task.started', attempt: 1, worker: 'test/agents/parent/0' },
    { name: 'task.progressed', done: 1, total: 3 },
    { name: 'task.progressed', done: 2 },
    { name: 'task.retrying', attempt: 1, inMs: expect.any(Number) as unknown, error: { name: 'Error', message: 'first attempt' } },
    { name: 'task.started', attempt: 2 },
    { name: 'task.progressed', done: 1 },
    { name: 'task.progressed', done: 2 },
    { name: 'task.parked', reason: 'child' },
    { name: 'task.started', attempt: 2 },
    { name: 'task.progressed', done: 1 },
    { name: 'task.progressed', done: 2 },
    { name: 'task.completed', attempt: 2, ms: expect.any(Number) as unknown },
  ]);
  expect(ofX[3]).not.toHaveProperty('total');
  expect(events.filter(({ name }) => name.startsWith('call.'))).toMatchObject([
    { name: 'call.failed', dependency: 'service', failure: 'transient', again: true, error: { message: 'first' } },
    { name: 'call.completed', dependency: 'service', inputTokens: 2, outputTokens: 3, usd: 0, ms: 10 },
  ]);
  expect(events.find(({ name }) => name === 'mailbox.stolen')).toMatchObject({
    thief: expect.stringMatching(/slow/) as unknown,
    victim: expect.stringMatching(/slow/) as unknown,
  });
  for (const [at, event] of events.entries()) {
    expect(event.atMs).toBeGreaterThan(1_750_000_000_000 - 1);
    if (at > 0) expect(event.atMs).toBeGreaterThanOrEqual(events[at - 1]!.atMs);
  }
});

test('sums of stats are those of the events', async () => {
  await using bed = new Testbed();
  const { fleet } = await eventful(bed);
  const events = bed.record(fleet, ...NAMES);
  await letItHappen(bed, fleet);
  await bed.advance(100_000);
  const count = (name: string): number => events.filter((event) => event.name === name).length;
  const { stats } = fleet;
  expect({
    submitted: stats.submitted,
    started: stats.started,
    completed: stats.completed,
    dead: stats.dead + stats.failed,
    retried: stats.retried,
    parked: stats.parked,
    restarts: stats.restarts,
    calls: stats.calls,
  }).toEqual({
    submitted: count('task.submitted'),
    started: count('task.started'),
    completed: count('task.completed'),
    dead: count('task.failed'),
    retried: count('task.retrying'),
    parked: count('task.parked'),
    restarts: count('worker.restarting'),
    calls: count('call.completed') + count('call.failed'),
  });
  expect(stats.submitted).toBe(stats.completed + stats.dead);
});

test('a listener that throws is logged; the fleet does what it does without it', async () => {
  await using bed = new Testbed();
  const logged: { event?: string; msg: string }[] = [];
  const logger = pino({ level: 'error' }, { write: (line: string) => void logged.push(JSON.parse(line) as never) });
  const { fleet } = await eventful(bed, logger);
  for (const name of NAMES) {
    fleet.events.on(name, () => {
      throw new Error('a listener of the worst kind');
    });
  }
  await letItHappen(bed, fleet);
  const names = new Set(logged.filter(({ msg }) => msg === 'a listener threw').map(({ event }) => event));
  for (const name of [
    'task.submitted',
    'task.completed',
    'task.failed',
    'call.completed',
    'call.failed',
    'worker.restarting',
    'lease.lost',
    'store.retrying',
  ])
    expect(names).toContain(name);
});

test('a listener of fleet.failed that throws does not keep the fleet from ending', async () => {
  await using bed = new Testbed();
  const { fleet } = await eventful(bed);
  fleet.events.on('fleet.failed', () => {
    throw new Error('a listener of the worst kind');
  });
  const handle = await bed.drive(fleet.submit('slow', 60_000));
  bed.faults.fault = (command) => (command === 'sweep' ? new Error('gone') : undefined);
  expect(await bed.rejection(handle.result())).toMatchObject({ code: 'DROVER_FLEET_CLOSED' });
  bed.faults.fault = undefined;
  await bed.close(fleet);
});

describe('the log of a run', () => {
  test('says whose it is', async () => {
    await using bed = new Testbed();
    const logged: object[] = [];
    const logger = pino(
      { level: 'info', base: null, timestamp: false },
      { write: (line: string) => void logged.push(JSON.parse(line) as object) },
    );
    const talkative = agent({
      async run(_input: null, ctx) {
        ctx.log.info({ mail: 17 }, 'looking at it');
      },
    });
    const fleet = await bed.start({ agents: { talkative } }, { logger });
    await bed.run(fleet, 'talkative', null, { id: 'x' });
    expect(logged).toContainEqual({
      level: 30,
      fleet: 'test',
      task: 'x',
      kind: 'talkative',
      attempt: 1,
      worker: 'test/agents/talkative/0',
      mail: 17,
      msg: 'looking at it',
    });
  });
});
