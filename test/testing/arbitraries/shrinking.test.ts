/** Planted faults in a user's runs, found by fast-check, and shrunk to what has them. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { agent, defineFleet } from 'drover';
import { assertClean, simulate } from '../../../src/testing/index.ts';
import { programSimulations, simulations } from '../../../src/testing/arbitraries/index.ts';
import { model, shrunk } from './fleets.ts';

/** Two runs read, wait for a call, and write what they read: one of them is lost. */
function counting() {
  const shared = { count: 0 };
  const counter = agent({
    uses: { model },
    replicas: 2,
    run: async (by: number, ctx) => {
      const read = shared.count;
      await ctx.call('model', by);
      shared.count = read + by;
    },
  });
  return { shared, topology: defineFleet({ name: 'counting', staggerMs: 0, agents: { counter } }) };
}

describe('a race in the runs of a user', () => {
  test('shrinks to two tasks, no fault, and first in, first out, when any two of them have it', async () => {
    const { shared, topology } = counting();
    const drawn = simulations(topology, {
      inputs: { counter: fc.integer({ min: 1, max: 1_000 }) },
      workload: { withinMs: 2_000, maxTasks: 8 },
      schedule: { maxLength: 50 },
      faults: { withinMs: 5_000 },
      simulate: { nondeterminism: 'allow', durationMs: 5_000 },
    });
    const { smallest, steps } = await shrunk(drawn, async (options) => {
      shared.count = 0;
      const { statistics } = await simulate(topology, options);
      const sum = options.workload.reduce((total, { input }) => total + input, 0);
      if (statistics.completed === statistics.tasks && shared.count < sum) throw new Error('an update was lost');
    });
    expect(smallest.workload).toHaveLength(2);
    expect(smallest.workload.map(({ input }) => input)).toEqual([1, 1]);
    expect(smallest.schedule).toEqual([]);
    expect(smallest.faults).toEqual({});
    expect(smallest.seed).toBe(0);
    expect(steps).toBeGreaterThan(3);
  });

  test('shrinks to a schedule of few choices, when it takes one delivery ahead of another', async () => {
    const { topology, order } = overtaking();
    const drawn = simulations(topology, {
      inputs: { first: fc.constant(0), second: fc.constant(0) },
      workload: { withinMs: 0, maxTasks: 6 },
      schedule: { maxLength: 60 },
      faults: 'none',
      simulate: { provider: { model: { latencyMs: 100 } }, nondeterminism: 'allow' },
    });
    const overtakes = async (options: Parameters<typeof simulate<typeof topology.agents>>[1]): Promise<boolean> => {
      order.length = 0;
      await simulate(topology, options);
      const at = order.indexOf('second');
      return at >= 0 && order.indexOf('first') > at;
    };
    const { smallest } = await shrunk(drawn, async (options) => {
      // Both were submitted at once, the first one first.
      const { kind } = options.workload[0]!;
      if (kind === 'first' && (await overtakes(options))) throw new Error('the second went ahead of the first');
    });
    expect(smallest.workload.map(({ kind }) => kind)).toEqual(['first', 'second']);
    const turns = smallest.schedule.filter((choice) => choice > 0);
    expect(turns.length).toBeGreaterThan(0);
    expect(turns.length).toBeLessThanOrEqual(3);
    // Without the schedule it does not happen: the race is in the order of deliveries alone.
    expect(await overtakes({ ...smallest, schedule: [] })).toBe(false);
  });
});

function overtaking() {
  const order: string[] = [];
  const noting = (name: string) =>
    agent({
      uses: { model },
      run: async (_input: number, ctx) => {
        await ctx.call('model', 0);
        order.push(name);
      },
    });
  return {
    order,
    topology: defineFleet({ name: 'overtaking', staggerMs: 0, agents: { first: noting('first'), second: noting('second') } }),
  };
}

describe('simulations of drawn topologies', () => {
  test('are clean', async () => {
    let tasks = 0;
    const property = fc.asyncProperty(programSimulations(), async ({ topology, options }) => {
      const result = await simulate(topology, options);
      assertClean(result);
      tasks += result.statistics.tasks;
    });
    await fc.assert(property, { numRuns: 12 });
    expect(tasks).toBeGreaterThan(20);
  });

  test('are clean when kinds ask themselves and each other', async () => {
    let parked = 0;
    const circular = programSimulations({ topology: { asks: 'circular', replicas: 1 }, faults: 'none' });
    const property = fc.asyncProperty(circular, async ({ topology, options }) => {
      const result = await simulate(topology, options);
      assertClean(result);
      parked += result.statistics.parked;
    });
    await fc.assert(property, { numRuns: 15 });
    expect(parked).toBeGreaterThan(5);
  });

  test('shrink topology, workload and faults at once', async () => {
    const { smallest } = await shrunk(
      programSimulations({ workload: { maxTasks: 5 }, schedule: { maxLength: 20 } }),
      async ({ topology, options }) => {
        const { statistics } = await simulate(topology, options);
        if (statistics.tasks > options.workload.length) throw new Error('a task has a child');
      },
    );
    const { topology, options } = smallest;
    // One that asks and one that is asked.
    expect(Object.keys(topology.kinds)).toEqual(['k0', 'k1']);
    expect(options.workload).toHaveLength(1);
    expect(options.faults).toEqual({});
    expect(JSON.stringify(options.workload)).toContain('"at":"ask"');
    expect(fc.stringify(topology)).toContain('topology of {"kinds":[{');
  });
});
