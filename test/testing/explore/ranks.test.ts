import fc from 'fast-check';
import { expect, test } from 'vitest';
import { agent, contract, defineFleet, dependency } from '../../../src/index.ts';
import type { Topology } from '../../../src/topology/fleet.ts';
import { compile } from '../../../src/testing/explore/compile.ts';
import { explore } from '../../../src/testing/explore/explore.ts';
import { netSpace } from '../../../src/testing/explore/net.ts';
import { ranksOf } from '../../../src/testing/explore/ranks.ts';
import { acquire, end, go, look, send, spawn } from '../../../src/testing/explore/skeleton.ts';
import type { ProcessClass, Skeleton } from '../../../src/testing/explore/skeleton.ts';
import { skeletonOf } from '../../../src/testing/explore/topology.ts';
import { skeletons } from './skeletons.ts';

const KINDS = ['a', 'b', 'c'] as const;

/** Up to three kinds that ask each other in any way, some with one dependency. */
const topologies: fc.Arbitrary<Topology> = fc
  .record({
    asks: fc.array(fc.uniqueArray(fc.constantFrom(...KINDS), { maxLength: 2 }), { minLength: 3, maxLength: 3 }),
    replicas: fc.array(fc.constantFrom(1, 2), { minLength: 3, maxLength: 3 }),
    calls: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
    kinds: fc.constantFrom(1, 2, 3),
  })
  .map(({ asks, replicas, calls, kinds }) => {
    const model = dependency({ perform: async (request: string) => request, limits: { concurrency: 1 } });
    const names = KINDS.slice(0, kinds);
    const agents = names.map((name, at) => [
      name,
      agent({
        asks: Object.fromEntries(asks[at]!.filter((asked) => names.includes(asked)).map((asked) => [asked, contract()])),
        uses: calls[at]! ? { model } : {},
        replicas: replicas[at]!,
        run: async () => null,
      }),
    ]);
    return defineFleet({ name: 'random', agents: Object.fromEntries(agents) });
  });

const MOST_STATES = 20_000;

function goesWrong(skeleton: Skeleton): boolean {
  const { dead, doomed } = explore(netSpace(compile(skeleton)), { maxStates: MOST_STATES, starvation: 'none' });
  return dead !== undefined || doomed !== undefined;
}

test('whenever the ranks of a topology say free, the search finds nothing', () => {
  const seen = { free: 0, circular: 0, wrong: 0 };
  fc.assert(
    fc.property(topologies, fc.boolean(), fc.nat(1), (topology, parking, faults) => {
      const sizes = { tasks: 2, depth: 2, operations: 1, asks: 1, rejections: faults, faults };
      const { skeleton } = skeletonOf(topology, { ...sizes, without: parking ? [] : ['parking'] });
      const ranked = ranksOf(compile(skeleton));
      const wrong = goesWrong(skeleton);
      expect(ranked.at).not.toBe('does-not-apply');
      if (parking) expect(ranked.at).toBe('free');
      if (ranked.at === 'free') expect(wrong).toBe(false);
      seen[ranked.at as 'free' | 'circular'] += 1;
      if (wrong) seen.wrong += 1;
    }),
    { numRuns: 60, seed: 5 },
  );
  // Most circles are found to be real: the search and the ranks are about the same thing.
  expect(seen.free).toBeGreaterThan(20);
  expect(seen.circular).toBeGreaterThan(5);
  expect(seen.wrong).toBeGreaterThan(0);
});

test('whenever the ranks of a skeleton say free, the search finds nothing', () => {
  const seen = { free: 0, circular: 0, wrong: 0 };
  fc.assert(
    fc.property(skeletons, (skeleton) => {
      const ranked = ranksOf(compile(skeleton));
      const wrong = goesWrong(skeleton);
      if (ranked.at === 'free') expect(wrong).toBe(false);
      if (ranked.at !== 'does-not-apply') seen[ranked.at] += 1;
      if (wrong) seen.wrong += 1;
    }),
    { numRuns: 400, seed: 7 },
  );
  expect(seen.free).toBeGreaterThan(30);
  expect(seen.circular).toBeGreaterThan(10);
  expect(seen.wrong).toBeGreaterThan(30);
});

const ranksOfOne = (states: ProcessClass['states']) =>
  ranksOf(
    compile({
      name: 'small',
      resources: { r: 1 },
      mailboxes: { mail: 1 },
      budgets: { tries: 1 },
      processes: [
        { name: 'one', start: 'idle', rests: ['idle'], states },
        { name: 'child', count: 0, start: 'idle', rests: [], states: { idle: [end()] } },
      ],
    }),
  );

test.for([
  ['a request for more than there is', { idle: [acquire({ r: 2 }, 'idle')] }, 'needs more of r than there is'],
  ['a rest while holding something', { idle: [acquire('r', 'idle')] }, 'rests while holding something'],
  ['a rest with an open child', { idle: [spawn('child', 'idle')] }, 'rests while somebody waits for it, or it for a child'],
  ['a message without an answer', { idle: [send('mail', 'idle')] }, 'puts a message somewhere without waiting for an answer'],
  ['a move that depends on what is there', { idle: [look('r', 'idle', 'idle')] }, 'depends on what is there without taking it'],
  ['no way to rest', { idle: [go('works')], works: [go('works')] }, 'has no way to come to rest'],
  [
    'a way to rest that draws on a budget',
    { idle: [go('works')], works: [go('idle', { spends: 'tries' })] },
    'without drawing on a budget',
  ],
] as const)('ranks do not speak of %s', ([, states, why]) => {
  expect(ranksOfOne(states)).toEqual({ at: 'does-not-apply', why: expect.stringContaining(why) });
});
