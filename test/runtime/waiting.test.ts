/** A run waits for a time, an event, a person: it holds nothing meanwhile, and ends waiting at the same moment whatever restarts. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import { z } from 'zod';
import { Testbed } from './harness.ts';
import { killedAtEachCommit } from './killed.ts';

const HOUR_MS = 3_600_000;

describe('a sleep', () => {
  test('ends at its time, and holds no worker until then', async () => {
    await using bed = new Testbed();
    const work = agent({
      async run(ms: number, ctx) {
        await ctx.sleep(ms);
        return bed.nowMs;
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const parked = bed.record(fleet, 'task.parked');
    const atMs = bed.nowMs;
    const handle = await bed.drive(fleet.submit('work', HOUR_MS, { id: 'x' }));
    await bed.advance(1_000);
    expect(fleet.load.held).toBe(0);
    expect(parked).toMatchObject([{ id: 'x', reason: 'sleep' }]);
    const endedMs = await bed.drive(handle.result(), 2 * HOUR_MS);
    expect(endedMs - atMs).toBeGreaterThanOrEqual(HOUR_MS);
    expect(endedMs - atMs).toBeLessThan(HOUR_MS + 1_000);
  });

  test('until a date ends then; one in the past does not wait', async () => {
    await using bed = new Testbed();
    const untilMs = bed.nowMs + 5_000;
    const work = agent({
      async run(_input: null, ctx) {
        await ctx.sleep(new Date(bed.nowMs - 1));
        await ctx.sleep(0);
        await ctx.sleep(new Date(untilMs));
        return bed.nowMs - untilMs;
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const lateMs = (await bed.run(fleet, 'work', null)) as number;
    expect(lateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs).toBeLessThan(100);
    expect(fleet.stats.parked).toBe(1);
  });

  test('that is over within the linger, or soon after, is slept in memory', async () => {
    await using bed = new Testbed();
    const work = agent({ lingerMs: 100, run: (ms: number, ctx) => ctx.sleep(ms) });
    const fleet = await bed.start({ agents: { work } });
    for (const ms of [100, 150]) await bed.run(fleet, 'work', ms);
    expect(fleet.stats).toMatchObject({ parked: 0, started: 2 });
    await bed.run(fleet, 'work', 500);
    expect(fleet.stats.parked).toBe(1);
  });

  test.each([Number.NaN, -1, 'soon', new Date(Number.NaN)])('for %s is refused', async (until) => {
    await using bed = new Testbed();
    const work = agent({ run: (_input: null, ctx) => ctx.sleep(until as number) });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_PAYLOAD_INVALID' } } });
  });

  test('that was half over when the process died ends at the same moment', async () => {
    const plays = await killedAtEachCommit(
      (bed) => ({
        agents: {
          work: agent({
            leaseMs: 3_000,
            async run(_input: null, ctx) {
              const began = await ctx.step('began', () => bed.nowMs);
              await ctx.sleep(10_000);
              const slept = await ctx.step('slept', () => bed.nowMs);
              return slept - began;
            },
          }),
        },
      }),
      async (mortal) => {
        await mortal.ask((fleet) => fleet.submit('work', null, { id: 'x' }));
        const { result } = await mortal.end('x');
        expect(result).toBeGreaterThanOrEqual(10_000);
        // A process that died before it was remembered begins anew, after the restart.
        expect(result).toBeLessThan(12_000);
      },
    );
    expect(plays).toBeGreaterThan(8);
  });
});

describe('a run that races', () => {
  test('a child against a sleep is woken by whichever comes first', async () => {
    await using bed = new Testbed();
    const child = agent({
      async run(ms: number, ctx) {
        await ctx.sleep(ms);
        return 'child';
      },
    });
    const work = agent({
      asks: { child },
      run: (ms: number, ctx) => Promise.race([ctx.ask('child', ms), ctx.sleep(5_000).then(() => 'slept')]),
    });
    const fleet = await bed.start({ agents: { work, child } });
    expect(await bed.run(fleet, 'work', 1_000)).toBe('child');
    expect(await bed.run(fleet, 'work', 60_000)).toBe('slept');
  });

  test('and does not linger goes on with what has failed, though what is open beside that waits for a day', async () => {
    await using bed = new Testbed();
    const began = bed.nowMs;
    const service = bed.service({ timeoutMs: 1_000, attempts: 1 }, () => ({ never: true }));
    const work = agent({
      uses: { service: service.dependency },
      lingerMs: 0,
      run: (_input: null, ctx) =>
        Promise.race([ctx.call('service', 1, { remember: false }).catch(() => 'failed'), ctx.sleep(24 * HOUR_MS)]),
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    expect(await bed.drive(handle.result())).toBe('failed');
    expect(bed.nowMs - began).toBeLessThan(2_000);
  });

  test('goes the same way when it is replayed after the loser has come too', async () => {
    await using bed = new Testbed();
    const seen: unknown[] = [];
    const work = agent({
      events: { go: z.string() },
      async run(_input: null, ctx) {
        const first = await Promise.race([
          ctx.waitFor('go', { withinMs: 1_000 }).catch((error: { code: string }) => error.code),
          ctx.sleep(60_000),
        ]);
        seen.push(first);
        await ctx.sleep(120_000);
        return first;
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(5_000);
    await bed.drive(fleet.signal('x', 'go', 'late'));
    expect(await bed.drive(handle.result())).toBe('DROVER_WAIT_TIMEOUT');
    expect(new Set(seen)).toEqual(new Set(['DROVER_WAIT_TIMEOUT']));
  });

  for (const comes of ['an event that is told', 'a time for waiting that is over'] as const) {
    for (const does of [[], ['step']] as const) {
      test(`is not overtaken by ${comes} while it is parked behind the race${does.length === 0 ? '' : ' and a step'}`, async () => {
        await using bed = new Testbed();
        const seen: unknown[] = [];
        const isTold = comes === 'an event that is told';
        const work = agent({
          events: { go: z.string() },
          async run(_input: null, ctx) {
            const go = ctx.waitFor('go', isTold ? {} : { withinMs: 10_000 }).catch((error: { code: string }) => error.code);
            const first = await Promise.race([go, ctx.sleep(5_000).then(() => 'slept')]);
            seen.push(first);
            // The code's own, however long a chain of promises it has.
            for (let link = 0; link < 100; link += 1) await Promise.resolve();
            for (const name of does) await ctx.step(`${name} after ${first}`, () => {});
            await ctx.sleep(60_000);
            return first;
          },
        });
        const fleet = await bed.start({ agents: { work } });
        const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
        await bed.advance(20_000);
        if (isTold) await bed.drive(fleet.signal('x', 'go', 'told'));
        expect(await bed.drive(handle.result())).toBe('slept');
        expect(new Set(seen)).toEqual(new Set(['slept']));
        expect(seen.length).toBeGreaterThan(1);
      });
    }
  }
});

test('of two waits that race, that of the event that was told first wins, whoever began first', async () => {
  await using bed = new Testbed();
  const work = agent({
    events: { a: z.null(), b: z.null() },
    async run(_input: null, ctx) {
      await ctx.sleep(10_000);
      return Promise.race([ctx.waitFor('a').then(() => 'a'), ctx.waitFor('b').then(() => 'b')]);
    },
  });
  const fleet = await bed.start({ agents: { work } });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  await bed.drive(fleet.signal('x', 'b', null));
  await bed.drive(fleet.signal('x', 'a', null));
  expect(await bed.drive(handle.result())).toBe('b');
});

describe('an event', () => {
  const paid = { paid: z.number() };

  test('that was told before the run asks is there at once', async () => {
    await using bed = new Testbed();
    const work = agent({
      events: paid,
      async run(_input: null, ctx) {
        await ctx.sleep(1_000);
        return [await ctx.waitFor('paid'), await ctx.waitFor('paid')];
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(500);
    await bed.drive(fleet.signal('x', 'paid', 1));
    await bed.drive(fleet.signal('x', 'paid', 2));
    expect(await bed.drive(handle.result())).toEqual([1, 2]);
  });

  test('that is told while the run still lingers in memory is not missed', async () => {
    await using bed = new Testbed();
    const work = agent({ events: paid, lingerMs: 60_000, run: (_input: null, ctx) => ctx.waitFor('paid') });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(100);
    expect(fleet.load.running).toBe(1);
    await bed.drive(fleet.signal('x', 'paid', 1));
    expect(await bed.drive(handle.result(), 1_000)).toBe(1);
  });

  test('is taken once: each wait takes the next', async () => {
    await using bed = new Testbed();
    const work = agent({
      events: paid,
      async run(_input: null, ctx) {
        const taken: number[] = [];
        for (let at = 0; at < 3; at += 1) {
          taken.push(await ctx.waitFor('paid'));
          await ctx.sleep(1_000);
        }
        return taken;
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    for (const cents of [5, 6, 7]) await bed.drive(fleet.signal('x', 'paid', cents));
    expect(await bed.drive(handle.result())).toEqual([5, 6, 7]);
  });

  test('for which a wait was too late goes to the next wait', async () => {
    await using bed = new Testbed();
    const work = agent({
      events: paid,
      async run(_input: null, ctx) {
        const first = await ctx.waitFor('paid', { withinMs: 1_000 }).catch(() => 'late');
        return [first, await ctx.waitFor('paid'), await ctx.waitFor('paid')];
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(3_000);
    await bed.drive(fleet.signal('x', 'paid', 1));
    await bed.drive(fleet.signal('x', 'paid', 2));
    expect(await bed.drive(handle.result())).toEqual(['late', 1, 2]);
  });

  test('goes to the older of two waits; when that gives up, to the younger', async () => {
    await using bed = new Testbed();
    const work = agent({
      events: paid,
      async run(_input: null, ctx) {
        const older = ctx.waitFor('paid', { withinMs: 1_000 }).catch(() => 'late');
        const younger = ctx.waitFor('paid');
        return Promise.all([older, younger]);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const [x, y] = await bed.drive(Promise.all([fleet.submit('work', null, { id: 'x' }), fleet.submit('work', null, { id: 'y' })]));
    await bed.advance(500);
    await bed.drive(fleet.signal('y', 'paid', 1));
    await bed.advance(3_000);
    await bed.drive(fleet.signal('x', 'paid', 1));
    await bed.drive(fleet.signal('y', 'paid', 2));
    expect(await bed.drive(x.result())).toEqual(['late', 1]);
    expect(await bed.drive(y.result())).toEqual([1, 2]);
  });

  test.each([
    [true, 'in time'],
    [false, 'late'],
  ])('that was told while nobody ran is taken when that was in time (%s)', async (inTime, expected) => {
    await using bed = new Testbed();
    const work = agent({
      events: { go: z.string() },
      run: (_input: null, ctx) => ctx.waitFor('go', { withinMs: 10_000 }).catch(() => 'late'),
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(1_000);
    await bed.drive(fleet.pauseKind('work'));
    if (!inTime) await bed.advance(15_000);
    await bed.drive(fleet.signal('x', 'go', 'in time'));
    await bed.advance(15_000);
    await bed.drive(fleet.unpauseKind('work'));
    expect(await bed.drive(handle.result())).toBe(expected);
  });

  test('that the kind does not declare is not waited for', async () => {
    await using bed = new Testbed();
    const work = agent({ events: paid, run: (_input: null, ctx) => ctx.waitFor('other' as never) });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_UNDECLARED' } } });
  });

  test('is taken exactly once wherever the process dies', async () => {
    await killedAtEachCommit(
      (bed) => ({
        agents: {
          work: agent({
            leaseMs: 3_000,
            events: paid,
            async run(_input: null, ctx) {
              const first = await ctx.waitFor('paid', { withinMs: 60_000 });
              await ctx.sleep(500);
              const second = await ctx.waitFor('paid');
              void bed;
              return [first, second];
            },
          }),
        },
      }),
      async (mortal) => {
        await mortal.ask((fleet) => fleet.submit('work', null, { id: 'x' }));
        await mortal.ask((fleet) => fleet.signal('x', 'paid', 1, { key: 'a' }));
        await mortal.ask((fleet) => fleet.signal('x', 'paid', 2, { key: 'b' }));
        expect(await mortal.end('x')).toMatchObject({ status: 'completed', result: [1, 2] });
      },
    );
  });
});

describe('an approval', () => {
  test('that is given while nobody runs is found by the next run; it was asked once', async () => {
    await killedAtEachCommit(
      () => ({
        agents: {
          work: agent({
            leaseMs: 3_000,
            async run(_input: null, ctx) {
              const said = await ctx.approval('spend', { cents: 5 }, { withinMs: 60_000 });
              await ctx.sleep(100);
              return said;
            },
          }),
        },
      }),
      async (mortal) => {
        await mortal.ask((fleet) => fleet.submit('work', null, { id: 'x' }));
        let asked = false;
        while (!asked) {
          asked = (await mortal.ask((fleet) => fleet.approvals())).length === 1;
          if (!asked) await mortal.ask(() => mortal.bed.sleep(10));
        }
        await mortal.ask((fleet) => fleet.approve('x', 'spend', { by: 'Ada', note: 'go' }).catch(() => undefined));
        expect(await mortal.end('x')).toMatchObject({ status: 'completed', result: { by: 'Ada', note: 'go' } });
      },
    );
  });

  test('that is refused rejects with who and why, and the task fails for good when nobody catches it', async () => {
    await using bed = new Testbed();
    const work = agent({ run: (_input: null, ctx) => ctx.approval('spend', null) });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(100);
    await bed.drive(fleet.reject('x', 'spend', { by: 'Bob', note: 'too much' }));
    expect(await bed.rejection(handle.result())).toMatchObject({
      detail: { status: 'failed', error: { code: 'DROVER_APPROVAL_REJECTED', message: expect.stringContaining('Bob') as unknown } },
    });
  });

  test('that nobody gives in time is given up', async () => {
    await using bed = new Testbed();
    const work = agent({
      run: (_input: null, ctx) => ctx.approval('spend', null, { withinMs: 5_000 }).catch((error: { code: string }) => error.code),
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    expect(await bed.drive(handle.result(), 10_000)).toBe('DROVER_WAIT_TIMEOUT');
  });

  test('of which a name is used twice is refused', async () => {
    await using bed = new Testbed();
    const work = agent({
      run: async (_input: null, ctx) => {
        void ctx.approval('spend', null);
        return ctx.approval('spend', null);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_DUPLICATE_STEP' } } });
  });
});

describe('a deadline', () => {
  test('ends a run, also one that only waits', async () => {
    await using bed = new Testbed();
    let aborted: unknown;
    const busy = agent({
      deadlineMs: 2_000,
      async run(_input: null, ctx) {
        ctx.signal.addEventListener('abort', () => (aborted = ctx.signal.reason));
        await bed.sleep(60_000);
      },
    });
    const waiting = agent({ deadlineMs: 2_000, run: (_input: null, ctx) => ctx.sleep(60_000) });
    const fleet = await bed.start({ agents: { busy, waiting } });
    for (const kind of ['busy', 'waiting'] as const) {
      const atMs = bed.nowMs;
      const handle = await bed.drive(fleet.submit(kind, null));
      expect(await bed.rejection(handle.result())).toMatchObject({
        detail: { status: 'failed', error: { code: 'DROVER_DEADLINE_PASSED' } },
      });
      expect(bed.nowMs - atMs).toBeLessThan(4_000);
    }
    expect(aborted).toMatchObject({ code: 'DROVER_RUN_OVER', detail: { reason: 'deadline' } });
  });

  test('is inherited by those who are asked, and not by those who are sent to', async () => {
    await using bed = new Testbed();
    const child = agent({ run: async () => null });
    const work = agent({
      deadlineMs: 60_000,
      asks: { child },
      async run(_input: null, ctx) {
        await ctx.ask('child', null);
        ctx.send('child', null);
      },
    });
    const fleet = await bed.start({ agents: { work, child } });
    await bed.run(fleet, 'work', null, { id: 'x' });
    const parent = await fleet.task('x');
    expect(await fleet.task('x/child#1')).toMatchObject({ deadlineMs: parent!.deadlineMs, rootId: 'x' });
    expect(await fleet.task('x/send:child#1')).toMatchObject({ deadlineMs: null, rootId: 'x' });
  });
});
