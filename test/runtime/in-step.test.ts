/** Inside a step a run cannot park: what would, is refused at once, by name. */
import { agent, contract, operation } from 'drover';
import { expect, test } from 'vitest';
import { setup } from 'xstate';
import { z } from 'zod';
import { Testbed } from './harness.ts';

const kid = agent({ run: async (input: number) => input });

test('whatever a run parks for is refused inside a step, and so is what it would send, each by its name', async () => {
  await using bed = new Testbed();
  const work = agent({
    asks: { kid },
    events: { paid: z.number() },
    writes: ['here'],
    async run(_input: null, ctx) {
      const refusal = (name: string, act: () => unknown): Promise<unknown> =>
        ctx
          .step(name, async () => void (await act()))
          .catch(({ code, retryable, detail }: Error & Record<string, unknown>) => ({ code, retryable, detail }));
      return [
        await refusal('a', () => ctx.ask('kid', 1)),
        await refusal('b', () => ctx.sleep(5)),
        await refusal('c', () => ctx.waitFor('paid')),
        await refusal('d', () => ctx.approval('go', null)),
        await refusal('e', () => ctx.widen(['there'])),
        await refusal('f', () => ctx.send('kid', 1)),
      ];
    },
  });
  const fleet = await bed.start({ agents: { work, kid } });
  const refused = (step: string, named: string): object => ({
    code: 'DROVER_OPERATION_IN_STEP',
    retryable: false,
    detail: { id: 'x', step, operation: named },
  });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  expect(await bed.drive(handle.result())).toEqual([
    refused('a', 'ask "kid"'),
    refused('b', 'sleep'),
    refused('c', 'waitFor "paid"'),
    refused('d', 'approval "go"'),
    refused('e', 'widen'),
    refused('f', 'send "kid"'),
  ]);
  expect(await bed.drive(fleet.tasks({ kind: 'kid', limit: 1 }))).toEqual([]);
});

test('a parent that asks inside a step for what its child has to write fails at once, and holds nobody up', async () => {
  await using bed = new Testbed();
  const writer = agent({ writes: ['row'], run: async () => 1 });
  const work = agent({
    writes: ['row'],
    asks: { writer },
    run: async (_input: null, ctx) => ctx.step('whole', () => ctx.ask('writer', undefined)),
  });
  const fleet = await bed.start({ agents: { work, writer } });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  const from = bed.nowMs;
  const error = /ctx\.ask "writer" inside step "whole": .* move it out, before the step or after/;
  await expect(bed.drive(handle.result())).rejects.toMatchObject({
    detail: { status: 'failed', error: { code: 'DROVER_OPERATION_IN_STEP', message: expect.stringMatching(error) as string } },
  });
  expect(bed.nowMs - from).toBeLessThan(100);
});

test('a kind with one worker that asks itself inside a step is refused, where it would wait for its own worker', async () => {
  await using bed = new Testbed();
  const self = contract({ input: z.number(), output: z.number() });
  const count = agent({
    input: z.number(),
    output: z.number(),
    asks: { count: self },
    run: async (n, ctx): Promise<number> => (n === 0 ? 0 : 1 + (await ctx.step('less', () => ctx.ask('count', n - 1)))),
  });
  const fleet = await bed.start({ agents: { count } });
  const handle = await bed.drive(fleet.submit('count', 2));
  await expect(bed.drive(handle.result())).rejects.toMatchObject({ detail: { error: { code: 'DROVER_OPERATION_IN_STEP' } } });
});

test('the operation of a machine cannot park inside a step either', async () => {
  await using bed = new Testbed();
  const machine = setup({ actors: { naps: operation(async (_input: unknown, ctx) => ctx.step('nap', () => ctx.sleep(5))) } }).createMachine(
    {
      initial: 'napping',
      states: { napping: { invoke: { src: 'naps', onDone: 'done' } }, done: { type: 'final' } },
    },
  );
  const fleet = await bed.start({ agents: { work: agent({ machine }) } });
  const handle = await bed.drive(fleet.submit('work', null));
  await expect(bed.drive(handle.result())).rejects.toMatchObject({ detail: { error: { code: 'DROVER_OPERATION_IN_STEP' } } });
});

test('calls and steps are made inside a step', async () => {
  await using bed = new Testbed();
  const service = bed.service();
  const work = agent({
    uses: { service: service.dependency },
    run: async (_input: null, ctx) => ctx.step('whole', async () => [await ctx.call('service', 'one'), await ctx.step('part', () => 2)]),
  });
  const fleet = await bed.start({ agents: { work } });
  expect(await bed.run(fleet, 'work', null)).toEqual(['one', 2]);
});
