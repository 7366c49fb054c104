/** What a statechart of an agent may be made of, what it may not, and what becomes of it when it ends badly or is changed. */
import { describe, expect, test } from 'vitest';
import { assign, createMachine, fromCallback, fromPromise, raise, sendTo, setup, spawnChild } from 'xstate';
import { z } from 'zod';
import { agent, operation } from 'drover';
import { Testbed } from './harness.ts';
import type { Service } from './harness.ts';

const approval = z.object({ by: z.string() });

function cyclic(): object {
  const at: { me?: unknown } = {};
  at.me = at;
  return { at };
}

/** Waits for a word of somebody, then rests, then says who it was. */
function approvedMachine() {
  return setup({
    types: { context: {} as { by: string; notes: readonly string[] }, output: {} as { by: string; notes: readonly string[] } },
  }).createMachine({
    id: 'approved',
    context: { by: '', notes: [] },
    initial: 'resting',
    on: { note: { actions: assign({ notes: ({ context, event }) => [...context.notes, String(event.text)] }) } },
    states: {
      resting: { after: { 10_000: 'waiting' } },
      waiting: { on: { approve: { target: 'approved', actions: assign({ by: ({ event }) => String(event.by) }) } } },
      approved: { type: 'final' },
    },
    output: ({ context }) => ({ ...context }),
  });
}

const approved = () => agent({ events: { approve: approval, note: z.object({ text: z.string() }) }, machine: approvedMachine() });

describe('an event from outside', () => {
  test('reaches the machine while its task is parked', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { work: approved() } });
    const handle = await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
    await bed.advance(60_000);
    expect(await fleet.task('o')).toMatchObject({ status: 'parked', parkedFor: 'event' });
    await bed.drive(fleet.signal('o', 'note', { text: 'hm' }));
    await bed.drive(fleet.signal('o', 'approve', { by: 'eve' }));
    expect(await bed.drive(handle.result())).toEqual({ by: 'eve', notes: ['hm'] });
  });

  test('that is told before a state takes it waits for that state, also over a crash', async () => {
    await using bed = new Testbed();
    const work = approved();
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
    await bed.drive(fleet.signal('o', 'approve', { by: 'eve' }));
    await bed.drive(fleet.signal('o', 'note', { text: 'one' }));
    await bed.drive(fleet.signal('o', 'note', { text: 'two' }));
    await bed.advance(5_000);
    bed.kill();
    const next = await bed.start({ agents: { work } });
    const handle = await bed.drive(next.submit('work', undefined, { id: 'o' }));
    expect(await bed.drive(handle.result())).toEqual({ by: 'eve', notes: ['one', 'two'] });
  });

  test('that the machine does not take is for its operations', async () => {
    await using bed = new Testbed();
    const ask = operation((_input: undefined, ctx) => ctx.waitFor('paid') as Promise<{ cents: number }>);
    const machine = setup({ actors: { ask }, types: { context: {} as { cents: number }, output: {} as number } }).createMachine({
      context: { cents: 0 },
      initial: 'asking',
      states: {
        asking: {
          invoke: { id: 'ask', src: 'ask', onDone: { target: 'paid', actions: assign({ cents: ({ event }) => event.output.cents }) } },
        },
        paid: { type: 'final' },
      },
      output: ({ context }) => context.cents,
    });
    const fleet = await bed.start({ agents: { work: agent({ events: { paid: z.object({ cents: z.number() }) }, machine }) } });
    const handle = await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
    await bed.advance(1_000);
    await bed.drive(fleet.signal('o', 'paid', { cents: 7 }));
    expect(await bed.drive(handle.result())).toBe(7);
  });
});

/** Two rounds of an inner machine with operations of its own, left by an event in between and entered again by history. */
function rounds(service: Service) {
  const call = operation((input: { text: string }, ctx) => ctx.call('service', input.text) as Promise<string>);
  const inner = setup({
    types: { input: {} as { round: number }, context: {} as { round: number; said: string }, output: {} as string },
    actors: { call },
  }).createMachine({
    id: 'inner',
    context: ({ input }) => ({ round: input.round, said: '' }),
    initial: 'first',
    states: {
      first: { after: { 1_000: 'second' } },
      second: {
        invoke: {
          id: 'call',
          src: 'call',
          input: ({ context }) => ({ text: `round ${context.round}` }),
          onDone: { target: 'third', actions: assign({ said: ({ event }) => event.output }) },
        },
      },
      third: { type: 'final' },
    },
    output: ({ context }) => context.said,
  });
  const outer = setup({
    types: { context: {} as { round: number; said: readonly string[] }, output: {} as readonly string[] },
    actors: { inner },
    guards: { isEnough: ({ context }) => context.round > 3 },
  }).createMachine({
    id: 'outer',
    context: { round: 1, said: [] },
    initial: 'working',
    states: {
      working: {
        initial: 'turning',
        on: { pause: 'paused' },
        states: {
          turning: { always: [{ guard: 'isEnough', target: '#outer.done' }, { target: 'inside' }] },
          inside: {
            invoke: {
              id: 'inside',
              src: 'inner',
              input: ({ context }) => ({ round: context.round }),
              onDone: {
                target: 'turning',
                actions: assign(({ context, event }) => ({ round: context.round + 1, said: [...context.said, event.output] })),
              },
            },
          },
          hist: { type: 'history' },
        },
      },
      paused: { after: { 60_000: 'working.hist' } },
      done: { type: 'final' },
    },
    output: ({ context }) => context.said,
  });
  return agent({ uses: { service: service.dependency }, events: { pause: z.object({}) }, machine: outer });
}

describe('a machine within a machine', () => {
  test('has operations, delays and places of its own, round by round', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    const fleet = await bed.start({ agents: { work: rounds(service) } });
    expect(await bed.run(fleet, 'work', undefined, { id: 'o' })).toEqual(['round 1', 'round 2', 'round 3']);
    expect(service.calls.map(({ key }) => key)).toEqual([1, 2, 3].map((k) => `o/call:service#1/inside/call#${k}`));
  });

  test('comes to the same over a crash every 700 ms', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    const work = rounds(service);
    for (let life = 0; life < 12; life += 1) {
      const fleet = await bed.start({ agents: { work } });
      const handle = await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
      if (life === 11) expect(await bed.drive(handle.result())).toEqual(['round 1', 'round 2', 'round 3']);
      else await bed.advance(700);
      if (life < 11) bed.kill();
    }
    expect(new Set(service.calls.map(({ key }) => key)).size).toBe(3);
  });

  test('is told an event while an operation is under way, which is given up, and goes on where history says', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 500, reply: 'said' }));
    const work = rounds(service);
    const from = bed.nowMs;
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
    await bed.until(() => service.inFlight === 1);
    await bed.drive(fleet.signal('o', 'pause', {}));
    await bed.advance(20_000);
    expect(service.calls).toHaveLength(1);
    expect(service.calls[0]!.aborted).toBeDefined();
    bed.kill();
    const next = await bed.start({ agents: { work } });
    const handle = await bed.drive(next.submit('work', undefined, { id: 'o' }));
    expect(await bed.drive(handle.result())).toEqual(['said', 'said', 'said']);
    expect(service.calls.map(({ key }) => key)).toEqual([1, 2, 3, 4].map((k) => `o/call:service#1/inside/call#${k}`));
    expect(bed.nowMs - from).toBeGreaterThan(63_000);
  });
});

describe('a name with a slash', () => {
  test('is not taken for one of a machine within the machine', async () => {
    await using bed = new Testbed();
    const done: string[] = [];
    const saves = (name: string) =>
      operation(async (_: unknown, ctx) => {
        await ctx.sleep(1_000);
        return ctx.step(name, (place) => done.push(`${name} as ${place.idempotencyKey}`));
      });
    const one = <S extends string, T extends string>(src: S, target: T) => ({ invoke: { id: src, src, onDone: target } }) as const;
    const letter = setup({ actors: { save: saves('save') } }).createMachine({
      initial: 'save',
      states: { save: one('save', 'done'), done: { type: 'final' } },
    });
    const machine = setup({ actors: { save: saves('save/letter'), letter } }).createMachine({
      initial: 'letter',
      states: { letter: one('letter', 'save'), save: one('save', 'done'), done: { type: 'final' } },
    });
    const fleet = await bed.start({ agents: { work: agent({ machine }) } });
    const handle = await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
    await bed.drive(handle.result());
    expect(done).toEqual(['save as o/step:save/letter/save#1', 'save/letter as o/step:save%2Fletter/save#1']);
  });
});

describe('what an operation leaves for the end of the task', () => {
  const leaving = (how: { readonly ends: 'well' | 'badly' }) => {
    const heard: unknown[] = [];
    const undone: string[] = [];
    const listener = agent({ run: async (said: string) => void heard.push(said) });
    const tell = operation(async (input: { text: string }, ctx) => {
      await ctx.compensate('telling', () => void undone.push(input.text));
      await ctx.step('tell', () => input.text);
      ctx.send('listener', input.text);
      return input.text;
    });
    const fail = operation(async () => {
      if (how.ends === 'badly') throw new Error('it ends badly');
    });
    const machine = setup({ actors: { tell, fail }, types: { output: {} as string } }).createMachine({
      initial: 'one',
      states: {
        one: { invoke: { id: 'tell', src: 'tell', input: { text: 'one' }, onDone: 'two' } },
        two: { invoke: { id: 'tell', src: 'tell', input: { text: 'two' }, onDone: 'resting' } },
        resting: { after: { 60_000: 'last' } },
        last: { invoke: { id: 'fail', src: 'fail', onDone: 'done' } },
        done: { type: 'final' },
      },
      output: 'well',
    });
    const work = agent({ asks: { listener }, attempts: 2, backoff: () => 10, machine });
    return { heard, undone, agents: { work, listener } };
  };

  test('more sends than a task may have, of all its operations together, fail it: it does not stand still', async () => {
    await using bed = new Testbed();
    const { heard, agents } = leaving({ ends: 'well' });
    const fleet = await bed.start({ agents, bounds: { fanOut: 1 } });
    const handle = await bed.drive(fleet.submit('work', null));
    await bed.advance(61_000);
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_BOUND_REACHED' } } });
    expect(heard).toEqual([]);
  });

  test('more sends than there is room for in its family fail an operation where it stands, and the task at its end', async () => {
    await using bed = new Testbed();
    const { heard, agents } = leaving({ ends: 'well' });
    const caught: unknown[] = [];
    const tell = operation(async (_input: null, ctx) => {
      ctx.send('listener', 'first');
      try {
        ctx.send('listener', 'second');
      } catch (error) {
        caught.push(error);
      }
    });
    const machine = setup({ actors: { tell } }).createMachine({
      initial: 'one',
      states: { one: { invoke: { id: 'tell', src: 'tell', input: null, onDone: 'done' } }, done: { type: 'final' } },
    });
    const single = agent({ asks: { listener: agents.listener }, machine });
    const fleet = await bed.start({ agents: { ...agents, single }, bounds: { family: 1 } });
    await bed.run(fleet, 'single', undefined);
    await bed.settle();
    expect(caught).toMatchObject([{ code: 'DROVER_BOUND_REACHED', retryable: false }]);
    expect(heard).toEqual(['first']);
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(61_000);
    expect(await bed.rejection(handle.result())).toMatchObject({
      detail: { status: 'failed', error: { code: 'DROVER_BOUND_REACHED', retryable: false } },
    });
    expect(heard).toEqual(['first']);
  });

  test('is sent once, though no later run performs that operation', async () => {
    await using bed = new Testbed();
    const { heard, undone, agents } = leaving({ ends: 'well' });
    const fleet = await bed.start({ agents });
    await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
    await bed.advance(20_000);
    expect(heard).toEqual([]);
    bed.kill();
    const next = await bed.start({ agents });
    const handle = await bed.drive(next.submit('work', undefined, { id: 'o' }));
    expect(await bed.drive(handle.result())).toBe('well');
    await bed.advance(1_000);
    expect(heard.toSorted()).toEqual(['one', 'two']);
    expect(undone).toEqual([]);
  });

  test('is undone in reverse when the task fails for good', async () => {
    await using bed = new Testbed();
    const { heard, undone, agents } = leaving({ ends: 'badly' });
    const fleet = await bed.start({ agents });
    const handle = await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'dead', error: { message: 'it ends badly' } } });
    expect(undone).toEqual(['two', 'one']);
    expect(heard).toEqual([]);
  });

  test('is undone though an operation stands until its state is left, which it never is', async () => {
    await using bed = new Testbed();
    const undone: string[] = [];
    const pays = (who: string, stands: boolean) =>
      operation(async (_input: undefined, ctx) => {
        await ctx.compensate(who, () => void undone.push(who));
        await ctx.step(who, () => null);
        if (stands) await new Promise((_, reject) => ctx.signal.addEventListener('abort', reject));
      });
    const machine = setup({ actors: { a: pays('a', true), b: pays('b', false) } }).createMachine({
      initial: 'paying',
      states: { paying: { invoke: [{ src: 'a' }, { src: 'b' }], after: { 3_600_000: 'done' } }, done: { type: 'final' } },
    });
    const fleet = await bed.start({ agents: { work: agent({ machine }) } });
    const handle = await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
    await bed.advance(1_000);
    await bed.drive(fleet.cancel('o'));
    await bed.advance(1_000);
    expect(await fleet.task('o')).toMatchObject({ status: 'cancelled' });
    expect(await bed.rejection(handle.result())).toMatchObject({ code: 'DROVER_TASK_CANCELLED' });
    expect(undone).toEqual(['b', 'a']);
  });

  test('is undone in reverse over operations that ran side by side, by another process too', async () => {
    const ends = async (killsProcess: boolean): Promise<readonly string[]> => {
      await using bed = new Testbed();
      const undone: string[] = [];
      const pays = (who: string, afterMs: number) =>
        operation(async (_input: undefined, ctx) => {
          for (const round of [1, 2]) {
            await ctx.step(`rest ${round}`, () => bed.sleep(round === 1 ? afterMs : 1_000));
            await ctx.compensate(`pay ${round}`, () => void undone.push(`${who}${round}`));
          }
        });
      const side = (src: 'a' | 'b') =>
        ({ initial: 'pays', states: { pays: { invoke: { id: src, src, onDone: 'paid' } }, paid: { type: 'final' } } }) as const;
      const machine = setup({ actors: { a: pays('a', 0), b: pays('b', 500) } }).createMachine({
        initial: 'paying',
        states: {
          paying: { type: 'parallel', states: { a: side('a'), b: side('b') }, onDone: 'resting' },
          resting: { after: { 3_600_000: 'done' } },
          done: { type: 'final' },
        },
      });
      const agents = { work: agent({ machine }) };
      let fleet = await bed.start({ agents });
      await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
      await bed.advance(20_000);
      if (killsProcess) {
        bed.kill();
        fleet = await bed.start({ agents });
      }
      await bed.drive(fleet.cancel('o'));
      await bed.advance(60_000);
      expect(await fleet.task('o')).toMatchObject({ status: 'cancelled' });
      return undone;
    };
    for (const killsProcess of [false, true]) expect(await ends(killsProcess)).toEqual(['b2', 'a2', 'b1', 'a1']);
  });

  test('is undone when the task is cancelled', async () => {
    await using bed = new Testbed();
    const { undone, agents } = leaving({ ends: 'well' });
    const fleet = await bed.start({ agents });
    await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
    await bed.advance(20_000);
    await bed.drive(fleet.cancel('o'));
    await bed.advance(5_000);
    expect(undone).toEqual(['two', 'one']);
    expect(await fleet.task('o')).toMatchObject({ status: 'cancelled' });
  });
});

describe('a machine in error', () => {
  test('rejects the run, which is tried again from where the machine was', async () => {
    await using bed = new Testbed();
    const made: string[] = [];
    let failures = 2;
    const make = operation((input: { text: string }, ctx) => ctx.step('make', () => made.push(input.text)));
    const flaky = operation(async () => {
      if ((failures -= 1) >= 0) throw new Error('not yet');
      return 'at last';
    });
    const machine = setup({ actors: { make, flaky }, types: { output: {} as string } }).createMachine({
      initial: 'making',
      states: {
        making: { invoke: { id: 'make', src: 'make', input: { text: 'once' }, onDone: 'trying' } },
        trying: { invoke: { id: 'flaky', src: 'flaky', onDone: 'done' } },
        done: { type: 'final' },
      },
      output: 'well',
    });
    const fleet = await bed.start({ agents: { work: agent({ machine, backoff: () => 10 }) } });
    expect(await bed.run(fleet, 'work', undefined, { id: 'o' })).toBe('well');
    expect(made).toEqual(['once']);
    expect(await fleet.task('o')).toMatchObject({ attempt: 3 });
  });

  test('that takes the error itself goes on', async () => {
    await using bed = new Testbed();
    const fail = operation(async (): Promise<string> => {
      throw new Error('never');
    });
    const machine = setup({ actors: { fail }, types: { output: {} as string } }).createMachine({
      initial: 'trying',
      states: {
        trying: { invoke: { id: 'fail', src: 'fail', onDone: 'done', onError: 'given' } },
        done: { type: 'final' },
        given: { type: 'final' },
      },
      output: 'given up',
    });
    const fleet = await bed.start({ agents: { work: agent({ machine }) } });
    expect(await bed.run(fleet, 'work', undefined)).toBe('given up');
  });

  test.each([
    [
      'a guard that throws',
      {
        always: {
          guard: () => {
            throw new Error('a guard');
          },
          target: 'done',
        },
      },
      { message: 'a guard' },
    ],
    ['nothing that could move it', {}, { code: 'DROVER_MACHINE_STUCK' }],
    ['a context that is not JSON', { entry: assign({ at: () => new Date(0) }), after: { 10: 'done' } }, { code: 'DROVER_MACHINE_CONTEXT' }],
    ['a cycle in its context', { entry: assign(cyclic), after: { 10: 'done' } }, { code: 'DROVER_MACHINE_CONTEXT' }],
    [
      'a hole in its context',
      { entry: assign({ at: () => Object.assign([], { 0: 1, 2: 1 }) }), after: { 10: 'done' } },
      { code: 'DROVER_MACHINE_CONTEXT', message: expect.stringContaining('context.at[1] is remembered') as unknown },
    ],
    [
      'a symbol in its context',
      { entry: assign({ at: () => ({ [Symbol('s')]: 1 }) }), after: { 10: 'done' } },
      { code: 'DROVER_MACHINE_CONTEXT' },
    ],
    ['a delay without an end', { entry: raise({ type: 'x' }, { delay: Infinity }), on: { x: 'done' } }, { code: 'DROVER_PAYLOAD_INVALID' }],
    [
      'a delay that is no number',
      { entry: raise({ type: 'x' }, { delay: Number.NaN }), on: { x: 'done' } },
      { code: 'DROVER_PAYLOAD_INVALID' },
    ],
    [
      'an actor without a name',
      {
        entry: assign({ at: ({ spawn }: { readonly spawn: (logic: unknown) => unknown }) => spawn(operation(async () => 1)) }),
        after: { 10: 'done' },
      },
      { code: 'DROVER_MACHINE_ACTOR' },
    ],
  ])('by %s ends the task with that', async (_what, state, error) => {
    await using bed = new Testbed();
    const machine = createMachine({ context: {}, initial: 'here', states: { here: state, done: { type: 'final' } } } as never);
    const fleet = await bed.start({ agents: { work: agent({ machine, attempts: 1 }) } });
    const handle = await bed.drive(fleet.submit('work', undefined));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error } });
  });

  describe('that would remember what JSON changes', () => {
    const fetch = operation((_input: unknown, ctx) => ctx.sleep(60_000));
    const kid = createMachine({
      context: ({ input }: { readonly input: unknown }) => ({ given: input }),
      initial: 'on',
      states: { on: { after: { 60_000: 'off' } }, off: { type: 'final' } },
    } as never);
    class Money {
      readonly cents = 1;
    }
    const odd: readonly (readonly [string, unknown])[] = [
      ['a Date', new Date(0)],
      ['a Map', new Map()],
      ['NaN', Number.NaN],
      ['an instance', new Money()],
    ];
    const places: readonly (readonly [string, (at: unknown) => object, string])[] = [
      ['the input of an invocation', (at) => ({ invoke: { id: 'fetch', src: 'fetch', input: { at } } }), 'children.fetch.input.at'],
      ['the input of a spawned actor', (at) => ({ entry: spawnChild('fetch', { id: 'f', input: { at } }) }), 'children.f.input.at'],
      [
        'the context of an invoked machine',
        (at) => ({ invoke: { id: 'kid', src: 'kid', input: { at } } }),
        'children.kid.context.given.at',
      ],
      [
        'the context of a spawned machine',
        (at) => ({ entry: spawnChild('kid', { id: 'kid', input: { at } }) }),
        'children.kid.context.given.at',
      ],
      ['a delayed event', (at) => ({ entry: raise({ type: 'remind', at } as never, { delay: 60_000 }) }), 'delayed.remind.at'],
    ];
    const refused = (path: string) => ({
      detail: { error: { code: 'DROVER_MACHINE_CONTEXT', message: expect.stringContaining(`: ${path} is remembered`) as unknown } },
    });
    const failing = async (state: object): Promise<unknown> => {
      await using bed = new Testbed();
      const states = { here: { ...state, on: { remind: 'done' } }, done: { type: 'final' } };
      const machine = setup({ actors: { fetch, kid } }).createMachine({ context: {}, initial: 'here', states } as never);
      const fleet = await bed.start({ agents: { work: agent({ machine: machine as never, attempts: 1 }) } });
      const handle = await bed.drive(fleet.submit('work', undefined));
      return bed.rejection(handle.result());
    };

    test.each(places.flatMap(([place, state, path]) => odd.map(([what, at]) => [what, place, state(at), path] as const)))(
      'fails over %s in %s',
      async (_what, _place, state, path) => {
        const error = await failing(state);
        expect(error).toMatchObject(refused(path));
      },
    );

    test('fails over an actor that an operation is given: it would come back as its id', async () => {
      const error = await failing({ invoke: { id: 'fetch', src: 'fetch', input: ({ self }: { readonly self: unknown }) => ({ self }) } });
      expect(error).toMatchObject(refused('children.fetch.input.self'));
    });
  });

  test('by an operation that writes rows is told what to do instead', async () => {
    await using bed = new Testbed();
    const write = operation((_input: undefined, ctx) => ctx.state.set('stock', 1, null));
    const machine = setup({ actors: { write } }).createMachine({ initial: 'w', states: { w: { invoke: { id: 'write', src: 'write' } } } });
    const fleet = await bed.start({ agents: { work: agent({ machine, attempts: 1, writes: ['stock'] }) } });
    const handle = await bed.drive(fleet.submit('work', undefined));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_MACHINE_STATE' } } });
  });
});

describe('a machine that is changed while a task is in it', () => {
  const version = (at: string, resting: string, onVersionChange: 'replay' | 'restart' | 'refuse' = 'replay') =>
    agent({
      version: at,
      onVersionChange,
      machine: setup({ types: { output: {} as string } }).createMachine({
        id: 'm',
        initial: resting,
        states: { [resting]: { after: { 60_000: 'done' } }, done: { type: 'final' } },
        output: at,
      }),
    });
  const changed = async (bed: Testbed, onVersionChange: 'replay' | 'restart' | 'refuse', to = 'sleeping') => {
    const fleet = await bed.start({ agents: { work: version('1', 'resting') } });
    await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
    await bed.advance(30_000);
    await bed.close(fleet);
    const next = await bed.start({ agents: { work: version('2', to, onVersionChange) } });
    return { next, handle: await bed.drive(next.submit('work', undefined, { id: 'o' })) };
  };

  test('goes on where its state is still there', async () => {
    await using bed = new Testbed();
    const from = bed.nowMs;
    const { handle } = await changed(bed, 'replay', 'resting');
    expect(await bed.drive(handle.result())).toBe('2');
    expect(bed.nowMs - from).toBeLessThan(62_000);
  });

  test('fails with what is missing where it is not, and can be put back under the former one', async () => {
    await using bed = new Testbed();
    const { next, handle } = await changed(bed, 'replay');
    const error = await bed.rejection(handle.result());
    expect(error).toMatchObject({ detail: { status: 'failed', error: { code: 'DROVER_MACHINE_CHANGED' } } });
    expect(error.message).toMatch(/machine m has no state resting any more.*version 1/);
    await bed.close(next);
    const former = await bed.start({ agents: { work: version('1', 'resting') } });
    await bed.drive(former.requeue('o'));
    await bed.advance(1_000);
    expect(await former.task('o')).toMatchObject({ status: 'completed' });
  });

  const delays = (after: object, extra: object = {}) =>
    createMachine({
      id: 'm',
      initial: 'resting',
      states: {
        resting: { after, ...extra },
        soon: { type: 'final', output: 'soon' },
        late: { type: 'final', output: 'late' },
      },
      output: ({ event }: { event: { output?: unknown } }) => event.output,
    } as never) as never;

  test.each([
    ['whose length is changed brings the other one, when it was set for', { 60_000: 'soon' }, { 90_000: 'soon' }, 'soon', 60_000],
    ['that is one of two finds the nearer one', { 60_000: 'soon', 80_000: 'late' }, { 50_000: 'soon', 80_000: 'late' }, 'soon', 60_000],
    ['that gets a name finds it', { 60_000: 'soon' }, { timeout: 'soon' }, 'soon', 60_000],
    ['that is there no more lets the others come', { 60_000: 'soon', 80_000: 'late' }, { 80_000: 'late' }, 'late', 80_000],
  ])('a delay under way %s', async (_what, before, after, output, dueMs) => {
    await using bed = new Testbed();
    const from = bed.nowMs;
    const fleet = await bed.start({ agents: { work: agent({ version: '1', machine: delays(before) }) } });
    await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
    await bed.advance(30_000);
    await bed.close(fleet);
    const next = await bed.start({ agents: { work: agent({ version: '2', machine: delays(after) }) } });
    const handle = await bed.drive(next.submit('work', undefined, { id: 'o' }));
    expect(await bed.drive(handle.result())).toBe(output);
    expect(bed.nowMs - from).toBeGreaterThanOrEqual(dueMs);
    expect(bed.nowMs - from).toBeLessThan(dueMs + 1_000);
  });

  test('what was registered is undone though its state is there no more, once it is cancelled', async () => {
    await using bed = new Testbed();
    const undone: string[] = [];
    const pays = operation(async (_input: undefined, ctx) => {
      await ctx.compensate('pay', () => void undone.push('pay'));
      await ctx.step('pay', () => null);
    });
    const booking = (rest: string) =>
      createMachine({
        initial: 'booking',
        states: { booking: { invoke: { src: 'pays', onDone: rest } }, [rest]: { after: { 60_000: 'done' } }, done: { type: 'final' } },
      } as never).provide({ actors: { pays } }) as never;
    const fleet = await bed.start({ agents: { work: agent({ version: '1', machine: booking('resting') }) } });
    await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
    await bed.advance(30_000);
    await bed.close(fleet);
    const next = await bed.start({ agents: { work: agent({ version: '2', machine: booking('sleeping') }) } });
    await bed.advance(60_000);
    expect(await next.task('o')).toMatchObject({
      status: 'failed',
      kept: true,
      error: { code: 'DROVER_MACHINE_CHANGED' },
    });
    expect(undone).toEqual([]);
    await bed.drive(next.cancel('o'));
    await bed.advance(1_000);
    expect(await next.task('o')).toMatchObject({ status: 'cancelled' });
    expect(undone).toEqual(['pay']);
  });

  test('that was a function, or becomes one, under one version has gone another way: nothing is made twice', async () => {
    const paid: string[] = [];
    const pays = operation(async (_: unknown, ctx) => {
      await ctx.step('pay', () => paid.push('machine'));
      await ctx.sleep(60_000);
    });
    const machine = setup({ actors: { pays } }).createMachine({
      initial: 'paying',
      states: { paying: { invoke: { src: 'pays', onDone: 'done' } }, done: { type: 'final' } },
    });
    const asMachine = agent({ machine });
    const asFunction = agent({
      run: async (_: undefined, ctx) => {
        await ctx.step('pay', () => paid.push('function'));
        await ctx.sleep(60_000);
      },
    });
    for (const [before, after] of [
      [asFunction, asMachine],
      [asMachine, asFunction],
    ] as const) {
      await using bed = new Testbed();
      const fleet = await bed.start({ agents: { work: before as typeof asFunction } });
      await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
      await bed.advance(30_000);
      await bed.close(fleet);
      const next = await bed.start({ agents: { work: after as typeof asFunction } });
      const error = await bed.rejection((await bed.drive(next.submit('work', undefined, { id: 'o' }))).result());
      expect(error).toMatchObject({ detail: { error: { code: 'DROVER_REPLAY_DIVERGED' } } });
    }
    expect(paid).toEqual(['function', 'machine']);
  });

  test('begins again with `restart`, and is refused with `refuse`', async () => {
    await using bed = new Testbed();
    const { handle } = await changed(bed, 'restart');
    expect(await bed.drive(handle.result())).toBe('2');
    await using other = new Testbed();
    const { handle: refused } = await changed(other, 'refuse');
    expect(await other.rejection(refused.result())).toMatchObject({ detail: { error: { code: 'DROVER_VERSION_REFUSED' } } });
  });
});

describe('a machine is refused when it is defined', () => {
  const invoking = (src: unknown) =>
    createMachine({ initial: 'a', states: { a: { initial: 'b', states: { b: { invoke: { id: 'x', src } } } } } } as never);
  test.each([
    [
      'with a promise of its own',
      () => agent({ machine: invoking(fromPromise(async () => 1)) }),
      'agent.machine.states.a.states.b.invoke.x',
    ],
    ['with a callback of its own', () => agent({ machine: invoking(fromCallback(() => {})) }), 'agent.machine.states.a.states.b.invoke.x'],
    ['with an actor that is not there', () => agent({ machine: invoking('nobody') }), 'agent.machine.states.a.states.b.invoke.x'],
    [
      'with a named actor that is none of its operations',
      () => agent({ machine: setup({ actors: { wild: fromPromise(async () => 1) } }).createMachine({}) }),
      'agent.machine.actors.wild',
    ],
    [
      'with such an actor in a machine within it',
      () => agent({ machine: setup({ actors: { inner: invoking(fromCallback(() => {})) } }).createMachine({}) }),
      'agent.machine.actors.inner.states.a.states.b.invoke.x',
    ],
    ['when it is none', () => agent({ machine: {} as never }), 'agent.machine'],
    ['beside a run', () => agent({ machine: createMachine({}), run: async () => 1 } as never), 'agent.run'],
    ['when there is neither', () => agent({} as never), 'agent.run'],
    ['in a thread', () => agent({ machine: createMachine({}), isolation: 'thread' } as never), 'agent.isolation'],
  ])('%s', (_what, define, path) => {
    expect(define).toThrow(
      expect.objectContaining({ code: 'DROVER_TOPOLOGY', detail: expect.objectContaining({ path: path.split('.') }) as unknown }) as Error,
    );
  });
});

test('an operation of a machine that nobody runs as an agent says so', async () => {
  const { createActor } = await import('xstate');
  const machine = setup({ actors: { lost: operation(async () => 1) } }).createMachine({ invoke: { id: 'lost', src: 'lost' } });
  const actor = createActor(machine);
  const failed = new Promise((resolve) => actor.subscribe({ error: resolve }));
  actor.start();
  expect(await failed).toMatchObject({ code: 'DROVER_OPERATION_OUTSIDE' });
});

test('a delayed message to another actor of the machine survives too', async () => {
  await using bed = new Testbed();
  const inner = createMachine({ id: 'inner', initial: 'a', states: { a: { on: { go: 'b' } }, b: { type: 'final' } } });
  const machine = setup({ actors: { inner }, types: { output: {} as string } }).createMachine({
    initial: 'here',
    states: {
      here: { entry: sendTo('inner', { type: 'go' }, { delay: 20_000 }), invoke: { id: 'inner', src: 'inner', onDone: 'done' } },
      done: { type: 'final' },
    },
    output: 'gone',
  });
  const work = agent({ machine });
  const fleet = await bed.start({ agents: { work } });
  await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
  await bed.advance(10_000);
  bed.kill();
  const from = bed.nowMs;
  const next = await bed.start({ agents: { work } });
  const handle = await bed.drive(next.submit('work', undefined, { id: 'o' }));
  expect(await bed.drive(handle.result())).toBe('gone');
  expect(bed.nowMs - from).toBeLessThan(10_500);
});
