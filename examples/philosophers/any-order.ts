/** The same strategies with nobody to say whose turn it is: every order of single moves is searched. */
import { acquire, attempt, look, release } from './kit.ts';
import type { ProcessClass, Skeleton } from './kit.ts';
import type { StrategyName } from './strategies.ts';

/** The strategies as skeletons: philosophers who think for as long as they like, and take forks one by one. */
export function anyOrder(seats: number, strategy: StrategyName): Skeleton {
  return {
    name: `${seats} ${strategy} philosophers`,
    resources: Object.fromEntries(Array.from({ length: seats }, (_, fork) => [`fork ${fork}`, 1])),
    processes: Array.from({ length: seats }, (_, seat): ProcessClass => {
      const left = `fork ${seat}`;
      const right = `fork ${(seat + 1) % seats}`;
      return { name: `philosopher ${seat}`, start: 'thinking', states: statesOf(strategy, left, right, seat + 1 === seats) };
    }),
  };
}

function statesOf(strategy: StrategyName, left: string, right: string, isLast: boolean): ProcessClass['states'] {
  const meal = { progress: true, says: 'takes the other fork and eats' } as const;
  const eating = [release('all', 'thinking')];
  switch (strategy) {
    case 'greedy':
      return { thinking: [acquire(left, 'has one')], 'has one': [acquire(right, 'eating', meal)], eating };
    case 'careful':
      return {
        thinking: [look([left, right], 'has looked', 'thinking')],
        'has looked': [acquire(left, 'has one')],
        'has one': [acquire(right, 'eating', meal)],
        eating,
      };
    case 'polite':
      return {
        thinking: [acquire(left, 'has one')],
        'has one': [attempt(right, 'eating', 'gives way', meal)],
        'gives way': [release('all', 'thinking')],
        eating,
      };
    case 'ordered': {
      const [first, second] = isLast ? [right, left] : [left, right];
      return { thinking: [acquire(first, 'has one')], 'has one': [acquire(second, 'eating', meal)], eating };
    }
  }
}
