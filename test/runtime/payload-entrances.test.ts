/** Whatever enters the store as JSON is refused when it would come back as something else: no entrance is left out. */
import { expect, test } from 'vitest';
import { agent, bulkhead } from 'drover';
import type { Context } from 'drover';
import { z } from 'zod';
import { Testbed } from './harness.ts';

const ODD = { items: [{ price: Number.NaN }] };

test.each([
  ['a result', 'output of work', async () => ODD],
  ['what a step brings', 'what step:s brought', async (ctx: Context) => ctx.step('s', () => ODD)],
  ['what a call brings', 'what call:service#1 brought', async (ctx: Context) => ctx.call('service', 1)],
  [
    'the input of a child',
    'input of leaf',
    async (ctx: Context) => (ctx.ask as (kind: string, input: unknown) => Promise<void>)('leaf', ODD),
  ],
  ['what is sent', 'input of leaf', async (ctx: Context) => (ctx.send as (kind: string, input: unknown) => void)('leaf', ODD)],
  ['a row', 'row row', async (ctx: Context) => ctx.state.set('row', ODD, null)],
  ['a changed row', 'row row', async (ctx: Context) => void (await ctx.state.update('row', () => ODD))],
  ['the request of an approval', 'request for approval of a', async (ctx: Context) => void (await ctx.approval('a', ODD))],
])('%s', async (_what, where, run) => {
  await using bed = new Testbed();
  const leaf = agent({ run: async (input: unknown) => input });
  const service = bed.service({}, () => ({ reply: ODD }));
  const uses = { service: service.dependency };
  const work = agent({ uses, asks: { leaf }, writes: ['row'], run: async (_input: null, ctx) => run(bound(ctx as never)) });
  const fleet = await bed.start({ agents: { work, leaf } });
  const handle = await bed.drive(fleet.submit('work', null));
  expect(await bed.rejection(handle.result())).toMatchObject({
    detail: {
      error: {
        code: 'DROVER_PAYLOAD_NOT_JSON',
        message: expect.stringMatching(new RegExp(`^${where}: items\\[0\\]\\.price is NaN`)) as unknown,
      },
    },
  });
});

test.each([
  ['step', 'step s', async (ctx: Context) => ctx.step('s', undefined as never)],
  ['compensate', 'compensation s', async (ctx: Context) => ctx.compensate('s', 'undo' as never)],
  ['hold', 'hold of room', async (ctx: Context) => ctx.hold('room', null as never)],
  ['state.update', 'change of row', async (ctx: Context) => void (await ctx.state.update('row', 1 as never))],
])('%s without a function is refused where it stands', async (_operation, what, run) => {
  await using bed = new Testbed();
  const uses = { room: bulkhead({ concurrency: 1, rank: 1 }) };
  const work = agent({ uses, writes: ['row'], run: async (_input: null, ctx) => run(ctx as never) });
  const fleet = await bed.start({ agents: { work } });
  const handle = await bed.drive(fleet.submit('work', null));
  const error = { code: 'DROVER_PAYLOAD_INVALID', message: expect.stringContaining(`${what}: expected a function`) as unknown };
  expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error } });
  expect(await fleet.task(handle.id)).toMatchObject({ attempt: 1 });
});

test('an input, an event, a row from outside, the input of a schedule', async () => {
  await using bed = new Testbed();
  const work = agent({ events: { go: z.any() }, run: async (_input: unknown, ctx) => ctx.waitFor('go') as Promise<unknown> });
  const fleet = await bed.start({ agents: { work } });
  const refused = { code: 'DROVER_PAYLOAD_NOT_JSON', detail: { path: 'items[0].price' } };
  expect(await bed.rejection(fleet.submit('work', ODD))).toMatchObject(refused);
  await bed.drive(fleet.submit('work', null, { id: 'x' }));
  expect(await bed.rejection(fleet.signal('x', 'go', ODD))).toMatchObject(refused);
  expect(await bed.rejection(fleet.state.set('row', ODD, null))).toMatchObject(refused);
  expect(await bed.rejection(fleet.schedule('s', { kind: 'work', everyMs: 60_000, input: ODD }))).toMatchObject(refused);
  await bed.drive(fleet.cancel('x'));
});

test.each(['input', 'step', 'return', 'ask', 'send', 'row', 'approval'])(
  'what is nested too deep is refused once, as %s',
  async (where) => {
    await using bed = new Testbed();
    let deep: unknown[] = [];
    for (let at = 0; at < 20_000; at += 1) deep = [deep];
    const leaf = agent({ run: async (_input: unknown) => null });
    const service = bed.service({}, () => ({ reply: 1 }));
    let runs = 0;
    const work = agent({
      uses: { service: service.dependency },
      asks: { leaf },
      writes: ['row'],
      input: z.json(),
      async run(_input, ctx) {
        runs += 1;
        if (where === 'step') await ctx.step('s', () => deep);
        if (where === 'ask') await ctx.ask('leaf', deep);
        if (where === 'send') ctx.send('leaf', deep);
        if (where === 'row') await ctx.state.update('row', () => deep);
        if (where === 'approval') await ctx.approval('a', deep);
        return where === 'return' ? deep : null;
      },
    });
    const fleet = await bed.start({ agents: { work, leaf } });
    const refused = { code: 'DROVER_PAYLOAD_NOT_JSON', message: expect.stringContaining('nested more than 1000 levels deep') as unknown };
    if (where === 'input') return expect(await bed.rejection(fleet.submit('work', deep as never))).toMatchObject(refused);
    const handle = await bed.drive(fleet.submit('work', null));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed', error: refused } });
    expect(runs).toBe(1);
  },
);

/** Its methods, free of it. */
function bound(ctx: Context): Context {
  return new Proxy(ctx, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
