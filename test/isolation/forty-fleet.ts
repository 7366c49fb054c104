/** Forty workers, one of which goes wrong: in a thread, or in a process. */
import { setTimeout as sleep } from 'node:timers/promises';
import { agent, defineFleet, dependency } from 'drover';
import { z } from 'zod';

const model = dependency({
  limits: { concurrency: 20 },
  perform: async (request: string) => {
    await sleep(10);
    return request.length;
  },
});

const steady = (replicas: number) =>
  agent({
    replicas,
    uses: { model },
    async run(at: number, ctx) {
      let sum = 0;
      for (let call = 0; call < 4; call += 1) sum += await ctx.call('model', `${at}/${call}`);
      return sum;
    },
  });

export const DEEDS = ['an endless loop', 'an allocation loop', 'process.exit'] as const;
export type Deed = (typeof DEEDS)[number] | 'nothing';

const shared = {
  input: z.object({ deed: z.enum([...DEEDS, 'nothing']) }),
  uses: { model },
  losses: 1,
  heartbeatMs: 700,
  memoryMb: 128,
};

const culprit = (isolation: 'thread' | 'process') =>
  agent({
    ...shared,
    isolation,
    async run({ deed }, ctx) {
      await ctx.call('model', deed);
      // From here on it is wrong.
      ctx.progress(1);
      if (deed === 'an endless loop') for (;;);
      if (deed === 'process.exit') process.exit(3);
      if (deed === 'an allocation loop') for (const kept: unknown[] = []; ;) kept.push(Array.from({ length: 10_000 }, (_, at) => ({ at })));
      return deed;
    },
  });

export const fortyFleet = (others: number) =>
  defineFleet({
    name: 'forty',
    module: import.meta.url,
    staggerMs: 0,
    supervision: { backoff: { baseMs: 10, capMs: 100 } },
    agents: { steady: steady(others), thread: culprit('thread'), process: culprit('process') },
  });

export const topology = fortyFleet(39);
