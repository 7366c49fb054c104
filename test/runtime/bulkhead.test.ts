/** Bulkheads: places for anything, in ranks, so that nobody waits in a ring; and they always come home. */
import { describe, expect, test } from 'vitest';
import { agent, bulkhead, dependency } from 'drover';
import { z } from 'zod';
import { Testbed } from './harness.ts';

/** Counts who is inside. */
class Room {
  inside = 0;
  peak = 0;
  readonly bed: Testbed;

  constructor(bed: Testbed) {
    this.bed = bed;
  }

  async stay<T>(ms: number, reply: T, weight = 1): Promise<T> {
    this.inside += weight;
    this.peak = Math.max(this.peak, this.inside);
    try {
      await this.bed.sleep(ms);
      return reply;
    } finally {
      this.inside -= weight;
    }
  }
}

const order = { code: 'DROVER_BULKHEAD_ORDER' };

describe('places', () => {
  test('are as many as declared, over all kinds that use it', async () => {
    await using bed = new Testbed();
    const room = new Room(bed);
    const database = bulkhead({ concurrency: 3 });
    const kind = () =>
      agent({ uses: { database }, replicas: 6, run: (input: number, ctx) => ctx.hold('database', () => room.stay(100, input)) });
    const fleet = await bed.start({ agents: { one: kind(), two: kind() } });
    const handles = await bed.drive(Promise.all(Array.from({ length: 24 }, (_, at) => fleet.submit(at % 2 === 0 ? 'one' : 'two', at))));
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual(Array.from({ length: 24 }, (_, at) => at));
    expect(room.peak).toBe(3);
    expect(await bed.drive(fleet.dependency('database'))).toMatchObject({ inFlight: 0, waiting: 0, granted: 24 });
  });

  test('may be taken several at once: slots', async () => {
    await using bed = new Testbed();
    const room = new Room(bed);
    const gpu = bulkhead({ concurrency: 4 });
    const work = agent({
      uses: { gpu },
      replicas: 8,
      run: (slots: number, ctx) => ctx.hold('gpu', () => room.stay(100, slots, slots), { slots }),
    });
    const fleet = await bed.start({ agents: { work } });
    const sizes = [1, 3, 2, 4, 1, 1, 2, 3];
    const handles = await bed.drive(Promise.all(sizes.map((slots) => fleet.submit('work', slots))));
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual(sizes);
    expect(room.peak).toBe(4);
  });

  test('are not held of what is no bulkhead: it is said what it is, and what there is', async () => {
    await using bed = new Testbed();
    const uses = { tool: bulkhead({ concurrency: 1 }), model: dependency({ perform: async (request: string) => request }) };
    const said = (name: 'model' | 'nothing') =>
      agent({ uses, run: (_input: null, ctx) => ctx.hold(name as 'tool', async () => 'held').catch((error: Error) => error.message) });
    const fleet = await bed.start({ agents: { one: said('model'), other: said('nothing') } });
    expect(await bed.run(fleet, 'one', null)).toContain(
      'one: "model" of its uses is no bulkhead, whose places could be held; of those there are tool; a dependency is called (ctx.call)',
    );
    expect(await bed.run(fleet, 'other', null)).toContain('other: "nothing" is not in its uses; there are tool');
  });

  test.each([0, -1, 1.5, Number.NaN, 5])('%s slots of four are refused by a clear error, and nothing is held', async (slots) => {
    await using bed = new Testbed();
    const gpu = bulkhead({ concurrency: 4 });
    const work = agent({
      uses: { gpu },
      run: (_input: null, ctx) => ctx.hold('gpu', async () => 'in', { slots }).catch((error: Error) => error.message),
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toMatch(/slots of gpu: a whole number|gpu: it takes more places at once/);
    expect(await bed.drive(fleet.dependency('gpu'))).toMatchObject({ inFlight: 0, waiting: 0 });
  });

  test('come home when what is done with them throws, now or later', async () => {
    await using bed = new Testbed();
    const tool = bulkhead({ concurrency: 1 });
    const work = agent({
      uses: { tool },
      attempts: 1,
      run: (input: string, ctx) =>
        ctx.hold('tool', (): Promise<string> => {
          if (input === 'now') throw new Error('now');
          return input === 'later' ? bed.sleep(10).then(() => Promise.reject(new Error('later'))) : Promise.resolve(input);
        }),
    });
    const fleet = await bed.start({ agents: { work } });
    for (const input of ['now', 'later']) {
      const handle = await bed.drive(fleet.submit('work', input));
      expect((await bed.rejection(handle.result())).detail).toMatchObject({
        error: { message: expect.stringContaining(input) as unknown },
      });
    }
    expect(await bed.run(fleet, 'work', 'fine')).toBe('fine');
  });

  test('come home when the worker crashes, and what is done with them is aborted', async () => {
    await using bed = new Testbed();
    let signal: AbortSignal | undefined;
    const tool = bulkhead({ concurrency: 1 });
    const work = agent({
      uses: { tool },
      run: (_input: null, ctx) =>
        ctx.hold('tool', (place) => {
          if (signal !== undefined) return Promise.resolve('second');
          signal = place.signal;
          return bed.sleep(60_000).then(() => 'first');
        }),
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    await bed.until(() => signal !== undefined);
    bed.crashWorker('work');
    expect(await bed.drive(handle.result(), 30_000)).toBe('second');
    expect(signal!.aborted).toBe(true);
  });

  test('held for longer than holdMs are free again, and the holder is told', async () => {
    await using bed = new Testbed();
    const signals: AbortSignal[] = [];
    const tool = bulkhead({ concurrency: 1, holdMs: 1_000 });
    const hog = agent({
      uses: { tool },
      attempts: 1,
      run: (_input: null, ctx) =>
        ctx.hold('tool', ({ signal }) => {
          signals.push(signal);
          return new Promise<string>(() => {});
        }),
    });
    const other = agent({ uses: { tool }, run: (_input: null, ctx) => ctx.hold('tool', async () => 'in') });
    const fleet = await bed.start({ agents: { hog, other } });
    const hogging = await bed.drive(fleet.submit('hog', null));
    await bed.until(() => signals.length === 1);
    const fromMs = bed.nowMs;
    expect(await bed.run(fleet, 'other', null)).toBe('in');
    expect(bed.nowMs - fromMs).toBeLessThanOrEqual(1_020);
    expect(signals[0]!.reason).toMatchObject({ code: 'DROVER_CALL_TIMEOUT' });
    expect((await bed.rejection(hogging.result())).detail).toMatchObject({ error: { code: 'DROVER_CALL_TIMEOUT' } });
    expect(signals).toHaveLength(1);
  });

  test('a full line refuses, by a typed error that says to come back', async () => {
    await using bed = new Testbed();
    const room = new Room(bed);
    const tool = bulkhead({ concurrency: 1, waiting: 1 });
    const work = agent({
      uses: { tool },
      replicas: 3,
      run: (input: number, ctx) =>
        ctx
          .hold('tool', () => room.stay(100, `in ${input}`))
          .catch((error: { cause: { code: string; retryable: boolean } }) => `${error.cause.code} ${error.cause.retryable}`),
    });
    const fleet = await bed.start({ agents: { work } });
    const handles = await bed.drive(Promise.all([1, 2, 3].map((at) => fleet.submit('work', at))));
    const results = await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    expect(results.filter((result) => result === 'DROVER_ADMISSION_FULL true')).toHaveLength(1);
  });

  test('are not remembered: a run that starts again takes its place again, and a step in it is done once', async () => {
    await using bed = new Testbed();
    let holds = 0;
    let steps = 0;
    const tool = bulkhead({ concurrency: 1 });
    const work = agent({
      uses: { tool },
      backoff: { baseMs: 10, capMs: 10 },
      run: async (_input: null, ctx) => {
        const result = await ctx.hold('tool', () => {
          holds += 1;
          return ctx.step('write', () => (steps += 1));
        });
        if (ctx.task.attempt === 1) throw new Error('again');
        return result;
      },
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toBe(1);
    expect({ holds, steps }).toEqual({ holds: 2, steps: 1 });
  });

  test('go to others when the limiter crashes under them, and are never one too many', async () => {
    await using bed = new Testbed();
    const room = new Room(bed);
    const tool = bulkhead({ concurrency: 2 });
    const work = agent({ uses: { tool }, replicas: 8, run: (input: number, ctx) => ctx.hold('tool', () => room.stay(300, input)) });
    const fleet = await bed.start({ agents: { work } });
    const handles = await bed.drive(Promise.all(Array.from({ length: 8 }, (_, at) => fleet.submit('work', at))));
    for (let crash = 0; crash < 2; crash += 1) {
      await bed.advance(150);
      bed.crashLimiter('tool');
    }
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(room.peak).toBe(2);
    expect(await bed.drive(fleet.dependency('tool'))).toMatchObject({ inFlight: 0, waiting: 0 });
  });
});

describe('ranks', () => {
  const outer = () => bulkhead({ concurrency: 1, rank: 1 });
  const inner = () => bulkhead({ concurrency: 1, rank: 2 });

  test('may be nested as long as they rise', async () => {
    await using bed = new Testbed();
    const uses = { outer: outer(), inner: inner(), innermost: bulkhead({ concurrency: 1, rank: 7 }) };
    const work = agent({
      uses,
      replicas: 4,
      run: (input: number, ctx) =>
        ctx.hold('outer', () => ctx.hold('inner', () => ctx.hold('innermost', () => bed.sleep(10).then(() => input)))),
    });
    const fleet = await bed.start({ agents: { work } });
    const handles = await bed.drive(Promise.all([1, 2, 3, 4].map((at) => fleet.submit('work', at))));
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual([1, 2, 3, 4]);
  });

  test.each([
    ['falling', 'inner', 'outer'],
    ['the same', 'outer', 'outer'],
  ] as const)('%s, nested, are refused, and the outer place is given back', async (_name, first, second) => {
    await using bed = new Testbed();
    const work = agent({
      uses: { outer: outer(), inner: inner() },
      attempts: 1,
      run: (_input: null, ctx) => ctx.hold(first, () => ctx.hold(second, async () => 'never')),
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    expect((await bed.rejection(handle.result())).detail).toMatchObject({ error: order });
    expect(await bed.drive(fleet.dependency(first))).toMatchObject({ inFlight: 0 });
  });

  test('of equal height are refused too: two bulkheads without a rank cannot be nested', async () => {
    await using bed = new Testbed();
    const work = agent({
      uses: { a: bulkhead({ concurrency: 1 }), b: bulkhead({ concurrency: 1 }) },
      run: (_input: null, ctx) => ctx.hold('a', () => ctx.hold('b', async () => 'never').catch((error: { code: string }) => error.code)),
    });
    expect(await bed.run(await bed.start({ agents: { work } }), 'work', null)).toBe('DROVER_BULKHEAD_ORDER');
  });

  test('one after the other may be taken in any order', async () => {
    await using bed = new Testbed();
    const work = agent({
      uses: { outer: outer(), inner: inner() },
      run: async (_input: null, ctx) => [await ctx.hold('inner', async () => 1), await ctx.hold('outer', async () => 2)],
    });
    expect(await bed.run(await bed.start({ agents: { work } }), 'work', null)).toEqual([1, 2]);
  });

  test('a child is not asked with a place in hand; before and after it is', async () => {
    await using bed = new Testbed();
    const uses = { outer: outer() };
    const child = agent({ uses, run: (input: number, ctx) => ctx.hold('outer', async () => input * 2) });
    const parent = agent({
      uses,
      asks: { child },
      run: async (input: number, ctx) => {
        const refused = await ctx.hold('outer', () => ctx.ask('child', input).catch((error: { code: string }) => error.code));
        return [refused, await ctx.ask('child', input), await ctx.hold('outer', async () => 'after')];
      },
    });
    const fleet = await bed.start({ agents: { child, parent } });
    expect(await bed.run(fleet, 'parent', 3)).toEqual(['DROVER_BULKHEAD_ORDER', 6, 'after']);
  });

  test('no event and no approval is waited for with a place in hand', async () => {
    await using bed = new Testbed();
    const code = (error: { code: string }): string => error.code;
    const work = agent({
      uses: { outer: outer() },
      events: { go: z.number() },
      run: (_input: null, ctx) =>
        ctx.hold('outer', async () => [await ctx.waitFor('go').catch(code), await ctx.approval('refund', null).catch(code)]),
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toEqual(['DROVER_BULKHEAD_ORDER', 'DROVER_BULKHEAD_ORDER']);
  });

  test('deep in code that knows nothing of it the order still holds', async () => {
    await using bed = new Testbed();
    const work = agent({
      uses: { outer: outer(), inner: inner() },
      run: (_input: null, ctx) => {
        const helper = async (): Promise<string> => {
          await bed.sleep(5);
          return ctx.hold('outer', async () => 'never');
        };
        return ctx.hold('inner', () => ctx.step('a step', () => helper().catch((error: { code: string }) => error.code)));
      },
    });
    expect(await bed.run(await bed.start({ agents: { work } }), 'work', null)).toBe('DROVER_BULKHEAD_ORDER');
  });

  test('what one run holds binds no other, though that one was set off from within', async () => {
    await using bed = new Testbed();
    const uses = { outer: outer(), inner: inner() };
    const other = agent({ uses, attempts: 1, run: (input: number, ctx) => ctx.hold('outer', async () => input) });
    let submit: (at: number) => Promise<unknown> = () => Promise.resolve();
    const work = agent({
      uses,
      run: (_input: null, ctx) =>
        ctx.hold('inner', async () => {
          for (let at = 0; at < 3; at += 1) await submit(at);
          await bed.sleep(1_000);
          return 'done';
        }),
    });
    const fleet = await bed.start({ agents: { work, other } });
    const handles: { result(): Promise<unknown> }[] = [];
    submit = async (at) => handles.push(await fleet.submit('other', at));
    expect(await bed.run(fleet, 'work', null)).toBe('done');
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual([0, 1, 2]);
  });

  test('a place that has been given back binds nobody, not even what was begun within', async () => {
    await using bed = new Testbed();
    const work = agent({
      uses: { outer: outer(), inner: inner() },
      run: async (_input: null, ctx) => {
        let later: Promise<string> = Promise.resolve('');
        await ctx.hold('inner', async () => {
          later = bed.sleep(100).then(() => ctx.hold('outer', async () => 'in'));
        });
        return later;
      },
    });
    expect(await bed.run(await bed.start({ agents: { work } }), 'work', null)).toBe('in');
  });

  test('an inner place that has been given back does not hide the outer one', async () => {
    await using bed = new Testbed();
    const work = agent({
      uses: { outer: outer(), inner: inner(), lowest: bulkhead({ concurrency: 1 }) },
      run: (_input: null, ctx) =>
        ctx.hold('outer', async () => {
          let later: Promise<string> = Promise.resolve('');
          await ctx.hold('inner', async () => {
            later = bed.sleep(100).then(() => ctx.hold('lowest', async () => 'in'));
          });
          return later.catch((error: { code: string }) => error.code);
        }),
    });
    expect(await bed.run(await bed.start({ agents: { work } }), 'work', null)).toBe('DROVER_BULKHEAD_ORDER');
  });

  test('opposite orders of two kinds cannot both be written: the crossing one is refused, and nobody waits in a ring', async () => {
    await using bed = new Testbed();
    const uses = { outer: outer(), inner: inner() };
    const rising = agent({
      uses,
      replicas: 3,
      run: (input: number, ctx) => ctx.hold('outer', () => bed.sleep(5).then(() => ctx.hold('inner', async () => input))),
    });
    const falling = agent({
      uses,
      replicas: 3,
      attempts: 1,
      run: (input: number, ctx) => ctx.hold('inner', () => bed.sleep(5).then(() => ctx.hold('outer', async () => input))),
    });
    const fleet = await bed.start({ agents: { rising, falling } });
    const handles = await bed.drive(
      Promise.all(Array.from({ length: 12 }, (_, at) => fleet.submit(at % 2 === 0 ? 'rising' : 'falling', at))),
    );
    const ends = await bed.drive(Promise.allSettled(handles.map((handle) => handle.result())), 10_000);
    expect(ends.map(({ status }) => status)).toEqual(ends.map((_, at) => (at % 2 === 0 ? 'fulfilled' : 'rejected')));
  });
});

describe('what is no bulkhead', () => {
  test('is called, not held; and the other way round', async () => {
    await using bed = new Testbed();
    const tool = bulkhead({ concurrency: 1 });
    const model = dependency({ perform: async (request: string) => request });
    const work = agent({
      uses: { tool, model },
      run: async (_input: null, ctx) => {
        const code = (error: { code: string }): string => error.code;
        return [
          await ctx.call('tool', {} as never).then(() => 'called', code),
          await ctx.hold('model', async () => 'held').catch(code),
          await ctx.hold('nothing' as never, async () => 'held').catch(code),
        ];
      },
    });
    expect(await bed.run(await bed.start({ agents: { work } }), 'work', null)).toEqual(
      Array.from({ length: 3 }, () => 'DROVER_UNDECLARED'),
    );
  });

  test.each([
    ['no places', { concurrency: 0 }, 'concurrency'],
    ['half a place', { concurrency: 1.5 }, 'concurrency'],
    ['a rank between two', { concurrency: 1, rank: 0.5 }, 'rank'],
    ['no time', { concurrency: 1, holdMs: 0 }, 'holdMs'],
    ['nobody in line', { concurrency: 1, waiting: 0 }, 'waiting'],
    ['a field of another name', { concurrency: 1, max: 3 }, 'max'],
    ['nothing at all', {}, 'concurrency'],
  ])('%s is refused, and named', (_name, spec, field) => {
    expect(() => bulkhead(spec as never)).toThrow(
      expect.objectContaining({ code: 'DROVER_TOPOLOGY', message: expect.stringContaining(field) as unknown }),
    );
  });
});
