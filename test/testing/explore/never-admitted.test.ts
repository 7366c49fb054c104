import { expect, test } from 'vitest';
import { acquire, attempt, checkSkeleton, go, release } from '../../../src/testing/explore/index.ts';
import type { ProcessClass, Skeleton } from '../../../src/testing/explore/index.ts';

const skeleton = (processes: readonly ProcessClass[], rest: Partial<Skeleton> = {}): Skeleton => ({ name: 'small', processes, ...rest });

test('D7: a request for more than there is is found where whoever makes it would rest', () => {
  const client = (count: number): Skeleton =>
    skeleton(
      [
        {
          name: 'client',
          start: 'idle',
          states: { idle: [acquire({ token: count }, 'calls', { progress: true })], calls: [release('all', 'idle')] },
        },
      ],
      {
        resources: { token: 2 },
      },
    );
  expect(checkSkeleton(client(3))).toMatchObject({
    at: 'violated',
    kind: 'starvation',
    victim: 'client',
    trace: [],
    waits: ['client (idle) waits for 3 of token, of which there are 2'],
  });
  expect(checkSkeleton(client(2)).at).toBe('proved');
});

test('D7: a choice that is never admitted is found beside one that is, with the way there', () => {
  const verdict = checkSkeleton(
    skeleton(
      [
        {
          name: 'client',
          start: 'idle',
          states: {
            idle: [go('chooses')],
            chooses: [acquire('token', 'calls'), attempt({ token: 9 }, 'calls', 'idle')],
            calls: [release('all', 'idle')],
          },
        },
      ],
      { resources: { token: 2 } },
    ),
  );
  expect(verdict).toMatchObject({ kind: 'starvation', victim: 'client', trace: ['client goes on to chooses'] });
});

test('D7: more than is left beside what the process holds itself is never admitted', () => {
  const greedy = (holds: number): Skeleton =>
    skeleton(
      [
        {
          name: 'client',
          start: 'idle',
          states: {
            idle: [acquire({ token: holds }, 'has some')],
            'has some': [acquire('token', 'calls'), release('all', 'idle')],
            calls: [release('all', 'idle')],
          },
        },
      ],
      { resources: { token: 2 } },
    );
  expect(checkSkeleton(greedy(2))).toMatchObject({ kind: 'starvation', trace: ['client takes 2 of token'] });
  expect(checkSkeleton(greedy(1)).at).toBe('proved');
});

test('D7: what is never come to is not held against anybody', () => {
  const verdict = checkSkeleton(
    skeleton(
      [
        {
          name: 'client',
          start: 'idle',
          states: { idle: [acquire('token', 'calls')], calls: [release('all', 'idle')], never: [acquire({ token: 9 }, 'never')] },
        },
      ],
      { resources: { token: 2 } },
    ),
  );
  expect(verdict.at).toBe('proved');
});
