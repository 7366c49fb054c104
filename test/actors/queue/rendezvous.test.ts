import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { hashOf, mixed, rendezvous } from '../../../actors/queue/rendezvous.ts';
import { Bench, sticky, task } from './bench.ts';

const workersOf = (count: number): Int32Array => Int32Array.from({ length: count }, (_, at) => hashOf(`fleet/agents/kind/${at}`));
const all = (count: number): boolean[] => Array.from({ length: count }, () => true);
const KEYS = Array.from({ length: 5_000 }, (_, at) => hashOf(`conversation ${at}`));

/** Where each key belongs among the first `count` workers, without the one at `gone`. */
const homes = (count: number, gone = -1): number[] =>
  KEYS.map((key) =>
    rendezvous(
      key,
      workersOf(count),
      all(count).map((_, at) => at !== gone),
    ),
  );

describe('rendezvous', () => {
  test('a worker that goes leaves its own keys to all others, and nothing else moves', () => {
    const before = homes(10);
    const after = homes(10, 3);
    const heirs = new Set(KEYS.flatMap((_, at) => (before[at] === 3 ? [after[at]] : [])));
    for (const at of KEYS.keys()) expect(after[at] === before[at] || before[at] === 3).toBe(true);
    expect(heirs).toEqual(new Set([0, 1, 2, 4, 5, 6, 7, 8, 9]));
  });

  test('a worker that comes takes its share of each, and nothing else moves', () => {
    const before = homes(10);
    const after = homes(11);
    const moved = KEYS.filter((_, at) => after[at] !== before[at]);
    for (const at of KEYS.keys()) expect(after[at] === before[at] || after[at] === 10).toBe(true);
    expect(moved.length / KEYS.length).toBeGreaterThan(0.8 / 11);
    expect(moved.length / KEYS.length).toBeLessThan(1.2 / 11);
  });

  test.prop([fc.integer({ min: 2, max: 60 })], { numRuns: 20 })(
    'each of so many workers has its share, within a fourth of 500 keys',
    (count) => {
      const hashes = workersOf(count);
      const open = all(count);
      const share = 500;
      const keys = Array.from({ length: share * count }, () => 0);
      const had = Array.from({ length: count }, () => 0);
      for (const at of keys.keys()) had[rendezvous(hashOf(`key ${at}`), hashes, open)]! += 1;
      expect(Math.min(...had)).toBeGreaterThan(share * 0.75);
      expect(Math.max(...had)).toBeLessThan(share * 1.25);
    },
  );

  test('nobody has it where nobody is open', () => {
    expect(rendezvous(1, workersOf(3), [false, false, false])).toBe(-1);
    expect(rendezvous(1, workersOf(0), [])).toBe(-1);
  });

  test('one bit of difference changes half of all bits', () => {
    let changed = 0;
    for (let bit = 0; bit < 32; bit += 1) {
      for (let other = 0; other < 100; other += 1) {
        let difference = mixed(other * 7_919) ^ mixed((other * 7_919) ^ (1 << bit));
        for (; difference !== 0; difference &= difference - 1) changed += 1;
      }
    }
    expect(changed / 3_200).toBeGreaterThan(15.5);
    expect(changed / 3_200).toBeLessThan(16.5);
  });
});

describe('affinity', () => {
  const crew = (...workers: readonly string[]): Bench => {
    const queue = new Bench({ mode: 'dedicated', capacity: 8, stealAbove: 2 });
    for (const worker of workers) queue.join(worker);
    return queue;
  };
  const homeOf = (queue: Bench, id: string): string | undefined =>
    queue.state.slots.find(({ run, mailbox }) => run?.id === id || mailbox.some((one) => one.id === id))?.worker;

  test('tasks with one affinity have one worker, in whatever order the workers came', () => {
    const [one, other] = [crew('a', 'b', 'c'), crew('c', 'a', 'b')];
    for (let at = 0; at < 20; at += 1) {
      const key = `mail ${at}`;
      for (const queue of [one, other]) {
        queue.give(sticky(key, 2, 2 * at), 3);
        const home = homeOf(queue, `t${2 * at}`);
        expect(homeOf(queue, `t${2 * at + 1}`)).toBe(home);
        queue.end(...sticky(key, 2, 2 * at));
        queue.end(...sticky(key, 2, 2 * at));
      }
    }
    one.give([task('x', 1, 'mail 7')]);
    other.give([task('x', 1, 'mail 7')]);
    expect(homeOf(one, 'tx')).toBe(homeOf(other, 'tx'));
  });

  test('one without affinity goes to the shallowest mailbox, past the worker that others want', () => {
    const queue = crew('a', 'b');
    queue.give(sticky('hot', 4));
    const home = homeOf(queue, 't0')!;
    queue.give([task('free')]);
    expect(homeOf(queue, 'tfree')).not.toBe(home);
  });

  test('a worker that comes back under its name has its tasks again', () => {
    const queue = crew('a', 'b', 'c');
    queue.give(sticky('mail', 3));
    const home = homeOf(queue, 't1')!;
    queue.exit(home);
    expect(homeOf(queue, 't1')).not.toBe(home);
    queue.join(home, 2);
    queue.give([task('late', 1, 'mail')]);
    expect(homeOf(queue, 'tlate')).toBe(home);
  });

  test('strict affinity: nobody else runs what waits for a worker, until that worker is suspended or gone', () => {
    const queue = crew('a', 'b');
    queue.give(sticky('mail', 8));
    const home = homeOf(queue, 't0')!;
    const other = home === 'a' ? 'b' : 'a';
    queue.tell({ type: 'queue.ready' });
    expect(queue.run(other)).toBeUndefined();
    expect(queue.mailbox(home)).toHaveLength(7);
    queue.leave(home);
    expect(queue.run(other)).toBe('t1');
    expect(queue.mailbox(other)).toHaveLength(6);
  });
});
