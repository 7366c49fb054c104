import { describe, expect, test } from 'vitest';
import { Bench, forEach, keyOf, of, sticky, task, tasks } from './bench.ts';

const SEVEN = ['w0', 'w1', 'w2', 'w3', 'w4', 'w5', 'w6'];

describe('stealing', () => {
  /** A victim that runs one task and has `depth` more in its mailbox, and a thief that has just come. */
  function robbed(depth: number, stealAbove: number, capacity = 400): Bench {
    const queue = new Bench({ capacity, stealAbove });
    queue.join('victim');
    queue.give(sticky('mail', depth + 1, -1));
    expect(queue.slot('victim').mailbox).toHaveLength(depth);
    queue.join('thief');
    return queue;
  }

  test('WS-02 a steal takes half, rounded up, whatever the size, and every task is there once', () => {
    for (let depth = 0; depth <= 255; depth += 1) {
      const queue = robbed(depth, 0);
      const stolen = [queue.run('thief'), ...queue.mailbox('thief')].filter((id) => id !== undefined);
      expect(stolen).toHaveLength(Math.ceil(depth / 2));
      expect([...stolen, ...queue.mailbox('victim')]).toEqual(tasks(depth).map(({ id }) => id));
    }
  });

  test('WS-07 the oldest behind the threshold are stolen first, and stay in order', () => {
    const queue = robbed(9, 3);
    expect([queue.run('thief'), ...queue.mailbox('thief')]).toEqual(['t3', 't4', 't5']);
    expect(queue.mailbox('victim')).toEqual(['t0', 't1', 't2', 't6', 't7', 't8']);
    expect(of(queue.effects, 'queue.stole')).toEqual([{ type: 'queue.stole', thief: 'thief', victim: 'victim', count: 3 }]);
    expect(of(queue.effects, 'queue.start')).toEqual([
      { type: 'queue.start', starts: [{ worker: 'thief', incarnation: 1, task: task(3, 1, 'mail') }] },
    ]);
  });

  test('WS-11 only above the threshold, and only by one who has nothing at all', () => {
    expect(of(robbed(4, 4).effects, 'queue.stole')).toEqual([]);
    expect(of(robbed(5, 4).effects, 'queue.stole')).toMatchObject([{ count: 1 }]);
    const queue = new Bench({ capacity: 20, stealAbove: 4 });
    queue.join('thief');
    queue.give([task('own', 1, 'any'), task('own too', 1, 'any')]);
    queue.join('victim');
    queue.give(sticky(keyOf('victim', 'thief'), 12));
    const before = queue.slot('victim').mailbox.length;
    expect(before).toBeGreaterThan(4);
    expect(of(queue.end(task('own')), 'queue.stole')).toEqual([]);
    expect(queue.run('thief')).toBe('town too');
    expect(queue.slot('victim').mailbox).toHaveLength(before);
  });

  test('WS-12 what runs is never stolen; a stolen task keeps its fence and is credited to the thief', () => {
    const queue = robbed(3, 0);
    expect(queue.run('victim')).toBe('t-1');
    expect(queue.run('thief')).toBe('t0');
    expect(queue.slot('thief').run).toEqual(task(0, 1, 'mail'));
    queue.end(task(0));
    expect(queue.run('thief')).toBe('t1');
    expect(queue.run('victim')).toBe('t-1');
  });

  test('a mailbox is robbed by one thief after another, until nothing lies behind its threshold', () => {
    const queue = new Bench({ capacity: 20, stealAbove: 1 });
    queue.join('a');
    queue.give(sticky('mail', 5));
    queue.join('b');
    queue.join('c');
    queue.join('d');
    // a: run and 4, b takes 2 of the 3 behind the threshold (1 runs, 1 stays), c takes the last one.
    expect([queue.run('a'), queue.run('b'), queue.run('c'), queue.run('d')]).toEqual(['t0', 't2', 't4', undefined]);
    expect([queue.mailbox('a'), queue.mailbox('b'), queue.mailbox('c')]).toEqual([['t1'], ['t3'], []]);
  });

  test('nobody is robbed of what it is about to start itself', () => {
    const queue = new Bench({ capacity: 20, stealAbove: 0 });
    for (const worker of ['a', 'b']) queue.join(worker);
    queue.give(forEach(['a', 'b'], 2));
    queue.end(task(0));
    expect([queue.run('a'), queue.run('b')]).toEqual(['t1', 't2']);
    expect(queue.mailbox('b')).toEqual(['t3']);
    // Both are free at once: a, who has nothing, comes too late for the only task of b.
    queue.end(task(1), task(2));
    expect([queue.run('a'), queue.run('b')]).toEqual([undefined, 't3']);
    expect(of(queue.effects, 'queue.stole')).toEqual([]);
  });

  test('nobody who leaves steals, and nobody steals while draining', () => {
    const queue = new Bench({ capacity: 20, stealAbove: 0 });
    queue.join('thief');
    queue.give([task('own')]);
    queue.join('victim');
    queue.give(sticky(keyOf('victim', 'thief'), 10));
    queue.leave('thief');
    expect(of(queue.end(task('own')), 'queue.stole')).toEqual([]);
  });

  test('WS-13 of 8 workers only one has something: every idle one finds it at once, and looks at each peer once', () => {
    for (let loaded = 0; loaded < 8; loaded += 1) {
      const queue = new Bench({ capacity: 64, stealAbove: 1, seed: loaded });
      queue.join(`w${loaded}`);
      queue.give(sticky('mail', 60));
      for (let at = 0; at < 8; at += 1) if (at !== loaded) queue.join(`w${at}`);
      for (let at = 0; at < 8; at += 1) expect(queue.run(`w${at}`)).toBeDefined();
    }
  });

  test('WS-13 no victim is picked for ever: of seven deep ones each is robbed as often as any other', () => {
    const times = new Map<string, number>();
    const seeds = 2_100;
    for (let seed = 0; seed < seeds; seed += 1) {
      const queue = new Bench({ capacity: 8, stealAbove: 1, seed });
      for (let at = 0; at < 7; at += 1) queue.join(`w${at}`);
      queue.give(forEach(SEVEN, 9), 64);
      const [stole] = of(queue.join('thief'), 'queue.stole');
      times.set(stole!.victim, (times.get(stole!.victim) ?? 0) + 1);
    }
    expect(times.size).toBe(7);
    for (const often of times.values()) expect(Math.abs(often - seeds / 7)).toBeLessThan(75);
  });

  test('WS-13 one queue robs another one each time, not the same for ever', () => {
    const queue = new Bench({ capacity: 8, stealAbove: 1, seed: 5 });
    for (let at = 0; at < 7; at += 1) queue.join(`w${at}`);
    queue.give(forEach(SEVEN, 9), 64);
    const victims: string[] = [];
    for (let life = 1; life <= 20; life += 1) {
      for (const { victim } of of(queue.join('thief', life), 'queue.stole')) victims.push(victim);
      queue.exit('thief', life);
    }
    expect(new Set(victims).size).toBeGreaterThan(4);
  });

  test('the same seed robs the same', () => {
    const play = (seed: number): unknown => {
      const queue = new Bench({ capacity: 8, stealAbove: 1, seed });
      for (let at = 0; at < 7; at += 1) queue.join(`w${at}`);
      queue.give(forEach(SEVEN, 9), 64);
      return of(queue.join('thief'), 'queue.stole');
    };
    expect(play(3)).toEqual(play(3));
  });

  test('dedicated mailboxes are never robbed', () => {
    const queue = new Bench({ mode: 'dedicated', capacity: 20, stealAbove: 0 });
    queue.join('victim');
    queue.give(tasks(10));
    expect(of(queue.join('thief'), 'queue.stole')).toEqual([]);
    expect(queue.run('thief')).toBeUndefined();
  });

  test('what a full mailbox would spill is for idle workers first', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 2 });
    for (const worker of ['a', 'b', 'c']) queue.join(worker);
    const effects = queue.give(sticky('mail', 14), 15);
    expect(of(effects, 'queue.stole').length).toBeGreaterThanOrEqual(2);
    expect(of(effects, 'queue.start').flatMap(({ starts }) => starts)).toHaveLength(3);
    const [spill] = of(effects, 'queue.spill');
    expect(spill!.tasks.length).toBeLessThan(14 - 5);
  });
});
