/** Mailboxes of a fleet: modes, affinity, spilling into the store, and changes while it runs. */
import { expect, test } from 'vitest';
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

test('what a mailbox cannot be is refused with what is allowed', async () => {
  await using bed = new Testbed();
  const { fleet } = await office(bed, {});
  expect(() => fleet.configureMailboxes('sorter', { capacity: 0 })).toThrow(
    /mailboxes\.capacity: expected a whole number of tasks, at least 1, got 0/,
  );
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
