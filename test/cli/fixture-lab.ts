/** A fleet for the tests of the commands that test. Run by child processes, and by threads of theirs. */
import { agent, defineFleet, dependency } from 'drover';
import { z } from 'zod';

const model = dependency({ limits: { concurrency: 1 }, estimate: () => 10, perform: async (text: string): Promise<string> => text });

const summary = agent({ uses: { model }, run: async (text: string, ctx) => ctx.call('model', text) });

const triage = agent({
  input: z.object({ mail: z.string() }),
  uses: { model },
  asks: { summary },
  run: async ({ mail }, ctx) => [await ctx.call('model', mail), await ctx.ask('summary', mail)],
});

/** Does what no agent should. */
const odd = agent({
  input: z.enum(['spins', 'dice', 'exits', 'prints']),
  async run(how) {
    if (how === 'spins') for (;;);
    if (how === 'exits') process.exit(7);
    if (how === 'prints') console.log('{"this is":"no result"}');
    return how === 'dice' ? Math.random() : 0;
  },
});

export const topology = defineFleet({ name: 'lab', agents: { triage, summary, odd } });

export const simulation = {
  workload: Array.from({ length: 3 }, (_, at) => ({ kind: 'triage', input: { mail: `mail ${at}` }, atMs: at * 100 })),
  provider: { model: { latencyMs: [100, 900], reply: (text: string) => text.toUpperCase() } },
};
