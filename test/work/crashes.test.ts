/**
 * Any day, whatever fails and whenever: what has been promised holds, and in the end every task has ended as its program says.
 * `DROVER_SEED=17 npx vitest run test/work/crashes.test.ts` lives through one day only.
 */
import { expect, test } from 'vitest';
import { seededRandom } from '../../actors/kernel/random.ts';
import { GROUNDS, makeGround } from './ground.ts';
import { drawDay } from './programs.ts';
import { liveThrough } from './world.ts';
import { randomStrike } from './strikes.ts';

const MODES = ['steal', 'steal', 'shared', 'steal', 'dedicated'] as const;

const ONE = process.env['DROVER_SEED'];
const SEEDS = Number(process.env['DROVER_SEEDS'] ?? 24);

test.each(GROUNDS)('any day, over the %s store: every promise holds', async (ground) => {
  const seeds = ONE === undefined ? Array.from({ length: SEEDS }, (_, at) => at + 1) : [Number(ONE)];
  let deaths = 0;
  let stolen = 0;
  for (const seed of seeds) {
    const day = await liveThrough({
      seed,
      ground: makeGround(ground),
      day: drawDay(seededRandom(`day/${seed}`)),
      strike: randomStrike,
      outages: seed % 3,
      slow: seed % 2 === 0,
      mode: MODES[seed % MODES.length]!,
      crashOneIn: seed % 2 === 0 ? 0 : 8,
      cancelOneIn: seed % 4 === 0 ? 3 : 0,
    });
    expect(
      day.broken.map(({ message }) => message),
      `seed ${seed}`,
    ).toEqual([]);
    deaths += day.deaths;
    stolen += day.stolen;
  }
  if (ONE !== undefined) return;
  // Days on which nothing happens show nothing.
  expect(deaths).toBeGreaterThan(SEEDS / 2);
  expect(stolen).toBeGreaterThan(0);
});
