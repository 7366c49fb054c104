import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { lengthOf } from '../../../actors/queue/line.ts';
import { Loop, QUEUE } from './loop.ts';

const options = fc.record({
  mode: fc.constantFrom('steal' as const, 'dedicated' as const, 'shared' as const),
  hot: fc.constantFrom(0, 4, 10),
  workers: fc.integer({ min: 1, max: 5 }),
  capacity: fc.constantFrom(1, 2, 4),
  stealAbove: fc.constantFrom(0, 1, 2),
  tasks: fc.integer({ min: 1, max: 60 }),
});

/** Everything has come to rest: all that was submitted is done, and nobody is left waiting. */
function checkDone(loop: Loop, tasks: number): void {
  expect(new Set(loop.done).size).toBe(tasks);
  // A run that was cancelled is not done, so nothing is done twice.
  expect(loop.done).toHaveLength(tasks);
  expect(loop.held).toBe(0);
  expect(loop.state).toMatchObject({ claiming: false, fetches: [] });
  expect(lengthOf(loop.state.line)).toBe(0);
  for (const slot of loop.state.slots) expect(slot).toMatchObject({ mailbox: [], run: null, busy: false, leaving: false, spilled: 0 });
  expect(loop.state.slots).toHaveLength(loop.workerStates.length);
  for (const state of loop.workerStates) expect(state).toBe('idle');
}

describe('a queue in its world', () => {
  test.prop([fc.integer(), options], { numRuns: 150 })(
    'D12 no wake-up is lost: hints in any order, and some dropped, get every task run',
    (seed, given) => {
      const loop = new Loop(seed, { ...given, hints: 'some', chaos: false });
      loop.live();
      loop.run(60_000);
      checkDone(loop, given.tasks);
    },
  );

  test.prop([fc.integer(), options], { numRuns: 100 })(
    'D12 with every hint dropped, looking now and then gets every task run',
    (seed, given) => {
      const loop = new Loop(seed, { ...given, hints: 'none', chaos: false });
      loop.live();
      loop.run(60_000);
      checkDone(loop, given.tasks);
    },
  );

  test.prop([fc.integer(), options], { numRuns: 150 })(
    'whatever dies meanwhile, a worker, all of them or the queue, every task is run and every worker is back at work',
    (seed, given) => {
      const loop = new Loop(seed, { ...given, hints: 'some', chaos: true });
      loop.live();
      loop.run(60_000);
      checkDone(loop, given.tasks);
    },
  );

  test.prop([fc.integer(), options], { numRuns: 100 })(
    'L7 after a drain and a stop nothing is held, nobody lives, and no timer is left',
    (seed, given) => {
      const loop = new Loop(seed, { ...given, hints: 'some', chaos: false });
      loop.live();
      loop.host.send(QUEUE, { type: 'queue.drain' }, 'control');
      loop.run(200);
      expect(loop.held).toBe(0);
      loop.host.stop('f', Infinity);
      loop.run(200);
      expect(loop.host.actorCount).toBe(0);
      expect(loop.host.pending).toEqual({ messages: 0, timers: 0, asks: 0 });
      expect(new Set(loop.done).size).toBe(loop.done.length);
    },
  );

  test.prop([fc.integer(), options], { numRuns: 200 })(
    'however skewed the work is, a task is claimed at most twice and spilled at most once while its workers stay',
    (seed, given) => {
      const loop = new Loop(seed, { ...given, hints: 'some', chaos: false });
      // All workers have joined: who comes later changes where tasks belong.
      loop.run(100);
      loop.live();
      loop.run(60_000);
      checkDone(loop, given.tasks);
      expect(Math.max(0, ...loop.claims.values())).toBeLessThanOrEqual(2);
      expect(Math.max(0, ...loop.spills.values())).toBeLessThanOrEqual(1);
      expect(loop.releases.size).toBe(0);
      for (const [id, times] of loop.claims) expect(times).toBe(1 + (loop.spills.get(id) ?? 0));
      // One for each hint, and one to find out that there is no more, of the line and of each box that was filled.
      expect(loop.commands).toBeLessThanOrEqual(4 * given.tasks + 2);
    },
  );

  const crowded = fc.record({
    mode: fc.constant('steal' as const),
    workers: fc.integer({ min: 2, max: 3 }),
    capacity: fc.constantFrom(1, 2),
    stealAbove: fc.constantFrom(1, 2, 3),
    tasks: fc.integer({ min: 4, max: 30 }),
  });

  test.prop([fc.integer(), crowded], { numRuns: 300 })(
    'where the more urgent take the places of others, nothing goes to and fro between a mailbox and its box',
    (seed, given) => {
      const loop = new Loop(seed, { ...given, hot: 11, urgent: true, longestMs: 5_000, hints: 'some', chaos: false });
      loop.run(100);
      loop.live();
      loop.run(600_000);
      checkDone(loop, given.tasks);
      // Going to and fro has no bound but the length of a run.
      const claims = [...loop.claims.values()].reduce((sum, times) => sum + times, 0);
      expect(claims).toBeLessThanOrEqual(2 * given.tasks);
      expect(loop.commands).toBeLessThanOrEqual(3 * given.tasks);
    },
  );

  test('WS-05 of 20,000 tasks, pushed, taken and stolen in any order, each is run once', () => {
    const loop = new Loop(7, { mode: 'steal', workers: 5, capacity: 64, stealAbove: 2, tasks: 0, hints: 'some', chaos: false, hot: 4 });
    const total = 20_000;
    for (let at = 0; at < total; at += 1) {
      loop.submit(`t${at}`);
      if (at % 50 === 0) loop.run(3);
    }
    loop.run(1_000_000);
    checkDone(loop, total);
  });
});
