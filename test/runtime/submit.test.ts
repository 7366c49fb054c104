/** Submitting: one id is one task; what is wrong is refused before anything is stored; handles tell how it ended. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import type { Fleet, Schema, SubmitOptions } from 'drover';
import { z } from 'zod';
import { Testbed } from './harness.ts';

function echoing(bed: Testbed) {
  const runs: unknown[] = [];
  const echo = agent({
    async run(input: unknown) {
      runs.push(input);
      await bed.sleep(100);
      return input;
    },
  });
  return { runs, agents: { echo } };
}

describe('the same id', () => {
  test.each([
    ['an equal object', { a: 1, b: [{ c: 2, d: 3 }] }, { a: 1, b: [{ c: 2, d: 3 }] }],
    ['other order of keys', { a: 1, b: [{ c: 2, d: 3 }] }, { b: [{ d: 3, c: 2 }], a: 1 }],
    ['a value that JSON makes equal', { at: 0 }, { at: -0, gone: undefined }],
    ['nothing', undefined, undefined],
  ])('with the same payload is the same task: %s', async (_name, first, second) => {
    await using bed = new Testbed();
    const { runs, agents } = echoing(bed);
    const fleet = await bed.start({ agents });
    const a = await bed.drive(fleet.submit('echo', first, { id: 'x' }));
    const b = await bed.drive(fleet.submit('echo', second, { id: 'x' }));
    const results = await bed.drive(Promise.all([a.result(), b.result()]));
    expect(results[0]).toEqual(results[1]);
    expect(runs).toHaveLength(1);
    expect(fleet.stats).toMatchObject({ submitted: 1, completed: 1 });
  });

  test.each([
    ['another payload', 'echo', { a: 2 }, 'another input'],
    ['another order in an array', 'echo', { a: [2, 1] }, 'another input'],
    ['another kind', 'other', { a: 1 }, 'kind echo'],
  ] as const)('with %s is refused, and the first one is not disturbed', async (_name, kind, input, said) => {
    await using bed = new Testbed();
    const { agents } = echoing(bed);
    const other = agent({ run: async (given: unknown) => given });
    const fleet = await bed.start({ agents: { ...agents, other } });
    const handle = await bed.drive(fleet.submit('echo', { a: 1 }, { id: 'x' }));
    const error = await bed.rejection(fleet.submit(kind, input, { id: 'x' }));
    expect(error).toMatchObject({ code: 'DROVER_TASK_CONFLICT', retryable: false, detail: { id: 'x', kind } });
    expect(error.message).toContain(said);
    expect(await bed.drive(handle.result())).toEqual({ a: 1 });
  });

  test('submitted by many at once is one task, and all get its result', async () => {
    await using bed = new Testbed();
    const { runs, agents } = echoing(bed);
    const fleet = await bed.start({ agents });
    const handles = await bed.drive(Promise.all(Array.from({ length: 50 }, () => fleet.submit('echo', 'hello', { id: 'x' }))));
    const conflict = bed.rejection(fleet.submit('echo', 'other', { id: 'x' }));
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual(Array.from({ length: 50 }, () => 'hello'));
    expect(await conflict).toMatchObject({ code: 'DROVER_TASK_CONFLICT' });
    expect(runs).toHaveLength(1);
  });

  test('of a task that ended long ago, also under another fleet, gives its result and runs nothing', async () => {
    await using bed = new Testbed();
    const { runs, agents } = echoing(bed);
    const failing = agent({
      attempts: 1,
      async run(): Promise<never> {
        throw new Error('dead');
      },
    });
    const all = { ...agents, failing };
    let fleet: Fleet<typeof all> = await bed.start({ agents: all });
    await bed.run(fleet, 'echo', 'hello', { id: 'x' });
    await bed.rejection((await bed.drive(fleet.submit('failing', 1, { id: 'y' }))).result());
    await bed.advance(1_000_000);
    for (let round = 0; round < 2; round += 1) {
      expect(await bed.run(fleet, 'echo', 'hello', { id: 'x' })).toBe('hello');
      expect(await bed.rejection((await bed.drive(fleet.submit('failing', 1, { id: 'y' }))).result())).toMatchObject({
        detail: { status: 'dead' },
      });
      expect(await bed.rejection(fleet.submit('echo', 'other', { id: 'x' }))).toMatchObject({ code: 'DROVER_TASK_CONFLICT' });
      await bed.close(fleet);
      fleet = await bed.start({ agents: all });
    }
    expect(runs).toHaveLength(1);
  });

  test('of a task that is running waits for that run', async () => {
    await using bed = new Testbed();
    const { runs, agents } = echoing(bed);
    const fleet = await bed.start({ agents });
    await bed.drive(fleet.submit('echo', 'hello', { id: 'x' }));
    await bed.advance(50);
    expect(await bed.run(fleet, 'echo', 'hello', { id: 'x' })).toBe('hello');
    expect(runs).toHaveLength(1);
  });

  test('of a child is that child', async () => {
    await using bed = new Testbed();
    const { runs, agents } = echoing(bed);
    const parent = agent({ asks: agents, run: (input: string, ctx) => ctx.ask('echo', input) });
    const fleet = await bed.start({ agents: { ...agents, parent } });
    await bed.run(fleet, 'parent', 'hello', { id: 'x' });
    expect(await bed.run(fleet, 'echo', 'hello', { id: 'x/echo#1' })).toBe('hello');
    expect(runs).toHaveLength(1);
  });

  test("of a child that was there before its parent asked is refused there, also with the same input: it is nobody's child", async () => {
    await using bed = new Testbed();
    const { agents } = echoing(bed);
    const parent = agent({ asks: agents, run: (input: string, ctx) => ctx.ask('echo', input) });
    const fleet = await bed.start({ agents: { ...agents, parent } });
    for (const [id, input] of [
      ['x', 'hello'],
      ['y', 'something else'],
    ] as const) {
      await bed.run(fleet, 'echo', input, { id: `${id}/echo#1` });
      const handle = await bed.drive(fleet.submit('parent', 'hello', { id }));
      expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_CHILD_ID_TAKEN' } } });
    }
  });
});

describe('refused before anything is stored', () => {
  const checked = agent({ input: z.object({ n: z.number().int(), tags: z.array(z.string()).optional() }), run: async ({ n }) => n });
  const asynchronous = agent({ input: z.string().refine(async () => true), run: async (text) => text });
  const broken: Schema<string> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate() {
        throw new Error('the schema itself');
      },
    },
  };
  const throwing = agent({ input: broken, run: async (text) => text });
  const circular: { self?: unknown } = {};
  circular.self = circular;
  const free = agent({ run: async (input: unknown) => input });

  test.each([
    ['a wrong payload', 'checked', { n: 'one' }, {}, 'DROVER_PAYLOAD_INVALID', 'input of checked: n: '],
    ['a payload wrong deep inside', 'checked', { n: 1, tags: ['a', 2] }, {}, 'DROVER_PAYLOAD_INVALID', 'tags.1: '],
    ['no payload', 'checked', undefined, {}, 'DROVER_PAYLOAD_INVALID', 'got undefined'],
    ['an asynchronous schema', 'asynchronous', 'x', {}, 'DROVER_PAYLOAD_INVALID', 'asynchronous'],
    ['a schema that throws', 'throwing', 'x', {}, undefined, 'the schema itself'],
    ['a function', 'free', () => 1, {}, 'DROVER_PAYLOAD_NOT_JSON', 'input of free'],
    ['a bigint', 'free', { n: 1n }, {}, 'DROVER_PAYLOAD_NOT_JSON', 'input of free'],
    ['a cycle', 'free', circular, {}, 'DROVER_PAYLOAD_NOT_JSON', 'input of free'],
    ['a payload that is too large', 'free', 'x'.repeat(999), {}, 'DROVER_PAYLOAD_TOO_LARGE', '1001 bytes of JSON, at most 1000'],
    ['a payload that is too large in bytes only', 'free', '€'.repeat(333), {}, 'DROVER_PAYLOAD_TOO_LARGE', '1001 bytes'],
    [
      'an unknown kind',
      'nobody',
      1,
      {},
      'DROVER_UNKNOWN_KIND',
      'no agent is called "nobody"; there are checked, asynchronous, throwing, free',
    ],
    ['an inherited name', 'constructor', 1, {}, 'DROVER_UNKNOWN_KIND', '"constructor"'],
    ['no kind', undefined, 1, {}, 'DROVER_UNKNOWN_KIND', 'undefined'],
    ['an empty id', 'free', 1, { id: '' }, 'DROVER_SUBMIT_OPTION', 'submit: id: expected a text of 1 to 512 characters'],
    ['an id that is too long', 'free', 1, { id: 'x'.repeat(513) }, 'DROVER_SUBMIT_OPTION', 'id'],
    ['an id that is no text', 'free', 1, { id: 7 }, 'DROVER_SUBMIT_OPTION', 'got 7'],
    ['an id that is null', 'free', 1, { id: null }, 'DROVER_SUBMIT_OPTION', 'got null'],
    ['an id with half a character', 'free', 1, { id: 'a\ud800' }, 'DROVER_SUBMIT_OPTION', 'well-formed'],
    ['a fractional priority', 'free', 1, { priority: 1.5 }, 'DROVER_SUBMIT_OPTION', 'submit: priority: expected a whole number, got 1.5'],
    ['a priority that is no number', 'free', 1, { priority: NaN }, 'DROVER_SUBMIT_OPTION', 'priority'],
    ['a priority that is a text', 'free', 1, { priority: '1' }, 'DROVER_SUBMIT_OPTION', 'got "1"'],
  ])('%s', async (_name, kind, input, options, code, said) => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { checked, asynchronous, throwing, free }, bounds: { payloadBytes: 1_000 } });
    const stored: string[] = [];
    bed.faults.committed = (command) => command === 'submit' && stored.push(command);
    const error = await bed.rejection(fleet.submit(kind as 'free', input, options as SubmitOptions));
    expect(error.code).toBe(code);
    expect(error.message).toContain(said);
    expect(stored).toEqual([]);
    expect(fleet.stats.submitted).toBe(0);
  });

  test('one wrong submit does not disturb those beside it, nor the fleet', async () => {
    await using bed = new Testbed();
    const child = agent({ run: async () => 'child' });
    const parent = agent({ asks: { child }, run: (_input: null, ctx) => ctx.ask('child', null) });
    const fleet = await bed.start({ agents: { parent, child, free } });
    const running = await bed.drive(fleet.submit('parent', null));
    const bad = bed.rejection(fleet.submit('free', 1, { id: '\udc00' }));
    const good = fleet.submit('free', 2);
    expect(await bad).toMatchObject({ code: 'DROVER_SUBMIT_OPTION' });
    expect(await bed.drive((await bed.drive(good)).result())).toBe(2);
    expect(await bed.drive(running.result())).toBe('child');
  });
});

describe('limits of what is accepted', () => {
  test('a payload of exactly the limit', async () => {
    await using bed = new Testbed();
    const { agents } = echoing(bed);
    const fleet = await bed.start({ agents, bounds: { payloadBytes: 1_000 } });
    for (const input of ['x'.repeat(998), '€'.repeat(332)]) expect(await bed.run(fleet, 'echo', input)).toBe(input);
  });

  test('an id of 512 characters, of any script', async () => {
    await using bed = new Testbed();
    const { agents } = echoing(bed);
    const fleet = await bed.start({ agents });
    for (const id of ['x'.repeat(512), '€'.repeat(512), '🐑'.repeat(256), ' ', '__proto__', 'a/b#1']) {
      expect(await bed.run(fleet, 'echo', 1, { id })).toBe(1);
      expect(await fleet.task(id)).toMatchObject({ id, status: 'completed' });
    }
  });

  test('keys that JavaScript objects are careful with', async () => {
    await using bed = new Testbed();
    const { agents } = echoing(bed);
    const fleet = await bed.start({ agents });
    const input = JSON.parse('{"__proto__": {"a": 1}, "10": 1, "9": 2, "constructor": null}') as object;
    await bed.drive(fleet.submit('echo', input, { id: 'x' }));
    const other = JSON.parse('{"constructor": null, "9": 2, "__proto__": {"a": 2}, "10": 1}') as object;
    expect(await bed.rejection(fleet.submit('echo', other, { id: 'x' }))).toMatchObject({ code: 'DROVER_TASK_CONFLICT' });
    const same = JSON.parse('{"constructor": null, "9": 2, "__proto__": {"a": 1}, "10": 1}') as object;
    expect((await bed.drive(fleet.submit('echo', same, { id: 'x' }))).id).toBe('x');
  });
});

describe('a handle', () => {
  test('gives one promise, however often and whenever it is asked', async () => {
    await using bed = new Testbed();
    const { agents } = echoing(bed);
    const fleet = await bed.start({ agents });
    const handle = await bed.drive(fleet.submit('echo', 'hello'));
    const early = handle.result();
    expect(handle.result()).toBe(early);
    await bed.drive(early);
    expect(handle.result()).toBe(early);
    const late = await bed.drive(fleet.submit('echo', 'late'));
    await bed.advance(1_000);
    expect(await bed.drive(late.result())).toBe('late');
  });

  test('that nobody asks lets its task fail, and its fleet close, without an unhandled rejection', async () => {
    await using bed = new Testbed();
    const unhandled: unknown[] = [];
    const note = (reason: unknown): number => unhandled.push(reason);
    process.on('unhandledRejection', note);
    const failing = agent({
      attempts: 1,
      async run(hang: boolean): Promise<never> {
        if (hang) await new Promise(() => {});
        throw new Error('dead');
      },
    });
    const fleet = await bed.start({ agents: { failing }, supervision: { shutdownMs: 10 } });
    const failed = await bed.drive(fleet.submit('failing', false));
    const hung = await bed.drive(fleet.submit('failing', true));
    await bed.advance(1_000);
    await bed.close(fleet);
    await bed.settle();
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
    // And asked now, it still says how it was.
    expect(await bed.rejection(failed.result())).toMatchObject({ code: 'DROVER_TASK_FAILED' });
    expect(await bed.rejection(hung.result())).toMatchObject({ code: 'DROVER_FLEET_CLOSED' });
  });

  test('of a task that ended keeps its result after the fleet has closed', async () => {
    await using bed = new Testbed();
    const { agents } = echoing(bed);
    const fleet = await bed.start({ agents });
    const handle = await bed.drive(fleet.submit('echo', 'hello'));
    await bed.advance(1_000);
    await bed.close(fleet);
    expect(await handle.result()).toBe('hello');
  });
});

describe('looking', () => {
  test('at a task, at counts by kind, at pages of a list', async () => {
    await using bed = new Testbed();
    const { agents } = echoing(bed);
    const failing = agent({
      attempts: 1,
      async run(): Promise<never> {
        throw new Error('dead');
      },
    });
    const fleet = await bed.start({ agents: { ...agents, failing } });
    for (let at = 0; at < 5; at += 1) await bed.drive(fleet.submit(at === 2 ? 'failing' : 'echo', at, { id: `x${at}` }));
    await bed.advance(10_000);
    expect(await fleet.task('nobody')).toBeUndefined();
    expect(await fleet.counts()).toMatchObject({ echo: { completed: 4 }, failing: { dead: 1 } });
    expect((await fleet.tasks({ status: 'dead', limit: 10 })).map(({ id }) => id)).toEqual(['x2']);
    expect((await fleet.tasks({ after: 'x1', limit: 2 })).map(({ id }) => id)).toEqual(['x2', 'x3']);
  });
});

describe('many at once', () => {
  test('each has its handle, in the order of the items, and its own id and priority', async () => {
    await using bed = new Testbed();
    const { agents } = echoing(bed);
    const fleet = await bed.start({ agents });
    const items = [{ input: 'a', id: 'x' }, { input: 'b', priority: 7 }, { input: 'c' }];
    const handles = await bed.drive(fleet.submitMany('echo', items));
    expect(handles[0]!.id).toBe('x');
    expect((await bed.drive(fleet.task(handles[1]!.id)))?.priority).toBe(7);
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual(['a', 'b', 'c']);
  });

  test('are in the store when it resolves, more than fit into one command too', async () => {
    await using bed = new Testbed();
    const { agents } = echoing(bed);
    const fleet = await bed.start({ agents });
    const handles = await bed.drive(
      fleet.submitMany(
        'echo',
        Array.from({ length: 1_300 }, (_, input) => ({ input })),
      ),
    );
    expect(new Set(handles.map(({ id }) => id)).size).toBe(1_300);
    expect(bed.disk.tasks.get(handles.map(({ id }) => id)).every((task) => task !== undefined)).toBe(true);
  });

  test('none is none', async () => {
    await using bed = new Testbed();
    const { agents } = echoing(bed);
    const fleet = await bed.start({ agents });
    expect(await bed.drive(fleet.submitMany('echo', []))).toEqual([]);
  });

  test('with a bad one among them are refused before any is stored', async () => {
    await using bed = new Testbed();
    const strict = agent({ input: z.object({ n: z.number() }), run: async ({ n }) => n });
    const fleet = await bed.start({ agents: { strict } });
    const error = await bed.rejection(fleet.submitMany('strict', [{ input: { n: 1 } }, { input: { n: 'two' as never } }]));
    expect(error.code).toBe('DROVER_PAYLOAD_INVALID');
    expect(bed.disk.tasks.counts()).toEqual({});
    expect(fleet.stats.submitted).toBe(0);
  });

  test('with a field that does not exist are refused, by name', async () => {
    await using bed = new Testbed();
    const { agents } = echoing(bed);
    const fleet = await bed.start({ agents });
    const error = await bed.rejection(fleet.submitMany('echo', [{ input: 1, delay: 5 } as never]));
    expect(error.code).toBe('DROVER_SUBMIT_OPTION');
    expect(error.message).toContain('delay');
  });

  test.each([
    ['null', null, 'items'],
    ['a task', { input: 1 }, 'items'],
    ['a set', new Set([{ input: 1 }]), 'items'],
    ['a list of null', [{ input: 1 }, null], 'items[1]'],
    ['a list of inputs', ['a', 'b'], 'items[0]'],
    // oxlint-disable-next-line no-sparse-arrays -- what is tested
    ['a list with a hole', [{ input: 1 }, , { input: 2 }], 'items[1]'],
  ])('that are none are refused: %s', async (_name, items, option) => {
    await using bed = new Testbed();
    const { agents } = echoing(bed);
    const fleet = await bed.start({ agents });
    const error = await bed.rejection(fleet.submitMany('echo', items as never));
    expect(error).toMatchObject({ code: 'DROVER_SUBMIT_OPTION', retryable: false, detail: { option } });
    expect(bed.disk.tasks.counts()).toEqual({});
  });

  test('one in conflict with a stored task refuses them all, and submitting the rest again gives their results', async () => {
    await using bed = new Testbed();
    const { agents, runs } = echoing(bed);
    const fleet = await bed.start({ agents });
    await bed.drive(fleet.submit('echo', 'other', { id: 'b' }));
    const items = ['a', 'b', 'c'].map((id) => ({ id, input: id }));
    const error = await bed.rejection(fleet.submitMany('echo', items));
    expect(error).toMatchObject({ code: 'DROVER_TASK_CONFLICT', detail: { id: 'b' } });
    const rest = items.filter(({ id }) => id !== 'b');
    const handles = await bed.drive(fleet.submitMany('echo', rest));
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual(['a', 'c']);
    expect(runs.toSorted()).toEqual(['a', 'c', 'other']);
  });

  test('the same id twice is one task with two handles', async () => {
    await using bed = new Testbed();
    const { agents, runs } = echoing(bed);
    const fleet = await bed.start({ agents });
    const handles = await bed.drive(
      fleet.submitMany('echo', [
        { id: 'x', input: 1 },
        { id: 'x', input: 1 },
      ]),
    );
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual([1, 1]);
    expect(runs).toEqual([1]);
  });

  test('a store that fails says so, and the same items again are each one task', async () => {
    await using bed = new Testbed();
    const { agents, runs } = echoing(bed);
    const fleet = await bed.start({ agents });
    bed.faults.fault = (command) => (command === 'submit' ? 'after' : undefined);
    const items = ['a', 'b'].map((id) => ({ id, input: id }));
    expect((await bed.rejection(fleet.submitMany('echo', items))).code).toBe('DROVER_STORE_FAILED');
    bed.faults.fault = undefined;
    const handles = await bed.drive(fleet.submitMany('echo', items));
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual(['a', 'b']);
    expect(runs.toSorted()).toEqual(['a', 'b']);
  });

  test('a fleet that is closed refuses them', async () => {
    await using bed = new Testbed();
    const { agents } = echoing(bed);
    const fleet = await bed.start({ agents });
    await bed.close(fleet);
    expect((await bed.rejection(fleet.submitMany('echo', [{ input: 1 }]))).code).toBe('DROVER_FLEET_CLOSED');
  });
});
