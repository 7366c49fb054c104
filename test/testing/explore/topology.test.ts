import { expect, test } from 'vitest';
import inbox from '../../../examples/inbox/topology.ts';
import { agent, contract, defineFleet, dependency } from '../../../src/index.ts';
import { checkTopology } from '../../../src/testing/explore/check-topology.ts';
import { lintTopology } from '../../../src/testing/explore/lint.ts';
import { skeletonOf } from '../../../src/testing/explore/topology.ts';
import type { Topology } from '../../../src/topology/fleet.ts';

const model = dependency({ perform: async (request: string) => request, limits: { concurrency: 4 } });

const researcher = agent({ uses: { model }, asks: { researcher: contract() }, replicas: 3, run: async () => null });

/** A kind that asks itself. */
const selfAsking: Topology = defineFleet({ name: 'research', agents: { researcher } });

/** Two kinds that ask each other. */
const pair: Topology = defineFleet({
  name: 'pair',
  agents: {
    writer: agent({ asks: { critic: contract() }, replicas: 2, run: async () => null }),
    critic: agent({ uses: { model }, asks: { writer: contract() }, replicas: 2, run: async () => null }),
  },
});

/** Small enough for a test; without sizes the check grows them itself. */
const SIZES = { workers: 2, permits: 1, tasks: 3, depth: 2, operations: 1, asks: 1, faults: 1, rejections: 0 };

test('the inbox is proved, and the verdict says for which numbers, and that ranks hold for all', () => {
  const verdict = checkTopology(inbox, SIZES);
  expect(verdict).toMatchObject({ at: 'proved', ranked: { at: 'free' } });
  expect(verdict.bounds).toMatchObject({
    'depth of asks': { searched: 2, declared: 16 },
    'workers of triage': { searched: 2, declared: inbox.kinds['triage']!.replicas },
    crashes: { searched: 1, declared: 'unbounded' },
  });
});

test('the inbox deadlocks when parking is switched off: a digest asks for a digest', () => {
  expect(checkTopology(inbox, { without: ['parking'] })).toMatchObject({
    at: 'violated',
    kind: 'deadlock',
    trace: ['digest starts on worker of digest', 'digest asks digest', 'digest waits for a child on its worker'],
  });
});

test('what is proved is proved for growing sizes, and each that was searched to the end is listed', () => {
  const verdict = checkTopology(selfAsking, { maxStates: 100_000 });
  expect(verdict).toMatchObject({ at: 'proved', ranked: { at: 'free' }, bounds: { 'operations of a run': { searched: 2 } } });
  expect(verdict.finished.map(({ crashes }) => crashes!.searched)).toEqual([0, 1, 0]);
  expect(verdict.bounds).toBe(verdict.finished.at(-1));
});

test('a kind that asks itself deadlocks without parking', () => {
  expect(checkTopology(selfAsking, { without: ['parking'] })).toMatchObject({
    at: 'violated',
    kind: 'deadlock',
    ranked: { at: 'circular' },
    trace: ['researcher starts on worker of researcher', 'researcher asks researcher', 'researcher waits for a child on its worker'],
    holdings: ['researcher (waits for a child, 1 open child) holds worker of researcher'],
  });
});

test('kinds that ask each other deadlock without parking, and the trace is a shortest one', () => {
  const verdict = checkTopology(pair, { without: ['parking'] });
  expect(verdict).toMatchObject({ at: 'violated', kind: 'deadlock' });
  expect(verdict.at === 'violated' && verdict.trace).toHaveLength(6);
  expect(verdict.at === 'violated' && verdict.cycle).toHaveLength(3);
});

test('a chain of kinds, each with workers of its own, is free without parking too', () => {
  const chain = (replicas: number): Topology =>
    defineFleet({
      name: 'chain',
      agents: {
        a: agent({ asks: { b: contract() }, replicas, run: async () => null }),
        b: agent({ asks: { c: contract() }, replicas, run: async () => null }),
        c: agent({ replicas, run: async () => null }),
      },
    });
  expect(checkTopology(chain(1), { without: ['parking'] })).toMatchObject({ at: 'proved', ranked: { at: 'free' } });
});

test('a search that is cut short is not called proved', () => {
  const verdict = checkTopology(selfAsking, { maxStates: 100 });
  expect(verdict).toMatchObject({ at: 'not-finished', why: 'states' });
});

test('a search that runs out of time says so', () => {
  let nowMs = 0;
  const verdict = checkTopology(selfAsking, { withinMs: 1, nowMs: () => (nowMs += 1) });
  expect(verdict).toMatchObject({ at: 'not-finished', why: 'time' });
});

test('declared sizes are scaled down and said beside what was searched', () => {
  const { skeleton, bounds } = skeletonOf(selfAsking, { workers: 2, permits: 1, tasks: 5, depth: 1 });
  expect(skeleton.resources).toEqual({ 'worker of researcher': 2, 'permit of model': 1 });
  expect(bounds).toMatchObject({
    'workers of researcher': { searched: 2, declared: 3 },
    'permits of model': { searched: 1, declared: 4 },
    'tasks of researcher': { searched: 5, declared: 1_000_000 },
  });
});

test('a size out of range is an error with its path, no verdict', () => {
  expect(() => skeletonOf(selfAsking, { workers: 0 })).toThrow(
    expect.objectContaining({
      code: 'DROVER_SKELETON',
      detail: { path: ['options', 'workers'], value: 0, expected: 'a whole number from 1 to 255' },
    }),
  );
});

test('asks in a circle are noted once, and are an error where a worker is held', () => {
  expect(lintTopology(pair)).toMatchObject([{ code: 'asks-in-a-circle', severity: 'note', path: ['agents', 'writer', 'asks', 'critic'] }]);
  expect(lintTopology(pair, { without: ['parking'] })).toMatchObject([
    { code: 'asks-in-a-circle', severity: 'error' },
    { code: 'holds-while-acquiring', severity: 'error' },
  ]);
});

test('a request that no minute of its limits admits is found, by a sample or without one', () => {
  const fleet = (estimate: (request: { readonly tokens: number }) => number): Topology => {
    const limited = dependency({ perform: async () => null, limits: { tokensPerMinute: 1_000 }, estimate });
    return defineFleet({ name: 'limited', agents: { one: agent({ uses: { limited }, run: async () => null }) } });
  };
  const bySample = fleet(({ tokens }) => tokens);
  expect(lintTopology(bySample, { requests: { limited: [{ tokens: 900 }] } })).toEqual([]);
  expect(lintTopology(bySample, { requests: { limited: [{ tokens: 901 }] } })).toMatchObject([
    { code: 'never-admitted', path: ['dependencies', 'limited', 'estimate'] },
  ]);
  expect(lintTopology(fleet(() => 2_000))).toMatchObject([{ code: 'never-admitted' }]);
  expect(lintTopology(bySample, { requests: { limited: [null] } })).toMatchObject([{ code: 'estimate-fails' }]);
});

test('a chain of asks that is longer than they may nest is found', () => {
  const deep: Topology = defineFleet({
    name: 'deep',
    bounds: { depth: 1 },
    agents: {
      a: agent({ asks: { b: contract() }, run: async () => null }),
      b: agent({ asks: { c: contract() }, run: async () => null }),
      c: agent({ run: async () => null }),
    },
  });
  expect(lintTopology(deep)).toMatchObject([{ code: 'asks-too-deep', path: ['agents', 'a', 'asks', 'b'] }]);
});
