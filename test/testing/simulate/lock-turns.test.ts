/** The checker of turns in the line for locks, over single facts: who stands there still, and what the scene says of that. */
import { expect, test } from 'vitest';
import type { NewTask, Store } from '../../../actors/ports/store.ts';
import { inMemory } from '../../../src/testing/simulate/in-memory.ts';
import type { Fact } from '../../../src/testing/invariants/fact.ts';
import { LOCK_TURNS } from '../../../src/testing/invariants/locks.ts';
import { faultyStore } from '../../../src/testing/simulate/faulty-store.ts';
import { Scene } from '../../../src/testing/simulate/scene.ts';
import { saidBy } from './kit.ts';
import { KIND, newTask } from '../../stores/tasks.ts';

const row = [{ resource: 'row', mode: 'write' as const }];

const brokenBy = (...facts: readonly object[]) => saidBy(LOCK_TURNS, facts);

const accepted = (id: string) => ({ at: 'store.accepted', task: { id, locks: row } });
const blocked = (id: string, nowMs: number) => ({ at: 'store.blocked', held: { id, fence: 1 }, waits: true, nowMs });
const steered = (id: string, action: string, at: string) => ({ at: 'store.steered', steering: { id, action }, outcome: { at } });
const opened = (...paused: readonly string[]) => ({ at: 'store.opened', epoch: 2, nowMs: 1, paused });
const passes = (id: string, nowMs: number) => ({
  at: 'store.started',
  held: { id, fence: 1 },
  start: { locks: row, lockFence: nowMs, undo: null },
  nowMs,
});

const COMING = ['waiter', 'a', 'b', 'c'].map((id) => accepted(id));
const PASSING = ['a', 'b', 'c'].map((id, at) => passes(id, 10 + at));

test('three that pass one who waits are one too many, also over a restart', () => {
  expect(brokenBy(...COMING, blocked('waiter', 1), ...PASSING)).toHaveLength(1);
  expect(brokenBy(...COMING, blocked('waiter', 1), PASSING[0]!, opened(), ...PASSING.slice(1))).toHaveLength(1);
});

test('one that was woken by a clock that was set back has its turn for a while by that clock', () => {
  const passedAt = (...times: readonly number[]) =>
    brokenBy(...COMING, blocked('waiter', 9_000), ...times.map((nowMs, at) => passes(['a', 'b', 'c'][at]!, nowMs)));
  expect(passedAt(9_001, 9_002, 38_000)).toHaveLength(1);
  expect(passedAt(10, 11, 38_000)).toEqual([]);
});

test('whether one with an order key stood in line when the store was opened is not known, and so not who stands since when', () => {
  const others = ['a', 'b', 'c'];
  const keyed = { at: 'store.accepted', task: { id: 'other', locks: row, orderKey: 'k' } };
  const stood = (other: object) => [other, blocked('other', 9_000), opened()];
  const passing = others.map((id, at) => passes(id, 30 + at));
  // All come at once: whoever was submitted first is before the others. By a clock that is behind one in the line, whoever came first is.
  const submittedFirst = [
    ...['waiter', ...others].map((id) => accepted(id)),
    ...[...others, 'waiter'].map((id) => blocked(id, 10)),
    ...passing,
  ];
  const cameFirst = [...[...others, 'waiter'].map((id) => accepted(id)), ...['waiter', ...others].map((id) => blocked(id, 10)), ...passing];
  const isPassed = (...facts: readonly object[]): boolean => brokenBy(...facts).some((said) => said.includes('waiter waits'));
  expect([isPassed(opened(), ...submittedFirst), isPassed(opened(), ...cameFirst)]).toEqual([true, false]);
  const stands = stood(accepted('other'));
  expect([isPassed(...stands, ...submittedFirst), isPassed(...stands, ...cameFirst)]).toEqual([false, true]);
  const mayStand = stood(keyed);
  expect([isPassed(...mayStand, ...submittedFirst), isPassed(...mayStand, ...cameFirst)]).toEqual([false, false]);
});

test('one that was paused on its way to a worker has left the line when the store is opened', () => {
  expect(brokenBy(...COMING, blocked('waiter', 1), steered('waiter', 'pause', 'noted'), opened('waiter'), ...PASSING)).toEqual([]);
});

test('one that is not paused by then stands there still, whatever was noted before', () => {
  const stands = [...COMING, blocked('waiter', 1), steered('waiter', 'pause', 'noted')];
  expect(brokenBy(...stands, steered('waiter', 'unpause', 'done'), opened(), ...PASSING)).toHaveLength(1);
  // A cancellation took the place of the pause: what is undone first keeps its place.
  expect(brokenBy(...stands, steered('waiter', 'cancel', 'noted'), opened(), ...PASSING)).toHaveLength(1);
  expect(brokenBy(...stands, opened(), ...PASSING)).toHaveLength(1);
});

/** A store in memory, and who was said to be blocked there, and whether it waits. */
async function blockedIn(
  act: (store: Store) => Promise<unknown>,
  changes: Partial<NewTask> = {},
): Promise<readonly (readonly [id: string, waits: boolean])[]> {
  const said: [string, boolean][] = [];
  const watch = {
    name: 'watch',
    promise: '',
    check: () => ({ 'store.blocked': ({ held, waits }: Extract<Fact, { at: 'store.blocked' }>) => void said.push([held.id, waits]) }),
  };
  const disk = inMemory();
  const scene = new Scene(undefined as never, [watch], disk, () => 0, false);
  const committed = scene.committed.bind(scene);
  const store = faultyStore(disk.store(), { committed }, async () => {});
  await store.open({ nowMs: 0, maxUnfinished: 10 });
  await store.submit(
    ['holder', 'waiter'].map((id) => newTask(id, { locks: row, ...changes })),
    1,
  );
  await store.claim({ wants: [{ kind: KIND, limit: 2 }], leaseUntilMs: 1_000, nowMs: 2 });
  await store.start([{ id: 'holder', fence: 1 }], 3);
  await act(store);
  return said;
}

test('one that was blocked, and is woken by a command beside that, is said to wait: it keeps its place', async () => {
  const told = await blockedIn((store) =>
    Promise.all([
      store.start([{ id: 'waiter', fence: 1 }], 4),
      store.settle([{ id: 'holder', fence: 1, outcome: { at: 'completed', result: 'null', sends: [] } }], 4),
    ]),
  );
  expect(told).toEqual([['waiter', true]]);
});

test('one that was to be paused when it was blocked is not', async () => {
  const told = await blockedIn(async (store) => {
    await store.steer([{ id: 'waiter', action: 'pause', by: 'somebody', reason: null }], 4);
    await store.start([{ id: 'waiter', fence: 1 }], 5);
  });
  expect(told).toEqual([['waiter', false]]);
});

test('one that rejects conflicts is not', async () => {
  const told = await blockedIn((store) => store.start([{ id: 'waiter', fence: 1 }], 4), { onConflict: 'reject' });
  expect(told).toEqual([['waiter', false]]);
});
