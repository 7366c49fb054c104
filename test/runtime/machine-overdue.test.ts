/** Delays of a statechart that were over while nobody ran it, and what it was told meanwhile: in the order of their times. */
import { describe, expect, test } from 'vitest';
import { assign, createMachine } from 'xstate';
import type { AnyStateMachine } from 'xstate';
import { z } from 'zod';
import { agent, contract, operation } from 'drover';
import type { Context, Fleet } from 'drover';
import { Testbed } from './harness.ts';

const DUE_MS = 10_000;
const events = { go: z.object({}), other: z.object({}) };

/** Late after ten seconds. */
function late(waiting: object, actors: object = {}): AnyStateMachine {
  const ends = (end: string) => ({ type: 'final', entry: assign({ end }) });
  return createMachine({
    id: 'late',
    context: { end: '' },
    initial: 'waiting',
    states: {
      waiting: { ...waiting, after: { [DUE_MS]: 'late' } },
      inTime: ends('inTime'),
      failed: ends('failed'),
      late: ends('late'),
    },
    output: ({ context }: { readonly context: { readonly end: string } }) => context.end,
  } as never).provide({ actors });
}

function lateWith(wait: (ctx: Context) => Promise<unknown>): AnyStateMachine {
  const waits = operation((_input: undefined, ctx) => wait(ctx));
  return late({ invoke: { id: 'waits', src: 'waits', onDone: 'inTime', onError: 'failed' } }, { waits });
}

const waiting = {
  'an event for a plain run': {
    run: (_input: unknown, ctx: Context) =>
      ctx.waitFor('go', { withinMs: DUE_MS }).then(
        () => 'inTime',
        () => 'late',
      ),
  },
  'an event for the machine': { machine: late({ on: { go: 'inTime' } }) },
  'an event for an operation': { machine: lateWith((ctx) => ctx.waitFor('go')) },
  'an approval': { machine: lateWith((ctx) => ctx.approval('go', 'may I?')) },
  'an answer': { machine: lateWith((ctx) => ctx.ask('clerk', undefined)) },
};

describe.each(Object.entries(waiting))('%s that came while the task was paused, and a delay that was over by then', (what, does) => {
  const tell = async (fleet: Fleet, bed: Testbed): Promise<void> => {
    if (what === 'an approval') return bed.drive(fleet.approve('a', 'go/waits#1'));
    if (what !== 'an answer') return bed.drive(fleet.signal('a', 'go', {}));
    const [child] = await bed.drive(fleet.tasks({ kind: 'clerk' }));
    return bed.drive(fleet.signal(child!.id, 'go', {}));
  };

  test.each([
    ['before it', DUE_MS - 1_000, 'inTime'],
    ['at the same instant', DUE_MS, 'late'],
    ['after it', DUE_MS + 1_000, 'late'],
  ])('%s', async (_when, atMs, end) => {
    for (const isKilled of [false, true]) {
      await using bed = new Testbed();
      const clerk = agent({ events, lingerMs: 5, run: (_input, ctx) => ctx.waitFor('go') });
      const work = agent({
        asks: { clerk: contract<unknown, unknown, unknown, unknown>({}) },
        events,
        lingerMs: 5,
        ...(does as object),
      } as never);
      const agents = { work, clerk };
      let fleet = await bed.start({ agents });
      const from = bed.nowMs;
      await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
      await bed.advance(2_000);
      await bed.drive(fleet.pause('a'));
      await bed.advance(from + atMs - bed.nowMs);
      await tell(fleet as never, bed);
      await bed.advance(DUE_MS);
      if (isKilled) {
        bed.kill();
        fleet = await bed.start({ agents });
      }
      await bed.drive(fleet.unpause('a'));
      const handle = await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
      expect(await bed.drive(handle.result())).toBe(end);
    }
  });
});

/** Runs a machine that writes down what it gets, over half a minute in which it is paused. */
async function written(machine: object, told: readonly (readonly [atMs: number, name: 'go' | 'other'])[], faults?: (bed: Testbed) => void) {
  await using bed = new Testbed();
  const work = agent({ events, lingerMs: 5, machine: machine as never });
  const fleet = await bed.start({ agents: { work } });
  const from = bed.nowMs;
  await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
  await bed.advance(1_000);
  await bed.drive(fleet.pause('a'));
  for (const [atMs, name] of told) {
    await bed.advance(from + atMs - bed.nowMs);
    await bed.drive(fleet.signal('a', name, {}));
  }
  await bed.advance(from + 30_000 - bed.nowMs);
  faults?.(bed);
  await bed.drive(fleet.unpause('a'));
  const handle = await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
  return await bed.drive(handle.result());
}

const log = (what: string) =>
  assign({ log: ({ context }: { readonly context: { readonly log: readonly string[] } }) => [...context.log, what] });
const output = ({ context }: { readonly context: { readonly log: readonly string[] } }): readonly string[] => context.log;

const between = (actors: object = {}, invoke: readonly object[] = []) =>
  createMachine({
    context: { log: [] },
    initial: 'on',
    states: {
      on: {
        invoke,
        on: { go: { actions: log('go') }, other: { actions: log('other') } },
        after: { 10_000: { actions: log('10 s') }, 20_000: { actions: log('20 s') }, 40_000: 'off' },
      },
      off: { type: 'final' },
    },
    output,
  } as never).provide({ actors });

const TOLD = [
  [5_000, 'go'],
  [15_000, 'other'],
  [25_000, 'go'],
] as const;

describe('several delays that were over', () => {
  test('come with the events between them, each in its turn', async () => {
    expect(await written(between(), TOLD)).toEqual(['go', '10 s', 'other', '20 s', 'go']);
    expect(await written(between(), [])).toEqual(['10 s', '20 s']);
  });

  test('come with what operations slept for, and waited for', async () => {
    const sleeps = operation((_input: undefined, ctx) => ctx.sleep(15_000));
    const waits = operation((_input: undefined, ctx) => ctx.waitFor('other', { withinMs: 12_000 }));
    const invoke = [
      { id: 'sleeps', src: 'sleeps', onDone: { actions: log('slept') } },
      { id: 'waits', src: 'waits', onError: { actions: log('too late') } },
    ];
    const machine = between({ sleeps, waits }, invoke);
    expect(await written(machine, [[16_000, 'go']])).toEqual(['10 s', 'too late', 'slept', 'go', '20 s']);
  });

  test('are asked about until the store answers', async () => {
    let refused = 0;
    const faults = (bed: Testbed): void => {
      bed.faults.fault = (command) => (command === 'story' && (refused += 1) < 3 ? 'before' : undefined);
    };
    expect(await written(between(), TOLD, faults)).toEqual(['go', '10 s', 'other', '20 s', 'go']);
    expect(refused).toBe(3);
  });

  test('whose first leaves the state are not taken by what it had waited for: that stays for the next', async () => {
    const waits = operation((_input: undefined, ctx) => ctx.waitFor('go'));
    const machine = createMachine({
      context: { log: [] },
      initial: 'asking',
      states: {
        asking: { invoke: { id: 'waits', src: 'waits', onDone: { target: 'off', actions: log('answered') } }, after: { 10_000: 'open' } },
        open: { on: { go: { target: 'off', actions: log('taken') } } },
        off: { type: 'final' },
      },
      output,
    } as never).provide({ actors: { waits } });
    expect(await written(machine, [[15_000, 'go']])).toEqual(['taken']);
    expect(await written(machine, [[5_000, 'go']])).toEqual(['answered']);
  });

  test('wait for what came before them, however slow the store keeps that', async () => {
    const slow = (bed: Testbed): void => {
      bed.faults.delays = (command) => (command === 'remember' ? [300, 400] : [0, 0]);
    };
    const waits = operation((_input: undefined, ctx) => ctx.waitFor('other'));
    const machine = createMachine({
      context: { log: [] },
      initial: 'on',
      states: {
        on: {
          initial: 'one',
          states: {
            one: { on: { go: { target: 'two', actions: log('go') } } },
            two: { invoke: { id: 'waits', src: 'waits', onDone: { target: '#off', actions: log('other') } } },
          },
          after: { 10_000: { target: '#off', actions: log('10 s') } },
        },
        off: { id: 'off', type: 'final' },
      },
      output,
    } as never).provide({ actors: { waits } });
    const told = (otherMs: number) =>
      [
        [5_000, 'go'],
        [otherMs, 'other'],
      ] as const;
    expect(await written(machine, told(6_000), slow)).toEqual(['go', 'other']);
    expect(await written(machine, told(12_000), slow)).toEqual(['go', '10 s']);
  });
});
