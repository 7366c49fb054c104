/** Busy: what is told from outside while a run has something in flight ends its waits at once, and a replay goes the same way. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { agent } from 'drover';
import { killedAtEachCommit } from './killed.ts';
import { Testbed } from './harness.ts';
import type { Service } from './harness.ts';

const LONG_MS = 60_000;

/** A call that takes long is raced with a wait; then the run parks, and is replayed. */
function racer(service: Service, seen: unknown[], wait: 'event' | 'approval' | 'approval that is over') {
  return agent({
    uses: { service: service.dependency },
    events: { abort: z.string() },
    lingerMs: 5,
    async run(_input: null, ctx) {
      const told =
        wait === 'event'
          ? ctx.waitFor('abort')
          : ctx.approval('stop', null, wait === 'approval' ? {} : { withinMs: 1_500 }).then(
              ({ by }) => by,
              (error: { code: string }) => error.code,
            );
      const first = await Promise.race([ctx.call('service', 'long'), told]);
      seen.push(first);
      await ctx.sleep(2 * LONG_MS);
      return first;
    },
  });
}

describe('while a call is in flight', () => {
  test.each([
    ['event', 'told'],
    ['approval', 'Ada'],
    ['approval that is over', 'DROVER_WAIT_TIMEOUT'],
  ] as const)('an %s ends its wait at once, and every replay sees the same', async (wait, expected) => {
    await using bed = new Testbed();
    const seen: unknown[] = [];
    const service = bed.service({ timeoutMs: 2 * LONG_MS }, () => ({ afterMs: LONG_MS, reply: 'long' }));
    const work = racer(service, seen, wait);
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.until(() => service.inFlight === 1);
    await bed.advance(1_000);
    if (wait === 'event') await bed.drive(fleet.signal('x', 'abort', 'told'));
    if (wait === 'approval') await bed.drive(fleet.approve('x', 'stop', { by: 'Ada' }));
    await bed.advance(1_000);
    expect(seen).toEqual([expected]);
    bed.kill();
    const next = await bed.start({ agents: { work } });
    const handle = await bed.drive(next.submit('work', null, { id: 'x' }));
    expect(await bed.drive(handle.result())).toBe(expected);
    expect(new Set(seen)).toEqual(new Set([expected]));
    expect(seen.length).toBeGreaterThan(1);
  });

  test('events are taken in the order of their numbers, those that came too late for one wait by the next', async () => {
    await using bed = new Testbed();
    const service = bed.service({ timeoutMs: 2 * LONG_MS }, () => ({ afterMs: LONG_MS, reply: 'long' }));
    const work = agent({
      uses: { service: service.dependency },
      events: { paid: z.number() },
      async run(_input: null, ctx) {
        const takes = async () => {
          const taken: unknown[] = [await ctx.waitFor('paid', { withinMs: 1_000 }).catch(() => 'late')];
          taken.push(...(await Promise.all([ctx.waitFor('paid'), ctx.waitFor('paid')])));
          return [...taken, bed.nowMs];
        };
        return (await Promise.all([takes(), ctx.call('service', 'long')]))[0];
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.until(() => service.inFlight === 1);
    await bed.advance(2_000);
    for (const cents of [1, 2, 3]) await bed.drive(fleet.signal('x', 'paid', cents));
    const toldMs = bed.nowMs;
    expect(await bed.drive(handle.result())).toEqual(['late', 1, 2, toldMs]);
  });
});

test('a branch that waits for events is not held up by one that makes one step after the other', async () => {
  await using bed = new Testbed();
  const log: unknown[] = [];
  const work = agent({
    events: { go: z.null() },
    async run(_input: null, ctx) {
      const works = async () => {
        for (let at = 0; at < 10; at += 1) {
          await ctx.step(`work ${at}`, async () => {
            log.push(at);
            await bed.sleep(1_000);
          });
        }
      };
      const waits = async () => {
        await ctx.waitFor('go');
        await ctx.step('handle it', () => log.push('handled'));
      };
      await Promise.all([works(), waits()]);
    },
  });
  const fleet = await bed.start({ agents: { work } });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  await bed.until(() => log.length === 2);
  await bed.drive(fleet.signal('x', 'go', null));
  await bed.drive(handle.result());
  expect(log).toEqual([0, 1, 'handled', 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('what is told while the start is on its way back reaches the run', async () => {
  await using bed = new Testbed();
  const service = bed.service({ timeoutMs: 2 * LONG_MS }, () => ({ afterMs: LONG_MS, reply: 'long' }));
  const seen: unknown[] = [];
  const work = racer(service, seen, 'event');
  bed.faults.delays = (command) => (command === 'start' ? [0, 1_000] : [0, 0]);
  const fleet = await bed.start({ agents: { work } });
  const started = bed.record(fleet, 'task.started');
  await bed.drive(fleet.submit('work', null, { id: 'x' }));
  await bed.advance(500);
  await bed.drive(fleet.signal('x', 'abort', 'told'));
  expect(started).toEqual([]);
  await bed.until(() => started.length === 1);
  await bed.advance(1_000);
  expect(seen).toEqual(['told']);
  expect(service.inFlight).toBe(1);
});

test('wherever the process dies, what won the race wins it in the next one', async () => {
  const plays = await killedAtEachCommit(
    (bed) => {
      const service = bed.service({}, () => ({ afterMs: 3_000, reply: 'long' }));
      return {
        agents: {
          work: agent({
            uses: { service: service.dependency },
            events: { abort: z.string() },
            leaseMs: 3_000,
            lingerMs: 5,
            async run(_input: null, ctx) {
              const first = await Promise.race([ctx.call('service', 'long'), ctx.waitFor('abort')]);
              await ctx.step(`after ${String(first)}`, () => {});
              await ctx.sleep(60_000);
              return first;
            },
          }),
        },
      };
    },
    async (mortal) => {
      await mortal.ask((fleet) => fleet.submit('work', null, { id: 'x' }));
      await mortal.ask(() => mortal.bed.sleep(1_000));
      await mortal.ask((fleet) => fleet.signal('x', 'abort', 'told', { key: 'once' }));
      const { status, result } = await mortal.end('x');
      expect(status).toBe('completed');
      // Killed before that was heard, the call may be the first: it is asked again all the same.
      expect(['told', 'long']).toContain(result);
    },
  );
  expect(plays).toBeGreaterThan(6);
});
