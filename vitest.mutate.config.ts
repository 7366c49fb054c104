/** For `npm run mutate`: the tests that hold the decision code. What runs whole fleets would take a minute a mutant. */
import { defineConfig } from 'vitest/config';
import base from './vitest.config.ts';

const { projects: _bothWays, ...test } = base.test ?? {};

export default defineConfig({
  ...base,
  test: {
    ...test,
    include: ['test/actors/**/*.test.ts', 'test/supervisors/**/*.test.ts', 'test/supervision/**/*.test.ts'],
    exclude: [
      'test/supervisors/meta/{containment,healthy,kinds}.test.ts',
      'test/supervision/{cross,histories,histories-rests,seeded}.test.ts',
    ],
  },
});
