import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MemoryTask } from '../../src/stores/memory-task.ts';
import { ReadyLane } from '../../src/stores/ready-lane.ts';

/** What a lane looks at. */
const taskOf = (seq: number, rank: number): MemoryTask => ({ seq, rank, slot: -1 }) as MemoryTask;

/** The model: a list that is sorted each time. */
const inOrder = (tasks: readonly MemoryTask[]): readonly MemoryTask[] => tasks.toSorted((a, b) => a.rank - b.rank || a.seq - b.seq);

/** Mostly in order, as tasks come; now and then one of before, or a more urgent one. */
const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ act: fc.constant('push'), by: fc.nat(3) }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant('late'), by: fc.nat(40) }) },
    { weight: 4, arbitrary: fc.record({ act: fc.constant('pop'), by: fc.constant(0) }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant('leave'), by: fc.nat(1_000) }) },
  ),
  { maxLength: 400, size: 'max' },
);

describe('a lane of tasks that are ready', () => {
  test('gives them out by rank and arrival, whatever comes late or leaves from the middle', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const lane = new ReadyLane();
        let model: readonly MemoryTask[] = [];
        let [seq, rank] = [0, 100];
        for (const { act, by } of taken) {
          if (act === 'push' || act === 'late') {
            rank += act === 'push' ? by : 0;
            const task = taskOf((seq += 1), act === 'push' ? rank : rank - by);
            lane.push(task);
            model = inOrder([...model, task]);
          } else if (act === 'pop') {
            expect(lane.pop()).toBe(model[0]);
            model = model.slice(1);
          } else if (model.length > 0) {
            const gone = model[by % model.length]!;
            lane.remove(gone);
            model = model.filter((task) => task !== gone);
          }
          expect(lane.size).toBe(model.length);
          expect(lane.peek()).toBe(model[0]);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('any of them finds its place after the front has been cut off many times', () => {
    const lane = new ReadyLane();
    const tasks = Array.from({ length: 6_000 }, (_, at) => taskOf(at, at));
    const left = new Set<MemoryTask>();
    for (const task of tasks) {
      lane.push(task);
      left.add(task);
      if (task.seq % 4 !== 0) left.delete(lane.pop()!);
    }
    const kept = [...left];
    for (const task of kept.filter((_, at) => at % 2 === 0)) lane.remove(task);
    expect(lane.size).toBe(Math.floor(kept.length / 2));
    for (const task of kept.filter((_, at) => at % 2 === 1)) expect(lane.pop()).toBe(task);
    expect([lane.size, lane.pop(), lane.peek()]).toEqual([0, undefined, undefined]);
  });

  test('one that has left may come back, behind those of its rank that came before it', () => {
    const lane = new ReadyLane();
    const [first, second, third] = [taskOf(1, 5), taskOf(2, 5), taskOf(3, 5)];
    for (const task of [first, second, third]) lane.push(task);
    lane.remove(second);
    lane.push(second);
    expect([lane.pop(), lane.pop(), lane.pop()]).toEqual([first, second, third]);
  });
});
