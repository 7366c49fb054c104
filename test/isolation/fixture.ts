/** A fleet whose workers do what no agent should, in threads, in processes, and inline. */
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { agent, bulkhead, defineFleet, dependency } from 'drover';
import type { Context } from 'drover';
import { z } from 'zod';

export const FLEET_NAME = 'cells';

/** Where it runs says what it is called with. */
const model = dependency({
  limits: { concurrency: 2 },
  perform: async (request: { text: string; ms?: number }) => {
    if (request.ms !== undefined) await sleep(request.ms);
    if (request.text === 'fail') throw Object.assign(new Error('no such text'), { status: 400 });
    return { text: request.text.toUpperCase(), pid: process.pid };
  },
});

const child = agent({
  input: z.object({ text: z.string(), ms: z.number().default(0) }),
  replicas: 2,
  async run({ text, ms }) {
    if (ms > 0) await sleep(ms);
    return `${text}!`;
  },
});

export const deeds = [
  'works',
  'loops',
  'allocates',
  'buffers',
  'exits',
  'exits well',
  'throws later',
  'rejects later',
  'aborts',
  'fails',
  'sleeps',
  'steps',
  'asks',
  'sends',
  'holds',
  'misuses',
  'reports',
  'parks',
  'leaves a timer',
  'writes when it ends',
  'tells its process',
  'tells its process and loops',
] as const;

const input = z.object({ deed: z.enum(deeds).default('works'), ms: z.number().default(0), file: z.string().default('') });
type Given = z.infer<typeof input>;

const low = bulkhead({ concurrency: 1, rank: 1 });
const high = bulkhead({ concurrency: 1, rank: 2 });

async function act(
  { deed, ms, file }: Given,
  ctx: Context<{ model: typeof model; low: typeof low; high: typeof high }, { child: typeof child }>,
): Promise<unknown> {
  switch (deed) {
    case 'works': {
      const reply = await ctx.call('model', { text: 'hello', ms });
      const stepped = await ctx.step('pid', ({ idempotencyKey }) => ({ pid: process.pid, idempotencyKey }));
      return { text: reply.text, performedBy: reply.pid, stepped };
    }
    case 'loops':
      if (ms > 0) await sleep(ms);
      for (;;);
    case 'allocates': {
      const kept: unknown[] = [];
      for (;;) kept.push(Array.from({ length: 10_000 }, (_, at) => ({ at })));
    }
    case 'buffers': {
      const kept: Buffer[] = [];
      for (;;) {
        kept.push(Buffer.alloc(8 * 1_048_576, 1));
        await sleep(20);
      }
    }
    case 'exits':
      process.stderr.write('about to leave\n');
      await sleep(20);
      return process.exit(7);
    case 'exits well':
      return process.exit(0);
    case 'throws later':
      setTimeout(() => {
        throw new Error('thrown where nobody waits');
      }, 5);
      await sleep(10_000);
      return 'late';
    case 'rejects later':
      void Promise.reject(new Error('stray'));
      await sleep(20);
      return 'went on';
    case 'aborts':
      return process.kill(process.pid, 'SIGKILL');
    case 'fails':
      throw Object.assign(new Error('as asked'), { code: 'E_ASKED', retryable: false });
    case 'sleeps':
      ctx.signal.addEventListener('abort', () => {
        const { code, detail } = ctx.signal.reason as { code: string; detail: { reason: string } };
        if (file !== '') appendFileSync(file, `${code} ${detail.reason}`);
      });
      await sleep(ms);
      return 'slept';
    case 'steps': {
      const first = await ctx.step('first', () => ({ at: 1 }));
      const failed = await ctx
        .step('second', () => {
          throw Object.assign(new Error('step failed'), { code: 'E_STEP' });
        })
        .catch((error: { message: string; code: string }) => `${error.code}: ${error.message}`);
      const twice = await ctx.step('first', () => 2).catch((error: { code: string }) => error.code);
      return { first, failed, twice };
    }
    case 'asks':
      return [await ctx.ask('child', { text: 'a' }), await ctx.ask('child', { text: 'b' })];
    case 'holds': {
      const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;
      const nested = await ctx.hold('low', async ({ idempotencyKey }) => [
        idempotencyKey.split('/').at(-1),
        await ctx.hold('high', async () => 'both'),
      ]);
      const falling = await ctx.hold('high', () => ctx.hold('low', async () => 'never')).catch(codeOf);
      const asking = await ctx.hold('low', () => ctx.ask('child', { text: 'a' })).catch(codeOf);
      const undeclared = await ctx.hold('model', async () => 'never').catch(codeOf);
      const thrown = await ctx
        .hold('low', async () => {
          throw Object.assign(new Error('inside'), { code: 'E_INSIDE', retryable: false });
        })
        .catch(codeOf);
      const free = await ctx.hold('low', async () => 'there is a place again');
      return { nested, falling, asking, undeclared, thrown, free };
    }
    case 'sends':
      ctx.send('child', { text: 'sent' });
      return 'sent';
    case 'misuses': {
      const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;
      const sent = (() => {
        try {
          ctx.send('nobody' as never, {} as never);
          return 'nothing';
        } catch (error) {
          return codeOf(error);
        }
      })();
      const invalid = await ctx.ask('child', { text: 1 } as never).catch(codeOf);
      const undeclared = await ctx.call('nothing' as never, {} as never).catch(codeOf);
      const uncopied = await ctx.call('model', { text: 'x', onToken: () => {} } as never).catch(codeOf);
      const failed = await ctx
        .call('model', { text: 'fail' })
        .catch((error: { code: string; detail: unknown; retryable: boolean; cause: { message: string } }) => [
          error.code,
          error.detail,
          error.retryable,
          error.cause.message,
        ]);
      return { sent, invalid, undeclared, uncopied, failed };
    }
    case 'reports':
      ctx.progress(1, 2);
      ctx.log.warn({ deed, failure: new Error('in facts'), odd: () => {} }, 'said from afar');
      return 'reported';
    case 'parks': {
      const answers = await Promise.all([ctx.ask('child', { text: 'a', ms: 50 }), ctx.ask('child', { text: 'b', ms: 80 })]);
      const pid = await ctx.step('after', () => process.pid);
      return { answers, attempt: ctx.task.attempt, inside: pid === process.pid };
    }
    case 'writes when it ends':
      process.on('exit', () => appendFileSync(file, 'ended in order'));
      return 'ready';
    case 'leaves a timer':
      setInterval(() => {}, 1_000);
      return 'left';
    case 'tells its process and loops':
      ctx.progress(process.pid);
      for (;;);
    case 'tells its process':
      ctx.progress(process.pid);
      return { pid: process.pid, task: ctx.task };
  }
}

const shared = {
  input,
  uses: { model, low, high },
  tenant: ({ deed }: Given) => deed,
  asks: { child },
  run: act,
  heartbeatMs: 500,
  memoryMb: 64,
  backoff: { baseMs: 1, capMs: 10 },
  losses: 1,
};

export const topology = defineFleet({
  name: FLEET_NAME,
  module: import.meta.url,
  staggerMs: 0,
  supervision: { intensity: 20, periodMs: 5_000, backoff: { baseMs: 1, capMs: 10 } },
  agents: {
    child,
    thread: agent({ ...shared, isolation: 'thread' }),
    process: agent({ ...shared, isolation: 'process' }),
    inline: agent({ ...shared }),
    'thread-twice': agent({ ...shared, isolation: 'thread', losses: 2 }),
    'process-twice': agent({ ...shared, isolation: 'process', losses: 2 }),
    'process-patient': agent({ ...shared, isolation: 'process', heartbeatMs: 600_000 }),
    'thread-parking': agent({ ...shared, isolation: 'thread', lingerMs: 0 }),
    'process-parking': agent({ ...shared, isolation: 'process', lingerMs: 0 }),
    'thread-timed': agent({ ...shared, isolation: 'thread', runTimeoutMs: 4_000, attempts: 1 }),
    'process-timed': agent({ ...shared, isolation: 'process', runTimeoutMs: 4_000, attempts: 1 }),
  },
});
