/** A fleet in virtual time, step by step. */
import { describe, expect, test } from 'vitest';
import { defineFleet } from 'drover';
import { assertClean } from '../../../src/testing/index.ts';
import { virtualFleet } from '../../../src/testing/arbitraries/index.ts';
import type { VirtualFleetOptions } from '../../../src/testing/arbitraries/index.ts';
import { inbox } from './fleets.ts';

const slow: VirtualFleetOptions<typeof inbox.agents> = { provider: { model: { latencyMs: 1_000 } } };

/** What it rejects with. */
async function refusal(act: () => Promise<unknown>): Promise<Error & { readonly code?: string; readonly detail?: unknown }> {
  const said: unknown = await act().catch((error: unknown) => error);
  expect(said).toBeInstanceOf(Error);
  return said as Error;
}

describe('a virtual fleet', () => {
  test('does what its runs do, in virtual time, when the test lets it pass', async () => {
    await using fleet = await virtualFleet(inbox, slow);
    const handle = await fleet.submit('digest', 7, { id: 'mail-7' });
    const beganMs = fleet.nowMs;
    await fleet.advance(500);
    expect(fleet.nowMs).toBe(beganMs + 500);
    expect(fleet.task('mail-7')?.status).toBe('running');
    expect(await fleet.lookUp('mail-7')).toMatchObject({ kind: 'digest', status: 'running' });
    expect(await fleet.lookUp('mail-8')).toBeUndefined();
    expect(await fleet.drive(handle.result())).toContain('simulated reply');
    expect(fleet.task('mail-7')?.status).toBe('completed');
    const result = await fleet.end();
    assertClean(result);
    expect(result.statistics).toMatchObject({ tasks: 1, completed: 1, processes: 1 });
  });

  test('does the same for the same seed, and something else for another', async () => {
    const hashOf = async (seed: number): Promise<string> => {
      await using fleet = await virtualFleet(inbox, { seed });
      await Promise.all([1, 2, 3].map((mail) => fleet.submit('triage', mail)));
      return (await fleet.end()).trace.hash;
    };
    expect(await hashOf(1)).toBe(await hashOf(1));
    expect(await hashOf(1)).not.toBe(await hashOf(2));
  });

  test('goes on after a kill with what the store has', async () => {
    await using fleet = await virtualFleet(inbox, slow);
    await fleet.submit('triage', 1, { id: 'mail-1' });
    await fleet.advance(1_500);
    fleet.kill();
    expect([fleet.isUp, fleet.task('mail-1')?.status]).toEqual([false, 'parked']);
    await fleet.restart();
    await fleet.until(() => fleet.task('mail-1')?.status === 'completed');
    const result = await fleet.end();
    assertClean(result);
    expect(result.statistics).toMatchObject({ processes: 2, faults: { kill: 1 } });
  });

  test('dies in the middle of what it does when deliveries are counted', async () => {
    await using fleet = await virtualFleet(inbox, slow);
    await fleet.submit('triage', 1);
    fleet.kill({ afterDeliveries: 3 });
    expect(fleet.isUp).toBe(true);
    await fleet.until(() => !fleet.isUp);
    assertClean(await fleet.end());
  });

  test('starts a worker again that has crashed, and its task is not lost', async () => {
    await using fleet = await virtualFleet(inbox, slow);
    const handle = await fleet.submit('digest', 1);
    await fleet.advance(500);
    fleet.crashWorker('digest', 0);
    fleet.crashWorker('digest', 1);
    await fleet.drive(handle.result());
    assertClean(await fleet.end());
    expect(fleet.statistics).toMatchObject({ lost: 1, completed: 1 });
  });

  test('closes in order, and is started again on the same store', async () => {
    await using fleet = await virtualFleet(inbox, slow);
    await fleet.submit('digest', 1, { id: 'mail-1' });
    await fleet.close({ deadlineMs: 100 });
    expect([fleet.isUp, fleet.task('mail-1')?.status]).toEqual([false, 'queued']);
    await fleet.restart();
    await fleet.until(() => fleet.unfinished.size === 0);
    assertClean(await fleet.end());
  });

  test('says so when its supervisor gave up, and can be started again', async () => {
    await using fleet = await virtualFleet(
      defineFleet({ name: 'fragile', agents: inbox.agents, supervision: { intensity: 0, suspendAboveShare: 0 } }),
    );
    fleet.crashWorker('triage');
    await fleet.until(() => !fleet.isUp);
    expect(fleet.statistics.faults).toMatchObject({ 'gave-up': 1 });
    assertClean(await fleet.end());
  });

  test('waits for a wait that does not come no longer than it is told', async () => {
    await using fleet = await virtualFleet(inbox);
    const { code, detail } = await refusal(() => fleet.until(() => false, 5_000));
    expect(code).toBe('DROVER_VIRTUAL_FLEET_LATE');
    expect(detail).toMatchObject({ withinMs: 5_000, awaited: '() => false', seed: 1 });
    expect(fleet.nowMs).toBeGreaterThanOrEqual(5_000);
  });

  test('refuses what needs a process while none is there', async () => {
    await using fleet = await virtualFleet(inbox);
    fleet.kill();
    for (const act of [
      () => fleet.submit('digest', 1),
      () => fleet.close(),
      () => fleet.lookUp('x'),
      async () => fleet.crashWorker('digest'),
    ])
      expect(await refusal(act)).toMatchObject({ code: 'DROVER_VIRTUAL_FLEET_DOWN' });
  });
});

test.each([
  ['no topology', () => virtualFleet({} as never), 'DROVER_TOPOLOGY'],
  ['an unknown option', () => virtualFleet(inbox, { speed: 3 } as never), 'DROVER_ARBITRARY_OPTION'],
  ['a seed of the wrong form', () => virtualFleet(inbox, { seed: -1 }), 'DROVER_SEED'],
  ['a fault that is a blow', () => virtualFleet(inbox, { faults: { kills: 1 } as never }), 'DROVER_ARBITRARY_OPTION'],
  ['a chance above 1', () => virtualFleet(inbox, { faults: { calls: { broken: 2 } } }), 'DROVER_SIMULATION_OPTION'],
  ['a stand-in for nobody', () => virtualFleet(inbox, { provider: { nobody: {} } }), 'DROVER_SIMULATION_OPTION'],
  ['time that goes back', async () => (await virtualFleet(inbox)).advance(-1), 'DROVER_ARBITRARY_OPTION'],
  ['a worker that is not there', async () => (await virtualFleet(inbox)).crashWorker('digest', 2), 'DROVER_ARBITRARY_OPTION'],
  ['a kind that is not there', async () => (await virtualFleet(inbox)).crashWorker('nobody' as never), 'DROVER_ARBITRARY_OPTION'],
  ['a task of an unknown kind', async () => (await virtualFleet(inbox)).submit('nobody' as never, 1 as never), 'DROVER_UNKNOWN_KIND'],
])('a virtual fleet refuses %s', async (_what, act, code) => {
  expect(await refusal(act as () => Promise<unknown>)).toMatchObject({ code });
});
