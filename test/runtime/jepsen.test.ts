/** What broke locks and leases elsewhere, here with tasks. Locks of one's own are in `test/coordination/locks.test.ts`. */
import { expect, test } from 'vitest';
import { agent } from 'drover';
import { Testbed } from './harness.ts';

test('JEP-05: a commit that was sent in time and arrives after the task was granted to somebody else is refused, though that one has written nothing', async () => {
  await using bed = new Testbed();
  const slow = bed.service({}, () => ({ never: true }));
  let runs = 0;
  const work = agent({
    uses: { slow: slow.dependency },
    replicas: 2,
    leaseMs: 1_000,
    writes: ['row'],
    run: async (_: null, ctx) => {
      runs += 1;
      const row = await ctx.state.get<string>('row');
      await ctx.state.set('row', `run ${runs}`, row?.version ?? null);
      if (runs === 2) await ctx.call('slow', null);
      return runs;
    },
  });
  const fleet = await bed.start({ agents: { work } });
  const lost = bed.record(fleet, 'lease.lost');
  let settles = 0;
  bed.faults.delays = (command) => {
    if (command !== 'settle') return [0, 0];
    settles += 1;
    return settles === 1 ? [30_000, 0] : [0, 0];
  };
  // The packet is under way for longer than the lease, and so is everything that would renew it.
  const renewals = (command: string): 'before' | undefined => (command === 'renew' && slow.calls.length === 0 ? 'before' : undefined);
  bed.faults.fault = renewals;
  const handle = await bed.drive(fleet.submit('work', null, { id: 'first' }));
  await bed.until(() => slow.inFlight === 1);
  bed.faults.fault = undefined;
  await bed.advance(60_000);
  expect(settles).toBeGreaterThanOrEqual(1);
  // Grants are what counts: the second holder has not written, and the first one's write is refused all the same.
  expect(await bed.drive(fleet.state.get('row'))).toBeUndefined();
  expect(await bed.drive(fleet.task('first'))).toMatchObject({ status: 'running', fence: 2 });
  expect(lost.length).toBeGreaterThanOrEqual(1);
  slow.respond = () => ({ reply: null });
  slow.disconnect();
  await bed.drive(fleet.cancel('first'));
  expect(await bed.rejection(handle.result())).toMatchObject({ code: 'DROVER_TASK_CANCELLED' });
  expect(await bed.drive(fleet.state.get('row'))).toBeUndefined();
});

test('JEP-15: a run that held the event loop for longer than its lease does not commit, and its task is run once more', async () => {
  await using bed = new Testbed();
  let runs = 0;
  const results: unknown[] = [];
  const work = agent({
    leaseMs: 1_000,
    run: async () => {
      runs += 1;
      // Nothing fires while it works: no renewal, no tick.
      if (runs === 1) bed.clock.stall(5_000);
      return runs;
    },
  });
  const fleet = await bed.start({ agents: { work } });
  fleet.events.on('task.completed', ({ id }) => results.push(id));
  const handle = await bed.drive(fleet.submit('work', null, { id: 'first' }));
  expect(await bed.drive(handle.result())).toBe(2);
  await bed.advance(60_000);
  expect({ runs, results }).toEqual({ runs: 2, results: ['first'] });
  expect(await bed.drive(fleet.task('first'))).toMatchObject({ status: 'completed', result: 2, losses: 1 });
});

test('JEP-16: a process that dies between the work and its commit has it done again: two executions under one key, one completion', async () => {
  await using bed = new Testbed();
  const outside = bed.service();
  const work = agent({ uses: { outside: outside.dependency }, run: async (n: number, ctx) => ctx.call('outside', n, { remember: false }) });
  const fleet = await bed.start({ agents: { work } });
  const completed = bed.record(fleet, 'task.completed');
  bed.faults.delays = (command) => (command === 'settle' ? [60_000, 0] : [0, 0]);
  await bed.drive(fleet.submit('work', 7, { id: 'first' }));
  await bed.until(() => outside.calls.length === 1 && outside.inFlight === 0);
  await bed.settle();
  bed.kill();
  bed.faults.delays = undefined;
  const next = await bed.start({ agents: { work } });
  const again = bed.record(next, 'task.completed');
  const handle = await bed.drive(next.submit('work', 7, { id: 'first' }));
  expect(await bed.drive(handle.result())).toBe(7);
  expect(outside.calls.map(({ key }) => key)).toEqual([outside.calls[0]!.key, outside.calls[0]!.key]);
  expect([completed.length, again.length]).toEqual([0, 1]);
});
