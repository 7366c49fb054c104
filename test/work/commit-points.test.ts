/** One strike in a whole day, at each commit point by name, in each way: every promise holds, and the day comes to its end. */
import { beforeAll, describe, expect, test } from 'vitest';
import { seededRandom } from '../../actors/kernel/random.ts';
import { COMMIT_POINTS } from '../../src/testing/simulate/faulty-store.ts';
import type { Command } from '../runtime/harness.ts';
import { GROUNDS, makeGround } from './ground.ts';
import type { GroundName } from './ground.ts';
import { drawDay } from './programs.ts';
import { FAULTS, strikeAt } from './strikes.ts';
import { liveThrough } from './world.ts';
import type { Day, Strike } from './world.ts';

/**
 * Of budgets, the wake gate, boxes that are given up, and statecharts: none of them comes in a day. (What statecharts withdraw
 * is struck in `test/runtime/machine-approvals.test.ts`, and what is forgotten in `test/runtime/retention.test.ts`.)
 */
const OTHERS: readonly Command[] = [
  'takeBudget',
  'returnBudget',
  'registerIntents',
  'withdrawIntents',
  'unbox',
  'forget',
  'withdrawApproval',
];
const POINTS = COMMIT_POINTS.filter((point) => !OTHERS.includes(point));

/** A day on which every one of these commands comes. */
const SEED = 7;

/** What has not been committed is nothing to a store: those ways are for one of them. */
const COMMITTED = ['after', 'dies-after'] as const;

function live(ground: GroundName, strike?: Strike): Promise<Day> {
  const day = drawDay(seededRandom(`day/${SEED}`));
  return liveThrough({ seed: SEED, ground: makeGround(ground), day, cancelOneIn: 3, ...(strike === undefined ? {} : { strike }) });
}

describe.each(GROUNDS)('over the %s store', (ground) => {
  let commits: Day['commits'];
  beforeAll(async () => void ({ commits } = await live(ground)));

  test.each(POINTS)('whatever happens at a commit of `%s`', async (point) => {
    const most = commits.get(point) ?? 0;
    expect(most, 'commits in a day on which nothing fails').toBeGreaterThan(0);
    const faults = ground === 'memory' ? FAULTS : COMMITTED;
    for (const [at, fault] of faults.entries()) {
      // From the first one to the last.
      const nth = 1 + Math.floor(((most - 1) * at) / (faults.length - 1));
      let struck = 0;
      const strike = strikeAt(point, nth, fault);
      const day = await live(ground, (...asked) => {
        const what = strike(...asked);
        if (what !== undefined) struck += 1;
        return what;
      });
      expect(
        day.broken.map(({ message }) => message),
        `${fault} at ${point} ${nth}`,
      ).toEqual([]);
      expect(struck, `${fault} at ${point} ${nth}`).toBe(1);
    }
  });
});
