/** A simulation that is recorded: the same one, every step of it, and who waits at each. */
import { expect, test } from 'vitest';
import { agent, defineFleet, dependency } from 'drover';
import { simulate } from '../../../src/testing/index.ts';
import type { SimulateOptions } from '../../../src/testing/index.ts';
import { FrameWriter, record, Waits } from '../../../src/testing/replay/index.ts';
import type { Recording, Step } from '../../../src/testing/replay/index.ts';

const model = dependency({ limits: { concurrency: 1 }, estimate: () => 10, perform: async (request: string): Promise<string> => request });
const summary = agent({ uses: { model }, run: async (input: string, ctx) => ctx.call('model', input) });
const triage = agent({
  uses: { model },
  asks: { summary },
  replicas: 2,
  run: async (input: string, ctx) => [await ctx.call('model', input), await ctx.ask('summary', input)],
});
const topology = defineFleet({ name: 'inbox', agents: { triage, summary } });
const tasks = (count: number) => Array.from({ length: count }, (_, at) => ({ kind: 'triage' as const, input: `mail ${at}`, atMs: 0 }));
const quiet: SimulateOptions = { workload: tasks(3), faults: 'none', provider: { model: { latencyMs: 1_000 } }, sampler: 'fair' };

/** Who waits right after the first step that says this. */
function waitsAfter({ steps }: Recording, says: string): readonly string[] {
  const waits = new Waits();
  for (const step of steps) {
    waits.see(step);
    if (step.says.includes(says)) return waits.says();
  }
  throw new Error(`no step says ${says}`);
}

function waitsAt({ steps }: Recording, ms: number): readonly string[] {
  const waits = new Waits();
  for (const step of steps) if (step.atMs <= ms) waits.see(step);
  return waits.says();
}

test.each([1, 2, 3, 4, 5])('recording changes nothing of what happens: seed %i, with faults', async (seed) => {
  const options = { workload: tasks(4), seed, durationMs: 20_000 };
  const { trace } = await simulate(topology, options);
  const { result } = await record(topology, options);
  expect(result.trace.hash).toBe(trace.hash);
});

// It once took its first step before its promises had settled.
test('it does the same whether it is begun in a microtask or in a turn of its own', async () => {
  const hashOf = async (seed: number): Promise<string> => (await simulate(topology, { workload: tasks(4), seed })).trace.hash;
  const inTurn = (seed: number): Promise<string> => new Promise((resolve) => setImmediate(() => resolve(hashOf(seed))));
  const seeds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
  for (const seed of seeds) expect(await inTurn(seed)).toBe(await hashOf(seed));
});

test('each event of the trace but a delivery to nobody is a step, and so are turns, asks and answers', async () => {
  const { steps, result } = await record(topology, quiet);
  const said = (start: string): number => steps.filter(({ says }) => says.startsWith(start)).length;
  const traced = (verb: string): number => result.trace.lines.filter((line) => line.includes(` ${verb} `)).length;
  expect(said('committed: ')).toBe(traced('commits'));
  expect(said('called: ')).toBe(traced('calls'));
  expect(said('delivered: ')).toBeGreaterThan(traced('delivers') / 2);
  expect(said('asked: model for a permit')).toBe(6);
  expect(said('told: ')).toBe(3);
});

test('faults are steps between what happened before and after them', async () => {
  const strikes = [{ at: 'kill' as const, atMs: 1_500 }];
  const { steps } = await record(topology, { ...quiet, faults: { strikes } });
  const at = (text: string): number => steps.findIndex(({ says }) => says.includes(text));
  expect(at('struck: kill')).toBeGreaterThan(at('called: model for task-1'));
  expect(at('struck: kill')).toBeLessThan(at('epoch 2'));
  expect(steps[at('struck: kill')]!.atMs).toBeGreaterThanOrEqual(1_500);
});

test('who waits for a permit is told with who holds it', async () => {
  // The second mail is being read, while the third would like to be, and the first summary to be written.
  expect(waitsAt(await record(topology, quiet), 1_500)).toEqual([
    'task-1 (triage) waits for one of its children: task-1/summary#1, holding nothing',
    'task-2 (triage) waits for model to answer, holding a permit, holding inbox/agents/triage/1',
    'task-3 (triage) waits for a permit of model, held by task-2, holding inbox/agents/triage/0',
    'task-1/summary#1 (summary) waits for a permit of model, held by task-2, holding inbox/agents/summary/0',
  ]);
});

test('who is parked waits for its children and holds nothing; when a child has ended it waits no more', async () => {
  const recording = await record(topology, { ...quiet, workload: tasks(1) });
  expect(waitsAfter(recording, 'task-1 is parked until')).toContain(
    'task-1 (triage) waits for one of its children: task-1/summary#1, holding nothing',
  );
  expect(waitsAfter(recording, 'task-1/summary#1 is completed')).toEqual(['task-1 (triage) waits for a worker of triage']);
  expect(waitsAfter(recording, 'task-1 is completed')).toEqual([]);
});

test('a process that is gone holds nothing any more', async () => {
  const recording = await record(topology, { ...quiet, faults: { strikes: [{ at: 'kill', atMs: 500 }] } });
  const waits = waitsAfter(recording, 'struck: the process is gone');
  expect(waits.length).toBeGreaterThan(0);
  for (const says of waits) expect(says).toMatch(/ waits? for a worker of \w+$/);
});

test.each([1, 2, 3])('nobody waits at the end, whatever struck: seed %i', async (seed) => {
  const { steps } = await record(topology, { workload: tasks(4), seed });
  const waits = new Waits();
  for (const step of steps) waits.see(step);
  expect(waits.says()).toEqual([]);
});

test('frames have the shape of the inspection protocol, and one life of an actor is one session', async () => {
  const lines: string[] = [];
  const strikes = [{ at: 'worker-crash' as const, kind: 'triage', replica: 0, atMs: 500 }];
  await record(topology, { ...quiet, faults: { strikes } }, new FrameWriter((line) => void lines.push(line)));
  const frames = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(new Set(frames.map(({ type }) => type))).toEqual(new Set(['@xstate.actor', '@xstate.event', '@xstate.snapshot']));
  expect(
    frames.find(({ type, sessionId }) => type === '@xstate.snapshot' && String(sessionId).startsWith('inbox/agents/triage/0')),
  ).toMatchObject({
    actorRef: { id: 'inbox/agents/triage/0' },
    event: { type: expect.any(String) },
    snapshot: { status: 'active', value: expect.any(String) },
    atMs: expect.any(Number),
  });
  const lives = frames.filter(
    ({ type, actorRef }) => type === '@xstate.actor' && (actorRef as { id: string }).id === 'inbox/agents/triage/0',
  );
  expect(new Set(lives.map(({ sessionId }) => sessionId)).size).toBe(2);
});

test('frames keep within their times', async () => {
  const times: number[] = [];
  const writer = new FrameWriter((line) => times.push((JSON.parse(line) as { atMs: number }).atMs), 500, 1_500);
  const { steps } = await record(topology, quiet, writer);
  const within = (step: Step): boolean => step.seen.at === 'turn' && step.atMs >= 500 && step.atMs <= 1_500;
  expect(times.filter((atMs) => atMs >= 500)).toHaveLength(2 * steps.filter(within).length);
  expect(Math.max(...times)).toBeLessThanOrEqual(1_500);
});
