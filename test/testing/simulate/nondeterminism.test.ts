/** What a user's own code does that a replay could not repeat is named, with its place and its task. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { setup } from 'xstate';
import { agent, defineFleet, dependency, operation } from 'drover';
import type { Context } from 'drover';
import { simulate } from '../../../src/testing/index.ts';
import type { Nondeterminism, SimulateOptions } from '../../../src/testing/index.ts';

const HERE = import.meta.filename;

type Uses = { readonly model: ReturnType<typeof dependency<string, string>> };

async function findingsOf(
  run: (input: string, ctx: Context<Uses>) => Promise<unknown>,
  options: Partial<SimulateOptions> = {},
): Promise<readonly Nondeterminism[]> {
  const model = dependency({ perform: async (request: string) => request });
  const topology = defineFleet({
    name: 'user',
    agents: { work: agent({ uses: { model }, stallMs: 2_000, attempts: 1, run: (input: string, ctx) => run(input, ctx as never) }) },
  });
  const { nondeterminism } = await simulate(topology, {
    workload: [{ kind: 'work', input: 'x', id: 't1' }],
    faults: 'none',
    ...(options as object),
  });
  return nondeterminism;
}

describe('used in a run, it is named with the line that used it', () => {
  const uses: readonly (readonly [api: string, use: () => unknown])[] = [
    ['Date.now', () => Date.now()],
    ['new Date', () => new Date().getTime()],
    ['performance.now', () => performance.now()],
    ['Math.random', () => Math.random()],
    ['crypto.randomUUID', () => crypto.randomUUID()],
    ['crypto.randomUUID', () => randomUUID()],
    ['crypto.getRandomValues', () => crypto.getRandomValues(new Uint8Array(1)).length],
    ['fs.readFileSync', () => readFileSync(HERE).length],
    ['setTimeout or setInterval', () => clearTimeout(setTimeout(() => {}, 1))],
    ['setTimeout or setInterval', () => clearInterval(setInterval(() => {}, 1))],
    ['setImmediate', () => clearImmediate(setImmediate(() => {}))],
    ['setTimeout or setInterval', () => void sleep(1)],
    ['file I/O', () => void readFile(HERE)],
    ['fetch', () => void fetch('data:,x').catch(() => {})],
    [
      'a TCP socket',
      () =>
        createConnection({ host: '127.0.0.1', port: 9 })
          .on('error', () => {})
          .destroy(),
    ],
  ];

  test.each(uses)('%s (%#)', async (api, use) => {
    const found = await findingsOf(async (input, ctx) => {
      await ctx.call('model', input);
      use();
      return 1;
    });
    expect(found.find((finding) => finding.api === api)).toMatchObject({
      place: expect.stringContaining(`${HERE}:`),
      task: { id: 't1', kind: 'work' },
    });
  });
});

test('after an await of its own, and within a step, it is still known whose run it was', async () => {
  const found = await findingsOf(async (_input, ctx) => {
    await Promise.resolve();
    return ctx.step('draw', () => Math.random());
  });
  expect(found).toMatchObject([{ api: 'Math.random', task: { id: 't1' }, count: 1 }]);
});

test('in the functions of a dependency or of the workload it is named without a task', async () => {
  const found = await findingsOf((input, ctx) => ctx.call('model', input), { provider: { model: { reply: () => Math.random() } } });
  expect(found).toMatchObject([{ api: 'Math.random', task: undefined, place: expect.stringContaining(HERE) }]);
});

test('a run that does all through its ctx is without findings, under faults too', async () => {
  const found = await findingsOf(
    async (input, ctx) => {
      ctx.progress(1, 2);
      ctx.log.info({}, 'half');
      await ctx.step('now', () => new Date(0).getTime());
      return ctx.call('model', input);
    },
    { faults: 'drawn' },
  );
  expect(found).toEqual([]);
});

test('allowed, nothing is looked for', async () => {
  expect(await findingsOf(async () => Date.now(), { nondeterminism: 'allow' })).toEqual([]);
});

test('once a simulation is over, clocks and chance are the real ones again', async () => {
  const before = [Date, Date.now, Math.random, globalThis.fetch, crypto.randomUUID];
  await findingsOf(async () => Math.random());
  expect([Date, Date.now, Math.random, globalThis.fetch, crypto.randomUUID]).toEqual(before);
});

describe('a wait that the topology does not declare', () => {
  test('is named with the operation that came before it', async () => {
    const found = await findingsOf(async (input, ctx) => {
      await ctx.call('model', input);
      return new Promise(() => {});
    });
    expect(found).toMatchObject([
      { api: 'wait', task: { id: 't1' }, place: expect.stringContaining(HERE), message: expect.stringContaining('after ctx.call(model)') },
    ]);
  });

  test('is named before the first operation too', async () => {
    const found = await findingsOf(() => new Promise(() => {}));
    expect(found).toMatchObject([{ api: 'wait', message: expect.stringContaining('before its first operation') }]);
  });

  test('an operation on ctx is none, however long it takes', async () => {
    const found = await findingsOf((input, ctx) => ctx.call('model', input), { provider: { model: { latencyMs: 60_000 } } });
    expect(found).toEqual([]);
  });
});

describe('in an operation of a statechart', () => {
  /** A statechart that comes to the operation from another state, through a message. */
  async function ofOperation(perform: (ctx: Context) => Promise<unknown>): Promise<readonly Nondeterminism[]> {
    const first = operation((_input: undefined, ctx) => ctx.sleep(100));
    const second = operation((_input: undefined, ctx) => perform(ctx));
    const machine = setup({ actors: { first, second } }).createMachine({
      initial: 'one',
      states: {
        one: { invoke: { src: 'first', onDone: 'two' } },
        two: { invoke: { src: 'second', onDone: 'over' } },
        over: { type: 'final' },
      },
    });
    const fleet = defineFleet({ name: 'chart', agents: { chart: agent({ machine, stallMs: 2_000, attempts: 1 }) } });
    const { nondeterminism } = await simulate(fleet, { workload: [{ kind: 'chart', id: 't1' } as never], faults: 'none' });
    return nondeterminism;
  }

  test('what a replay cannot repeat is named with its place', async () => {
    const found = await ofOperation((ctx) => ctx.step('draw', () => Math.random()).then(() => Date.now()));
    expect(found).toMatchObject([
      { api: 'Math.random', task: { id: 't1' }, place: expect.stringContaining(HERE) },
      { api: 'Date.now', task: { id: 't1' }, place: expect.stringContaining(HERE) },
    ]);
  });

  test('a wait that nobody sees is named with the operation that came before it', async () => {
    const found = await ofOperation(async (ctx) => {
      await ctx.step('before', () => 1);
      return new Promise(() => {});
    });
    expect(found).toMatchObject([
      { api: 'wait', place: expect.stringContaining(HERE), message: expect.stringContaining('after ctx.step(before)') },
    ]);
  });

  test('what is begun inside a step is named', async () => {
    const found = await ofOperation((ctx) => ctx.step('outer', () => ctx.sleep(1)));
    expect(found).toMatchObject([{ api: 'nested', message: expect.stringContaining('ctx.sleep') }]);
  });
});
