/** The frames of a simulation, and those that `@statelyai/inspect` makes of the same events. */
import { createInspector } from '@statelyai/inspect';
import { expect, test } from 'vitest';
import type { InspectionEvent } from 'xstate';
import { agent, defineFleet, dependency } from 'drover';
import { FrameWriter, record } from '../../src/testing/replay/index.ts';

const model = dependency({ limits: { concurrency: 1 }, estimate: () => 10, perform: async (prompt: string) => prompt });
const shout = agent({ uses: { model }, replicas: 2, run: async (text: string, ctx) => ctx.call('model', text) });
const topology = defineFleet({ name: 'demo', agents: { shout } });

type Fields = Record<string, unknown>;

/** Frames of one simulation in which a worker crashes: as they are written, and as the inspector sends them. */
async function bothOf(): Promise<{ readonly written: readonly Fields[]; readonly sent: readonly Fields[] }> {
  const written: Fields[] = [];
  const sent: Fields[] = [];
  const all = Promise.withResolvers<void>();
  const writer = new FrameWriter((line) => written.push(JSON.parse(line) as Fields));
  const events: InspectionEvent[] = [];
  const workload = ['a', 'b', 'c'].map((input) => ({ kind: 'shout' as const, input, atMs: 0 }));
  const strikes = [{ at: 'worker-crash' as const, kind: 'shout', replica: 0, atMs: 500 }];
  await record(
    topology,
    { workload, faults: { strikes }, provider: { model: { latencyMs: 1_000 } }, sampler: 'fair' },
    {
      inspected(atMs, event) {
        writer.inspected(atMs, event);
        events.push(event);
      },
    },
  );
  // What it cannot carry to a page it does not send.
  const send = (frame: unknown): void => {
    sent.push(JSON.parse(JSON.stringify(frame)) as Fields);
    if (sent.length === writer.count) all.resolve();
  };
  const { inspect } = createInspector({ send });
  for (const event of events) inspect.next!(event);
  await all.promise;
  return { written, sent };
}

test('frames of a simulation have the shape of those that @statelyai/inspect sends, and say the same', async () => {
  const { written, sent } = await bothOf();
  expect(new Set(written.map(({ type }) => type))).toEqual(new Set(['@xstate.actor', '@xstate.event', '@xstate.snapshot']));
  expect(written.length).toBe(sent.length);
  // It reads the clock, and the state of an actor when it comes to it.
  const common = ({ actorRef: _actorRef, atMs: _atMs, createdAt, definition, snapshot, type, ...frame }: Fields): Fields => ({
    ...frame,
    type,
    createdAt: typeof createdAt,
    definition: definition === undefined ? undefined : JSON.parse(definition as string),
    snapshot: type === '@xstate.actor' ? typeof snapshot : snapshot,
  });
  for (const [at, frame] of written.entries()) expect(common(frame)).toEqual(common(sent[at]!));
});

test('frames of a simulation form one tree in each process, the same for the same seed', async () => {
  const { written } = await bothOf();
  const actors = written.filter(({ type }) => type === '@xstate.actor');
  const sessions = new Set(actors.map(({ sessionId }) => sessionId));
  expect(sessions.size).toBe(actors.length);
  const roots = actors.filter(({ parentId }) => parentId === undefined);
  expect(roots.map(({ name }) => name)).toEqual(['demo']);
  expect(written.filter(({ sessionId, rootId }) => !sessions.has(sessionId) || rootId !== roots[0]!['sessionId'])).toEqual([]);
  expect(actors.filter(({ name }) => name === 'demo/agents/shout/0')).toHaveLength(2);
  expect((await bothOf()).written).toEqual(written);
});
