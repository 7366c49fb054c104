import { expect, test } from 'vitest';
import { agent, defineFleet } from 'drover';
import { Testbed } from './harness.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const echo = agent({ run: async (input: string) => input });
const failing = agent({ attempts: 1, run: async (_input: string): Promise<void> => Promise.reject(new Error('no')) });
const asking = agent({
  asks: { echo },
  run: async (input: string, ctx) => {
    const answer = await ctx.ask('echo', input);
    await ctx.sleep(HOUR_MS);
    return answer;
  },
});

test('what has ended is forgotten so long after that, by how it ended; the rest stays', async () => {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { echo, failing }, retention: { completedMs: HOUR_MS } });
  await bed.drive((await bed.drive(fleet.submit('echo', 'a', { id: 'a' }))).result());
  await bed.drive((await bed.drive(fleet.submit('failing', 'b', { id: 'b' }))).result().catch(() => {}));
  await bed.advance(HOUR_MS - MINUTE_MS);
  expect(await bed.drive(fleet.task('a'))).toMatchObject({ status: 'completed' });
  await bed.advance(2 * MINUTE_MS);
  expect(await bed.drive(fleet.task('a'))).toBeUndefined();
  await bed.advance(3 * HOUR_MS);
  expect((await bed.drive(fleet.tasks())).map(({ id }) => id)).toEqual(['b']);
  expect(fleet.stats.forgotten).toBe(1);
});

test('a forgotten id is free: submitted again it is a new task', async () => {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { echo }, retention: { completedMs: MINUTE_MS } });
  await bed.drive((await bed.drive(fleet.submit('echo', 'first', { id: 'a' }))).result());
  await bed.advance(2 * MINUTE_MS);
  expect(await bed.drive((await bed.drive(fleet.submit('echo', 'second', { id: 'a' }))).result())).toBe('second');
});

test('a child stays as long as whoever asked for it: it is replayed with what the child has brought', async () => {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { asking, echo }, retention: { completedMs: MINUTE_MS } });
  const handle = await bed.drive(fleet.submit('asking', 'a', { id: 'a' }));
  await bed.advance(HOUR_MS / 2);
  expect((await bed.drive(fleet.tasks())).map(({ id, status }) => [id, status])).toEqual([
    ['a', 'parked'],
    ['a/echo#1', 'completed'],
  ]);
  expect(await bed.drive(handle.result())).toBe('a');
  await bed.advance(2 * MINUTE_MS);
  expect(await bed.drive(fleet.tasks())).toEqual([]);
});

test.each(['before', 'after'] as const)('a command that fails %s it was done is sent again', async (fault) => {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { echo }, retention: { completedMs: MINUTE_MS } });
  for (const id of ['a', 'b']) await bed.drive((await bed.drive(fleet.submit('echo', id, { id }))).result());
  let strikes = 2;
  bed.faults.fault = (command) => (command === 'forget' && (strikes -= 1) >= 0 ? fault : undefined);
  await bed.advance(2 * MINUTE_MS);
  expect(strikes).toBeLessThan(0);
  expect(await bed.drive(fleet.tasks())).toEqual([]);
});

test('nothing is forgotten unless the topology says so', async () => {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { echo }, retention: { completedMs: Infinity } });
  await bed.drive((await bed.drive(fleet.submit('echo', 'a', { id: 'a' }))).result());
  await bed.advance(5 * HOUR_MS);
  expect(await bed.drive(fleet.task('a'))).toBeDefined();
});

test('more than one command looks at is forgotten in one pass, beside what stays', async () => {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { echo, failing }, retention: { completedMs: HOUR_MS } });
  const inputs = Array.from({ length: 1_200 }, (_, at) => ({ input: `${at}`, id: `t${at}` }));
  await bed.drive(fleet.submitMany('echo', inputs));
  await bed.drive(fleet.submit('failing', 'b', { id: 'b' }));
  await bed.advance(HOUR_MS + MINUTE_MS);
  expect(fleet.stats.forgotten).toBe(1_200);
  expect((await bed.drive(fleet.counts()))['failing']).toMatchObject({ dead: 1 });
});

test('retention of less than a minute, or that is no time, is refused', () => {
  for (const completedMs of [59_999, Number.NaN, -1, '1h' as never])
    expect(() => defineFleet({ name: 'f', agents: { echo }, retention: { completedMs } })).toThrow(
      /retention\.completedMs: expected milliseconds, at least 60,000/,
    );
});

test('a handle is told how its own task ended, not one of the same id that was forgotten while it was on its way', async () => {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { echo }, retention: { cancelledMs: MINUTE_MS } });
  const first = await bed.drive(fleet.submit('echo', 'x', { id: 'a', notBefore: bed.clock.nowMs() + HOUR_MS }));
  await bed.drive(fleet.cancel('a'));
  await bed.rejection(first.result());
  bed.faults.delays = (command) => (command === 'submit' ? [2 * MINUTE_MS, 0] : [0, 0]);
  const again = fleet.submit('echo', 'x', { id: 'a' });
  // Who cancels what is cancelled has whoever waits for it told once more.
  await bed.drive(fleet.cancel('a'));
  expect(await bed.drive((await bed.drive(again)).result())).toBe('x');
});
