/** What a run has done is remembered: a later run finds it, pays for nothing twice, and may not take another way. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import type { CallOptions } from 'drover';
import { Testbed } from './harness.ts';
import type { Service } from './harness.ts';

/** How a run may come to an end between what it did and its result. */
const ENDS = ['a retry', 'a park', 'a worker crash', 'a process killed', 'a stolen lease', 'a close'] as const;

/** Calls twice, steps once, then ends in the way that is asked for, then calls again. */
function replaying(bed: Testbed, service: Service, how: (typeof ENDS)[number]) {
  const effects: string[] = [];
  const keys: string[] = [];
  let interrupted = false;
  const child = agent({
    async run() {
      await bed.sleep(1_000);
      return 'child';
    },
  });
  const work = agent({
    uses: { service: service.dependency },
    asks: { child },
    leaseMs: 3_000,
    backoff: () => 10,
    async run(input: string, ctx) {
      const first = await ctx.call('service', `${input} 1`);
      const second = await ctx.call('service', `${input} 2`);
      const stepped = await ctx.step('effect', ({ idempotencyKey }) => {
        effects.push('effect');
        keys.push(idempotencyKey);
        return { at: effects.length };
      });
      if (!interrupted) {
        interrupted = true;
        if (how === 'a retry') throw new Error('again');
        if (how === 'a worker crash') bed.crashWorker('work');
        if (how === 'a stolen lease') bed.disk.tasks.sweep(Infinity);
        if (how !== 'a park') await bed.sleep(10_000);
      }
      if (how === 'a park') await ctx.ask('child', null);
      return [first, second, stepped, await ctx.call('service', `${input} 3`)];
    },
  });
  return { effects, keys, agents: { work, child } };
}

describe.each(ENDS)('after %s', (how) => {
  test('remembered calls and steps are not made again', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    const { effects, keys, agents } = replaying(bed, service, how);
    let fleet = await bed.start({ agents });
    const handle = await bed.drive(fleet.submit('work', 'say', { id: 'x' }));
    if (how === 'a process killed' || how === 'a close') {
      await bed.until(() => effects.length === 1);
      await bed.advance(5);
      if (how === 'a close') await bed.close(fleet, { deadlineMs: 0 });
      else bed.kill();
      fleet = await bed.start({ agents });
    }
    const again = await bed.drive(fleet.submit('work', 'say', { id: 'x' }));
    expect(await bed.drive(again.result())).toEqual(['say 1', 'say 2', { at: 1 }, 'say 3']);
    expect(service.calls.map(({ request, key }) => [request, key])).toEqual([
      ['say 1', 'x/call:service#1'],
      ['say 2', 'x/call:service#2'],
      ['say 3', 'x/call:service#3'],
    ]);
    expect(effects).toEqual(['effect']);
    expect(keys).toEqual(['x/step:effect']);
    const task = (await fleet.task('x'))!;
    expect({ attempt: task.attempt, losses: task.losses }).toEqual(
      { 'a retry': { attempt: 2, losses: 0 }, 'a park': { attempt: 1, losses: 0 }, 'a close': { attempt: 1, losses: 0 } }[
        how as string
      ] ?? { attempt: 2, losses: 1 },
    );
    void handle;
  });
});

test('what was not remembered yet is made again, under the same idempotency key', async () => {
  await using bed = new Testbed();
  const service = bed.service({}, () => ({ afterMs: 1_000, reply: 'done' }));
  const work = agent({ uses: { service: service.dependency }, run: (input: string, ctx) => ctx.call('service', input) });
  const fleet = await bed.start({ agents: { work } });
  const handle = await bed.drive(fleet.submit('work', 'a', { id: 'x' }));
  await bed.until(() => service.inFlight === 1);
  bed.crashWorker('work');
  await bed.drive(handle.result());
  expect(service.calls.map(({ key }) => key)).toEqual(['x/call:service#1', 'x/call:service#1']);
});

test('a run sees what it brought only when it is remembered', async () => {
  await using bed = new Testbed();
  const service = bed.service();
  const seen: string[] = [];
  const work = agent({
    uses: { service: service.dependency },
    async run(_input: null, ctx) {
      await ctx.call('service', 1);
      seen.push('call');
      await ctx.step('step', () => 1);
      seen.push('step');
    },
  });
  const remembered: number[] = [];
  bed.faults.delays = (command) => (command === 'remember' ? [100, 100] : [0, 0]);
  bed.faults.committed = (command) => command === 'remember' && remembered.push(seen.length);
  const fleet = await bed.start({ agents: { work } });
  await bed.run(fleet, 'work', null);
  expect(remembered).toEqual([0, 1]);
});

test('the idempotency key is the same over tries, attempts and runs; each place has its own', async () => {
  await using bed = new Testbed();
  const service = bed.service({ attempts: 3 }, ({ attempt }) => (attempt < 3 ? { error: new Error('not yet') } : { reply: attempt }));
  const work = agent({
    uses: { service: service.dependency },
    backoff: () => 1,
    async run(_input: null, ctx) {
      const reply = await ctx.call('service', 1, { remember: false });
      await ctx.call('service', 2);
      if (ctx.task.attempt === 1) throw new Error('again');
      return reply;
    },
  });
  const fleet = await bed.start({ agents: { work } });
  await bed.run(fleet, 'work', null, { id: 'x' });
  expect(service.calls.map(({ key, attempt }) => `${key} ${attempt}`)).toEqual([
    'x/call:service#1 1',
    'x/call:service#1 2',
    'x/call:service#1 3',
    'x/call:service#2 1',
    'x/call:service#2 2',
    'x/call:service#2 3',
    'x/call:service#1 1',
    'x/call:service#1 2',
    'x/call:service#1 3',
  ]);
});

test.each([
  [{}, 1],
  [{ remember: true }, 1],
  [{ remember: false }, 2],
] as readonly [CallOptions, number][])('with %j a call is made %i times in two runs', async (options, times) => {
  await using bed = new Testbed();
  const service = bed.service();
  const work = agent({
    uses: { service: service.dependency },
    backoff: () => 1,
    async run(_input: null, ctx) {
      await ctx.call('service', 1, options);
      if (ctx.task.attempt === 1) throw new Error('again');
    },
  });
  const fleet = await bed.start({ agents: { work } });
  await bed.run(fleet, 'work', null);
  expect(service.calls).toHaveLength(times);
});

test('a reply that is not remembered need not be JSON', async () => {
  await using bed = new Testbed();
  const reply = { when: new Map([[1, 2n]]) };
  const service = bed.service({}, () => ({ reply }));
  const work = agent({
    uses: { service: service.dependency },
    async run(_input: null, ctx) {
      return (await ctx.call('service', () => 'no JSON either', { remember: false })) === reply;
    },
  });
  const fleet = await bed.start({ agents: { work } });
  expect(await bed.run(fleet, 'work', null)).toBe(true);
});

test('a run gets the same from the call itself as from memory: what JSON keeps', async () => {
  await using bed = new Testbed();
  const service = bed.service({}, () => ({ reply: { zero: -0, gone: undefined } }));
  const seen: unknown[] = [];
  const work = agent({
    uses: { service: service.dependency },
    backoff: () => 1,
    async run(_input: null, ctx) {
      seen.push(
        await ctx.call('service', 1),
        await ctx.step('step', () => ({ at: 1, gone: undefined })),
        await ctx.step('nothing', () => undefined),
      );
      if (ctx.task.attempt === 1) throw new Error('again');
    },
  });
  const fleet = await bed.start({ agents: { work } });
  await bed.run(fleet, 'work', null);
  const once = [{ zero: 0 }, { at: 1 }, undefined];
  expect(seen).toEqual([...once, ...once]);
});

test('a request, reply or step that JSON cannot hold, or that is too large, rejects that operation and no other', async () => {
  await using bed = new Testbed();
  const service = bed.service({}, ({ request }) => ({ reply: request === 'bigint' ? 1n : 'x'.repeat(Number(request)) }));
  const work = agent({
    uses: { service: service.dependency },
    async run(_input: null, ctx) {
      const code = (error: { code: string }) => error.code;
      return [
        await ctx.call('service', 1n).catch(code),
        await ctx.call('service', 'bigint').catch(code),
        await ctx.call('service', 2_000).catch(code),
        await ctx.step('bigint', () => 1n).catch(code),
        await ctx.step('large', () => 'x'.repeat(2_000)).catch(code),
        await ctx.step('fine', () => 'fine'),
        ((await ctx.call('service', 5)) as string).length,
      ];
    },
  });
  const fleet = await bed.start({ agents: { work }, bounds: { payloadBytes: 1_000 } });
  const [json, large] = ['DROVER_PAYLOAD_NOT_JSON', 'DROVER_PAYLOAD_TOO_LARGE'];
  expect(await bed.run(fleet, 'work', null)).toEqual([json, json, large, json, large, 'fine', 5]);
});

describe('a step', () => {
  test('that rejects is not remembered, and is made again by the next run', async () => {
    await using bed = new Testbed();
    let times = 0;
    const work = agent({
      backoff: () => 1,
      run: (_input: null, ctx) =>
        ctx.step('shaky', () => {
          times += 1;
          if (times < 3) throw new Error('not yet');
          return times;
        }),
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toBe(3);
  });

  test('whose name is used twice in a run is refused; in another run it is not', async () => {
    await using bed = new Testbed();
    const work = agent({
      async run(_input: null, ctx) {
        await ctx.step('twin', () => 1);
        return ctx.step('twin', () => 2);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    expect(await bed.rejection(handle.result())).toMatchObject({
      detail: { status: 'failed', error: { code: 'DROVER_DUPLICATE_STEP', message: expect.stringContaining('"twin"') as unknown } },
    });
  });

  test.each([
    ['half a character', '\ud800'],
    ['a novel', 'x'.repeat(513)],
    ['a number', 7 as unknown as string],
  ])('cannot be called by %s: it rejects, and the fleet goes on', async (_name, name) => {
    await using bed = new Testbed();
    const work = agent({ run: (_input: null, ctx) => ctx.step(name, () => 1).catch((error: { code: string }) => error.code) });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toBe('DROVER_PAYLOAD_INVALID');
    expect(await bed.run(fleet, 'work', null)).toBe('DROVER_PAYLOAD_INVALID');
  });

  test('gets a signal that aborts when its run is over', async () => {
    await using bed = new Testbed();
    let signal: AbortSignal | undefined;
    const work = agent({
      runTimeoutMs: 1_000,
      attempts: 1,
      run: (_input: null, ctx) =>
        ctx.step('long', (step) => {
          signal = step.signal;
          return bed.sleep(60_000);
        }),
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    await bed.rejection(handle.result());
    expect(signal).toMatchObject({ aborted: true, reason: { code: 'DROVER_RUN_OVER', detail: { reason: 'timeout' } } });
  });
});

describe('a run that takes another way than the one before it', () => {
  test('is told where, and its task fails', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    const leaf = agent({
      async run(_input: null) {
        await bed.sleep(1_000);
      },
    });
    let runs = 0;
    const fickle = agent({
      uses: { service: service.dependency },
      asks: { leaf },
      async run(_input: null, ctx) {
        runs += 1;
        await ctx.call('service', 'same');
        await ctx.call('service', `run ${runs}`);
        await ctx.ask('leaf', null);
      },
    });
    const fleet = await bed.start({ agents: { fickle, leaf } });
    const handle = await bed.drive(fleet.submit('fickle', null, { id: 'x' }));
    expect(await bed.rejection(handle.result())).toMatchObject({
      detail: {
        status: 'failed',
        error: { code: 'DROVER_REPLAY_DIVERGED', message: expect.stringContaining('task x: at call:service#2') as unknown },
      },
    });
    expect(service.calls).toHaveLength(2);
  });

  test('because it is tried again asks what is new at a place of its own', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    const fickle = agent({
      uses: { service: service.dependency },
      backoff: () => 1,
      async run(_input: null, ctx) {
        await ctx.call('service', 'same');
        await ctx.call('service', `attempt ${ctx.task.attempt}`);
        if (ctx.task.attempt < 3) throw new Error('again');
      },
    });
    const fleet = await bed.start({ agents: { fickle } });
    await bed.run(fleet, 'fickle', null, { id: 'x' });
    expect(service.calls.map(({ key }) => key)).toEqual([1, 2, 3, 4].map((n) => `x/call:service#${n}`));
  });

  test('may do more, or less, than it remembers', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    const growing = agent({
      uses: { service: service.dependency },
      backoff: () => 1,
      async run(_input: null, ctx) {
        const calls = ctx.task.attempt === 2 ? 1 : 3;
        for (let at = 0; at < calls; at += 1) await ctx.call('service', at);
        if (ctx.task.attempt < 3) throw new Error('again');
      },
    });
    const fleet = await bed.start({ agents: { growing } });
    await bed.run(fleet, 'growing', null);
    expect(service.calls).toHaveLength(3);
  });

  test('that asks a child for something else is told where; it may catch that, and park for others', async () => {
    await using bed = new Testbed();
    const child = agent({
      async run(input: string) {
        await bed.sleep(1_000);
        return input;
      },
    });
    const other = agent({
      async run() {
        await bed.sleep(1_000);
        return 'other';
      },
    });
    const fickle = agent({
      asks: { child, other },
      backoff: () => 1,
      async run(_input: null, ctx) {
        // Not awaited in the first run: it fails before that.
        const said = ctx
          .ask('child', `attempt ${ctx.task.attempt}`)
          .catch((error: { code: string; detail: unknown }) => [error.code, error.detail]);
        await ctx.step(`wait ${ctx.task.attempt}`, () => bed.sleep(50));
        if (ctx.task.attempt === 1) throw new Error('again');
        return [await said, await ctx.ask('other', null)];
      },
    });
    const fleet = await bed.start({ agents: { fickle, child, other } });
    const parked = bed.record(fleet, 'task.parked');
    const place = expect.stringMatching(/^ask:child#1@/) as unknown;
    const remembered = expect.stringContaining('attempt 1') as unknown;
    const came = expect.stringContaining('attempt 2') as unknown;
    expect(await bed.run(fleet, 'fickle', null, { id: 'x' })).toEqual([
      ['DROVER_REPLAY_DIVERGED', { id: 'x', place, remembered, came }],
      'other',
    ]);
    expect(parked).not.toEqual([]);
  });

  test('is none whose branches race: what they did comes back in the order in which it ended', async () => {
    // Two chains of calls side by side: the order of their second calls follows from latency, which a replay does not have.
    await using bed = new Testbed();
    const service = bed.service({}, ({ request }) => ({ afterMs: request === 'a1' ? 100 : 10, reply: request }));
    const racing = agent({
      uses: { service: service.dependency },
      backoff: () => 1,
      async run(_input: null, ctx) {
        const chain = async (name: string) => [await ctx.call('service', `${name}1`), await ctx.call('service', `${name}2`)];
        const said = await Promise.all([chain('a'), chain('b')]);
        if (ctx.task.attempt === 1) throw new Error('again');
        return said;
      },
    });
    const fleet = await bed.start({ agents: { racing } });
    const handle = await bed.drive(fleet.submit('racing', null));
    expect(await bed.drive(handle.result())).toEqual([
      ['a1', 'a2'],
      ['b1', 'b2'],
    ]);
    expect(service.calls.map(({ request }) => request)).toEqual(['a1', 'b1', 'b2', 'a2']);
  });
});

describe('what is not declared', () => {
  test.each([
    ['uses', 'call', 'crm'],
    ['asks', 'ask', 'other'],
    ['asks', 'send', 'other'],
    ['uses', 'call', 'constructor'],
    ['asks', 'ask', '__proto__'],
  ] as const)('%s: ctx.%s of %j is refused by name', async (field, operation, name) => {
    await using bed = new Testbed();
    const service = bed.service();
    const other = agent({ run: async () => 1 });
    const child = agent({ run: async () => 1 });
    const work = agent({
      uses: { service: service.dependency },
      asks: { child },
      async run(_input: null, ctx) {
        await (ctx as unknown as Record<string, (name: string, input: unknown) => Promise<unknown>>)[operation]!(name, 1);
      },
    });
    const fleet = await bed.start({ agents: { work, child, other } });
    const handle = await bed.drive(fleet.submit('work', null));
    const error = (await bed.rejection(handle.result())).detail as { status: string; error: { code: string; message: string } };
    expect(error).toMatchObject({ status: 'failed', error: { code: 'DROVER_UNDECLARED' } });
    expect(error.error.message).toContain(`"${name}" is not in its ${field}; there are ${field === 'uses' ? 'service' : 'child'}`);
  });
});
