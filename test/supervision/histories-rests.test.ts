/** Generated trees and histories, on the model and on real supervisors: children rest before a restart, and calls come meanwhile. */
import { fc, test } from '@fast-check/vitest';
import { histories, plans } from './histories.ts';
import { play } from './play.ts';

/** With the histories at once, more than 10,000 trees with a history each. */
const numRuns = 2_600;
const regime = { rests: true };

for (const seed of [1, 2]) {
  test(`with rests before restarts, and calls that come meanwhile, trees and model agree (block ${seed})`, { timeout: 120_000 }, () =>
    fc.assert(fc.asyncProperty(plans(regime), histories(regime), play), { numRuns, seed }),
  );
}
