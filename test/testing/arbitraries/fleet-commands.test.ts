/** Commands against a running fleet: they leave nothing lost, and a planted fault shrinks to the few that show it. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fleetCommands, FleetModel, runFleetCommands } from '../../../src/testing/arbitraries/index.ts';
import type { FleetCommand, VirtualFleet } from '../../../src/testing/arbitraries/index.ts';
import { virtualFleetWith } from '../../../src/testing/arbitraries/virtual-fleet.ts';
import type { SimulationInternals } from '../../../src/testing/simulate/internals.ts';
import { inbox, shrunk } from './fleets.ts';

type Inbox = typeof inbox.agents;
const inputs = { triage: fc.nat({ max: 9 }), digest: fc.nat({ max: 9 }) };

/** As `runFleetCommands`, of a fleet with a planted fault. */
async function runMutant(commands: Iterable<FleetCommand<Inbox>>, internals: SimulationInternals): Promise<void> {
  await using fleet: VirtualFleet<Inbox> = await virtualFleetWith(inbox, {}, internals);
  await fc.asyncModelRun(() => ({ model: new FleetModel(), real: fleet }), commands);
  const { violations } = await fleet.end();
  if (violations.length > 0) throw new Error(violations[0]!.message);
}

const words = (commands: readonly unknown[]): string => commands.map(String).join(', ');

describe('commands against a fleet', () => {
  test('lose nothing, whatever they are', async () => {
    const sums = { tasks: 0, processes: 0, completed: 0 };
    const property = fc.asyncProperty(fleetCommands(inbox, { inputs }), async (commands) => {
      const { statistics } = await runFleetCommands(inbox, commands);
      for (const name of ['tasks', 'processes', 'completed'] as const) sums[name] += statistics[name];
    });
    await fc.assert(property, { numRuns: 40 });
    expect(sums.completed).toBe(sums.tasks);
    expect(sums.tasks).toBeGreaterThan(30);
    expect(sums.processes).toBeGreaterThan(30);
  });

  test('lose nothing when calls, the store and messages fail as well', async () => {
    const faults = {
      calls: { broken: 0.1, hang: 0.02 },
      store: { failBefore: 0.1, failAfter: 0.1, delayMs: 50 },
      messages: { delayed: 0.05 },
    };
    const property = fc.asyncProperty(fleetCommands(inbox, { inputs }), fc.nat(), async (commands, seed) => {
      await runFleetCommands(inbox, commands, { seed, faults });
    });
    await fc.assert(property, { numRuns: 25 });
  });

  test('of the user are given beside those of the kit', async () => {
    let given = 0;
    const look: FleetCommand<Inbox> = {
      check: ({ isUp }) => isUp,
      run: async (_model, fleet) => void (given += fleet.isUp ? 1 : 0),
      toString: () => 'look',
    };
    const property = fc.asyncProperty(fleetCommands(inbox, { inputs, more: [fc.constant(look)] }), async (commands) => {
      await runFleetCommands(inbox, commands);
    });
    await fc.assert(property, { numRuns: 20 });
    expect(given).toBeGreaterThan(0);
  });
});

describe('a planted fault', () => {
  test('of a store that forgets its tasks when it is opened again shrinks to a restart and a task', async () => {
    const { smallest, error } = await shrunk(fleetCommands(inbox, { inputs: { digest: fc.nat({ max: 9 }) } }), (commands) => {
      let opened = 0;
      // Each further owner sees a store without any task.
      const store: SimulationInternals['store'] = (real) => {
        opened += 1;
        return opened === 1 ? real : { ...real, submit: async (tasks) => tasks.map(() => ({ at: 'accepted' as const })) };
      };
      return runMutant(commands, { store });
    });
    expect(words(smallest)).toBe('restart, submit(digest, 0)');
    expect(error.message).toContain('m1 to be in the store');
  });

  test('of a store that takes any input for a task it knows shrinks to a conflict', async () => {
    const { smallest, error } = await shrunk(fleetCommands(inbox, { inputs }), (commands) => {
      const store: SimulationInternals['store'] = (real) => ({
        ...real,
        submit: async (tasks, nowMs) => {
          const outcomes = await real.submit(tasks, nowMs);
          return outcomes.map((outcome, at) =>
            outcome.at === 'known'
              ? { at: 'known' as const, task: { ...outcome.task, kind: tasks[at]!.kind, input: tasks[at]!.input } }
              : outcome,
          );
        },
      });
      return runMutant(commands, { store });
    });
    expect(words(smallest)).toMatch(/^submit\(\w+, \d\), submitInConflict\(0, \w+, \d\)$/);
    expect(error).toMatchObject({ code: 'DROVER_FLEET_MODEL', detail: { task: 'm1' } });
  });

  test('of a store that tells of no task shrinks to a look', async () => {
    const { smallest } = await shrunk(fleetCommands(inbox, { inputs: { digest: fc.nat({ max: 9 }) } }), (commands) =>
      runMutant(commands, { store: (real) => ({ ...real, get: async () => [undefined] }) }),
    );
    expect(words(smallest)).toBe('submit(digest, 0), lookUp(0)');
  });

  test('that a command of the user sees shrinks to what brings it there', async () => {
    const look: FleetCommand<Inbox> = {
      check: ({ tasks }) => tasks.length > 0,
      run: async (_model, fleet) => {
        if (fleet.statistics.completed > 0) throw new Error('somebody has worked');
      },
      toString: () => 'look',
    };
    const { smallest } = await shrunk(fleetCommands(inbox, { inputs, more: [fc.constant(look)] }), async (commands) => {
      await runFleetCommands(inbox, commands);
    });
    expect(words(smallest)).toMatch(/^submit\(\w+, 0\), (advance|close)\(\d+\), look$/);
  });
});
