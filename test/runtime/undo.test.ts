/** What a task has done is undone when it fails for good, dies or is cancelled: in reverse, once, whatever crashes meanwhile. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import type { Context } from 'drover';
import { z } from 'zod';
import { Undo } from '../../src/runtime/run/undo.ts';
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

  test('that no run comes by any more makes the task dead, and nothing is undone: it may have to go first', async () => {
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
    expect(error.message).toContain(
      'could not undo "charge old" (the run does not come by it any more, but to compensate "charge new", which no earlier run has done; put the task back when code runs that comes by it); left: charge old, book; ',
    );
    expect(bank.done).toEqual([]);
    isNew = false;
    await bed.drive(fleet.requeue('x'));
    await bed.rejection((await bed.drive(fleet.submit('work', null, { id: 'x' }))).result());
    expect(bank.done).toEqual(['refund x/undo:charge old', 'cancel x/undo:book']);
  });

  test('that the run does not get to any more, because it waits for ever, keeps the others from being undone before it', async () => {
    await using bed = new Testbed();
    const bank = new Bank();
    let runs = 0;
    let waits = true;
    const work = agent({
      attempts: 2,
      backoff: () => 10,
      stallMs: 5_000,
      async run(_input: null, ctx) {
        await ctx.compensate('book', bank.note('cancel'));
        if ((runs += 1) > 1 && waits) await new Promise(() => {});
        await ctx.compensate('charge', bank.note('refund'));
        throw Object.assign(new Error('no'), { retryable: false });
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const error = await bed.rejection((await bed.drive(fleet.submit('work', null, { id: 'x' }))).result());
    expect(error).toMatchObject({ detail: { status: 'dead', error: { code: 'DROVER_COMPENSATION_FAILED' } } });
    expect(error.message).toMatch(/"charge".*left: charge, book;/);
    expect(bank.done).toEqual([]);
    waits = false;
    await bed.drive(fleet.requeue('x'));
    await bed.rejection((await bed.drive(fleet.submit('work', null, { id: 'x' }))).result());
    expect(bank.done).toEqual(UNDONE);
  });

  test('that was registered after the one that no run comes by any more is undone: it goes first', async () => {
    await using bed = new Testbed();
    const bank = new Bank();
    const work = agent({
      attempts: 2,
      backoff: () => 10,
      async run(_input: null, ctx) {
        await ctx.compensate('book', bank.note('cancel'));
        // What is gone another way in the second attempt.
        if (ctx.task.attempt === 1) await ctx.compensate('plan b', bank.note('drop'));
        else await ctx.compensate('charge', bank.note('refund'));
        throw new Error('no');
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const error = await bed.rejection((await bed.drive(fleet.submit('work', null, { id: 'x' }))).result());
    expect(error.message).toMatch(/"plan b".*left: plan b, book;/);
    expect(bank.done).toEqual(['refund x/undo:charge']);
  });

  test('has no operations of the run: it is told so at once', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    const work = agent({
      attempts: 1,
      uses: { service: service.dependency },
      async run(_input: null, ctx) {
        await ctx.compensate('refund', () => ctx.call('service', 'refund'));
        throw new Error('no');
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    expect((await bed.rejection(handle.result())).message).toContain('ctx.call in what undoes "refund"');
    expect(service.calls).toEqual([]);
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

describe('compensations that fail', () => {
  /** Both banks are down until `open`; one attempt fewer than there are banks would do. */
  function twoBanks(attempts: number) {
    const tried: string[] = [];
    const down = new Set(['north', 'south']);
    const undo = (bank: string) => (): void => {
      tried.push(bank);
      if (down.has(bank)) throw new Error(`${bank} is down`);
    };
    const work = agent({
      attempts,
      backoff: () => 10,
      async run(_input: null, ctx) {
        await ctx.compensate('desk', undo('desk'));
        await ctx.compensate('north', undo('north'));
        await ctx.compensate('till', undo('till'));
        await ctx.compensate('south', undo('south'));
        throw Object.assign(new Error('no stock'), { retryable: false });
      },
    });
    return { tried, down, work };
  }

  test('for good keep none of the others from being undone, in reverse, and the error names each and why', async () => {
    await using bed = new Testbed();
    const { tried, work } = twoBanks(2);
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    const error = await bed.rejection(handle.result());
    expect(error).toMatchObject({ detail: { status: 'dead', error: { code: 'DROVER_COMPENSATION_FAILED' } } });
    expect(error.message).toMatch(/"south" \(south is down\), "north" \(north is down\); left: south, north; .*failed \(no stock\)/);
    // While there are more tries, one that fails keeps those before it waiting.
    expect(tried).toEqual(['south', 'south', 'till', 'north', 'desk']);
    expect(await bed.drive(fleet.task('x'))).toMatchObject({ status: 'dead', undone: false });
  });

  test('are tried again when the task is put back, and nothing else; it ends as it was to', async () => {
    await using bed = new Testbed();
    const { tried, down, work } = twoBanks(1);
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.rejection(handle.result());
    tried.length = 0;
    down.delete('north');
    await bed.drive(fleet.requeue('x'));
    await bed.advance(1_000);
    expect(tried).toEqual(['south', 'north']);
    expect(await bed.drive(fleet.task('x'))).toMatchObject({ status: 'dead' });
    down.clear();
    await bed.drive(fleet.requeue('x', { by: 'Ada' }));
    const again = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    expect(await bed.rejection(again.result())).toMatchObject({ detail: { status: 'failed', error: { message: 'no stock' } } });
    expect(tried).toEqual(['south', 'north', 'south']);
    const refused = await bed.rejection(fleet.requeue('x'));
    expect(refused).toMatchObject({ code: 'DROVER_TASK_NOT_REQUEUEABLE', detail: { undone: true } });
    expect(refused.message).toContain('all that it did has been undone');
  });

  test('that another version has registered, and has undone, are not waited for when the task is put back under one without them', async () => {
    await using bed = new Testbed();
    const bank = new Bank();
    let isNew = true;
    const work = agent({
      attempts: 1,
      async run(_input: null, ctx) {
        await ctx.compensate('book', (step) => {
          if (isNew) throw new Error('desk closed');
          bank.note('cancel')(step);
        });
        if (isNew) await ctx.compensate('charge', bank.note('refund'));
        throw Object.assign(new Error('no stock'), { retryable: false });
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'dead' } });
    isNew = false;
    await bed.drive(fleet.requeue('x'));
    const again = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    expect(await bed.rejection(again.result())).toMatchObject({ detail: { status: 'failed', error: { message: 'no stock' } } });
    expect(bank.done).toEqual(['refund x/undo:charge', 'cancel x/undo:book']);
  });

  test('are given up with the backoff of the kind, when that says no', async () => {
    await using bed = new Testbed();
    const asked: number[] = [];
    const tried: string[] = [];
    const work = agent({
      attempts: 9,
      backoff: (failures) => (asked.push(failures), failures > 1 ? -1 : 10),
      async run(_input: null, ctx) {
        await ctx.compensate('desk', () => void tried.push('desk'));
        await ctx.compensate('bank', () => {
          tried.push('bank');
          throw new Error('down');
        });
        throw Object.assign(new Error('no'), { retryable: false });
      },
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.rejection((await bed.drive(fleet.submit('work', null))).result());
    expect(tried).toEqual(['bank', 'bank', 'desk']);
    // Once a run.
    expect(asked).toEqual([1, 2]);
  });

  test('by never ending are given up when they have had the time of a run, and the others are undone', async () => {
    await using bed = new Testbed();
    const tried: string[] = [];
    const work = agent({
      attempts: 2,
      backoff: () => 10,
      runTimeoutMs: 5_000,
      async run(_input: null, ctx) {
        await ctx.compensate('desk', async () => {
          await bed.sleep(3_000);
          tried.push('desk');
        });
        await ctx.compensate('bank', async () => {
          tried.push('bank');
          // Longer than anybody waits for it, and not for ever.
          await bed.sleep(12_000);
        });
        throw Object.assign(new Error('no'), { retryable: false });
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const error = await bed.rejection((await bed.drive(fleet.submit('work', null, { id: 'x' }))).result());
    expect(error.message).toMatch(/"bank" \(.*longer than 5000 ms.*\); left: bank;/);
    expect(tried).toEqual(['bank', 'bank', 'desk']);
    await bed.advance(20_000);
    expect(await bed.drive(fleet.task('x'))).toMatchObject({ status: 'dead', undone: false });
  });
});

describe('a task that is being undone', () => {
  test('is paused when what is under way has been undone, and is not undone twice', async () => {
    await using bed = new Testbed();
    const seen: string[] = [];
    const slowly = (name: string) => async (): Promise<void> => {
      seen.push(name);
      await bed.sleep(1_000);
    };
    const work = agent({
      attempts: 1,
      async run(_input: null, ctx) {
        await ctx.compensate('a', slowly('a'));
        await ctx.compensate('b', slowly('b'));
        throw new Error('no');
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.until(() => seen.length === 1);
    expect(await bed.drive(fleet.pause('x'))).toBe('noted');
    await bed.advance(5_000);
    expect(await bed.drive(fleet.task('x'))).toMatchObject({ status: 'parked', parkedFor: 'operator' });
    expect(seen).toEqual(['b']);
    // It ends as it was to, also after a cancel.
    const refused = await bed.rejection(fleet.cancel('x'));
    expect(refused).toMatchObject({ code: 'DROVER_TASK_UNDOING', detail: { status: 'parked', ends: 'dead' } });
    expect(refused.message).toContain('unpause');
    await bed.drive(fleet.unpause('x'));
    await bed.rejection(handle.result());
    expect(seen).toEqual(['b', 'a']);
  });

  test('goes on elsewhere when its worker is suspended, and keeps its locks', async () => {
    await using bed = new Testbed();
    const seen: string[] = [];
    const work = agent({
      replicas: 2,
      attempts: 1,
      writes: ['seat'],
      async run(n: number, ctx) {
        if (n === 2) return void seen.push('other');
        for (const name of ['a', 'b']) {
          await ctx.compensate(name, async () => {
            seen.push(name);
            await bed.sleep(1_000);
          });
        }
        throw new Error('no');
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const worker = bed.record(fleet, 'task.started');
    const handle = await bed.drive(fleet.submit('work', 1, { id: 'x' }));
    await bed.until(() => seen.length === 1);
    const other = await bed.drive(fleet.submit('work', 2));
    await bed.drive(fleet.suspend((worker.at(-1) as unknown as { worker: string }).worker));
    await bed.rejection(handle.result());
    await bed.drive(other.result());
    expect(seen).toEqual(['b', 'a', 'other']);
  });

  test('cannot be cancelled; one that is cancelled may be, twice', async () => {
    await using bed = new Testbed();
    const work = agent({
      attempts: 1,
      async run(fails: boolean, ctx) {
        await ctx.compensate('a', () => bed.sleep(1_000));
        if (fails) throw new Error('no');
        await ctx.sleep(60_000);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const failing = await bed.drive(fleet.submit('work', true, { id: 'x' }));
    await bed.until(() => fleet.stats.started === 2);
    expect(await bed.rejection(fleet.cancel('x'))).toMatchObject({
      code: 'DROVER_TASK_UNDOING',
      detail: { id: 'x', status: 'running', ends: 'dead' },
    });
    await bed.rejection(failing.result());
    const waiting = await bed.drive(fleet.submit('work', false, { id: 'y' }));
    await bed.advance(30_000);
    const steered = bed.record(fleet, 'task.steered');
    // It has not ended yet.
    expect(await bed.drive(fleet.cancel('y'))).toBe('noted');
    expect(await bed.drive(fleet.cancel('y'))).toBe('noted');
    expect(steered).toMatchObject([{ at: 'noted', action: 'cancel' }]);
    await bed.rejection(waiting.result());
    expect(await bed.drive(fleet.cancel('y'))).toBe('done');
  });

  test('is told of no event: the sender would take what nobody hears for said', async () => {
    await using bed = new Testbed();
    const work = agent({
      attempts: 1,
      events: { paid: z.number() },
      async run(_input: null, ctx) {
        await ctx.compensate('a', () => bed.sleep(1_000));
        throw new Error('no');
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const failing = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.until(() => fleet.stats.started === 2);
    expect(await bed.rejection(fleet.signal('x', 'paid', 1))).toMatchObject({
      code: 'DROVER_TASK_UNDOING',
      detail: { id: 'x', status: 'running', ends: 'dead' },
    });
    await bed.rejection(failing.result());
    expect(await bed.rejection(fleet.signal('x', 'paid', 1))).toMatchObject({ code: 'DROVER_TASK_ENDED' });
  });

  for (const how of ['cancelled', 'past its deadline', 'dead'] as const) {
    test(`waits until its children have been undone, when it is ${how}`, async () => {
      await using bed = new Testbed();
      const seen: string[] = [];
      const child = agent({
        attempts: 1,
        writes: ['desk'],
        async run(n: number, ctx) {
          await ctx.compensate('room', async () => {
            await bed.sleep(500 * n);
            seen.push(`room ${n}`);
          });
          await ctx.sleep(how === 'dead' ? 3_000 : 60_000);
          throw new Error('full');
        },
      });
      const parent = agent({
        asks: { child },
        attempts: 1,
        // What it holds is what its children want: it does not keep that while it waits for them.
        writes: ['desk'],
        async run(_input: null, ctx) {
          await ctx.compensate('account', () => void seen.push('account'));
          const asked = Promise.all([1, 2].map((n) => ctx.ask('child', n)));
          if (how !== 'dead') return asked;
          asked.catch(() => {});
          await ctx.sleep(100);
          throw new Error('no');
        },
      });
      const fleet = await bed.start({ agents: { parent, child } });
      const deadline = how === 'past its deadline' ? { deadline: bed.nowMs + 5_000 } : {};
      const handle = await bed.drive(fleet.submit('parent', null, { id: 'x', ...deadline }));
      await bed.advance(2_000);
      if (how === 'cancelled') await bed.drive(fleet.cancel('x'));
      await bed.rejection(handle.result());
      expect(seen.at(-1)).toBe('account');
      expect(seen.length).toBeGreaterThan(1);
    });
  }
});

test('nobody who wants the same runs between a failure and its undoing, whatever is retried or lost', async () => {
  await using bed = new Testbed();
  let seats = 1;
  let tries = 0;
  const work = agent({
    replicas: 2,
    attempts: 3,
    backoff: () => 1_000,
    writes: ['seats'],
    async run(n: number, ctx) {
      await ctx.compensate('give back', async () => {
        tries += 1;
        if (tries === 1) throw new Error('desk closed');
        if (tries === 2) {
          bed.crashWorker('work');
          await bed.sleep(1_000);
        }
        seats += 1;
      });
      const got = await ctx.step('take', async () => {
        await bed.sleep(50);
        if (seats === 0) return false;
        seats -= 1;
        return true;
      });
      if (n === 1) throw Object.assign(new Error('card refused'), { retryable: false });
      return got ? 'has a seat' : 'sold out';
    },
  });
  const fleet = await bed.start({ agents: { work } });
  const first = await bed.drive(fleet.submit('work', 1));
  const second = await bed.drive(fleet.submit('work', 2));
  await bed.rejection(first.result());
  expect(await bed.drive(second.result())).toBe('has a seat');
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

test('a run that is over comes to no end of its undoing: another one has its task', async () => {
  const alarms: (() => void)[] = [];
  const rejected: unknown[] = [];
  const run = {
    task: { id: 'x' },
    over: undefined as string | undefined,
    startedMs: 0,
    occupied: false,
    plan: { isolation: 'inline' },
    memory: { beginning: () => [{ place: 'compensate:a' }], has: () => false, unfinishedChildren: [] },
    dropOpen: () => {},
    engine: {
      alarm: (_inMs: number, ring: () => void) => {
        alarms.push(ring);
        return () => void alarms.splice(alarms.indexOf(ring), 1);
      },
      restOf: () => ({ at: 'again' }),
      rejected: (...of: unknown[]) => rejected.push(of),
    },
  };
  const undo = new Undo(run as never, { status: 'failed', error: null });
  undo.begin(() => {});
  const goOn = async (): Promise<void> => {
    for (let ring = alarms.shift(); ring !== undefined; ring = alarms.shift()) {
      ring();
      await Promise.resolve();
    }
  };
  // What it comes to fails as it did before, and by then the lease is gone.
  undo.stuck(() => {
    run.over = 'lease-lost';
    undo.cancel();
  });
  await goOn();
  undo.ended();
  await goOn();
  expect(rejected).toEqual([]);
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
