/** The gate at wake-ups: who registers goes in order, so many at a time, and nobody is lost behind it. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import type { Fleet } from 'drover';
import { memoryStore } from 'drover/stores/memory';
import { Testbed } from './harness.ts';

const AGENTS = 11;

function fleetOf(bed: Testbed, wakeGate?: { readonly most: number }) {
  const service = bed.service({}, () => ({ afterMs: 100, reply: 'said' }));
  const work = agent({
    uses: { service: service.dependency },
    replicas: AGENTS,
    run: async (_input: number, ctx) => ctx.call('service', null),
  });
  return { service, spec: { agents: { work }, ...(wakeGate === undefined ? {} : { wakeGate }) } };
}

async function submitted(bed: Testbed, fleet: { submitMany: never }, from: number): Promise<Promise<unknown>[]> {
  const items = Array.from({ length: AGENTS }, (_, at) => ({ input: from + at }));
  const handles = await bed.drive((fleet as unknown as Fleet).submitMany('work', items));
  return handles.map((handle) => handle.result());
}

describe('eleven agents that start in the same second', () => {
  test('go three at a time with a gate of three, and all of them finish; after that nobody waits at it', async () => {
    await using bed = new Testbed();
    const { service, spec } = fleetOf(bed, { most: 3 });
    const fleet = await bed.start(spec);
    await bed.drive(Promise.all(await submitted(bed, fleet as never, 0)));
    expect(service.calls).toHaveLength(AGENTS);
    expect(service.peak).toBe(3);
    await bed.drive(Promise.all(await submitted(bed, fleet as never, 100)));
    expect(service.peak).toBe(AGENTS);
  });

  test('all go together without one', async () => {
    await using bed = new Testbed();
    const { service, spec } = fleetOf(bed);
    const fleet = await bed.start(spec);
    await bed.drive(Promise.all(await submitted(bed, fleet as never, 0)));
    expect(service.peak).toBe(AGENTS);
  });
});

test('who dies at the gate is forgotten after its time, and the next one goes', async () => {
  await using bed = new Testbed();
  const store = memoryStore(bed.disk);
  const { service, spec } = fleetOf(bed, { most: 1 });
  const fleet = await bed.start(spec, { store });
  await store.registerIntents([{ gate: 'test/wake', holder: 'somebody who died', most: 1, untilMs: bed.nowMs + 20_000 }], bed.nowMs);
  const startedMs = bed.nowMs;
  await bed.drive(Promise.all(await submitted(bed, fleet as never, 0)));
  expect(service.calls[0]!.atMs - startedMs).toBeGreaterThanOrEqual(20_000);
  expect(service.peak).toBe(1);
});

test('a run that waits at the gate for long parks, and no attempt of its task is used', async () => {
  await using bed = new Testbed();
  const { service, spec } = fleetOf(bed, { most: 1 });
  service.respond = () => ({ afterMs: 60_000, reply: 'said' });
  const fleet = await bed.start(spec);
  const parked = bed.record(fleet, 'task.parked');
  const started = bed.record(fleet, 'task.started');
  await bed.drive(Promise.all(await submitted(bed, fleet as never, 0)));
  expect(parked.every(({ reason }) => reason === 'admission')).toBe(true);
  expect(parked.length).toBeGreaterThan(0);
  expect(Math.max(...started.map(({ attempt }) => attempt))).toBe(1);
});

test('a gate that lets nobody through is refused', () => {
  return expect(new Testbed().start({ wakeGate: { most: 0 }, agents: { work: agent({ run: async () => null }) } })).rejects.toMatchObject({
    code: 'DROVER_TOPOLOGY',
  });
});
