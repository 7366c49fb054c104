/** What operations fail with is remembered, so that every run goes the same way; what ends an attempt the next one tries again. */
import { describe, expect, test } from 'vitest';
import { agent, CallError, ChildFailedError } from 'drover';
import { Testbed } from './harness.ts';

describe('a failure that a run has caught', () => {
  test('of a call is the same after a park, though the call would succeed by now', async () => {
    await using bed = new Testbed();
    let isDown = true;
    const service = bed.service({ attempts: 1 }, () => (isDown ? { error: new Error('down') } : { reply: 'up' }));
    const seen: unknown[] = [];
    const work = agent({
      uses: { service: service.dependency },
      async run(_input: null, ctx) {
        const said = await ctx.call('service', 1).catch((error: unknown) => error);
        seen.push(said);
        isDown = false;
        await ctx.sleep(5_000);
        return (said as { code: string }).code;
      },
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toBe('DROVER_CALL_FAILED');
    expect(service.calls).toHaveLength(1);
    expect(seen).toHaveLength(2);
    for (const error of seen) {
      expect(error).toBeInstanceOf(CallError);
      expect(error).toMatchObject({ name: 'CallError', detail: { dependency: 'service', attempts: 1 }, cause: { message: 'down' } });
    }
    expect((seen[1] as Error).message).toBe((seen[0] as Error).message);
  });

  test('of a step and of a child likewise', async () => {
    await using bed = new Testbed();
    let steps = 0;
    const child = agent({
      attempts: 1,
      async run() {
        throw new Error('no');
      },
    });
    const classes: boolean[] = [];
    const work = agent({
      asks: { child },
      async run(_input: null, ctx) {
        const first = await ctx
          .step('once', () => {
            steps += 1;
            throw Object.assign(new RangeError(`try ${steps}`), { code: 'E_RANGE' });
          })
          .catch((error: Error & { code: string }) => [error.name, error.message, error.code]);
        const second = await ctx.ask('child', null).catch((error: unknown) => error);
        classes.push(second instanceof ChildFailedError);
        await ctx.sleep(5_000);
        return [first, (second as ChildFailedError).detail.status];
      },
    });
    const fleet = await bed.start({ agents: { work, child } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(2_000);
    // Put back meanwhile: who has seen it fail is not told again.
    await bed.drive(fleet.requeue('x/child#1'));
    expect(await bed.drive(handle.result())).toEqual([['RangeError', 'try 1', 'E_RANGE'], 'dead']);
    expect(steps).toBe(1);
    expect(new Set(classes)).toEqual(new Set([true]));
  });

  test('and thrown is tried anew by the next attempt', async () => {
    await using bed = new Testbed();
    let isDown = true;
    const service = bed.service({ attempts: 1 }, () => (isDown ? { error: new Error('down') } : { reply: 'up' }));
    const work = agent({
      uses: { service: service.dependency },
      backoff: () => 10,
      run: (_input: null, ctx) => ctx.call('service', 1),
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    await bed.until(() => service.calls.length === 1);
    isDown = false;
    expect(await bed.drive(handle.result())).toBe('up');
  });
});

describe('a race', () => {
  test('that a call won against its own time limit is won again, however long ago that was', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 100, reply: 'answer' }));
    const won: unknown[] = [];
    const work = agent({
      uses: { service: service.dependency },
      async run(_input: null, ctx) {
        // The chain behind the call is longer than the one behind the limit.
        const called = ctx
          .call('service', 1)
          .then((reply) => reply)
          .then((reply) => reply);
        const first = await Promise.race([called, ctx.sleep(1_000).then(() => 'too late')]);
        won.push(first);
        await ctx.sleep(60_000);
        return first;
      },
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toBe('answer');
    expect(new Set(won)).toEqual(new Set(['answer']));
  });

  test('that a time limit won against a call is lost by that again, though it has been answered since', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 2_000, reply: 'answer' }));
    const work = agent({
      uses: { service: service.dependency },
      async run(_input: null, ctx) {
        const called = ctx.call('service', 1);
        const limit = ctx
          .sleep(1_000)
          .then(() => 'too late')
          .then((said) => said);
        const first = await Promise.race([called, limit]);
        await called;
        await ctx.sleep(60_000);
        return first;
      },
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toBe('too late');
  });

  test('among children goes to the same child in every run', async () => {
    await using bed = new Testbed();
    const child = agent({
      replicas: 3,
      async run(ms: number, ctx) {
        await ctx.sleep(ms);
        return ms;
      },
    });
    const won: unknown[] = [];
    const work = agent({
      asks: { child },
      async run(_input: null, ctx) {
        const first = await Promise.race([ctx.ask('child', 9_000), ctx.ask('child', 5_000).then((ms) => ms), ctx.ask('child', 7_000)]);
        won.push(first);
        await ctx.sleep(60_000);
        return first;
      },
    });
    const fleet = await bed.start({ agents: { work, child } });
    expect(await bed.run(fleet, 'work', null)).toBe(5_000);
    expect(new Set(won)).toEqual(new Set([5_000]));
  });
});

test('all that a run waits for side by side is named in one park, and the children are gathered', async () => {
  await using bed = new Testbed();
  const parks: unknown[] = [];
  bed.faults.committed = (command, items) => {
    if (command !== 'settle') return;
    for (const { id, outcome } of items as readonly { id: string; outcome: { at: string } }[]) {
      if (outcome.at === 'parked' && id === 'x') parks.push(outcome);
    }
  };
  const child = agent({ run: (_input: null, ctx) => ctx.sleep(1_000) });
  const work = agent({
    asks: { child },
    run: (_input: null, ctx) => Promise.all([ctx.ask('child', null), ctx.ask('child', null), ctx.approval('go', null), ctx.sleep(5_000)]),
  });
  const fleet = await bed.start({ agents: { work, child } });
  const atMs = bed.nowMs;
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  await bed.advance(10_000);
  await bed.drive(fleet.approve('x', 'go', { by: 'Ada' }));
  await bed.drive(handle.result());
  expect(parks[0]).toMatchObject({
    reason: 'approval',
    children: ['x/child#1', 'x/child#2'],
    events: [{ name: 'approval:go', n: 0 }],
    gatherMs: 22,
  });
  expect((parks[0] as { wakeAtMs: number }).wakeAtMs - atMs).toBeGreaterThanOrEqual(5_000);
  // Both children together, the sleep, the approval.
  expect(parks).toHaveLength(3);
});
