import { expect, test } from 'vitest';
import { agent } from 'drover';
import { Testbed } from './harness.ts';

test('a paused kind is not begun, over restarts too, while others go on', async () => {
  await using bed = new Testbed();
  const work = agent({ run: async (n: number) => n });
  const other = agent({ run: async (n: number) => n });
  const agents = { work, other };
  const fleet = await bed.start({ agents });
  const events = bed.record(fleet, 'kind.paused', 'kind.unpaused');
  await bed.drive(fleet.pauseKind('work'));
  expect(await bed.drive(fleet.pausedKinds())).toEqual(['work']);
  await bed.drive(fleet.submit('work', 1, { id: 'first' }));
  expect(await bed.run(fleet, 'other', 2)).toBe(2);
  expect(events).toMatchObject([{ name: 'kind.paused', kind: 'work' }]);
  bed.kill();
  const next = await bed.start({ agents });
  await bed.advance(60_000);
  expect(await bed.drive(next.task('first'))).toMatchObject({ status: 'queued' });
  const handle = await bed.drive(next.submit('work', 1, { id: 'first' }));
  await bed.drive(next.unpauseKind('work'));
  expect(await bed.drive(handle.result())).toBe(1);
  expect(await bed.drive(next.pausedKinds())).toEqual([]);
});

test('what waits in the mailboxes of a kind that is paused goes back: only what runs goes on', async () => {
  await using bed = new Testbed();
  const slow = bed.service({}, () => ({ afterMs: 5_000 }));
  const work = agent({ uses: { slow: slow.dependency }, replicas: 2, run: async (n: number, ctx) => ctx.call('slow', n) });
  const fleet = await bed.start({ agents: { work } });
  await bed.drive(
    fleet.submitMany(
      'work',
      Array.from({ length: 30 }, (_, n) => ({ input: n })),
    ),
  );
  await bed.until(() => slow.inFlight === 2);
  expect(fleet.load.held).toBeGreaterThan(2);
  await bed.drive(fleet.pauseKind('work'));
  await bed.advance(60_000);
  expect(slow.calls).toHaveLength(2);
  expect(fleet.load).toMatchObject({ running: 0, held: 0 });
  await bed.drive(fleet.unpauseKind('work'));
  await bed.until(() => slow.calls.length === 30);
});

test('draining a kind pauses it, and resolves when nothing of it is held', async () => {
  await using bed = new Testbed();
  const slow = bed.service({}, () => ({ afterMs: 5_000 }));
  const work = agent({ uses: { slow: slow.dependency }, replicas: 2, run: async (n: number, ctx) => ctx.call('slow', n) });
  const fleet = await bed.start({ agents: { work } });
  const items = Array.from({ length: 100 }, (_, n) => ({ input: n }));
  await bed.drive(fleet.submitMany('work', items));
  await bed.until(() => slow.inFlight === 2);
  await bed.drive(fleet.drainKind('work'));
  expect(fleet.load).toMatchObject({ running: 0, held: 0 });
  const done = slow.calls.length;
  expect(done).toBeLessThan(100);
  await bed.advance(60_000);
  expect(slow.calls).toHaveLength(done);
  await bed.drive(fleet.unpauseKind('work'));
  await bed.until(() => slow.calls.length === 100);
});

test('draining gives up at its deadline and says how much is held; the kind stays paused', async () => {
  await using bed = new Testbed();
  const slow = bed.service({}, () => ({ never: true }));
  const work = agent({ uses: { slow: slow.dependency }, run: async (n: number, ctx) => ctx.call('slow', n) });
  const fleet = await bed.start({ agents: { work } });
  await bed.drive(fleet.submit('work', 1, { id: 'first' }));
  await bed.until(() => slow.inFlight === 1);
  const beganMs = bed.nowMs;
  expect(await bed.rejection(fleet.drainKind('work', { deadlineMs: 750 }))).toMatchObject({
    code: 'DROVER_DRAIN_LATE',
    detail: { kind: 'work', held: 1, deadlineMs: 750 },
  });
  expect(bed.nowMs - beganMs).toBe(750);
  expect(await bed.drive(fleet.pausedKinds())).toEqual(['work']);
  const draining = bed.rejection(fleet.drainKind('work'));
  await bed.settle();
  await bed.close(fleet, { deadlineMs: 0 });
  expect(await draining).toMatchObject({ code: 'DROVER_FLEET_CLOSED' });
});

test('draining ends when somebody unpauses the kind: it would never be idle while more comes', async () => {
  await using bed = new Testbed();
  const slow = bed.service({}, () => ({ afterMs: 5_000 }));
  const work = agent({ uses: { slow: slow.dependency }, run: async (n: number, ctx) => ctx.call('slow', n) });
  const other = agent({ run: async (n: number) => n });
  const fleet = await bed.start({ agents: { work, other } });
  await bed.drive(fleet.submitMany('work', [{ input: 1 }, { input: 2 }]));
  await bed.until(() => slow.inFlight === 1);
  const ended = { code: 'DROVER_DRAIN_ENDED', retryable: false, detail: { kind: 'work' } };
  const draining = fleet.drainKind('work', { deadlineMs: 60_000 }).catch((error: unknown) => error);
  await bed.advance(1_000);
  await bed.drive(fleet.unpauseKind('work'));
  const fromMs = bed.nowMs;
  expect(await bed.drive(draining)).toMatchObject(ended);
  expect(bed.nowMs - fromMs).toBeLessThanOrEqual(100);
  // What is asked for last counts, and another kind is nothing to it.
  const orders = [fleet.unpauseKind('work'), fleet.drainKind('work'), fleet.pauseKind('other'), fleet.unpauseKind('other')];
  await bed.drive(Promise.all(orders));
  expect(slow.inFlight).toBe(0);
  const again = fleet.drainKind('work').catch((error: unknown) => error);
  await bed.drive(fleet.unpauseKind('work'));
  expect(await bed.drive(again)).toMatchObject(ended);
  // Nothing is held, and yet it is not drained.
  await bed.until(() => slow.calls.length === 2 && slow.inFlight === 0);
  const idle = fleet.drainKind('work').catch((error: unknown) => error);
  await bed.drive(fleet.unpauseKind('work'));
  expect(await bed.drive(idle)).toMatchObject(ended);
});

test('there is no pausing of a kind that is not there', async () => {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { work: agent({ run: async () => 1 }) } });
  expect(await bed.rejection(fleet.pauseKind('nobody' as 'work'))).toMatchObject({ code: 'DROVER_UNKNOWN_KIND' });
  expect(await bed.rejection(fleet.drainKind('work', { deadlineMs: Number.NaN }))).toMatchObject({ code: 'DROVER_OPERATOR_INPUT' });
});
