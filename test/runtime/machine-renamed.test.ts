/** What goes on under other names: a machine that gets another id, an invocation that does, and a chart that leaves no way on. */
import { describe, expect, test } from 'vitest';
import { assign, createMachine, spawnChild } from 'xstate';
import { z } from 'zod';
import { agent, operation } from 'drover';
import { Testbed } from './harness.ts';

const events = { go: z.object({}), back: z.object({}) };

/** The operations, and what they have done. */
function actors() {
  const done: string[] = [];
  const rests = operation(async (_input: unknown, ctx) => {
    await ctx.step('begin', () => void done.push('begun'));
    await ctx.sleep(60_000);
    await ctx.step('end', () => void done.push('ended'));
  });
  const pays = operation(async (_input: unknown, ctx) => {
    await ctx.compensate('pay', () => void done.push('undone'));
    await ctx.step('pay', () => void done.push('paid'));
  });
  return { done, actors: { rests, pays } };
}

type Made = (config: object, provided: object) => unknown;
const made: Made = (config, provided) => createMachine({ output: 'out', ...config } as never).provide({ actors: provided });

/** The task half a minute after it was submitted, and the code has changed. */
async function deployed(bed: Testbed, before: unknown, after: unknown, version = '2') {
  const of = (machine: unknown, at: string) => agent({ version: at, events, machine: machine as never });
  const fleet = await bed.start({ agents: { work: of(before, '1') } });
  await bed.drive(fleet.submit('work', undefined as never, { id: 'o' }));
  await bed.advance(30_000);
  await bed.close(fleet);
  return bed.start({ agents: { work: of(after, version) } });
}

const end = { type: 'final' };

describe('a machine that gets another id goes on', () => {
  const shapes: Record<string, (id: object, provided: ReturnType<typeof actors>['actors']) => unknown> = {
    'in a delay': (id, provided) => made({ ...id, initial: 'wait', states: { wait: { after: { 60_000: 'end' } }, end } }, provided),
    'in a delay with a name': (id, provided) =>
      createMachine({ ...id, initial: 'wait', states: { wait: { after: { a: 'end' } }, end }, output: 'out' } as never).provide({
        actors: provided,
        delays: { a: 60_000 },
      }),
    'in a delay of a state within a state, which takes an event too': (id, provided) =>
      made(
        {
          ...id,
          initial: 'out',
          states: { out: { initial: 'wait', states: { wait: { on: { go: '#e' }, after: { 60_000: '#e' } } } }, end: { ...end, id: 'e' } },
        },
        provided,
      ),
    'in a delay of its own': (id, provided) =>
      made({ ...id, after: { 60_000: '.end' }, initial: 'wait', states: { wait: {}, end } }, provided),
    'in an operation without an id': (id, provided) =>
      made({ ...id, initial: 'wait', states: { wait: { invoke: { src: 'rests', onDone: 'end' } }, end } }, provided),
    'in an operation without a name': (id, provided) =>
      made({ ...id, initial: 'wait', states: { wait: { invoke: { src: provided.rests, onDone: 'end' } }, end } }, provided),
    'in an operation of its own': (id, provided) =>
      made({ ...id, invoke: { src: 'rests', onDone: '.end' }, initial: 'wait', states: { wait: {}, end } }, provided),
    'in a machine without an id': (id, provided) =>
      made(
        { ...id, initial: 'wait', states: { wait: { invoke: { src: 'inner', onDone: 'end' } }, end } },
        { inner: made({ ...id, initial: 'in', states: { in: { invoke: { src: 'rests', onDone: 'end' } }, end } }, provided) },
      ),
    'in a delay of a machine without an id': (id, provided) =>
      made(
        { ...id, initial: 'wait', states: { wait: { invoke: { src: 'inner', onDone: 'end' } }, end } },
        { inner: made({ ...id, initial: 'in', states: { in: { after: { 60_000: 'end' } }, end } }, provided) },
      ),
  };

  test.each(Object.entries(shapes))('%s', async (_what, shape) => {
    await using bed = new Testbed();
    const from = bed.nowMs;
    const { done, actors: provided } = actors();
    const next = await deployed(bed, shape({}, provided), shape({ id: 'letter' }, provided));
    const handle = await bed.drive(next.submit('work', undefined as never, { id: 'o' }));
    expect(await bed.drive(handle.result())).toBe('out');
    expect(bed.nowMs - from).toBeGreaterThanOrEqual(60_000);
    expect(bed.nowMs - from).toBeLessThan(62_000);
    // Once each, under whatever name.
    expect(done.filter((what) => what === 'begun').length).toBeLessThanOrEqual(1);
    expect(new Set(done).size).toBe(done.length);
  });

  test('and back again, twice, in the midst of an operation', async () => {
    await using bed = new Testbed();
    const { done, actors: provided } = actors();
    const note = { go: { actions: assign({ n: ({ context }: { readonly context: { n: number } }) => context.n + 1 }) } };
    const inner = (id: object) =>
      made({ ...id, initial: 'in', states: { in: { invoke: { src: 'rests', onDone: 'end' } }, end } }, provided);
    const wait = { invoke: { src: 'inner', onDone: 'end' } };
    const at = (id: object) => {
      const machine = made({ ...id, context: { n: 0 }, on: note, initial: 'wait', states: { wait, end } }, { inner: inner(id) });
      return agent({ events, machine: machine as never });
    };
    for (const id of [{}, { id: 'letter' }, {}, { id: 'note' }]) {
      const fleet = await bed.start({ agents: { work: at(id) } });
      await bed.drive(fleet.submit('work', undefined as never, { id: 'o' }));
      // It remembers that under the name that it has now.
      await bed.drive(fleet.signal('o', 'go', {}));
      await bed.advance(10_000);
      await bed.close(fleet);
    }
    const fleet = await bed.start({ agents: { work: at({}) } });
    await bed.advance(60_000);
    expect(await fleet.task('o')).toMatchObject({ status: 'completed' });
    expect(done).toEqual(['begun', 'ended']);
  });

  test('where history says', async () => {
    await using bed = new Testbed();
    const shape = (id: object) =>
      made(
        {
          ...id,
          initial: 'a',
          states: {
            a: {
              initial: 'one',
              states: { one: { after: { 1_000: 'two' } }, two: { on: { back: '#e' } }, h: { type: 'history' } },
              after: { 10_000: 'b' },
            },
            b: { on: { go: 'a.h' } },
            end: { ...end, id: 'e' },
          },
        },
        {},
      );
    const next = await deployed(bed, shape({}), shape({ id: 'letter' }));
    await bed.drive(next.signal('o', 'go', {}));
    await bed.advance(100);
    await bed.drive(next.signal('o', 'back', {}));
    await bed.advance(100);
    expect(await next.task('o')).toMatchObject({ status: 'completed' });
  });

  test('to be undone: what it registered under the former one', async () => {
    await using bed = new Testbed();
    const { done, actors: provided } = actors();
    const shape = (id: object) =>
      made(
        {
          ...id,
          initial: 'pay',
          states: { pay: { invoke: { src: provided.pays, onDone: 'wait' } }, wait: { after: { 60_000: 'end' } }, end },
        },
        provided,
      );
    const next = await deployed(bed, shape({}), shape({ id: 'letter' }));
    await bed.drive(next.cancel('o'));
    await bed.advance(1_000);
    expect(await next.task('o')).toMatchObject({ status: 'cancelled', undone: true });
    expect(done).toEqual(['paid', 'undone']);
  });
});

describe('what has no place in the present machine is kept as it stands', () => {
  const paying = (wait: object, more: object = {}) => ({
    id: 'm',
    initial: 'pay',
    states: { pay: { invoke: { id: 'pay', src: 'pays', onDone: 'wait' } }, wait, other: { after: { 1: 'end' } }, end },
    ...more,
  });
  const resting = { invoke: { id: 'op', src: 'rests', onDone: 'end' } };
  test.each([
    ['an invocation with another id', resting, { invoke: { id: 'op2', src: 'rests', onDone: 'end' } }, 'invocation op (rests)'],
    [
      'and so where its state takes an event',
      { ...resting, on: { go: 'end' } },
      { invoke: { id: 'op2', src: 'rests', onDone: 'end' }, on: { go: 'end' } },
      'invocation op (rests)',
    ],
    ['an invocation that is there no more', resting, {}, 'way on from "wait"'],
    ['an invocation that nobody hears of any more', resting, { invoke: { id: 'op', src: 'rests' } }, 'way on from "wait"'],
    [
      'a delay whose state has another id',
      { id: 'w', after: { 60_000: 'end' } },
      { id: 'v', after: { 60_000: 'end' }, on: { go: 'end' } },
      'state with the delay 60000.w',
    ],
    ['a delay that is there no more', { after: { 60_000: 'end' } }, {}, 'way on from "wait"'],
    ['an event that is taken no more', { on: { go: 'end' } }, {}, 'way on from "wait"'],
  ])('%s', async (_what, before, after, missing) => {
    for (const version of ['1', '2']) {
      // Under one version nobody can tell whether it was ever heard of.
      if (version === '1' && missing.startsWith('way') && 'invoke' in after) continue;
      await using bed = new Testbed();
      const { done, actors: provided } = actors();
      const isTold = 'on' in before && !('invoke' in before);
      const next = await deployed(bed, made(paying(before), provided), made(paying(after), provided), version);
      if (isTold) await bed.drive(next.signal('o', 'go', {}));
      await bed.advance(120_000);
      const task = await next.task('o');
      expect(task).toMatchObject({
        status: 'failed',
        kept: true,
        error: { code: 'DROVER_MACHINE_CHANGED', message: expect.stringContaining(`m has no ${missing} any more`) as unknown },
      });
      expect(done).not.toContain('undone');
      await bed.close(next);
      const former = await bed.start({
        agents: { work: agent({ version: '1', events, machine: made(paying(before), provided) as never }) },
      });
      await bed.drive(former.requeue('o'));
      await bed.advance(70_000);
      expect(await former.task('o')).toMatchObject({ status: 'completed' });
      expect(new Set(done).size).toBe(done.length);
    }
  });

  test('but what is spawned goes on beside an invocation that is new', async () => {
    await using bed = new Testbed();
    const { done, actors: provided } = actors();
    const shape = (wait: object) =>
      made(paying({ on: { 'xstate.done.actor.kid': 'end' }, ...wait }, { entry: spawnChild('rests', { id: 'kid' }) }), provided);
    const next = await deployed(bed, shape({}), shape({ invoke: { id: 'more', src: 'pays' } }));
    await bed.advance(60_000);
    expect(await next.task('o')).toMatchObject({ status: 'completed' });
    expect(done).toEqual(expect.arrayContaining(['begun', 'ended', 'paid']));
  });

  test('a chart that was stuck where it stands is undone, under the code that it began with', async () => {
    await using bed = new Testbed();
    const { done, actors: provided } = actors();
    const stuck = () => made(paying({ invoke: { id: 'op', src: 'rests' } }), provided);
    const next = await deployed(bed, stuck(), stuck(), '1');
    await bed.advance(120_000);
    expect(await next.task('o')).toMatchObject({ status: 'failed', kept: false, undone: true, error: { code: 'DROVER_MACHINE_STUCK' } });
    expect(done).toContain('undone');
  });
});

describe('a step of an operation that is under way', () => {
  /** What is told under a second version, whose operation makes `steps` after those of the first have been made. */
  async function told(bed: Testbed, steps: readonly string[], isLeft = false) {
    const done: string[] = [];
    const shape = (names: readonly string[]) => {
      const rests = operation(async (_input: unknown, ctx) => {
        for (const name of names) await ctx.step(name, () => void done.push(name));
        await ctx.sleep(60_000);
      });
      const wait = { invoke: { src: 'rests', onDone: 'end' }, ...(isLeft ? { after: { 40_000: 'end' } } : {}) };
      const before = { invoke: { src: 'begins', onDone: 'wait' } };
      const begins = operation(async (_input: unknown, ctx) => ctx.step('charge', () => 'of a state that has been left'));
      return made({ id: 'm', initial: 'before', states: { before, wait, end } }, { rests, begins });
    };
    const next = await deployed(bed, shape(['charge', 'mail']), shape(steps));
    const heard = bed.record(next, 'task.left-aside');
    await bed.advance(120_000);
    expect(await next.task('o')).toMatchObject({ status: 'completed' });
    return { heard, done };
  }

  test('that has got another name is made twice, and that is told', async () => {
    await using bed = new Testbed();
    const { heard, done } = await told(bed, ['charge card', 'mail']);
    expect(done).toEqual(['charge', 'mail', 'charge card']);
    const ref = { id: 'o', kind: 'work', version: '2', of: '1' };
    expect(heard).toMatchObject([
      { ...ref, places: ['step:charge/0.m.wait#1', 'step:mail/0.m.wait#1'], did: 'step:charge card/0.m.wait#1' },
      { ...ref, places: ['step:charge/0.m.wait#1'], did: null },
    ]);
  });

  test('that is come by is not told, nor what a state that is left leaves', async () => {
    await using bed = new Testbed();
    expect((await told(bed, ['charge', 'mail', 'receipt'])).heard).toEqual([]);
    await using other = new Testbed();
    expect((await told(other, [], true)).heard).toEqual([]);
  });
});
