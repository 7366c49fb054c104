/** The children of a fleet's workers, over actors of the test's own. */
import { agent, defineFleet } from 'drover';
import type { Context, IsolatedWorkerError } from 'drover';
import { expect, onTestFinished, test } from 'vitest';
import { setup } from 'xstate';
import { Host } from '../../actors/host/host.ts';
import { fifoTransport } from '../../actors/host/transport.ts';
import { systemClock } from '../../actors/kernel/clock.ts';
import type { Message } from '../../actors/kernel/effects.ts';
import { systemRandom } from '../../actors/kernel/random.ts';
import { Isolation } from '../../src/isolation/isolation.ts';
import { FLEET_NAME, topology } from './fixture.ts';

const WORKER = 'worker';
const plan = topology.kinds['thread']!;

/** A worker that notes its failures, and lives on after them. */
const stubborn = (failures: unknown[]) =>
  setup({}).createMachine({ on: { 'worker.fail': { actions: ({ event }) => failures.push((event as { error?: unknown }).error) } } });

function bench() {
  const host = new Host({ clock: systemClock(), random: systemRandom, transport: fifoTransport() });
  const isolation = Isolation.of({ topology, host, onStray: () => {} })!;
  const failures: IsolatedWorkerError[] = [];
  onTestFinished(async () => {
    await isolation.close();
    host.close();
  });
  const run = (deed: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const ctx = { task: { id: deed, kind: 'thread', attempt: 1, fence: 1 }, signal: new AbortController().signal, progress: () => {} };
      const input = JSON.stringify({ deed });
      const { signal: ended } = ctx;
      isolation.execute(plan, WORKER, {
        ctx: ctx as unknown as Context,
        inStep: (_step, act) => act(),
        ended,
        input,
        depth: 0,
        priority: 0,
        returned: resolve,
        threw: reject,
      });
    });
  return { host, isolation, failures, run };
}

test('there is nothing to do for a fleet that is inline throughout', () => {
  const { host } = bench();
  const inline = defineFleet({ name: `${FLEET_NAME}-inline`, agents: { any: agent({ run: async () => 1 }) } });
  expect(Isolation.of({ topology: inline, host, onStray: () => {} })).toBeUndefined();
});

test('a worker that goes on in place after its child died gets another one', async () => {
  const { host, failures, run } = bench();
  host.spawn({ id: WORKER, logic: stubborn(failures) });
  const failed = new Promise<void>((resolve) => {
    host.observe({ delivered: (_actor, { type }: Message) => type === 'worker.fail' && resolve() });
  });
  void run('exits well');
  await failed;
  expect(failures[0]!.detail).toMatchObject({ how: 'exited', exitCode: 0 });
  expect(await run('leaves a timer')).toBe('"left"');
});

test('a run of a worker that is gone never begins', async () => {
  const { isolation, run } = bench();
  void run('writes when it ends');
  // Nothing was started for it: there is nothing to wait for.
  await isolation.close();
});

test('an incarnation that ends takes its child along, and the next has one of its own', async () => {
  const { host, failures, run } = bench();
  host.spawn({ id: WORKER, logic: stubborn(failures) });
  await run('leaves a timer');
  host.stop(WORKER, 0);
  host.spawn({ id: `${WORKER}-other`, logic: stubborn(failures) });
  await Promise.resolve();
  host.spawn({ id: WORKER, logic: stubborn(failures) });
  expect(await run('leaves a timer')).toBe('"left"');
  expect(failures).toEqual([]);
});
