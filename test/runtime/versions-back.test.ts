/** Going back to older code (`replay`): it goes on over what a newer version has done meanwhile, whatever that was. */
import { expect, test } from 'vitest';
import { agent } from 'drover';
import type { Context, Fleet } from 'drover';
import { z } from 'zod';
import { Testbed } from './harness.ts';

type Ctx = Context<never, never>;

/** The test ends the process there. */
const never = (): Promise<void> => new Promise(() => {});

/** What version 2 does after all that version 1 does, and what of it is asked for, taken or read. */
const MORE: Readonly<Record<string, (ctx: Ctx) => Promise<unknown>>> = {
  'asked for a child, and waits for it': (ctx) => ctx.ask('slow' as never, 'new' as never),
  'asked for a child that has ended': async (ctx) => {
    await ctx.ask('quick' as never, 'new' as never);
    await ctx.ask('slow' as never, 'new' as never);
  },
  'asked for the same kind once more': (ctx) =>
    ctx.ask('quick' as never, 'again' as never).then(() => ctx.ask('slow' as never, 'new' as never)),
  'read a row': async (ctx) => {
    await ctx.state.get('row');
    await never();
  },
  'read a row that the older version reads too': async (ctx) => {
    await ctx.state.get('mine');
    await never();
  },
  'read a row, and made a step': async (ctx) => {
    await ctx.state.get('row');
    await ctx.step('more', () => null);
    await never();
  },
  slept: (ctx) => ctx.sleep(60_000),
  'waited for an event': (ctx) => ctx.waitFor('go' as never, { withinMs: 60_000 }),
  'registered what undoes, and made a step': async (ctx) => {
    await ctx.compensate('more', () => {});
    await ctx.step('more', () => null);
    await ctx.sleep(60_000);
  },
  'waited for several at once': (ctx) => Promise.all([ctx.ask('slow' as never, 'new' as never), ctx.sleep(60_000), ctx.state.get('row')]),
};

/** A child and a row that version 1 asks for and reads, and a step; then version 2 does more, and version 1 goes on. */
async function backAndForth(
  onVersionChange: 'replay' | 'restart',
  more: (ctx: Ctx) => Promise<unknown>,
  meanwhile: (bed: Testbed, fleet: Fleet) => Promise<void> = async () => {},
) {
  await using bed = new Testbed();
  const made: string[] = [];
  const quick = agent({ run: async (what: string) => void made.push(what) });
  const slow = agent({ run: async (_what: string, ctx) => ctx.sleep(60_000) });
  const at = (version: string, isLast = false) => {
    const work = agent({
      version,
      onVersionChange,
      asks: { quick, slow },
      events: { go: z.string() },
      async run(_input: null, ctx) {
        await ctx.ask('quick', 'old');
        await ctx.state.get('mine');
        await ctx.step('make', () => void made.push(`made by ${version}`));
        if (version === '2') await more(ctx as unknown as Ctx);
        if (!isLast) await never();
        return version;
      },
    });
    return { agents: { work, quick, slow } };
  };
  const first = await bed.start(at('1'));
  await bed.drive(first.submit('work', null, { id: 'x' }));
  for (const process of [at('2'), at('1', true)]) {
    await bed.advance(2_000);
    bed.kill();
    await bed.start(process);
  }
  const { fleet } = bed.fleets.at(-1)!;
  await meanwhile(bed, fleet);
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  return { result: await bed.drive(handle.result()), made };
}

for (const [what, more] of Object.entries(MORE)) {
  test(`an older version goes on where a newer one has ${what}`, async () => {
    const { result, made } = await backAndForth('replay', more);
    expect(result).toBe('1');
    expect(made.filter((one) => one !== 'new' && one !== 'again')).toEqual(['old', 'made by 1']);
  });

  test(`with \`restart\` it goes on over its own where a newer one has ${what}`, async () => {
    const { result, made } = await backAndForth('restart', more);
    expect(result).toBe('1');
    expect(made.filter((one) => one.startsWith('made'))).toEqual(['made by 1', 'made by 2']);
  });
}

test('parked for what only the newer version waits for, it is looked at by the older one when it is paused and let go on', async () => {
  const { result } = await backAndForth(
    'replay',
    (ctx) => ctx.waitFor('go' as never),
    async (bed, fleet) => {
      await bed.advance(600_000);
      expect(await bed.drive(fleet.task('x'))).toMatchObject({ status: 'parked', parkedFor: 'event' });
      await bed.drive(fleet.pause('x'));
      await bed.drive(fleet.unpause('x'));
    },
  );
  expect(result).toBe('1');
});
