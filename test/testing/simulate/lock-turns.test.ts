/** The checker of turns in the line for locks, over single facts: who stands there still after a pause that was noted. */
import { expect, test } from 'vitest';
import type { Fact } from '../../../src/testing/invariants/fact.ts';
import { LOCK_TURNS } from '../../../src/testing/invariants/locks.ts';

const row = [{ resource: 'row', mode: 'write' as const }];

/** What is said to be broken, when these facts are seen. */
function brokenBy(...facts: readonly object[]): readonly string[] {
  const said: string[] = [];
  const checker = LOCK_TURNS.check(undefined as never, (message) => void said.push(message)) as Record<
    string,
    ((fact: object, atMs: number) => void) | undefined
  >;
  for (const fact of facts) checker[(fact as Fact).at]?.(fact, 0);
  return said;
}

const accepted = (id: string) => ({ at: 'store.accepted', task: { id, locks: row } });
const blocked = (id: string, nowMs: number) => ({ at: 'store.blocked', held: { id, fence: 1 }, waits: true, nowMs });
const steered = (id: string, action: string, at: string) => ({ at: 'store.steered', steering: { id, action }, outcome: { at } });
const opened = (...paused: readonly string[]) => ({ at: 'store.opened', epoch: 2, paused });
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
