import { expect, test } from 'vitest';
import { checkSkeleton } from '../../../src/testing/explore/check.ts';
import type { CheckOptions, Verdict, Violation } from '../../../src/testing/explore/check.ts';
import type { Skeleton } from '../../../src/testing/explore/skeleton.ts';
import { convergent, large, locks, parkedParents, permits, poison, pool, ring, starting, stopping, wakeUp } from './planted.ts';

function violated(skeleton: Skeleton, options: CheckOptions = {}): Violation {
  const verdict = checkSkeleton(skeleton, options);
  expect(verdict).toMatchObject({ at: 'violated' });
  return verdict as Violation;
}

function proved(skeleton: Skeleton, options: CheckOptions = {}): Extract<Verdict, { at: 'proved' }> {
  const verdict = checkSkeleton(skeleton, options);
  expect(verdict).toMatchObject({ at: 'proved' });
  return verdict as Extract<Verdict, { at: 'proved' }>;
}

test('D1: locks taken in opposite orders are a deadlock after two moves, sorted and all at once they are none', () => {
  expect(violated(locks.faulty)).toMatchObject({
    kind: 'deadlock',
    trace: ['one takes a', 'other takes b'],
    cycle: ['b: held by other (half), who waits for a', 'a: held by one (half), who waits for b'],
    noReturnAfter: 2,
  });
  proved(locks.correct);
});

test('D2: nested permits in opposite orders are a deadlock, shrunk to one of each; one vector is none', () => {
  const found = violated(permits.faulty);
  expect(found).toMatchObject({ kind: 'deadlock', trace: ['writer takes model', 'reader takes crm'] });
  expect(found.shrunk).toEqual(['writer: 1 instead of 4', 'reader: 1 instead of 4', 'model: 1 instead of 2', 'crm: 1 instead of 2']);
  expect(violated(permits.faulty, { shrink: false }).trace).toHaveLength(4);
  proved(permits.correct);
});

test('D3: an ask inside a full pool is a deadlock, with parking it is none', () => {
  expect(violated(pool.faulty)).toMatchObject({
    kind: 'deadlock',
    trace: ['task at depth 0 takes worker', 'task at depth 0 starts a task at depth 1'],
    cycle: [
      'worker: held by task at depth 0 (waits, 1 open child), who waits for task at depth 1 to go on',
      'task at depth 1 to go on: up to task at depth 1 (queued), who waits for worker',
    ],
  });
  expect(proved(pool.correct).ranked.at).toBe('free');
});

test('D4: nodes that wait for room in the next mailbox are a deadlock, requests with a reserved reply place are none', () => {
  const found = violated(ring.faulty);
  expect(found).toMatchObject({ kind: 'deadlock' });
  expect(found.trace).toHaveLength(9);
  expect(found.cycle).toHaveLength(3);
  expect(found.holdings).toContain('mailbox 0 holds 1 of at most 1 messages');
  proved(ring.correct);
});

test('D8: parked parents that keep their place are a deadlock, those that give it back are none', () => {
  const found = violated(parkedParents.faulty);
  expect(found).toMatchObject({ kind: 'deadlock', holdings: ['parent (parked, 1 open child) holds place'] });
  expect(found.trace).toHaveLength(3);
  expect(proved(parkedParents.correct).ranked.at).toBe('free');
});

test('D9: a child that asks its supervisor in init is a deadlock, a start of two messages is none', () => {
  expect(violated(starting.faulty)).toMatchObject({
    kind: 'deadlock',
    trace: ['supervisor sends to to child', 'child takes a message from to child', 'child asks to supervisor'],
  });
  proved(starting.correct);
});

test('D9: a child that ignores its stop holds its supervisor up, with a deadline and a kill it does not', () => {
  expect(violated(stopping.faulty)).toMatchObject({
    kind: 'deadlock',
    trace: ['supervisor sends to stop', 'child goes on to ignores everything'],
  });
  proved(stopping.correct);
});

test('D12: a lost hint leaves work undone, a poll finds it', () => {
  const found = violated(wakeUp.faulty);
  expect(found).toMatchObject({ kind: 'deadlock' });
  expect(found.trace.toSorted()).toEqual(['reader finds nothing and falls asleep', 'writer loses the hint', 'writer sends to rows']);
  proved(wakeUp.correct);
});

test('D13: agents that all give way alike can go on like that for ever, arbitration by arrival can not', () => {
  const found = violated(convergent.faulty, { fairness: 'weak', starvation: 'none' });
  expect(found.kind).toBe('livelock');
  expect(found.repeats.length).toBeGreaterThan(2);
  proved(convergent.correct, { fairness: 'weak', starvation: 'none' });
  // A scheduler with some chance in it gets them out of it.
  proved(convergent.faulty);
});

test('D14: a task that always fails at the head of a line is a livelock, an attempt limit ends it', () => {
  expect(violated(poison.faulty)).toMatchObject({
    kind: 'livelock',
    trace: ['poison takes head'],
    repeats: ['poison takes worker', 'poison gives back worker'],
  });
  proved(poison.correct);
});

test('D7: a large request can starve among small ones under weak fairness, and not where chance helps', () => {
  expect(violated(large, { fairness: 'weak' })).toMatchObject({ kind: 'starvation', victim: 'large' });
  proved(large);
});
