/** `simulate`: what it says of a fleet, that it replays, and how it refuses what makes no sense. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { setup } from 'xstate';
import { agent, contract, defineFleet, dependency, operation } from 'drover';
import { assertClean, simulate } from '../../../src/testing/index.ts';
import type { SimulateOptions, SimulationResult } from '../../../src/testing/index.ts';
import { simulateWith } from '../../../src/testing/simulate/simulate.ts';
import type { Host } from '../../../actors/host/host.ts';
import { fromDecider } from '../../../actors/kernel/decider.ts';
import type { Message, OwnEffect } from '../../../actors/kernel/effects.ts';

const model = dependency({ limits: { concurrency: 2 }, estimate: () => 10, perform: async (request: string): Promise<string> => request });
const summary = agent({ uses: { model }, run: async (input: string, ctx) => ctx.call('model', input) });
const triage = agent({
  input: z.object({ mail: z.string() }),
  uses: { model },
  asks: { summary },
  replicas: 2,
  run: async ({ mail }, ctx) => [await ctx.call('model', mail), await ctx.ask('summary', mail)],
});
const topology = defineFleet({ name: 'inbox', agents: { triage, summary } });
type Options = SimulateOptions<typeof topology.agents>;

const work = Array.from({ length: 10 }, (_, at) => ({ kind: 'triage' as const, input: { mail: `mail ${at}` }, atMs: at * 500 }));
const quiet: Options = { workload: work, faults: 'none' };

/** What it rejects with. */
async function refusal(options: object): Promise<Error & { readonly code?: string; readonly detail?: Record<string, unknown> }> {
  const said: unknown = await simulate(topology, { ...quiet, ...options }).catch((error: unknown) => error);
  expect(said).toBeInstanceOf(Error);
  return said as Error;
}

describe('a simulation', () => {
  test('runs every task, with stand-ins for what it calls, and says what happened', async () => {
    const result = await simulate(topology, quiet);
    assertClean(result);
    expect(result.statistics).toMatchObject({ tasks: 20, completed: 20, failed: 0, dead: 0, calls: 20, processes: 1, faults: {} });
    expect(result.virtualMs).toBeGreaterThan(4_500);
  });

  test('does the same for the same seed, and something else for another', async () => {
    const hashOf = async (seed: number): Promise<string> => (await simulate(topology, { workload: work, seed })).trace.hash;
    expect(await hashOf(7)).toBe(await hashOf(7));
    expect(await hashOf(7)).not.toBe(await hashOf(8));
  });

  test('answers what runs ask people, and statecharts', async () => {
    const machine = setup({ actors: { ask: operation((_: unknown, ctx) => ctx.approval('ship', { item: 1 })) } }).createMachine({
      invoke: { src: 'ask', onDone: '.done' },
      initial: 'asking',
      states: { asking: {}, done: { type: 'final' } },
    });
    const agents = { run: agent({ run: (_: string, ctx) => ctx.approval('ship', { item: 1 }) }), chart: agent({ machine }) };
    for (const kind of ['run', 'chart'] as const) {
      const result = await simulate(defineFleet({ name: 'people', agents }), {
        workload: [{ kind, input: 'x' as never }],
        faults: 'none',
        person: () => ({ approved: true, afterMs: 60_000 }),
      });
      assertClean(result);
      expect(result.statistics).toMatchObject({ completed: 1 });
    }
  });

  test('does the same when others run beside it', async () => {
    const alone = await simulate(topology, { workload: work, seed: 7 });
    const [first, , third] = await Promise.all([7, 8, 7].map((seed) => simulate(topology, { workload: work, seed })));
    expect([first!.trace.hash, third!.trace.hash]).toEqual([alone.trace.hash, alone.trace.hash]);
  });

  test('leaves the topology as it was', async () => {
    const before = topology.dependencies['model']!.spec.perform;
    await simulate(topology, quiet);
    expect(topology.dependencies['model']!.spec.perform).toBe(before);
    expect(topology.agents.triage).toBe(triage);
  });

  test('takes from a workload without end as fast as the fleet works', async () => {
    function* endless() {
      for (let at = 0; ; at += 1) yield { kind: 'summary' as const, input: `text ${at}` };
    }
    const { statistics } = await simulate(topology, {
      workload: endless,
      faults: 'none',
      durationMs: 60_000,
      provider: { model: { latencyMs: 1_000 } },
    });
    expect(statistics.completed).toBe(statistics.tasks);
    expect(statistics.tasks).toBeGreaterThan(50);
    expect(statistics.tasks).toBeLessThan(70);
  });

  test.each([3, 4, 5, 6])(
    'replays a full trace when its choices are given as a schedule, over faults and restarts (seed %i)',
    async (seed) => {
      const options: Options = {
        workload: work,
        seed,
        trace: 'full',
        faults: { kills: 2, workerCrashes: 2, store: { failAfter: 0.1, delayMs: 50 } },
      };
      const { trace } = await simulate(topology, options);
      expect(trace.lines).toHaveLength(trace.events);
      const { trace: again } = await simulate(topology, { ...options, schedule: trace.choices });
      expect(again.lines).toEqual(trace.lines);
      expect(again.hash).toBe(trace.hash);
    },
  );

  test.each(['random', 'pos', 'pct', 'fair'] as const)('is clean whoever chooses the next delivery: %s', async (sampler) => {
    for (let seed = 0; seed < 5; seed += 1) assertClean(await simulate(topology, { workload: work, seed, sampler }));
  });

  test.each([[[]], [[0, 0, 0]], [[5, 1, 3, 2, 4, 9, 7]]])('is clean under the schedule %j', async (schedule) => {
    assertClean(await simulate(topology, { ...quiet, schedule }));
  });
});

describe('a stand-in', () => {
  test('answers with what its reply gives, after its latency', async () => {
    const seen: unknown[] = [];
    const asking = agent({ uses: { model }, run: async (input: string, ctx) => void seen.push(await ctx.call('model', input)) });
    const { virtualMs } = await simulate(defineFleet({ name: 'one', agents: { asking } }), {
      workload: [{ kind: 'asking', input: 'who' }],
      faults: 'none',
      provider: { model: { latencyMs: 2_500, reply: (request: string) => `${request}?` } },
    });
    expect(seen).toEqual(['who?']);
    expect(virtualMs).toBeGreaterThanOrEqual(2_500);
  });

  test('fails a call as its reply asks for', async () => {
    const failing = {
      model: {
        reply: (_request: string, { fail }: { fail(error: unknown): never }) => fail(Object.assign(new Error('gone'), { status: 404 })),
      },
    };
    const { statistics } = await simulate(topology, { ...quiet, provider: failing });
    expect(statistics.completed).toBe(0);
    expect(statistics.ends).toEqual({ DROVER_CALL_FAILED: 10 });
  });

  test.each(['rateLimited', 'overloaded', 'broken', 'hang', 'endless', 'slow', 'garbage'] as const)(
    'a fault of half of the calls is lived through: %s',
    async (fault) => {
      const result = await simulate(topology, { workload: work, faults: { calls: { [fault]: 0.5 } } });
      assertClean(result);
      expect(result.statistics.faults[fault]).toBeGreaterThan(0);
    },
  );
});

describe('faults', () => {
  test.each(['worker-crash', 'queue-crash', 'limiter-crash', 'kill', 'restart', 'stall', 'clock-step', 'store-outage'] as const)(
    'strike when they are told to, and are lived through: %s',
    async (at) => {
      const strikes = [1_000, 2_000, 4_000].map((atMs) => ({ at, atMs }));
      const result = await simulate(topology, { workload: work, faults: { strikes } });
      assertClean(result);
      expect(result.statistics.faults[at]).toBeGreaterThan(0);
    },
  );

  test.each([
    ['lost-heartbeat', { store: { lostHeartbeats: 0.9 } }],
    ['store-before', { store: { failBefore: 0.3 } }],
    ['store-after', { store: { failAfter: 0.3 } }],
    ['store-unknown', { store: { failUnknown: 0.3, delayMs: 100, ordered: true } }],
    ['lost-notification', { messages: { lostNotifications: 1 } }],
    ['delay', { messages: { delayed: 0.2, delayMs: 3_000 } }],
  ])('by chance are lived through: %s', async (name, faults) => {
    const result = await simulate(topology, { workload: work, faults, provider: { model: { latencyMs: [20_000, 50_000] } } });
    assertClean(result);
    expect(result.statistics.faults[name]).toBeGreaterThan(0);
  });
});

test('what runs do with keys is remembered by those, as it is outside of a simulation', async () => {
  const item = agent({
    run: async (items: readonly string[], ctx) => {
      const made: string[] = [];
      for (const key of items) {
        await ctx.step('make', ({ idempotencyKey }) => void made.push(idempotencyKey), { key });
        await ctx.sleep(1_000, { key });
      }
      return made;
    },
  });
  const keyed = defineFleet({ name: 'keyed', agents: { item } });
  const result = await simulate(keyed, { workload: [{ kind: 'item', input: ['a', 'b'] }], faults: 'none' });
  assertClean(result);
  expect(result.statistics).toMatchObject({ completed: 1, failed: 0 });
});

describe('a pool of one that asks itself', () => {
  const node = agent({
    asks: { node: contract<number, number, string, string>() },
    runTimeoutMs: 1e9,
    run: async (depth: number, ctx): Promise<string> => (depth === 0 ? 'leaf' : ctx.ask('node', depth - 1)),
  });
  const tree = defineFleet({ name: 'tree', agents: { node } });
  const deep: SimulateOptions<typeof tree.agents> = { workload: [{ kind: 'node', input: 3 }], faults: 'none' };

  test('ends, for whoever asks parks', async () => {
    assertClean(await simulate(tree, deep));
  });

  test('is a deadlock without parking, and is found', async () => {
    const { violations } = await simulateWith(tree, deep, { parking: false });
    expect(violations.map(({ invariant }) => invariant)).toContain('L1');
    expect(violations.at(-1)!.message).toContain('tasks do not end');
  });
});

describe('a result that is not clean', () => {
  const dirty = {
    seed: 17,
    violations: [{ invariant: 'S4', message: 'made twice', atMs: 12 }],
    nondeterminism: [],
    replay: 'replay me',
  } as unknown as SimulationResult;

  test('is thrown as one error with everything, for tests', () => {
    expect(() => assertClean(dirty)).toThrow(/seed 17.*\n.*S4 at 12 ms: made twice\nreplay: replay me/);
  });

  test('says how to replay it', async () => {
    expect((await simulate(topology, { ...quiet, seed: 5 })).replay).toBe('simulate(topology, { ...options, seed: 5 })');
    expect((await simulate(topology, { ...quiet, seed: 5, replay: (seed) => `DROVER_SEED=${seed}` })).replay).toBe('DROVER_SEED=5');
  });
});

describe('what makes no sense is refused, and is no violation', () => {
  test.each([-1, 1.5, Number.NaN, '', null, {}])('a seed of the wrong form: %j', async (seed) => {
    expect(await refusal({ seed })).toMatchObject({ code: 'DROVER_SEED' });
  });

  test.each([
    [{ sed: 1 }, 'sed'],
    [{ durationMs: -1 }, 'durationMs'],
    [{ workload: 7 }, 'workload'],
    [{ faults: 'many' }, 'faults'],
    [{ faults: { kill: 1 } }, 'faults.kill'],
    [{ faults: { kills: 0.5 } }, 'faults.kills'],
    [{ faults: { calls: { hang: 2 } } }, 'faults.calls.hang'],
    [{ sampler: 'best' }, 'sampler'],
    [{ schedule: [-1] }, 'schedule'],
    [{ provider: { moddel: {} } }, 'provider.moddel'],
    [{ provider: { model: { delay: 1 } } }, 'provider.model.delay'],
    [{ outside: [{ at: 'schedule', name: 'often', spec: { kind: 'nobody', everyMs: 1_000 }, atMs: 0 }] }, 'outside.0.spec'],
    [{ outside: [{ at: 'schedule', spec: { kind: 'triage', everyMs: 1_000 }, atMs: 0 }] }, 'outside.0.name'],
    [{ outside: [{ at: 'mailboxes', kind: 'triage', mailboxes: { mode: 'random' }, atMs: 0 }] }, 'outside.0.mailboxes'],
  ])('an option: %j', async (options, option) => {
    expect(await refusal(options)).toMatchObject({ code: 'DROVER_SIMULATION_OPTION', detail: { option } });
  });

  test('an input of another type, where it is written', () => {
    // @ts-expect-error -- a mail is a text
    const wrong: Options = { workload: [{ kind: 'triage', input: { mail: 1 } }] };
    // @ts-expect-error -- there is no such kind
    const unknown: Options = { workload: [{ kind: 'triagge', input: { mail: '1' } }] };
    expect([wrong, unknown]).toHaveLength(2);
  });

  test('no topology', async () => {
    await expect(simulate({} as typeof topology, quiet)).rejects.toMatchObject({ code: 'DROVER_TOPOLOGY' });
  });

  test('a task of a kind that is not there, as submit refuses it', async () => {
    expect(await refusal({ workload: [{ kind: 'triagge', input: 1 }] })).toMatchObject({ code: 'DROVER_UNKNOWN_KIND' });
  });

  test('a task with an input that does not fit, as submit refuses it', async () => {
    expect(await refusal({ workload: [{ kind: 'triage', input: { mial: 1 } }] })).toMatchObject({ code: 'DROVER_PAYLOAD_INVALID' });
  });

  test('a workload that throws, with the place', async () => {
    const workload = () => {
      throw new Error('no more mails');
    };
    expect(await refusal({ workload })).toMatchObject({
      code: 'DROVER_SIMULATION_CALLBACK',
      message: expect.stringContaining('no more mails'),
      detail: { callback: 'workload', place: expect.stringContaining(import.meta.filename) },
    });
  });

  test.each(['reply', 'latencyMs'])('a stand-in whose %s throws, with the place', async (name) => {
    const provider = {
      model: {
        [name]: () => {
          throw new Error('not today');
        },
      },
    };
    expect(await refusal({ provider })).toMatchObject({
      code: 'DROVER_SIMULATION_CALLBACK',
      detail: { callback: `provider.model.${name}`, place: expect.stringContaining(import.meta.filename) },
    });
  });

  test('a run that loops over operations while no time passes, with the place', async () => {
    const looping = agent({
      run: async (_input: string, ctx) => {
        for (let at = 0; ; at += 1) await ctx.step(`step ${at}`, () => at);
      },
    });
    const fleet = defineFleet({ name: 'loop', agents: { looping }, bounds: { operations: 10_000_000 } });
    await expect(simulate(fleet, { workload: [{ kind: 'looping', input: 'x' }], faults: 'none' })).rejects.toMatchObject({
      code: 'DROVER_SIMULATION_STUCK',
      detail: { place: expect.stringContaining(import.meta.filename) },
    });
  });

  test('messages that lead to each other while no time passes, in microtasks alone', async () => {
    // As a queue that claims, gives back, is told that there is something, and claims: no other turn of the event loop comes.
    const echo = fromDecider<null, Message, undefined, OwnEffect>(
      { initial: () => [null, [{ type: 'again' }]], decide: () => [null, [{ type: 'again' }]] },
      { nowMs: () => 0, wakeAt: () => () => {} },
    );
    const onHost = (host: Host): void => {
      const perform = (): void => void Promise.resolve().then(() => host.send('echo', { type: 'echo' }));
      host.spawn({ id: 'echo', logic: echo, input: undefined, perform });
    };
    await expect(simulateWith(topology, { ...quiet, nondeterminism: 'allow' }, { onHost })).rejects.toMatchObject({
      code: 'DROVER_SIMULATION_STUCK',
      detail: { what: 'deliveries, such as echo to echo' },
    });
  });
});

test('a fleet that forgets what has ended is clean, and an id that comes again when it is forgotten is another task', async () => {
  const echo = agent({ run: async (input: string, ctx) => ctx.step('say', () => input) });
  const fleet = defineFleet({ name: 'forgetful', agents: { echo }, retention: { completedMs: 60_000 } });
  const once = { kind: 'echo', id: 'a', input: 'x' } as const;
  const workload = [once, { ...once, atMs: 30_000 }, { ...once, atMs: 120_000 }] as const;
  const result = await simulate(fleet, { workload, faults: 'none', durationMs: 150_000 });
  assertClean(result);
  expect(result.statistics).toMatchObject({ tasks: 2, completed: 2, forgotten: 1, runs: 2 });
});

test('an event for a task that never comes keeps no simulation from ending', async () => {
  const fleet = defineFleet({ name: 'echo', agents: { echo: agent({ run: async (input: string) => input }) } });
  const outside = [{ at: 'signal', task: 'nobody', name: 'paid', payload: 1, atMs: 100 }] as const;
  const result = await simulate(fleet, { workload: [{ kind: 'echo', input: 'x' }], outside, faults: 'none', durationMs: 1_000 });
  assertClean(result);
  expect(result.virtualMs).toBeLessThan(70_000);
});
