/** What runs write and read: taken together before they start, waited for without a worker, grown by starting again. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import { Testbed } from './harness.ts';
import { killedAtEachCommit } from './killed.ts';

/** Who is in which room now; two writers at once are found out. */
class Rooms {
  readonly #inside = new Map<string, number>();
  most = 0;

  async visit(names: readonly string[], stay: () => Promise<void>): Promise<void> {
    for (const name of names) {
      this.#inside.set(name, (this.#inside.get(name) ?? 0) + 1);
      this.most = Math.max(this.most, this.#inside.get(name)!);
    }
    await stay();
    for (const name of names) this.#inside.set(name, this.#inside.get(name)! - 1);
  }
}

describe('two runs that write the same', () => {
  test('are never on at a time, of whatever kind; the one that waits holds no worker', async () => {
    await using bed = new Testbed();
    const rooms = new Rooms();
    const visitor = () =>
      agent({
        replicas: 3,
        writes: (input: { rooms: string[] }) => input.rooms,
        run: ({ rooms: names }, ctx) => ctx.step('visit', () => rooms.visit(names, () => bed.sleep(100))),
      });
    const fleet = await bed.start({ agents: { a: visitor(), b: visitor() } });
    const blocked = bed.record(fleet, 'task.blocked');
    const wants = [['x'], ['x', 'y'], ['y', 'x'], ['z', 'x'], ['y']];
    const submitted = wants.flatMap((names) => [fleet.submit('a', { rooms: names }), fleet.submit('b', { rooms: names })]);
    const handles = await bed.drive(Promise.all(submitted));
    await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    expect(rooms.most).toBe(1);
    expect(blocked.length).toBeGreaterThan(0);
    expect(fleet.stats).toMatchObject({ retried: 0, failed: 0 });
  });

  test('without the declaration are on at the same time', async () => {
    await using bed = new Testbed();
    const rooms = new Rooms();
    const work = agent({ replicas: 2, run: (_input: null, ctx) => ctx.step('visit', () => rooms.visit(['x'], () => bed.sleep(100))) });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(Promise.all([bed.run(fleet, 'work', null), bed.run(fleet, 'work', null)]));
    expect(rooms.most).toBe(2);
  });

  test('that only read it share it', async () => {
    await using bed = new Testbed();
    const rooms = new Rooms();
    const work = agent({
      replicas: 2,
      reads: ['x'],
      run: (_input: null, ctx) => ctx.step('visit', () => rooms.visit(['x'], () => bed.sleep(100))),
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(Promise.all([bed.run(fleet, 'work', null), bed.run(fleet, 'work', null)]));
    expect(rooms.most).toBe(2);
  });

  test('where the kind rejects conflicts: the second fails, and says who has it', async () => {
    await using bed = new Testbed();
    const work = agent({
      replicas: 2,
      writes: ['x'],
      onConflict: 'reject',
      run: (_input: null, ctx) => ctx.step('stay', () => bed.sleep(100)),
    });
    const fleet = await bed.start({ agents: { work } });
    const first = await bed.drive(fleet.submit('work', null, { id: 'first' }));
    await bed.advance(10);
    const second = await bed.drive(fleet.submit('work', null, { id: 'second' }));
    const error = await bed.rejection(second.result());
    expect(error).toMatchObject({ detail: { status: 'failed', error: { code: 'DROVER_WRITE_CONFLICT' } } });
    expect(error.message).toMatch(/first has "x"/);
    await bed.drive(first.result());
    expect(fleet.load.running).toBe(0);
    expect(await bed.run(fleet, 'work', null)).toBeUndefined();
  });

  test('have tokens that grow from grant to grant, over a park too', async () => {
    await using bed = new Testbed();
    const tokens: number[] = [];
    const work = agent({
      writes: ['x'],
      async run(_input: null, ctx) {
        tokens.push(ctx.task.lockFence);
        await ctx.sleep(1_000);
      },
    });
    const free = agent({ run: async (_input: null, ctx) => ctx.task.lockFence });
    const fleet = await bed.start({ agents: { work, free } });
    await bed.drive(Promise.all([bed.run(fleet, 'work', null), bed.run(fleet, 'work', null)]));
    expect(tokens).toHaveLength(4);
    expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
    expect(new Set(tokens).size).toBe(4);
    expect(await bed.run(fleet, 'free', null)).toBe(0);
  });
});

describe('a run that widens', () => {
  test('goes on at once where it holds that already', async () => {
    await using bed = new Testbed();
    const work = agent({ writes: ['x'], run: (_input: null, ctx) => ctx.widen(['x']) });
    const fleet = await bed.start({ agents: { work } });
    await bed.run(fleet, 'work', null);
    expect(fleet.stats).toMatchObject({ parked: 0, started: 1 });
  });

  test('starts again with both, uses no attempt, and does not make again what it has made', async () => {
    await using bed = new Testbed();
    let steps = 0;
    const work = agent({
      writes: ['x'],
      async run(_input: null, ctx) {
        await ctx.step('look', () => (steps += 1));
        await ctx.widen(['y', 'z']);
        await ctx.state.set('x', 1, null);
        await ctx.state.set('z', 2, null);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.run(fleet, 'work', null, { id: 'x' });
    expect(steps).toBe(1);
    expect(await fleet.task('x')).toMatchObject({ attempt: 1 });
    expect(await fleet.state.get('z')).toMatchObject({ value: 2 });
  });

  test('in opposite orders deadlocks with nobody: each gives everything back first', async () => {
    await using bed = new Testbed();
    const work = agent({
      replicas: 4,
      writes: (input: { first: string; next: string }) => [input.first],
      async run({ next }, ctx) {
        await ctx.step('stay', () => bed.sleep(50));
        await ctx.widen([next]);
        await ctx.step('stay on', () => bed.sleep(50));
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const inputs = Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? { first: 'x', next: 'y' } : { first: 'y', next: 'x' }));
    const handles = await bed.drive(Promise.all(inputs.map((input) => fleet.submit('work', input))));
    await bed.drive(Promise.all(handles.map((handle) => handle.result())), 60_000);
  });

  test('waits until what is in flight has ended', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 1_000, reply: 1 }));
    const work = agent({
      uses: { service: service.dependency },
      run: (_input: null, ctx) => Promise.all([ctx.call('service', 'a'), ctx.widen(['x'])]),
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.run(fleet, 'work', null);
    expect(service.calls).toHaveLength(1);
  });

  test.each([[[5]], ['x'], [['']]])('by %j is refused', async (resources) => {
    await using bed = new Testbed();
    const work = agent({ run: (_input: null, ctx) => ctx.widen(resources as string[]) });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_PAYLOAD_INVALID' } } });
  });

  test('several times side by side asks for each resource once, and for no more than a task may hold', async () => {
    await using bed = new Testbed();
    const many = (from: number): string[] => Array.from({ length: 600 }, (_, at) => `r${from + at}`);
    const agents = {
      work: agent({
        writes: ['x'],
        async run(_input: null, ctx) {
          await Promise.all([ctx.widen(['y', 'z']), ctx.widen(['z', 'x']), ctx.widen(['z'])]);
          for (const key of ['x', 'y', 'z']) await ctx.state.update<number>(key, (count = 0) => count + 1);
        },
      }),
      greedy: agent({ attempts: 1, run: (_input: null, ctx) => Promise.all([ctx.widen(many(0)), ctx.widen(many(500))]) }),
    };
    const fleet = await bed.start({ agents });
    await bed.run(fleet, 'work', null);
    expect(await bed.drive(Promise.all(['x', 'y', 'z'].map((key) => fleet.state.get(key))))).toMatchObject([
      { value: 1 },
      { value: 1 },
      { value: 1 },
    ]);
    const handle = await bed.drive(fleet.submit('greedy', null));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_BOUND_REACHED' } } });
    expect(fleet.failure).toBeUndefined();
  });

  test('wherever the process dies ends with both rows written once', async () => {
    await killedAtEachCommit(
      () => ({
        agents: {
          work: agent({
            leaseMs: 3_000,
            writes: ['x'],
            async run(_input: null, ctx) {
              await ctx.widen(['y']);
              for (const key of ['x', 'y']) await ctx.state.update<number>(key, (count = 0) => count + 1);
            },
          }),
        },
      }),
      async (mortal) => {
        await mortal.ask((fleet) => fleet.submit('work', null, { id: 'a' }));
        expect(await mortal.end('a')).toMatchObject({ status: 'completed' });
        expect(await mortal.ask((fleet) => Promise.all([fleet.state.get('x'), fleet.state.get('y')]))).toMatchObject([
          { value: 1 },
          { value: 1 },
        ]);
      },
    );
  });
});

test('an urgent task that waits for what a run holds lends it its urgency: its children go ahead', async () => {
  await using bed = new Testbed();
  const order: string[] = [];
  const child = agent({
    run: async (name: string, ctx) => {
      order.push(name);
      await ctx.step('work', () => bed.sleep(100));
    },
  });
  const holder = agent({
    writes: ['x'],
    asks: { child },
    lingerMs: 60_000,
    async run(_input: null, ctx) {
      await ctx.step('hold', () => bed.sleep(3_000));
      await ctx.ask('child', 'of the holder');
    },
  });
  const urgent = agent({ writes: ['x'], run: async () => null });
  const fleet = await bed.start({ agents: { child, holder, urgent } });
  const held = await bed.drive(fleet.submit('holder', null, { id: 'h' }));
  await bed.advance(100);
  const waiting = await bed.drive(fleet.submit('urgent', null, { priority: 1_000 }));
  await bed.advance(2_000);
  for (let at = 0; at < 60; at += 1) await bed.drive(fleet.submit('child', `other ${at}`));
  await bed.drive(Promise.all([held.result(), waiting.result()]));
  expect((await fleet.task('h/child#1'))!.priority).toBe(1_000);
});

describe('what a kind derives from the input', () => {
  test.each([
    ['orderKey', { orderKey: () => 5 as never }],
    ['affinity', { affinity: () => ({}) as never }],
    ['writes', { writes: () => 'x' as never }],
    ['reads', { reads: () => [''] }],
    ['writes', { writes: () => Array.from({ length: 1_001 }, (_, at) => `r${at}`) }],
    [
      'tenant',
      {
        tenant: () => {
          throw new Error('who?');
        },
      },
    ],
  ])('%s that makes no sense is refused at submit, by its name', async (field, spec) => {
    await using bed = new Testbed();
    const work = agent({ ...spec, run: async () => null });
    const fleet = await bed.start({ agents: { work } });
    const error = await bed.rejection(fleet.submit('work', null));
    expect(error).toMatchObject({ code: 'DROVER_PAYLOAD_INVALID' });
    expect(error.message).toContain(`${field} of work`);
  });

  test.each(['orderKey', 'affinity', 'tenant', 'writes'] as const)(
    '%s may have 512 characters, whatever the kind is called',
    async (field) => {
      await using bed = new Testbed();
      const of = (input: number): string => 'x'.repeat(input);
      const run = async (input: number): Promise<number> => input;
      const work = {
        orderKey: agent({ orderKey: of, run }),
        affinity: agent({ affinity: of, run }),
        tenant: agent({ tenant: of, run }),
        writes: agent({ writes: (input: number) => [of(input)], run }),
      }[field];
      const fleet = await bed.start({ agents: { 'a-kind-with-a-long-name': work } });
      expect(await bed.drive((await bed.drive(fleet.submit('a-kind-with-a-long-name', 512))).result())).toBe(512);
      const error = await bed.rejection(fleet.submit('a-kind-with-a-long-name', 513));
      expect(error).toMatchObject({ code: 'DROVER_PAYLOAD_INVALID', message: expect.stringContaining('512 characters') });
    },
  );

  test('has none of what a function answers nothing for', async () => {
    await using bed = new Testbed();
    const none = (_input: number): string | undefined => undefined;
    const work = agent({ orderKey: none, affinity: none, tenant: none, run: async (input: number) => input });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.drive((await bed.drive(fleet.submit('work', 5, { id: 'w' }))).result())).toBe(5);
    expect(await fleet.task('w')).toMatchObject({ orderKey: null, affinity: null, tenant: null });
  });

  test('keeps tasks of one order key in the order of their arrival', async () => {
    await using bed = new Testbed();
    const seen: string[] = [];
    const work = agent({
      replicas: 4,
      orderKey: (input: { key: string; at: number }) => input.key,
      run: ({ key, at }, ctx) =>
        ctx.step('work', async () => {
          await bed.sleep(10 * (5 - at));
          seen.push(`${key}${at}`);
        }),
    });
    const fleet = await bed.start({ agents: { work } });
    const inputs = [0, 1, 2, 3, 4].flatMap((at) => [
      { key: 'a', at },
      { key: 'b', at },
    ]);
    for (const input of inputs) await bed.drive(fleet.submit('work', input));
    await bed.until(() => seen.length === 10);
    for (const key of ['a', 'b']) expect(seen.filter((entry) => entry.startsWith(key))).toEqual([0, 1, 2, 3, 4].map((at) => `${key}${at}`));
  });
});
