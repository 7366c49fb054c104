/** A run that is to let go at its next safe point, while its statechart leaves a state: what it had in flight is not made again. */
import { describe, expect, test } from 'vitest';
import { createMachine } from 'xstate';
import type { AnyStateMachine } from 'xstate';
import { z } from 'zod';
import { agent, operation } from 'drover';
import type { Fleet } from 'drover';
import { Testbed } from './harness.ts';

const WORKER = 'test/agents/work/0';
const REST_MS = 3_000_000;

const lettingGo: Readonly<
  Record<string, { readonly stop: (fleet: Fleet) => Promise<unknown>; readonly go: (fleet: Fleet) => Promise<unknown> }>
> = {
  pause: { stop: (fleet) => fleet.pause('a'), go: (fleet) => fleet.unpause('a') },
  suspend: { stop: (fleet) => fleet.suspend(WORKER), go: (fleet) => fleet.resume(WORKER, 'operator') },
  restart: { stop: (fleet) => fleet.restart(WORKER), go: async () => {} },
};

/** Pays for a second in `one`, and rests for fifty minutes in `two`. */
function pays(bed: Testbed, made: number[], leaving: object): AnyStateMachine {
  return createMachine({
    initial: 'one',
    states: {
      one: {
        invoke: [{ src: 'pay', id: 'pay', onDone: 'two' }, ...((leaving as { invoke?: object[] }).invoke ?? [])],
        ...withoutInvoke(leaving),
      },
      two: { after: { [REST_MS]: 'rested' }, on: { fin: 'rested' } },
      rested: { type: 'final' },
    },
  } as never).provide({
    actors: {
      pay: operation((_input: undefined, ctx) =>
        ctx.step('pay', async () => {
          made.push(bed.nowMs);
          await bed.sleep(1_000);
        }),
      ),
      other: operation((_input: undefined, ctx) => ctx.sleep(100)),
    },
  });
}

function withoutInvoke({ invoke: _invoke, ...rest }: { readonly invoke?: object[] }): object {
  return rest;
}

const leaving = {
  'an event': { on: { go: 'two' } },
  'a delay': { after: { 100: 'two' } },
  'another operation': { invoke: [{ src: 'other', id: 'other', onDone: 'two' }] },
};

describe.each(Object.entries(lettingGo))('%s, while an operation is in flight whose state is left', (_how, { stop, go }) => {
  test.each(Object.entries(leaving))('by %s: it is made once, and what is entered counts from then', async (by, how) => {
    await using bed = new Testbed();
    const made: number[] = [];
    const events = { go: z.object({}), fin: z.object({}) };
    const fleet = await bed.start({ agents: { work: agent({ events, lingerMs: 5, machine: pays(bed, made, how) }) } });
    const handle = await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
    await bed.until(() => made.length === 1);
    const fromMs = bed.nowMs;
    const stopping = stop(fleet as Fleet);
    await bed.advance(10);
    if (by === 'an event') await bed.drive(fleet.signal('a', 'go', {}));
    await bed.advance(5_000);
    await bed.drive(stopping);
    await bed.drive(go(fleet as Fleet));
    await bed.drive(handle.result());
    expect(made).toHaveLength(1);
    expect(bed.nowMs - fromMs).toBeLessThan(REST_MS + 10_000);
  });

  test('an event for the state that was entered is taken at once', async () => {
    await using bed = new Testbed();
    const made: number[] = [];
    const events = { fin: z.object({}) };
    const fleet = await bed.start({ agents: { work: agent({ events, lingerMs: 5, machine: pays(bed, made, leaving['a delay']) }) } });
    const handle = await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
    await bed.until(() => made.length === 1);
    const fromMs = bed.nowMs;
    await bed.drive(stop(fleet as Fleet));
    await bed.advance(5_000);
    await bed.drive(go(fleet as Fleet));
    await bed.advance(1_000);
    await bed.drive(fleet.signal('a', 'fin', {}));
    await bed.drive(handle.result());
    expect(made).toHaveLength(1);
    expect(bed.nowMs - fromMs).toBeLessThan(10_000);
  });
});

test('a run does not park over an operation that waits for what is none of ctx, and does once that has ended', async () => {
  await using bed = new Testbed();
  let began = 0;
  const looks = operation(async () => {
    began += 1;
    await bed.sleep(1_000);
  });
  const machine = createMachine({
    type: 'parallel',
    states: {
      left: { initial: 'looks', states: { looks: { invoke: { src: 'looks', onDone: 'seen' } }, seen: {} } },
      right: { after: { [REST_MS]: '.over' }, initial: 'rests', states: { rests: {}, over: {} } },
    },
  } as never).provide({ actors: { looks } });
  const fleet = await bed.start({ agents: { work: agent({ machine }) } });
  await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
  await bed.advance(900);
  expect(await bed.drive(fleet.task('a'))).toMatchObject({ status: 'running' });
  await bed.advance(1_000);
  expect(await bed.drive(fleet.task('a'))).toMatchObject({ status: 'parked', parkedFor: 'sleep' });
  expect(began).toBe(1);
});
