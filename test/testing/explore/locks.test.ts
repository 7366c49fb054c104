/** D1: locks of a topology, taken all at once and given up by whoever waits; and what becomes of it without one of the two. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { agent, contract, defineFleet, dependency } from '../../../src/index.ts';
import { checkTopology } from '../../../src/testing/explore/check-topology.ts';
import { compile } from '../../../src/testing/explore/compile.ts';
import { explore } from '../../../src/testing/explore/explore.ts';
import { lintTopology } from '../../../src/testing/explore/lint.ts';
import { netSpace } from '../../../src/testing/explore/net.ts';
import { ranksOf } from '../../../src/testing/explore/ranks.ts';
import { CONSTRUCTIONS, skeletonOf } from '../../../src/testing/explore/topology.ts';
import type { Construction } from '../../../src/testing/explore/topology.ts';
import type { Topology } from '../../../src/topology/fleet.ts';

const run = async (): Promise<null> => null;

/** Two kinds that write the same two rows, and name them in opposite orders. */
const crossed: Topology = defineFleet({
  name: 'crossed',
  agents: { debit: agent({ writes: ['a', 'b'], run }), credit: agent({ writes: ['b', 'a'], run }) },
});

/** The parent writes what its child writes too. */
const family: Topology = defineFleet({
  name: 'family',
  agents: {
    parent: agent({ writes: ['ledger'], asks: { child: contract() }, run }),
    child: agent({ writes: ['ledger'], run }),
  },
});

const SMALL = { workers: 1, permits: 1, tasks: 1, operations: 1, asks: 1, faults: 0, rejections: 0 };

test('D1: write sets in opposite orders are proved, for these numbers by search and for all by ranks', () => {
  expect(checkTopology(crossed)).toMatchObject({ at: 'proved', ranked: { at: 'free' } });
});

test('D1: locks taken one by one in opposite orders are a deadlock, and the circle is told', () => {
  expect(checkTopology(crossed, { without: ['all-or-nothing'] })).toMatchObject({
    at: 'violated',
    kind: 'deadlock',
    ranked: { at: 'circular' },
    cycle: [
      expect.stringMatching(/^lock of [ab]: held by (debit|credit) /),
      expect.stringMatching(/^lock of [ab]: held by (debit|credit) /),
    ],
    trace: expect.arrayContaining(['debit takes lock of a', 'credit takes lock of b']),
  });
});

test('D1: an ask to whoever writes the same is proved, since the lock is given up while the parent waits', () => {
  expect(checkTopology(family)).toMatchObject({ at: 'proved', ranked: { at: 'free' } });
});

test('D1: a lock that is kept over an ask is a deadlock with the child that wants it', () => {
  expect(checkTopology(family, { without: ['letting-go'] })).toMatchObject({
    at: 'violated',
    kind: 'deadlock',
    ranked: { at: 'circular' },
    holdings: [expect.stringContaining('holds lock of ledger')],
    trace: ['parent starts on worker of parent with lock of ledger', 'parent asks child', 'parent parks'],
  });
});

test('D1: a run that waits on its worker for a child keeps its locks too, which is the same deadlock', () => {
  expect(checkTopology(family, { without: ['parking'] })).toMatchObject({ at: 'violated', kind: 'deadlock' });
});

test('a run holds its locks while it calls, and that is no circle', () => {
  const model = dependency({ perform: async (request: string) => request, limits: { concurrency: 1 } });
  const topology = defineFleet({
    name: 'callers',
    agents: {
      one: agent({ uses: { model }, writes: ['a', 'b'], run }),
      other: agent({ uses: { model }, writes: ['b'], reads: ['a'], run }),
    },
  });
  const verdict = checkTopology(topology);
  expect(verdict).toMatchObject({ at: 'proved', ranked: { at: 'free' } });
  const { order } = verdict.ranked as Extract<typeof verdict.ranked, { at: 'free' }>;
  expect(order.indexOf('lock of a')).toBeLessThan(order.indexOf('permit of model'));
});

test('readers are on at the same time, a writer is alone', () => {
  const topology = defineFleet({
    name: 'readers',
    agents: { reader: agent({ reads: ['page'], replicas: 2, run }), writer: agent({ writes: ['page'], run }) },
  });
  const { skeleton } = skeletonOf(topology, { ...SMALL, workers: 2, tasks: 2 });
  expect(skeleton.resources).toMatchObject({ 'lock of page': 2 });
  const { graph } = explore(netSpace(compile(skeleton)), { starvation: 'none' });
  const { places } = compile(skeleton);
  let together = 0;
  for (let state = 0; state < graph.states; state += 1) {
    const marking = graph.store.read(state, graph.space.bytes);
    const on = (process: string): number =>
      places.reduce(
        (sum, { about }, at) => sum + (about.at === 'process' && about.process === process && about.state === 'runs' ? marking[at]! : 0),
        0,
      );
    if (on('writer') > 0) expect(on('writer') + on('reader')).toBe(1);
    together = Math.max(together, on('reader'));
  }
  expect(together).toBe(2);
});

test('a function without samples may lock any set of names, and the verdict and a note say how many were tried', () => {
  const topology = defineFleet({
    name: 'free',
    agents: { one: agent({ writes: (input: { readonly row: string }) => [input.row], run }), other: agent({ writes: ['known'], run }) },
  });
  const { skeleton, bounds } = skeletonOf(topology, SMALL);
  expect(Object.keys(skeleton.resources!).filter((name) => name.startsWith('lock'))).toEqual(['lock of known', 'lock of lock 2']);
  expect(bounds).toMatchObject({ 'names that a function locks': { searched: 2, declared: 'unbounded' } });
  expect(skeleton.processes[0]!.states['queued']).toHaveLength(4);
  expect(lintTopology(topology)).toMatchObject([{ code: 'locks-by-input', severity: 'note', path: ['agents', 'one', 'writes'] }]);
  expect(checkTopology(topology, { maxStates: 200_000 })).toMatchObject({ at: 'proved', ranked: { at: 'free' } });
  expect(checkTopology(topology, { ...SMALL, tasks: 2, workers: 2, without: ['all-or-nothing'] })).toMatchObject({
    ranked: { at: 'circular' },
  });
});

test('with sample inputs a function locks what it gives for them, and nothing else', () => {
  const topology = defineFleet({
    name: 'sampled',
    agents: {
      transfer: agent({ writes: (input: { readonly from: string; readonly to: string }) => [input.from, input.to], replicas: 2, run }),
    },
  });
  const back = {
    inputs: {
      transfer: [
        { from: 'a', to: 'b' },
        { from: 'b', to: 'a' },
      ],
    },
  };
  expect(lintTopology(topology, back)).toEqual([]);
  const { skeleton, bounds } = skeletonOf(topology, { ...SMALL, ...back });
  expect(Object.keys(skeleton.resources!)).toEqual(['worker of transfer', 'lock of a', 'lock of b']);
  expect(bounds).toMatchObject({ 'inputs of transfer': { searched: 2, declared: 'unbounded' } });
  expect(checkTopology(topology, back)).toMatchObject({ at: 'proved', ranked: { at: 'free' } });
});

test('samples in opposite orders are a deadlock when locks are taken one by one', () => {
  const topology = defineFleet({
    name: 'sampled',
    agents: { transfer: agent({ writes: (rows: readonly string[]) => rows, replicas: 2, run }) },
  });
  expect(
    checkTopology(topology, {
      inputs: {
        transfer: [
          ['a', 'b'],
          ['c', 'b'],
          ['b', 'a'],
        ],
      },
      without: ['all-or-nothing'],
    }),
  ).toMatchObject({ at: 'violated', kind: 'deadlock' });
  // In one order for all there is no circle, one by one or not.
  expect(
    checkTopology(topology, {
      inputs: {
        transfer: [
          ['a', 'b'],
          ['b', 'c'],
          ['a', 'c'],
        ],
      },
      without: ['all-or-nothing'],
    }),
  ).toMatchObject({ at: 'proved', ranked: { at: 'free' } });
});

test.for([
  [{ nobody: [1] }, ['options', 'inputs', 'nobody']],
  [{ one: [null] }, ['options', 'inputs', 'one', '0']],
  [{ one: [{ rows: 'a' }] }, ['options', 'inputs', 'one', '0']],
] as const)('samples %j that are none are refused with their path', ([inputs, path]) => {
  const topology = defineFleet({
    name: 'wrong',
    agents: { one: agent({ writes: ({ rows }: { readonly rows: readonly string[] }) => rows, run }) },
  });
  expect(() => skeletonOf(topology, { inputs })).toThrow(
    expect.objectContaining({ code: 'DROVER_SKELETON', detail: expect.objectContaining({ path }) }),
  );
});

const ROWS = ['a', 'b', 'c'] as const;
const KINDS = ['k0', 'k1', 'k2'] as const;

/** Up to three kinds that ask each other in any way and lock any rows. */
const topologies = fc
  .array(
    fc.record({
      writes: fc.uniqueArray(fc.constantFrom(...ROWS), { maxLength: 2 }),
      reads: fc.uniqueArray(fc.constantFrom(...ROWS), { maxLength: 1 }),
      asks: fc.uniqueArray(fc.constantFrom(...KINDS), { maxLength: 1 }),
      calls: fc.boolean(),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((kinds): Topology => {
    const model = dependency({ perform: async (request: string) => request, limits: { concurrency: 1 } });
    const names = KINDS.slice(0, kinds.length);
    const agents = names.map((name, at) => {
      const { writes, reads, asks, calls } = kinds[at]!;
      const asked = Object.fromEntries(asks.filter((other) => names.includes(other)).map((other) => [other, contract()]));
      return [name, agent({ writes, reads, asks: asked, uses: calls ? { model } : {}, run })];
    });
    return defineFleet({ name: 'random', agents: Object.fromEntries(agents) as never });
  });

test('whenever the ranks of a topology with locks say free, the search finds nothing; with every construction they do', () => {
  const seen = { free: 0, circular: 0, wrong: 0 };
  fc.assert(
    fc.property(
      topologies,
      fc.subarray([...CONSTRUCTIONS], { maxLength: 1 }),
      fc.nat(1),
      (topology, without: readonly Construction[], faults) => {
        const { skeleton } = skeletonOf(topology, { ...SMALL, tasks: 2, depth: 2, faults, rejections: faults, without });
        const ranked = ranksOf(compile(skeleton));
        const { dead, doomed } = explore(netSpace(compile(skeleton)), { maxStates: 20_000, starvation: 'none' });
        const wrong = dead !== undefined || doomed !== undefined;
        expect(ranked.at).not.toBe('does-not-apply');
        if (without.length === 0) expect(ranked.at).toBe('free');
        if (ranked.at === 'free') expect(wrong).toBe(false);
        seen[ranked.at as 'free' | 'circular'] += 1;
        if (wrong) seen.wrong += 1;
      },
    ),
    { numRuns: 200, seed: 3 },
  );
  expect(seen.free).toBeGreaterThan(25);
  expect(seen.circular).toBeGreaterThan(15);
  expect(seen.wrong).toBeGreaterThan(5);
});
