/** Statecharts in a simulation: under faults of everything they come to the same end, and the same seed does the same. */
import { expect, test } from 'vitest';
import { assign, setup } from 'xstate';
import { z } from 'zod';
import { agent, defineFleet, dependency, operation } from 'drover';
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

const EACH = 6;

/** Calls all the time, and ends when it has taken so many of each event. What it has taken is told to `report`. */
function listening(report: (taken: readonly string[]) => void) {
  const call = operation((input: { n: number }, ctx) => ctx.call('service', `call ${input.n}`));
  const tell = operation(async (input: { taken: readonly string[] }) => report(input.taken));
  const machine = setup({
    types: { context: {} as { calls: number; taken: readonly string[] } },
    actors: { call, tell },
    actions: { take: assign({ taken: ({ context, event }) => [...context.taken, `${event.type} ${String(event.value)}`] }) },
    guards: { hasAll: ({ context }) => context.taken.length === 2 * EACH },
  }).createMachine({
    context: { calls: 0, taken: [] },
    initial: 'calling',
    on: { a: { actions: 'take' }, b: { actions: 'take' } },
    states: {
      calling: {
        always: { guard: 'hasAll', target: 'telling' },
        invoke: { id: 'call', src: 'call', input: ({ context }) => ({ n: context.calls }), onDone: 'resting' },
      },
      resting: { entry: assign({ calls: ({ context }) => context.calls + 1 }), after: { 1_000: 'calling' } },
      telling: { on: { a: {}, b: {} }, invoke: { id: 'tell', src: 'tell', input: ({ context }) => context, onDone: 'done' } },
      done: { type: 'final' },
    },
  });
  return defineFleet({
    name: 'listeners',
    staggerMs: 0,
    agents: { listener: agent({ uses: { service }, events: { b: z.int(), a: z.int() }, replicas: 2, attempts: 10, machine }) },
  });
}

test('a statechart that is busy takes every event once, those of a name in their order, whatever crashes', async () => {
  let reports = 0;
  for (let seed = 1; seed <= 10; seed += 1) {
    const result = await simulate(
      listening((taken) => {
        reports += 1;
        for (const name of ['a', 'b']) {
          const numbers = Array.from({ length: EACH }, (_, n) => `${name} ${n}`);
          expect(taken.filter((one) => one.startsWith(name))).toEqual(numbers);
        }
      }),
      {
        seed,
        durationMs: 120_000,
        workload: ['x', 'y'].map((id) => ({ kind: 'listener' as const, id, input: null, atMs: 0 })),
        outside: ['x', 'y'].flatMap((task) =>
          Array.from({ length: EACH }, (_, n) =>
            (['a', 'b'] as const).map((name, at) => ({
              at: 'signal' as const,
              task,
              name,
              payload: n,
              atMs: 1_000 + n * 11_000 + at * 300,
            })),
          ).flat(),
        ),
        provider: { service: { latencyMs: [100, 4_000], reply: (request: string) => request } },
      },
    );
    assertClean(result);
    expect(result.statistics.ends).toEqual({});
  }
  expect(reports).toBeGreaterThanOrEqual(20);
}, 60_000);
