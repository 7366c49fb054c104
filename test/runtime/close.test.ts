/** Closing: in order, by its deadline, with everything given back. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import { Testbed } from './harness.ts';

/** An agent that calls `slow` once; the call takes `ms`. */
function slowAgent(bed: Testbed, spec: { readonly leaseMs?: number; readonly attempts?: number; readonly replicas?: number } = {}) {
  const slow = bed.service({}, ({ request }) => ({ afterMs: request as number, reply: request }));
  const work = agent({ uses: { slow: slow.dependency }, ...spec, run: (ms: number, ctx) => ctx.call('slow', ms) });
  return { slow, work };
}

test('running runs may end; what waited for its worker goes back unused', async () => {
  await using bed = new Testbed();
  const { slow, work } = slowAgent(bed);
  const fleet = await bed.start({ agents: { work } });
  const [running, ...waiting] = await bed.drive(Promise.all(['a', 'b', 'c'].map((id) => fleet.submit('work', 2_000, { id }))));
  await bed.advance(10);
  expect(fleet.load).toMatchObject({ running: 1, held: 2 });
  const closing = fleet.close();
  expect(await bed.drive(running!.result())).toBe(2_000);
  await bed.drive(closing);
  for (const handle of waiting) expect(await bed.rejection(handle.result())).toMatchObject({ code: 'DROVER_FLEET_CLOSED' });
  expect(slow.calls).toHaveLength(1);
  expect(bed.disk.tasks.get(['a', 'b', 'c'])).toMatchObject([
    { status: 'completed' },
    { status: 'queued', attempt: 0 },
    { status: 'queued', attempt: 0 },
  ]);
});

test('closing takes no longer than the last run', async () => {
  await using bed = new Testbed();
  const { work } = slowAgent(bed, { replicas: 3 });
  const fleet = await bed.start({ agents: { work } });
  await bed.drive(Promise.all([500, 1_500, 1_000].map((ms) => fleet.submit('work', ms))));
  await bed.advance(10);
  const fromMs = bed.nowMs;
  await bed.close(fleet, { deadlineMs: 60_000 });
  expect(bed.nowMs - fromMs).toBeGreaterThan(1_400);
  expect(bed.nowMs - fromMs).toBeLessThan(1_600);
});

test('at the deadline a run is abandoned: its task is queued again at once, with its attempt and without an error', async () => {
  await using bed = new Testbed();
  const { slow, work } = slowAgent(bed, { attempts: 1 });
  const fleet = await bed.start({ agents: { work } });
  const handle = await bed.drive(fleet.submit('work', 60_000, { id: 'x' }));
  await bed.until(() => slow.inFlight === 1);
  const fromMs = bed.nowMs;
  await bed.close(fleet, { deadlineMs: 3_000 });
  expect(bed.nowMs - fromMs).toBeCloseTo(3_000, 0);
  expect(slow.calls[0]).toMatchObject({ aborted: { code: 'DROVER_RUN_OVER' } });
  expect(await bed.rejection(handle.result())).toMatchObject({ code: 'DROVER_FLEET_CLOSED', retryable: false });
  expect(bed.disk.tasks.get(['x'])).toMatchObject([{ status: 'queued', attempt: 0, losses: 0, error: null }]);
  // It was at its last attempt, and is still good for a run.
  slow.respond = () => ({ reply: 'done' });
  const next = await bed.start({ agents: { work } });
  expect(await bed.run(next, 'work', 60_000, { id: 'x' })).toBe('done');
});

test('a deadline of 0 abandons at once', async () => {
  await using bed = new Testbed();
  const { slow, work } = slowAgent(bed);
  const fleet = await bed.start({ agents: { work } });
  await bed.drive(fleet.submit('work', 60_000, { id: 'x' }));
  await bed.until(() => slow.inFlight === 1);
  const fromMs = bed.nowMs;
  await bed.close(fleet, { deadlineMs: 0 });
  expect(bed.nowMs).toBe(fromMs);
  expect(bed.disk.tasks.get(['x'])).toMatchObject([{ status: 'queued', attempt: 0 }]);
});

test('without a deadline of its own, closing has that of the topology', async () => {
  await using bed = new Testbed();
  const { slow, work } = slowAgent(bed);
  const fleet = await bed.start({ agents: { work }, supervision: { shutdownMs: 700 } });
  await bed.drive(fleet.submit('work', 60_000));
  await bed.until(() => slow.inFlight === 1);
  const fromMs = bed.nowMs;
  await bed.close(fleet);
  expect(bed.nowMs - fromMs).toBeCloseTo(700, 0);
});

test.each([
  ['null', null, 'options'],
  ['a number', 0, 'options'],
  ['an option that there is not', { deadLineMs: 0 }, 'options.deadLineMs'],
  ['not a number', { deadlineMs: Number.NaN }, 'deadlineMs'],
  ['below 0', { deadlineMs: -1 }, 'deadlineMs'],
  ['a text', { deadlineMs: '5' }, 'deadlineMs'],
  ['a deadline of null', { deadlineMs: null }, 'deadlineMs'],
])('what cannot be meant is refused, and the fleet goes on: %s', async (_name, wrong, argument) => {
  await using bed = new Testbed();
  const { work } = slowAgent(bed);
  const fleet = await bed.start({ agents: { work } });
  expect(await bed.rejection(fleet.close(wrong as never))).toMatchObject({ code: 'DROVER_OPERATOR_INPUT', detail: { argument } });
  expect(await bed.run(fleet, 'work', 10)).toBe(10);
  await bed.close(fleet, { deadlineMs: 1_000 });
  await fleet.ended;
});

test('a deadline of Infinity waits as long as runs take', async () => {
  await using bed = new Testbed();
  const { work } = slowAgent(bed);
  const fleet = await bed.start({ agents: { work } });
  const handle = await bed.drive(fleet.submit('work', 60_000));
  await bed.advance(10);
  await bed.close(fleet, { deadlineMs: Infinity });
  expect(await handle.result()).toBe(60_000);
});

test('leases are kept while closing', async () => {
  await using bed = new Testbed();
  const { slow, work } = slowAgent(bed, { leaseMs: 1_000 });
  const fleet = await bed.start({ agents: { work } });
  const handle = await bed.drive(fleet.submit('work', 5_000, { id: 'x' }));
  await bed.until(() => slow.inFlight === 1);
  await bed.close(fleet, { deadlineMs: 10_000 });
  expect(await handle.result()).toBe(5_000);
  expect(bed.disk.tasks.get(['x'])).toMatchObject([{ status: 'completed', attempt: 1, losses: 0, fence: 1 }]);
});

test('a start on its way when the fleet closes either runs to its end or gives its attempt back', async () => {
  const ends = new Set<string>();
  for (let seed = 0; seed < 60; seed += 1) {
    await using bed = new Testbed(seed);
    const { slow, work } = slowAgent(bed, { replicas: 3 });
    bed.faults.delays = () => [bed.random.next() * 20, bed.random.next() * 20];
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(Promise.all(['a', 'b', 'c', 'd'].map((id) => fleet.submit('work', 100, { id }))));
    await bed.advance(bed.random.next() * 80);
    await bed.close(fleet, { deadlineMs: seed % 2 === 0 ? 0 : 5_000 });
    expect(slow.inFlight).toBe(0);
    for (const task of bed.disk.tasks.get(['a', 'b', 'c', 'd'])) {
      ends.add(task!.status);
      // Leased: the answer to its claim came after the fleet had gone; the next owner takes it back unused.
      expect(['queued', 'leased', 'completed'], `seed ${seed}`).toContain(task!.status);
      expect(task!.attempt, `seed ${seed}`).toBe(task!.status === 'completed' ? 1 : 0);
    }
  }
  expect(ends).toContain('queued');
  expect(ends).toContain('completed');
});

test('a parent that waits for a child parks, so it does not hold up closing', async () => {
  await using bed = new Testbed();
  const { slow, work } = slowAgent(bed);
  const parent = agent({ asks: { work }, run: (ms: number, ctx) => ctx.ask('work', ms) });
  const fleet = await bed.start({ agents: { parent, work } });
  await bed.drive(fleet.submit('parent', 60_000, { id: 'x' }));
  await bed.until(() => slow.inFlight === 1);
  await bed.close(fleet, { deadlineMs: 100 });
  expect(bed.disk.tasks.get(['x', 'x/work#1'])).toMatchObject([
    { status: 'parked', attempt: 0 },
    { status: 'queued', attempt: 0 },
  ]);
  slow.respond = () => ({ reply: 'done' });
  const next = await bed.start({ agents: { parent, work } });
  expect(await bed.run(next, 'parent', 60_000, { id: 'x' })).toBe('done');
});

test('submit is refused from the moment of closing', async () => {
  await using bed = new Testbed();
  const { slow, work } = slowAgent(bed);
  const fleet = await bed.start({ agents: { work } });
  await bed.drive(fleet.submit('work', 1_000));
  await bed.until(() => slow.inFlight === 1);
  const closing = fleet.close();
  expect(await bed.rejection(fleet.submit('work', 1))).toMatchObject({ code: 'DROVER_FLEET_CLOSED' });
  await bed.drive(closing);
  expect(await bed.rejection(fleet.submit('work', 1))).toMatchObject({ code: 'DROVER_FLEET_CLOSED' });
});

test('a submit that was on its way when the fleet closed is stored, or rejects', async () => {
  await using bed = new Testbed();
  const { work } = slowAgent(bed);
  bed.faults.delays = (command) => (command === 'submit' ? [500, 500] : [0, 0]);
  const fleet = await bed.start({ agents: { work } });
  const submitting = fleet.submit('work', 1, { id: 'x' });
  await bed.settle();
  const closing = fleet.close();
  const handle = await bed.drive(submitting);
  await bed.drive(closing);
  expect(await bed.rejection(handle.result())).toMatchObject({ code: 'DROVER_FLEET_CLOSED' });
  expect(bed.disk.tasks.get(['x'])).toMatchObject([{ status: 'queued' }]);
});

test('a store that does nothing more, a disk that is full say, is waited for once: the workers whose starts it owes do not wait as well', async () => {
  await using bed = new Testbed();
  const { work } = slowAgent(bed, { replicas: 4 });
  let isFull = false;
  bed.faults.fault = (command) => (isFull && ['start', 'settle', 'sweep'].includes(command) ? 'before' : undefined);
  const fleet = await bed.start({ agents: { work } });
  await bed.drive(Promise.all(Array.from({ length: 12 }, () => fleet.submit('work', 50))));
  await bed.advance(60);
  isFull = true;
  await bed.advance(200);
  const fromMs = bed.nowMs;
  await bed.close(fleet, { deadlineMs: 1_000 });
  // 5 s is what `deadlineMs` allows for a store that does not answer.
  expect(bed.nowMs - fromMs).toBeLessThan(6_100);
});

test('closing twice is closing once', async () => {
  await using bed = new Testbed();
  const { work } = slowAgent(bed);
  const fleet = await bed.start({ agents: { work } });
  const first = fleet.close();
  expect(fleet.close()).toBe(first);
  await bed.drive(first);
  await bed.drive(fleet.close({ deadlineMs: 0 }));
});

test('a fleet may be closed while its workers are still starting', async () => {
  await using bed = new Testbed();
  const { work } = slowAgent(bed, { replicas: 20 });
  const fleet = await bed.start({ agents: { work }, staggerMs: 1_000 });
  expect((await bed.drive(fleet.workers())).map(({ at }) => at)).toContain('starting');
  const fromMs = bed.nowMs;
  await bed.close(fleet);
  expect(bed.nowMs - fromMs).toBeLessThan(100);
});

test('a fleet may be closed by one of its own runs', async () => {
  await using bed = new Testbed();
  let closing: Promise<void> | undefined;
  const suicidal = agent({
    async run() {
      closing = fleet.close();
      return 'last words';
    },
  });
  const fleet = await bed.start({ agents: { suicidal } });
  const handle = await bed.drive(fleet.submit('suicidal', null));
  expect(await bed.drive(handle.result())).toBe('last words');
  await bed.drive(closing!);
});

test('`await using` closes the fleet in order', async () => {
  await using bed = new Testbed();
  const { work } = slowAgent(bed);
  let task: Promise<unknown> | undefined;
  const scope = (async () => {
    await using fleet = await bed.start({ agents: { work } });
    const handle = await fleet.submit('work', 500, { id: 'x' });
    task = handle.result();
    await bed.sleep(10);
  })();
  await bed.drive(scope);
  expect(await task).toBe(500);
  expect(bed.disk.owner).toBeUndefined();
  expect(bed.clock.pending).toBe(0);
});

test('workers stop in reverse order of their start, before the queue that feeds them, before the limiters', async () => {
  await using bed = new Testbed();
  const { work } = slowAgent(bed, { replicas: 2 });
  const note = agent({ run: async () => 1 });
  const fleet = await bed.start({ agents: { work, note } });
  const ended = bed.record(fleet, 'worker.ended');
  await bed.close(fleet);
  expect(ended.map(({ worker }) => worker)).toEqual([
    'test/agents/note/0',
    'test/agents/note',
    'test/agents/work/1',
    'test/agents/work/0',
    'test/agents/work',
    'test/agents',
    'test/work/note',
    'test/work/work',
    'test/work',
    'test/dependencies/slow',
    'test/dependencies',
  ]);
  for (const { reason } of ended) expect(reason).toEqual({ at: 'shutdown' });
});

describe('after closing nothing is left', () => {
  test.each([
    ['calls that never answer', { never: true }],
    ['calls in their retry', { error: new Error('no') }],
    [
      'calls that the provider refused',
      { error: Object.assign(new Error('slow down'), { status: 429, headers: { 'retry-after': '50' } }) },
    ],
  ] as const)('of %s', async (_name, answer) => {
    await using bed = new Testbed();
    const sick = bed.service({ limits: { concurrency: 2, requestsPerMinute: 6 } }, () => answer);
    const work = agent({
      uses: { sick: sick.dependency },
      replicas: 5,
      async run(_input: number, ctx) {
        return Promise.all([ctx.call('sick', 1), ctx.call('sick', 2), ctx.step('long', () => bed.sleep(100_000))]);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(Promise.all([1, 2, 3, 4, 5, 6].map((at) => fleet.submit('work', at))));
    await bed.advance(2_000);
    await bed.close(fleet, { deadlineMs: 500 });
    expect(bed.host.pending).toEqual({ messages: 0, timers: 0, asks: 0 });
    // Disposing the testbed looks at the rest.
  });
});
