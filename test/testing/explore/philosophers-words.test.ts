import { expect, test } from 'vitest';
import { atSeat, inShort, tableInShort } from '../../../examples/philosophers/words.ts';

test('what the first philosopher does is told for another seat, forks and all', () => {
  expect(atSeat('philosopher 0 sees fork 0 and fork 1 free', 4, 5)).toBe('philosopher 4 sees fork 4 and fork 0 free');
});

test('neighbours who do the same one after the other are told once, with how many they are', () => {
  const trace = [0, 1, 2, 3].map((seat) => `philosopher ${seat} takes fork ${seat}`);
  expect(inShort(trace, 5)).toBe('0 takes left, 1 takes left, ... (4 alike)');
  expect(inShort([...trace, 'philosopher 4 takes fork 0', 'philosopher 0 takes the other fork and eats'], 5)).toBe(
    '0 takes left, 1 takes left, ... (4 alike); 4 takes right; 0 takes the other fork and eats',
  );
  expect(inShort(trace.slice(0, 2), 5)).toBe('0 takes left, 1 takes left');
});

test('a table of up to ten is told letter by letter, a larger one with those alike counted', () => {
  expect(tableInShort('lll-E')).toBe('lll-E');
  expect(tableInShort(`${'l'.repeat(48)}-E`)).toBe('48l - E');
});
