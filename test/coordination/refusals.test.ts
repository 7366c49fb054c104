/** What cannot be meant is refused where it is said, under one code, before anything is asked of the store. */
import { describe, expect, test } from 'vitest';
import { intents, leader, locks, openStore } from 'drover/coordination';
import { memoryStore } from 'drover/stores/memory';
import { World } from './world.ts';

const onElected = (): void => {};

describe('a leader', () => {
  test.each([
    ['onElected', {}],
    ['onElected', { onElected: 5 }],
    ['onElected', { onElected: null }],
    ['onError', { onElected, onError: 5 }],
    ['onError', { onElected, onError: null }],
  ])('refuses a wrong %s at once: %o', async (option, wrong) => {
    const world = await new World().open();
    const { store, options, sent } = world.process();
    expect(() => leader(store, 'x', { ...options, ...wrong } as never)).toThrow(
      expect.objectContaining({ code: 'DROVER_COORDINATION_OPTION', detail: { option } }),
    );
    await world.settle();
    expect(sent).toEqual([]);
  });

  test.each([[undefined], [null], [5], ['locks.db'], [{}]])('refuses %o in place of a store at once', (store) => {
    expect(() => leader(store as never, 'x', { onElected })).toThrow(
      expect.objectContaining({ code: 'DROVER_COORDINATION_OPTION', detail: { option: 'store' } }),
    );
  });
});

describe.each(['lock', 'withLock', 'enter', 'through', 'leader'] as const)('%s', (what) => {
  /** All that is asked for, with wrong options of its own (`given`), or of where it is got from (`tools`). */
  const ask = async (world: World, given: object, tools: object = {}): Promise<readonly [unknown, readonly string[]]> => {
    const { store, options, sent } = world.process();
    const by = { ...options, ...tools } as never;
    const asked = async (): Promise<unknown> => {
      if (what === 'lock') return locks(store, by).lock('x', given);
      if (what === 'withLock') return locks(store, by).withLock('x', () => {}, given);
      if (what === 'enter') return intents(store, by).enter('x', given);
      if (what === 'through') return intents(store, by).through('x', () => {}, given);
      return leader(store, 'x', { ...(by as object), onElected, ...given });
    };
    return [await world.rejection(asked()), sent];
  };
  const refused = (option: string): unknown => [{ code: 'DROVER_COORDINATION_OPTION', retryable: false, detail: { option } }, []];

  test.each([[null], ['1000'], [9], [Number.NaN], [10n], [86_400_001], [1e308], [Infinity]])(
    'refuses ttlMs: %o, and takes nothing',
    async (ttlMs) => {
      expect(await ask(await new World().open(), { ttlMs })).toMatchObject(refused('ttlMs') as object);
    },
  );

  const signals: [unknown][] = [[5], ['x'], [{}], [null], [new AbortController()]];
  test.runIf(what !== 'leader').each(signals)('refuses signal: %o, and takes nothing', async (signal) => {
    expect(await ask(await new World().open(), { signal })).toMatchObject(refused('signal') as object);
  });

  const tools: [string, unknown][] = [
    ['clock', 5],
    ['clock', null],
    ['clock', {}],
    ['random', 5],
    ['random', null],
    ['ids', 5],
  ];
  // A candidate makes its first name when it stands: its `onError` is told.
  if (what !== 'leader') tools.push(['ids', () => 5], ['ids', () => '']);
  test.each(tools)('refuses tools whose %s is %o, and takes nothing', async (option, wrong) => {
    expect(await ask(await new World().open(), {}, { [option]: wrong })).toMatchObject(refused(option) as object);
  });
});

describe.each([[undefined], [null], [5], ['locks.db'], [{}]])('in place of a store %o', (store) => {
  test.each([
    ['locks', () => locks(store as never)],
    ['intents', () => intents(store as never)],
    ['openStore', () => openStore(store as never)],
  ])('is refused by %s', async (_, use) => {
    await expect(async () => use()).rejects.toMatchObject({ code: 'DROVER_COORDINATION_OPTION', detail: { option: 'store' } });
  });
});

test('a lease of a day is taken', async () => {
  const world = await new World().open();
  const { store, options } = world.process();
  const lock = await locks(store, options).lock('x', { ttlMs: 86_400_000 });
  expect(lock.isHeld).toBe(true);
  await world.drive(lock.release());
});

test.each([[undefined], [null], [5]])('%o in place of what is to be done is refused before a lock or a place is taken', async (fn) => {
  const world = await new World().open();
  const { store, options, sent } = world.process();
  const refused = { code: 'DROVER_COORDINATION_OPTION', detail: { option: 'fn' } };
  expect(await world.rejection(locks(store, options).withLock('x', fn as never))).toMatchObject(refused);
  expect(await world.rejection(intents(store, options).through('x', fn as never))).toMatchObject(refused);
  expect(sent).toEqual([]);
});

test.each([
  ['options', null],
  ['clok', { clok: 1 }],
  ['clock', { clock: 5 }],
  ['clock', { clock: null }],
])('openStore refuses wrong %s: %o, and leaves the store as it is', async (option, options) => {
  const store = memoryStore();
  await expect(openStore(store, options as never)).rejects.toMatchObject({ code: 'DROVER_COORDINATION_OPTION', detail: { option } });
  await using opened = await openStore(store);
  expect(opened).toBe(store);
});
