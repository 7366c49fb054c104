/** Checkers over single facts: what each of them has to tell apart. */
import { describe, expect, test } from 'vitest';
import { S11 } from '../../../src/testing/invariants/effects.ts';
import { LEASES } from '../../../src/testing/invariants/leases.ts';
import { saidBy } from './kit.ts';

describe('S11, calls of parked tasks', () => {
  const began = (fence: number) => ({ at: 'call.began', key: 't/call:d#1', task: 't', fence });
  const expired = (fence: number) => ({ at: 'store.expired', held: { id: 't', fence, status: 'parked' } });
  const parked = { at: 'scene.still', look: { task: () => ({ status: 'parked' }) } };
  const settled = { at: 'store.settled', settlement: { id: 't', fence: 2, outcome: { at: 'parked' } }, outcome: { status: 'parked' } };

  test('one that goes on while its task is parked is found', () => {
    expect(saidBy(S11, [began(2), parked])).toHaveLength(1);
    expect(saidBy(S11, [began(2), settled])).toHaveLength(1);
  });

  test('one of a run whose lease ran out goes on until its process hears of that: the task is paused meanwhile', () => {
    expect(saidBy(S11, [began(2), expired(2), parked])).toEqual([]);
  });

  test('one of the run after that is found', () => {
    expect(saidBy(S11, [expired(1), began(2), parked])).toHaveLength(1);
    expect(saidBy(S11, [expired(1), began(2), settled])).toHaveLength(1);
  });
});

describe('S12, leases of names', () => {
  const asked = (nowMs: number) => ({ at: 'store.leases-asked', nowMs });
  const leased = (holder: string, fence: number, nowMs: number) => ({
    at: 'store.leased',
    lease: { name: 'lock:a', holder, fence },
    untilMs: nowMs + 100,
    nowMs,
  });

  test('one that is given to another while it lasts is found, also when the store was asked before', () => {
    expect(saidBy(LEASES, [leased('a', 1, 10), leased('b', 2, 60)])).toHaveLength(1);
    expect(saidBy(LEASES, [leased('a', 1, 10), asked(109), leased('b', 2, 60)])).toHaveLength(1);
  });

  test('by the clock of a new owner that is behind it lasts as long as it was given for, and no longer', () => {
    const opened = (nowMs: number) => ({ at: 'store.opened', epoch: 2, nowMs, paused: [] });
    expect(saidBy(LEASES, [leased('a', 1, 5_000), opened(1_000), leased('b', 2, 1_100)])).toEqual([]);
    expect(saidBy(LEASES, [leased('a', 1, 5_000), opened(1_000), leased('b', 2, 1_099)])).toHaveLength(1);
    expect(saidBy(LEASES, [leased('a', 1, 5_000), opened(5_050), leased('b', 2, 5_099)])).toHaveLength(1);
  });

  test('one that had run out by what the store was told stays so for whoever asked before that, and is heard later', () => {
    expect(saidBy(LEASES, [leased('a', 1, 10), asked(110), leased('b', 2, 10)])).toEqual([]);
  });
});
