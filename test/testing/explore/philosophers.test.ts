import { expect, test } from 'vitest';
import { anyOrder } from '../../../examples/philosophers/any-order.ts';
import { STRATEGIES } from '../../../examples/philosophers/strategies.ts';
import { mealsIn, tableSpace } from '../../../examples/philosophers/table.ts';
import { checkSkeleton } from '../../../src/testing/explore/check.ts';
import { explore } from '../../../src/testing/explore/explore.ts';

test.for([3, 5, 10, 50])('%i greedy philosophers who decide at once are deadlocked after one round', (seats) => {
  for (const mode of ['simultaneous', 'sequential'] as const) {
    const { dead, states } = explore(tableSpace(seats, STRATEGIES.greedy, mode));
    expect({ rounds: dead?.trace.length, states }).toEqual({ rounds: 1, states: 2 });
  }
});

test.for([3, 5, 10, 50])('%i careful philosophers all see both forks free, and are deadlocked after one round', (seats) => {
  expect(explore(tableSpace(seats, STRATEGIES.careful, 'simultaneous')).dead?.trace).toHaveLength(1);
});

test.for([3, 5, 10, 50])('%i polite philosophers take and give back for ever: a livelock of two rounds', (seats) => {
  const { dead, livelock } = explore(tableSpace(seats, STRATEGIES.polite, 'simultaneous'));
  expect(dead).toBeUndefined();
  expect(livelock).toMatchObject({ trace: [], cycle: [{ state: 1 }, { state: 0 }], states: 2 });
});

test.for([3, 5, 10, 50])('%i ordered philosophers who decide at once starve the last one', (seats) => {
  const { dead, livelock, starvation } = explore(tableSpace(seats, STRATEGIES.ordered, 'simultaneous'));
  expect([dead, livelock]).toEqual([undefined, undefined]);
  expect(starvation.map(({ actor }) => actor)).toEqual([`philosopher ${seats - 1}`]);
});

test('five ordered philosophers have 22 meals in 30 rounds, and one has none', () => {
  expect(mealsIn(30, 5, STRATEGIES.ordered, 'simultaneous')).toEqual([5, 5, 6, 6, 0]);
});

test.for([3, 5, 10])('%i ordered philosophers in turn all eat', (seats) => {
  const { dead, livelock, starvation, end } = explore(tableSpace(seats, STRATEGIES.ordered, 'sequential'));
  expect({ dead, livelock, starvation, end }).toEqual({ dead: undefined, livelock: undefined, starvation: [], end: 'finished' });
});

test('in any order, greedy and careful philosophers deadlock by a shortest trace', () => {
  expect(checkSkeleton(anyOrder(5, 'greedy'))).toMatchObject({
    at: 'violated',
    kind: 'deadlock',
    trace: [0, 1, 2, 3, 4].map((seat) => `philosopher ${seat} takes fork ${seat}`),
    noReturnAfter: 5,
  });
  const careful = checkSkeleton(anyOrder(5, 'careful'));
  expect(careful).toMatchObject({ at: 'violated', kind: 'deadlock' });
  expect(careful.at === 'violated' && careful.trace).toHaveLength(10);
});

test('in any order, polite philosophers need chance, and ordered ones are free by ranks', () => {
  expect(checkSkeleton(anyOrder(5, 'polite')).at).toBe('proved');
  expect(checkSkeleton(anyOrder(5, 'polite'), { fairness: 'weak', starvation: 'none', shrink: false })).toMatchObject({ kind: 'livelock' });
  expect(checkSkeleton(anyOrder(5, 'ordered'))).toMatchObject({ at: 'proved', ranked: { at: 'free' } });
});
