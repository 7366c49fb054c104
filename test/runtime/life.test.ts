/** The life of a task: claimed, started, run, and committed; rejected, tried again, given up. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { agent, DroverError } from 'drover';
import type { Context } from 'drover';
import { Testbed } from './harness.ts';

test('a task is claimed under lease, started, run, and committed with its result', async () => {
  await using bed = new Testbed();
  const seen: Context['task'][] = [];
  const double = agent({
    async run(input: number, ctx) {
      seen.push(ctx.task);
      return input * 2;
    },
  });
  const fleet = await bed.start({ agents: { double } });
  const handle = await bed.drive(fleet.submit('double', 21, { id: 'answer' }));
  expect({ id: handle.id, kind: handle.kind }).toEqual({ id: 'answer', kind: 'double' });
  expect(await bed.drive(handle.result())).toBe(42);
  expect(seen).toEqual([{ id: 'answer', kind: 'double', attempt: 1, fence: 1, lockFence: 0 }]);
  expect(await fleet.task('answer')).toMatchObject({
    status: 'completed',
    result: 42,
    error: null,
    attempt: 1,
    losses: 0,
    fence: 1,
    depth: 0,
    parentId: null,
  });
  expect(await fleet.counts()).toMatchObject({ double: { completed: 1, queued: 0, leased: 0, running: 0 } });
  expect(fleet.stats).toMatchObject({ submitted: 1, started: 1, completed: 1, retried: 0, lost: 0 });
  await bed.settle();
  expect(fleet.load).toMatchObject({ running: 0, held: 0 });
});

test('what waits in a mailbox holds a lease and nothing else', async () => {
  await using bed = new Testbed();
  const slow = bed.service({ limits: { concurrency: 5 } }, () => ({ afterMs: 1_000 }));
  const work = agent({
    uses: { slow: slow.dependency },
    mailbox: { capacity: 3 },
    affinity: () => 'mail',
    run: (input: number, ctx) => ctx.call('slow', input),
  });
  const fleet = await bed.start({ agents: { work } });
  await bed.drive(
    fleet.submitMany(
      'work',
      Array.from({ length: 10 }, (_, input) => ({ input })),
    ),
  );
  await bed.advance(100);
  expect(slow.inFlight).toBe(1);
  expect(fleet.load).toMatchObject({ running: 1, held: 4 });
  expect(await fleet.counts()).toMatchObject({ work: { queued: 6, leased: 3, running: 1 } });
});

test('an agent without a schema gets what was submitted and gives what it returned, also nothing', async () => {
  await using bed = new Testbed();
  const echo = agent({ run: async (input: unknown) => input });
  const fleet = await bed.start({ agents: { echo } });
  for (const input of [undefined, null, 0, '', 'text', [1, [2]], { a: { b: null } }]) {
    expect(await bed.run(fleet, 'echo', input)).toEqual(input);
  }
});

test('tasks of higher priority are claimed first, equals in order of arrival', async () => {
  await using bed = new Testbed();
  const order: string[] = [];
  const slow = bed.service();
  const note = agent({
    uses: { slow: slow.dependency },
    mailbox: { capacity: 1 },
    async run(input: string, ctx) {
      order.push(input);
      await ctx.call('slow', input);
    },
  });
  const fleet = await bed.start({ agents: { note } });
  await bed.drive(fleet.submit('note', 'first'));
  await bed.drive(fleet.submit('note', 'waits in the mailbox'));
  await bed.advance(1);
  const later = [
    ['low', -5],
    ['a', 0],
    ['b', 0],
    ['high', 7],
  ] as const;
  const handles = await Promise.all(later.map(([input, priority]) => fleet.submit('note', input, { priority })));
  await bed.drive(Promise.all(handles.map((handle) => handle.result())));
  expect(order).toEqual(['first', 'waits in the mailbox', 'high', 'a', 'b', 'low']);
});

test('a run that rejects is tried again; what it ends with counts once', async () => {
  await using bed = new Testbed();
  const shaky = agent({
    async run(input: number, ctx) {
      if (ctx.task.attempt <= input) throw new Error(`not at ${ctx.task.attempt}`);
      return ctx.task.attempt;
    },
  });
  const fleet = await bed.start({ agents: { shaky } });
  const retrying = bed.record(fleet, 'task.retrying');
  expect(await bed.run(fleet, 'shaky', 2, { id: 'x' })).toBe(3);
  expect(retrying).toMatchObject([
    { id: 'x', kind: 'shaky', attempt: 1, error: { message: 'not at 1' } },
    { id: 'x', attempt: 2, error: { message: 'not at 2' } },
  ]);
  expect(fleet.stats).toMatchObject({ started: 3, retried: 2, completed: 1, dead: 0 });
  expect(await fleet.task('x')).toMatchObject({ status: 'completed', attempt: 3, losses: 0, fence: 3, error: null });
});

test('a run that throws before its first await is a rejected run', async () => {
  await using bed = new Testbed();
  const broken = agent({
    attempts: 1,
    run(): Promise<never> {
      throw new Error('at once');
    },
  });
  const fleet = await bed.start({ agents: { broken } });
  const handle = await bed.drive(fleet.submit('broken', 1));
  expect(await bed.rejection(handle.result())).toMatchObject({
    code: 'DROVER_TASK_FAILED',
    detail: { status: 'dead', error: { message: 'at once' } },
  });
});

test.each([
  ['undefined', undefined],
  ['a text', 'no error at all'],
  ['an object', { code: 7 }],
])('a run may reject with %s', async (_name, thrown) => {
  await using bed = new Testbed();
  const odd = agent({
    attempts: 2,
    async run() {
      throw thrown;
    },
  });
  const fleet = await bed.start({ agents: { odd } });
  const handle = await bed.drive(fleet.submit('odd', 1));
  expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'dead', error: { name: 'NonError' } } });
});

test('a task whose attempts are used up is dead, and keeps the error of its last run', async () => {
  await using bed = new Testbed();
  const hopeless = agent({
    attempts: 3,
    async run(_input: number, ctx) {
      throw Object.assign(new Error(`attempt ${ctx.task.attempt}`), { code: 'NO_HOPE' });
    },
  });
  const fleet = await bed.start({ agents: { hopeless } });
  const failed = bed.record(fleet, 'task.failed');
  const handle = await bed.drive(fleet.submit('hopeless', 1, { id: 'x' }));
  const error = await bed.rejection(handle.result());
  expect(error).toMatchObject({
    code: 'DROVER_TASK_FAILED',
    retryable: false,
    detail: { id: 'x', kind: 'hopeless', status: 'dead', error: { message: 'attempt 3', code: 'NO_HOPE' } },
  });
  expect(error.message).toContain('attempt 3');
  expect(failed).toMatchObject([{ id: 'x', status: 'dead', error: { message: 'attempt 3' } }]);
  expect((await fleet.task('x'))!.error).toMatchObject({ message: 'attempt 3', code: 'NO_HOPE' });
  expect(fleet.stats).toMatchObject({ started: 3, retried: 2, dead: 1, failed: 0 });
});

class Hopeless extends DroverError {
  readonly code = 'DROVER_HOPELESS';
  readonly retryable = false;
}

test('an error that says that it is not retryable fails the task at once', async () => {
  await using bed = new Testbed();
  const picky = agent({
    async run(own: boolean) {
      throw own ? new Hopeless('never') : Object.assign(new Error('never'), { retryable: false });
    },
  });
  const fleet = await bed.start({ agents: { picky } });
  for (const own of [true, false]) {
    const handle = await bed.drive(fleet.submit('picky', own));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed', error: { message: 'never' } } });
  }
  expect(fleet.stats).toMatchObject({ started: 2, retried: 0, failed: 2, dead: 0 });
});

test('a retry comes with full jitter: within a tenth of the doubling delay and the whole of it, up to the cap', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 5_000 }), async (seed, baseMs, capMs) => {
      await using bed = new Testbed(seed);
      const failing = agent({
        attempts: 6,
        backoff: { baseMs, capMs },
        async run() {
          throw new Error('again');
        },
      });
      const fleet = await bed.start({ agents: { failing } });
      const retrying = bed.record(fleet, 'task.retrying');
      const handle = await bed.drive(fleet.submit('failing', 1));
      await bed.rejection(handle.result());
      expect(retrying).toHaveLength(5);
      for (const { attempt, inMs } of retrying) {
        const ceilingMs = Math.min(capMs, baseMs * 2 ** (attempt - 1));
        expect(inMs).toBeGreaterThanOrEqual(ceilingMs * 0.1 - 0.001);
        expect(inMs).toBeLessThanOrEqual(ceilingMs);
      }
    }),
    { numRuns: 25 },
  );
});

test('the first retry is not at once', async () => {
  await using bed = new Testbed();
  const startedMs: number[] = [];
  const failing = agent({
    attempts: 2,
    async run() {
      startedMs.push(bed.nowMs);
      throw new Error('again');
    },
  });
  const fleet = await bed.start({ agents: { failing } });
  const handle = await bed.drive(fleet.submit('failing', 1));
  await bed.rejection(handle.result());
  expect(startedMs[1]! - startedMs[0]!).toBeGreaterThanOrEqual(50);
});

test('a retry is due when it says, not with the next regular sweep', async () => {
  await using bed = new Testbed();
  const startedMs: number[] = [];
  const failing = agent({
    attempts: 2,
    backoff: () => 37,
    async run() {
      startedMs.push(bed.nowMs);
      throw new Error('again');
    },
  });
  const fleet = await bed.start({ agents: { failing } });
  const handle = await bed.drive(fleet.submit('failing', 1));
  await bed.rejection(handle.result());
  expect(startedMs[1]! - startedMs[0]!).toBeCloseTo(37, 3);
});

test('a backoff function gets the attempts that failed, from 1', async () => {
  await using bed = new Testbed();
  const asked: number[] = [];
  const failing = agent({
    attempts: 4,
    backoff(attempt) {
      asked.push(attempt);
      return 0;
    },
    async run() {
      throw new Error('again');
    },
  });
  const fleet = await bed.start({ agents: { failing } });
  const handle = await bed.drive(fleet.submit('failing', 1));
  await bed.rejection(handle.result());
  expect(asked).toEqual([1, 2, 3]);
});

test.each([
  ['says no', () => -1],
  ['says never', () => Infinity],
  ['gives no number', () => NaN],
  ['gives a text', () => '5' as unknown as number],
  ['gives a promise', () => Promise.resolve(5) as unknown as number],
  [
    'throws',
    () => {
      throw new Error('no idea');
    },
  ],
])('a backoff function that %s fails the task with the error of its run', async (_name, backoff) => {
  await using bed = new Testbed();
  const failing = agent({
    backoff,
    async run() {
      throw new Error('the run');
    },
  });
  const fleet = await bed.start({ agents: { failing } });
  const handle = await bed.drive(fleet.submit('failing', 1));
  expect(await bed.rejection(handle.result(), 10_000)).toMatchObject({ detail: { status: 'failed', error: { message: 'the run' } } });
  expect(fleet.stats.started).toBe(1);
});

test('a result that JSON cannot hold, or that is too large, fails the task; one that its schema refuses is tried again', async () => {
  await using bed = new Testbed();
  const { z } = await import('zod');
  const results = agent({
    output: z.union([z.string(), z.bigint()]),
    attempts: 2,
    backoff: () => 1,
    async run(which: 'bigint' | 'large' | 'wrong'): Promise<string> {
      if (which === 'bigint') return 5n as unknown as string;
      if (which === 'large') return 'x'.repeat(2_000);
      return 5 as unknown as string;
    },
  });
  const fleet = await bed.start({ agents: { results }, bounds: { payloadBytes: 1_000 } });
  const outcome = async (which: 'bigint' | 'large' | 'wrong') => {
    const handle = await bed.drive(fleet.submit('results', which));
    return (await bed.rejection(handle.result())).detail;
  };
  expect(await outcome('bigint')).toMatchObject({ status: 'failed', error: { code: 'DROVER_PAYLOAD_NOT_JSON' } });
  expect(await outcome('large')).toMatchObject({ status: 'failed', error: { code: 'DROVER_PAYLOAD_TOO_LARGE' } });
  expect(await outcome('wrong')).toMatchObject({ status: 'dead', error: { code: 'DROVER_PAYLOAD_INVALID' } });
});

test('schemas on both sides make what the run gets and what the submitter gets', async () => {
  await using bed = new Testbed();
  const { z } = await import('zod');
  const parsing = agent({
    input: z.object({ text: z.string().trim(), times: z.number().default(2) }),
    output: z.string().transform((text) => ({ text, length: text.length })),
    run: async ({ text, times }) => text.repeat(times),
  });
  const fleet = await bed.start({ agents: { parsing } });
  expect(await bed.run(fleet, 'parsing', { text: ' ab ' })).toEqual({ text: 'abab', length: 4 });
});

test('no run can change the input of another one', async () => {
  await using bed = new Testbed();
  const mutating = agent({
    backoff: () => 1,
    async run(input: { seen: number }, ctx) {
      input.seen += 1;
      if (ctx.task.attempt < 3) throw new Error('again');
      return input.seen;
    },
  });
  const fleet = await bed.start({ agents: { mutating } });
  const input = { seen: 0 };
  expect(await bed.run(fleet, 'mutating', input)).toBe(1);
  expect(input).toEqual({ seen: 0 });
});
