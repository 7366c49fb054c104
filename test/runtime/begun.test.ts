/** What a run has begun and nobody awaits: it does not get lost without a word. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import type { Context } from 'drover';
import { Testbed } from './harness.ts';

/** How a run of one agent ends. */
async function ended(bed: Testbed, run: (ctx: Context) => Promise<unknown>): Promise<{ code: string; message: string } | 'completed'> {
  bed.faults.delays = () => [5, 5];
  const leaf = agent({ run: async (input: number) => input });
  const work = agent({ asks: { leaf }, writes: ['row'], run: async (_input: null, ctx) => run(ctx as never) });
  const fleet = await bed.start({ agents: { work, leaf } });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  const end = await bed.drive(handle.result().then(() => 'completed' as const, (error: unknown) => error)); // prettier-ignore
  return end === 'completed' ? end : (end as { detail: { error: { code: string; message: string } } }).detail.error;
}

describe('a run that returns and does not await', () => {
  test.each([
    ['a write', 'state.set "row"', (ctx: Context) => ctx.state.set('row', 1, null)],
    ['a step', 'step "s"', (ctx: Context) => ctx.step('s', () => new Promise(() => {}))],
    ['a child', 'ask "leaf"', (ctx: Context) => (ctx as Context<{}, { leaf: never }>).ask('leaf', 1 as never)],
    ['a sleep', 'sleep', (ctx: Context) => ctx.sleep(1_000)],
  ])('%s fails, and says which', async (_what, label, begin) => {
    await using bed = new Testbed();
    const end = await ended(bed, async (ctx) => {
      void begin(ctx);
    });
    expect(end).toMatchObject({
      code: 'DROVER_OPERATIONS_OPEN',
      retryable: false,
      message: `task x: the run returned while nobody awaited ${label}; await each operation; one that you give up on purpose is raced: Promise.race([it, other])`,
    });
  });

  test('a write that was refused fails with the refusal', async () => {
    await using bed = new Testbed();
    const end = await ended(bed, async (ctx) => {
      void ctx.state.set('other', 1, null);
      await ctx.sleep(10);
    });
    expect(end).toMatchObject({ code: 'DROVER_UNDECLARED_WRITE' });
  });

  test('a step that failed meanwhile fails with its error', async () => {
    await using bed = new Testbed();
    const end = await ended(bed, async (ctx) => {
      void ctx.step('s', () => {
        throw Object.assign(new Error('no'), { code: 'SAID_NO', retryable: false });
      });
      await ctx.sleep(10);
    });
    expect(end).toMatchObject({ code: 'SAID_NO' });
  });

  test('what has ended well completes, and so does one that throws nothing away', async () => {
    await using bed = new Testbed();
    const end = await ended(bed, async (ctx) => {
      for (let at = 0; at < 100; at += 1) void ctx.step(`s${at}`, () => at);
      await ctx.sleep(1_000);
    });
    expect(end).toBe('completed');
  });
});

test('a write that is awaited by a branch that nobody awaits is not lost either', async () => {
  await using bed = new Testbed();
  const end = await ended(bed, async (ctx) => {
    void (async () => {
      await ctx.state.set('row', 1, null);
    })();
  });
  expect(end).toMatchObject({ code: 'DROVER_OPERATIONS_OPEN' });
});

test.each([
  ['Promise.race', (ctx: Context) => Promise.race([ctx.sleep(10), ctx.step('s', () => new Promise(() => {}))])],
  ['Promise.any', (ctx: Context) => Promise.any([ctx.sleep(10), ctx.sleep(60_000)])],
  ['then', async (ctx: Context) => { void ctx.sleep(60_000).then(() => {}); await ctx.sleep(10); }], // prettier-ignore
])('who loses a race is given up, and that is no fault: %s', async (_what, race) => {
  await using bed = new Testbed();
  expect(await ended(bed, async (ctx) => void (await race(ctx)))).toBe('completed');
});
