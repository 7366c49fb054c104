import { expect, test } from 'vitest';
import { childPolicy } from '../../actors/kernel/child-spec.ts';
import { countingIds, risingIds } from '../../actors/kernel/ids.ts';

test('rising ids are safe in a URL, different, and each is greater than the one before', () => {
  const ids = Array.from({ length: 10_000 }, risingIds());
  expect(new Set(ids).size).toBe(10_000);
  expect(ids.toSorted()).toEqual(ids);
  for (const id of ids) expect(id).toMatch(/^[\w-]{29}$/);
});

test('two processes give different ids', () => {
  expect(risingIds()()).not.toBe(risingIds()());
});

test('counting ids repeat in a replay, and each source counts for itself', () => {
  const one = countingIds('task');
  const other = countingIds('task');
  expect([one(), one(), one()]).toEqual(['task-1', 'task-2', 'task-3']);
  expect(other()).toBe('task-1');
});

test('a child spec has the defaults of OTP', () => {
  expect(childPolicy({ id: 'a' })).toEqual({
    id: 'a',
    restart: 'permanent',
    shutdownMs: 5_000,
    type: 'worker',
    significant: false,
    ready: 'spawned',
    startMs: 30_000,
    onFailure: [],
  });
  expect(childPolicy({ id: 'a', restart: 'temporary', shutdownMs: 0 })).toMatchObject({ restart: 'temporary', shutdownMs: 0 });
});
