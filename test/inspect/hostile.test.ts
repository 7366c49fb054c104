/** A fleet before an inspector that is slow, throws, or is not there: it does its work as without one. */
import { createWebSocketInspector } from '@statelyai/inspect';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { InspectionEvent } from 'xstate';
import { agent, defineFleet, startFleet } from 'drover';
import type { FleetOptions } from 'drover';
import { InspectorServer } from './inspector-server.ts';

const echo = agent({ replicas: 4, run: async (count: number) => count });
const topology = defineFleet({ name: 'demo', agents: { echo }, staggerMs: 0 });
const COUNT = 500;

/** Runs the tasks, closes the fleet, and gives what was logged. */
async function run(inspect: NonNullable<FleetOptions['inspect']>): Promise<readonly Record<string, unknown>[]> {
  const logged: Record<string, unknown>[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>) });
  const fleet = await startFleet(topology, { inspect, logger });
  const handles = await fleet.submitMany(
    'echo',
    Array.from({ length: COUNT }, (_, input) => ({ input })),
  );
  const results = await Promise.all(handles.map((handle) => handle.result()));
  expect(results).toEqual(Array.from({ length: COUNT }, (_, at) => at));
  await fleet.close();
  return logged;
}

/** An inspector, and when it has had so many events. */
function waiting(count: number, then: (event: InspectionEvent) => unknown) {
  const all = Promise.withResolvers<void>();
  let had = 0;
  const inspect = (event: InspectionEvent): void => {
    had += 1;
    if (had === count) all.resolve();
    return then(event) as undefined;
  };
  return { inspect, all: all.promise };
}

test.each([
  [
    'throws',
    () => {
      throw new Error('no');
    },
  ],
  ['is an async function and rejects', () => Promise.reject(new Error('no'))],
])('an inspector that %s is detached with a warning', async (_name, then) => {
  const { inspect, all } = waiting(10, then);
  const logged = await run(inspect);
  await all;
  // Rejections are heard of a little later.
  await new Promise(setImmediate);
  expect(logged.at(-1)).toMatchObject({ thrown: 10, msg: 'the inspector threw 10 times in a row: it is detached', fleet: 'demo' });
  expect(logged.length).toBeLessThanOrEqual(2);
});

test('an inspector whose server is not there costs no task', async () => {
  const { url } = await closedServer();
  const inspector = createWebSocketInspector({ url });
  await run(inspector.inspect);
  inspector.stop();
});

test('an inspector that holds the thread 20 ms for each event gets few of them, and a warning tells how many it missed', async () => {
  let spentMs = 0;
  const slow = (): void => {
    const untilMs = performance.now() + 20;
    while (performance.now() < untilMs);
    spentMs += 20;
  };
  const beganMs = performance.now();
  await run(slow);
  const tookMs = performance.now() - beganMs;
  // A tenth of the time, and one batch that could not be known to be slow.
  expect(spentMs).toBeLessThan(tookMs / 4 + 100);
});

test.each([
  ['a number', 7],
  ['an object that is no observer', {}],
  ['null', null],
])('%s is refused as an inspector before the store is touched', async (_name, inspect) => {
  await expect(startFleet(topology, { inspect: inspect as never })).rejects.toMatchObject({
    code: 'DROVER_TOPOLOGY',
    message: expect.stringContaining('inspect'),
  });
});

/** An address where a server has been. */
async function closedServer(): Promise<{ readonly url: string }> {
  const server = await InspectorServer.start();
  const { url } = server;
  await server[Symbol.asyncDispose]();
  return { url };
}
