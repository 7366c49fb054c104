import { describe, expect, test } from 'vitest';
import type { MetaAgentSpec } from '../../../supervisors/meta-agent/plan.ts';
import { DEFAULT_RULES } from '../../../supervisors/meta-agent/rules.ts';
import { SimulatedFleet } from './simulated-fleet.ts';

const SEEDS = 40;
const SPEC: MetaAgentSpec = { pulseMs: 5_000 };

describe('a healthy fleet of 80, with lognormal latencies and 5 % errors', () => {
  test('nobody is suspended, and hardly anybody is disturbed', () => {
    let commands = 0;
    let anomalies = 0;
    for (let seed = 0; seed < SEEDS; seed += 1) {
      const fleet = new SimulatedFleet(seed, {}, SPEC);
      fleet.run(400_000);
      expect({ seed, suspended: fleet.count('operator.suspend') }).toEqual({ seed, suspended: 0 });
      expect(fleet.runs).toBeGreaterThan(8_000);
      commands += fleet.commands.length;
      anomalies += fleet.decisions.filter(({ decided }) => decided.at === 'entered').length;
    }
    // In each of these fleets, for nearly seven minutes each.
    expect(commands).toBeLessThanOrEqual(2);
    expect(anomalies).toBeLessThanOrEqual(10);
  }, 900_000);

  test('rules that are too sharp do suspend healthy workers: the test above would notice', () => {
    const rules = DEFAULT_RULES.filter(({ name }) => name === 'slow' || name === 'failing').map((rule) => ({
      ...rule,
      enter: { ...rule.enter, above: 1.2, below: undefined, floor: 0.05 } as never,
      leave: { below: 1 },
      forMs: 0,
      minSamples: 3,
    }));
    const fleet = new SimulatedFleet(1, {}, { ...SPEC, rules, kindShare: 1 });
    fleet.run(300_000);
    expect(fleet.count('operator.suspend')).toBeGreaterThan(0);
  });
});
