/** Programs whose code changes from process to process: what is drawn, and that a fleet which does not do what it says is found. */
import type { Topology } from 'drover';
import { expect, test } from 'vitest';
import { simulateWith } from '../../src/testing/simulate/simulate.ts';
import { Drawn } from './programs.ts';

const SEEDS = Array.from({ length: 30 }, (_, at) => at + 1);

/** Every process says that it has the versions of its turn, and runs the code of the first. */
function stale(drawn: Drawn): (process: number) => Topology {
  const { deployed } = drawn.internals;
  const first = deployed!(1);
  return (process) => {
    const said = deployed!(process);
    const kinds = Object.fromEntries(
      Object.entries(said.kinds).map(([kind, plan]) => {
        const agent = { ...plan.agent, spec: { ...plan.agent.spec, run: first.kinds[kind]!.agent.spec.run } };
        return [kind, { ...plan, agent }];
      }),
    );
    return { ...said, agents: Object.fromEntries(Object.entries(kinds).map(([kind, { agent }]) => [kind, agent])), kinds } as Topology;
  };
}

test('a fleet that goes on with the code of its first process is found by what its tasks say', async () => {
  const named = new Set<string>();
  for (const seed of SEEDS) {
    const drawn = new Drawn(seed);
    if (drawn.internals.deployed === undefined) continue;
    const { violations } = await simulateWith(drawn.topology, drawn.options, { ...drawn.internals, deployed: stale(drawn) });
    for (const { invariant } of violations) named.add(invariant);
  }
  expect([...named]).toEqual(['deployed']);
});
