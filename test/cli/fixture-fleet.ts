/** A small fleet for the tests of the command line. Run by child processes only. */
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { agent, defineFleet, dependency } from 'drover';
import { z } from 'zod';

const model = dependency({
  perform: async ({ text, ms }: { text: string; ms: number }, { signal }) => {
    if (ms > 0) await sleep(ms, undefined, { signal });
    return { text: text.toUpperCase() };
  },
  usage: (_reply, { text }) => ({ inputTokens: text.length, outputTokens: 2 * text.length }),
});

/** Says it louder, after `ms`, and leaves a line in `ran.log` for each time it has really done it. */
const shout = agent({
  input: z.object({ text: z.string(), ms: z.number().default(0) }),
  uses: { model },
  replicas: 4,
  async run({ text, ms }, ctx) {
    if (ms > 0) ctx.log.warn({}, 'begun');
    const reply = await ctx.call('model', { text, ms });
    await ctx.step('log', () => appendFileSync('ran.log', `${ctx.task.id}\n`));
    return reply.text;
  },
});

/** Fails `times` times, then answers; dead when that is too often. */
const shaky = agent({
  input: z.object({ times: z.number() }),
  attempts: 3,
  backoff: { baseMs: 1, capMs: 5 },
  run: async ({ times }, ctx) => {
    if (ctx.task.attempt <= times) throw new Error(`not at attempt ${ctx.task.attempt}`);
    return ctx.task.attempt;
  },
});

/** Asks two others. */
const pair = agent({
  input: z.object({ text: z.string() }),
  asks: { shout },
  run: async ({ text }, ctx) => Promise.all([ctx.ask('shout', { text }), ctx.ask('shout', { text: `${text}!` })]),
});

/** Leaves something behind that nobody looks at. */
const careless = agent({
  input: z.enum(['rejects', 'throws']),
  async run(how) {
    if (how === 'rejects') void Promise.reject(new Error('stray'));
    else {
      setTimeout(() => {
        throw new Error('astray');
      }, 1);
      await sleep(10_000);
    }
    return how;
  },
});

export default defineFleet({ name: 'small', module: import.meta.url, staggerMs: 0, agents: { shout, shaky, pair, careless } });
