/** A task that ends takes those with it that it has asked: nobody waits for their answers any more. */
import { describe, expect, test } from 'vitest';
import { agent, operations } from 'drover';
import { setup } from 'xstate';
import { Testbed } from './harness.ts';

const MONTH_MS = 30 * 24 * 3_600_000;
const WHY = { by: 'drover', reason: 'task x, which it worked for, has failed' };

function forGood(): Error {
  return Object.assign(new Error('for good'), { retryable: false });
}

describe('when a task fails for good while it waits for a child', () => {
  for (const waits of ['for an approval', 'asleep'] as const) {
    test(`a child that is ${waits} is cancelled, and it is undone at once, under its locks`, async () => {
      await using bed = new Testbed();
      const seen: string[] = [];
      const child = agent({
        run: async (_input: null, ctx) => (waits === 'asleep' ? ctx.sleep(MONTH_MS) : void (await ctx.approval('ok', {}))),
      });
      const other = agent({ writes: ['account'], run: async () => void seen.push('other') });
      const parent = agent({
        asks: { child },
        writes: ['account'],
        lingerMs: 60_000,
        async run(_input: null, ctx) {
          await ctx.compensate('pay', () => void seen.push('paid back'));
          const fails = async (): Promise<never> => {
            await bed.sleep(5_000);
            throw forGood();
          };
          await Promise.all([ctx.ask('child', null), ctx.step('fails', fails)]);
        },
      });
      const fleet = await bed.start({ agents: { parent, child, other } });
      const cancelled = bed.record(fleet, 'task.cancelled');
      const handle = await bed.drive(fleet.submit('parent', null, { id: 'x' }));
      await bed.advance(2_000);
      const [asked] = await bed.drive(fleet.tasks({ kind: 'child', limit: 1 }));
      const result = bed.rejection((await bed.drive(fleet.submit('child', null, { id: asked!.id }))).result());
      const behind = await bed.drive(fleet.submit('other', null));
      const sinceMs = bed.nowMs;
      expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed', error: { message: 'for good' } } });
      expect(bed.nowMs - sinceMs).toBeLessThan(5_000);
      await bed.drive(behind.result());
      expect(seen).toEqual(['paid back', 'other']);
      expect(await result).toMatchObject({ code: 'DROVER_TASK_CANCELLED', detail: WHY });
      expect(cancelled).toMatchObject([{ id: asked!.id }]);
      expect(await bed.drive(fleet.approvals())).toEqual([]);
    });
  }

  test('one that runs is told to stop at once, and is undone before its parent is', async () => {
    await using bed = new Testbed();
    const seen: string[] = [];
    const child = agent({
      async run(_input: null, ctx) {
        await ctx.compensate('room', () => void seen.push('room'));
        await ctx.step('long', ({ signal }) => {
          const stopped = Promise.withResolvers<void>();
          signal.addEventListener('abort', () => {
            seen.push('told to stop');
            stopped.resolve();
          });
          return stopped.promise;
        });
        await ctx.step('never', () => void seen.push('never'));
      },
    });
    const parent = agent({
      asks: { child },
      async run(_input: null, ctx) {
        await ctx.compensate('account', () => void seen.push('account'));
        ctx.ask('child', null).catch(() => {});
        await ctx.step('fails', async () => {
          await bed.sleep(1_000);
          throw forGood();
        });
      },
    });
    const fleet = await bed.start({ agents: { parent, child } });
    const handle = await bed.drive(fleet.submit('parent', null, { id: 'x' }));
    const sinceMs = bed.nowMs;
    await bed.rejection(handle.result());
    expect(seen).toEqual(['told to stop', 'room', 'account']);
    expect(bed.nowMs - sinceMs).toBeLessThan(1_500);
  });

  test('what it has sent goes on; a child that has lost a race is cancelled, also in a parent that completes', async () => {
    await using bed = new Testbed();
    const seen: string[] = [];
    const child = agent({
      async run(what: string, ctx) {
        await ctx.sleep(10_000);
        seen.push(what);
      },
    });
    const parent = agent({
      asks: { child },
      async run(fails: boolean, ctx) {
        ctx.send('child', `sent ${fails}`);
        await Promise.race([ctx.ask('child', `asked ${fails}`), ctx.sleep(100)]);
        if (fails) throw forGood();
      },
    });
    const fleet = await bed.start({ agents: { parent, child } });
    await bed.run(fleet, 'parent', false);
    await bed.rejection((await bed.drive(fleet.submit('parent', true))).result());
    await bed.advance(30_000);
    // What is sent goes with a completion.
    expect(seen).toEqual(['sent false']);
    const tasks = await bed.drive(fleet.tasks({ kind: 'child', limit: 10 }));
    expect(tasks.map(({ status }) => status).toSorted()).toEqual(['cancelled', 'cancelled', 'completed']);
  });

  test('a child that has ended stays as it is', async () => {
    await using bed = new Testbed();
    const child = agent({ attempts: 1, run: async (ms: number, ctx) => ctx.sleep(ms) });
    const parent = agent({
      asks: { child },
      async run(_input: null, ctx) {
        const [first] = [ctx.ask('child', 10), ctx.ask('child', MONTH_MS)].map(async (asked) => asked);
        await first;
        throw forGood();
      },
    });
    const fleet = await bed.start({ agents: { parent, child } });
    await bed.rejection((await bed.drive(fleet.submit('parent', null))).result());
    const tasks = await bed.drive(fleet.tasks({ kind: 'child', limit: 10 }));
    expect(tasks.map(({ status }) => status)).toEqual(['completed', 'cancelled']);
  });

  test('its children are put back with it, and nothing that has completed is done again', async () => {
    await using bed = new Testbed();
    let isDown = true;
    const ran: number[] = [];
    const child = agent({
      async run(n: number, ctx) {
        await ctx.step('run', () => void ran.push(n));
        await ctx.sleep(n * 1_000);
        return n;
      },
    });
    const parent = agent({
      asks: { child },
      async run(_input: null, ctx) {
        const all = Promise.all([1, 60].map((n) => ctx.ask('child', n)));
        const disk = async (): Promise<void> => {
          await ctx.sleep(5_000);
          await ctx.step('disk', () => {
            if (isDown) throw forGood();
          });
        };
        return (await Promise.all([all, disk()]))[0];
      },
    });
    const fleet = await bed.start({ agents: { parent, child } });
    const failed = await bed.drive(fleet.submit('parent', null, { id: 'x' }));
    await bed.rejection(failed.result());
    isDown = false;
    await bed.drive(fleet.requeue('x'));
    const again = await bed.drive(fleet.submit('parent', null, { id: 'x' }));
    expect(await bed.drive(again.result())).toEqual([1, 60]);
    expect(ran).toEqual([1, 60]);
  });

  test('while it waits for one that is being undone, a cancel says how it ends', async () => {
    await using bed = new Testbed();
    const child = agent({
      async run(_input: null, ctx) {
        await ctx.compensate('room', () => bed.sleep(20_000));
        await ctx.sleep(MONTH_MS);
      },
    });
    const parent = agent({
      asks: { child },
      async run(_input: null, ctx) {
        await ctx.compensate('account', () => {});
        await Promise.race([ctx.ask('child', null), ctx.sleep(1_000)]);
        throw forGood();
      },
    });
    const fleet = await bed.start({ agents: { parent, child } });
    const handle = await bed.drive(fleet.submit('parent', null, { id: 'x' }));
    await bed.advance(5_000);
    expect(await bed.drive(fleet.task('x'))).toMatchObject({ status: 'parked', parkedFor: 'child' });
    expect(await bed.rejection(fleet.cancel('x'))).toMatchObject({
      code: 'DROVER_TASK_UNDOING',
      detail: { id: 'x', status: 'parked', ends: 'failed' },
    });
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed' } });
  });
});

test('a task whose attempts are used up, or whose deadline passes, takes its children with it', async () => {
  await using bed = new Testbed();
  const child = agent({ run: async (_input: null, ctx) => ctx.sleep(MONTH_MS) });
  const parent = agent({
    asks: { child },
    attempts: 2,
    backoff: () => 10,
    async run(fails: boolean, ctx) {
      await Promise.race([ctx.ask('child', null), ctx.sleep(fails ? 100 : MONTH_MS)]);
      throw new Error('again and again');
    },
  });
  const fleet = await bed.start({ agents: { parent, child } });
  const dead = await bed.drive(fleet.submit('parent', true, { id: 'dead' }));
  const late = await bed.drive(fleet.submit('parent', false, { id: 'late', deadline: bed.nowMs + 5_000 }));
  await bed.rejection(dead.result());
  await bed.rejection(late.result());
  await bed.advance(1_000);
  const tasks = await bed.drive(fleet.tasks({ kind: 'child', limit: 10 }));
  // The deadline of a parent is its children's too.
  expect(tasks.map(({ id, status }) => [id.split('/')[0], status]).toSorted()).toEqual([
    ['dead', 'cancelled'],
    ['late', 'failed'],
  ]);
});

describe('when a task completes', () => {
  test('a child that has lost a race works on for nobody: told to stop at once, it begins nothing more, and its story says why', async () => {
    await using bed = new Testbed();
    const seen: string[] = [];
    const child = agent({
      async run(_input: null, ctx) {
        for (let n = 0; n < 20; n += 1) {
          await ctx.step(`work ${n}`, () => bed.sleep(400));
          seen.push(`${n}`);
        }
      },
    });
    const parent = agent({
      asks: { child },
      lingerMs: 60_000,
      run: async (_input: null, ctx) => Promise.race([ctx.ask('child', null), ctx.sleep(1_000).then(() => 'late')]),
    });
    const fleet = await bed.start({ agents: { parent, child } });
    expect(await bed.run(fleet, 'parent', null)).toBe('late');
    await bed.advance(1_000);
    const begun = seen.length;
    await bed.advance(10_000);
    expect(seen).toHaveLength(begun);
    const [asked] = await bed.drive(fleet.tasks({ kind: 'child', limit: 1 }));
    expect(asked).toMatchObject({ status: 'cancelled' });
    const reason = `task ${asked!.parentId}, which it worked for, has completed without it`;
    expect(await bed.drive(fleet.story(asked!.id))).toContainEqual(expect.objectContaining({ action: 'cancel', by: 'drover', reason }));
  });

  test('so is one that a machine asked in a state that it has left', async () => {
    await using bed = new Testbed();
    const seen: string[] = [];
    const child = agent({
      async run(_input: null, ctx) {
        await ctx.step('long', () => bed.sleep(400));
        await ctx.step('more', () => void seen.push('more'));
      },
    });
    const machine = setup({
      actors: { asks: operations({ asks: { child } })(async (_input: unknown, ctx) => ctx.ask('child', null)) },
    }).createMachine({
      initial: 'asking',
      states: { asking: { invoke: { src: 'asks', onDone: 'done' }, after: { 80: 'done' } }, done: { type: 'final' } },
    });
    const fleet = await bed.start({ agents: { parent: agent({ asks: { child }, machine }), child } });
    await bed.run(fleet, 'parent', undefined);
    await bed.advance(2_000);
    expect(seen).toEqual([]);
    expect(await bed.drive(fleet.tasks({ kind: 'child', limit: 1 }))).toMatchObject([{ status: 'cancelled' }]);
  });
});

test('a task that failed for a child and is put back asks it again, and what has completed is not done again', async () => {
  await using bed = new Testbed();
  let isDown = true;
  const ran: string[] = [];
  const child = agent({
    attempts: 1,
    async run(name: string, ctx) {
      await ctx.step('paid', () => void ran.push(name));
      if (name === 'bad' && isDown) throw new Error('down');
      return name;
    },
  });
  const parent = agent({
    asks: { child },
    run: async (_input: null, ctx) => [await ctx.ask('child', 'good'), await ctx.ask('child', 'bad')],
  });
  const fleet = await bed.start({ agents: { parent, child } });
  const failed = await bed.drive(fleet.submit('parent', null, { id: 'x' }));
  expect(await bed.rejection(failed.result())).toMatchObject({ detail: { error: { code: 'DROVER_CHILD_FAILED' } } });
  isDown = false;
  await bed.drive(fleet.requeue('x'));
  const again = await bed.drive(fleet.submit('parent', null, { id: 'x' }));
  expect(await bed.drive(again.result())).toEqual(['good', 'bad']);
  expect(ran).toEqual(['good', 'bad']);
});
