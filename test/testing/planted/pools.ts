/** D3 and D8: parents that wait, and take from their children what those need to run. */
import { agent, contract, defineFleet } from 'drover';
import type { Store } from '../../../actors/ports/store.ts';
import { rehearsed } from '../../../src/testing/deadlock/subject.ts';
import type { Subject } from '../../../src/testing/deadlock/subject.ts';
import type { SimulationInternals } from '../../../src/testing/simulate/internals.ts';
import { HEAL_MS } from './plant.ts';
import type { Plant } from './plant.ts';

const REPLICAS = 2;

const topology = defineFleet({
  name: 'pool',
  staggerMs: 0,
  agents: { node: agent({ asks: { node: contract() }, replicas: REPLICAS, run: async () => null }) },
});

const subject = (internals: SimulationInternals): Subject =>
  rehearsed(topology, { tasks: 8, depth: 3, operations: 2, asks: 1, durationMs: 2_000, healMs: HEAL_MS, internals: () => internals });

export const asksInAPool: Plant = {
  code: 'D3',
  what: 'a run that only waits keeps its worker',
  instead: 'it parks',
  faulty: subject({ parking: false }),
  correct: subject({}),
  kind: 'deadlock',
  invariant: 'waits',
  says: /holds worker \S+ and waits for its child/,
  // Each of two workers is held by a task that was accepted, claimed and started; whom the second one asks is accepted and lies in a mailbox.
  smallest: { tasks: 1, steps: 3 * REPLICAS + 2 },
};

/** As many agents as there are replicas, those among them that are parked. */
function countingTheParked(store: Store): Store {
  return {
    ...store,
    claim: async (command) => {
      const counts = await store.counts();
      const wants = command.wants.map(({ kind, limit }) => {
        const { leased = 0, running = 0, parked = 0 } = counts[kind] ?? {};
        return { kind, limit: Math.max(0, Math.min(limit, REPLICAS - leased - running - parked)) };
      });
      return store.claim({ ...command, wants: wants.filter(({ limit }) => limit > 0) });
    },
  };
}

export const parkedParents: Plant = {
  code: 'D8',
  what: 'parked parents count as agents, and fill what there may be of them',
  instead: 'only agents that can run count',
  faulty: subject({ store: countingTheParked }),
  correct: subject({}),
  kind: 'deadlock',
  invariant: 'L1',
  says: /waits for a worker of node/,
  // Each of two places is taken by a task that was accepted, claimed, started and parked; whom the second one asks is accepted, and that is all.
  smallest: { tasks: 1, steps: 4 * REPLICAS + 1 },
};
