import { expect, test } from 'vitest';
import { planEndings } from './plan.ts';

test.each([
  { kills: 200, stops: 20 },
  { kills: 6, stops: 1 },
  { kills: 3, stops: 7 },
  { kills: 5, stops: 0 },
])('$kills kills and $stops stops are planned', ({ kills, stops }) => {
  const endings = planEndings({ kills, stops, seed: 1 });
  expect(endings.filter(({ at }) => at === 'stop')).toHaveLength(stops);
  expect(endings.filter(({ at }) => at !== 'stop')).toHaveLength(kills);
});

test('every kind of ending comes up, and half of the stopped processes go on', () => {
  const endings = planEndings({ kills: 200, stops: 20, seed: 1 });
  const kinds = new Set(endings.map((ending) => (ending.at === 'stop' ? 'stop' : ending.at === 'commit' ? ending.where : ending.from)));
  expect([...kinds].toSorted()).toEqual(['after', 'before', 'go', 'open', 'stop']);
  expect(endings.filter((ending) => ending.at === 'stop' && ending.liveMs !== undefined)).toHaveLength(10);
});

test('the same seed plans the same', () => {
  const plan = (seed: number) => planEndings({ kills: 20, stops: 2, seed });
  expect(plan(1)).toEqual(plan(1));
  expect(plan(1)).not.toEqual(plan(2));
});
