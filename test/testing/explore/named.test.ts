import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compile } from '../../../src/testing/explore/compile.ts';
import { explore } from '../../../src/testing/explore/explore.ts';
import { netSpace } from '../../../src/testing/explore/net.ts';
import { playNamed } from './named.ts';
import { skeletons } from './skeletons.ts';

const MOST_STATES = 1_500;

test('a net that only counts finds what a play with names finds, at the same distance', () => {
  const seen = { dead: 0, doomedOnly: 0, fine: 0 };
  fc.assert(
    fc.property(skeletons, (skeleton) => {
      const named = playNamed(skeleton, MOST_STATES);
      fc.pre(named !== undefined);
      const { dead, doomed } = explore(netSpace(compile(skeleton)), { starvation: 'none' });
      expect({ dead: dead?.trace.length, doomed: doomed !== undefined }).toEqual(named);
      if (named.dead !== undefined) seen.dead += 1;
      else if (named.doomed) seen.doomedOnly += 1;
      else seen.fine += 1;
    }),
    { numRuns: 120, seed: 1, maxSkipsPerRun: 1_000 },
  );
  expect(seen.dead).toBeGreaterThan(20);
  expect(seen.fine).toBeGreaterThan(20);
});
