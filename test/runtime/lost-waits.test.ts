/** A wait for an event that has lost a race: whose the event is that comes then. */
import { expect, test } from 'vitest';
import { agent } from 'drover';
import type { Context } from 'drover';
import { z } from 'zod';
import { Testbed } from './harness.ts';

const events = { paid: z.string() };
type Ctx = Context<never, never, typeof events>;

/** Tells a task of `one`, and later of `two`, when its first wait has lost by a long time. */
async function told(run: (ctx: Ctx) => Promise<unknown>): Promise<unknown> {
  await using bed = new Testbed();
  const fleet = await bed.start({ agents: { work: agent({ events, run: async (_input: null, ctx) => run(ctx) }) } });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  await bed.advance(5_000);
  for (const payload of ['one', 'two']) {
    // Whoever has got what it wants has ended.
    if ((await bed.drive(fleet.task('x')))?.status === 'parked') await bed.drive(fleet.signal('x', 'paid', payload));
    await bed.advance(5_000);
  }
  return bed.drive(handle.result());
}

test('it is still a wait: the run may await it again, and gets the event', async () => {
  const said = await told(async (ctx) => {
    const paid = ctx.waitFor('paid');
    const first = await Promise.race([paid, ctx.sleep(1_000).then(() => 'late')]);
    return [first, await paid];
  });
  expect(said).toEqual(['late', 'one']);
});

test('so a wait for the same event that begins after it gets the next one', async () => {
  const said = await told(async (ctx) => {
    await Promise.race([ctx.waitFor('paid'), ctx.sleep(1_000)]);
    return ctx.waitFor('paid');
  });
  expect(said).toBe('two');
});

test('one that ends by itself, `withinMs`, leaves the event to the next', async () => {
  const said = await told(async (ctx) => {
    await ctx.waitFor('paid', { withinMs: 1_000 }).catch(() => {});
    return ctx.waitFor('paid');
  });
  expect(said).toBe('one');
});
