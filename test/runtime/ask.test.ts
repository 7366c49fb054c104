/** Children: asked and waited for in the store, or sent along with the result. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { agent, BoundReachedError, ChildFailedError, contract } from 'drover';
import type { TaskFailedError } from 'drover';
import { Testbed } from './harness.ts';

/** Answers its input after so many ms. */
function sleeper(bed: Testbed, spec: object = {}) {
  return agent({
    ...spec,
    async run(ms: number) {
      await bed.sleep(ms);
      return ms;
    },
  });
}

describe('a run that asks', () => {
  test('parks: worker, lease and attempt go back, and it starts again over what it remembers', async () => {
    await using bed = new Testbed();
    const child = sleeper(bed);
    const over: unknown[] = [];
    const starts: object[] = [];
    const parent = agent({
      asks: { child },
      attempts: 1,
      async run(ms: number, ctx) {
        starts.push(ctx.task);
        ctx.signal.addEventListener('abort', () => over.push((ctx.signal.reason as { detail: unknown }).detail));
        return `child took ${await ctx.ask('child', ms)}`;
      },
    });
    const fleet = await bed.start({ agents: { parent, child } });
    const events = bed.record(fleet, 'task.submitted', 'task.started', 'task.parked', 'task.completed');
    const handle = await bed.drive(fleet.submit('parent', 5_000, { id: 'x' }));
    await bed.advance(100);
    expect(await fleet.task('x')).toMatchObject({ status: 'parked', parkedFor: 'child', attempt: 0 });
    expect(fleet.load).toMatchObject({ running: 1, held: 1 });
    expect(over).toEqual([{ reason: 'parked' }]);
    expect(await bed.drive(handle.result())).toBe('child took 5000');
    expect(starts).toMatchObject([
      { attempt: 1, fence: 1 },
      { attempt: 1, fence: 2 },
    ]);
    expect(await fleet.task('x/child#1')).toMatchObject({ parentId: 'x', depth: 1, status: 'completed', result: 5_000 });
    expect(events.map((event) => `${event.name.slice(5)} ${event.id}`)).toEqual([
      'submitted x',
      'started x',
      'submitted x/child#1',
      'started x/child#1',
      'parked x',
      'completed x/child#1',
      'started x',
      'completed x',
    ]);
    expect(fleet.stats).toMatchObject({ submitted: 2, parked: 1, retried: 0 });
  });

  test('stays in memory when the child answers while it lingers', async () => {
    await using bed = new Testbed();
    const child = sleeper(bed);
    const parent = agent({ asks: { child }, lingerMs: 200, run: (ms: number, ctx) => ctx.ask('child', ms) });
    const fleet = await bed.start({ agents: { parent, child } });
    expect(await bed.run(fleet, 'parent', 150)).toBe(150);
    expect(fleet.stats).toMatchObject({ parked: 0, started: 2 });
    expect(await bed.run(fleet, 'parent', 250)).toBe(250);
    expect(fleet.stats).toMatchObject({ parked: 1, started: 5 });
  });

  test('lingers as long as it was told, also beyond a tick', async () => {
    await using bed = new Testbed();
    const child = sleeper(bed);
    const parent = agent({ asks: { child }, lingerMs: 20_000, run: (ms: number, ctx) => ctx.ask('child', ms) });
    const fleet = await bed.start({ agents: { parent, child } });
    expect(await bed.run(fleet, 'parent', 15_000)).toBe(15_000);
    expect(fleet.stats.parked).toBe(0);
  });

  test('goes on ahead of new work', async () => {
    await using bed = new Testbed();
    const order: string[] = [];
    const child = sleeper(bed);
    const parent = agent({
      asks: { child },
      mailbox: { capacity: 1 },
      async run(name: string, ctx) {
        if (name === 'asks') await ctx.ask('child', 100);
        order.push(name);
        await ctx.step('busy', () => bed.sleep(300));
      },
    });
    const fleet = await bed.start({ agents: { parent, child } });
    await bed.drive(fleet.submit('parent', 'asks'));
    await bed.advance(50);
    const handles = await bed.drive(
      Promise.all(['running', 'in the mailbox', 'later 1', 'later 2', 'later 3'].map((name) => fleet.submit('parent', name))),
    );
    await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    expect(order).toEqual(['running', 'in the mailbox', 'asks', 'later 1', 'later 2', 'later 3']);
  });

  test('does not park while a call of its own is in flight', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 5_000, reply: 'called' }));
    const child = sleeper(bed);
    const parent = agent({
      uses: { service: service.dependency },
      asks: { child },
      run: (_input: null, ctx) => Promise.all([ctx.ask('child', 10_000), ctx.call('service', 1)]),
    });
    const fleet = await bed.start({ agents: { parent, child } });
    const parked = bed.record(fleet, 'task.parked');
    const handle = await bed.drive(fleet.submit('parent', null, { id: 'x' }));
    await bed.advance(4_900);
    expect(parked).toEqual([]);
    expect(await fleet.task('x')).toMatchObject({ status: 'running' });
    await bed.advance(200);
    expect(parked).toHaveLength(1);
    expect(await bed.drive(handle.result())).toEqual([10_000, 'called']);
    expect(service.calls).toHaveLength(1);
  });

  test('does not park while a step is under way', async () => {
    await using bed = new Testbed();
    const child = sleeper(bed);
    let steps = 0;
    const parent = agent({
      asks: { child },
      run: (_input: null, ctx) =>
        Promise.all([
          ctx.ask('child', 10_000),
          ctx.step('step', async () => {
            await bed.sleep(3_000);
            return (steps += 1);
          }),
        ]),
    });
    const fleet = await bed.start({ agents: { parent, child } });
    expect(await bed.run(fleet, 'parent', null)).toEqual([10_000, 1]);
    expect(steps).toBe(1);
  });

  test('a hundred at once gets all answers in order, each child made once', async () => {
    await using bed = new Testbed();
    const child = sleeper(bed, { replicas: 10 });
    const parent = agent({
      asks: { child },
      run: (count: number, ctx) => Promise.all(Array.from({ length: count }, (_, at) => ctx.ask('child', at * 7))),
    });
    const fleet = await bed.start({ agents: { parent, child } });
    expect(await bed.run(fleet, 'parent', 100)).toEqual(Array.from({ length: 100 }, (_, at) => at * 7));
    expect(await fleet.counts()).toMatchObject({ child: { completed: 100 }, parent: { completed: 1 } });
    expect(fleet.stats).toMatchObject({ submitted: 101, completed: 101 });
  });

  test('and races takes the first answer; the other child is told to let go', async () => {
    await using bed = new Testbed();
    const child = sleeper(bed, { replicas: 2 });
    const parent = agent({ asks: { child }, run: (_input: null, ctx) => Promise.race([ctx.ask('child', 9_000), ctx.ask('child', 1_000)]) });
    const fleet = await bed.start({ agents: { parent, child } });
    expect(await bed.run(fleet, 'parent', null, { id: 'x' })).toBe(1_000);
    expect(await fleet.task('x/child#1')).toMatchObject({ status: 'running' });
    await bed.advance(10_000);
    expect(await fleet.task('x/child#1')).toMatchObject({ status: 'cancelled' });
  });

  test('a child that fails gets an error that it can catch, again after a replay', async () => {
    await using bed = new Testbed();
    const child = agent({
      attempts: 2,
      backoff: () => 500,
      async run(): Promise<never> {
        throw Object.assign(new Error('child is broken'), { code: 'BROKEN' });
      },
    });
    const seen: unknown[] = [];
    const parent = agent({
      asks: { child },
      backoff: () => 1,
      async run(_input: null, ctx) {
        try {
          await ctx.ask('child', null);
        } catch (error) {
          seen.push(error);
        }
        if (ctx.task.attempt === 1) throw new Error('again');
        return 'caught';
      },
    });
    const fleet = await bed.start({ agents: { parent, child } });
    expect(await bed.run(fleet, 'parent', null, { id: 'x' })).toBe('caught');
    expect(seen).toHaveLength(2);
    for (const error of seen) {
      expect(error).toMatchObject({
        code: 'DROVER_CHILD_FAILED',
        retryable: false,
        detail: { id: 'x/child#1', kind: 'child', status: 'dead', error: { message: 'child is broken', code: 'BROKEN' } },
      });
    }
  });

  test('and does not catch it fails for good: asking again would find the same child', async () => {
    await using bed = new Testbed();
    const child = agent({
      attempts: 1,
      async run(): Promise<never> {
        throw new Error('broken');
      },
    });
    const parent = agent({ asks: { child }, run: (_input: null, ctx) => ctx.ask('child', null) });
    const fleet = await bed.start({ agents: { parent, child } });
    const handle = await bed.drive(fleet.submit('parent', null));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed', error: { code: 'DROVER_CHILD_FAILED' } } });
    expect(fleet.stats.started).toBeLessThanOrEqual(3);
  });

  test('hears a child that ended before the park was committed', async () => {
    for (let seed = 0; seed < 30; seed += 1) {
      await using bed = new Testbed(seed);
      bed.faults.delays = () => [bed.random.next() * 40, bed.random.next() * 40];
      const child = sleeper(bed);
      const parent = agent({ asks: { child }, lingerMs: bed.random.int(60), run: (ms: number, ctx) => ctx.ask('child', ms) });
      const fleet = await bed.start({ agents: { parent, child } });
      const handle = await bed.drive(fleet.submit('parent', 20));
      expect(await bed.drive(handle.result(), 5_000), `seed ${seed}`).toBe(20);
    }
  });

  test('something of its own child, three deep, does not deadlock a pool of one', async () => {
    await using bed = new Testbed();
    const self = contract<number, number, number, number>({});
    const nested = agent({
      asks: { nested: self },
      mailbox: { capacity: 1 },
      run: async (depth: number, ctx): Promise<number> => (depth === 0 ? 0 : 1 + (await ctx.ask('nested', depth - 1))),
    });
    const fleet = await bed.start({ agents: { nested } });
    expect(await bed.run(fleet, 'nested', 3)).toBe(3);
    // Many of them at once neither.
    const handles = await bed.drive(Promise.all(Array.from({ length: 20 }, () => fleet.submit('nested', 3))));
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual(Array.from({ length: 20 }, () => 3));
  });

  test('a kind that asks another one, which asks it back, does not deadlock pools of one', async () => {
    await using bed = new Testbed();
    const shape = contract<number, number, number, number>({});
    const ping = agent({
      asks: { pong: shape },
      run: async (left: number, ctx): Promise<number> => (left === 0 ? 0 : 1 + (await ctx.ask('pong', left - 1))),
    });
    const pong = agent({
      asks: { ping: shape },
      run: async (left: number, ctx): Promise<number> => (left === 0 ? 0 : 1 + (await ctx.ask('ping', left - 1))),
    });
    const fleet = await bed.start({ agents: { ping, pong } });
    const handles = await bed.drive(Promise.all(Array.from({ length: 5 }, () => fleet.submit('ping', 6))));
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual([6, 6, 6, 6, 6]);
  });

  test('keeps no permit while it is parked', async () => {
    await using bed = new Testbed();
    const service = bed.service({ limits: { concurrency: 1 } });
    const child = agent({ uses: { service: service.dependency }, run: (input: number, ctx) => ctx.call('service', input) });
    const parent = agent({
      uses: { service: service.dependency },
      asks: { child },
      async run(_input: null, ctx) {
        const first = await ctx.call('service', 1);
        return [first, await ctx.ask('child', 2), await ctx.call('service', 3)];
      },
    });
    const fleet = await bed.start({ agents: { parent, child } });
    expect(await bed.run(fleet, 'parent', null)).toEqual([1, 2, 3]);
    expect(service.peak).toBe(1);
  });

  test('passes its priority on, or gives another', async () => {
    await using bed = new Testbed();
    const child = agent({ run: async (input: string) => input });
    const parent = agent({
      asks: { child },
      async run(_input: null, ctx) {
        await Promise.all([ctx.ask('child', 'inherits'), ctx.ask('child', 'own', { priority: -3 })]);
        ctx.send('child', 'sent');
      },
    });
    const fleet = await bed.start({ agents: { parent, child } });
    await bed.run(fleet, 'parent', null, { id: 'x', priority: 7 });
    await bed.advance(10);
    const priorities = (await Promise.all(['x/child#1', 'x/child#2', 'x/send:child#1'].map((id) => fleet.task(id)))).map(
      (task) => task!.priority,
    );
    expect(priorities).toEqual([7, -3, 7]);
  });

  test.each([[NaN], [1.5], ['high'], [Infinity]])('with priority %j is refused, and the fleet goes on', async (priority) => {
    await using bed = new Testbed();
    const child = agent({ run: async () => 'child' });
    const parent = agent({
      asks: { child },
      async run(how: 'ask' | 'send', ctx) {
        if (how === 'send') ctx.send('child', null, { priority: priority as number });
        return ctx.ask('child', null, { priority: priority as number });
      },
    });
    const fleet = await bed.start({ agents: { parent, child } });
    for (const how of ['ask', 'send'] as const) {
      const handle = await bed.drive(fleet.submit('parent', how));
      expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed', error: { code: 'DROVER_SUBMIT_OPTION' } } });
    }
    expect(await bed.run(fleet, 'child', null)).toBe('child');
  });

  test('with an id as long as may be gives its children ids that fit, the same in every run', async () => {
    await using bed = new Testbed();
    const self = contract<number, number, string[], string[]>({});
    const nested = agent({
      asks: { nested: self },
      backoff: () => 1,
      async run(depth: number, ctx): Promise<string[]> {
        if (depth > 0) {
          ctx.send('nested', 0);
          const below = await Promise.all([ctx.ask('nested', depth - 1), ctx.ask('nested', depth - 1)]);
          if (ctx.task.attempt === 1) throw new Error('again');
          return [ctx.task.id, ...below.flat()];
        }
        return [ctx.task.id];
      },
    });
    const fleet = await bed.start({ agents: { nested } });
    const id = '🐑'.repeat(256);
    const ids = (await bed.run(fleet, 'nested', 3, { id })) as string[];
    expect(new Set(ids).size).toBe(15);
    for (const each of ids) expect(each.length).toBeLessThanOrEqual(512);
    await bed.advance(10_000);
    expect(await fleet.counts()).toMatchObject({ nested: { completed: 15 + 7, dead: 0, failed: 0 } });
  });

  test('an input that the child refuses is refused before anything is stored', async () => {
    await using bed = new Testbed();
    const child = agent({ input: z.object({ n: z.number() }), run: async ({ n }) => n });
    const parent = agent({
      asks: { child },
      attempts: 1,
      async run(how: 'ask' | 'send', ctx) {
        const wrong = { n: 'one' } as unknown as { n: number };
        if (how === 'send') ctx.send('child', wrong);
        else await ctx.ask('child', wrong);
      },
    });
    const fleet = await bed.start({ agents: { parent, child } });
    for (const how of ['ask', 'send'] as const) {
      const handle = await bed.drive(fleet.submit('parent', how));
      expect(await bed.rejection(handle.result())).toMatchObject({
        detail: { status: 'failed', error: { code: 'DROVER_PAYLOAD_INVALID' } },
      });
    }
    expect((await fleet.counts())['child']).toBeUndefined();
  });
});

describe('what a run sends', () => {
  test('is submitted with its completion, once', async () => {
    await using bed = new Testbed();
    const told: string[] = [];
    const note = agent({
      async run(input: string) {
        told.push(input);
      },
    });
    const parent = agent({
      asks: { note },
      backoff: () => 1,
      async run(_input: null, ctx) {
        ctx.send('note', 'one');
        ctx.send('note', 'two');
        await ctx.step('step', () => bed.sleep(500));
        if (ctx.task.attempt < 3) throw new Error('again');
      },
    });
    const fleet = await bed.start({ agents: { parent, note } });
    const submitted = bed.record(fleet, 'task.submitted');
    const handle = await bed.drive(fleet.submit('parent', null, { id: 'x' }));
    await bed.advance(400);
    expect(told).toEqual([]);
    await bed.drive(handle.result());
    await bed.advance(100);
    expect(told).toEqual(['one', 'two']);
    expect(await fleet.task('x/send:note#2')).toMatchObject({ depth: 1, parentId: null, status: 'completed' });
    expect(submitted.map(({ id }) => id)).toEqual(['x', 'x/send:note#1', 'x/send:note#2']);
    expect(fleet.stats).toMatchObject({ submitted: 3, completed: 3 });
  });

  test.each([
    ['fails', { attempts: 1 }],
    ['times out', { attempts: 1, runTimeoutMs: 1_000 }],
  ])('is not when it %s', async (how, spec) => {
    await using bed = new Testbed();
    const note = agent({ run: async () => 1 });
    const parent = agent({
      ...spec,
      asks: { note },
      async run(_input: null, ctx) {
        ctx.send('note', 'one');
        if (how === 'fails') throw new Error('no');
        await new Promise(() => {});
      },
    });
    const fleet = await bed.start({ agents: { parent, note } });
    const handle = await bed.drive(fleet.submit('parent', null));
    await bed.rejection(handle.result());
    await bed.advance(5_000);
    expect((await fleet.counts())['note']).toBeUndefined();
  });
});

describe('bounds', () => {
  async function refusal(bounds: object, run: Parameters<typeof agent<null>>[0]['run']) {
    await using bed = new Testbed();
    const leaf = agent({ run: async () => 1 });
    const work = agent({ asks: { leaf }, uses: { service: bed.service().dependency }, run });
    const fleet = await bed.start({ agents: { work, leaf }, bounds });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    return (await bed.rejection(handle.result())).detail;
  }
  const refused = (bound: string, limit: number) => ({
    status: 'failed',
    error: { code: 'DROVER_BOUND_REACHED', message: `task x: bounds.${bound} is ${limit}; raise it, or split the task` },
  });

  test('fanOut: so many children, asked and sent together', async () => {
    expect(
      await refusal({ fanOut: 3 }, async (_input, ctx) => {
        const { ask, send } = ctx as never as {
          ask(kind: string, input: unknown): Promise<unknown>;
          send(kind: string, input: unknown): void;
        };
        await Promise.all([ask.call(ctx, 'leaf', 1), ask.call(ctx, 'leaf', 1)]);
        send.call(ctx, 'leaf', 1);
        send.call(ctx, 'leaf', 1);
      }),
    ).toMatchObject(refused('fanOut', 3));
  });

  test('family: a send for which the run has left no room itself is refused where it stands, and no later run would have any', async () => {
    await using bed = new Testbed();
    const leaf = agent({ run: async () => 1 });
    const caught: unknown[] = [];
    const parent = agent({
      asks: { leaf },
      run: async (most: number, ctx) => {
        for (let sent = 0; ; sent += 1) {
          try {
            ctx.send('leaf', sent);
          } catch (error) {
            caught.push(error);
            if (sent < most) throw error;
            return sent;
          }
        }
      },
    });
    const outer = agent({ asks: { parent }, run: (most: number, ctx) => ctx.ask('parent', most) });
    const fleet = await bed.start({ agents: { leaf, parent, outer }, bounds: { family: 3 } });
    expect(await bed.run(fleet, 'parent', 3)).toBe(3);
    expect(caught).toEqual([expect.any(BoundReachedError)]);
    expect(caught[0]).toMatchObject({ code: 'DROVER_BOUND_REACHED', retryable: false, detail: { bound: 'family', limit: 3 } });
    await bed.settle();
    expect((await bed.drive(fleet.counts()))['leaf']).toMatchObject({ completed: 3 });
    // Whoever descends itself has ended when its own are counted.
    expect(await bed.run(fleet, 'outer', 3)).toBe(3);
    // Not caught, it is no failure that another attempt would not have.
    const handle = await bed.drive(fleet.submit('parent', 9, { id: 'x' }));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed', error: { code: 'DROVER_BOUND_REACHED' } } });
    expect((await bed.drive(fleet.task('x')))?.attempt).toBe(1);
  });

  test('family: sends for which only others leave no room are tried again with their run', async () => {
    await using bed = new Testbed();
    const leaf = sleeper(bed, { replicas: 9 });
    const pair = agent({
      asks: { leaf },
      backoff: () => 1_000,
      run: async (ms: number, ctx) => {
        ctx.send('leaf', ms);
        ctx.send('leaf', ms);
      },
    });
    const outer = agent({
      asks: { pair },
      run: async (ms: number, ctx) => {
        await ctx.ask('pair', ms);
        await ctx.ask('pair', ms);
      },
    });
    const fleet = await bed.start({ agents: { leaf, pair, outer }, bounds: { family: 3 } });
    await bed.run(fleet, 'outer', 1_500, { id: 'x' });
    const story = await bed.drive(fleet.story('x/pair#2'));
    expect(story.filter(({ at }) => at === 'run')).toMatchObject([{ outcome: 'retry' }, { outcome: 'retry' }, { outcome: 'completed' }]);
  });

  test('operations: so many of one run', async () => {
    expect(
      await refusal({ operations: 5 }, async (_input, ctx) => {
        for (let at = 0; at < 6; at += 1) await ctx.step(`step ${at}`, () => at);
      }),
    ).toMatchObject(refused('operations', 5));
  });

  test('depth: so deep', async () => {
    await using bed = new Testbed();
    const self = contract<number, number, number, number>({});
    const nested = agent({
      asks: { nested: self },
      run: async (depth: number, ctx): Promise<number> => (depth === 0 ? 0 : 1 + (await ctx.ask('nested', depth - 1))),
    });
    const fleet = await bed.start({ agents: { nested }, bounds: { depth: 2 } });
    expect(await bed.run(fleet, 'nested', 2)).toBe(2);
    const handle = await bed.drive(fleet.submit('nested', 3, { id: 'x' }));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed', error: { code: 'DROVER_CHILD_FAILED' } } });
    expect(await fleet.task('x/nested#1/nested#1')).toMatchObject({ depth: 2, status: 'failed' });
  });

  test('unfinished: so many in the store; children are exempt', async () => {
    await using bed = new Testbed();
    const child = sleeper(bed, { replicas: 4 });
    const parent = agent({ asks: { child }, run: (ms: number, ctx) => Promise.all([ctx.ask('child', ms), ctx.ask('child', ms)]) });
    const fleet = await bed.start({ agents: { parent, child }, bounds: { unfinished: 2 } });
    const handles = await bed.drive(Promise.all([fleet.submit('parent', 1_000), fleet.submit('parent', 1_000, { id: 'y' })]));
    expect(await bed.rejection(fleet.submit('parent', 1))).toMatchObject({
      code: 'DROVER_FLEET_FULL',
      retryable: true,
      detail: { limit: 2 },
    });
    // A task that is there already is no new one.
    expect((await bed.drive(fleet.submit('parent', 1_000, { id: 'y' }))).id).toBe('y');
    await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    await bed.settle();
    expect(await bed.run(fleet, 'parent', 1)).toEqual([1, 1]);
  });
});

test('a child that somebody cancelled reaches its parent with who and why, in each run of it', async () => {
  await using bed = new Testbed();
  const child = agent({ run: async (_: number, ctx) => ctx.sleep(60_000) });
  const seen: unknown[] = [];
  const parent = agent({
    asks: { child },
    attempts: 1,
    async run(_: null, ctx) {
      await ctx.ask('child', 1).catch((error: unknown) => seen.push(error));
      await ctx.sleep(10_000);
      return ctx.ask('child', 2);
    },
  });
  const fleet = await bed.start({ agents: { parent, child } });
  const handle = await bed.drive(fleet.submit('parent', null, { id: 'p' }));
  await bed.advance(1_000);
  await bed.drive(fleet.cancel('p/child#1', { by: 'Ada', reason: 'duplicate' }));
  await bed.advance(15_000);
  await bed.drive(fleet.cancel('p/child#2', { by: 'Bob' }));
  const error = await bed.rejection(handle.result());
  expect(seen.length).toBeGreaterThan(1);
  for (const one of seen) {
    expect(one).toBeInstanceOf(ChildFailedError);
    expect(one).toMatchObject({
      detail: { status: 'cancelled', by: 'Ada', reason: 'duplicate', error: { code: 'DROVER_TASK_CANCELLED' } },
    });
  }
  expect(error.message).toMatch(/child p\/child#2 .* was cancelled by Bob/);
});

test('a task that somebody has submitted under the id of a child is not that child, whatever it was given', async () => {
  await using bed = new Testbed();
  const kid = agent({ run: async (input: number) => `kid ${input}` });
  const other = agent({ run: async (input: number) => `other ${input}` });
  const parent = agent({ asks: { kid }, run: async (input: number, ctx) => ctx.ask('kid', input) });
  const fleet = await bed.start({ agents: { kid, other, parent } });
  await bed.drive((await bed.drive(fleet.submit('kid', 5, { id: 'same/kid#1' }))).result());
  await bed.drive(fleet.submit('kid', 6, { id: 'input/kid#1', notBefore: bed.nowMs + 60_000 }));
  await bed.drive(fleet.submit('other', 5, { id: 'kind/kid#1' }));
  for (const [id, kind] of [
    ['same', 'kid'],
    ['input', 'kid'],
    ['kind', 'other'],
  ] as const) {
    const handle = await bed.drive(fleet.submit('parent', 5, { id }));
    const error: unknown = {
      code: 'DROVER_CHILD_ID_TAKEN',
      retryable: false,
      message: expect.stringContaining(`"${id}/kid#1", and that is the id of a task of kind ${kind} which`) as string,
    };
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed', error } });
  }
});

describe('who asks by a contract', () => {
  const asked = async (answer: unknown, output: z.ZodType): Promise<unknown> => {
    await using bed = new Testbed();
    const note = contract({ output });
    const asker = agent({ asks: { note }, run: async (_input: null, ctx) => ctx.ask('note', null) });
    const fleet = await bed.start({ agents: { asker, note: agent({ run: async () => answer }) } as never });
    const handle = await bed.drive(fleet.submit('asker' as never, null as never));
    return bed.drive(handle.result().catch((error: TaskFailedError) => error.detail.error));
  };

  test('gets nothing else, though the kind that answers says nothing of what it brings', async () => {
    expect(await asked({ total: 3 }, z.object({ total: z.number() }))).toEqual({ total: 3 });
    expect(await asked({ total: 'three' }, z.object({ total: z.number() }))).toMatchObject({
      code: 'DROVER_PAYLOAD_INVALID',
      message: expect.stringContaining('output of note, by the contract of who asked: total: ') as unknown,
    });
  });

  test('gets what was brought where the contract makes something of it: that was made already', async () => {
    expect(await asked(3, z.string().transform(Number))).toBe(3);
  });
});
