/** A topology is checked before anything starts: each wrong field is named, with its value and what is allowed. */
import { describe, expect, test } from 'vitest';
import { agent, contract, defineFleet, dependency, TopologyError } from 'drover';
import { z } from 'zod';

const perform = async (request: unknown): Promise<unknown> => request;
const run = async (input: unknown): Promise<unknown> => input;
const model = dependency({ perform });
const echo = agent({ run });

/** What is thrown, whatever the types say. */
function refusal(define: () => unknown): TopologyError {
  try {
    define();
  } catch (error) {
    return error as TopologyError;
  }
  throw new Error('nothing was refused');
}

const dependencyWith = (fields: object) => () => dependency({ perform, ...fields });
const agentWith = (fields: object) => () => agent({ run, ...fields });
const fleetWith = (fields: object) => () => defineFleet({ name: 'test', agents: { echo }, ...fields } as never);

const MS1 = 'milliseconds, at least 1';
const MS0 = 'milliseconds, at least 0';
const NAMED = 'a name of at most 64 letters, digits, _ and -, a letter first';
const SCHEMA = 'a Standard Schema (zod, valibot, arktype)';
const REPLICAS = 'a whole number of workers, at least 1, or { min, max } with min <= max';
const BACKOFF = '{ baseMs, capMs } of at least 1 ms, or a function from attempt to milliseconds (negative: give up)';
const RUNS = 'a whole number of runs, at least 1';
const TASKS = 'a whole number of tasks, at least 1';
const VERSION = 'a text of 1 to 64 characters';
const MARGIN = 'a share from 0 to 0.9';

type Case = readonly [path: string, define: () => unknown, value: unknown, expected: string];

/** One case a wrong value: `field: [values]` of one holder. */
function cases(
  holder: string,
  wrap: (fields: object) => () => unknown,
  table: Readonly<Record<string, readonly [expected: string, ...values: unknown[]]>>,
): Case[] {
  return Object.entries(table).flatMap(([path, [expected, ...values]]) =>
    values.map((value): Case => {
      const [first, second] = path.split('.') as [string, string?];
      return [`${holder}.${path}`, wrap({ [first]: second === undefined ? value : { [second]: value } }), value, expected];
    }),
  );
}

const WRONG: readonly Case[] = [
  ...cases('dependency', dependencyWith, {
    perform: ['a function', undefined, null, 'perform', {}],
    limits: ['an object of limits', null, 5, 'none', []],
    'limits.requestsPerMinute': ['requests a minute, at least 1', 0, -1, 0.5, NaN, Infinity, '60', null],
    'limits.tokensPerMinute': ['tokens a minute, at least 1', 0, -1, NaN, Infinity, '60'],
    'limits.concurrency': ['a whole number of calls in flight, at least 1', 0, -1, 1.5, NaN, Infinity, '4'],
    safetyMargin: [MARGIN, -0.1, 0.91, 1, NaN, '0.1'],
    burstMs: [MS1, 0, -1, NaN, Infinity, '1000'],
    estimate: ['a function', 5],
    usage: ['a function', {}],
    price: ['a function', 0.01],
    classify: ['a function', 'transient'],
    timeoutMs: [MS1, 0, -1, NaN, Infinity, '5s'],
    attempts: ['a whole number of tries, at least 1', 0, 1.5, -1, NaN, '3'],
  }),
  ...cases('agent', agentWith, {
    run: ['a function', undefined, null, 'run'],
    input: [SCHEMA, {}, 'string', null, 5],
    output: [SCHEMA, {}, 'string', null],
    uses: ['an object of names', null, [], 'model'],
    'uses.model': ['a dependency, made by dependency(...)', {}, null, echo, perform],
    asks: ['an object of names', null, [], 'echo'],
    'asks.echo': ['an agent or a contract, made by agent(...) or contract(...)', {}, null, model, run],
    replicas: [
      REPLICAS,
      0,
      -1,
      1.5,
      NaN,
      Infinity,
      '4',
      null,
      { min: 3, max: 2 },
      {},
      { min: 1 },
      { min: 0, max: 2 },
      { min: 1.5, max: 2 },
      { min: 1, max: 2, extra: 1 },
    ],
    mailbox: ['{ mode, capacity, stealAbove }', null, 16, []],
    'mailbox.capacity': ['a whole number of tasks, 1 to 10000', 0, 1.5, NaN, '16', 10_001, 1e9],
    'mailbox.stealAbove': [TASKS, 0, 1.5, NaN, '4'],
    attempts: [RUNS, 0, 1.5, NaN, Infinity, '5'],
    losses: [RUNS, 0, 1.5, NaN, '5'],
    backoff: [BACKOFF, 0, '1s', null, [], { baseMs: 0 }, { capMs: 0 }, { baseMs: NaN }, { capMs: Infinity }, { base: 5 }],
    leaseMs: ['milliseconds, at least 100', 99, 0, NaN, Infinity, '60s'],
    runTimeoutMs: [MS1, 0, NaN, Infinity, '1m'],
    stallMs: [MS1, 0, NaN, Infinity],
    lingerMs: [MS0, -1, NaN, Infinity],
    onRejection: ["'retry' or 'restart'", 'stop', true, null],
    isolation: ["'inline', 'thread' or 'process'", 'worker', true, null],
    heartbeatMs: ['milliseconds, at least 500', 499, 0, NaN, Infinity, '2s'],
    memoryMb: ['a whole number of megabytes, at least 32', 31, 0, 64.5, NaN, '512'],
    version: [VERSION, '', 'x'.repeat(65), 2, null],
  }),
  ...cases('fleet', fleetWith, {
    name: [NAMED, undefined, null, '', '1st', 'with space', 'a/b', 'x'.repeat(65), 7],
    module: ['a module URL, such as import.meta.url', 7, null],
    agents: ['an object of names', undefined, null, [], 'echo'],
    'agents.echo': ['an agent, made by agent(...)', { run }, null, run, contract({}), model],
    supervision: ['{ strategy, children, intensity, periodMs, backoff, suspendAboveShare, shutdownMs }', null, 'one_for_one', []],
    'supervision.strategy': ["'one_for_one', 'one_for_all' or 'rest_for_one'", 'simple_one_for_one', null],
    'supervision.children': ['a list of the names of kinds', 'echo', null],
    'supervision.intensity': ['a whole number of restarts, at least 0', -1, 0.5, NaN, '3'],
    'supervision.periodMs': [MS1, 0, NaN, Infinity],
    'supervision.backoff': ['{ baseMs, capMs }', null, 100],
    'supervision.suspendAboveShare': ['a share from 0 to 1', -0.1, 1.1, NaN],
    'supervision.shutdownMs': [MS0, -1, NaN],
    staggerMs: ['milliseconds between the starts of two workers, at least 0', -1, NaN, Infinity, '25'],
    bounds: ['{ unfinished, payloadBytes, fanOut, depth, operations, family }', null, 5],
    'bounds.unfinished': ['a whole number of tasks', 0, 1.5, NaN, Infinity],
    'bounds.payloadBytes': ['a whole number of bytes', 0, 1.5, '1MB'],
    'bounds.fanOut': ['a whole number of child tasks', 0, NaN],
    'bounds.depth': ['a whole number of nested asks', 0, 1.5],
    'bounds.operations': ['a whole number of operations a run', 0, 1.5],
  }),
  ['agent.uses.2nd', agentWith({ uses: { '2nd': model } }), '2nd', NAMED],
  ['agent.uses.a/b', agentWith({ uses: { 'a/b': model } }), 'a/b', NAMED],
  ['fleet.agents.1st', fleetWith({ agents: { '1st': echo } }), '1st', NAMED],
  ['fleet.agents', fleetWith({ agents: {} }), {}, 'at least one agent'],
  ['fleet.supervision.backoff.baseMs', fleetWith({ supervision: { backoff: { baseMs: -1 } } }), -1, MS0],
  ['fleet.supervision.backoff.capMs', fleetWith({ supervision: { backoff: { capMs: '1s' } } }), '1s', MS0],
];

test.each(WRONG)('%s (%#) is refused by its name, its value and what is allowed', (path, define, value, expected) => {
  const error = refusal(define);
  expect(error).toMatchObject({ code: 'DROVER_TOPOLOGY', retryable: false, name: 'TopologyError' });
  expect(error.detail.expected).toBe(expected);
  const said = error.detail.path.join('.');
  expect(error.message).toContain(`${said}: expected ${expected}, got `);
  // Of a field that may have several shapes, the part that is wrong may be named.
  if (expected === REPLICAS || expected === BACKOFF) return expect(`${said}.`).toContain(`${path}.`);
  expect(said).toBe(path);
  expect(error.detail.value).toEqual(value);
});

test.each([
  [
    'dependency',
    'perfom',
    () => dependency({ perform, perfom: perform } as never),
    'perform, limits, adapt, breaker, retries, weights, waiting, whenFull, cachedInputIsFree, unpriced, slots, rank, safetyMargin, burstMs, estimate, usage, price, classify, timeoutMs, attempts',
  ],
  [
    'dependency.limits',
    'rpm',
    dependencyWith({ limits: { rpm: 500 } }),
    'requestsPerMinute, tokensPerMinute, inputTokensPerMinute, outputTokensPerMinute, concurrency',
  ],
  [
    'agent',
    'replica',
    agentWith({ replica: 3 }),
    'input, output, uses, asks, events, run, machine, replicas, mailbox, affinity, orderKey, writes, reads, onConflict, deadlineMs, backlog, tenantBacklog, tenantWeights, onVersionChange, attempts, losses, backoff, leaseMs, runTimeoutMs, stallMs, lingerMs, healthCheck, onRejection, isolation, heartbeatMs, memoryMb, budget, tenant, version',
  ],
  ['agent.mailbox', 'size', agentWith({ mailbox: { size: 3 } }), 'mode, capacity, stealAbove'],
  [
    'fleet',
    'agent',
    fleetWith({ agent: echo }),
    'name, module, agents, supervision, budget, metaAgent, wakeGate, staggerMs, agingMs, schedules, bounds, retention',
  ],
  [
    'fleet.supervision',
    'intenisty',
    fleetWith({ supervision: { intenisty: 3 } }),
    'strategy, children, intensity, periodMs, backoff, suspendAboveShare, shutdownMs',
  ],
  ['fleet.supervision.backoff', 'base', fleetWith({ supervision: { backoff: { base: 3 } } }), 'baseMs, capMs'],
  ['fleet.retention', 'doneMs', fleetWith({ retention: { doneMs: 60_000 } }), 'completedMs, failedMs, cancelledMs, deadMs'],
  ['fleet.bounds', 'fanout', fleetWith({ bounds: { fanout: 3 } }), 'unfinished, payloadBytes, fanOut, depth, operations, family'],
])('%s knows no field %s, and says which there are', (path, field, define, fields) => {
  const error = refusal(define);
  expect(error.detail.path.join('.')).toBe(`${path}.${field}`);
  expect(error.message).toContain(`expected no such field; there are ${fields}, got`);
});

test.each([
  ['dependency', () => dependency(undefined as never), 'an object with `perform`'],
  ['agent', () => agent(null as never), 'an object with `run` or `machine`'],
  ['fleet', () => defineFleet(5 as never), 'an object with `name` and `agents`'],
])('%s of no object at all is refused', (path, define, expected) => {
  expect(refusal(define)).toMatchObject({ detail: { path: [path], expected } });
});

describe('agents that ask', () => {
  const other = agent({ run });
  const shape = contract({});

  test('must ask somebody of this fleet', () => {
    const asking = agent({ asks: { helper: shape }, run });
    expect(refusal(() => defineFleet({ name: 'test', agents: { asking, other } }))).toMatchObject({
      detail: {
        path: ['fleet', 'agents', 'asking', 'asks', 'helper'],
        value: 'helper',
        expected: 'the name of an agent of this fleet (asking, other)',
      },
    });
  });

  test('ask nobody whom every object inherits', () => {
    const asking = agent({ asks: { constructor: shape }, run });
    expect(refusal(() => defineFleet({ name: 'test', agents: { asking } }))).toMatchObject({
      detail: { path: ['fleet', 'agents', 'asking', 'asks', 'constructor'] },
    });
  });

  test('must mean the agent that has the name', () => {
    const asking = agent({ asks: { other: echo }, run });
    expect(refusal(() => defineFleet({ name: 'test', agents: { asking, other } }))).toMatchObject({
      detail: {
        path: ['fleet', 'agents', 'asking', 'asks', 'other'],
        expected: 'the same agent that the fleet has as other, or a contract',
      },
    });
    expect(defineFleet({ name: 'test', agents: { asking: agent({ asks: { other: shape }, run }), other } }).kinds['asking']!.asks).toEqual([
      'other',
    ]);
  });

  test('may ask themselves and each other', () => {
    const a = agent({ asks: { a: shape, b: shape }, run });
    const b = agent({ asks: { a: shape }, run });
    expect(defineFleet({ name: 'test', agents: { a, b } }).kinds).toMatchObject({ a: { asks: ['a', 'b'] }, b: { asks: ['a'] } });
  });
});

test('the order of kinds names each of them once', () => {
  const kinds = { a: echo, b: echo };
  for (const children of [['a'], ['a', 'a'], ['a', 'b', 'a'], ['a', 'c']]) {
    const error = refusal(() => defineFleet({ name: 'test', agents: kinds, supervision: { children } }));
    expect(error.detail).toEqual({ path: ['fleet', 'supervision', 'children'], value: children, expected: 'every kind once: a, b' });
  }
  expect(defineFleet({ name: 'test', agents: kinds, supervision: { children: ['b', 'a'] } }).supervision.children).toEqual(['b', 'a']);
});

test('a rule of the meta-agent is for kinds that there are', () => {
  const rule = {
    name: 'r',
    scope: 'worker',
    measure: 'latency',
    enter: { vs: 'peers', above: 3 },
    leave: { below: 2 },
    steps: ['note'],
  } as const;
  const error = refusal(() =>
    defineFleet({ name: 'test', agents: { echo }, metaAgent: { rules: [{ ...rule, kinds: ['echo', 'nope'] }] } }),
  );
  expect(error.detail).toEqual({
    path: ['fleet', 'metaAgent', 'rules', '0', 'kinds', '1'],
    value: 'nope',
    expected: 'the name of a kind: echo',
  });
});

describe('a complete plan', () => {
  test('has every default', () => {
    const topology = defineFleet({ name: 'test', agents: { echo } });
    expect(topology).toEqual({
      is: 'topology',
      name: 'test',
      module: undefined,
      agents: { echo },
      kinds: {
        echo: expect.objectContaining({
          kind: 'echo',
          agent: echo,
          uses: {},
          asks: [],
          replicas: 1,
          events: [],
          mailbox: { mode: 'steal', capacity: 16, stealAbove: 4 },
          onConflict: 'queue',
          deadlineMs: undefined,
          backlog: undefined,
          tenantBacklog: undefined,
          tenantWeights: {},
          onVersionChange: 'replay',
          attempts: 5,
          losses: 10,
          backoff: { baseMs: 500, capMs: 60_000 },
          leaseMs: 60_000,
          runTimeoutMs: 600_000,
          stallMs: 120_000,
          lingerMs: 10,
          onRejection: 'retry',
          isolation: 'inline',
          heartbeatMs: 2_000,
          memoryMb: 512,
          version: '1',
        }) as unknown,
      },
      dependencies: {},
      metaAgent: undefined,
      supervision: {
        strategy: 'one_for_one',
        children: ['echo'],
        intensity: 3,
        periodMs: 5_000,
        backoff: { baseMs: 100, capMs: 10_000 },
        suspendAboveShare: 0.5,
        shutdownMs: 5_000,
      },
      staggerMs: 25,
      agingMs: 60_000,
      schedules: {},
      bounds: { unfinished: 1_000_000, payloadBytes: 1_048_576, fanOut: 10_000, depth: 16, operations: 100_000, family: 100_000 },
      retention: {},
    });
  });

  test('keeps what is said, and fills in the rest of what is said in part', () => {
    const backoff = (attempt: number): number => attempt;
    const said = agent({
      run,
      replicas: { min: 2, max: 40 },
      mailbox: { capacity: 3 },
      backoff: { capMs: 9 },
      leaseMs: 100,
      lingerMs: 0,
      version: '2.1',
    });
    const other = agent({ run, replicas: 7, mailbox: { stealAbove: 2 }, backoff, attempts: 1, losses: 1, onRejection: 'restart' });
    const topology = defineFleet({
      name: 'test',
      module: 'file:///fleet.ts',
      agents: { said, other },
      supervision: { intensity: 0, backoff: { baseMs: 0 } },
      staggerMs: 0,
      bounds: { depth: 2 },
    });
    expect(topology).toMatchObject({
      module: 'file:///fleet.ts',
      kinds: {
        said: {
          replicas: 2,
          mailbox: { capacity: 3, stealAbove: 4 },
          backoff: { baseMs: 500, capMs: 9 },
          leaseMs: 100,
          lingerMs: 0,
          version: '2.1',
        },
        other: { replicas: 7, mailbox: { capacity: 16, stealAbove: 2 }, backoff, attempts: 1, losses: 1, onRejection: 'restart' },
      },
      supervision: { intensity: 0, periodMs: 5_000, backoff: { baseMs: 0, capMs: 10_000 } },
      staggerMs: 0,
      bounds: { depth: 2, fanOut: 10_000 },
    });
  });

  test('names each dependency once, after its first user, and keeps those of one name apart', () => {
    const shared = dependency({ perform });
    const own = dependency({ perform });
    const third = dependency({ perform });
    const topology = defineFleet({
      name: 'test',
      agents: {
        a: agent({ uses: { model: shared, crm: own }, run }),
        b: agent({ uses: { model: own, llm: shared }, run }),
        c: agent({ uses: { model: third }, run }),
      },
    });
    expect(topology.dependencies).toEqual({ model: shared, crm: own, 'c.model': third });
    expect(topology.kinds).toMatchObject({
      a: { uses: { model: 'model', crm: 'crm' } },
      b: { uses: { model: 'crm', llm: 'model' } },
      c: { uses: { model: 'c.model' } },
    });
  });

  test('leaves the spec as it was', () => {
    const spec = { name: 'test', agents: { echo }, supervision: { intensity: 1 } } as const;
    const before = JSON.stringify(spec);
    defineFleet(spec);
    expect(JSON.stringify(spec)).toBe(before);
  });

  test('takes any Standard Schema', () => {
    const standard = { '~standard': { version: 1 as const, vendor: 'test', validate: (value: unknown) => ({ value: value as string }) } };
    expect(agent({ input: standard, output: z.string(), run: async (text) => text })).toMatchObject({ input: standard });
    // Some libraries make schemas that are functions, such as arktype.
    const callable = Object.assign(() => true, standard);
    expect(agent({ input: callable, run: async (text) => text })).toMatchObject({ is: 'agent' });
  });
});
