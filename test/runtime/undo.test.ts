/** What a task has done is undone when it fails for good, dies or is cancelled: in reverse, once, whatever crashes meanwhile. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import type { Context } from 'drover';
import { z } from 'zod';
import { Testbed } from './harness.ts';
import { killedAtEachCommit } from './killed.ts';

/** The books of a bank: what was done and undone, by idempotency key. Done twice under one key is done once. */
class Bank {
  readonly done: string[] = [];

  readonly note =
    (what: string) =>
    ({ idempotencyKey }: { readonly idempotencyKey: string }): void => {
      const entry = `${what} ${idempotencyKey}`;
      if (!this.done.includes(entry)) this.done.push(entry);
    };
}

const BOOK = ['book x/step:book', 'charge x/step:charge'];
const UNDONE = ['refund x/undo:charge', 'cancel x/undo:book'];

async function order(ctx: Context, bank: Bank): Promise<void> {
  await ctx.compensate('book', bank.note('cancel'));
  await ctx.step('book', bank.note('book'));
  await ctx.compensate('charge', bank.note('refund'));
  await ctx.step('charge', bank.note('charge'));
}

describe('a task that registered compensations', () => {
  test('is undone in reverse when it fails for good, and ends as it would have', async () => {
    await using bed = new Testbed();
    const bank = new Bank();
    const work = agent({
      attempts: 1,
      async run(_input: null, ctx) {
        await order(ctx, bank);
        throw new Error('no seat left');
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const failed = bed.record(fleet, 'task.failed');
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'dead', error: { message: 'no seat left' } } });
    expect(bank.done).toEqual([...BOOK, ...UNDONE]);
    expect(failed).toMatchObject([{ id: 'x', status: 'dead' }]);
    expect(await fleet.task('x')).toMatchObject({ status: 'dead', undone: true });
  });

  test('is not undone when it completes', async () => {
    await using bed = new Testbed();
    const bank = new Bank();
    const work = agent({ run: (_input: null, ctx) => order(ctx, bank) });
    const fleet = await bed.start({ agents: { work } });
    await bed.run(fleet, 'work', null, { id: 'x' });
    await bed.advance(10_000);
    expect(bank.done).toEqual(BOOK);
  });

  test('is undone when it is cancelled, running or parked', async () => {
    for (const ms of [1, 60_000]) {
      await using bed = new Testbed();
      const bank = new Bank();
      const work = agent({
        lingerMs: 10_000,
        async run(sleepMs: number, ctx) {
          await order(ctx, bank);
          if (sleepMs === 1) await ctx.step('long', () => bed.sleep(60_000));
          else await ctx.sleep(sleepMs);
        },
      });
      const fleet = await bed.start({ agents: { work } });
      const handle = await bed.drive(fleet.submit('work', ms, { id: 'x' }));
      await bed.until(() => bank.done.length === 2);
      await bed.advance(ms === 1 ? 100 : 30_000);
      await bed.drive(fleet.cancel('x', { by: 'Ada' }));
      expect(await bed.rejection(handle.result())).toMatchObject({ code: 'DROVER_TASK_CANCELLED' });
      expect(bank.done).toEqual([...BOOK, ...UNDONE]);
      expect(fleet.stats.cancelled).toBe(1);
    }
  });

  test('is undone when its deadline passes', async () => {
    await using bed = new Testbed();
    const bank = new Bank();
    const work = agent({
      deadlineMs: 5_000,
      async run(_input: null, ctx) {
        await order(ctx, bank);
        await ctx.sleep(60_000);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_DEADLINE_PASSED' } } });
    expect(bank.done).toEqual([...BOOK, ...UNDONE]);
  });

  test('is undone only as far as it came', async () => {
    await using bed = new Testbed();
    const bank = new Bank();
    const work = agent({
      attempts: 1,
      async run(_input: null, ctx) {
        await ctx.compensate('book', bank.note('cancel'));
        throw new Error('before the booking');
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.rejection(handle.result());
    expect(bank.done).toEqual(['cancel x/undo:book']);
  });

  test('is undone over the way that it went, failures that it caught and events that it took among it', async () => {
    await using bed = new Testbed();
    const bank = new Bank();
    const service = bed.service({ attempts: 1 }, () => ({ error: new Error('down') }));
    const work = agent({
      attempts: 1,
      uses: { service: service.dependency },
      events: { seat: z.string() },
      async run(_input: null, ctx) {
        const seat = await ctx.waitFor('seat');
        const paid = await ctx.call('service', 'pay').catch(() => 'by invoice');
        if (paid === 'by invoice') await ctx.compensate(`invoice ${seat}`, bank.note('tear'));
        await ctx.sleep(1_000);
        throw new Error('no');
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.drive(fleet.signal('x', 'seat', '7a'));
    await bed.rejection(handle.result());
    expect(bank.done).toEqual(['tear x/undo:invoice 7a']);
    expect(service.calls).toHaveLength(1);
  });

  test('comes by them over calls that are not remembered', async () => {
    await using bed = new Testbed();
    const bank = new Bank();
    const service = bed.service();
    const work = agent({
      attempts: 1,
      uses: { service: service.dependency },
      async run(_input: null, ctx) {
        await ctx.call('service', 'look', { remember: false });
        await ctx.compensate('book', bank.note('cancel'));
        await ctx.call('service', 'look', { remember: false });
        throw new Error('no');
      },
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.rejection((await bed.drive(fleet.submit('work', null, { id: 'x' }))).result());
    expect(bank.done).toEqual(['cancel x/undo:book']);
    // The second call is made no more: everything has been come by.
    expect(service.calls).toHaveLength(3);
  });
});

describe('a compensation', () => {
  test('that rejects is tried again with the backoff of the kind; what is undone already is not undone again', async () => {
    await using bed = new Testbed();
    const bank = new Bank();
    const times: number[] = [];
    let refunds = 0;
    const work = agent({
      attempts: 3,
      backoff: () => 1_000,
      async run(_input: null, ctx) {
        await ctx.compensate('book', ({ idempotencyKey }) => {
          times.push(bed.nowMs);
          if (times.length < 3) throw new Error('desk closed');
          bank.note('cancel')({ idempotencyKey });
        });
        await ctx.compensate('charge', (step) => {
          refunds += 1;
          bank.note('refund')(step);
        });
        await ctx.step('fails', () => {
          throw Object.assign(new Error('no'), { retryable: false });
        });
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed', error: { message: 'no' } } });
    expect(bank.done).toEqual(UNDONE);
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(1_000);
    expect(times).toHaveLength(3);
    expect(refunds).toBe(1);
  });

  test('that is tried again is come by again over failures that the run had caught', async () => {
    await using bed = new Testbed();
    let tries = 0;
    const work = agent({
      backoff: () => 10,
      async run(_input: null, ctx) {
        const isPlanB = await ctx
          .step('plan a', () => {
            throw new Error('full');
          })
          .catch(() => true);
        if (isPlanB) {
          await ctx.compensate('plan b', () => {
            if ((tries += 1) < 3) throw new Error('desk closed');
          });
        }
        throw Object.assign(new Error('no'), { retryable: false });
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed', error: { message: 'no' } } });
    expect(tries).toBe(3);
  });

  test('that goes on rejecting makes the task dead, with an error that names it', async () => {
    await using bed = new Testbed();
    const work = agent({
      attempts: 2,
      backoff: () => 10,
      async run(_input: null, ctx) {
        await ctx.compensate('book', () => {
          throw new Error('desk closed');
        });
        throw new Error('no');
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    const error = await bed.rejection(handle.result());
    expect(error).toMatchObject({ detail: { status: 'dead', error: { code: 'DROVER_COMPENSATION_FAILED' } } });
    expect(error.message).toMatch(/"book".*desk closed/);
  });

  test('that no run comes by any more makes the task dead, and the others are undone', async () => {
    await using bed = new Testbed();
    const bank = new Bank();
    let isNew = false;
    const work = agent({
      attempts: 1,
      async run(_input: null, ctx) {
        await ctx.compensate('book', bank.note('cancel'));
        await ctx.compensate(isNew ? 'charge new' : 'charge old', bank.note('refund'));
        isNew = true;
        throw new Error('no');
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    const error = await bed.rejection(handle.result());
    expect(error).toMatchObject({ detail: { status: 'dead', error: { code: 'DROVER_COMPENSATION_FAILED' } } });
    expect(error.message).toContain('charge old');
    expect(bank.done).toEqual(['cancel x/undo:book']);
  });

  test('is registered outside of steps, and each under a name of its own', async () => {
    await using bed = new Testbed();
    const inside = agent({
      run: (_input: null, ctx) => ctx.step('book', () => ctx.compensate('book', () => {})),
    });
    const twice = agent({
      async run(_input: null, ctx) {
        await ctx.compensate('book', () => {});
        await ctx.compensate('book', () => {});
      },
    });
    const fleet = await bed.start({ agents: { inside, twice } });
    for (const [kind, code] of [
      ['inside', 'DROVER_COMPENSATE_IN_STEP'],
      ['twice', 'DROVER_DUPLICATE_STEP'],
    ] as const) {
      const handle = await bed.drive(fleet.submit(kind, null));
      expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed', error: { code } } });
    }
  });
});

test('while a task is undone no operation of the run is made, and one function at a time runs', async () => {
  await using bed = new Testbed();
  const seen: string[] = [];
  let inside = 0;
  const slowly = (name: string) => async (): Promise<void> => {
    inside += 1;
    expect(inside).toBe(1);
    seen.push(name);
    await bed.sleep(500);
    inside -= 1;
  };
  const child = agent({ run: async () => seen.push('child') });
  const work = agent({
    asks: { child },
    async run(_input: null, ctx) {
      await Promise.all([ctx.compensate('a', slowly('undo a')), ctx.compensate('b', slowly('undo b'))]);
      await ctx.step('once', () => seen.push('step'));
      await ctx.sleep(1_000);
      await ctx.step('never', () => seen.push('never'));
      await ctx.ask('child', null);
    },
  });
  const fleet = await bed.start({ agents: { work, child } });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  await bed.until(() => seen.length === 1);
  await bed.advance(100);
  await bed.drive(fleet.cancel('x'));
  await bed.advance(5_000);
  await bed.rejection(handle.result());
  expect(seen).toEqual(['step', 'undo b', 'undo a']);
});

test('wherever the process dies, everything that was done is undone, in reverse, once', async () => {
  let bank = new Bank();
  const plays = await killedAtEachCommit(
    () => {
      bank = new Bank();
      const mine = bank;
      return {
        agents: {
          work: agent({
            leaseMs: 3_000,
            attempts: 1,
            async run(_input: null, ctx) {
              await order(ctx, mine);
              throw new Error('no seat left');
            },
          }),
        },
      };
    },
    async (mortal) => {
      await mortal.ask((fleet) => fleet.submit('work', null, { id: 'x' }));
      expect(await mortal.end('x')).toEqual({ status: 'dead', result: null, error: 'no seat left' });
      expect(bank.done).toEqual([...BOOK, ...UNDONE]);
    },
  );
  expect(plays).toBeGreaterThan(12);
});

test('a worker that dies in the midst of undoing costs nothing: another goes on', async () => {
  await using bed = new Testbed();
  const bank = new Bank();
  let crashes = 0;
  const work = agent({
    attempts: 1,
    async run(_input: null, ctx) {
      await ctx.compensate('book', bank.note('cancel'));
      await ctx.compensate('charge', async (step) => {
        if ((crashes += 1) === 1) {
          bed.crashWorker('work');
          await bed.sleep(1_000);
        }
        bank.note('refund')(step);
      });
      throw new Error('no');
    },
  });
  const fleet = await bed.start({ agents: { work } });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'dead', error: { message: 'no' } } });
  expect(bank.done).toEqual(UNDONE);
  expect(fleet.stats.lost).toBe(1);
});
