import { describe, expect, test } from 'vitest';
import type { ExitReason } from '../../../actors/kernel/effects.ts';
import { Bench, forEach, keyOf, of, sticky, task, tasks, toldTo } from './bench.ts';

describe('workers', () => {
  test('a worker is told when it gets something to do and when it has nothing left, not for every task', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 2 });
    queue.join('a');
    expect(toldTo(queue.give(tasks(2)), 'a')).toEqual(['worker.busy']);
    expect(toldTo(queue.end(task(0)), 'a')).toEqual([]);
    expect(toldTo(queue.end(task(1)), 'a')).toEqual(['worker.idle']);
  });

  test('many runs that end at once free their workers and no others, also where two runs of a task are among them', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 2 });
    for (let at = 0; at < 20; at += 1) queue.join(`w${at}`);
    queue.give(tasks(20));
    const workerOf = (name: number) => queue.state.slots.find(({ run }) => run?.id === `t${name}`)?.worker;
    const [kept, freed] = [workerOf(19), workerOf(3)];
    queue.end(...tasks(19).map(({ id }) => task(id.slice(1), id === 't7' ? 2 : 1)), task(3, 5), task(8, 2), task(19, 2));
    expect(queue.slot(kept!).run?.id).toBe('t19');
    expect(queue.slot(freed!).run).toBeNull();
    const running = queue.state.slots.flatMap(({ run }) => run?.id ?? []);
    expect(running.toSorted()).toEqual(['t19', 't7']);
  });

  test('while a claim is under way nobody is idle yet', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 2 });
    queue.join('a');
    queue.give([task(0)], 1);
    expect(toldTo(queue.end(task(0)), 'a')).toEqual([]);
    expect(toldTo(queue.give([task(1)], 5), 'a')).toEqual([]);
    expect(toldTo(queue.end(task(1)), 'a')).toEqual(['worker.idle']);
  });

  test('a worker that leaves ends its run, gives its mailbox to the others, and is told once that it may go', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 4 });
    queue.join('a');
    queue.join('b');
    queue.give(forEach(['a', 'b'], 3));
    expect(toldTo(queue.leave('a'), 'a')).toEqual([]);
    expect(queue.mailbox('a')).toEqual([]);
    expect(queue.mailbox('b').toSorted()).toEqual(['t1', 't2', 't4', 't5']);
    expect(toldTo(queue.give([task(9)]), 'a')).toEqual([]);
    expect(toldTo(queue.end(task(0)), 'a')).toEqual(['worker.drained']);
    expect(queue.state.slots.map(({ worker }) => worker)).toEqual(['b']);
    expect(toldTo(queue.end(task(3)), 'a')).toEqual([]);
  });

  test('one that has nothing, or is not known, may go at once', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 4 });
    queue.join('a');
    expect(toldTo(queue.leave('a'), 'a')).toEqual(['worker.drained']);
    expect(toldTo(queue.leave('never seen'), 'never seen')).toEqual(['worker.drained']);
  });

  test('the mailbox of a dead worker goes to the others, its run is an orphan with the reason of the death', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 4 });
    queue.join('a');
    queue.join('b');
    queue.give(forEach(['a', 'b'], 2));
    const reason: ExitReason = { at: 'error', error: 'broken' };
    expect(of(queue.exit('a', 1, reason), 'queue.orphan')).toEqual([
      { type: 'queue.orphan', tasks: [task(0, 1, keyOf('a', 'b'))], reason },
    ]);
    expect(queue.mailbox('b')).toEqual(['t3', 't1']);
    expect(queue.exit('a', 1, reason)).toEqual([]);
  });

  test('a successor that joins before the news of the death inherits the mailbox and not the run', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 4 });
    queue.join('a', 1);
    queue.give(sticky('mail', 3));
    expect(of(queue.join('a', 2), 'queue.orphan')).toEqual([
      { type: 'queue.orphan', tasks: [task(0, 1, 'mail')], reason: { at: 'killed' } },
    ]);
    expect(queue.run('a')).toBe('t1');
    expect(queue.mailbox('a')).toEqual(['t2']);
    expect(queue.exit('a', 1)).toEqual([]);
    expect(queue.run('a')).toBe('t1');
  });

  test('late news of an older incarnation changes nothing', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 4 });
    queue.join('a', 5);
    queue.give(tasks(2));
    const before = queue.state;
    queue.join('a', 5);
    queue.join('a', 4);
    queue.exit('a', 4);
    queue.exit('b', 1);
    queue.tell({ type: 'stray' } as never);
    expect(queue.state).toBe(before);
  });

  test('a run ends under its own fence and no other', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 4 });
    queue.join('a');
    queue.give([task(0, 7)]);
    queue.end(task(0, 6));
    expect(queue.run('a')).toBe('t0');
    queue.end(task(0, 6), task(0, 7));
    expect(queue.run('a')).toBeUndefined();
  });

  test('a lease that is gone leaves the mailbox, under its own fence; a run is not touched', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 4 });
    queue.join('a');
    queue.give(sticky('mail', 3));
    queue.tell({ type: 'queue.revoked', tasks: [task(0), task(1), task(2, 2)] });
    expect(queue.run('a')).toBe('t0');
    expect(queue.mailbox('a')).toEqual(['t2']);
  });

  test('L7 draining gives back all that waits, claims nothing, and lets runs end', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 1 });
    queue.join('a');
    queue.join('b');
    queue.give(tasks(5), 5);
    expect(of(queue.tell({ type: 'queue.drain' }), 'queue.release')).toEqual([
      { type: 'queue.release', tasks: [task(2), task(3), task(4)] },
    ]);
    expect([queue.run('a'), queue.run('b')]).toEqual(['t0', 't1']);
    expect(of(queue.give(tasks(2, 10)), 'queue.release')).toEqual([{ type: 'queue.release', tasks: tasks(2, 10) }]);
    queue.tell({ type: 'queue.ready' });
    expect(toldTo(queue.end(task(0)), 'a')).toEqual(['worker.idle']);
    expect(of(queue.join('c'), 'queue.claim')).toEqual([]);
    expect(toldTo(queue.leave('a'), 'a')).toEqual(['worker.drained']);
  });

  test('a queue that is opened again after a drain asks for all there is', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 1 });
    queue.join('a');
    queue.give([task(0)], 4);
    queue.tell({ type: 'queue.drain' });
    expect(of(queue.tell({ type: 'queue.ready' }), 'queue.claim')).toEqual([]);
    expect(of(queue.tell({ type: 'queue.reopen' }), 'queue.claim')).toHaveLength(1);
  });

  test('a queue that is opened again asks once more when the answer to its last claim may be from before', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 1 });
    queue.join('a');
    queue.tell({ type: 'queue.drain' });
    queue.tell({ type: 'queue.reopen' });
    expect(of(queue.give([], 4), 'queue.claim')).toHaveLength(1);
  });
});
