import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyOrder } from '../../../examples/philosophers/any-order.ts';
import { compile } from '../../../src/testing/explore/compile.ts';
import { canReach } from '../../../src/testing/explore/components.ts';
import { livenessOf } from '../../../src/testing/explore/liveness.ts';
import { netSpace } from '../../../src/testing/explore/net.ts';
import { search } from '../../../src/testing/explore/search.ts';
import { acquire, attempt, end, go, look, receive, release, send } from '../../../src/testing/explore/skeleton.ts';
import type { ProcessClass, Skeleton, SkeletonMove } from '../../../src/testing/explore/skeleton.ts';

const liveOf = (states: ProcessClass['states'], rest: Partial<Skeleton & { readonly rests: readonly string[] }> = {}) =>
  livenessOf(
    compile({
      name: 'small',
      resources: { a: 1, b: 2 },
      ...rest,
      processes: [{ name: 'worker', count: 2, start: 'idle', rests: rest.rests ?? ['idle'], states }],
    }),
  );

test.for([3, 5, 50])(
  '%i ordered philosophers are live by ranks, polite ones by never waiting, greedy and careful ones are not',
  (seats) => {
    expect(livenessOf(compile(anyOrder(seats, 'ordered')))).toEqual({ at: 'live', by: 'ranks' });
    expect(livenessOf(compile(anyOrder(seats, 'polite')))).toEqual({ at: 'live', by: 'never-waiting' });
    expect(livenessOf(compile(anyOrder(seats, 'greedy'))).at).toBe('does-not-apply');
    expect(livenessOf(compile(anyOrder(seats, 'careful'))).at).toBe('does-not-apply');
  },
);

const works = { progress: true } as const;

test.for([
  [
    'another place to rest',
    { idle: [acquire('a', 'works', works)], works: [release('all', 'done')], done: [] },
    { rests: ['idle', 'done'] },
    'worker has 2 places to rest',
  ],
  ['an end', { idle: [go('works', works)], works: [end(), go('idle')] }, {}, '"a worker ends" moves more or less than one process'],
  [
    'a budget',
    { idle: [go('works', { ...works, spends: 'tries' })], works: [go('idle')] },
    { budgets: { tries: 3 } },
    '"a worker goes on to works" draws on tries',
  ],
  [
    'a mailbox',
    { idle: [send('mail', 'works', works)], works: [receive('mail', 'idle')] },
    { mailboxes: { mail: 1 } },
    'room in mail is of a mailbox',
  ],
  ['an actor that achieves nothing', { idle: [go('works')], works: [go('idle')] }, {}, 'worker achieves nothing at the start by itself'],
  [
    'a look that may lead to a wait',
    {
      idle: [acquire('a', 'has one', works)],
      'has one': [look('b', 'done', 'lost')],
      done: [release('all', 'idle')],
      lost: [acquire('b', 'done')],
    },
    {},
    'worker (has one, holds a) may have to wait, and not by ranks',
  ],
] as const)('with %s the argument does not apply', ([, states, rest, why]) => {
  expect(liveOf(states, rest)).toEqual({ at: 'does-not-apply', why });
});

const links = fc.array(
  fc.record({
    does: fc.constantFrom('acquire', 'attempt', 'look', 'release', 'go'),
    on: fc.constantFrom('a', 'b', 'c'),
    back: fc.boolean(),
  }),
  { minLength: 1, maxLength: 4 },
);

/** Goes through its links and back to rest; an attempt in vain leads back at once, or where it came from. */
function classOf(name: string, count: number, chain: typeof links extends fc.Arbitrary<infer L> ? L : never): ProcessClass {
  const states: Record<string, readonly SkeletonMove[]> = { away: [release('all', 's0')] };
  for (const [at, { does, on, back }] of chain.entries()) {
    const to = `s${at + 1}`;
    const otherwise = back ? 'away' : `s${at}`;
    if (does === 'acquire') states[`s${at}`] = [acquire(on, to)];
    else if (does === 'attempt') states[`s${at}`] = [attempt(on, to, otherwise)];
    else if (does === 'look') states[`s${at}`] = [look(on, to, otherwise)];
    else states[`s${at}`] = [does === 'go' ? go(to) : release('all', to)];
  }
  return { name, count, start: 's0', rests: ['s0'], states: { ...states, [`s${chain.length}`]: [go('away', { progress: true })] } };
}

test('what is live comes back to its start from everywhere, and everybody gets somewhere from there', () => {
  const seen = { ranks: 0, 'never-waiting': 0, 'does-not-apply': 0 };
  fc.assert(
    fc.property(links, links, fc.constantFrom(1, 2), (one, other, count) => {
      const net = compile({
        name: 'random',
        resources: { a: 1, b: 1, c: 2 },
        processes: [classOf('one', count, one), classOf('other', 1, other)],
      });
      const live = livenessOf(net);
      seen[live.at === 'live' ? live.by : live.at] += 1;
      if (live.at !== 'live') return;
      const graph = search(netSpace(net, { releaseFirst: false }));
      expect(
        canReach(
          graph,
          (state) => state === 0,
          () => true,
        ).every((can) => can === 1),
      ).toBe(true);
      const achieved = new Set([...graph.edgeMove].flatMap((move) => graph.space.moves[move]!.achieves));
      expect(achieved.size).toBe(2);
    }),
    { numRuns: 400, seed: 1 },
  );
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(20);
});
