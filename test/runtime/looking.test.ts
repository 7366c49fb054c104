/** Looking at tasks from outside: what cannot be meant is refused, in every store with the same words. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { agent } from 'drover';
import { Testbed } from './harness.ts';

const echo = agent({ run: async (input: unknown) => input });

test('tasks are given a hundred at a time, unless a limit says so', async () => {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { echo } });
  const notBefore = bed.nowMs + 60_000;
  await bed.drive(
    fleet.submitMany(
      'echo',
      Array.from({ length: 130 }, (_, input) => ({ input, id: `t${input}`, notBefore })),
    ),
  );
  expect(await bed.drive(fleet.tasks())).toHaveLength(100);
  expect(await bed.drive(fleet.tasks({ limit: 1_000 }))).toHaveLength(130);
  expect((await bed.drive(fleet.tasks({ after: 't127' }))).map(({ id }) => id)).toEqual(['t128', 't129']);
  expect(await bed.drive(fleet.tasks({ kind: 'echo', status: 'completed' }))).toEqual([]);
});

test('a task is shown with what its texts say, whether it is paused, and whether it is being undone or has been', async () => {
  await using bed = new Testbed();
  let isUndoing = false;
  const order = agent({
    events: { paid: z.number() },
    async run({ item }: { item: string }, ctx) {
      await ctx.compensate('give back', () => {
        isUndoing = true;
        return bed.sleep(1_000);
      });
      const cents = await ctx.waitFor('paid');
      if (cents < 0) throw Object.assign(new Error('no such price'), { code: 'PRICE', retryable: false });
      return { item, cents };
    },
  });
  const fleet = await bed.start({ agents: { order } });
  const look = async (id: string) => bed.drive(fleet.task(id));
  for (const id of ['good', 'bad']) await bed.drive(fleet.submit('order', { item: 'tea' }, { id }));
  await bed.advance(1_000);
  expect(await look('good')).toMatchObject({
    input: { item: 'tea' },
    result: undefined,
    error: null,
    status: 'parked',
    parkedFor: 'event',
  });
  expect(await look('good')).toMatchObject({ paused: false, undoing: false, undone: false });

  await bed.drive(fleet.pause('good'));
  expect(await look('good')).toMatchObject({ status: 'parked', parkedFor: 'operator', paused: true });
  expect((await bed.drive(fleet.tasks({ parkedFor: 'operator' }))).map(({ id }) => id)).toEqual(['good']);
  expect((await bed.drive(fleet.tasks({ parkedFor: 'event' }))).map(({ id }) => id)).toEqual(['bad']);
  await bed.drive(fleet.unpause('good'));
  await bed.drive(fleet.signal('good', 'paid', 500));
  await bed.until(() => fleet.stats.completed === 1);
  expect(await look('good')).toMatchObject({ status: 'completed', result: { item: 'tea', cents: 500 }, parkedFor: null, paused: false });

  await bed.drive(fleet.signal('bad', 'paid', -1));
  await bed.until(() => isUndoing);
  expect(await look('bad')).toMatchObject({ undoing: true, undone: false });
  await bed.advance(2_000);
  expect(await look('bad')).toMatchObject({
    status: 'failed',
    error: { code: 'PRICE', message: 'no such price' },
    undoing: false,
    undone: true,
  });
});

test.each([
  [null, 'query', 'expected an object with kind, status, parkedFor, after, limit, got null'],
  [{ status: 'daed', limit: 100 }, 'status', 'expected one of queued, leased, running'],
  [{ parkedFor: 'paused' }, 'parkedFor', 'expected one of time, order, locks'],
  [{ kind: 5 }, 'kind', 'got 5'],
  [{ limit: 1_001 }, 'limit', 'expected a whole number from 1 to 1000, got 1001'],
  [{ limit: -1 }, 'limit', 'got -1'],
  [{ limit: 1.5 }, 'limit', 'got 1.5'],
  [{ limit: '5' }, 'limit', 'got "5"'],
  [{ after: 5 }, 'after', 'got 5'],
  [
    { after: 'nobody' },
    'after',
    'expected the id of a task in the store (where its retention is over, begin with the first page), got "nobody"',
  ],
  [{ order: 'x' }, 'query.order', 'no such field; there are kind, status, parkedFor, after, limit'],
])('fleet.tasks(%j) is refused', async (query, argument, said) => {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { echo } });
  const error = await bed.rejection(fleet.tasks(query as never));
  expect(error).toMatchObject({ code: 'DROVER_OPERATOR_INPUT', detail: { argument } });
  expect(error.message).toContain(said);
});

test('an id that is none is refused by all that look at tasks or steer them', async () => {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { echo } });
  for (const id of [5, '', undefined, 'x'.repeat(513)] as string[]) {
    for (const asked of ['task', 'story', 'cancel', 'requeue'] as const) {
      expect(await bed.rejection(fleet[asked](id))).toMatchObject({ code: 'DROVER_OPERATOR_INPUT', detail: { argument: 'id' } });
    }
    expect(await bed.rejection(fleet.signal(id, 'go'))).toMatchObject({ code: 'DROVER_OPERATOR_INPUT', detail: { argument: 'id' } });
  }
});

test('an option that there is not is refused by all that an operator can say', async () => {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { echo } });
  const wrong = { By: 'ann', deadLineMs: 5 } as never;
  const said = [
    ...(['cancel', 'pause', 'unpause', 'requeue'] as const).map((order) => () => fleet[order]('t1', wrong)),
    ...(['approve', 'reject'] as const).map((word) => () => fleet[word]('t1', 'spend', wrong)),
    () => fleet.signal('t1', 'go', 1, wrong),
    () => fleet.approvals(wrong),
    () => fleet.drainKind('echo', wrong),
  ];
  for (const one of said)
    expect(await bed.rejection(one())).toMatchObject({ code: 'DROVER_OPERATOR_INPUT', detail: { argument: 'options.By' } });
  expect(await bed.rejection(fleet.drainKind('echo', null as never))).toMatchObject({ detail: { argument: 'options' } });
});
