import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import type { FleetFullError } from 'drover';
import { MOST_SUBMITTING } from '../../src/runtime/submissions.ts';
import { Testbed } from './harness.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapBytes(): number {
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

/** A kind that gets so many tasks done in a second of virtual time. */
function working(bed: Testbed, perSecond: number) {
  const slow = bed.service({}, () => ({ afterMs: 1_000 }));
  return agent({
    uses: { slow: slow.dependency },
    replicas: perSecond,
    run: async (n: number, ctx) => ctx.call('slow', n, { remember: false }),
  });
}

describe('a full fleet', () => {
  test('says when to come back: when as many tasks will have ended as have been refused before', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { work: working(bed, 10) }, bounds: { unfinished: 50 } });
    // Offered ten times what it can do, until it knows its own pace.
    for (let second = 0; second < 15; second += 1) {
      for (let n = 0; n < 100; n += 1) void fleet.submit('work', n).catch(() => {});
      await bed.advance(1_000);
    }
    const refusals: number[] = [];
    await bed.advance(70_000);
    for (let n = 0; n < 50; n += 1) await bed.drive(fleet.submit('work', n));
    for (let n = 0; n < 40; n += 1) {
      const error = (await bed.rejection(fleet.submit('work', n))) as unknown as FleetFullError;
      expect(error).toMatchObject({ code: 'DROVER_FLEET_FULL', retryable: true, detail: { of: 'store', limit: 50 } });
      refusals.push(error.detail.retryAfterMs);
    }
    // Ten a second: each one more than the last by about a tenth of a second.
    expect(refusals).toEqual(refusals.toSorted((a, b) => a - b));
    expect(refusals.at(-1)! - refusals[0]!).toBeGreaterThan(39 * 60);
    expect(refusals.at(-1)! - refusals[0]!).toBeLessThan(39 * 160);
    expect(refusals[0]).toBeGreaterThanOrEqual(100);
  });

  test('that gets nothing done asks for a minute, and one that knows nothing yet for a second', async () => {
    await using bed = new Testbed();
    const stuck = bed.service({}, () => ({ never: true }));
    const work = agent({ uses: { stuck: stuck.dependency }, run: async (n: number, ctx) => ctx.call('stuck', n) });
    const fleet = await bed.start({ agents: { work }, bounds: { unfinished: 3 } });
    for (let n = 0; n < 3; n += 1) await bed.drive(fleet.submit('work', n));
    const refused = async () => ((await bed.rejection(fleet.submit('work', 9))) as unknown as FleetFullError).detail.retryAfterMs;
    expect(await refused()).toBe(1_000);
    await bed.advance(2_000);
    await refused();
    await bed.advance(2_000);
    expect(await refused()).toBe(60_000);
  });

  test('is full of one kind by its backlog, while others are taken', async () => {
    await using bed = new Testbed();
    const work = agent({ backlog: 2, run: async (n: number) => n });
    const other = agent({ run: async (n: number) => n });
    const fleet = await bed.start({ agents: { work, other } });
    await bed.drive(fleet.pauseKind('work'));
    await bed.drive(fleet.submitMany('work', [{ input: 1 }, { input: 2 }]));
    expect(await bed.rejection(fleet.submit('work', 3))).toMatchObject({ code: 'DROVER_FLEET_FULL', detail: { of: 'kind', limit: 2 } });
    expect(await bed.run(fleet, 'other', 4)).toBe(4);
  });

  test('takes no more submits than the store is told of in time', async () => {
    await using bed = new Testbed();
    const work = agent({ run: (n: number, ctx) => ctx.sleep(20_000).then(() => n) });
    const fleet = await bed.start({ agents: { work }, bounds: { unfinished: 1 } });
    bed.faults.delays = (command) => (command === 'submit' ? [1_000, 0] : [0, 0]);
    const refused: unknown[] = [];
    const note = (error: unknown): void => {
      refused.push((error as FleetFullError).detail.of);
    };
    for (let n = 0; n < MOST_SUBMITTING + 10; n += 1) fleet.submit('work', n).catch(note);
    await bed.settle();
    expect(refused).toEqual(Array.from({ length: 10 }, () => 'submitting'));
    await bed.advance(10_000);
    expect(refused.filter((of) => of === 'store').length).toBe(MOST_SUBMITTING - 1);
    bed.faults.delays = undefined;
    await bed.advance(20_000);
    expect(await bed.run(fleet, 'work', 1)).toBe(1);
  });

  test('takes a list that is longer than that, but nothing beside it', async () => {
    await using bed = new Testbed();
    const work = agent({ run: async (n: number) => n });
    const fleet = await bed.start({ agents: { work }, bounds: { unfinished: 1 } });
    const items = Array.from({ length: MOST_SUBMITTING + 1 }, (_, input) => ({ input }));
    const list = fleet.submitMany('work', items).catch((error: unknown) => error);
    expect(await bed.rejection(fleet.submit('work', 1))).toMatchObject({ detail: { of: 'submitting', limit: MOST_SUBMITTING } });
    // It has come as far as the store, which has room for one.
    const { detail } = (await bed.drive(list)) as FleetFullError;
    expect(detail).toMatchObject({ of: 'store', limit: 1 });
  });
});

test('the same id submitted again and again is one handle while its task is unfinished', async () => {
  await using bed = new Testbed();
  const work = agent({ run: async (n: number) => n });
  const fleet = await bed.start({ agents: { work } });
  const later = { id: 'same', notBefore: bed.nowMs + 60_000 };
  const [first, second] = await bed.drive(Promise.all([fleet.submit('work', 1, later), fleet.submit('work', 1, later)]));
  expect(second).toBe(first);
  expect(await bed.rejection(fleet.submit('work', 2, later))).toMatchObject({ code: 'DROVER_TASK_CONFLICT' });
  expect(await bed.drive(fleet.submit('work', 1, later))).toBe(first);
  expect(await bed.drive(first.result())).toBe(1);
  const after = await bed.drive(fleet.submit('work', 1, later));
  expect(after).not.toBe(first);
  expect(await bed.drive(after.result())).toBe(1);
});

test('a submit that failed leaves the handle to those that did not', async () => {
  await using bed = new Testbed();
  const work = agent({ run: async (n: number) => n });
  const fleet = await bed.start({ agents: { work } });
  let submits = 0;
  bed.faults.fault = (command) => {
    if (command !== 'submit') return undefined;
    submits += 1;
    return submits === 1 ? 'before' : undefined;
  };
  const failing = bed.rejection(fleet.submit('work', 1, { id: 'same' }));
  await Promise.resolve();
  const handle = fleet.submit('work', 1, { id: 'same' });
  await failing;
  bed.faults.fault = undefined;
  const held = await bed.drive(handle.catch(async () => fleet.submit('work', 1, { id: 'same' })));
  expect(await bed.drive(held.result())).toBe(1);
});

test.each([
  ['notBefore', new Date(Number.NaN)],
  ['notBefore', -1],
  ['deadline', '2026-01-01'],
  ['deadline', Infinity],
])('a %s of %s is refused', async (option, value) => {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { work: agent({ run: async (n: number) => n }) } });
  expect(await bed.rejection(fleet.submit('work', 1, { [option]: value }))).toMatchObject({
    code: 'DROVER_SUBMIT_OPTION',
    detail: { option },
  });
});

test('a deadline before notBefore is refused; one that passes ends the task', async () => {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { work: agent({ run: async (n: number) => n }) } });
  const [soonMs, laterMs] = [bed.nowMs + 1_000, bed.nowMs + 5_000];
  expect(await bed.rejection(fleet.submit('work', 1, { notBefore: laterMs, deadline: soonMs }))).toMatchObject({
    detail: { option: 'deadline' },
  });
  await bed.drive(fleet.pauseKind('work'));
  const handle = await bed.drive(fleet.submit('work', 1, { deadline: new Date(laterMs) }));
  expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed', error: { code: 'DROVER_DEADLINE_PASSED' } } });
});

/** What the heap grows by for each task that ends, under so many times what the fleet can do. */
async function growth(
  times: number,
): Promise<{ readonly bytesEach: number; readonly refused: number; readonly done: number; readonly codes: unknown[] }> {
  await using bed = new Testbed();
  const perSecond = 20;
  const service = bed.service({}, () => ({ afterMs: 1_000 }));
  const work = agent({
    uses: { service: service.dependency },
    replicas: perSecond,
    run: async (n: number, ctx) => ctx.call('service', n, { remember: false }),
  });
  const fleet = await bed.start({ agents: { work }, bounds: { unfinished: 1_000 } });
  let refused = 0;
  const codes = new Set<unknown>();
  const note = (error: unknown): void => {
    refused += 1;
    codes.add((error as FleetFullError).code);
  };
  const offer = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) {
      for (let n = 0; n < perSecond * times; n += 1) fleet.submit('work', n).catch(note);
      await bed.advance(1_000);
      service.calls.length = 0;
    }
  };
  await offer(300);
  const [heapBefore, doneBefore] = [heapBytes(), fleet.stats.completed];
  refused = 0;
  await offer(500);
  const done = fleet.stats.completed - doneBefore;
  const bytesEach = (heapBytes() - heapBefore) / done;
  await bed.close(fleet, { deadlineMs: 0 });
  return { bytesEach, refused, done, codes: [...codes] };
}

test('B1: ten times more than it can do leaves memory flat, refusals typed, and what it can do done', { timeout: 120_000 }, async () => {
  // The memory store keeps every task that has ended: what is beyond that would be kept of refusals.
  const calm = await growth(0.9);
  const flooded = await growth(10);
  expect(calm.refused).toBe(0);
  expect(flooded.codes).toEqual(['DROVER_FLEET_FULL']);
  expect(flooded.refused).toBeGreaterThan(85_000);
  expect(flooded.done).toBeGreaterThan(500 * 20 * 0.9);
  expect(flooded.bytesEach, `${Math.round(calm.bytesEach)} bytes a task without the flood`).toBeLessThan(calm.bytesEach + 300);
});

test('refusals alone leave nothing behind', { timeout: 60_000 }, async () => {
  await using bed = new Testbed();
  const stuck = bed.service({}, () => ({ never: true }));
  const work = agent({ uses: { stuck: stuck.dependency }, run: async (n: number, ctx) => ctx.call('stuck', n) });
  const fleet = await bed.start({ agents: { work }, bounds: { unfinished: 1_000 } });
  let refused = 0;
  const note = (): void => {
    refused += 1;
  };
  const overload = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) {
      for (let n = 0; n < 1_000; n += 1) fleet.submit('work', n, { id: `task-of-mine-${second}-${n}` }).catch(note);
      await bed.advance(1_000);
    }
  };
  await overload(150);
  const before = heapBytes();
  await overload(150);
  const grown = heapBytes() - before;
  expect(refused).toBeGreaterThan(290_000);
  expect(grown).toBeLessThan(1_000_000);
  await bed.close(fleet, { deadlineMs: 0 });
});

test('a submitMany that finds no room for all says which are there all the same', async () => {
  await using bed = new Testbed();
  const work = agent({ backlog: 5, run: async (_input: number, ctx) => ctx.sleep(60_000) });
  const fleet = await bed.start({ agents: { work } });
  const items = Array.from({ length: 8 }, (_, at) => ({ input: at, id: `t${at}` }));
  const error = (await bed.rejection(fleet.submitMany('work', items))) as unknown as FleetFullError;
  expect(error.detail).toMatchObject({ of: 'kind', limit: 5, stored: ['t0', 't1', 't2', 't3', 't4'] });
  expect(error.message).toContain('of these 5 were stored');
  expect((await fleet.tasks()).map(({ id }) => id)).toEqual(error.detail.stored);
});

test('a tenant that has filled its own backlog is told so, and when to come back; the others have theirs', async () => {
  await using bed = new Testbed();
  const slow = bed.service({}, () => ({ afterMs: 100, reply: null }));
  const work = agent({
    uses: { slow: slow.dependency },
    tenant: (input: { tenant: string }) => input.tenant,
    tenantBacklog: 10,
    run: (input: { tenant: string }, ctx) => ctx.call('slow', input),
  });
  const fleet = await bed.start({ agents: { work } });
  const submit = (tenant: string) => fleet.submit('work', { tenant });
  await bed.drive(Promise.all(Array.from({ length: 10 }, () => submit('loud'))));
  const full = (await bed.rejection(submit('loud'))) as unknown as FleetFullError;
  expect(full).toMatchObject({ code: 'DROVER_FLEET_FULL', detail: { of: 'tenant', limit: 10 } });
  expect(full.message).toContain('tenantBacklog of work');
  await bed.drive(submit('quiet'));

  // One that comes when it is told to, and never before, finds room at the pace of the fleet: ten a second.
  let accepted = 0;
  let refused = 0;
  const untilMs = bed.nowMs + 20_000;
  while (bed.nowMs < untilMs) {
    try {
      await bed.drive(submit('loud'));
      accepted += 1;
    } catch (error) {
      refused += 1;
      await bed.advance((error as FleetFullError).detail.retryAfterMs);
    }
  }
  expect(accepted).toBeGreaterThan(150);
  expect(refused).toBeLessThan(1.5 * accepted);
});
