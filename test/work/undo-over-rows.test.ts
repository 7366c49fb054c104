/** A task that is undone comes by its compensations over whatever it did with rows. */
import { expect, test } from 'vitest';
import { agent } from 'drover';
import { z } from 'zod';
import type { State } from '../../src/topology/context.ts';
import { Testbed } from '../runtime/harness.ts';

const WAYS: Readonly<Record<string, (state: State) => Promise<unknown>>> = {
  'reads a row': (state) => state.get('row'),
  'reads a row twice': async (state) => [await state.get('row'), await state.get('row')],
  'writes a row': async (state) => state.set('row', 1, (await state.get('row'))?.version ?? null),
  'updates a row': (state) => state.update('row', () => 1),
  'updates a row twice': async (state) => [await state.update('row', () => 1), await state.update('row', () => 2)],
  'reads what it has updated': async (state) => [await state.update('row', () => 1), await state.get('row')],
};

async function isUndone(way: (state: State) => Promise<unknown>): Promise<void> {
  await using bed = new Testbed();
  const undone: string[] = [];
  const work = agent({
    writes: ['row'],
    attempts: 1,
    run: async (_: null, ctx) => {
      await way(ctx.state);
      await ctx.compensate('paid', () => undone.push('paid'));
      throw new Error('the end');
    },
  });
  const fleet = await bed.start({ agents: { work } });
  const handle = await bed.drive(fleet.submit('work', null));
  expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { message: 'the end' } } });
  expect(undone).toEqual(['paid']);
}

test.each(Object.entries(WAYS))('a run that %s, registers a compensation and fails is undone', (_, way) => isUndone(way));

// Known, and to be mended: what it reads then is not remembered, and the run that undoes does not get past it.
test('a run that reads what it has set itself, registers a compensation and fails is undone', () =>
  isUndone(async (state) => [await WAYS['writes a row']!(state), await state.get('row')]));

test('a run that read a row, is to be retried and is cancelled meanwhile is undone', async () => {
  await using bed = new Testbed();
  const undone: string[] = [];
  const work = agent({
    backoff: () => 3_600_000,
    run: async (_: null, ctx) => {
      await ctx.state.get('row');
      await ctx.compensate('paid', () => undone.push('paid'));
      throw new Error('not yet');
    },
  });
  const fleet = await bed.start({ agents: { work } });
  const retrying = bed.record(fleet, 'task.retrying');
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  await bed.until(() => retrying.length === 1);
  await bed.drive(fleet.cancel('x'));
  await bed.advance(36_000_000);
  expect(undone).toEqual(['paid']);
  expect(await bed.rejection(handle.result())).toMatchObject({ code: 'DROVER_TASK_CANCELLED' });
});

test.each(['a call', 'a step', 'a wait', 'a child'].flatMap((what) => [[what, 'that'] as const, [what, 'something else'] as const]))(
  'a run that caught the failure of %s, is to be retried because of %s and is cancelled meanwhile is undone',
  async (what, why) => {
    await using bed = new Testbed();
    const undone: string[] = [];
    const no = async (): Promise<never> => {
      throw new Error('no');
    };
    const child = agent({ attempts: 1, run: no });
    const service = bed.service({ attempts: 1 }, () => ({ error: new Error('no') }));
    const work = agent({
      asks: { child },
      uses: { service: service.dependency },
      events: { go: z.number() },
      backoff: () => 3_600_000,
      run: async (_: null, ctx) => {
        const failing = {
          'a call': () => ctx.call('service', 1),
          'a step': () => ctx.step('s', no),
          'a wait': () => ctx.waitFor('go', { withinMs: 10 }),
          'a child': () => ctx.ask('child', undefined),
        }[what] as () => Promise<unknown>;
        const cause = await failing().catch((error: unknown) => error);
        await ctx.compensate('paid', () => undone.push('paid'));
        throw new Error('not yet', why === 'that' ? { cause } : {});
      },
    });
    const fleet = await bed.start({ agents: { work, child } });
    const retrying = bed.record(fleet, 'task.retrying');
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.until(() => retrying.length === 1);
    await bed.drive(fleet.cancel('x'));
    await bed.advance(36_000_000);
    expect(undone).toEqual(['paid']);
    expect(await bed.rejection(handle.result())).toMatchObject({ code: 'DROVER_TASK_CANCELLED' });
  },
);
