/**
 * Whatever a command is given in place of what it takes, it says so, in the same words in both stores, and nothing else
 * is disturbed: every leaf, list and object of a valid call of every command is replaced by values of other types.
 */
import { afterEach, expect, test } from 'vitest';
import { describe } from '../../actors/kernel/errors.ts';
import type { Held, Store } from '../../actors/ports/store.ts';
import { defineFleet, startFleet, agent } from '../../src/index.ts';
import { locks } from '../../src/coordination/index.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { sqlite, SqliteStore } from '../../src/stores/sqlite.ts';
import { InlineThread } from './conformance/inline-thread.ts';
import { newTask } from './tasks.ts';

const NOW = 1_000;

type Command = Exclude<keyof Store, 'name' | 'close'>;
type Arguments = readonly unknown[];

const parent = { id: 'a', fence: 1, place: 'p' };
const full = newTask('b', {
  parent,
  rootId: 'r',
  tenant: 't',
  affinity: 'w',
  orderKey: 'o',
  locks: [{ resource: 'x', mode: 'write' }],
  onConflict: 'queue',
  notBeforeMs: 5,
  deadlineMs: 9e9,
});
const write = { key: 'k', value: '1', version: 1 };
const budget = { scope: 's', periodStartMs: 0 };
const amounts = { wantNanoUsd: 5, wantTokens: 5, leastNanoUsd: 1, leastTokens: 1, overNanoUsd: 1, overTokens: 1 };
const take = { ...budget, ...amounts, limitNanoUsd: 9, limitTokens: 9, keepFromMs: -1 };
const lease = { name: 'n', holder: 'h' };

/** A valid call of each command that takes something, with everything that it may take. */
const CALLS: readonly (readonly [Command, (held: Held) => Arguments])[] = [
  ['submit', () => [[full], NOW]],
  ['claim', () => [{ wants: [{ kind: 'k', limit: 1, box: 'b' }], leaseUntilMs: NOW + 5, nowMs: NOW }]],
  ['sweep', () => [NOW]],
  ['forget', () => [{ endedByMs: { completed: NOW, dead: -1 }, limit: 5 }]],
  ['unbox', () => [[{ kind: 'k', box: 'b' }]]],
  ['start', (held) => [[{ ...held, worker: 'w' }], NOW]],
  ['remember', (held) => [[{ ...held, place: 'p', hash: 'h', value: '1', failed: true, version: '1', replace: true }], NOW]],
  ['renew', (held) => [[{ ...held, leaseUntilMs: NOW + 60_000 }], NOW]],
  [
    'settle',
    (held) => {
      const rows = { writes: [write], reads: [{ key: 'k', version: 1 }] };
      return [[{ ...held, outcome: { at: 'completed', result: '1', sends: [full], ...rows } }], NOW];
    },
  ],
  ['settle', (held) => [[{ ...held, outcome: { at: 'retry', error: 'e', readyAtMs: 5, failures: ['p'], forget: 'state' } }], NOW]],
  ['settle', (held) => [[{ ...held, outcome: { at: 'failed', error: 'e', failures: ['p'], keeps: true } }], NOW]],
  ['settle', (held) => [[{ ...held, outcome: { at: 'dead', error: 'e', failures: ['p'] } }], NOW]],
  ['settle', (held) => [[{ ...held, outcome: { at: 'undone' } }], NOW]],
  [
    'settle',
    (held) => {
      const waits = { events: [{ name: 'e', n: 0 }], gatherMs: 5, locks: [{ resource: 'x', mode: 'read' }] };
      return [[{ ...held, outcome: { at: 'parked', reason: 'r', children: ['c'], wakeAtMs: 5, ...waits } }], NOW];
    },
  ],
  ['settle', (held) => [[{ ...held, outcome: { at: 'released', box: 'b' } }], NOW]],
  ['settle', (held) => [[{ ...held, outcome: { at: 'lost', error: 'e' } }], NOW]],
  ['readState', (held) => [[{ ...held, place: 'p', key: 'k', version: '1' }], NOW]],
  ['getState', () => [['k']]],
  ['listState', () => [{ prefix: 'k', after: 'k', limit: 5 }]],
  ['setState', () => [[write], NOW]],
  ['signal', () => [[{ id: 'a', name: 'e', value: '1', key: 'k' }], NOW]],
  ['askApproval', (held) => [[{ ...held, name: 'p', request: '1', expiresAtMs: 9e9 }], NOW]],
  ['withdrawApproval', (held) => [[{ ...held, name: 'p' }], NOW]],
  ['decideApproval', () => [[{ id: 'a', name: 'p', decision: '1' }], NOW]],
  ['approvals', () => [{ limit: 5, nowMs: NOW, after: 0 }]],
  ['steer', () => [[{ id: 'a', action: 'cancel', by: 'ann', reason: 'r' }], NOW]],
  ['pauseKinds', () => [[{ kind: 'k', paused: true }]]],
  ['story', () => ['a']],
  ['putSchedules', () => [[{ name: 's', plan: 'p', nextAtMs: 5 }]]],
  ['removeSchedules', () => [['s']]],
  ['fireSchedules', () => [[{ name: 's', atMs: 5, nextAtMs: 6, tasks: [full] }], NOW]],
  ['get', () => [['a']]],
  ['list', () => [{ status: 'parked', kind: 'k', parkedFor: 'r', after: 'a', limit: 5 }]],
  ['takeBudget', () => [[take]]],
  ['returnBudget', () => [[{ ...budget, nanoUsd: 1, tokens: 1, ended: true }]]],
  ['readBudgets', () => [[budget]]],
  ['registerIntents', () => [[{ gate: 'g', holder: 'h', most: 1, untilMs: NOW + 5 }], NOW]],
  ['withdrawIntents', () => [[{ gate: 'g', holder: 'h' }]]],
  ['takeLeases', () => [[{ ...lease, ttlMs: 5, waitUntilMs: NOW + 5 }], NOW]],
  ['renewLeases', () => [[{ ...lease, fence: 1, ttlMs: 5 }], NOW]],
  ['releaseLeases', () => [[{ ...lease, fence: 1 }], NOW]],
  ['readLeases', () => [['n'], NOW]],
];

const OPENING = {
  nowMs: NOW,
  maxUnfinished: 9,
  maxFamily: 9,
  agingMs: 10,
  mostPassed: 2,
  mostBegun: 9,
  kinds: { k: { maxUnfinished: 9, maxOfTenant: 9, weights: { t: 2 } } },
};

/** Of a task. */
const OPTIONAL = ['parent', 'rootId', 'tenant', 'affinity', 'orderKey', 'locks', 'onConflict', 'notBeforeMs', 'deadlineMs'];

/** What may be left out. */
const MAY_BE_ABSENT: { readonly [C in Command]?: readonly string[] } = {
  open: ['maxFamily', 'agingMs', 'mostPassed', 'mostBegun', 'kinds', 'k.maxUnfinished', 'maxOfTenant', 'weights'],
  submit: OPTIONAL,
  claim: ['box'],
  start: ['worker'],
  remember: ['failed', 'version', 'replace'],
  settle: [...OPTIONAL, 'writes', 'reads', 'failures', 'forget', 'keeps', 'events', 'gatherMs', 'locks', 'box'],
  readState: ['version'],
  listState: ['after'],
  signal: ['key'],
  approvals: ['after'],
  fireSchedules: OPTIONAL,
  list: ['status', 'kind', 'parkedFor', 'after'],
};

/** What may be null. */
const MAY_BE_NULL: { readonly [C in Command]?: readonly string[] } = {
  settle: ['result', 'wakeAtMs', '0.value', '0.version'],
  setState: ['0.value', '0.version'],
  askApproval: ['expiresAtMs'],
  steer: ['reason'],
  takeBudget: ['limitNanoUsd', 'limitTokens'],
  takeLeases: ['waitUntilMs'],
};

/** By its name, or the two last. */
function isAmong(fields: readonly string[] | undefined, path: Path): boolean {
  return fields !== undefined && (fields.includes(String(path.at(-1))) || fields.includes(path.slice(-2).join('.')));
}

function isTaken(command: Command, path: Path, by: unknown): boolean {
  return (by === undefined && isAmong(MAY_BE_ABSENT[command], path)) || (by === null && isAmong(MAY_BE_NULL[command], path));
}

const WRONG: readonly unknown[] = [
  undefined,
  null,
  NaN,
  'x',
  '5',
  5,
  true,
  {},
  [],
  [undefined],
  [null],
  [5],
  new Date(5),
  5n,
  Symbol('s'),
  () => 5,
];

const typeOf = (value: unknown): string =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'list'
      : value instanceof Date
        ? 'date'
        : Number.isNaN(value)
          ? 'no number'
          : typeof value;

type Path = readonly (string | number)[];

/** Of everything within a value: leaves, lists and objects. */
function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...path, Array.isArray(value) ? Number(key) : key]))];
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((found, key) => (found as Record<string | number, unknown>)[key], value);
}

function replaced(value: unknown, [key, ...rest]: Path, by: unknown): unknown {
  if (key === undefined) return by;
  const inner = replaced((value as Record<string | number, unknown>)[key], rest, by);
  if (Array.isArray(value)) return value.map((item: unknown, index) => (index === key ? inner : item));
  return { ...(value as object), [key]: inner };
}

/** The arguments with one of them replaced, and what that is. */
function* wrongCalls(valid: Arguments): Generator<{ readonly args: Arguments; readonly path: Path; readonly by: unknown }> {
  for (const path of pathsOf(valid)) {
    if (path.length === 0) continue;
    // Of two lists only what is within may be of another type.
    const type = typeOf(at(valid, path));
    for (const by of WRONG) {
      if (typeOf(by) === type && (!Array.isArray(by) || by.length === 0)) continue;
      yield { args: replaced(valid, path, by) as Arguments, path, by };
    }
  }
}

const REFUSAL = /^\w+: expected .+, got /;

type Answer = { readonly refused: string } | { readonly threw: unknown } | { readonly answered: true };

async function say(store: Store, command: Command, args: Arguments): Promise<Answer> {
  try {
    await (store[command] as (...given: Arguments) => Promise<unknown>)(...args);
    return { answered: true };
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message: string };
    return code === 'DROVER_STORE_INPUT' ? { refused: message } : { threw: error };
  }
}

const stores: Store[] = [];
const newStores = (): readonly Store[] => {
  const made = [memoryStore(), new SqliteStore(':memory:', {}, (name, path) => new InlineThread(name, path))];
  stores.push(...made);
  return made;
};

/** Two stores, each with a run of the task `a` under lease. */
async function withRun(): Promise<readonly { readonly store: Store; readonly held: Held }[]> {
  return Promise.all(
    newStores().map(async (store) => {
      await store.open({ nowMs: NOW, maxUnfinished: 1_000 });
      await store.submit([newTask('a')], NOW);
      const [run] = await store.claim({ wants: [{ kind: 'triage', limit: 1 }], leaseUntilMs: NOW + 60_000, nowMs: NOW });
      await store.start([run!], NOW);
      return { store, held: { id: run!.id, fence: run!.fence } };
    }),
  );
}

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
});

test.each(CALLS.map(([command, args], index) => [command, index, args] as const))(
  '%s (%i) refuses what has another type, in the same words in both stores, and nothing is disturbed',
  async (command, _index, argumentsOf) => {
    const [memory, disk] = await withRun();
    let refused = 0;
    for (const { args, path, by } of wrongCalls(argumentsOf(memory!.held))) {
      const what = `${command} ${path.join('.')} = ${typeOf(by)} ${describe(by)}`;
      if (isTaken(command, path, by)) continue;
      const [inMemory, onDisk] = await Promise.all([say(memory!.store, command, args), say(disk!.store, command, args)]);
      expect([what, inMemory]).toEqual([what, { refused: expect.stringMatching(REFUSAL) }]);
      expect([what, onDisk]).toEqual([what, inMemory]);
      refused += 1;
    }
    expect(refused).toBeGreaterThan(5);
    for (const { store, held } of [memory!, disk!]) {
      expect(await say(store, command, argumentsOf(held))).toEqual({ answered: true });
      expect((await store.get(['a']))[0]?.id).toBe('a');
    }
  },
);

test('open refuses what has another type, in the same words in both stores, and can be opened then', async () => {
  const [memory, disk] = newStores();
  for (const { args, path, by } of wrongCalls([OPENING])) {
    if (isTaken('open', path, by)) continue;
    const what = `open ${path.join('.')} = ${typeOf(by)}`;
    const [inMemory, onDisk] = await Promise.all([say(memory!, 'open', args), say(disk!, 'open', args)]);
    expect([what, inMemory]).toEqual([what, { refused: expect.stringMatching(REFUSAL) }]);
    expect([what, onDisk]).toEqual([what, inMemory]);
  }
  for (const store of [memory!, disk!]) expect(await store.open(OPENING)).toMatchObject({ epoch: 1 });
});

test('no clock shows an endless time, and no lease lasts for ever', async () => {
  for (const { store } of await withRun()) {
    const request = { ...lease, ttlMs: 5, waitUntilMs: null };
    for (const nowMs of [Infinity, -Infinity])
      expect(await say(store, 'takeLeases', [[request], nowMs])).toMatchObject({ refused: expect.stringMatching(/^nowMs: /) });
    expect(await say(store, 'takeLeases', [[{ ...request, ttlMs: Infinity }], NOW])).toMatchObject({
      refused: expect.stringMatching(/^ttlMs: /),
    });
  }
});

test('what hangs on an item beside its fields does not keep it from the thread', async () => {
  const store = sqlite(':memory:');
  stores.push(store);
  await store.open({ nowMs: NOW, maxUnfinished: 9 });
  const more = { more: () => 5 };
  const intent = { gate: 'g', holder: 'h', most: 1, untilMs: NOW + 5, ...more };
  expect(await store.registerIntents([intent], NOW)).toEqual([{ at: 'proceed' }]);
  await store.withdrawIntents([intent]);
  expect(await store.takeBudget([{ ...take, ...more }])).toMatchObject([{ tokens: 5 }]);
  await store.returnBudget([{ ...budget, nanoUsd: 1, tokens: 1, ended: false, ...more }]);
  expect(await store.readBudgets([{ ...budget, ...more }])).toEqual([{ takenNanoUsd: 5, takenTokens: 5 }]);
  expect(await store.list({ limit: 5, ...more })).toEqual([]);
});

test('a clock that answers nothing is refused, and the fleet over the same file goes on', async () => {
  const store = sqlite(':memory:');
  const echo = agent({ run: async (text: string) => text });
  await using fleet = await startFleet(defineFleet({ name: 'f', agents: { echo } }), { store });
  const clock = { nowMs: () => undefined as never, wakeAt: () => () => {} };
  await expect(locks(store, { clock }).lock('x', { waitMs: 0 })).rejects.toMatchObject({ code: 'DROVER_STORE_INPUT' });
  expect(await (await fleet.submit('echo', 'well')).result()).toBe('well');
});
