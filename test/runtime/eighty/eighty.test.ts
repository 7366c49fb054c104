import { describe, expect, test } from 'vitest';
import { BADNESSES, runEighty } from './fleet-of-eighty.ts';

/** Not the seeds of the script. Ten runs of a slow worker, twice, take it five minutes. */
const CASES = BADNESSES.map((how, at) => ({ how, seed: 11 + at, minutes: how === 'slow' ? 8 : 4 }));

describe('in a real fleet of 80', () => {
  test.each(CASES)(
    'one worker that is always $how is contained, and nobody else is touched',
    async ({ how, seed, minutes }) => {
      const outcome = await runEighty({ seed, how, metaAgent: true, minutes });
      expect(outcome).toMatchObject({ commandsAboutOthers: [], suspendedOthers: 0 });
      expect(outcome.containedAfterS).toBeLessThan(minutes * 60);
      // Left alone it would have an eightieth of it.
      expect(outcome.badTime).toBeGreaterThan(0);
      expect(outcome.badTime).toBeLessThan(0.95 / 80);
    },
    60_000,
  );

  test('all of whom are well, the meta-agent does nothing', async () => {
    const outcome = await runEighty({ seed: 15, how: undefined, metaAgent: true, minutes: 4 });
    expect(outcome).toMatchObject({ badRuns: 0, commandsAboutOthers: [], suspendedOthers: 0, personsCalled: 0 });
    expect(outcome.runs).toBeGreaterThan(5_000);
  });

  test('without a meta-agent, one that fails is never contained, and one run in fifty is lost on it', async () => {
    const outcome = await runEighty({ seed: 12, how: 'failing', metaAgent: false, minutes: 4 });
    expect(outcome.containedAfterS).toBeUndefined();
    expect(outcome.badRuns / outcome.runs).toBeGreaterThan(0.01);
  });
});
