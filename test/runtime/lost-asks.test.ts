/** A child that ends after its ask has lost a race: later runs, and the one that undoes, take what has won. */
import { describe, expect, test } from 'vitest';
import { agent, operation } from 'drover';
import type { Context } from 'drover';
import { setup } from 'xstate';
import { z } from 'zod';
import { Testbed } from './harness.ts';
import { killedAtEachCommit } from './killed.ts';

type Ask = Pick<Context<{}, {}, {}>, 'ask' | 'sleep'>;

/** Fails after so many ms. */
const failing = agent({
  attempts: 1,
  replicas: 4,
  async run(ms: number, ctx): Promise<string> {
    await ctx.sleep(ms);
    throw Object.assign(new Error('out of paper'), { retryable: false });
  },
});
const asks = { failing };
const events = { go: z.any(), on: z.any() };

/** Ways to ask for a price for a while only. Each gives `100` unless it hears of the child before. */
const WAYS: Readonly<Record<string, (ctx: Ask, ms: number) => Promise<string>>> = {
  'not caught': (ctx, ms) => Promise.race([ctx.ask('failing' as never, ms as never), ctx.sleep(20).then(() => '100')]),
  caught: (ctx, ms) => Promise.race([ctx.ask('failing' as never, ms as never).catch(() => '0'), ctx.sleep(20).then(() => '100')]),
  'caught around the race': (ctx, ms) =>
    Promise.race([ctx.ask('failing' as never, ms as never), ctx.sleep(20).then(() => '100')]).catch(() => '0'),
  'the first of any': (ctx, ms) =>
    Promise.any([ctx.ask('failing' as never, ms as never).catch(() => '0'), ctx.sleep(20).then(() => '100')]),
  'all, of which another has failed': (ctx, ms) =>
    Promise.all([ctx.ask('failing' as never, ms as never), ctx.ask('failing' as never, 10 as never)]).then(
      () => '0',
      (error: unknown) =>
        (error as { readonly detail?: { readonly id?: string } }).detail?.id?.endsWith('failing#2') === true ? '100' : '0',
    ),
  'in two steps': async (ctx, ms) => {
    const asked = ctx.ask('failing' as never, ms as never).catch(() => '0');
    await ctx.sleep(20);
    return Promise.race([asked, ctx.sleep(20).then(() => '100')]);
  },
};

describe.each(Object.entries(WAYS))('asked with a timeout (%s)', (_name, way) => {
  test('a child that fails while the task is parked comes after all that was remembered, in every later run', async () => {
    await using bed = new Testbed();
    const done: string[] = [];
    const work = agent({
      asks,
      events,
      async run(_input: null, ctx): Promise<string> {
        const price = await way(ctx as never, 20_000);
        await ctx.step(`pay ${price}`, () => void done.push(`paid ${price}`));
        await ctx.waitFor('go');
        await ctx.waitFor('on');
        return price;
      },
    });
    const fleet = await bed.start({ agents: { work, failing } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(40_000);
    expect(await fleet.task('x/failing#1')).toMatchObject({ status: 'failed' });
    // That it failed has been seen by now: this run finds it remembered.
    await bed.drive(fleet.signal('x', 'go', 1));
    await bed.advance(20_000);
    await bed.drive(fleet.signal('x', 'on', 1));
    expect(await bed.drive(handle.result())).toBe('100');
    expect(done).toEqual(['paid 100']);
  });

  for (const how of ['throws', 'is cancelled', 'passes its deadline'] as const) {
    for (const ms of how === 'throws' ? [60_000] : [60_000, 10_000]) {
      test(`when the task ${how}, what was paid is refunded, the child ${ms === 60_000 ? 'cancelled with it' : 'failed before'}`, async () => {
        await using bed = new Testbed();
        const done: string[] = [];
        const work = agent({
          attempts: 2,
          backoff: () => 5,
          asks,
          events,
          async run(_input: null, ctx) {
            const price = await way(ctx as never, ms);
            await ctx.compensate('pay', () => void done.push(`refund ${price}`));
            await ctx.step('pay', () => void done.push(`paid ${price}`));
            if (how === 'throws') throw Object.assign(new Error('no'), { retryable: false });
            await ctx.waitFor('go');
          },
        });
        const fleet = await bed.start({ agents: { work, failing } });
        const deadline = how === 'passes its deadline' ? { deadline: bed.nowMs + 15_000 } : {};
        const handle = await bed.drive(fleet.submit('work', null, { id: 'x', ...deadline }));
        if (how === 'is cancelled') {
          await bed.advance(5_000);
          // No run sees what becomes of the child.
          await bed.drive(fleet.pauseKind('work'));
          await bed.advance(10_000);
          await bed.drive(fleet.cancel('x'));
          await bed.drive(fleet.unpauseKind('work'));
        }
        await bed.rejection(handle.result());
        expect(done).toEqual(['paid 100', 'refund 100']);
        expect(await fleet.task('x')).toMatchObject({ undone: true });
      });
    }
  }
});

test('a child that fails while the run is about something of its own, alone, comes after all that was remembered before', async () => {
  await using bed = new Testbed();
  const work = agent({
    asks,
    events,
    async run(_input: null, ctx): Promise<string> {
      const price = await WAYS.caught!(ctx as never, 20_000);
      await ctx.waitFor('go');
      await bed.sleep(30_000);
      await ctx.waitFor('on');
      return price;
    },
  });
  const fleet = await bed.start({ agents: { work, failing } });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  await bed.advance(10_000);
  await bed.drive(fleet.signal('x', 'go', 1));
  await bed.advance(60_000);
  await bed.drive(fleet.signal('x', 'on', 1));
  expect(await bed.drive(handle.result())).toBe('100');
});

test('wherever the process dies, a late failure of a child changes nothing of the way that was gone', async () => {
  let done: string[] = [];
  await killedAtEachCommit(
    () => {
      const mine: string[] = (done = []);
      const work = agent({
        leaseMs: 3_000,
        asks,
        async run(_input: null, ctx): Promise<string> {
          const price = await WAYS.caught!(ctx as never, 6_000);
          await ctx.step(`pay ${price}`, () => void mine.push(`paid ${price}`));
          await ctx.sleep(20_000);
          return price;
        },
      });
      return { agents: { work, failing } };
    },
    async (mortal) => {
      await mortal.ask((fleet) => fleet.submit('work', null, { id: 'x' }));
      expect(await mortal.end('x')).toMatchObject({ status: 'completed' });
      // A step whose end was not remembered is made again, in the same way.
      expect(new Set(done).size).toBe(1);
    },
  );
});

describe('a run that undoes', () => {
  test.each(['fails', 'is cancelled'] as const)(
    'comes by what was registered because a child %s, though the attempt has ended with that',
    async (how) => {
      await using bed = new Testbed();
      const done: string[] = [];
      const work = agent({
        attempts: 2,
        backoff: () => 10,
        asks,
        async run(_input: null, ctx) {
          try {
            await ctx.ask('failing', 10_000);
          } catch (error) {
            const why = (error as Error).message.includes('by someone') ? 'cancelled' : 'failed';
            await ctx.compensate('letter', () => void done.push(`withdraw: ${why}`));
            await ctx.step('letter', () => void done.push(`write: ${why}`));
            throw error;
          }
        },
      });
      const fleet = await bed.start({ agents: { work, failing } });
      const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
      await bed.advance(5_000);
      if (how === 'is cancelled') await bed.drive(fleet.cancel('x/failing#1', { by: 'someone' }));
      await bed.rejection(handle.result());
      const why = how === 'fails' ? 'failed' : 'cancelled';
      expect(done).toEqual([`write: ${why}`, `withdraw: ${why}`]);
      expect(await fleet.task('x')).toMatchObject({ undone: true });
    },
  );

  test('so it does within an operation of a statechart', async () => {
    await using bed = new Testbed();
    const done: string[] = [];
    const pay = operation(async (_input: null, ctx: Context<{}, {}, {}>) => {
      const price = await WAYS.caught!(ctx, 60_000);
      await ctx.compensate('pay', () => void done.push(`refund ${price}`));
      await ctx.step('pay', () => void done.push(`paid ${price}`));
      try {
        await ctx.ask('failing' as never, 10 as never);
      } catch (error) {
        await ctx.compensate('letter', () => void done.push('withdraw'));
        throw error;
      }
    });
    const machine = setup({ actors: { pay } }).createMachine({
      initial: 'paying',
      context: {},
      states: { paying: { invoke: { src: 'pay', input: null, onDone: 'paid' } }, paid: { type: 'final' } },
    });
    const work = agent({ attempts: 1, asks, machine });
    const fleet = await bed.start({ agents: { work, failing } });
    const handle = await bed.drive(fleet.submit('work', undefined as never, { id: 'x' }));
    await bed.rejection(handle.result());
    expect(done).toEqual(['paid 100', 'withdraw', 'refund 100']);
  });

  test('forgets that a child was seen to fail which has been put back since, and lost', async () => {
    await using bed = new Testbed();
    const done: string[] = [];
    const work = agent({
      attempts: 1,
      asks,
      async run(_input: null, ctx) {
        const price = await Promise.race([ctx.ask('failing', 5_000), ctx.sleep(30_000).then(() => '100')]);
        await ctx.compensate('pay', () => void done.push(`refund ${price}`));
        await ctx.step('pay', () => void done.push(`paid ${price}`));
        throw Object.assign(new Error('no'), { retryable: false });
      },
    });
    const fleet = await bed.start({ agents: { work, failing } });
    await bed.rejection((await bed.drive(fleet.submit('work', null, { id: 'x' }))).result());
    expect(done).toEqual([]);
    // Nobody answers any more before the time is over.
    await bed.drive(fleet.pauseKind('failing'));
    await bed.drive(fleet.requeue('x'));
    await bed.rejection((await bed.drive(fleet.submit('work', null, { id: 'x' }))).result());
    expect(done).toEqual(['paid 100', 'refund 100']);
    expect(await fleet.task('x')).toMatchObject({ undone: true });
    await bed.drive(fleet.unpauseKind('failing'));
  });

  test('has time for something of its own behind an ask that has lost', async () => {
    await using bed = new Testbed();
    const done: string[] = [];
    const work = agent({
      attempts: 1,
      asks,
      async run(_input: null, ctx) {
        const price = await WAYS['not caught']!(ctx as never, 60_000);
        await bed.sleep(1_000);
        await ctx.compensate('pay', () => void done.push(`refund ${price}`));
        throw new Error('no');
      },
    });
    const fleet = await bed.start({ agents: { work, failing } });
    await bed.rejection((await bed.drive(fleet.submit('work', null, { id: 'x' }))).result());
    expect(done).toEqual(['refund 100']);
  });

  test('does not wait for ever for a child whose end nobody has seen, and undoes nothing', async () => {
    await using bed = new Testbed();
    const done: string[] = [];
    let awaits = false;
    const work = agent({
      attempts: 1,
      asks,
      events,
      async run(_input: null, ctx) {
        await ctx.compensate('stock', () => void done.push('stock'));
        const asked = ctx.ask('failing', 600_000);
        asked.catch(() => {});
        await ctx.sleep(20);
        if (awaits) await asked;
        await ctx.compensate('pay', () => void done.push('pay'));
        await ctx.waitFor('go');
      },
    });
    const fleet = await bed.start({ agents: { work, failing } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(5_000);
    awaits = true;
    const fromMs = bed.nowMs;
    await bed.drive(fleet.cancel('x'));
    const error = await bed.rejection(handle.result());
    expect(error.message).toContain(
      'could not undo "pay" (the run does not come by it any more, but to ask "failing", which no earlier run',
    );
    expect(bed.nowMs - fromMs).toBeLessThan(20_000);
    expect(done).toEqual([]);
    awaits = false;
    await bed.drive(fleet.requeue('x'));
    await bed.rejection((await bed.drive(fleet.submit('work', null, { id: 'x' }))).result());
    expect(done).toEqual(['pay', 'stock']);
  });
});
