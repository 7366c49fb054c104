/** The outside events of a statechart: taken at once, in the order in which they were told, and never lost. */
import { describe, expect, test } from 'vitest';
import { assign, createMachine, setup } from 'xstate';
import { z } from 'zod';
import { agent, operation } from 'drover';
import { killedAtEachCommit } from './killed.ts';
import { Testbed } from './harness.ts';
import type { Service } from './harness.ts';

const cents = z.object({ cents: z.int() });

/** Opens by a call, takes deposits, and says at the end what it has. Declares its events in another order than they are told. */
function account(service: Service) {
  const open = operation((_input: undefined, ctx) => ctx.call('service', 'open'));
  const machine = setup({
    types: { context: {} as { balance: number; log: readonly string[] }, output: {} as { balance: number; log: readonly string[] } },
    actors: { open },
    guards: { isCovered: ({ context, event }) => context.balance >= (event.cents as number) },
    actions: { log: assign({ log: ({ context, event }) => [...context.log, `${event.type} ${String(event.cents ?? '')}`.trim()] }) },
  }).createMachine({
    id: 'account',
    context: { balance: 0, log: [] },
    initial: 'opening',
    states: {
      opening: { invoke: { id: 'open', src: 'open', onDone: 'open' }, on: { abort: 'closed' } },
      open: {
        on: {
          deposit: { actions: [assign({ balance: ({ context, event }) => context.balance + (event.cents as number) }), 'log'] },
          withdraw: {
            guard: 'isCovered',
            actions: [assign({ balance: ({ context, event }) => context.balance - (event.cents as number) }), 'log'],
          },
          close: 'closed',
        },
      },
      closed: { type: 'final' },
    },
    output: ({ context }) => ({ ...context }),
  });
  const events = { abort: z.object({}), close: z.object({}), withdraw: cents, deposit: cents };
  return agent({ uses: { service: service.dependency }, events, leaseMs: 5_000, lingerMs: 5, machine });
}

describe('an event for a machine', () => {
  test('that is told while an operation is in flight is taken at once, and what is in flight is given up', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 20_000, reply: 'open' }));
    const fleet = await bed.start({ agents: { work: account(service) } });
    const handle = await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
    await bed.until(() => service.inFlight === 1);
    await bed.drive(fleet.signal('a', 'abort', {}));
    expect(await bed.drive(handle.result(), 100)).toEqual({ balance: 0, log: [] });
    expect(service.calls[0]!.aborted).toBeDefined();
  });

  test('is taken in the order of telling, whatever the names, and not lost to the transition before it', async () => {
    const plays = await killedAtEachCommit(
      (bed) => ({ agents: { work: account(bed.service({}, () => ({ afterMs: 2_000, reply: 'open' }))) } }),
      async (mortal) => {
        await mortal.ask((fleet) => fleet.submit('work', undefined, { id: 'a' }));
        const told = [
          ['deposit', 5],
          ['withdraw', 2],
          ['deposit', 1],
          ['close', 0],
        ] as const;
        for (const [at, [name, amount]] of told.entries()) {
          await mortal.ask((fleet) => fleet.signal('a', name, name === 'close' ? {} : { cents: amount }, { key: String(at) }));
        }
        const { result } = await mortal.end('a');
        expect(result).toEqual({ balance: 4, log: ['deposit 5', 'withdraw 2', 'deposit 1'] });
      },
    );
    expect(plays).toBeGreaterThan(10);
  });

  test('that a guard refuses waits until it does not, and lets others of its name pass, over a crash too', async () => {
    await using bed = new Testbed();
    const work = account(bed.service());
    let fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
    const told = [
      ['deposit', 10],
      ['withdraw', 50],
      ['withdraw', 3],
      ['withdraw', 4],
    ] as const;
    for (const [name, amount] of told) await bed.drive(fleet.signal('a', name, { cents: amount }));
    await bed.advance(60_000);
    expect(await fleet.task('a')).toMatchObject({ status: 'parked', parkedFor: 'event' });
    bed.kill();
    fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
    await bed.drive(fleet.signal('a', 'withdraw', { cents: 1 }));
    await bed.drive(fleet.signal('a', 'deposit', { cents: 100 }));
    await bed.advance(60_000);
    await bed.drive(fleet.signal('a', 'close', {}));
    const log = ['deposit 10', 'withdraw 3', 'withdraw 4', 'withdraw 1', 'deposit 100', 'withdraw 50'];
    expect(await bed.drive(handle.result())).toEqual({ balance: 52, log });
  });

  test('that came after an operation had ended comes after it in the next run too', async () => {
    await using bed = new Testbed();
    const service = bed.service({}, () => ({ afterMs: 1_000, reply: 'open' }));
    const work = account(service);
    let fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
    await bed.until(() => service.inFlight === 1);
    // What the call brought is remembered; that the machine has gone on is on its way to the store when the process dies.
    let kept = 0;
    bed.faults.delays = (command) => [command === 'remember' && (kept += 1) > 1 ? 3_600_000 : 0, 0];
    await bed.advance(5_000);
    expect(kept).toBe(2);
    await bed.drive(fleet.signal('a', 'abort', {}));
    bed.faults.delays = undefined;
    bed.kill();
    fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
    await bed.drive(fleet.signal('a', 'deposit', { cents: 7 }));
    await bed.drive(fleet.signal('a', 'close', {}));
    expect(await bed.drive(handle.result())).toEqual({ balance: 7, log: ['deposit 7'] });
    expect(service.calls).toHaveLength(1);
  });

  test('that an operation of it waits for is that operation’s', async () => {
    await using bed = new Testbed();
    const ask = operation((_input: undefined, ctx) => ctx.waitFor('paid') as Promise<{ cents: number }>);
    const machine = setup({
      types: { context: {} as { own: number; asked: number } },
      actors: { ask },
    }).createMachine({
      id: 'shared',
      context: { own: 0, asked: 0 },
      initial: 'asking',
      states: {
        asking: {
          invoke: { id: 'ask', src: 'ask', onDone: { target: 'open', actions: assign({ asked: ({ event }) => event.output.cents }) } },
        },
        open: { on: { paid: { target: 'done', actions: assign({ own: ({ event }) => (event as unknown as { cents: number }).cents }) } } },
        done: { type: 'final' },
      },
      output: ({ context }) => ({ ...context }),
    });
    const fleet = await bed.start({ agents: { work: agent({ events: { paid: cents }, lingerMs: 5, machine }) } });
    const handle = await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
    await bed.drive(fleet.signal('a', 'paid', { cents: 1 }));
    await bed.drive(fleet.signal('a', 'paid', { cents: 2 }));
    expect(await bed.drive(handle.result())).toEqual({ own: 2, asked: 1 });
  });
});

test('an event that a former version had taken off the line, and not given to the machine, is given', async () => {
  await using bed = new Testbed();
  const work = account(bed.service());
  const fleet = await bed.start({ agents: { work } });
  const handle = await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
  await bed.drive(fleet.signal('a', 'deposit', { cents: 1 }));
  await bed.advance(60_000);
  await bed.drive(fleet.pauseKind('work'));
  await bed.drive(fleet.signal('a', 'deposit', { cents: 2 }));
  // As it remembered them: by waits of the machine's own, of which the record says how many had been given.
  const owner = bed.disk.owner!;
  await bed.drive(owner.pauseKinds([{ kind: 'work', paused: false }]));
  const [claimed] = await owner.claim({ wants: [{ kind: 'work', limit: 1 }], leaseUntilMs: bed.nowMs + 1_000, nowMs: bed.nowMs });
  const { id, fence } = claimed!;
  await owner.start([{ id, fence }], bed.nowMs);
  const waits = [1, 2].map((n) => ({ place: `wait:deposit#${n}/machine`, value: JSON.stringify({ n: n - 1, value: `{"cents":${n}}` }) }));
  await owner.remember(
    waits.map((wait) => ({ id, fence, hash: '', ...wait })),
    bed.nowMs,
  );
  await owner.settle([{ id, fence, outcome: { at: 'released' } }], bed.nowMs);
  await bed.drive(fleet.unpauseKind('work'));
  await bed.drive(fleet.signal('a', 'close', {}));
  expect(await bed.drive(handle.result())).toEqual({ balance: 3, log: ['deposit 1', 'deposit 2'] });
});

test('a guard that throws ends the machine, as it would in XState', async () => {
  await using bed = new Testbed();
  const machine = setup({
    guards: {
      breaks: () => {
        throw new Error('the guard broke');
      },
    },
  }).createMachine({ id: 'odd', initial: 'a', states: { a: { on: { paid: { guard: 'breaks', target: 'b' } } }, b: { type: 'final' } } });
  const fleet = await bed.start({ agents: { work: agent({ attempts: 1, events: { paid: cents }, machine }) } });
  const handle = await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
  await bed.drive(fleet.signal('a', 'paid', { cents: 1 }));
  expect((await bed.rejection(handle.result())).message).toContain('the guard broke');
});

test('an event that does not fit the schema of the code that runs now keeps the task as it stands', async () => {
  await using bed = new Testbed();
  const work = (go: z.ZodType) =>
    agent({
      events: { go },
      machine: createMachine({
        initial: 'resting',
        states: { resting: { after: { 10_000: 'waiting' } }, waiting: { on: { go: 'done' } }, done: { type: 'final' } },
      }),
    });
  const old = await bed.start({ agents: { work: work(z.object({ n: z.number() })) } });
  await bed.drive(old.submit('work', undefined, { id: 'x' }));
  await bed.drive(old.signal('x', 'go', { n: 1 }));
  await bed.advance(1_000);
  await bed.close(old);
  const changed = await bed.start({ agents: { work: work(z.object({ n: z.string() })) } });
  await bed.advance(20_000);
  expect(await changed.task('x')).toMatchObject({ status: 'failed', kept: true });
  await bed.close(changed);
  const back = await bed.start({ agents: { work: work(z.object({ n: z.number() })) } });
  await bed.drive(back.requeue('x'));
  await bed.advance(20_000);
  expect(await back.task('x')).toMatchObject({ status: 'completed' });
});
