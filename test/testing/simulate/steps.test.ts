import { describe, expect, test } from 'vitest';
import { agent, contract, defineFleet, dependency } from 'drover';
import { simulate } from 'drover/testing';

const quiet = { faults: 'none', seed: 1, durationMs: 10_000 } as const;

describe('inside of a step', () => {
  test('an ask is found and named: the run keeps its worker while it waits, and a replay would not make it', async () => {
    const rec = agent({
      asks: { rec: contract<number, number, unknown, unknown>() },
      attempts: 1,
      run: async (n: number, ctx) => (n > 0 ? ctx.step('around', async () => ctx.ask('rec', n - 1)) : 0),
    });
    const topology = defineFleet({ name: 'nested', agents: { rec } });
    const { nondeterminism } = await simulate(topology, { ...quiet, workload: [{ kind: 'rec', input: 1 }] });
    expect(nondeterminism.map(({ api }) => api)).toContain('nested');
    expect(nondeterminism.find(({ api }) => api === 'nested')!.message).toContain('ctx.ask(rec)');
    expect(nondeterminism.find(({ api }) => api === 'nested')!.message).toContain('ctx.step(around)');
  });

  test('an operation beside a step is none inside of it', async () => {
    const model = dependency({ perform: async () => 'x' });
    const both = agent({
      uses: { model },
      run: async (_: number, ctx) => Promise.all([ctx.step('a', async () => 1), ctx.call('model', null), ctx.step('b', () => 2)]),
    });
    const topology = defineFleet({ name: 'beside', agents: { both } });
    const { nondeterminism } = await simulate(topology, { ...quiet, workload: [{ kind: 'both', input: 1 }] });
    expect(nondeterminism).toEqual([]);
  });

  test('a promise that nobody settles is found when the run has timed out', async () => {
    const stuck = agent({ attempts: 1, run: async (_: number, ctx) => ctx.step('forever', () => new Promise<never>(() => {})) });
    const topology = defineFleet({ name: 'stuck', agents: { stuck } });
    const { nondeterminism, statistics } = await simulate(topology, { ...quiet, workload: [{ kind: 'stuck', input: 1 }] });
    expect(statistics.ends).toEqual({ DROVER_RUN_TIMEOUT: 1 });
    expect(nondeterminism).toHaveLength(1);
    expect(nondeterminism[0]).toMatchObject({ api: 'wait', task: { kind: 'stuck' } });
    expect(nondeterminism[0]!.message).toContain('ctx.step(forever)');
  });
});

describe('a run that throws', () => {
  const broken = agent({
    attempts: 2,
    backoff: { baseMs: 1, capMs: 1 },
    run: async (n: number) => {
      if (n > 1) throw new TypeError('no such thing');
      return n;
    },
  });
  const topology = defineFleet({ name: 'broken', agents: { broken } });

  test('is told with its place in the code, and how often', async () => {
    const workload = [1, 2, 3].map((input) => ({ kind: 'broken' as const, input }));
    const { rejections, violations } = await simulate(topology, { ...quiet, workload });
    expect(violations).toEqual([]);
    expect(rejections).toHaveLength(1);
    expect(rejections[0]).toMatchObject({ kind: 'broken', error: 'TypeError: no such thing', count: 4 });
    expect(rejections[0]!.place).toMatch(/steps\.test\.ts:\d+:\d+$/);
  });

  test('and one that does not is not', async () => {
    const { rejections } = await simulate(topology, { ...quiet, workload: [{ kind: 'broken', input: 1 }] });
    expect(rejections).toEqual([]);
  });
});

describe('a stand-in', () => {
  const model = dependency({ perform: async () => 'x' });
  const caller = agent({ uses: { model }, run: async (_: number, ctx) => ctx.call('model', null) });
  const topology = defineFleet({ name: 'caller', agents: { caller } });
  const workload = [{ kind: 'caller' as const, input: 1 }];

  test.each([
    ['a latency that is no number', { latencyMs: Number.NaN }, 'provider.model.latencyMs'],
    ['a latency below zero', { latencyMs: -5 }, 'provider.model.latencyMs'],
    ['a latency from more to less', { latencyMs: [5, 1] as const }, 'provider.model.latencyMs'],
    ['a chance above 1', { faults: { hang: 3 } }, 'provider.model.faults.hang'],
    ['a reply that is no function', { reply: 'x' as never }, 'provider.model.reply'],
  ])('with %s is refused by name', async (_name, standIn, option) => {
    await expect(simulate(topology, { ...quiet, workload, provider: { model: standIn } })).rejects.toMatchObject({
      code: 'DROVER_SIMULATION_OPTION',
      message: expect.stringContaining(option) as string,
    });
  });

  test('whose latency is no number when it is asked is told apart from a violation', async () => {
    await expect(simulate(topology, { ...quiet, workload, provider: { model: { latencyMs: () => Number.NaN } } })).rejects.toMatchObject({
      code: 'DROVER_SIMULATION_CALLBACK',
      message: expect.stringContaining('provider.model.latencyMs') as string,
    });
  });

  test('strikes that are none are refused by name', async () => {
    await expect(simulate(topology, { ...quiet, faults: { strikes: 'x' as never }, workload })).rejects.toMatchObject({
      code: 'DROVER_SIMULATION_OPTION',
      message: expect.stringContaining('faults.strikes') as string,
    });
  });
});
