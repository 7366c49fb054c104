/** A fleet of 20 agents that call a model for about 3 seconds each time, for virtual hours. */
import { agent, defineFleet, dependency } from 'drover';
import { simulate } from '../../src/testing/index.ts';
import type { SimulationResult } from '../../src/testing/index.ts';

const HOUR_MS = 3_600_000;
const AGENTS = 20;
const CALLS_A_TASK = 4;

const model = dependency({
  limits: { concurrency: AGENTS, requestsPerMinute: 1_000 },
  adapt: 'aimd',
  breaker: { resetAfterMs: { baseMs: 2_000, capMs: 20_000 } },
  estimate: () => ({ input: 300, output: 200 }),
  perform: async (prompt: string): Promise<string> => prompt,
});

const writer = agent({
  uses: { model },
  replicas: AGENTS,
  run: async (topic: number, ctx) => {
    let text = `on ${topic}`;
    for (let draft = 0; draft < CALLS_A_TASK; draft += 1) {
      // Garbage need not be a text.
      const said: unknown = await ctx.call('model', `draft ${draft} of ${topic}`);
      text = String(said).slice(0, 40);
    }
    return text;
  },
});

/** Enough for a fleet that works all the time, and now and then not: then it waits for the next ten minutes. */
const topology = defineFleet({ name: 'writers', budget: { tokens: 2_200_000, perMs: 600_000 }, agents: { writer } });

/** Topics without end: the fleet is never without work. */
function* topics() {
  for (let topic = 1; ; topic += 1) yield { kind: 'writer' as const, input: topic };
}

/** One virtual hour. Every other seed is without faults. */
export function simulateFleetHour(seed: number): Promise<SimulationResult> {
  return simulate(topology, {
    seed,
    durationMs: HOUR_MS,
    workload: topics,
    faults: seed % 2 === 0 ? 'none' : 'drawn',
    provider: { model: { latencyMs: [2_000, 4_000] } },
    // It costs a sixth of the time, and the agents are the same for every seed.
    nondeterminism: seed % 4 === 1 ? 'report' : 'allow',
    replay: () => `DROVER_SEED=${seed} npx vitest run test/simulation/fleet.test.ts`,
  });
}
