/** Generated trees and histories, on the model and on real supervisors: restarts at once, and stops that take their time. */
import { fc, test } from '@fast-check/vitest';
import { histories, plans } from './histories.ts';
import { play } from './play.ts';

/** With the histories that rest, more than 10,000 trees with a history each. */
const numRuns = 2_600;
const regime = { rests: false };

for (const seed of [1, 2]) {
  test(
    `at once and with slow stops, trees and model agree on every start, stop, answer and end (block ${seed})`,
    { timeout: 120_000 },
    () => fc.assert(fc.asyncProperty(plans(regime), histories(regime), play), { numRuns, seed }),
  );
}
