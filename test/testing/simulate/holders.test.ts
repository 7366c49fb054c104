/** Locks and offices of `drover/coordination` beside a simulated fleet. */
import { agent, defineFleet } from 'drover';
import { expect, test } from 'vitest';
import type { Fact } from '../../../src/testing/invariants/fact.ts';
import type { SimulateOptions } from '../../../src/testing/index.ts';
import { INVARIANTS, simulate } from '../../../src/testing/index.ts';

const topology = defineFleet({ name: 'beside', agents: { clerk: agent({ run: async (page: number) => page }) } });

/** What was seen of these facts, in their order. */
async function seen(ats: readonly Fact['at'][], options: Partial<SimulateOptions>) {
  const facts: Fact[] = [];
  const watch = {
    name: 'watch',
    promise: '',
    check: () => Object.fromEntries(ats.map((at) => [at, (fact: Fact) => void facts.push(fact)])),
  };
  const result = await simulate(topology as never, {
    faults: 'none',
    workload: [{ kind: 'clerk', input: 1, atMs: 0 }] as never,
    invariants: [...INVARIANTS, watch],
    ...options,
  });
  return { facts, result };
}

test('who waits for a lock whose holder died with its process gets it once its time is over, and the dead one is begun anew', async () => {
  const options = {
    outside: [0, 100].map((atMs) => ({ at: 'lock' as const, name: 'report', holdMs: 4_000, ttlMs: 3_000, atMs })),
    faults: { strikes: [{ at: 'kill' as const, atMs: 1_000 }] },
  };
  const { facts, result } = await seen(['store.leased', 'process.killed', 'store.lease-released'], options);
  expect(result.violations).toEqual([]);
  expect(facts.map(({ at }) => at)).toEqual([
    'store.leased',
    'process.killed',
    'store.leased',
    'store.lease-released',
    'store.leased',
    'store.lease-released',
  ]);
  expect((await seen([], options)).result.trace.hash).toBe(result.trace.hash);
});

test('those who stand for an office take turns, each for a greater epoch', async () => {
  const { facts, result } = await seen(['leader.elected'], {
    outside: [0, 200].map((atMs) => ({ at: 'stand' as const, name: 'office', forMs: 9_000, termMs: 1_000, ttlMs: 900, atMs })),
  });
  expect(result.violations).toEqual([]);
  const epochs = facts.map((fact) => (fact as Extract<Fact, { at: 'leader.elected' }>).epoch);
  expect(epochs.length).toBeGreaterThan(4);
  expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
});

test.for([
  ['holdMs', { at: 'lock', name: 'report', atMs: 0 }],
  ['ttlMs', { at: 'lock', name: 'report', holdMs: 1, ttlMs: 5, atMs: 0 }],
  ['ttlMs', { at: 'lock', name: 'report', holdMs: 1, ttlMs: 86_400_001, atMs: 0 }],
  ['termMs', { at: 'stand', name: 'office', forMs: 1, atMs: 0 }],
  ['name', { at: 'stand', name: '', forMs: 1, termMs: 1, atMs: 0 }],
] as const)('one without a fair %s is refused by that name', async ([option, act]) => {
  await expect(seen([], { outside: [act as never] })).rejects.toThrow(`outside.0.${option}`);
});
