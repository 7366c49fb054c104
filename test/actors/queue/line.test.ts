import { describe, expect, test } from 'vitest';
import type { ClaimedTask } from '../../../actors/ports/store.ts';
import { Bench, keyOf, of, sticky, task, tasks } from './bench.ts';

const MINUTE = 60_000;

/** A task of this priority, submitted and claimed so many milliseconds after the beginning. */
const ranked = (name: string, priority: number, atMs = 0, affinity: string | null = null): ClaimedTask => ({
  ...task(name, 1, affinity),
  priority,
  rank: atMs - priority * MINUTE,
  leaseUntilMs: MINUTE + atMs,
});

function crew(workers: number, capacity = 16): Bench {
  const queue = new Bench({ capacity, stealAbove: 4 });
  for (let at = 0; at < workers; at += 1) queue.join(`w${at}`);
  return queue;
}

const runs = (queue: Bench): (string | undefined)[] => queue.state.slots.map(({ run }) => run?.id);

describe('what has no affinity', () => {
  test('is bound to nobody: of 5 tasks for 4 workers the fifth goes to the first that is free', () => {
    const queue = crew(4);
    queue.give(tasks(5));
    expect([runs(queue), queue.line]).toEqual([['t0', 't1', 't2', 't3'], ['t4']]);
    expect(queue.state.slots.every(({ mailbox }) => mailbox.length === 0)).toBe(true);
    queue.end(task(2));
    expect(runs(queue)).toEqual(['t0', 't1', 't4', 't3']);
  });

  test('does not wait behind a long run for want of a threshold: who comes takes it', () => {
    const queue = crew(1);
    queue.give(tasks(5));
    for (const worker of ['w1', 'w2', 'w3']) queue.join(worker);
    expect([runs(queue), queue.line]).toEqual([['t0', 't1', 't2', 't3'], ['t4']]);
    expect(of(queue.effects, 'queue.stole')).toEqual([]);
  });

  test('stays where it is when a worker leaves or dies, and goes back with the last one', () => {
    const queue = crew(2);
    queue.give(tasks(4));
    expect(of(queue.leave('w0'), 'queue.release')).toEqual([]);
    expect(queue.line).toEqual(['t2', 't3']);
    expect(of(queue.exit('w1'), 'queue.release')).toEqual([{ type: 'queue.release', tasks: [task(2), task(3)] }]);
  });
});

describe('a mailbox and the line', () => {
  const mine = keyOf('w0', 'w1');
  /** Both work; one task waits for the first of them, one for anybody. */
  function waiting(own: ClaimedTask, any: ClaimedTask): Bench {
    const queue = crew(2);
    queue.give([task('a', 1, mine), task('b', 1, keyOf('w1', 'w0'))]);
    queue.give([own, any]);
    expect([queue.mailbox('w0'), queue.line]).toEqual([[own.id], [any.id]]);
    return queue;
  }

  test('who is free takes what was claimed earlier, so neither starves the other', () => {
    const older = waiting(ranked('own', 0, 2, mine), ranked('any', 0, 1));
    older.end(task('a'));
    expect(older.run('w0')).toBe('tany');
    const younger = waiting(ranked('own', 0, 1, mine), ranked('any', 0, 2));
    younger.end(task('a'));
    expect(younger.run('w0')).toBe('town');
  });

  test('of those claimed together its own goes first', () => {
    const queue = waiting(ranked('own', 0, 0, mine), ranked('any', 0));
    queue.end(task('a'));
    expect(queue.run('w0')).toBe('town');
  });

  test('the more urgent goes first, whichever it is', () => {
    const queue = waiting(ranked('own', 0, 1, mine), ranked('any', 1, 2));
    queue.end(task('a'));
    expect(queue.run('w0')).toBe('tany');
  });

  test('who has nothing of its own comes to the line first, so nobody is idle', () => {
    const queue = waiting(ranked('own', 0, 2, mine), ranked('any', 0, 1));
    queue.end(task('a'), task('b'));
    expect([queue.run('w0'), queue.run('w1')]).toEqual(['town', 'tany']);
  });
});

describe('the length of a line', () => {
  const claims = (queue: Bench): number[] => of(queue.effects, 'queue.claim').map(({ limit }) => limit);

  test('is one for each worker: what is claimed is behind the reach of the urgent in the store', () => {
    const queue = crew(4);
    queue.give([], 2);
    queue.tell({ type: 'queue.ready' });
    expect(claims(queue)).toEqual([8]);
    queue.give(tasks(8), 8);
    expect([queue.line.length, claims(queue)]).toEqual([4, []]);
    queue.end(task(0));
    expect(claims(queue)).toEqual([]);
    queue.end(task(1));
    expect(claims(queue)).toEqual([2]);
  });

  /** A claim is answered in full after so many runs of two workers have ended. */
  function round(queue: Bench, ended: number): number {
    let asked: number | undefined;
    const watch = (): number | undefined => (asked ??= claims(queue)[0]);
    while (watch() === undefined) queue.end(queue.slot('w0').run!);
    for (let at = 0; at < ended; at += 1) {
      const { run } = queue.slot(`w${at % 2}`);
      if (run !== null) queue.end(run);
    }
    next += asked!;
    queue.give(tasks(asked!, next - asked!), asked);
    return asked!;
  }
  let next = 0;

  test('doubles when it has run dry before a claim was answered, up to the capacity, and shrinks when it is never needed', () => {
    const queue = crew(2, 8);
    next = 10;
    queue.give(tasks(4), 4);
    expect(queue.state.ahead).toBe(1);
    round(queue, 40);
    expect(queue.state.ahead).toBe(2);
    for (let at = 0; at < 10; at += 1) round(queue, 40);
    expect(queue.state.ahead).toBe(8);
    for (let at = 0; at < 200; at += 1) round(queue, 0);
    expect(queue.state.ahead).toBe(1);
  });

  test('doubles when claims follow each other within 20 ms, for a claim costs more than such a task, and not for a burst', () => {
    const queue = crew(2, 8);
    next = 10;
    queue.give(tasks(4), 4);
    for (let at = 0; at < 40; at += 1) {
      queue.stepMs = at % 4 === 0 ? 200 : 0;
      round(queue, 0);
    }
    expect(queue.state.ahead).toBe(1);
    queue.stepMs = 1;
    for (let at = 0; at < 40; at += 1) round(queue, 0);
    expect(queue.state.ahead).toBeGreaterThan(3);
  });

  test('does not change where the store had no more, or somebody was idle before', () => {
    const queue = crew(2);
    queue.give(tasks(1), 4);
    queue.end(task(0));
    queue.tell({ type: 'queue.ready' });
    queue.give(tasks(4, 1), 4);
    expect(queue.state.ahead).toBe(1);
  });

  test('where tasks have affinities the mailboxes are filled', () => {
    const queue = crew(2);
    queue.give(sticky('mail', 4), 4);
    expect(claims(queue)).toEqual([2 * 16 - 3 + 1]);
  });

  test('of one line for all it is the same', () => {
    const queue = new Bench({ mode: 'shared', capacity: 4, stealAbove: 1 });
    for (const worker of ['a', 'b']) queue.join(worker);
    queue.give([], 2);
    expect(of(queue.tell({ type: 'queue.ready' }), 'queue.claim')).toEqual([{ type: 'queue.claim', limit: 4 }]);
  });
});

describe('priority', () => {
  test('the more urgent passes those of the line, and those of one priority keep their order', () => {
    const queue = crew(1);
    queue.give([task(0)]);
    queue.give([ranked('a', 0), ranked('b', 1), ranked('c', 1), ranked('d', 2), ranked('e', 0)]);
    expect(queue.line).toEqual(['td', 'tb', 'tc', 'ta', 'te']);
  });

  test('a level is worth a minute: who was submitted longer before is not passed', () => {
    const queue = crew(1);
    queue.give([task(0), ranked('old', 0)]);
    queue.give([ranked('late', 2, 2 * MINUTE)]);
    expect(queue.line).toEqual(['told', 'tlate']);
    queue.give([ranked('in time', 2, 2 * MINUTE - 1)]);
    expect(queue.line).toEqual(['told', 'tlate', 'tin time']);
    queue.give([ranked('urgent', 3, 2 * MINUTE)]);
    expect(queue.line).toEqual(['turgent', 'told', 'tlate', 'tin time']);
  });

  test('it goes first in the mailbox of its worker, in every mode that has them', () => {
    for (const mode of ['steal', 'dedicated'] as const) {
      const queue = new Bench({ mode, capacity: 8, stealAbove: 4 });
      queue.join('a');
      queue.give(sticky('mail', 3));
      queue.give([ranked('urgent', 1, 0, 'mail')]);
      expect(queue.mailbox('a')).toEqual(['turgent', 't1', 't2']);
    }
  });

  test('it has a place in a full mailbox: the last one goes to the box', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 2, stealAbove: 4 });
    queue.join('a');
    queue.give(sticky('mail', 4));
    expect([queue.mailbox('a'), queue.slot('a').spilled]).toEqual([['t1', 't2'], 1]);
    const effects = queue.give([ranked('urgent', 1, 0, 'mail'), ranked('other', 0, 0, 'mail')]);
    expect(queue.mailbox('a')).toEqual(['turgent', 't1']);
    expect(of(effects, 'queue.spill')).toMatchObject([{ worker: 'a', tasks: [{ id: 't2' }, { id: 'tother' }] }]);
  });

  test('what has inherited a priority goes ahead, in the line and in a mailbox, under its own fence only', () => {
    const queue = crew(1);
    queue.give([task(0)]);
    queue.give([ranked('a', 0), ranked('b', 0), ranked('c', 0, 0, 'mail'), ranked('d', 0, 0, 'mail')]);
    const raise = (id: string, fence: number) => queue.tell({ type: 'queue.raised', tasks: [{ id, fence, priority: 5 }] });
    expect([queue.line, queue.mailbox('w0')]).toEqual([
      ['ta', 'tb'],
      ['tc', 'td'],
    ]);
    raise('tb', 2);
    expect(queue.line).toEqual(['ta', 'tb']);
    raise('tb', 1);
    raise('td', 1);
    expect([queue.line, queue.mailbox('w0')]).toEqual([
      ['tb', 'ta'],
      ['td', 'tc'],
    ]);
    queue.end(task(0));
    expect(queue.slot('w0').run?.priority).toBe(5);
  });
});
