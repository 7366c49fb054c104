/**
 * Stealing as a fleet does it: family WS of the behaviour cases, over both stores. The decisions themselves are in
 * `test/actors/queue`, row by row.
 */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import { Testbed } from '../runtime/harness.ts';
import { GROUNDS, makeGround } from './ground.ts';
import type { GroundName } from './ground.ts';

const TASK_MS = 1_000;

/** A fleet whose tasks all would rather go to one worker. */
async function sticky(bed: Testbed, name: GroundName, replicas: number, stealAbove = 4) {
  const ground = makeGround(name);
  const desk = bed.service({}, ({ request }) => ({ afterMs: TASK_MS, reply: request }));
  const work = agent({
    uses: { desk: desk.dependency },
    replicas,
    leaseMs: 5_000,
    mailbox: { stealAbove, capacity: 300 },
    affinity: () => 'anna',
    run: (n: number, ctx) => ctx.call('desk', n),
  });
  const fleet = await bed.start({ agents: { work } }, { store: ground.store() });
  const events = { started: bed.record(fleet, 'task.started'), completed: bed.record(fleet, 'task.completed') };
  const stolen = bed.record(fleet, 'mailbox.stolen');
  const submit = async (count: number) =>
    bed.drive(
      fleet.submitMany(
        'work',
        Array.from({ length: count }, (_, input) => ({ id: `t${input}`, input })),
      ),
    );
  return { fleet, desk, ground, stolen, submit, ...events };
}

describe.each(GROUNDS)('over the %s store', (name) => {
  test('WS-11: what does not lie behind the threshold stays with its worker, though another one is idle', async () => {
    await using bed = new Testbed();
    const { submit, started, stolen } = await sticky(bed, name, 2);
    // One runs, and four wait: no more than may.
    const handles = await submit(5);
    await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    expect(stolen).toEqual([]);
    expect(new Set(started.map(({ worker }) => worker)).size).toBe(1);
  });

  test('WS-11: one more, and it moves', async () => {
    await using bed = new Testbed();
    const { submit, started, stolen } = await sticky(bed, name, 2);
    const handles = await submit(6);
    await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    expect(stolen.map(({ count }) => count)).toEqual([1]);
    expect(new Set(started.map(({ worker }) => worker)).size).toBe(2);
  });

  test('WS-12: what is in progress stays with its lease; what was stolen is completed once, by the thief, under the same fence', async () => {
    await using bed = new Testbed();
    const { fleet, submit, started, completed, stolen } = await sticky(bed, name, 2, 1);
    const handles = await submit(6);
    await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    expect(stolen.length).toBeGreaterThan(0);
    expect(completed.map(({ id }) => id).toSorted()).toEqual(['t0', 't1', 't2', 't3', 't4', 't5']);
    for (const { id, worker } of completed)
      expect(started.filter((start) => start.id === id).map((start) => start.worker)).toEqual([worker]);
    const tasks = await bed.drive(fleet.tasks({ limit: 10 }));
    expect(tasks.map(({ fence, attempt, losses }) => [fence, attempt, losses])).toEqual(handles.map(() => [1, 1, 0]));
  });

  test('WS-05: of 300 tasks on one worker out of five, each is run once, and nobody is idle while much waits', async () => {
    await using bed = new Testbed();
    const { submit, desk, fleet } = await sticky(bed, name, 5, 1);
    const handles = await submit(300);
    const fromMs = bed.nowMs;
    await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    expect(desk.calls).toHaveLength(300);
    expect(new Set(desk.calls.map(({ request }) => request)).size).toBe(300);
    expect(fleet.stats).toMatchObject({ started: 300, completed: 300, lost: 0 });
    // Sixty rounds would be perfect.
    expect(bed.nowMs - fromMs).toBeLessThan(72 * TASK_MS);
  });

  test('WS-13: with eight workers and one of them loaded, every other one gets something', async () => {
    await using bed = new Testbed();
    const { submit, started } = await sticky(bed, name, 8, 1);
    const handles = await submit(80);
    await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    const shares = Object.values(Object.groupBy(started, ({ worker }) => worker)).map((of) => of!.length);
    expect(shares).toHaveLength(8);
    expect(Math.min(...shares)).toBeGreaterThanOrEqual(4);
  });
});
