import { expect, test } from 'vitest';
import { agent } from 'drover';
import { Testbed } from './harness.ts';

const work = agent({ run: async () => null });

test('a row is written from outside where its version is the one that was seen', async () => {
  await using bed = new Testbed();
  const { state } = await bed.start({ agents: { work } });
  expect(await bed.drive(state.get('limits'))).toBeUndefined();
  const version = await bed.drive(state.set('limits', { a: 1 }, null));
  expect(await bed.drive(state.get('limits'))).toEqual({ value: { a: 1 }, version });
  const next = await bed.drive(state.set('limits', { a: 2 }, version));
  expect(next).toBeGreaterThan(version);
  expect(await bed.rejection(state.set('limits', { a: 3 }, version))).toMatchObject({
    code: 'DROVER_ROW_CONFLICT',
    retryable: true,
    detail: { key: 'limits', expected: version, found: next },
  });
  expect(await bed.rejection(state.set('limits', 1, null))).toMatchObject({ detail: { expected: null, found: next } });
  await bed.drive(state.delete('limits', next));
  expect(await bed.drive(state.get('limits'))).toBeUndefined();
  expect(await bed.drive(state.set('limits', 0, null))).toBeGreaterThan(next);
});

test('rows are listed by prefix, page by page', async () => {
  await using bed = new Testbed();
  const { state } = await bed.start({ agents: { work } });
  for (const key of ['b:1', 'a:1', 'a:3', 'a:2']) await bed.drive(state.set(key, key, null));
  const page = await bed.drive(state.list({ prefix: 'a:', limit: 2 }));
  expect(page.map(({ key, value }) => [key, value])).toEqual([
    ['a:1', 'a:1'],
    ['a:2', 'a:2'],
  ]);
  expect((await bed.drive(state.list({ prefix: 'a:', after: 'a:2' }))).map(({ key }) => key)).toEqual(['a:3']);
  expect(await bed.drive(state.list())).toHaveLength(4);
});

test('what is no key, no version or no value is refused before anything is stored', async () => {
  await using bed = new Testbed();
  const { state } = await bed.start({ agents: { work }, bounds: { payloadBytes: 100 } });
  const wrong = { code: 'DROVER_OPERATOR_INPUT' };
  expect(await bed.rejection(state.set('', 1, null))).toMatchObject(wrong);
  expect(await bed.rejection(state.set('x'.repeat(513), 1, null))).toMatchObject(wrong);
  expect(await bed.rejection(state.set('x', undefined, null))).toMatchObject(wrong);
  expect(await bed.rejection(state.set('x', 1, 1.5))).toMatchObject(wrong);
  expect(await bed.rejection(state.delete('x', null as never))).toMatchObject(wrong);
  expect(await bed.rejection(state.list({ limit: 1_001 }))).toMatchObject(wrong);
  expect(await bed.rejection(state.set('x', 'y'.repeat(101), null))).toMatchObject({ code: 'DROVER_PAYLOAD_TOO_LARGE' });
  expect(await bed.rejection(state.set('x', 1n, null))).toMatchObject({ code: 'DROVER_PAYLOAD_NOT_JSON' });
  expect(await bed.drive(state.list())).toEqual([]);
});
