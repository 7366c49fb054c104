import { expect, test } from 'vitest';
import { createActor, setup } from 'xstate';
import { fromDecider, NOTHING } from '../../actors/kernel/decider.ts';
import { PersistentMap } from '../../actors/kernel/persistent-map.ts';
import { insert } from '../../actors/sorted-set.ts';
import type { SortedSet } from '../../actors/sorted-set.ts';
import { kept, SHOWN, shown, shownEvent, shownSnapshot } from '../../src/inspect/shown.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

test('what is small is shown whole, as a copy', () => {
  const state = { at: 'held', tasks: [{ id: 'a', input: '{}' }], since: 12.5, holder: null, none: undefined };
  expect(shown(state)).toEqual(state);
  expect(shown(state)).not.toBe(state);
});

test('of a long list the first are shown, and how many more there are', () => {
  expect(shown(numbers(10_000))).toEqual([...numbers(SHOWN.items), `... ${10_000 - SHOWN.items} more`]);
});

test('of an object with many fields, a Map and a Set the first are shown, and how many more there are', () => {
  const entries = numbers(60).map((at) => [`key${at}`, at] as const);
  const first = { ...Object.fromEntries(entries.slice(0, 50)), '...': '10 more' };
  expect(shown(Object.fromEntries(entries))).toEqual(first);
  expect(shown(new Map(entries))).toEqual(first);
  expect(shown(new Set(numbers(60)))).toEqual([...numbers(50), '... 10 more']);
});

test('a sorted set is shown as what is in it, in order', () => {
  let set: SortedSet<number>;
  for (const at of numbers(100)) set = insert(set, (at * 37) % 100, (a, b) => a - b);
  expect(shown({ waiting: set })).toEqual({ waiting: [...numbers(50), '... 50 more'] });
});

test('a queue of 10,000 tasks is shown in a few kilobytes, and what lies at the surface is there whole', () => {
  const slots = numbers(100).map((worker) => ({
    worker: `worker ${worker}`,
    mailbox: numbers(100).map((at) => ({ id: `${worker}-${at}`, input: 'x'.repeat(10_000) })),
  }));
  const copy = shown({ slots, draining: false, more: true }) as Record<string, unknown>;
  expect(copy).toMatchObject({
    draining: false,
    more: true,
    slots: expect.arrayContaining([expect.objectContaining({ worker: 'worker 49' })]),
  });
  expect(JSON.stringify(copy).length).toBeLessThan(16_000);
});

test.each([
  ['deep nesting', () => numbers(1_000).reduce<unknown>((inner) => ({ inner }), 'bottom')],
  ['a value that holds itself', loop],
  ['a tree that grows tenfold a level', () => tree(5)],
])('%s is shown up to a bound', (_name, make) => {
  expect(JSON.stringify(shown(make())).length).toBeLessThan(50_000);
});

function loop(): object {
  const self: Record<string, unknown> = { name: 'self' };
  self['self'] = self;
  return self;
}

function tree(depth: number): unknown {
  return depth === 0 ? 'leaf' : numbers(10).map(() => tree(depth - 1));
}

test('long text is cut, and its length is told', () => {
  expect(shown('x'.repeat(1_000))).toBe(`${'x'.repeat(SHOWN.characters)}... (1000 characters)`);
});

test('what JSON cannot carry is shown in words', () => {
  class Socket {
    readonly #handle = 7;
    get handle(): number {
      return this.#handle;
    }
  }
  expect(
    shown({
      big: 12n,
      endless: Infinity,
      call: function send() {},
      at: new Date(0),
      bytes: new Uint8Array(1_000),
      error: new TypeError('no', { cause: 'why' }),
      socket: new Socket(),
    }),
  ).toEqual({
    big: '12n',
    endless: 'Infinity',
    call: '[function send]',
    at: String(new Date(0)),
    bytes: '[Uint8Array of 1000 bytes]',
    error: { name: 'TypeError', message: 'no', cause: 'why' },
    socket: '[Socket]',
  });
});

test('a field that is called like a secret is not shown', () => {
  const copy = shown({ client: { apiKey: 'sk-1', baseUrl: 'http://here' }, headers: new Map([['Authorization', 'Bearer sk-1']]) });
  expect(copy).toEqual({ client: { apiKey: '[redacted]', baseUrl: 'http://here' }, headers: { Authorization: '[redacted]' } });
});

test('a value whose getter throws does not throw', () => {
  const hostile = {
    get bad(): never {
      throw new Error('no');
    },
  };
  expect(shown(hostile)).toBe('[cannot be shown]');
  expect(shownEvent({ type: 'tick', hostile })).toEqual({ type: 'tick' });
});

test('the state of a decider is its context, and its `at` its value', () => {
  const held = fromDecider(
    { initial: () => [{ at: 'held', holder: 'a' }, NOTHING], decide: (state) => [state, NOTHING] },
    new VirtualClock(),
  );
  const snapshot = createActor(held).getSnapshot();
  expect(shownSnapshot(snapshot)).toEqual({ status: 'active', value: 'held', context: { at: 'held', holder: 'a' } });
});

test('the children of a supervisor are shown as they were in that state, however much later it is read', () => {
  const before = new PersistentMap([['a', { id: 'a', at: 'running' }]]);
  const snapshot = kept({ status: 'active', state: { phase: { at: 'running' }, children: before } });
  const after = before.with('a', { id: 'a', at: 'resting' });
  expect(shownSnapshot(snapshot)).toMatchObject({ value: 'running', context: { children: [{ id: 'a', at: 'running' }] } });
  expect(after.get('a')).toEqual({ id: 'a', at: 'resting' });
  const many = new PersistentMap(numbers(1_000).map((at) => [String(at), at]));
  expect(shown({ children: many })).toEqual({ children: '[1000 items]' });
});

test('the snapshot of a machine stays one, with its context cut and its history as ids', () => {
  const machine = setup({ types: { context: {} as { items: readonly number[] } } }).createMachine({
    id: 'order',
    context: { items: numbers(1_000) },
    initial: 'open',
    states: {
      open: { initial: 'new', states: { new: { on: { NEXT: 'paid' } }, paid: {}, last: { type: 'history' } }, on: { STOP: 'away' } },
      away: { on: { BACK: 'open.last' } },
    },
  });
  const actor = createActor(machine).start();
  actor.send({ type: 'NEXT' });
  actor.send({ type: 'STOP' });
  const copy = shownSnapshot(actor.getSnapshot()) as unknown as ReturnType<typeof actor.getSnapshot>;
  expect(copy.matches('away')).toBe(true);
  const json = JSON.parse(JSON.stringify(copy)) as Record<string, unknown>;
  expect(json).toMatchObject({ status: 'active', value: 'away', historyValue: { 'order.open.last': [{ id: 'order.open.paid' }] } });
  expect((json['context'] as { readonly items: readonly unknown[] }).items).toHaveLength(SHOWN.items + 1);
});
