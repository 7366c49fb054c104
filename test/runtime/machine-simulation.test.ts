/** Statecharts in a simulation: under faults of everything they come to the same end, and the same seed does the same. */
import { expect, test } from 'vitest';
import { agent, defineFleet, dependency } from 'drover';
import { assertClean, simulate } from 'drover/testing';
import { orderMachine } from './order-machine.ts';

const service = dependency({ limits: { concurrency: 4 }, perform: async (request: string) => request });
const topology = defineFleet({
  name: 'orders',
  staggerMs: 0,
  agents: { order: agent({ uses: { service }, replicas: 3, machine: orderMachine() }) },
});
const ORDERS = 12;

function ordered(seed: number) {
  return simulate(topology, {
    seed,
    durationMs: 240_000,
    workload: Array.from({ length: ORDERS }, (_, at) => ({
      kind: 'order' as const,
      id: `order ${at}`,
      input: { text: `${at}` },
      atMs: at * 500,
    })),
    provider: { service: { latencyMs: [100, 2_000], reply: (request: string) => request } },
  });
}

test('every promise of the runtime holds for tasks that are statecharts, seed by seed', async () => {
  let completed = 0;
  let processes = 0;
  for (let seed = 1; seed <= 12; seed += 1) {
    const result = await ordered(seed);
    assertClean(result);
    completed += result.statistics.completed;
    processes += result.statistics.processes;
  }
  // A provider that is down for long may kill one.
  expect(completed).toBeGreaterThan(12 * ORDERS * 0.95);
  expect(processes).toBeGreaterThan(12);
}, 60_000);

test('the same seed does the same', async () => {
  const [first, second] = [await ordered(5), await ordered(5)];
  expect(JSON.stringify(second)).toBe(JSON.stringify(first));
});
