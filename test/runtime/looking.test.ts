/** Looking at tasks from outside: what cannot be meant is refused, in every store with the same words. */
import { expect, test } from 'vitest';
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

test.each([
  [null, 'query', 'expected an object with kind, status, after, limit, got null'],
  [{ status: 'daed', limit: 100 }, 'status', 'expected one of queued, leased, running'],
  [{ kind: 5 }, 'kind', 'got 5'],
  [{ limit: 1_001 }, 'limit', 'expected a whole number from 1 to 1000, got 1001'],
  [{ limit: -1 }, 'limit', 'got -1'],
  [{ limit: 1.5 }, 'limit', 'got 1.5'],
  [{ limit: '5' }, 'limit', 'got "5"'],
  [{ after: 5 }, 'after', 'got 5'],
  [{ after: 'nobody' }, 'after', 'expected the id of a task in the store, got "nobody"'],
  [{ order: 'x' }, 'query.order', 'no such field; there are kind, status, after, limit'],
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
