/** What a run has read of rows that it holds is there still when it completes, whatever let go of its locks in between. */
import { describe, expect, test } from 'vitest';
import { assign, setup } from 'xstate';
import { agent, operation } from 'drover';
import type { Context } from 'drover';
import type { SettledOutcome, Settlement } from '../../actors/ports/store.ts';
import { Testbed } from './harness.ts';

/** Writes both rows. */
const both = agent({
  writes: ['p1', 'p2'],
  async run(n: number, ctx) {
    await ctx.state.update('p1', () => n);
    await ctx.state.update('p2', () => n);
  },
});

const valueOf = async (ctx: Context, key: string): Promise<unknown> => (await ctx.state.get(key))?.value;

/** What the store was told of tasks that completed. */
function completions(bed: Testbed): Extract<SettledOutcome, { readonly at: 'completed' }>[] {
  const found: Extract<SettledOutcome, { readonly at: 'completed' }>[] = [];
  bed.faults.committed = (command, items) => {
    if (command !== 'settle') return;
    for (const { outcome } of items as readonly Settlement[]) if (outcome.at === 'completed') found.push(outcome);
  };
  return found;
}

describe('a run that reads two rows, and loses its locks in between', () => {
  const reader = (between: (ctx: Context) => Promise<unknown>, spec: object = {}) =>
    agent({
      reads: ['p1', 'p2'],
      backoff: () => 10,
      async run(_input: null, ctx) {
        const first = await valueOf(ctx, 'p1');
        await between(ctx);
        return [first, await valueOf(ctx, 'p2')];
      },
      ...spec,
    });

  /** Its process dies while it makes a step; the next one has only the writer; then everything is back. */
  async function overCrash(bed: Testbed, writes: boolean) {
    let isFirst = true;
    const pair = reader(async (ctx) => ctx.step('look', () => (isFirst ? new Promise<number>(() => {}) : 1)));
    const before = await bed.start({ agents: { pair, both } });
    await bed.run(before, 'both', 1);
    await bed.drive(before.submit('pair', null, { id: 'x' }));
    await bed.advance(100);
    bed.kill();
    isFirst = false;
    const between = await bed.start({ agents: { both } });
    if (writes) await bed.run(between, 'both', 2);
    await bed.drive(between.close());
    const fleet = await bed.start({ agents: { pair, both } });
    return { fleet, result: await bed.drive((await bed.drive(fleet.submit('pair', null, { id: 'x' }))).result()) };
  }

  test('over a crash never sees what never was: it reads anew', async () => {
    await using bed = new Testbed();
    const { fleet, result } = await overCrash(bed, true);
    expect(result).toEqual([2, 2]);
    expect(fleet.stats).toMatchObject({ retried: 1 });
  });

  test('over a crash in which nobody has written them completes at once', async () => {
    await using bed = new Testbed();
    const { fleet, result } = await overCrash(bed, false);
    expect(result).toEqual([1, 1]);
    expect(fleet.stats).toMatchObject({ retried: 0 });
  });

  test('over a park never sees what never was: it is refused as a conflict, and reads anew', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { pair: reader((ctx) => ctx.sleep(10_000)), both } });
    const retrying = bed.record(fleet, 'task.retrying');
    await bed.run(fleet, 'both', 1);
    const handle = await bed.drive(fleet.submit('pair', null, { id: 'x' }));
    await bed.advance(1_000);
    const { version } = (await fleet.state.get('p1'))!;
    await bed.run(fleet, 'both', 2);
    expect(await bed.drive(handle.result())).toEqual([2, 2]);
    const message = `task x: row "p1": expected version ${version}, there is version ${(await fleet.state.get('p1'))!.version}`;
    expect(retrying).toMatchObject([{ error: { code: 'DROVER_VERSION_CONFLICT', message } }]);
    expect(await fleet.task('x')).toMatchObject({ attempt: 2 });
  });

  test('without declaring them it is promised nothing, and completes on what it has read first', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { pair: reader((ctx) => ctx.sleep(10_000), { reads: [] }), both } });
    await bed.run(fleet, 'both', 1);
    const handle = await bed.drive(fleet.submit('pair', null, { id: 'x' }));
    await bed.advance(1_000);
    await bed.run(fleet, 'both', 2);
    expect(await bed.drive(handle.result())).toEqual([1, 2]);
    expect(await fleet.task('x')).toMatchObject({ attempt: 1 });
  });

  test('is refused for the one that it was granted later, too', async () => {
    await using bed = new Testbed();
    const pair = reader(async (ctx) => {
      await ctx.sleep(10_000);
      await ctx.widen(['p1']);
    });
    const fleet = await bed.start({ agents: { pair: agent({ ...pair.spec, reads: ['p2'], writes: [] }), both } });
    await bed.run(fleet, 'both', 1);
    const handle = await bed.drive(fleet.submit('pair', null));
    await bed.advance(1_000);
    await bed.run(fleet, 'both', 2);
    expect(await bed.drive(handle.result())).toEqual([2, 2]);
  });

  test('is refused also where somebody from outside has written one of them, who takes no locks', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { pair: reader((ctx) => ctx.sleep(10_000)), both } });
    await bed.run(fleet, 'both', 1);
    const handle = await bed.drive(fleet.submit('pair', null));
    await bed.advance(1_000);
    await bed.drive(fleet.state.set('p1', 3, (await fleet.state.get('p1'))!.version));
    expect(await bed.drive(handle.result())).toEqual([3, 1]);
  });
});

describe('a run that writes one row for what it has read of another', () => {
  const pay = agent({
    reads: ['account'],
    writes: ['paid'],
    backoff: () => 10,
    async run(_input: null, ctx) {
      const account = await ctx.state.get<{ open: boolean }>('account');
      if (account?.value.open !== true) return 'refused';
      await ctx.sleep(10_000);
      await ctx.state.set('paid', 100, null);
      return 'paid';
    },
  });
  const shut = agent({
    writes: ['account'],
    run: async (_input: null, ctx) => void (await ctx.state.update('account', () => ({ open: false }))),
  });

  test('writes nothing where that has changed while it was parked', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { pay, shut } });
    await bed.drive(fleet.state.set('account', { open: true }, null));
    const handle = await bed.drive(fleet.submit('pay', null));
    await bed.advance(1_000);
    await bed.run(fleet, 'shut', null);
    expect(await bed.drive(handle.result())).toBe('refused');
    expect(await fleet.state.get('paid')).toBeUndefined();
  });

  test('writes it where nothing has', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { pay, shut } });
    await bed.drive(fleet.state.set('account', { open: true }, null));
    const told = completions(bed);
    expect(await bed.run(fleet, 'pay', null, { id: 'x' })).toBe('paid');
    expect(await fleet.state.get('paid')).toMatchObject({ value: 100 });
    expect(await fleet.task('x')).toMatchObject({ attempt: 1 });
    expect(told).toMatchObject([{ reads: [{ key: 'account', version: (await fleet.state.get('account'))!.version }] }]);
  });
});

test('what is read in the run that completes, and what it writes anyway, costs the store nothing', async () => {
  await using bed = new Testbed();
  const told = completions(bed);
  const work = agent({
    reads: ['other'],
    writes: ['count'],
    async run(parks: boolean, ctx) {
      const row = await ctx.state.get<number>('count');
      if (parks) await ctx.sleep(10_000);
      await ctx.state.get('other');
      await ctx.state.set('count', (row?.value ?? 0) + 1, row?.version ?? null);
    },
  });
  const fleet = await bed.start({ agents: { work } });
  await bed.run(fleet, 'work', false);
  await bed.run(fleet, 'work', true);
  expect(told.map((outcome) => [outcome.writes?.length, 'reads' in outcome])).toEqual([
    [1, false],
    [1, false],
  ]);
});

describe('an operation of a statechart', () => {
  const chart = () =>
    setup({
      actors: {
        look: operation(async (_input: undefined, ctx: Context) => {
          const first = await valueOf(ctx, 'p1');
          await ctx.sleep(10_000);
          return [first, await valueOf(ctx, 'p2')];
        }),
        rest: operation(async (_input: undefined, ctx: Context) => ctx.sleep(10_000)),
      },
    }).createMachine({
      context: { seen: null },
      initial: 'looking',
      states: {
        looking: {
          invoke: { src: 'look', onDone: { target: 'resting', actions: assign({ seen: ({ event }) => event.output }) } },
        },
        resting: { invoke: { src: 'rest', onDone: 'done' } },
        done: { type: 'final' },
      },
      output: ({ context }) => context.seen,
    });

  test('that was parked between two reads is performed again where what it has read has changed', async () => {
    await using bed = new Testbed();
    const pair = agent({ machine: chart(), reads: ['p1', 'p2'], backoff: () => 10 });
    const fleet = await bed.start({ agents: { pair, both } });
    const retrying = bed.record(fleet, 'task.retrying');
    await bed.run(fleet, 'both', 1);
    const handle = await bed.drive(fleet.submit('pair', undefined as never, { id: 'x' }));
    await bed.advance(1_000);
    await bed.run(fleet, 'both', 2);
    expect(await bed.drive(handle.result())).toEqual([2, 2]);
    expect(retrying).toMatchObject([{ error: { code: 'DROVER_VERSION_CONFLICT' } }]);
  });

  test('goes on where nothing has', async () => {
    await using bed = new Testbed();
    const pair = agent({ machine: chart(), reads: ['p1', 'p2'], backoff: () => 10 });
    const fleet = await bed.start({ agents: { pair, both } });
    await bed.run(fleet, 'both', 1);
    expect(await bed.run(fleet, 'pair', undefined as never, { id: 'x' })).toEqual([1, 1]);
    expect(await fleet.task('x')).toMatchObject({ attempt: 1 });
  });
});
