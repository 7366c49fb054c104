/** Code that was changed and kept its version: a task that it leads another way is kept as it stands, and not undone. */
import { expect, test } from 'vitest';
import { agent } from 'drover';
import { Testbed } from './harness.ts';

const DIVERGED = { code: 'DROVER_REPLAY_DIVERGED', message: expect.stringContaining('needs another version') as unknown };

function shop() {
  const done: string[] = [];
  /** Pays, waits, and ships; `pay` is what it calls the step that pays. */
  const order = (pay: string, { throws = false, undoes = true } = {}) =>
    agent({
      async run(_input: null, ctx) {
        if (undoes) await ctx.compensate('money', () => void done.push('paid back'));
        const pays = ctx.step(pay, () => void done.push(pay));
        await (throws ? pays.catch(() => Promise.reject(new Error('could not pay'))) : pays);
        await ctx.sleep(5_000);
        await ctx.step('ship', () => void done.push('ship'));
      },
    });
  return { done, order };
}

const ways = [
  { name: 'a step with another name', next: { pay: 'charge' } },
  { name: 'one whose failure the run makes another error of', next: { pay: 'charge', throws: true } },
] as const;

async function deployed(
  bed: Testbed,
  { order }: ReturnType<typeof shop>,
  next: { readonly pay: string; readonly throws?: boolean },
  undoes = true,
) {
  const before = await bed.start({ agents: { order: order('pay', { undoes }) } });
  await bed.drive(before.submit('order', null, { id: 'x' }));
  await bed.advance(1_000);
  await bed.close(before);
  const { pay, throws = false } = next;
  const after = await bed.start({ agents: { order: order(pay, { throws, undoes }) } });
  await bed.advance(30_000);
  return after;
}

test.each(ways)('$name: nothing is undone, and it goes on under the code that it was begun with', async ({ next }) => {
  await using bed = new Testbed();
  const world = shop();
  const after = await deployed(bed, world, next);
  expect(await bed.drive(after.task('x'))).toMatchObject({ status: 'failed', kept: true, undone: false, error: DIVERGED });
  expect(world.done).toEqual(['pay']);
  await bed.close(after);
  const back = await bed.start({ agents: { order: world.order('pay') } });
  await bed.drive(back.requeue('x', { by: 'Ada' }));
  await bed.advance(30_000);
  expect(world.done).toEqual(['pay', 'ship']);
  expect(await bed.drive(back.task('x'))).toMatchObject({ status: 'completed', kept: false });
});

test('one that has nothing to be undone is kept as well, and goes on', async () => {
  await using bed = new Testbed();
  const world = shop();
  const after = await deployed(bed, world, ways[0].next, false);
  expect(await bed.drive(after.task('x'))).toMatchObject({ status: 'failed', kept: true, error: DIVERGED });
  await bed.close(after);
  const back = await bed.start({ agents: { order: world.order('pay', { undoes: false }) } });
  await bed.drive(back.requeue('x', { by: 'Ada' }));
  await bed.advance(30_000);
  expect(world.done).toEqual(['pay', 'ship']);
});

test('cancelled, it is undone by the code that runs', async () => {
  await using bed = new Testbed();
  const world = shop();
  const after = await deployed(bed, world, ways[0].next);
  await bed.drive(after.cancel('x', { by: 'Ada' }));
  await bed.advance(30_000);
  expect(world.done).toEqual(['pay', 'paid back']);
  expect(await bed.drive(after.task('x'))).toMatchObject({ status: 'cancelled', kept: false, undone: true });
});
