import { expect, test } from 'vitest';
import { Effects } from './effects.ts';
import type { Effect } from './effects.ts';

/** A key that does not fail at first. */
const KEY = 'a/step:x';
const effect = (given: Partial<Effect> = {}): Effect => ({
  key: KEY,
  task: 'a',
  fence: 2,
  payload: '1',
  pid: 1,
  runAtMs: 0,
  begunAtMs: 0,
  ...given,
});

test('an effect is accepted once, and known afterwards', () => {
  const effects = new Effects();
  expect([effects.receive(effect()), effects.receive(effect({ fence: 3 }))]).toEqual(['accepted', 'known']);
});

test('a known key with another payload differs', () => {
  const effects = new Effects();
  effects.receive(effect());
  expect(effects.receive(effect({ payload: '2' }))).toBe('differs');
});

test('whoever comes with an older fence than was seen is refused, even with a known effect', () => {
  const effects = new Effects();
  effects.receive(effect());
  expect(effects.receive(effect({ fence: 1 }))).toBe('stale-fence');
});

test('whoever comes with an older token of a lock than was seen is refused, whatever its task', () => {
  const effects = new Effects();
  effects.receive(effect({ lock: { resource: 'r', fence: 5 } }));
  expect(effects.receive(effect({ key: 'b/step:x', task: 'b', lock: { resource: 'r', fence: 4 } }))).toBe('stale-lock');
});

test('some effects fail when they are made first, and succeed then', () => {
  const effects = new Effects();
  const verdicts = Array.from({ length: 200 }, (_, at) => effect({ key: `k${at}` })).map((each) => [
    effects.receive(each),
    effects.receive(each),
  ]);
  const failed = verdicts.filter(([first]) => first === 'failed');
  expect(failed.length).toBeGreaterThan(5);
  expect(failed.every(([, second]) => second === 'accepted')).toBe(true);
});
