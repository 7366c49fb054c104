/** `DROVER_SEED=17` replays one seed, `DROVER_SEEDS=2000` runs more of them. */
import { expect, test } from 'vitest';
import { simulatePrograms } from './programs.ts';
import { hashesElsewhere, report, runSeeds, seedsOf } from './seeds.ts';

const SEEDS = seedsOf('DROVER_SEEDS', 120);
const REPLAY_EVERY = 40;

test(
  `whatever fails and whenever, the invariants hold, and every task ends once the faults stop (${SEEDS.length} seeds)`,
  { timeout: 600_000 },
  async () => {
    const beganMs = performance.now();
    const sums = await runSeeds(SEEDS, REPLAY_EVERY, simulatePrograms);
    console.log(report('programs', sums, (performance.now() - beganMs) / 1_000));
    // A simulation that does nothing finds nothing; a single seed may be a small one.
    if (SEEDS.length > 1) expect(sums.tasks).toBeGreaterThan(SEEDS.length * 3);
    expect(sums.runs).toBeGreaterThan(sums.tasks);
    const { replayed } = sums;
    if (replayed.size > 0) expect(await hashesElsewhere('programs', [...replayed.keys()])).toEqual([...replayed.values()]);
  },
);
