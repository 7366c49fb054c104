/** A real fleet before `@statelyai/inspect` itself, over its WebSocket. */
import { readFileSync } from 'node:fs';
import { createWebSocketInspector } from '@statelyai/inspect';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { agent, defineFleet, dependency } from 'drover';
import type { Host } from '../../actors/host/host.ts';
import type { Message } from '../../actors/kernel/effects.ts';
import { FRAME_VERSION } from '../../src/inspect/frame.ts';
import { startFleetWith } from '../../src/runtime/fleet.ts';
import { InspectorServer } from './inspector-server.ts';

const model = dependency({ limits: { concurrency: 2 }, perform: async (prompt: string) => prompt.toUpperCase() });
const shout = agent({ uses: { model }, replicas: 2, run: async (text: string, ctx) => ctx.call('model', text) });
const topology = defineFleet({
  name: 'demo',
  agents: { shout },
  staggerMs: 0,
  supervision: { backoff: { baseMs: 1, capMs: 1 } },
});

/** What views, the tree and frames follow. What it reads of an actor has to be read again before this is changed. */
test('this is the version of @statelyai/inspect whose reading of actors was followed', () => {
  const { version } = JSON.parse(readFileSync('node_modules/@statelyai/inspect/package.json', 'utf8')) as { version: string };
  expect(version).toBe('0.7.2');
  const { devDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { devDependencies: Record<string, string> };
  expect(devDependencies['@statelyai/inspect']).toBe(version);
  expect(FRAME_VERSION).toBe(version);
});

test('an inspector shows all actors of a fleet as one tree, what they take and what becomes of them', async () => {
  await using server = await InspectorServer.start();
  const inspector = createWebSocketInspector({ url: server.url, maxDeferredEvents: 10_000 });
  let host: Host;
  await using fleet = await startFleetWith(
    topology,
    { inspect: inspector.inspect, logger: pino({ level: 'silent' }) },
    { onHost: (made) => (host = made) },
  );
  const until = server.until.bind(server);
  const actors = () => server.actors();
  const nameOf = (session: string | undefined): string | undefined => (session === undefined ? undefined : actors().get(session)?.name);
  const isAbout = (frame: { readonly sessionId: string }, name: string): boolean => nameOf(frame.sessionId) === name;

  const handles = await fleet.submitMany(
    'shout',
    ['a', 'b', 'c'].map((input) => ({ input })),
  );
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(['A', 'B', 'C']);
  await until((frame) => isAbout(frame, 'demo/dependencies/model') && frame.event?.type === 'limiter.settle');
  await until((frame) => frame.type === '@xstate.actor' && frame.name === 'demo/agents/shout/1');

  // One tree: everybody has a parent but one, who is everybody's root.
  const parents = [...actors().values()].map(({ name, parentId }) => [name, nameOf(parentId)]);
  expect(parents).toEqual([
    ['demo', undefined],
    ['demo/dependencies', 'demo'],
    ['demo/dependencies/model', 'demo/dependencies'],
    ['demo/work', 'demo'],
    ['demo/work/shout', 'demo/work'],
    ['demo/agents', 'demo'],
    ['demo/agents/shout', 'demo/agents'],
    ['demo/agents/shout/0', 'demo/agents/shout'],
    ['demo/agents/shout/1', 'demo/agents/shout'],
  ]);
  const root = [...actors().values()].find(({ parentId }) => parentId === undefined)!;
  expect(new Set(server.frames.map(({ rootId }) => rootId))).toEqual(new Set([root.sessionId]));

  // A machine with its definition.
  const worker = [...actors().values()].find(({ name }) => name === 'demo/agents/shout/0')!;
  const definition = JSON.parse(worker.definition!) as { readonly id: string; readonly states: object };
  expect(definition.id).toBe('worker');
  expect(Object.keys(definition.states)).toEqual(expect.arrayContaining(['starting', 'idle', 'working', 'draining', 'stopped']));

  // A message from one actor to another, and the state after it.
  const busy = await until((frame) => frame.type === '@xstate.event' && frame.event?.type === 'worker.busy');
  expect(nameOf(busy.sourceId)).toBe('demo/work/shout');
  const after = await until((frame) => frame.type === '@xstate.snapshot' && frame.event?.type === 'worker.busy');
  expect(after.sessionId).toBe(busy.sessionId);
  expect(after.snapshot).toMatchObject({ status: 'active', value: 'working' });
  expect(server.frames.indexOf(after)).toBeGreaterThan(server.frames.indexOf(busy));

  // A decider has no definition: its state is its context, and its `at` its value.
  const running = await until((frame) => isAbout(frame, 'demo') && frame.snapshot?.value === 'running');
  expect(JSON.stringify(running.snapshot!.context)).toContain('dependencies');
  const claimed = await until((frame) => frame.type === '@xstate.snapshot' && frame.event?.type === 'queue.claimed');
  expect(claimed.snapshot!.context).toMatchObject({ slots: [{ worker: 'demo/agents/shout/0' }, { worker: 'demo/agents/shout/1' }] });

  // A crash, and another life: a new session under the same parent.
  host!.send('demo/agents/shout/0', { type: 'worker.fail', error: new Error('the worker breaks') } as Message, 'control');
  const failed = await until((frame) => frame.sessionId === worker.sessionId && frame.snapshot?.status === 'error');
  expect(failed.snapshot!.error).toMatchObject({ message: 'the worker breaks' });
  const again = await until(
    ({ type, name, sessionId }) => type === '@xstate.actor' && name === worker.name && sessionId !== worker.sessionId,
  );
  expect(again.parentId).toBe(worker.parentId);
  expect(JSON.parse(again.definition!)).toEqual(definition);

  // The end.
  await fleet.close();
  const last = await until(
    (frame) => frame.sessionId === root.sessionId && frame.type === '@xstate.snapshot' && frame.event?.type === 'xstate.stop',
  );
  expect(last.snapshot!.status).toBe('done');
  inspector.stop();
});
