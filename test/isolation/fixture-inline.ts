/** A fleet on one event loop: one of its agents holds it. Run by child processes only. */
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { agent, defineFleet } from 'drover';
import { z } from 'zod';

/** Leaves a line for each time it has really done its work. */
const good = agent({
  input: z.object({ at: z.number() }),
  replicas: 4,
  async run({ at }, ctx) {
    await sleep(20);
    await ctx.step('log', () => appendFileSync('ran.log', `${at}\n`));
    return at;
  },
});

const bad = agent({
  input: z.object({ how: z.enum(['loops', 'exits', 'spins']) }),
  losses: 2,
  async run({ how }) {
    await sleep(50);
    if (how === 'loops') for (;;);
    if (how === 'exits') process.exit(0);
    for (const untilMs = performance.now() + 1_800; performance.now() < untilMs;);
    return how;
  },
});

export default defineFleet({ name: 'inline', staggerMs: 0, agents: { good, bad } });
