import { describe, expect, test } from 'vitest';
import type { MetaAgentSpec } from '../../../supervisors/meta-agent/plan.ts';
import { DEFAULT_RULES } from '../../../supervisors/meta-agent/rules.ts';
import type { RuleSpec } from '../../../supervisors/meta-agent/rules.ts';
import { BADNESSES, SimulatedFleet, workerOf } from './simulated-fleet.ts';
import type { Badness } from './simulated-fleet.ts';

const SEEDS = 40;
/** Looking five times as seldom is cheaper, slower to act, and easier to take in: a suspicion is looked at fewer times before it counts. */
const SPEC: MetaAgentSpec = { pulseMs: 5_000 };

/** Ten runs, which at five times the length are over a minute, before and after the restart, and time to be sure. */
const BOUND_MS: Readonly<Record<Badness, number>> = {
  slow: 900_000,
  failing: 300_000,
  garbage: 300_000,
  spending: 300_000,
  looping: 180_000,
};

/** Runs one fleet until its bad worker is suspended, or the time is over. */
function contain(seed: number, how: Badness, spec: MetaAgentSpec = SPEC, fromMs = 0) {
  const worker = workerOf(seed % 4, (seed * 7) % 20);
  const fleet = new SimulatedFleet(seed, { bad: { worker, how, fromMs } }, spec);
  const itself = (command: object): boolean => (command as { readonly worker?: string }).worker === worker;
  const contained = (): boolean => fleet.count('operator.suspend', itself) > 0;
  fleet.run(fromMs + BOUND_MS[how], contained);
  return { fleet, worker, contained: contained(), suspendedOthers: fleet.count('operator.suspend', (command) => !itself(command)) };
}

describe('one bad worker in a fleet of 80', () => {
  test.each(BADNESSES)(
    'always %s, it is suspended in time, and nobody else is',
    (how) => {
      let restartedOthers = 0;
      for (let seed = 0; seed < SEEDS; seed += 1) {
        const { fleet, worker, contained, suspendedOthers } = contain(seed, how);
        expect({ seed, contained, suspendedOthers }).toEqual({ seed, contained: true, suspendedOthers: 0 });
        restartedOthers += fleet.count('operator.restart', (command) => (command as { readonly worker?: string }).worker !== worker);
        // Step by step: it was told and restarted before.
        const steps = fleet.decisions.flatMap(({ decided, worker: about }) =>
          about === worker && decided.at === 'stepped' ? decided.step : [],
        );
        expect(steps.indexOf('note')).toBeLessThan(steps.indexOf('restart'));
        expect(steps.indexOf('restart')).toBeLessThan(steps.indexOf('suspend'));
        expect(fleet.commands.find(({ type }) => type === 'operator.suspend')).toMatchObject({
          reason: how === 'garbage' ? 'quality' : 'health',
        });
      }
      expect(restartedOthers).toBeLessThanOrEqual(SEEDS / 50);
    },
    900_000,
  );

  test.each(BADNESSES)(
    '%s only after a while, it is suspended in time, and nobody else is',
    (how) => {
      for (let seed = 1_000; seed < 1_005; seed += 1) {
        const { contained, suspendedOthers } = contain(seed, how, SPEC, 200_000);
        expect({ seed, contained, suspendedOthers }).toEqual({ seed, contained: true, suspendedOthers: 0 });
      }
    },
    60_000,
  );
});

describe('what these tests would notice', () => {
  const RULES_OF: Readonly<Record<Badness, readonly string[]>> = {
    slow: ['slow', 'slower-than-before', 'slow-at-times'],
    failing: ['failing', 'failing-more'],
    garbage: ['poor', 'poorer-than-before'],
    spending: ['spending', 'spending-tokens'],
    looping: ['repeating-itself', 'going-nowhere', 'spending', 'spending-tokens'],
  };

  test.each(BADNESSES)(
    'without the rules for it, a worker that is always %s is never contained',
    (how) => {
      expect(contain(3, how, { ...SPEC, without: RULES_OF[how] }).contained).toBe(false);
    },
    60_000,
  );

  const changed = (change: Partial<RuleSpec>): MetaAgentSpec => ({
    ...SPEC,
    rules: DEFAULT_RULES.filter(({ scope }) => scope === 'worker').map((rule) => ({ ...rule, ...change })),
  });

  const blunt: readonly (readonly [string, MetaAgentSpec])[] = [
    ['needs more samples than there are', changed({ minSamples: 10_000 })],
    ['needs more time than there is', changed({ forMs: 1e9 })],
    ['never gets beyond its first step', changed({ stepAfterMs: 1e9 })],
    ['has no step that suspends', changed({ steps: ['note', 'restart', 'call-person'] })],
    ['may suspend nobody', { ...SPEC, suspendedShare: 0 }],
    [
      'takes any worker for its whole kind',
      {
        ...SPEC,
        rules: [
          { ...named('kind-failing'), enter: { vs: 'absolute', above: 0 }, leave: { below: 0 }, forMs: 0 },
          { ...named('failing'), enter: { vs: 'absolute', above: 0.5 }, leave: { below: 0.2 } },
        ],
        without: ['failing-more'],
      },
    ],
  ];

  test.each(blunt)(
    'a meta-agent that %s does not contain it',
    (_, spec) => {
      expect(contain(3, 'failing', spec).contained).toBe(false);
    },
    60_000,
  );
});

function named(name: string): RuleSpec {
  return DEFAULT_RULES.find((rule) => rule.name === name)!;
}
