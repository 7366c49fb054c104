/** A fleet whose isolated runs wait, write rows, and register what undoes them. */
import { appendFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { agent, defineFleet } from 'drover';
import type { Context } from 'drover';
import { z } from 'zod';

export const operations = [
  'waits',
  'asks on and on',
  'races',
  'writes',
  'widens',
  'nests',
  'undoes',
  'undoes late',
  'misuses',
  'sends on and on',
  'goes on',
  'gives up',
  'gives up within',
] as const;

const input = z.object({ operation: z.enum(operations), file: z.string().default('') });
const events = { go: z.object({ at: z.number() }) };

type Given = z.infer<typeof input>;
const turn = agent({ run: async (at: number) => at });

type Ctx = Context<{}, { readonly turn: typeof turn }, typeof events>;

const codeOf = (error: unknown): unknown => (error as { code: unknown }).code;

async function act({ operation, file }: Given, ctx: Ctx): Promise<unknown> {
  // Which process it is says where it happened.
  const note =
    (what: string) =>
    ({ idempotencyKey }: { readonly idempotencyKey: string }): void =>
      appendFileSync(file, `${what} ${idempotencyKey.split('/')[1]} ${process.pid}\n`);
  switch (operation) {
    case 'waits': {
      await ctx.sleep(50);
      const late = await ctx.waitFor('go', { withinMs: 20 }).catch(codeOf);
      const said = await ctx.approval('spend', { cents: 5 });
      const event = await ctx.waitFor('go');
      return { late, said, event };
    }
    case 'asks on and on':
      for (let at = 0; at < 80; at += 1) {
        // The sweep that brings an inherited priority needs its time.
        await ctx.step(`pause ${at}`, () => setTimeout(20));
        await ctx.ask('turn', at, at % 2 === 0 ? {} : { priority: -1 });
      }
      return null;
    case 'races':
      return Promise.race([ctx.step('for ever', () => new Promise(() => {})), ctx.approval('spend', { cents: 5 }), ctx.sleep(60_000)]);
    case 'writes': {
      const row = await ctx.state.get<number>('count');
      await ctx.state.set('count', (row?.value ?? 0) + 1, row?.version ?? null);
      const [updated] = await Promise.all([
        ctx.state.update<number>('sum', (sum = 0) => sum + 10),
        ctx.state.update<number>('sum', (sum = 0) => sum + 1),
      ]);
      const thrown = await ctx.state
        .update('sum', () => {
          throw Object.assign(new Error('no'), { code: 'E_CHANGE' });
        })
        .catch(codeOf);
      return { count: await ctx.state.get('count').then((now) => now?.value), updated, thrown, locked: ctx.task.lockFence > 0 };
    }
    case 'widens':
      await ctx.widen(['more']);
      return ctx.state.update<string>('more', () => 'widened');
    case 'nests': {
      const inside = await ctx.step('outer', () => ctx.step('inner', () => 'inside'));
      await ctx.sleep(100);
      return [inside, await ctx.step('inner', () => 'outside')];
    }
    case 'undoes':
      await ctx.compensate('book', note('cancel'));
      await ctx.step('book', note('book'));
      await ctx.compensate('charge', note('refund'));
      throw Object.assign(new Error('no seat left'), { retryable: false });
    case 'undoes late':
      await Promise.all([ctx.compensate('book', note('cancel')), ctx.compensate('charge', note('refund'))]);
      await ctx.sleep(60_000);
      return null;
    case 'goes on': {
      await decline(ctx, note('A')).catch(() => ctx.step('B', note('B')));
      if (ctx.task.attempt === 1) throw new Error('once');
      return 'done';
    }
    case 'gives up':
      await giveUp(ctx, note);
      return 'done';
    case 'gives up within':
      await ctx.step('outer', () => giveUp(ctx, note));
      return 'done';
    case 'sends on and on':
      for (let at = 0; ; at += 1) {
        try {
          ctx.send('turn', at);
        } catch (error) {
          return [at, codeOf(error), (error as { retryable: unknown }).retryable];
        }
      }
    case 'misuses':
      return {
        undeclared: await ctx.waitFor('other' as never).catch(codeOf),
        elsewhere: await ctx.state.set('other', 1, null).catch(codeOf),
        inStep: await ctx.step('look', () => ctx.state.get('count')).catch(codeOf),
        undoInStep: await ctx.step('undo', () => ctx.compensate('x', () => {})).catch(codeOf),
        parkInStep: await ctx.step('park', () => ctx.sleep(1)).catch(codeOf),
        sendInStep: await ctx.step('send', () => ctx.send('other' as never, null as never)).catch(codeOf),
        unwritable: await ctx.state.set('count', 1n, null).catch(codeOf),
        never: await ctx.sleep(-1).catch(codeOf),
      };
  }
}

async function giveUp(ctx: Ctx, note: (what: string) => (step: { readonly idempotencyKey: string }) => void): Promise<void> {
  try {
    await decline(ctx, note('A'));
  } catch (cause) {
    await ctx.step('tell', note('tell'));
    throw new Error('no', { cause });
  }
}

/** Fails in the first attempt. */
function decline(ctx: Ctx, note: (step: { readonly idempotencyKey: string }) => void): Promise<void> {
  return ctx.step('A', (step) => {
    note(step);
    if (ctx.task.attempt === 1) throw new Error('declined');
  });
}

const kind = (isolation: 'inline' | 'thread' | 'process') =>
  agent({ isolation, input, events, backoff: () => 1, asks: { turn }, writes: ['count', 'sum'], run: (given, ctx) => act(given, ctx) });

export const topology = defineFleet({
  name: 'operations',
  module: import.meta.url,
  staggerMs: 0,
  bounds: { family: 3 },
  agents: { turn, inline: kind('inline'), thread: kind('thread'), process: kind('process') },
});
