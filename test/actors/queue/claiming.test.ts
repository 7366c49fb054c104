import { describe, expect, test } from 'vitest';
import { Bench, of, task, tasks, toldTo } from './bench.ts';

describe('claiming', () => {
  test('a queue asks for what fits once it has a worker, and for nothing before', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 4, stealAbove: 2 });
    expect(queue.effects).toEqual([]);
    expect(queue.tell({ type: 'queue.ready' })).toEqual([]);
    expect(queue.join('a')).toEqual([{ type: 'queue.claim', limit: 5 }]);
  });

  test('there is one claim at a time; a hint during it leads to another one afterwards', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 4, stealAbove: 2 });
    queue.join('a');
    expect(of(queue.join('b'), 'queue.claim')).toEqual([]);
    expect(queue.tell({ type: 'queue.ready' })).toEqual([]);
    expect(queue.tell({ type: 'queue.ready' })).toEqual([]);
    expect(of(queue.give([]), 'queue.claim')).toEqual([{ type: 'queue.claim', limit: 10 }]);
    expect(of(queue.give([]), 'queue.claim')).toEqual([]);
  });

  test('a claim that got less than it asked for is the last until there is a hint', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 4, stealAbove: 2 });
    queue.join('a');
    queue.give([task(1)], 5);
    expect(of(queue.end(task(1)), 'queue.claim')).toEqual([]);
    expect(of(queue.tell({ type: 'queue.ready' }), 'queue.claim')).toEqual([{ type: 'queue.claim', limit: 5 }]);
  });

  test('a claim that got all it asked for is followed by another, once half of the room is free', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 4, stealAbove: 2 });
    queue.join('a');
    expect(of(queue.give(tasks(5), 5), 'queue.claim')).toEqual([]);
    expect(queue.mailbox('a')).toEqual(['t1', 't2', 't3', 't4']);
    expect(of(queue.end(task(0)), 'queue.claim')).toEqual([]);
    expect(of(queue.end(task(1)), 'queue.claim')).toEqual([{ type: 'queue.claim', limit: 2 }]);
  });

  test('a hint while there is no room is remembered until there is', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 2, stealAbove: 2 });
    queue.join('a');
    queue.give(tasks(3), 4);
    expect(queue.tell({ type: 'queue.ready' })).toEqual([]);
    expect(of(queue.end(task(0)), 'queue.claim')).toEqual([{ type: 'queue.claim', limit: 1 }]);
  });

  test('the late answer to a claim of a former incarnation is taken, and forgets no hint', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 2, stealAbove: 2 });
    queue.join('a');
    queue.give([], 3);
    queue.leave('a');
    queue.tell({ type: 'queue.ready' });
    expect(of(queue.give([], 3), 'queue.claim')).toEqual([]);
    expect(of(queue.join('a', 2), 'queue.claim')).toEqual([{ type: 'queue.claim', limit: 3 }]);
    queue.give([task(0)], 1);
    expect(queue.run('a')).toBe('t0');
  });

  test('what comes is spread over the shallowest mailboxes, and started where a worker is free', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 3, stealAbove: 3 });
    queue.join('a');
    queue.join('b');
    queue.give(tasks(5));
    expect([queue.run('a'), queue.run('b')]).toEqual(['t0', 't1']);
    expect([queue.mailbox('a'), queue.mailbox('b')]).toEqual([['t2', 't4'], ['t3']]);
    expect(of(queue.effects, 'queue.start')).toEqual([
      {
        type: 'queue.start',
        starts: [
          { worker: 'a', incarnation: 1, task: task(0) },
          { worker: 'b', incarnation: 1, task: task(1) },
        ],
      },
    ]);
  });

  test('what does not fit goes into a box, what finds no worker goes back', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 2, stealAbove: 2 });
    queue.join('a');
    expect(of(queue.give(tasks(5)), 'queue.spill')).toEqual([{ type: 'queue.spill', worker: 'a', tasks: [task(3), task(4)] }]);
    queue.exit('a');
    expect(of(queue.give(tasks(2, 10)), 'queue.release')).toEqual([{ type: 'queue.release', tasks: tasks(2, 10) }]);
  });

  test('a queue that was started again tells its workers, so that they join once more', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 2, stealAbove: 2, workers: ['a', 'b'] });
    expect([toldTo(queue.effects, 'a'), toldTo(queue.effects, 'b')]).toEqual([['queue.opened'], ['queue.opened']]);
    expect(queue.join('a', 4)).toEqual([{ type: 'queue.claim', limit: 3 }]);
    expect(queue.join('a', 4)).toEqual([]);
  });
});
