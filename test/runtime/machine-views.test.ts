/** The machine of a task is seen in an inspector, below its worker; and what is remembered of it is the same in every process. */
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { setup } from 'xstate';
import { agent, defineFleet, operation } from 'drover';
import { countingIds } from '../../actors/kernel/ids.ts';
import { seededRandom } from '../../actors/kernel/random.ts';
import { fifoTransport } from '../../actors/host/transport.ts';
import type { ActorView } from '../../src/inspect/actor-view.ts';
import { observeTree } from '../../src/inspect/observe-tree.ts';
import { inspectionEventsOf } from '../../src/inspect/told.ts';
import { startFleetWith } from '../../src/runtime/fleet.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { Testbed } from './harness.ts';

function machine() {
  const make = operation((_input: undefined, ctx) => ctx.step('make', () => 'made'));
  return setup({ actors: { make } }).createMachine({
    id: 'maker',
    initial: 'making',
    states: {
      making: { invoke: { id: 'make', src: 'make', onDone: 'resting' } },
      resting: { after: { 60_000: 'done' } },
      done: { type: 'final' },
    },
  });
}

test('a machine is shown below its worker, under the id of its task, with its chart and its states', async () => {
  await using bed = new Testbed();
  const seen: string[] = [];
  const charts = new Set<unknown>();
  const chart = machine();
  const topology = defineFleet({ name: 'test', staggerMs: 0, agents: { work: agent({ machine: chart }) } });
  const options = {
    store: memoryStore(bed.disk),
    clock: bed.clock,
    random: seededRandom(1),
    ids: countingIds('task'),
    transport: fifoTransport(),
    logger: pino({ level: 'silent' }),
  };
  const starting = startFleetWith(topology, options as never, {
    onHost(host) {
      observeTree({
        host,
        root: 'test',
        onTold: (told) => {
          for (const event of inspectionEventsOf(told)) {
            const { id, logic } = event.actorRef as ActorView;
            if (!id.startsWith('test/agents/work/0/o')) continue;
            if (event.type === '@xstate.actor') {
              seen.push(`actor ${id}`);
              charts.add((logic as { readonly config?: unknown }).config);
            }
            if (event.type === '@xstate.snapshot') {
              const { status, value } = event.snapshot as { readonly status: string; readonly value?: string };
              seen.push(`${id.slice('test/agents/work/0/'.length)} ${status} ${value ?? ''}`.trim());
            }
          }
        },
      });
    },
  });
  const fleet = await bed.drive(starting);
  await bed.run(fleet as never, 'work', undefined, { id: 'o' });
  expect(seen).toEqual([
    'actor test/agents/work/0/o',
    'actor test/agents/work/0/o/make',
    'o/make active',
    'o active making',
    'o active resting',
    'o/make done',
    // Parked, and in the next run:
    'o stopped resting',
    'actor test/agents/work/0/o',
    'o active resting',
    'o done done',
  ]);
  expect(charts).toContain(chart.config);
  await bed.drive(fleet.close());
});

test('what is remembered of a machine is the same in every process', async () => {
  const rememberedOnce = async (): Promise<readonly string[]> => {
    await using bed = new Testbed();
    const kept: string[] = [];
    bed.faults.committed = (command, items) => {
      if (command !== 'remember') return;
      for (const { place, value } of items as { readonly place: string; readonly value: string }[]) kept.push(`${place} ${value}`);
    };
    const fleet = await bed.start({ agents: { work: agent({ machine: machine() }) } });
    await bed.run(fleet, 'work', undefined, { id: 'o' });
    return kept;
  };
  const first = await rememberedOnce();
  expect(first.filter((item) => item.startsWith('machine '))).toHaveLength(2);
  expect(first.join('\n')).not.toMatch(/x:\d/);
  expect(await rememberedOnce()).toEqual(first);
});
