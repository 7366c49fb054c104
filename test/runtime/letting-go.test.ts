/** An operator wants a task that runs: what it has in flight is not lost, nothing new is begun, and it does not take long. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import type { Fleet } from 'drover';
import { Testbed } from './harness.ts';

const GRACE_MS = 5_000;

/** A call and a step side by side, and one more of each when those have ended. */
function twice(bed: Testbed, answerMs: number) {
  const service = bed.service({ attempts: 1 }, () => ({ afterMs: answerMs, reply: 'answered' }));
  const steps: string[] = [];
  const work = agent({
    uses: { service: service.dependency },
    async run(_input: null, ctx) {
      const step = (name: string) =>
        ctx.step(name, async () => {
          steps.push(name);
          await bed.sleep(answerMs);
          return name;
        });
      const first = await Promise.all([ctx.call('service', 1), step('one')]);
      return [first, await Promise.all([ctx.call('service', 2), step('two')])];
    },
  });
  return { service, steps, work };
}

async function inFlight(bed: Testbed, fleet: Fleet<never>, steps: readonly string[]): Promise<void> {
  await bed.until(() => steps.length === 1);
  await bed.advance(100);
  expect(fleet.load.running).toBe(1);
}

describe('pausing a task that runs', () => {
  test('waits for what is in flight, begins nothing new, and nothing is paid twice', async () => {
    await using bed = new Testbed();
    const { service, steps, work } = twice(bed, 2_000);
    const fleet = await bed.start({ agents: { work } });
    const paused = bed.record(fleet, 'task.paused');
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await inFlight(bed, fleet as never, steps);
    expect(await bed.drive(fleet.pause('x'))).toBe('noted');
    await bed.advance(10_000);
    expect(await bed.drive(fleet.task('x'))).toMatchObject({ status: 'parked', parkedFor: 'operator', attempt: 0 });
    expect(paused).toMatchObject([{ id: 'x' }]);
    expect([service.calls.length, steps]).toEqual([1, ['one']]);
    expect(service.calls[0]!.aborted).toBeUndefined();
    await bed.drive(fleet.unpause('x'));
    await bed.drive(handle.result());
    expect([service.calls.length, steps]).toEqual([2, ['one', 'two']]);
  });

  test('takes no longer than workers have to stop', async () => {
    await using bed = new Testbed();
    const { service, steps, work } = twice(bed, 60_000);
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await inFlight(bed, fleet as never, steps);
    await bed.drive(fleet.pause('x'));
    await bed.advance(GRACE_MS - 200);
    expect(fleet.load.running).toBe(1);
    await bed.advance(300);
    expect(await bed.drive(fleet.task('x'))).toMatchObject({ status: 'parked', parkedFor: 'operator' });
    expect(service.calls[0]!.aborted).toBeDefined();
  });

  test('lets a step go on that is made of several operations', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 500, reply: 1 }));
    let made = 0;
    const work = agent({
      uses: { service: service.dependency },
      run: (_input: null, ctx) =>
        ctx.step('whole', async () => {
          made += 1;
          await ctx.call('service', 'a');
          return ctx.call('service', 'b');
        }),
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.until(() => service.calls.length === 1);
    await bed.drive(fleet.pause('x'));
    await bed.advance(2_000);
    await bed.drive(fleet.unpause('x'));
    await bed.drive(handle.result());
    expect([made, service.calls.length]).toEqual([1, 2]);
  });

  test('gives up its place in a line for a permit', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 1 } }, () => ({ afterMs: 1_000, reply: 1 }));
    const work = agent({ replicas: 2, uses: { service: service.dependency }, run: (n: number, ctx) => ctx.call('service', n) });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', 1));
    await bed.until(() => service.calls.length === 1);
    await bed.drive(fleet.submit('work', 2, { id: 'x' }));
    await bed.until(() => fleet.load.running === 2);
    await bed.drive(fleet.pause('x'));
    await bed.advance(5_000);
    expect(await bed.drive(fleet.task('x'))).toMatchObject({ status: 'parked' });
    expect(service.calls).toHaveLength(1);
  });
});

describe('cancelling a task that runs', () => {
  test('remembers what answers all the same: put back, it pays nothing twice', async () => {
    await using bed = new Testbed();
    const { service, steps, work } = twice(bed, 2_000);
    // It hears of the abort, and answers all the same.
    service.respond = () => ({ afterMs: 2_000, reply: 'answered', deaf: true });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await inFlight(bed, fleet as never, steps);
    expect(await bed.drive(fleet.cancel('x'))).toBe('noted');
    expect(service.calls[0]!.aborted).toMatchObject({ code: 'DROVER_RUN_OVER', detail: { reason: 'cancelled' } });
    expect(await bed.rejection(fleet.pause('x'))).toMatchObject({ code: 'DROVER_TASK_CANCELLING', detail: { id: 'x', status: 'running' } });
    expect(await bed.rejection(handle.result())).toMatchObject({ code: 'DROVER_TASK_CANCELLED' });
    await bed.drive(fleet.requeue('x'));
    const again = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.drive(again.result());
    expect([service.calls.length, steps]).toEqual([2, ['one', 'two']]);
  });

  test('is done at once when what is in flight heeds its signal, and that failure is not remembered', async () => {
    await using bed = new Testbed();
    const service = bed.service({ attempts: 3, breaker: { failures: 1 } }, () => ({ afterMs: 60_000 }));
    const work = agent({
      uses: { service: service.dependency },
      run: (_input: null, ctx) => Promise.all([ctx.call('service', 1), ctx.step('s', ({ signal }) => rejectsWith(signal))]),
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.until(() => service.calls.length === 1);
    const orderedMs = bed.nowMs;
    await bed.drive(fleet.cancel('x'));
    await bed.rejection(handle.result());
    expect(bed.nowMs - orderedMs).toBeLessThan(1_000);
    // Neither tried again, nor held against the provider.
    expect(service.calls).toHaveLength(1);
    expect(fleet.stats.callRetries).toBe(0);
    service.respond = () => ({ reply: 1 });
    await bed.drive(fleet.requeue('x'));
    await bed.until(() => service.calls.length === 2);
  });

  test('of a run that throws when it is told to stop waits for what it has in flight', async () => {
    await using bed = new Testbed();
    let charged = 0;
    const work = agent({
      async run(_input: null, ctx) {
        const charge = ctx.step('charge', async () => {
          charged += 1;
          await bed.sleep(1_000);
        });
        await Promise.race([charge, rejectsWith(ctx.signal)]);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.until(() => charged === 1);
    await bed.drive(fleet.cancel('x'));
    await bed.rejection(handle.result());
    await bed.drive(fleet.requeue('x'));
    await bed.drive((await bed.drive(fleet.submit('work', null, { id: 'x' }))).result());
    expect(charged).toBe(1);
  });

  test('knows, when it is undone, of a step that ended after the order', async () => {
    await using bed = new Testbed();
    const seen: string[] = [];
    const work = agent({
      async run(_input: null, ctx) {
        await ctx.compensate('charge', () => void seen.push('refund'));
        const receipt = await ctx.step('charge', async () => {
          await bed.sleep(2_000);
          return 'r1';
        });
        await ctx.compensate(`receipt ${receipt}`, () => void seen.push(`void ${receipt}`));
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.until(() => fleet.load.running === 1);
    await bed.advance(1_000);
    await bed.drive(fleet.cancel('x'));
    await bed.rejection(handle.result());
    // What comes after the step has not been begun.
    expect(seen).toEqual(['refund']);
  });
});

/** As `fetch` does. */
function rejectsWith(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
}
