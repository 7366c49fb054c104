import { expect, test } from 'vitest';
import { isLastToPass } from '../../../actors/conflicts/passing.ts';

test('of the grants one in eight is the last to pass, in step with no period', () => {
  const last = Array.from({ length: 8_000 }, (_, at) => at + 1).filter((token) => isLastToPass(token));
  expect(last.length).toBe(1_001);
  expect(new Set(last.map((token, at) => token - (last[at - 1] ?? 0)))).toEqual(new Set([5, 8, 13]));
  for (let period = 2; period <= 40; period += 1) expect(new Set(last.map((token) => token % period)).size).toBe(period);
});

test('after more grants than fit into 32 bits it is one in eight still', () => {
  const last = Array.from({ length: 8_000 }, (_, at) => 2 ** 40 + at).filter((token) => isLastToPass(token));
  expect(last.length).toBeGreaterThan(990);
  expect(last.length).toBeLessThan(1_010);
});
