import { describe, expect, test } from 'vitest';
import type { ClaimedTask } from '../../../actors/ports/store.ts';
import type { QueueEffect } from '../../../actors/queue.ts';
import { Bench, keyOf, of, sticky, task } from './bench.ts';

const MAIL = keyOf('owner', 'thief');

/** A worker that is at work, with a full mailbox and 4 tasks in its box; claims are answered short until then. */
function full(mode: 'dedicated' | 'steal', capacity = 4, stealAbove = 2): Bench {
  const queue = new Bench({ mode, capacity, stealAbove });
  queue.join('owner');
  queue.give(sticky(MAIL, capacity + 5), capacity + 6);
  return queue;
}

/** The answer to a claim of the owner's box. */
const fetched = (queue: Bench, tasks: readonly ClaimedTask[], asked: number): readonly QueueEffect[] =>
  queue.tell({ type: 'queue.claimed', tasks, asked, box: 'owner' });

const claimsIn = (effects: readonly QueueEffect[]): unknown[] => of(effects, 'queue.claim').map(({ limit, box }) => [limit, box]);

describe('a full mailbox', () => {
  test('spills what does not fit into its box, and asks for it when half of its room is free', () => {
    const queue = full('dedicated');
    expect(of(queue.effects, 'queue.spill')).toEqual([{ type: 'queue.spill', worker: 'owner', tasks: sticky(MAIL, 4, 5) }]);
    expect(queue.slot('owner')).toMatchObject({ mailbox: { length: 4 }, spilled: 4 });
    expect(claimsIn(queue.end(task(0)))).toEqual([]);
    expect(claimsIn(queue.end(task(1)))).toEqual([[2, 'owner']]);
    expect(queue.slot('owner').spilled).toBe(0);
  });

  test('what is in no box is asked for beside it, half as much: it may be more urgent, or have begun', () => {
    const queue = full('dedicated');
    queue.tell({ type: 'queue.ready' });
    queue.end(task(0));
    expect(claimsIn(queue.end(task(1)))).toEqual([
      [2, 'owner'],
      [1, undefined],
    ]);
    expect(of(queue.give([{ ...task('urgent', 1, MAIL), priority: 1, rank: -1 }], 1), 'queue.spill')).toMatchObject([
      { tasks: [{ id: 't4' }] },
    ]);
    expect(queue.mailbox('owner')).toEqual(['turgent', 't3']);
  });

  test('who has waited long is not passed, however often it has been given back and claimed again', () => {
    const queue = full('dedicated', 1);
    queue.end(task(0));
    // Claimed late, and submitted early.
    fetched(queue, [{ ...task('old', 9, MAIL), rank: 0, leaseUntilMs: 500_000 }], 1);
    queue.end(task(1));
    queue.tell({ type: 'queue.ready' });
    expect(queue.run('owner')).toBe('told');
    fetched(queue, [{ ...task('old too', 9, MAIL), rank: 0, leaseUntilMs: 500_000 }], 1);
    const urgent = { ...task('urgent', 1, MAIL), priority: 1, rank: 1, leaseUntilMs: 501_000 };
    expect(of(queue.give([urgent]), 'queue.spill')).toMatchObject([{ tasks: [{ id: 'turgent' }] }]);
    expect(queue.mailbox('owner')).toEqual(['told too']);
  });

  test('one claim of a box at a time, beside one of what is in none', () => {
    const queue = full('dedicated');
    queue.join('other');
    queue.tell({ type: 'queue.ready' });
    queue.end(task(0));
    expect(claimsIn(queue.end(task(1)))).toEqual([[2, 'owner']]);
    expect(claimsIn(queue.end(task(2)))).toEqual([]);
    expect(claimsIn(fetched(queue, sticky(MAIL, 2, 5), 2))).toEqual([]);
    expect(queue.mailbox('owner')).toEqual(['t4', 't5', 't6']);
  });

  test('a box is empty when a claim of it comes short, and not before', () => {
    const queue = full('dedicated');
    for (const at of [0, 1]) queue.end(task(at));
    fetched(queue, sticky(MAIL, 2, 5), 2);
    for (const at of [2, 3]) queue.end(task(at));
    expect(claimsIn(queue.effects)).toEqual([[2, 'owner']]);
    // It got all that there was, but nobody can know.
    expect(claimsIn(fetched(queue, sticky(MAIL, 2, 7), 2))).toEqual([]);
    for (const at of [4, 5]) queue.end(task(at));
    expect(claimsIn(queue.effects)).toEqual([[2, 'owner']]);
    fetched(queue, [], 2);
    for (const at of [6, 7, 8]) expect(claimsIn(queue.end(task(at))).filter((claim) => (claim as unknown[])[1] !== undefined)).toEqual([]);
    expect(queue.slot('owner').spilled).toBe(0);
  });

  test('what comes while the box holds something goes behind it, even where there is room', () => {
    const queue = full('dedicated');
    queue.tell({ type: 'queue.ready' });
    for (const at of [0, 1]) queue.end(task(at));
    expect(of(queue.give([task('new', 1, MAIL)]), 'queue.spill')).toMatchObject([{ worker: 'owner', tasks: [{ id: 'tnew' }] }]);
    // Also what was spilled after the claim was asked for is not forgotten when that comes short.
    fetched(queue, [], 2);
    expect(claimsIn(queue.effects)).toEqual([[2, 'owner']]);
  });

  test('the places of what has been asked for are kept free', () => {
    const queue = full('dedicated', 2);
    for (const at of [0, 1]) queue.end(task(at));
    queue.give([task('free'), task('too')], 3);
    expect(of(queue.effects, 'queue.spill')).toMatchObject([{ worker: 'owner', tasks: [{ id: 'ttoo' }] }]);
    expect(fetched(queue, sticky(MAIL, 1, 3), 1)).toEqual([]);
    expect(queue.mailbox('owner')).toEqual(['tfree', 't3']);
  });

  test('nobody is idle while its box is asked for something', () => {
    const queue = full('dedicated', 1);
    for (const at of [0, 1]) queue.end(task(at));
    expect(of(queue.effects, 'send')).toEqual([]);
    expect(queue.run('owner')).toBeUndefined();
    expect(of(fetched(queue, [], 2), 'send')).toMatchObject([{ to: 'owner', message: { type: 'worker.idle' } }]);
  });

  test('the box of a worker that leaves, or is gone, is opened to everybody', () => {
    for (const end of ['leave', 'exit'] as const) {
      const queue = full('dedicated');
      expect(of(queue[end]('owner'), 'queue.unbox')).toEqual([{ type: 'queue.unbox', worker: 'owner' }]);
      const asked = full('dedicated');
      for (const at of [0, 1]) asked.end(task(at));
      expect(asked.slot('owner').spilled).toBe(0);
      expect(of(asked[end]('owner'), 'queue.unbox')).toEqual([{ type: 'queue.unbox', worker: 'owner' }]);
      // The answer that is still to come finds another worker, or none.
      expect(of(fetched(asked, sticky(MAIL, 1, 5), 2), 'queue.release')).toMatchObject([{ tasks: [{ id: 't5' }] }]);
    }
    const queue = new Bench({ mode: 'dedicated', capacity: 4, stealAbove: 2 });
    queue.join('owner');
    // A kind that is paused answers as if there were nothing in it.
    expect(of(queue.leave('owner'), 'queue.unbox')).toEqual([{ type: 'queue.unbox', worker: 'owner' }]);
  });

  test('an answer that came when its leases were over does not prove a box empty', () => {
    const queue = full('dedicated');
    for (const at of [0, 1]) queue.end(task(at));
    const late = queue.tell({ type: 'queue.claimed', tasks: [], asked: 2, box: 'owner', late: true });
    expect(claimsIn(late)).toEqual([[2, 'owner']]);
  });

  test('a successor that joins before the news of the death has the box', () => {
    const queue = full('dedicated');
    queue.join('owner', 2);
    expect(of(queue.effects, 'queue.unbox')).toEqual([]);
    expect(queue.mailbox('owner')).toEqual(['t2', 't3', 't4']);
    expect(claimsIn(queue.end(task(1)))).toEqual([[2, 'owner']]);
  });

  test('a queue that was started again opens the boxes of all its workers', () => {
    const queue = new Bench({ capacity: 2, stealAbove: 2, workers: ['a', 'b'] });
    expect(of(queue.effects, 'queue.unbox').map(({ worker }) => worker)).toEqual(['a', 'b']);
  });

  test('the late answer to a former incarnation, taken for that of this one, forgets nothing of the box', () => {
    const queue = full('dedicated');
    for (const at of [0, 1]) queue.end(task(at));
    fetched(queue, [], 2);
    expect(claimsIn(fetched(queue, sticky(MAIL, 2, 5), 2))).toEqual([[2, 'owner']]);
  });

  test('draining opens the boxes, and asks for nothing more', () => {
    const queue = full('dedicated');
    expect(of(queue.tell({ type: 'queue.drain' }), 'queue.unbox')).toEqual([{ type: 'queue.unbox', worker: 'owner' }]);
    expect(of(queue.end(task(0)), 'queue.claim')).toEqual([]);
  });

  test('who has room finds little in the store: it looks further only when somebody is idle', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 4, stealAbove: 2 });
    queue.join('owner');
    queue.join('other');
    queue.give([task('x', 1, keyOf('other', 'owner')), ...sticky(keyOf('owner', 'other'), 20)], 21);
    expect(of(queue.effects, 'queue.spill')).toMatchObject([{ worker: 'owner' }]);
    expect(claimsIn(queue.effects)).toEqual([]);
    expect(claimsIn(queue.end(task('x')))).toEqual([[5, undefined]]);
  });
});

describe('a thief at a box', () => {
  /** The owner at its threshold, and behind it nothing but its box; a thief that has nothing. */
  function robbed(): Bench {
    const queue = full('steal', 4, 4);
    queue.join('thief');
    return queue;
  }

  test('claims half of what is there, for itself', () => {
    const queue = robbed();
    expect(claimsIn(queue.effects)).toContainEqual([2, 'owner']);
    const effects = fetched(queue, sticky(MAIL, 2, 5), 2);
    expect(queue.run('thief')).toBe('t5');
    expect(queue.mailbox('thief')).toEqual(['t6']);
    expect(of(effects, 'queue.stole')).toEqual([{ type: 'queue.stole', thief: 'thief', victim: 'owner', count: 2 }]);
  });

  test('S13 gets only what lies behind the threshold by the time it comes', () => {
    const queue = robbed();
    queue.end(task(0));
    const effects = fetched(queue, sticky(MAIL, 2, 5), 2);
    expect(queue.mailbox('owner')).toEqual(['t2', 't3', 't4', 't5']);
    expect(queue.run('thief')).toBe('t6');
    expect(of(effects, 'queue.stole')).toMatchObject([{ count: 1 }]);
  });

  test('S13 leaves an owner that is free its next task, and as many behind it as the threshold says', () => {
    const queue = new Bench({ mode: 'steal', capacity: 4, stealAbove: 3 });
    queue.join('owner');
    queue.give(sticky(MAIL, 13), 14);
    // The first takes what lies behind the threshold of the mailbox, the second has only the box left.
    queue.join('first');
    expect(claimsIn(queue.join('second'))).toEqual([[4, 'owner']]);
    for (const at of [0, 1, 2, 3]) queue.end(task(at));
    expect(queue.run('owner')).toBeUndefined();
    expect(of(fetched(queue, sticky(MAIL, 4, 5), 4), 'queue.stole')).toEqual([]);
    expect([queue.run('owner'), queue.mailbox('owner'), queue.run('second')]).toEqual(['t5', ['t6', 't7', 't8'], undefined]);
  });

  test('steals nothing else while it waits for that', () => {
    const queue = robbed();
    expect(of(queue.tell({ type: 'queue.configure', stealAbove: 1 }), 'queue.stole')).toEqual([]);
    fetched(queue, [], 2);
    expect(of(queue.effects, 'queue.stole')).toMatchObject([{ thief: 'thief', count: 2 }]);
  });

  test('has nothing of it when the mode has changed meanwhile', () => {
    const queue = robbed();
    queue.tell({ type: 'queue.configure', mode: 'dedicated' });
    expect(of(fetched(queue, sticky(MAIL, 2, 5), 2), 'queue.stole')).toEqual([]);
    expect(queue.mailbox('thief')).toEqual([]);
  });

  test('a threshold that is deeper than a mailbox may be reaches into the box: what lies before it is left', () => {
    const queue = full('steal', 1, 3);
    // Four in the box, and one in the mailbox: two are behind the threshold.
    expect(claimsIn(queue.join('thief'))).toContainEqual([1, 'owner']);
    expect(of(fetched(queue, sticky(MAIL, 1, 2), 1), 'queue.stole')).toMatchObject([{ thief: 'thief', count: 1 }]);
    expect([queue.mailbox('owner'), queue.run('thief'), queue.slot('owner').spilled]).toEqual([['t1'], 't2', 3]);
    // One is left behind it, and then none.
    expect(claimsIn(queue.end(task(2)))).toContainEqual([1, 'owner']);
    fetched(queue, sticky(MAIL, 1, 3), 1);
    expect(claimsIn(queue.end(task(3)))).not.toContainEqual([expect.any(Number), 'owner']);
    expect(queue.run('thief')).toBeUndefined();
  });

  test('gives an owner nothing for which its mailbox has no room', () => {
    const queue = new Bench({ mode: 'steal', capacity: 1, stealAbove: 2 });
    queue.join('owner');
    queue.give(sticky(MAIL, 3), 4);
    queue.join('thief');
    queue.tell({ type: 'queue.ready' });
    // It takes the place of another, which goes into the box: there are two behind, one too many.
    const effects = queue.give([{ ...task('urgent', 1, MAIL), priority: 2, rank: -1 }], 4);
    expect(of(effects, 'queue.spill')).toMatchObject([{ tasks: [{ id: 't1' }] }]);
    expect(claimsIn(effects)).toContainEqual([1, 'owner']);
    const stolen = fetched(queue, sticky(MAIL, 1, 2), 1);
    expect([queue.mailbox('owner'), queue.run('thief'), of(stolen, 'queue.spill')]).toEqual([['turgent'], 't2', []]);
  });

  test('does not come below the threshold: the owner asks for its own', () => {
    const queue = full('steal', 4, 4);
    for (const at of [0, 1]) queue.end(task(at));
    expect(claimsIn(queue.effects)).toEqual([[2, 'owner']]);
    queue.join('thief');
    expect(claimsIn(queue.effects)).not.toContainEqual([expect.any(Number), 'owner']);
  });
});
