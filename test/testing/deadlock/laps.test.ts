import { expect, test } from 'vitest';
import { tellLaps } from '../../../src/testing/deadlock/laps.ts';

const line = (atMs: number, text: string): string => `${atMs}.000 ${text}`;

test('what goes round to the end is told once round', () => {
  const lines = [
    'begins',
    ...Array.from({ length: 4 }, (_, lap) => [`calls t/call:model#${lap}`, `answers t/call:model#${lap} ${lap}`]).flat(),
  ];
  const told = tellLaps(lines.map((text, at) => line(at, text)));
  expect(told).toEqual([
    line(0, 'begins'),
    line(1, 'calls t/call:model#0'),
    line(2, 'answers t/call:model#0 0'),
    'and so on: the last 2 steps again and again',
  ]);
});

test('what goes round for a while is counted, and what comes after is told', () => {
  const told = tellLaps(['polls', 'polls', 'polls', 'polls', 'stops', 'ends'].map((text, at) => line(at, text)));
  expect(told).toEqual([line(0, 'polls'), 'the last step 4 times in all', line(4, 'stops'), line(5, 'ends')]);
});

test('the last lap may be cut off', () => {
  const told = tellLaps(['a', 'b', 'a', 'b', 'a', 'b', 'a'].map((text, at) => line(at, text)));
  expect(told).toEqual([line(0, 'a'), line(1, 'b'), 'and so on: the last 2 steps again and again']);
});

test('what is done twice is told twice', () => {
  const lines = ['a', 'b', 'a', 'b', 'c'].map((text, at) => line(at, text));
  expect(tellLaps(lines)).toEqual(lines);
});
