/** What the arbitraries refuse, at once and with a code, and what they keep to. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  faultPlans,
  fleetCommands,
  programSimulations,
  schedules,
  simulations,
  topologies,
  workloadFor,
  workloads,
} from '../../../src/testing/arbitraries/index.ts';
import { inbox } from './fleets.ts';

const inputs = { triage: fc.nat() };

test.each([
  ['schedules of a negative length', () => schedules({ maxLength: -1 })],
  ['schedules without a choice', () => schedules({ maxChoice: 0 })],
  ['an unknown option of schedules', () => schedules({ length: 3 } as never)],
  ['a chance of 1', () => faultPlans({ maxChance: 1 })],
  ['half a strike', () => faultPlans({ maxStrikes: 0.5 })],
  ['a part of no fault plan', () => faultPlans({ parts: ['earthquakes' as never] })],
  ['a topology without kinds', () => topologies({ kinds: 0 })],
  ['asks that are neither', () => topologies({ asks: 'both' as never })],
  ['inputs of nobody', () => workloads(inbox, { nobody: fc.nat() } as never)],
  ['no inputs', () => workloads(inbox, {})],
  ['inputs that are no arbitrary', () => workloads(inbox, { triage: 3 as never })],
  ['more tasks at least than at most', () => workloads(inbox, inputs, { minTasks: 3, maxTasks: 2 })],
  ['a seed beside the drawn one', () => simulations(inbox, { inputs, simulate: { seed: 3 } as never })],
  ['an unknown option of simulations', () => simulations(inbox, { inputs, seeds: 3 } as never)],
  ['an unknown option of their workload', () => programSimulations({ workload: { tasks: 3 } as never })],
  ['no command at all', () => fleetCommands(inbox, { inputs, maxCommands: 0 })],
  ['commands without inputs', () => fleetCommands(inbox, { inputs: {} })],
])('refused: %s', (_what, act) => {
  expect(act).toThrow(expect.objectContaining({ code: 'DROVER_ARBITRARY_OPTION' }));
});

test.each([
  ['workloads', () => workloads({} as never, {})],
  ['simulations', () => simulations(null as never, { inputs: {} })],
  ['fleetCommands', () => fleetCommands('inbox' as never, { inputs: {} })],
  ['workloadFor', () => workloadFor({ is: 'agent' } as never)],
])('%s of no topology are refused', (_what, act) => {
  expect(act).toThrow(expect.objectContaining({ code: 'DROVER_TOPOLOGY' }));
});

const sampled = <T>(arbitrary: fc.Arbitrary<T>): readonly T[] => fc.sample(arbitrary, { numRuns: 200, seed: 1 });

describe('what is drawn keeps to its bounds', () => {
  test('tasks come in order, within their time, as many as were asked for', () => {
    for (const work of sampled(workloads(inbox, inputs, { minTasks: 2, maxTasks: 5, withinMs: 100, maxPriority: 3 }))) {
      expect(work.length).toBeGreaterThanOrEqual(2);
      expect(work.length).toBeLessThanOrEqual(5);
      const times = work.map(({ atMs }) => atMs!);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(Math.max(...times)).toBeLessThanOrEqual(100);
    }
  });

  test('schedules are short and long, of choices from 0', () => {
    const lengths = new Set<number>();
    for (const schedule of sampled(schedules({ maxLength: 50, maxChoice: 3 }))) {
      lengths.add(schedule.length);
      expect(schedule.every((choice) => Number.isInteger(choice) && choice >= 0 && choice <= 3)).toBe(true);
    }
    expect(Math.min(...lengths)).toBe(0);
    expect(Math.max(...lengths)).toBe(50);
  });

  test('fault plans have every part, and not always', () => {
    const plans = sampled(faultPlans());
    for (const part of ['kills', 'strikes', 'calls', 'store', 'messages'] as const) {
      const having = plans.filter((plan) => part in plan).length;
      expect(having).toBeGreaterThan(20);
      expect(having).toBeLessThan(200);
    }
    expect(sampled(faultPlans({ parts: ['kills'] })).flatMap((plan) => Object.keys(plan))).not.toContain('calls');
  });

  test('kinds ask later ones only, unless circles are wanted', () => {
    const circles = (asks: 'acyclic' | 'circular'): number => {
      let count = 0;
      for (const { kinds } of sampled(topologies({ asks })))
        for (const { kind, asks: asked } of Object.values(kinds)) count += asked.filter((other) => other <= kind).length;
      return count;
    };
    expect(circles('acyclic')).toBe(0);
    expect(circles('circular')).toBeGreaterThan(0);
  });

  test('programs keep to what their topology declares', () => {
    for (const topology of fc.sample(topologies(), { numRuns: 20, seed: 1 })) {
      for (const work of fc.sample(workloadFor(topology), { numRuns: 5, seed: 2 }))
        for (const { kind, input } of work) {
          for (const operation of input.operations) {
            if (operation.at === 'call') expect(Object.keys(topology.kinds[kind]!.uses)).toContain(operation.dependency);
            if (operation.at === 'ask') expect(topology.kinds[kind]!.asks).toContain(operation.kind);
          }
        }
    }
  });
});
