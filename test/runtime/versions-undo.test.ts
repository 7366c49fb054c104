/** A task of one version is undone by another: all of it in reverse, or nothing before the version is back that comes by it. */
import { describe, expect, test } from 'vitest';
import { agent, operation } from 'drover';
import type { Context, Fleet } from 'drover';
import { setup } from 'xstate';
import { z } from 'zod';
import { Testbed } from './harness.ts';

type Ctx = Context<{}, {}, {}>;
type Between = (ctx: Ctx, done: string[]) => Promise<unknown>;

/** What version 2 does between two things that version 1 has done. */
const PASSED: Readonly<Record<string, Between>> = {
  nothing: async () => {},
  'a sleep': (ctx) => ctx.sleep(60_000),
  'a compensation': (ctx, done) => ctx.compensate('mail', () => void done.push('undo mail')),
  'a sleep and a compensation': async (ctx, done) => {
    await ctx.sleep(60_000);
    await ctx.compensate('mail', () => void done.push('undo mail'));
  },
  'a row': (ctx) => ctx.state.get('row'),
};
const IN_THE_WAY: Readonly<Record<string, readonly [inWords: string, Between]>> = {
  'a step': ['step "check"', (ctx, done) => ctx.step('check', () => void done.push('check'))],
  'an ask': ['ask "child"', (ctx) => ctx.ask('child' as never, null as never)],
  'a wait': ['waitFor "go"', (ctx) => ctx.waitFor('go' as never)],
  'a sleep and a step': [
    'step "check"',
    async (ctx, done) => {
      await ctx.sleep(60_000);
      await ctx.step('check', () => void done.push('check'));
    },
  ],
};

/** Version 1 does both and waits; then version 2 cancels. `next`: what runs after that. */
async function cancelled(between: Between, as: 'function' | 'statechart') {
  const bed = new Testbed();
  const done: string[] = [];
  const child = agent({ run: async () => void done.push('child') });
  const run = (isNew: boolean) => async (_input: null, ctx: Ctx) => {
    for (const name of ['stock', 'payment']) {
      if (name === 'payment' && isNew) await between(ctx, done);
      await ctx.compensate(name, () => void done.push(`undo ${name}`));
      await ctx.step(name, () => void done.push(name));
    }
    await ctx.waitFor('go' as never);
  };
  const machineOf = (isNew: boolean) =>
    setup({ actors: { does: operation(run(isNew)) } }).createMachine({
      initial: 'on',
      context: {},
      states: { on: { invoke: { src: 'does', input: null, onDone: 'over' } }, over: { type: 'final' } },
    });
  const at = (version: string) => {
    const isNew = version === '2';
    const spec = { version, attempts: 2, backoff: () => 10, asks: { child }, events: { go: z.any() } };
    const work = as === 'function' ? agent({ ...spec, run: run(isNew) }) : agent({ ...spec, machine: machineOf(isNew) });
    return { agents: { work: work as ReturnType<typeof agent>, child } };
  };
  const submitted = (fleet: Fleet) => bed.drive(fleet.submit('work', (as === 'function' ? null : undefined) as never, { id: 'x' }));
  const first = await bed.start(at('1'));
  await submitted(first);
  await bed.advance(5_000);
  await bed.close(first);
  const fleet = await bed.start(at('2'));
  await bed.drive(fleet.cancel('x'));
  await bed.rejection((await submitted(fleet)).result());
  const requeued = async (version: string) => {
    await bed.close(bed.fleets.at(-1)!.fleet);
    const other = await bed.start(at(version));
    await bed.drive(other.requeue('x'));
    await bed.rejection((await submitted(other)).result());
  };
  return { bed, done, task: (await bed.drive(fleet.task('x')))!, requeued };
}

describe.each(['function', 'statechart'] as const)('a %s', (as) => {
  test.each(Object.entries(PASSED))('with %s more is undone, in reverse', async (_what, between) => {
    const { bed, done, task } = await cancelled(between, as);
    await using _ = bed;
    expect(task).toMatchObject({ status: 'cancelled', undone: true });
    expect(done).toEqual(['stock', 'payment', 'undo payment', 'undo stock']);
  });

  test.each(Object.entries(IN_THE_WAY))(
    'with %s more is not undone by halves, and says which version can',
    async (_what, [inWords, between]) => {
      const { bed, done, task, requeued } = await cancelled(between, as);
      await using _ = bed;
      expect(task).toMatchObject({ status: 'dead', undone: false });
      const { message } = task.error!;
      expect(message).toContain(inWords);
      expect(message).toContain('could not undo "payment');
      expect(message).toContain('put the task back when code of version 1 runs, which registered it');
      expect(done).toEqual(['stock', 'payment']);
      await requeued('1');
      expect(done).toEqual(['stock', 'payment', 'undo payment', 'undo stock']);
    },
  );
});

test('what only the newer version has registered keeps the older one from undoing what was before it', async () => {
  await using bed = new Testbed();
  const done: string[] = [];
  const at = (version: string) =>
    agent({
      version,
      attempts: 1,
      events: { go: z.any() },
      async run(_input: null, ctx) {
        await ctx.compensate('stock', () => void done.push('undo stock'));
        if (version === '2') await ctx.compensate('payment', () => void done.push('undo payment'));
        await ctx.waitFor('go');
      },
    });
  for (const version of ['1', '2']) {
    const fleet = await bed.start({ agents: { work: at(version) } });
    await bed.drive(fleet.submit('work', null, { id: 'x' }));
    // Who waits for an event is not looked at by newer code before it is let go on.
    await bed.drive(fleet.pause('x'));
    await bed.drive(fleet.unpause('x'));
    await bed.advance(5_000);
    await bed.close(fleet);
  }
  const back = await bed.start({ agents: { work: at('1') } });
  await bed.drive(back.cancel('x'));
  const error = await bed.rejection((await bed.drive(back.submit('work', null, { id: 'x' }))).result());
  expect(error.message).toContain('"payment" (the run does not come by it any more');
  expect(error.message).toContain('code of version 2 runs');
  expect(done).toEqual([]);
  await bed.close(back);
  const fleet = await bed.start({ agents: { work: at('2') } });
  await bed.drive(fleet.requeue('x'));
  await bed.rejection((await bed.drive(fleet.submit('work', null, { id: 'x' }))).result());
  expect(done).toEqual(['undo payment', 'undo stock']);
});
