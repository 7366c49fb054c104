import { describe, expect, test } from 'vitest';
import type { MetaAgentSpec } from '../../../supervisors/meta-agent/plan.ts';
import { DEFAULT_RULES } from '../../../supervisors/meta-agent/rules.ts';
import { SimulatedFleet, workerOf } from './simulated-fleet.ts';

const SEEDS = 25;
const SPEC: MetaAgentSpec = { pulseMs: 5_000 };
/** By then each worker has a history. */
const FROM_MS = 450_000;
const UNTIL_MS = 750_000;

describe('a whole kind is bad', () => {
  test.each(['slow', 'failing'] as const)(
    '%s against its own history: nobody is restarted or suspended, the breaker of its dependency is opened, a person is called',
    (how) => {
      for (let seed = 0; seed < SEEDS; seed += 1) {
        const fleet = new SimulatedFleet(seed, { kind: { kind: 'k1', how, fromMs: FROM_MS } }, SPEC);
        fleet.run(UNTIL_MS);
        const counted = {
          seed,
          suspended: fleet.count('operator.suspend'),
          restarted: fleet.count('operator.restart'),
          opened: fleet.commands.flatMap((command) =>
            command.type === 'operator.open-breaker' ? `${command.dependency} of ${command.kind}` : [],
          ),
          called: fleet.count('operator.call-person'),
        };
        expect(counted).toEqual({ seed, suspended: 0, restarted: 0, opened: ['model of k1'], called: 1 });
        expect(fleet.commands.every(({ atMs }) => atMs > FROM_MS)).toBe(true);
      }
    },
    900_000,
  );

  test('a worker of that kind that is bad in another way is contained all the same', () => {
    for (let seed = 0; seed < 3; seed += 1) {
      const worker = workerOf(1, seed);
      const trouble = { bad: { worker, how: 'failing', fromMs: FROM_MS }, kind: { kind: 'k1', how: 'slow', fromMs: FROM_MS } } as const;
      const fleet = new SimulatedFleet(seed, trouble, SPEC);
      fleet.run(FROM_MS + 600_000, () => fleet.count('operator.suspend') > 0);
      expect(fleet.commands.filter(({ type }) => type === 'operator.suspend')).toMatchObject([{ worker }]);
    }
  }, 60_000);

  test('without rules about kinds, and without excuse, workers are restarted for it: the test above would notice', () => {
    const without = DEFAULT_RULES.filter(({ scope }) => scope === 'kind').map(({ name }) => name);
    const fleet = new SimulatedFleet(1, { kind: { kind: 'k1', how: 'slow', fromMs: FROM_MS } }, { ...SPEC, without, kindShare: 1 });
    fleet.run(UNTIL_MS + 300_000);
    expect(fleet.count('operator.restart')).toBeGreaterThan(0);
    expect(fleet.count('operator.suspend')).toBeGreaterThan(0);
  }, 60_000);
});
