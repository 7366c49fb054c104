/** Every promise can be broken, and is seen to be: by a store with a mistake, within a few days. */
import { expect, test } from 'vitest';
import { seededRandom } from '../../actors/kernel/random.ts';
import { MISTAKES } from './broken-stores.ts';
import { makeGround } from './ground.ts';
import { drawDay } from './programs.ts';
import { randomStrike } from './strikes.ts';
import type { BrokenError } from './witness.ts';
import { liveThrough } from './world.ts';

const MOST_DAYS = 40;

test.each(Object.entries(MISTAKES))('a store that %s is found out', async (_name, { breaks, spoil, day: given }) => {
  for (let seed = 1; seed <= MOST_DAYS; seed += 1) {
    const day = await liveThrough({
      seed,
      ground: makeGround('memory'),
      day: given ?? drawDay(seededRandom(`day/${seed}`)),
      strike: randomStrike,
      outages: seed % 3,
      slow: seed % 2 === 0,
      cancelOneIn: given !== undefined ? 1 : seed % 4 === 0 ? 3 : 0,
      spoil,
    });
    if (day.broken.length === 0) continue;
    const [{ promise, message }] = day.broken as [BrokenError];
    expect({ promise, message }).toMatchObject({ promise: expect.toBeOneOf([...breaks]) as unknown });
    return;
  }
  expect.unreachable(`nothing was seen in ${MOST_DAYS} days`);
});
