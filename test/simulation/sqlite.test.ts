/** The random programs over a real database. `DROVER_SEED=17` replays one seed, `DROVER_SEEDS=500` runs more of them. */
import { expect, test } from 'vitest';
import { simulateOnSqlite } from './programs.ts';
import { report, runSeeds, seedsOf } from './seeds.ts';

const SEEDS = seedsOf('DROVER_SEEDS', 20);
const REPLAY_EVERY = 10;

test(
  `over SQLite, too, the invariants hold and every task ends once the faults stop (${SEEDS.length} seeds)`,
  { timeout: 600_000 },
  async () => {
    const beganMs = performance.now();
    const sums = await runSeeds(SEEDS, REPLAY_EVERY, simulateOnSqlite);
    console.log(report('programs over SQLite', sums, (performance.now() - beganMs) / 1_000));
    expect(sums.runs).toBeGreaterThan(sums.tasks);
  },
);
