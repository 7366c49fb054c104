/** What a statechart has asked people in a state that it has left: nobody decides that any more. */
import { describe, expect, test } from 'vitest';
import { createMachine } from 'xstate';
import { z } from 'zod';
import { agent, operation } from 'drover';
import type { Context, Fleet } from 'drover';
import { killedAtEachCommit } from './killed.ts';
import { Testbed } from './harness.ts';

const events = { back: z.object({}), on: z.object({}) };

/** Asks, is tired of waiting after ten seconds, and may be told to go back and ask again. */
function asking(asks: (ctx: Context) => Promise<unknown> = (ctx) => ctx.approval('pay', 'may I?'), changes: object = {}) {
  const machine = createMachine({
    initial: 'asking',
    states: {
      asking: { invoke: { id: 'asks', src: 'asks', onDone: 'done' }, after: { 10_000: 'tired' }, on: { on: 'tired' } },
      tired: { on: { back: 'asking', on: 'done' } },
      done: { type: 'final' },
    },
  }).provide({ actors: { asks: operation((_input: undefined, ctx) => asks(ctx)) } });
  return agent({ events, lingerMs: 5, leaseMs: 5_000, machine: machine as never, ...changes });
}

const listed = async (bed: Testbed, fleet: Pick<Fleet, 'approvals'>): Promise<readonly string[]> =>
  (await bed.drive(fleet.approvals())).map(({ name }) => name);

describe('an approval whose state a statechart has left', () => {
  test('is not listed, and deciding it is refused, also after a restart', async () => {
    await using bed = new Testbed();
    const agents = { work: asking() };
    let fleet = await bed.start({ agents });
    await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
    await bed.advance(1_000);
    expect(await listed(bed, fleet)).toEqual(['pay/asks#1']);
    await bed.advance(10_000);
    for (let round = 0; round < 2; round += 1) {
      expect(await listed(bed, fleet)).toEqual([]);
      expect(await bed.rejection(fleet.approve('a', 'pay/asks#1'))).toMatchObject({ code: 'DROVER_APPROVAL_NOT_ASKED' });
      expect(await fleet.task('a')).toMatchObject({ status: 'parked', parkedFor: 'event' });
      bed.kill();
      fleet = await bed.start({ agents });
    }
  });

  test('entered again asks anew, and is decided', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { work: asking() } });
    const handle = await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
    await bed.advance(12_000);
    await bed.drive(fleet.signal('a', 'back', {}));
    await bed.advance(1_000);
    expect(await listed(bed, fleet)).toEqual(['pay/asks#2']);
    await bed.drive(fleet.approve('a', 'pay/asks#2'));
    await bed.drive(handle.result());
  });

  test('is withdrawn whenever the process dies', async () => {
    const plays = await killedAtEachCommit(
      () => ({ agents: { work: asking() } }),
      async (mortal, killAt) => {
        const wait = (ms: number) => mortal.ask(async () => mortal.bed.sleep(ms));
        await mortal.ask((fleet) => fleet.submit('work', undefined, { id: 'a' }));
        await wait(1_000);
        await mortal.ask((fleet) => fleet.signal('a', 'on', {}, { key: '1' }));
        await wait(20_000);
        expect(await mortal.ask((fleet) => fleet.approvals())).toEqual([]);
        if (killAt === 0) expect(mortal.commits).toContain('withdrawApproval');
      },
    );
    expect(plays).toBeGreaterThan(5);
  });

  test('is withdrawn though the operation had not come by it again when its delay was over', async () => {
    await using bed = new Testbed();
    let isFirst = true;
    const agents = {
      work: asking(async (ctx) => {
        // Its own time, which nobody remembers.
        if (!isFirst) await bed.sleep(60_000);
        isFirst = false;
        return ctx.approval('pay', 'may I?');
      }),
    };
    const fleet = await bed.start({ agents });
    await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
    await bed.advance(1_000);
    expect(await listed(bed, fleet)).toEqual(['pay/asks#1']);
    bed.kill();
    const next = await bed.start({ agents });
    await bed.advance(30_000);
    expect(await listed(bed, next)).toEqual([]);
  });

  test('is withdrawn where its question is slow to come to the store', async () => {
    await using bed = new Testbed();
    // It waits for what it is told in memory: the question is not an older holder's.
    const fleet = await bed.start({ agents: { work: asking(undefined, { lingerMs: 60_000 }) } });
    bed.faults.delays = (command) => [command === 'askApproval' ? 12_000 : 0, 0];
    await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
    await bed.advance(20_000);
    expect(await listed(bed, fleet)).toEqual([]);
  });

  test('is withdrawn where the operation has ended without it, and stays where it has not', async () => {
    await using bed = new Testbed();
    const quick = asking((ctx) => Promise.race([ctx.approval('pay', 'may I?'), ctx.approval('other', 'or I?')]));
    const machine = createMachine({
      initial: 'asking',
      states: {
        asking: { invoke: { id: 'asks', src: 'asks', onDone: 'next' } },
        next: { invoke: { id: 'more', src: 'more', onDone: 'done' } },
        done: { type: 'final' },
      },
    }).provide({
      actors: {
        asks: operation((_input: undefined, ctx) => Promise.race([ctx.approval('pay', 1), ctx.approval('other', 1)])),
        more: operation((_input: undefined, ctx) => ctx.approval('pay', 1)),
      },
    });
    const fleet = await bed.start({ agents: { quick, work: agent({ lingerMs: 5, machine: machine as never }) } });
    await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
    await bed.advance(1_000);
    expect(await listed(bed, fleet)).toEqual(['pay/asks#1', 'other/asks#1']);
    await bed.drive(fleet.approve('a', 'other/asks#1'));
    await bed.advance(1_000);
    expect(await listed(bed, fleet)).toEqual(['pay/more#1']);
  });

  test('is asked again by a task that begins from the start', async () => {
    await using bed = new Testbed();
    const version = (at: string) => ({ agents: { work: asking(undefined, { version: at, onVersionChange: 'restart' }) } });
    const fleet = await bed.start(version('1'));
    await bed.drive(fleet.submit('work', undefined, { id: 'a' }));
    await bed.advance(12_000);
    await bed.close(fleet);
    const next = await bed.start(version('2'));
    const handle = await bed.drive(next.submit('work', undefined, { id: 'a' }));
    await bed.drive(next.signal('a', 'back', {}));
    await bed.advance(1_000);
    expect(await listed(bed, next)).toEqual(['pay/asks#1@2']);
    await bed.drive(next.approve('a', 'pay/asks#1@2'));
    await bed.drive(handle.result());
  });
});
