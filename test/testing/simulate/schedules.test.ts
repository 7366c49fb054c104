/** Schedules are arrays of naturals: fast-check finds the one that matters, and shrinks it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { agent, defineFleet } from 'drover';
import { INVARIANTS, simulate } from '../../../src/testing/index.ts';
import type { Invariant } from '../../../src/testing/index.ts';

/** Two kinds that know nothing of each other; whoever wants an order between them has a race. */
const run = async (input: string): Promise<string> => input;
const topology = defineFleet({ name: 'race', staggerMs: 0, agents: { first: agent({ run }), second: agent({ run }) } });

const FIRST_COMES_FIRST: Invariant = {
  name: 'order',
  promise: 'the first kind runs before the second',
  check(_topology, broken) {
    let began = false;
    return {
      'run.began': ({ kind }) => {
        if (kind === 'first') began = true;
        else if (!began) broken('the second ran before the first');
      },
    };
  },
};

const schedules = fc.array(fc.nat(8), { maxLength: 60 });

function violationsUnder(schedule: readonly number[], invariants: readonly Invariant[]): Promise<number> {
  const workload = (['first', 'second'] as const).map((kind) => ({ kind, input: 'x', atMs: 0 }));
  return simulate(topology, { schedule, workload, faults: 'none', durationMs: 0, invariants, nondeterminism: 'allow' }).then(
    ({ violations }) => violations.length,
  );
}

test('a race is found, and its schedule shrinks to the choices that make it', async () => {
  const holds = fc.asyncProperty(schedules, async (schedule) => (await violationsUnder(schedule, [FIRST_COMES_FIRST])) === 0);
  const { failed, counterexample } = await fc.check(holds, { seed: 1, numRuns: 200 });
  expect(failed).toBe(true);
  const [shortest] = counterexample!;
  expect(await violationsUnder([], [FIRST_COMES_FIRST])).toBe(0);
  // One choice turns the order round; those before it are the plain ones.
  expect(shortest.filter((choice) => choice > 0)).toHaveLength(1);
});

test('what Drover promises holds under every schedule', async () => {
  await fc.assert(
    fc.asyncProperty(schedules, async (schedule) => {
      expect(await violationsUnder(schedule, INVARIANTS)).toBe(0);
    }),
    { numRuns: 50 },
  );
});
