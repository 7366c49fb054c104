/** `DROVER_SEED=17` replays one seed, `DROVER_HOURS=200` runs so many hours. */
import { expect, test } from 'vitest';
import { simulateFleetHour } from './fleet.ts';
import { hashesElsewhere, report, runSeeds, seedsOf } from './seeds.ts';

const SEEDS = seedsOf('DROVER_HOURS', 4);
const REPLAY_EVERY = 4;

test(`a fleet of 20 agents is clean over virtual hours (${SEEDS.length} of them)`, { timeout: 600_000 }, async () => {
  const beganMs = performance.now();
  const sums = await runSeeds(SEEDS, REPLAY_EVERY, simulateFleetHour);
  console.log(report('fleet of 20', sums, (performance.now() - beganMs) / 1_000));
  expect(sums.hours).toBeGreaterThan(SEEDS.length * 0.9);
  // 20 agents with calls of 3 s make 24,000 of them in an hour; faults and rates leave them at least a third.
  if (SEEDS.length > 1) expect(sums.calls).toBeGreaterThan(SEEDS.length * 8_000);
  const { replayed } = sums;
  if (replayed.size > 0) expect(await hashesElsewhere('fleet', [...replayed.keys()])).toEqual([...replayed.values()]);
});
