/** What seeds have found, each as the smallest fleet that shows it. */
import { agent, defineFleet, dependency } from 'drover';
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { SimulateOptions, SimulationResult } from '../../src/testing/index.ts';
import { simulateWith } from '../../src/testing/simulate/simulate.ts';
import type { Topology } from '../../src/topology/fleet.ts';

function simulated(topology: unknown, options: SimulateOptions): Promise<SimulationResult> {
  return simulateWith(topology as Topology, { faults: 'none', nondeterminism: 'allow', ...options }, {});
}

test('whoever waits for a task hears that it was cancelled, also when the reply to the cancel was lost', async () => {
  const topology = defineFleet({
    name: 'cancelled',
    agents: {
      sleeper: agent({
        run: async (_input: null, ctx) => {
          await ctx.sleep(3_600_000);
          return null;
        },
      }),
    },
  });
  let cancelled = 0;
  for (let seed = 1; seed <= 20; seed += 1) {
    const { violations, statistics } = await simulated(topology, {
      seed,
      workload: [{ kind: 'sleeper', id: 't', input: null, atMs: 0 }],
      outside: [{ at: 'cancel', task: 't', atMs: 1_000 }],
      faults: { store: { failAfter: 0.4 } },
    });
    cancelled += statistics.cancelled;
    expect(violations).toEqual([]);
  }
  expect(cancelled).toBe(20);
});

test('a task that rejects conflicts is undone all the same: it waits for its locks then', async () => {
  const topology = defineFleet({
    name: 'undone',
    agents: {
      // Fails, and is to be undone while somebody else has what it writes.
      careful: agent({
        writes: ['row'],
        onConflict: 'reject',
        run: async (_input: null, ctx) => {
          await ctx.compensate('charge', () => {});
          await ctx.step('charge', () => 1);
          await ctx.sleep(500);
          throw Object.assign(new Error('no'), { retryable: false });
        },
      }),
      holder: agent({
        writes: ['row'],
        replicas: 4,
        run: async (_input: number, ctx) => ctx.step('holds it', () => 1),
      }),
    },
  });
  for (const seed of [1, 2, 3, 4, 5]) {
    const { violations } = await simulated(topology, {
      seed,
      workload: [
        { kind: 'careful', id: 'careful', input: null, atMs: 0 },
        ...Array.from({ length: 40 }, (_, at) => ({ kind: 'holder', id: `holder ${at}`, input: at, atMs: at * 25 })),
      ],
      faults: { store: { delayMs: 60 } },
    });
    expect(violations).toEqual([]);
  }
});

test('a sleep that has ended by one clock has ended for good, though the next process has a clock that is behind', async () => {
  const topology = defineFleet({
    name: 'behind',
    agents: {
      sleeper: agent({
        events: { go: z.string() },
        // Something is open beside the sleep, so its end is remembered.
        run: async (_input: null, ctx) => {
          const go = ctx.waitFor('go');
          await ctx.sleep(30_000);
          return go;
        },
      }),
    },
  });
  const { violations, statistics } = await simulated(topology, {
    workload: [{ kind: 'sleeper', id: 't', input: null, atMs: 0 }],
    outside: [{ at: 'signal', task: 't', name: 'go', payload: 'go', atMs: 15_000 }],
    faults: {
      strikes: [
        { at: 'clock-step', ms: 35_000, atMs: 5_000 },
        { at: 'kill', atMs: 10_000 },
      ],
    },
  });
  expect(violations).toEqual([]);
  expect(statistics.completed).toBe(1);
});

test('a half-open breaker of a limiter that crashed, and has been open meanwhile, is told of: it has all its probes', async () => {
  const api = dependency<string, string>({
    perform: async () => 'real',
    breaker: { failures: 1, resetAfterMs: 1_000, probes: 2, probeMs: 5_000 },
    attempts: 1,
  });
  const topology = defineFleet({
    name: 'probes',
    agents: { caller: agent({ uses: { api }, run: (request: string, ctx) => ctx.call('api', request) }) },
  });
  let calls = 0;
  const { violations, statistics } = await simulated(topology, {
    // The first opens it, and is the first probe when it is tried again.
    workload: [0, 20_000, 21_000].map((atMs) => ({ kind: 'caller', input: `at ${atMs}`, atMs })),
    provider: { api: { latencyMs: 10, reply: (_request: string, { fail }) => ((calls += 1) === 1 ? fail(new Error('broken')) : 'ok') } },
    faults: { strikes: [{ at: 'limiter-crash', dependency: 'api', atMs: 18_000 }] },
  });
  expect(violations).toEqual([]);
  expect(statistics.completed).toBe(3);
});

test('a worker that is suspended begins nothing, though its queue has yet to hear of it', { timeout: 90_000 }, async () => {
  const work = agent({
    replicas: 2,
    onRejection: 'restart',
    run: async (input: number, ctx) => {
      await ctx.sleep(20);
      if (input % 2 === 0) throw new Error('no');
    },
  });
  let suspended = 0;
  for (let seed = 1; seed <= 60; seed += 1) {
    const { violations, statistics } = await simulated(defineFleet({ name: 'suspended', agents: { work } }), {
      seed,
      workload: Array.from({ length: 200 }, (_, at) => ({ kind: 'work', id: `t${at}`, input: at, atMs: at * 10 })),
      faults: { suspensions: 6, workerCrashes: 6, messages: { delayed: 0.1, delayMs: 2_000 }, store: { delayMs: 50 } },
    });
    suspended += statistics.faults['worker-suspend'] ?? 0;
    expect(violations).toEqual([]);
  }
  expect(suspended).toBeGreaterThan(60);
});

test('a worker that is resumed begins what it is given, though its supervisor has yet to hear that it has started', async () => {
  const work = agent({ replicas: 2, mailbox: { capacity: 6 }, run: (_: number, ctx) => ctx.sleep(20) });
  for (let seed = 1; seed <= 10; seed += 1) {
    const { violations } = await simulated(defineFleet({ name: 'suspended', agents: { work } }), {
      seed,
      workload: Array.from({ length: 100 }, (_, at) => ({ kind: 'work', id: `t${at}`, input: at, atMs: at * 10 })),
      faults: { suspensions: 8, messages: { delayed: 0.2, delayMs: 2_000 }, store: { delayMs: 50 } },
    });
    expect(violations).toEqual([]);
  }
});
