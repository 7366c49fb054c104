/** Mailboxes of a fleet: modes, affinity, spilling into the store, and changes while it runs. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import type { MailboxMode } from 'drover';
import { Testbed } from './harness.ts';

interface Mail {
  readonly to: string;
  readonly ms: number;
}

/** Four workers, and who did what. */
async function office(bed: Testbed, mailbox: { mode?: MailboxMode; capacity?: number; stealAbove?: number }) {
  const desk = bed.service({}, ({ request }) => ({ afterMs: (request as Mail).ms }));
  const sorter = agent({
    uses: { desk: desk.dependency },
    replicas: 4,
    mailbox,
    affinity: ({ to }: Mail) => to,
    run: async (mail: Mail, ctx) => {
      await ctx.call('desk', mail);
    },
  });
  const fleet = await bed.start({ agents: { sorter } });
  return { fleet, started: bed.record(fleet, 'task.started'), stolen: bed.record(fleet, 'mailbox.stolen') };
}

const mails = (count: number, to: (n: number) => string, ms = 100) =>
  Array.from({ length: count }, (_, n) => ({ id: `m${n}`, input: { to: to(n), ms } }));

test.each([2, 16])(
  'dedicated: 100 tasks of one affinity run one after the other on one worker, however small its mailbox (%i)',
  async (capacity) => {
    await using bed = new Testbed();
    const { fleet, started, stolen } = await office(bed, { mode: 'dedicated', capacity });
    const handles = await bed.drive(
      fleet.submitMany(
        'sorter',
        mails(100, () => 'anna'),
      ),
    );
    await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    expect(new Set(started.map(({ worker }) => worker)).size).toBe(1);
    expect(started.length).toBe(100);
    expect(stolen).toEqual([]);
  },
);

test('dedicated: what is behind a full mailbox does not hold up the other workers', async () => {
  await using bed = new Testbed();
  const { fleet, started } = await office(bed, { mode: 'dedicated', capacity: 2 });
  const handles = await bed.drive(
    fleet.submitMany(
      'sorter',
      mails(200, (n) => (n < 150 ? 'anna' : `other-${n}`)),
    ),
  );
  const beganMs = bed.nowMs;
  await bed.drive(Promise.all(handles.map((handle) => handle.result())));
  const annas = started.find(({ id }) => id === 'm0')!.worker;
  const others = started.filter(({ worker }) => worker !== annas);
  expect(others.length).toBeGreaterThan(20);
  // As if there were no Anna: about a third of fifty tasks each, and not after her 150.
  expect(Math.max(...others.map(({ atMs }) => atMs)) - beganMs).toBeLessThan(100 * 40);
  expect(started.length).toBe(200);
});

test('shared: whoever is free takes the next, whatever its affinity', async () => {
  await using bed = new Testbed();
  const { fleet, started } = await office(bed, { mode: 'shared' });
  const beganMs = bed.nowMs;
  const handles = await bed.drive(
    fleet.submitMany(
      'sorter',
      mails(40, () => 'anna'),
    ),
  );
  await bed.drive(Promise.all(handles.map((handle) => handle.result())));
  expect(new Set(started.map(({ worker }) => worker)).size).toBe(4);
  expect(bed.nowMs - beganMs).toBeLessThan(100 * 12);
});

test('steal: a deep mailbox is helped out, and four stay with their worker', async () => {
  await using bed = new Testbed();
  const { fleet, started, stolen } = await office(bed, { stealAbove: 4 });
  const handles = await bed.drive(
    fleet.submitMany(
      'sorter',
      mails(60, () => 'anna'),
    ),
  );
  await bed.drive(Promise.all(handles.map((handle) => handle.result())));
  expect(stolen.length).toBeGreaterThan(0);
  expect(new Set(started.map(({ worker }) => worker)).size).toBe(4);
});

test('what is undefined of a change of mailboxes stays as it is, also when the queue crashes', async () => {
  await using bed = new Testbed();
  const { fleet, started, stolen } = await office(bed, { mode: 'dedicated', capacity: 4, stealAbove: 2 });
  // Callers without types may give anything.
  fleet.configureMailboxes('sorter', { mode: undefined, capacity: undefined, stealAbove: undefined } as never);
  bed.crashQueue('sorter');
  await bed.advance(100);
  const handles = await bed.drive(
    fleet.submitMany(
      'sorter',
      mails(20, () => 'anna'),
    ),
  );
  await bed.drive(Promise.all(handles.map((handle) => handle.result())));
  expect(new Set(started.map(({ worker }) => worker)).size).toBe(1);
  expect(stolen).toEqual([]);
  expect(fleet.failure).toBeUndefined();
});

test('the mode is changed while tasks wait: dedicated to shared frees the idle, and a queue that crashes keeps the change', async () => {
  await using bed = new Testbed();
  const { fleet, started } = await office(bed, { mode: 'dedicated', capacity: 8 });
  const handles = await bed.drive(
    fleet.submitMany(
      'sorter',
      mails(40, () => 'anna'),
    ),
  );
  await bed.until(() => started.length === 3);
  expect(new Set(started.map(({ worker }) => worker)).size).toBe(1);
  fleet.configureMailboxes('sorter', { mode: 'shared' });
  bed.crashQueue('sorter');
  await bed.drive(Promise.all(handles.map((handle) => handle.result())));
  expect(new Set(started.map(({ worker }) => worker)).size).toBe(4);
});

test('what a mailbox has no room for goes back to the store, and whoever listens is told', async () => {
  await using bed = new Testbed();
  const { fleet, started } = await office(bed, { mode: 'dedicated', capacity: 2 });
  const spilled = bed.record(fleet, 'mailbox.spilled');
  const handles = await bed.drive(
    fleet.submitMany(
      'sorter',
      mails(20, () => 'anna'),
    ),
  );
  await bed.drive(Promise.all(handles.map((handle) => handle.result())));
  const { worker } = started[0]!;
  expect(spilled[0]).toMatchObject({ kind: 'sorter', worker });
  expect(spilled.reduce((sum, { count }) => sum + count, 0)).toBe(fleet.stats.spilled);
  expect(fleet.stats.spilled).toBeGreaterThan(10);
});

test('what a mailbox cannot be is refused with what is allowed', async () => {
  await using bed = new Testbed();
  const { fleet } = await office(bed, {});
  for (const capacity of [0, 10_001])
    expect(() => fleet.configureMailboxes('sorter', { capacity })).toThrow(
      `mailboxes.capacity: expected a whole number of tasks, 1 to 10000, got ${capacity}`,
    );
  fleet.configureMailboxes('sorter', { capacity: 10_000 });
  expect(() => fleet.configureMailboxes('nobody' as never, {})).toThrow(/nobody/);
});

test('what was spilled under an answer that was lost is found in its box', async () => {
  await using bed = new Testbed();
  const { fleet } = await office(bed, { mode: 'dedicated', capacity: 2 });
  // Somebody has put it into the box of a worker, and nobody here knows.
  const [handle] = await bed.drive(
    fleet.submitMany(
      'sorter',
      mails(1, () => 'anna', 60_000),
    ),
  );
  await bed.advance(100);
  const task = (await bed.drive(fleet.task(handle!.id)))!;
  expect(task.status).toBe('running');
  const [stranded] = await bed.drive(fleet.submitMany('sorter', [{ id: 'stranded', input: { to: 'anna', ms: 10 } }]));
  const { fence } = (await bed.drive(fleet.task('stranded')))!;
  bed.disk.tasks.settle([{ id: 'stranded', fence, outcome: { at: 'released', box: 'test/agents/sorter/0' } }], bed.nowMs);
  await bed.drive(stranded!.result());
});

/** A fleet whose tasks want nobody in particular: the first takes 4 s, the others no time to speak of. */
async function clerks(
  bed: Testbed,
  replicas: number | { min: number; max: number },
  runMs = (n: number): number => (n === 0 ? 4_000 : 20),
) {
  const desk = bed.service({}, ({ request }) => ({ afterMs: runMs(request as number) }));
  const clerk = agent({
    uses: { desk: desk.dependency },
    replicas,
    run: async (n: number, ctx) => {
      await ctx.call('desk', n);
    },
  });
  const fleet = await bed.start({ agents: { clerk } });
  const submit = (count: number, from = 0, priority = 0) =>
    bed.drive(
      fleet.submitMany(
        'clerk',
        Array.from({ length: count }, (_, n) => ({ id: `t${from + n}`, input: from + n, priority })),
      ),
    );
  return { fleet, submit, started: bed.record(fleet, 'task.started') };
}

describe('what has no affinity does not wait behind a long run while somebody is idle', () => {
  const FIVE = 5;
  type Clerks = Awaited<ReturnType<typeof clerks>>;
  const scenes: Record<string, (bed: Testbed) => Promise<Clerks>> = {
    'of five for an idle fleet, the fifth': async (bed) => {
      const scene = await clerks(bed, 4);
      await scene.submit(FIVE);
      return scene;
    },
    'when they were waiting while the kind was paused': async (bed) => {
      const scene = await clerks(bed, 4);
      await bed.drive(scene.fleet.pauseKind('clerk'));
      await scene.submit(FIVE);
      await bed.drive(scene.fleet.unpauseKind('clerk'));
      return scene;
    },
    'when three workers are resumed': async (bed) => {
      const scene = await clerks(bed, 4);
      const others = [1, 2, 3].map((at) => `test/agents/clerk/${at}`);
      for (const worker of others) await bed.drive(scene.fleet.suspend(worker));
      await scene.submit(FIVE);
      await bed.until(() => scene.started.length === 1);
      for (const worker of others) await bed.drive(scene.fleet.resume(worker));
      return scene;
    },
    'when three workers are added': async (bed) => {
      const scene = await clerks(bed, { min: 1, max: 4 });
      await scene.submit(FIVE);
      await bed.until(() => scene.started.length === 1);
      await bed.drive(scene.fleet.scale('clerk', 4));
      return scene;
    },
    'when a queue that has crashed has its workers back': async (bed) => {
      const scene = await clerks(bed, 4);
      await bed.drive(scene.fleet.pauseKind('clerk'));
      await scene.submit(FIVE);
      await bed.drive(scene.fleet.unpauseKind('clerk'));
      bed.crashQueue('clerk');
      return scene;
    },
  };
  test.each(Object.keys(scenes))('%s', async (name) => {
    await using bed = new Testbed();
    const beganMs = bed.nowMs;
    const { started } = await scenes[name]!(bed);
    await bed.until(() => new Set(started.map(({ id }) => id)).size === FIVE);
    expect(bed.nowMs - beganMs).toBeLessThan(1_000);
  });
});

test.each([1, 4])(
  'an urgent task starts after about as many others as there are workers (%i), not after full mailboxes',
  async (replicas) => {
    await using bed = new Testbed();
    const { submit, started } = await clerks(bed, replicas, () => 100);
    await submit(100);
    await bed.until(() => started.length >= 3 * replicas);
    const before = started.length;
    await submit(1, 1_000, 10);
    await bed.until(() => started.some(({ id }) => id === 't1000'));
    expect(started.findIndex(({ id }) => id === 't1000') - before).toBeLessThanOrEqual(replicas + 1);
  },
);

test('whoever is in the way of an urgent one goes ahead, also where it has been claimed already', async () => {
  await using bed = new Testbed();
  const desk = bed.service({}, () => ({ afterMs: 1_500 }));
  const uses = { desk: desk.dependency };
  const run = async (_: string, ctx: { call(name: 'desk', request: null): Promise<unknown> }): Promise<void> => {
    await ctx.call('desk', null);
  };
  const clerk = agent({ uses, mailbox: { mode: 'dedicated' }, orderKey: (key: string) => key, run });
  const fleet = await bed.start({ agents: { clerk } });
  const started = bed.record(fleet, 'task.started');
  const names = ['first', ...Array.from({ length: 9 }, (_, n) => `other ${n}`), 'wanted'];
  await bed.drive(
    fleet.submitMany(
      'clerk',
      names.map((id) => ({ id, input: id })),
    ),
  );
  await bed.until(() => started.length === 1);
  await bed.drive(fleet.submit('clerk', 'wanted', { id: 'urgent', priority: 10 }));
  await bed.until(() => started.some(({ id }) => id === 'urgent'));
  expect(started.map(({ id }) => id).indexOf('wanted')).toBeLessThanOrEqual(2);
});

test('what was spilled for a worker that is scaled away comes back, though a paused kind answered as an empty box does', async () => {
  await using bed = new Testbed();
  const sorter = agent({
    replicas: 2,
    mailbox: { mode: 'dedicated', capacity: 1 },
    // That of the second worker.
    affinity: () => 'carl',
    async run(_input: number) {
      await bed.sleep(100);
    },
  });
  const fleet = await bed.start({ agents: { sorter } });
  const started = bed.record(fleet, 'task.started');
  await bed.drive(
    fleet.submitMany(
      'sorter',
      Array.from({ length: 12 }, (_, at) => ({ input: at, id: `t${at}` })),
    ),
  );
  await bed.advance(50);
  expect(started).toMatchObject([{ worker: 'test/agents/sorter/1' }]);
  // The store has paused the kind, and the fleet does not know it yet.
  bed.faults.fault = (command) => (command === 'pauseKinds' ? 'after' : undefined);
  const pausing = fleet.pauseKind('sorter').catch(() => {});
  await bed.advance(500);
  await bed.drive(fleet.scale('sorter', 1));
  bed.faults.fault = undefined;
  await bed.drive(pausing);
  expect((await fleet.counts())['sorter']).toMatchObject({ queued: 10 });
  await bed.drive(fleet.unpauseKind('sorter'));
  await bed.advance(60_000);
  expect((await fleet.counts())['sorter']).toMatchObject({ completed: 12 });
});
