/** `DROVER_SEED=17` replays one seed, `DROVER_SEEDS=2000` runs more of them. */
import { expect, test } from 'vitest';
import { simulate } from './simulation.ts';

const { DROVER_SEED, DROVER_SEEDS = '300' } = process.env;
const SEEDS = DROVER_SEED === undefined ? Array.from({ length: Number(DROVER_SEEDS) }, (_, at) => at + 1) : [Number(DROVER_SEED)];
/** Each so many seeds, one is run twice: the same seed has the same trace. */
const REPLAYED = 50;

test(
  `whatever fails and whenever, the invariants hold, and every task ends once the faults stop (${SEEDS.length} seeds)`,
  { timeout: 600_000 },
  async () => {
    const sums = { tasks: 0, runs: 0, hours: 0 };
    for (const seed of SEEDS) {
      const { tasks, runs, virtualMs, trace } = await simulate(seed);
      sums.tasks += tasks;
      sums.runs += runs;
      sums.hours += (virtualMs - 1_750_000_000_000) / 3_600_000;
      if (seed % REPLAYED === 0) expect((await simulate(seed)).trace, `seed ${seed} does not replay`).toBe(trace);
    }
    // A simulation that does nothing finds nothing.
    expect(sums.tasks).toBeGreaterThan(SEEDS.length * 3);
    expect(sums.runs).toBeGreaterThan(sums.tasks);
  },
);
