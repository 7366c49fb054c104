import { describe, expect, test } from 'vitest';
import { findStuck, sayWaits } from '../../../src/testing/waits/wait-graph.ts';
import type { WaitingTask, WaitScene } from '../../../src/testing/waits/wait-graph.ts';

type Given = readonly [id: string, kind: string, wait: WaitingTask['wait'], holds?: string];

function scene(
  parking: boolean,
  workers: Readonly<Record<string, Readonly<Record<string, string | undefined>>>>,
  ...tasks: readonly Given[]
): WaitScene {
  return {
    parking,
    tasks: new Map(tasks.map(([id, kind, wait, holds]) => [id, { id, kind, wait, holds }])),
    workers: new Map(Object.entries(workers).map(([kind, own]) => [kind, Object.entries(own).map(([worker, task]) => ({ worker, task }))])),
  };
}

const GOING = { at: 'going' } as const;
const WORKER = { at: 'worker' } as const;
const children = (...ids: readonly string[]) => ({ at: 'children', ids }) as const;

describe('who waits for himself', () => {
  test('is a parent that keeps the only worker of its child, told with the circle', () => {
    const stuck = findStuck(scene(false, { k: { 'k/0': 'p' } }, ['p', 'k', children('c'), 'k/0'], ['c', 'k', WORKER]))!;
    expect(stuck.tasks).toEqual(['p', 'c']);
    expect(stuck.circle).toEqual(['p', 'c']);
    expect(stuck.says).toEqual([
      'task p (k) holds worker k/0 and waits for its child c',
      'task c (k) waits for a worker of k: held are k/0 by p',
    ]);
    expect(stuck.mermaid).toContain('t0 -->|waits for child| t1');
    expect(stuck.mermaid).toContain('t1 -->|waits for worker| t0');
  });

  test('is nobody when such a parent gives its worker back', () => {
    expect(findStuck(scene(true, { k: { 'k/0': 'p' } }, ['p', 'k', children('c'), 'k/0'], ['c', 'k', WORKER]))).toBeUndefined();
  });

  test.each([
    ['another worker is free', { 'k/0': 'p', 'k/1': undefined }],
    ['another worker is held by one that goes on', { 'k/0': 'p', 'k/1': 'other' }],
    ['another worker is held by one that has ended', { 'k/0': 'p', 'k/1': 'gone' }],
    ['there is no worker, for they are started again', {}],
  ])('is nobody when %s', (_name, own) => {
    const tasks: readonly Given[] = [
      ['p', 'k', children('c'), 'k/0'],
      ['c', 'k', WORKER],
      ['other', 'k', GOING, 'k/1'],
    ];
    expect(findStuck(scene(false, { k: own }, ...tasks))).toBeUndefined();
  });

  test('is nobody when one of several children can go on, or has ended', () => {
    const workers = { k: { 'k/0': 'p' } };
    expect(findStuck(scene(false, workers, ['p', 'k', children('c', 'd'), 'k/0'], ['c', 'k', WORKER], ['d', 'x', GOING]))).toBeUndefined();
    expect(findStuck(scene(false, workers, ['p', 'k', children('c', 'ended'), 'k/0'], ['c', 'k', WORKER]))).toBeUndefined();
  });

  test('is a child in the mailbox of the worker that its parent holds, though others are free', () => {
    const stuck = findStuck(
      scene(false, { k: { 'k/0': 'p', 'k/1': undefined } }, ['p', 'k', children('c'), 'k/0'], ['c', 'k', { at: 'mailbox', worker: 'k/0' }]),
    )!;
    expect(stuck.says[1]).toBe('task c (k) waits in the mailbox of worker k/0, which is held');
  });

  test('is found behind those who only wait for him, and they are told as stuck but are not in the circle', () => {
    const stuck = findStuck(
      scene(
        false,
        { a: { 'a/0': 'outer' }, k: { 'k/0': 'p' } },
        ['outer', 'a', children('p'), 'a/0'],
        ['p', 'k', children('c'), 'k/0'],
        ['c', 'k', WORKER],
      ),
    )!;
    expect(stuck.tasks).toEqual(['outer', 'p', 'c']);
    expect(stuck.circle).toEqual(['p', 'c']);
  });

  test('two kinds that ask each other with every worker held', () => {
    const stuck = findStuck(
      scene(
        false,
        { a: { 'a/0': 'p' }, b: { 'b/0': 'q' } },
        ['p', 'a', children('pb'), 'a/0'],
        ['pb', 'b', WORKER],
        ['q', 'b', children('qa'), 'b/0'],
        ['qa', 'a', WORKER],
      ),
    )!;
    expect(stuck.circle).toEqual(['p', 'pb', 'q', 'qa']);
  });
});

test('every wait is told in the order of the tasks, and who goes on is not', () => {
  const told = sayWaits(scene(true, { k: { 'k/0': 'p' } }, ['p', 'k', children('c', 'd'), 'k/0'], ['c', 'k', GOING], ['d', 'k', WORKER]));
  expect(told).toEqual([
    'task p (k) holds worker k/0 and waits for its children c, d',
    'task d (k) waits for a worker of k: held are k/0 by p',
  ]);
});
