/** D13: agents that are all alike, and settle by negotiation who goes first: they give way together, and try again together. */
import { agent, defineFleet, dependency } from 'drover';
import type { Topology } from 'drover';
import type { SimulateOptions } from 'drover/testing';
import type { AnyAgent } from '../../../src/topology/agent.ts';
import { performed } from '../../../src/testing/deadlock/subject.ts';
import type { Subject } from '../../../src/testing/deadlock/subject.ts';
import { HEAL_MS } from './plant.ts';
import type { Plant } from './plant.ts';

const SEATS = 3;
const LATENCY_MS = 100;

interface Wish {
  readonly philosopher: number;
  readonly forks: readonly number[];
}

const take = dependency({ perform: async (wish: Wish) => wish.forks.length > 0 });
const put = dependency({ perform: async (wish: Wish) => wish.forks.length > 0 });

/** Gives back what he took when he cannot have both, and tries again. */
const polite = agent({
  uses: { take, put },
  replicas: SEATS,
  run: async (philosopher: number, ctx) => {
    const [left, right] = [philosopher, (philosopher + 1) % SEATS];
    const gets = (fork: number) => ctx.call('take', { philosopher, forks: [fork] }, { remember: false });
    for (;;) {
      if (!(await gets(left))) continue;
      if (await gets(right)) break;
      await ctx.call('put', { philosopher, forks: [left] }, { remember: false });
    }
    return ctx.call('put', { philosopher, forks: [left, right] });
  },
});

/** One who eats at a time: whoever comes waits in line, and takes both forks at once. */
const table = dependency({ limits: { concurrency: 1 }, perform: async (wish: Wish) => wish.forks.length > 0 });
const patient = agent({
  uses: { take: table },
  replicas: SEATS,
  run: async (philosopher: number, ctx) => ctx.call('take', { philosopher, forks: [philosopher, (philosopher + 1) % SEATS] }),
});

/** Forks that are taken when they lie on the table, and put back. */
function forks() {
  const holders = new Map<number, number>();
  return {
    takes: ({ philosopher, forks: wanted }: Wish): boolean => {
      if (wanted.some((fork) => holders.has(fork))) return false;
      for (const fork of wanted) holders.set(fork, philosopher);
      return true;
    },
    puts: ({ forks: held }: Wish): boolean => {
      for (const fork of held) holders.delete(fork);
      return true;
    },
  };
}

const subject = (philosopher: AnyAgent, provider: () => NonNullable<SimulateOptions['provider']>): Subject =>
  performed(defineFleet({ name: 'philosophers', staggerMs: 0, agents: { philosopher } }) as Topology, {
    durationMs: 2_000,
    healMs: HEAL_MS,
    provider,
    work: () => Array.from({ length: SEATS }, (_, at) => ({ kind: 'philosopher', id: `p${at}`, input: at })),
  });

function negotiated() {
  const { takes, puts } = forks();
  return { take: { latencyMs: LATENCY_MS, reply: takes }, put: { latencyMs: LATENCY_MS, reply: puts } };
}

export const politePhilosophers: Plant = {
  code: 'D13',
  what: 'identical agents take one fork, find the other one taken, and give way',
  instead: 'a line in order of arrival, and both forks at once',
  faulty: subject(polite, negotiated),
  correct: subject(patient, () => ({ take: { latencyMs: LATENCY_MS } })),
  kind: 'livelock',
  invariant: 'L1',
  says: /is at ctx\.call\((?:take|put)\)/,
  // Each is accepted, claimed and started, and goes once round: a call and its answer to take, to take in vain, to put back.
  // Until the first lap is complete one of them may be half a lap ahead; one line says that it goes on.
  smallest: { tasks: SEATS, steps: SEATS * (3 + 6) + 1 + SEATS },
};
