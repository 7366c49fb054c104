/** `refuse`: a task that was begun under another version is kept as it stands, until somebody puts it back or cancels it. */
import { expect, test } from 'vitest';
import { agent } from 'drover';
import { Testbed } from './harness.ts';

/** Pays, so that it can be taken back, asks for a letter, and waits. */
function orders() {
  const done: string[] = [];
  const letter = agent({
    async run(_input: null, ctx) {
      await ctx.sleep(20_000);
      done.push('letter');
      return 'sent';
    },
  });
  const at = (version: string, { undo = true } = {}) =>
    agent({
      version,
      onVersionChange: 'refuse',
      asks: { letter },
      writes: ['account'],
      async run(_input: null, ctx) {
        if (undo) await ctx.compensate('pay', () => void done.push(`paid back by ${version}`));
        await ctx.step('pay', () => void done.push(`paid by ${version}`));
        // It is woken, and so found to be another version's, while the letter is still on its way.
        const [said] = await Promise.all([ctx.ask('letter', null), ctx.sleep(5_000)]);
        return `${said} under ${version}`;
      },
    });
  const other = agent({ writes: ['account'], run: async () => void done.push('other') });
  const fleet = (version: string, options?: { undo: boolean }) => ({ agents: { order: at(version, options), letter, other } });
  return { done, fleet };
}

const REFUSED = {
  code: 'DROVER_VERSION_REFUSED',
  message: expect.stringMatching(/begun under version 1 .* now 2 .* put it back when 1 runs/),
};

/** Begun under version 1, then refused by version 2: the fleet of the latter. */
async function refused(bed: Testbed, { fleet }: ReturnType<typeof orders>, options?: { undo: boolean }) {
  const old = await bed.start(fleet('1'));
  await bed.drive(old.submit('order', null, { id: 'x' }));
  await bed.advance(2_000);
  await bed.close(old);
  const next = await bed.start(fleet('2', options));
  const handle = await bed.drive(next.submit('order', null, { id: 'x' }));
  expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed', error: REFUSED } });
  return next;
}

test('nothing of a refused task is undone, and what it has asked for goes on', async () => {
  await using bed = new Testbed();
  const world = orders();
  const next = await refused(bed, world);
  expect(world.done).toEqual(['paid by 1']);
  await bed.advance(60_000);
  expect(world.done).toEqual(['paid by 1', 'letter']);
  expect(await bed.drive(next.task('x'))).toMatchObject({
    status: 'failed',
    kept: true,
    undone: false,
    error: { message: expect.stringContaining('put it back when 1 runs') as unknown },
  });
  expect(await bed.drive(next.tasks({ status: 'failed', limit: 9 }))).toMatchObject([{ id: 'x', kept: true }]);
});

test('a refused task gives its locks back: others go on', async () => {
  await using bed = new Testbed();
  const world = orders();
  const next = await refused(bed, world);
  const other = await bed.drive(next.submit('other', null));
  await bed.drive(other.result());
  expect(world.done).toContain('other');
});

test('put back under its own version it goes on from what it remembers, with its children', async () => {
  await using bed = new Testbed();
  const world = orders();
  await bed.close(await refused(bed, world));
  const old = await bed.start(world.fleet('1'));
  await bed.drive(old.requeue('x'));
  const handle = await bed.drive(old.submit('order', null, { id: 'x' }));
  expect(await bed.drive(handle.result())).toBe('sent under 1');
  expect(world.done).toEqual(['paid by 1', 'letter']);
});

test('put back under the version that refuses it, it is refused again, and still nothing is undone', async () => {
  await using bed = new Testbed();
  const world = orders();
  const next = await refused(bed, world);
  await bed.drive(next.requeue('x'));
  const again = await bed.drive(next.submit('order', null, { id: 'x' }));
  expect(await bed.rejection(again.result())).toMatchObject({ detail: { error: REFUSED } });
  expect(await bed.drive(next.task('x'))).toMatchObject({ kept: true });
  expect(world.done.filter((what) => what.startsWith('paid'))).toEqual(['paid by 1']);
});

test('cancelled, it is undone by the code that runs', async () => {
  await using bed = new Testbed();
  const world = orders();
  const next = await refused(bed, world);
  expect(await bed.drive(next.cancel('x', { by: 'ann' }))).toBe('noted');
  await bed.advance(10_000);
  expect(world.done.filter((what) => what.startsWith('paid'))).toEqual(['paid by 1', 'paid back by 2']);
  expect(await bed.drive(next.task('x'))).toMatchObject({ status: 'cancelled', kept: false, undone: true });
  const story = await bed.drive(next.story('x'));
  expect(story.at(-1)).toMatchObject({ outcome: 'undone' });
  expect(story).toContainEqual(expect.objectContaining({ at: 'steered', action: 'cancel', by: 'ann' }));
});

test('cancelled under code that cannot undo it any more it is dead, says so, and is undone when its own version runs and it is put back', async () => {
  await using bed = new Testbed();
  const world = orders();
  const next = await refused(bed, world, { undo: false });
  await bed.drive(next.cancel('x'));
  await bed.advance(600_000);
  const dead = await bed.drive(next.task('x'));
  expect(dead).toMatchObject({ status: 'dead', kept: false, undone: false, error: { code: 'DROVER_COMPENSATION_FAILED' } });
  await bed.close(next);
  const old = await bed.start(world.fleet('1'));
  await bed.drive(old.requeue('x'));
  await bed.advance(10_000);
  expect(await bed.drive(old.task('x'))).toMatchObject({ status: 'cancelled', undone: true });
  expect(world.done.filter((what) => what.startsWith('paid'))).toEqual(['paid by 1', 'paid back by 1']);
});

test('whoever has asked for a refused task fails with that, and its own end leaves the refused task kept', async () => {
  await using bed = new Testbed();
  const undone: string[] = [];
  const at = (version: string) => {
    const pay = agent({
      version,
      onVersionChange: 'refuse',
      async run(_input: null, ctx) {
        await ctx.compensate('pay', () => void undone.push(version));
        await ctx.step('pay', () => null);
        await ctx.sleep(5_000);
        return version;
      },
    });
    const shop = agent({ asks: { pay }, attempts: 1, run: async (_input: null, ctx) => ctx.ask('pay', null) });
    return { agents: { shop, pay } };
  };
  const old = await bed.start(at('1'));
  await bed.drive(old.submit('shop', null, { id: 'x' }));
  await bed.advance(2_000);
  await bed.close(old);
  const next = await bed.start(at('2'));
  const handle = await bed.drive(next.submit('shop', null, { id: 'x' }));
  const error = await bed.rejection(handle.result());
  expect(error).toMatchObject({
    detail: { error: { code: 'DROVER_CHILD_FAILED', message: expect.stringContaining('begun under version 1') } },
  });
  await bed.advance(10_000);
  const child = (await bed.drive(next.tasks({ status: 'failed', limit: 9 }))).find(({ kind }) => kind === 'pay');
  expect(child).toMatchObject({ kept: true });
  expect(undone).toEqual([]);
  await bed.close(next);
  // Both are put back when the first version runs: the child goes on, and so does whoever has asked for it.
  const again = await bed.start(at('1'));
  await bed.drive(again.requeue(child!.id));
  await bed.drive(again.requeue('x'));
  const told = await bed.drive(again.submit('shop', null, { id: 'x' }));
  expect(await bed.drive(told.result())).toBe('1');
});
