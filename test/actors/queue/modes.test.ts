import { describe, expect, test } from 'vitest';
import { Bench, of, sticky, task, tasks, toldTo } from './bench.ts';

describe('shared', () => {
  function shared(workers: number, capacity = 4): Bench {
    const queue = new Bench({ mode: 'shared', capacity, stealAbove: 1 });
    for (let at = 0; at < workers; at += 1) queue.join(`w${at}`);
    return queue;
  }

  test('there is one line, first come first served, whatever a task would rather have', () => {
    const queue = shared(2);
    queue.give([...sticky('mail', 4), task('free'), task('last')], 7);
    expect([queue.run('w0'), queue.run('w1'), queue.line]).toEqual(['t0', 't1', ['t2', 't3', 'tfree', 'tlast']]);
    queue.end(task(1));
    expect(queue.run('w1')).toBe('t2');
    queue.end(task(0), task(2));
    expect([queue.run('w0'), queue.run('w1'), queue.line]).toEqual(['t3', 'tfree', ['tlast']]);
  });

  test('nothing is stolen, spilled or in a mailbox', () => {
    const queue = shared(3);
    queue.give(sticky('mail', 30), 31);
    expect(queue.state.slots.every(({ mailbox }) => mailbox.length === 0)).toBe(true);
    expect([...of(queue.effects, 'queue.spill'), ...of(queue.effects, 'queue.stole')]).toEqual([]);
    expect(of(queue.effects, 'queue.release')).toMatchObject([{ tasks: { length: 15 } }]);
  });

  test('who leaves takes nothing along; when nobody is left the line goes back', () => {
    const queue = shared(2);
    queue.give(tasks(4), 5);
    expect(of(queue.leave('w0'), 'queue.release')).toEqual([]);
    expect(queue.line).toEqual(['t2', 't3']);
    expect(of(queue.exit('w1'), 'queue.release')).toEqual([{ type: 'queue.release', tasks: [task(2), task(3)] }]);
    expect(queue.line).toEqual([]);
  });

  test('a lease that is gone, or cancelled, leaves the line', () => {
    const queue = shared(1);
    queue.give(tasks(4), 5);
    queue.tell({ type: 'queue.revoked', tasks: [task(2), task(3, 2)] });
    expect(queue.line).toEqual(['t1', 't3']);
  });

  test('L7 draining gives the line back', () => {
    const queue = shared(1);
    queue.give(tasks(3), 4);
    expect(of(queue.tell({ type: 'queue.drain' }), 'queue.release')).toMatchObject([{ tasks: [{ id: 't1' }, { id: 't2' }] }]);
    expect(toldTo(queue.end(task(0)), 'w0')).toEqual(['worker.idle']);
  });
});

describe('changing while running', () => {
  function busy(mode: 'dedicated' | 'steal' | 'shared'): Bench {
    const queue = new Bench({ mode, capacity: 8, stealAbove: 4 });
    queue.join('a');
    queue.join('b');
    queue.give(tasks(8), 9);
    return queue;
  }
  const waiting = (queue: Bench): string[] =>
    [...queue.line, ...queue.state.slots.flatMap(({ worker }) => queue.mailbox(worker))].toSorted();

  test('from mailboxes to one line: heads first, and what runs stays', () => {
    const queue = busy('steal');
    const effects = queue.tell({ type: 'queue.configure', mode: 'shared' });
    expect(queue.line).toEqual(['t2', 't3', 't4', 't5', 't6', 't7']);
    expect([queue.run('a'), queue.run('b')]).toEqual(['t0', 't1']);
    expect(of(effects, 'queue.release')).toEqual([]);
  });

  test('from one line to mailboxes: each by its affinity, or to the shallowest', () => {
    const queue = busy('shared');
    queue.tell({ type: 'queue.configure', mode: 'dedicated' });
    expect([queue.mailbox('a'), queue.mailbox('b'), queue.line]).toEqual([['t2', 't4', 't6'], ['t3', 't5', 't7'], []]);
  });

  test('a box is opened when the mode knows none, and kept when it does', () => {
    for (const [mode, opened] of [
      ['shared', 1],
      ['steal', 0],
    ] as const) {
      const queue = new Bench({ mode: 'dedicated', capacity: 2, stealAbove: 2 });
      queue.join('a');
      queue.give(sticky('mail', 6), 7);
      expect(queue.slot('a').spilled).toBe(3);
      expect(of(queue.tell({ type: 'queue.configure', mode }), 'queue.unbox')).toHaveLength(opened);
      expect(queue.slot('a').spilled).toBe(opened === 1 ? 0 : 3);
    }
  });

  test('from dedicated to steal: whoever is idle steals at once', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 8, stealAbove: 1 });
    queue.join('a');
    queue.give(sticky('mail', 6), 7);
    queue.join('b');
    expect(queue.run('b')).toBeUndefined();
    queue.tell({ type: 'queue.configure', mode: 'steal' });
    expect(queue.run('b')).toBe('t2');
  });

  test('from dedicated to steal: what any worker will do for leaves the mailboxes', () => {
    const queue = busy('dedicated');
    expect([queue.mailbox('a'), queue.mailbox('b')]).toEqual([
      ['t2', 't4', 't6'],
      ['t3', 't5', 't7'],
    ]);
    queue.tell({ type: 'queue.configure', mode: 'steal' });
    expect([queue.mailbox('a'), queue.mailbox('b'), queue.line]).toEqual([[], [], ['t2', 't4', 't6', 't3', 't5', 't7']]);
  });

  test('a shorter line gives back what no longer fits', () => {
    const queue = busy('steal');
    expect(of(queue.tell({ type: 'queue.configure', capacity: 2 }), 'queue.release')).toMatchObject([
      { tasks: [{ id: 't6' }, { id: 't7' }] },
    ]);
    expect(queue.line).toEqual(['t2', 't3', 't4', 't5']);
  });

  test('a lower threshold lets an idle worker steal at once', () => {
    const queue = new Bench({ mode: 'steal', capacity: 8, stealAbove: 6 });
    queue.join('a');
    queue.give(sticky('mail', 6), 7);
    queue.join('b');
    expect(queue.run('b')).toBeUndefined();
    queue.tell({ type: 'queue.configure', stealAbove: 2 });
    expect(queue.run('b')).toBe('t3');
  });

  test('what no longer fits goes back, into the box of the worker where it wants that one', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 8, stealAbove: 4 });
    queue.join('a');
    queue.give([...tasks(3), ...sticky('mail', 3, 3)], 7);
    const effects = queue.tell({ type: 'queue.configure', capacity: 1 });
    expect(queue.mailbox('a')).toEqual(['t1']);
    expect(of(effects, 'queue.release')).toMatchObject([{ tasks: [{ id: 't2' }] }]);
    expect(of(effects, 'queue.spill')).toMatchObject([{ worker: 'a', tasks: [{ id: 't3' }, { id: 't4' }, { id: 't5' }] }]);
  });

  test('a longer mailbox asks for more', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 1, stealAbove: 4 });
    queue.join('a');
    queue.give(tasks(2), 2);
    expect(of(queue.tell({ type: 'queue.configure', capacity: 4 }), 'queue.claim')).toEqual([{ type: 'queue.claim', limit: 3 }]);
  });

  test('nothing is lost on the way through all modes', () => {
    const queue = busy('steal');
    for (const mode of ['shared', 'dedicated', 'shared', 'steal'] as const) {
      queue.tell({ type: 'queue.configure', mode });
      expect(waiting(queue)).toEqual(['t2', 't3', 't4', 't5', 't6', 't7']);
    }
  });
});
