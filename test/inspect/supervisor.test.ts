/** A supervision tree of the user's own, before an inspector. */
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { setup } from 'xstate';
import type { InspectionEvent } from 'xstate';
import { Host } from '../../actors/host/host.ts';
import { fifoTransport } from '../../actors/host/transport.ts';
import { seededRandom } from '../../actors/kernel/random.ts';
import type { ActorView } from '../../src/inspect/actor-view.ts';
import { inspectTree } from '../../src/inspect/inspect.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { createSupervisor } from '../../supervisors/create-supervisor.ts';
import { WorkingClock } from './working-clock.ts';

const door = setup({}).createMachine({
  id: 'door',
  initial: 'shut',
  states: { shut: { on: { OPEN: 'open' } }, open: { on: { SHUT: 'shut' } } },
});

test('a supervisor with any XState logic is shown as one tree, nested ones too', async () => {
  const clock = new VirtualClock();
  const host = new Host({ clock, random: seededRandom(1), transport: fifoTransport() });
  const inspectorClock = new WorkingClock();
  const got: InspectionEvent[] = [];
  const inspection = inspectTree(host, { root: 'house', inspect: (event) => got.push(event), clock: inspectorClock });
  const house = await createSupervisor(
    {
      children: [
        { id: 'front', logic: door },
        { id: 'cellar', supervisor: { children: [{ id: 'back', logic: door }] } },
      ],
    },
    { name: 'house', host },
  );
  house.send('front', { type: 'OPEN' });
  // A stop would overtake it.
  await setImmediate();
  await house.stop();
  inspection.close();
  inspectorClock.run(1_000);

  const actors = got.filter(({ type }) => type === '@xstate.actor').map(({ actorRef }) => actorRef as ActorView);
  expect(actors.map(({ id, parent }) => [id, parent?.id])).toEqual([
    ['house', undefined],
    ['house/front', 'house'],
    ['house/cellar', 'house'],
    ['house/cellar/back', 'house/cellar'],
  ]);
  expect(new Set(got.map(({ rootId }) => rootId))).toEqual(new Set([actors[0]!.sessionId]));
  const opened = got.find((event) => event.type === '@xstate.snapshot' && event.event.type === 'OPEN');
  expect(opened).toMatchObject({ actorRef: { id: 'house/front' }, snapshot: { value: 'open' } });
  expect(actors.map((view) => view.hasEnded)).toEqual([true, true, true, true]);
  expect(inspection).toMatchObject({ dropped: 0, thrown: 0 });
});
