/**
 * Cases: what users of other limiters expect of a gate and of the calls behind it.
 *
 * Rows of CL and LIM that do not apply, and why:
 *
 *   CL-10   a caller that may bypass a full limiter: nobody may, in flight never passes the limit (S6).
 *           Who is urgent has a priority, who is important a weight.
 *   LIM-18  a reservoir that is filled in steps: rates are continuous (GCRA). The row's calls go in its order, none
 *           of them later than in the row, out of the same store of turns: what comes all the time is not lost at the cap.
 *   LIM-23  another client's slot: a limiter is of one process. Whoever counts the calls may go all the same: the
 *           limiter crashes while its call is on its way. A node that loses its slice: see the limiter's slices.
 *
 * Shown elsewhere: CL-01 to CL-04 and CL-24 with adaptation, CL-08, CL-09, CL-20 and LIM-02 to LIM-11, 15, 25,
 * 29, 30 and 36 with the limiter, CL-12 and turns of CL-13 with the wait line, LIM-25, 29 and 30 also with budgets.
 */
import { describe, expect, test } from 'vitest';
import type { Random } from '../../actors/kernel/random.ts';
import { Desk } from './desk.ts';
import { GateWorld, http } from './gate-world.ts';

const TEN_A_SECOND = { limits: { requestsPerMinute: 600 }, safetyMargin: 0 };

describe('room in flight', () => {
  test('CL-08: of eleven calls ten are under way and the eleventh waits', async () => {
    const world = new GateWorld({ limits: { concurrency: 10 } });
    const calls = Array.from({ length: 11 }, (_, at) => world.gate.run(world.work(at, 100)));
    await world.settle();
    expect(world.inFlight).toBe(10);
    expect(await world.gate.look()).toMatchObject({ inFlight: 10, waiting: 1 });
    await world.drive(Promise.all(calls));
    expect(world.peak).toBe(10);
    await world.drive(world.gate.close());
  });

  test('CL-13: batch has the whole room while live is idle, the eleventh is refused, and then live has the next place', async () => {
    const world = new GateWorld({ limits: { concurrency: 10 }, weights: { kinds: { batch: 0.3, live: 0.7 } } });
    const calls = Array.from({ length: 10 }, (_, at) =>
      world.gate.run(world.work(`batch ${at}`, 100 + at), { flow: 'batch', withinMs: 0 }),
    );
    await world.settle();
    expect(world.inFlight).toBe(10);
    const eleventh = world.ending(world.gate.run(world.work('eleventh', 1), { flow: 'batch', withinMs: 0 }));
    await world.settle();
    expect(await eleventh).toMatchObject({ at: 'failed', error: { code: 'DROVER_ADMISSION_LATE', detail: { waitedMs: 0 } } });
    expect(await world.gate.look()).toMatchObject({ inFlight: 10, waiting: 0, refused: 1 });
    // Borrowed room is not taken back: live waits for the first place, and stands behind nobody for it.
    calls.push(world.gate.run(world.work('live', 1), { flow: 'live' }));
    await world.advance(99);
    expect(world.began).toHaveLength(10);
    await world.advance(1);
    expect(world.began.at(-1)).toBe('live');
    await world.drive(Promise.all(calls));
    await world.drive(world.gate.close());
  });

  test('CL-20: a call that may wait 50 ms is refused then and not earlier, and no permit is lost', async () => {
    const world = new GateWorld({ limits: { concurrency: 1 } });
    const first = world.gate.run(world.work('first', 200));
    const late = world.ending(world.gate.run(world.work('late', 1), { withinMs: 50 }));
    await world.advance(49);
    expect(await world.gate.look()).toMatchObject({ waiting: 1 });
    await world.advance(1);
    expect(await late).toMatchObject({ at: 'failed', error: { code: 'DROVER_ADMISSION_LATE' } });
    expect(world.nowMs).toBe(50);
    await world.drive(first);
    expect(await world.drive(world.gate.run(world.work('next', 1), { withinMs: 0 }))).toBe('next');
    expect(world.began).toEqual(['first', 'next']);
    await world.drive(world.gate.close());
  });

  test('CL-22: with four under way and ten in line the fifteenth is refused at once', async () => {
    const world = new GateWorld({ limits: { concurrency: 4 }, waiting: 10 });
    const calls = Array.from({ length: 14 }, (_, at) => world.gate.run(world.work(at, 1_000)));
    const refused = world.ending(world.gate.run(world.work('refused', 1), { withinMs: 60_000 }));
    await world.settle();
    expect(await refused).toMatchObject({
      at: 'failed',
      error: { code: 'DROVER_ADMISSION_FULL', retryable: true, detail: { waiting: 10 } },
    });
    expect(world.nowMs).toBe(0);
    await world.drive(Promise.all(calls));
    expect(world.began).toHaveLength(14);
    await world.drive(world.gate.close());
  });

  test('LIM-14: weights: a call of two waits for the whole room, and none behind it overtakes it', async () => {
    const desk = new Desk({ limits: { concurrency: 2 } });
    const ends: number[] = [];
    for (const [at, [slots, afterMs]] of (
      [
        [1, 100],
        [2, 200],
        [1, 100],
        [1, 100],
      ] as const
    ).entries()) {
      void at;
      desk.begin({ slots, tries: [{ end: 'ok', afterMs }] });
    }
    await desk.advance(1_000);
    for (const { call } of desk.tries.toSorted((a, b) => a.endedMs! - b.endedMs!)) ends.push(call);
    expect(ends).toEqual([0, 1, 2, 3]);
    expect(Math.max(...desk.tries.map(({ endedMs }) => endedMs!))).toBe(400);
    expect(desk.peak).toBe(2);
    await desk.expectHome();
    await desk.close();
  });

  // The row's fifth job has weight 0 and ends at 400 ms beside the others. Here nobody runs uncounted: it is refused
  // where it is asked, delays none of the four, and asked for one place it is the fifth to end.
  test('LIM-14: a fifth that would take no place is refused, and the four in line go as if it had never asked', async () => {
    const desk = new Desk({ limits: { concurrency: 2 } });
    const begin = (slots: number, afterMs: number) => desk.begin({ slots, tries: [{ end: 'ok', afterMs }] });
    begin(1, 100);
    begin(2, 200);
    expect(() => begin(0, 100)).toThrow(/slots of desk/);
    begin(1, 100);
    begin(1, 100);
    begin(1, 100);
    await desk.advance(1_000);
    expect(desk.tries.map(({ slots, beganMs, endedMs }) => [slots, beganMs, endedMs])).toEqual([
      [1, 0, 100],
      [2, 100, 300],
      [1, 300, 400],
      [1, 300, 400],
      [1, 400, 500],
    ]);
    await desk.expectHome();
    await desk.close();
  });

  test('LIM-14: a call takes at least one place: none, or a part of one, is refused where it is asked', async () => {
    const desk = new Desk({ limits: { concurrency: 2 } });
    for (const slots of [0, 0.5, -1, Number.NaN, Infinity]) {
      expect(() => desk.begin({ slots, tries: [{ end: 'ok', afterMs: 1 }] })).toThrow(/slots of desk: a whole number of at least 1/);
    }
    await desk.expectHome();
    await desk.close();
  });

  test('LIM-15: a call above the whole room is refused at once, and the others run', async () => {
    const desk = new Desk({ limits: { concurrency: 2 } });
    const [one, two, three] = [1, 2, 3].map((slots) => desk.begin({ slots, tries: [{ end: 'ok', afterMs: 100 }] }));
    await desk.settle();
    expect(three!.endings).toMatchObject([{ at: 'failed', error: { cause: { code: 'DROVER_CALL_TOO_LARGE', retryable: false } } }]);
    await desk.advance(500);
    expect([one, two].map((call) => call!.endings[0]?.at)).toEqual(['replied', 'replied']);
    await desk.close();
  });

  describe('LIM-20: one place, a short line, and arrivals of other priority', () => {
    /** Higher goes sooner: the row's 5 is 0 here, its 2 is 3, its 1 is 4 and its 9 is -4. */
    const arrivals = [0, 0, 0, 0, 3, 4, -4];

    /** Which calls run, in order, and which are told that they are dropped, in order, each before any time has passed. */
    async function ran(whenFull: 'shed' | 'refuse', waiting: number): Promise<{ readonly runs: unknown[]; readonly dropped: number[] }> {
      const world = new GateWorld({ limits: { concurrency: 1 }, waiting, whenFull });
      const dropped: number[] = [];
      const calls = arrivals.map((priority, at) => {
        const call = world.gate.run(world.work(at + 1, 50), { priority });
        return call.catch((error: Error & { code?: string; detail?: unknown }) => {
          expect([error.code, error.detail, world.nowMs]).toMatchObject(['DROVER_ADMISSION_FULL', { waiting }, 0]);
          dropped.push(at + 1);
        });
      });
      await world.settle();
      expect(await world.gate.look()).toMatchObject({ waiting, refused: arrivals.length - 1 - waiting });
      await world.drive(Promise.all(calls));
      await world.drive(world.gate.close());
      return { runs: world.began, dropped };
    }

    test('LEAK: a full line sheds the least important for who is more so, and each that is shed is told', async () => {
      expect(await ran('shed', 2)).toEqual({ runs: [1, 6, 5], dropped: [4, 3, 2, 7] });
    });

    // The row's bound of 3 counts who comes; here all who wait under the bound go.
    test('LEAK: with one place more in line, the oldest of those that came before goes last', async () => {
      expect(await ran('shed', 3)).toEqual({ runs: [1, 6, 5, 2], dropped: [4, 3, 7] });
    });

    test('OVERFLOW: a full line refuses whoever comes, however important, and each is told', async () => {
      expect(await ran('refuse', 2)).toEqual({ runs: [1, 2, 3], dropped: [4, 5, 6, 7] });
    });
  });

  test('LIM-23: who counted a call is gone: its place is kept for as long as it may be running', async () => {
    const desk = new Desk({ limits: { concurrency: 1 }, timeoutMs: 86_400_000, attempts: 1 });
    const first = desk.begin({ tries: [{ end: 'ok', afterMs: 3_600_000 }] });
    await desk.advance(10);
    desk.crash();
    const next = desk.begin({ tries: [{ end: 'ok', afterMs: 10 }] });
    await desk.advance(3_599_000);
    expect([desk.crashes, desk.tries.length, next.endings.length]).toEqual([1, 1, 0]);
    await desk.advance(2_000);
    expect([first, next].map(({ endings }) => endings[0]?.at)).toEqual(['replied', 'replied']);
    expect(desk.tries[1]!.beganMs).toBe(3_600_000);
    expect(desk.peak).toBe(1);
    await desk.expectHome();
    await desk.close();
  });

  test('LIM-23: and where it has a time limit, it is kept until then, and is the next one’s', async () => {
    const desk = new Desk({ limits: { concurrency: 1 }, timeoutMs: 5_000, attempts: 1 });
    const first = desk.begin({ tries: [{ end: 'never', afterMs: 0 }] });
    await desk.advance(10);
    desk.crash();
    const next = desk.begin({ tries: [{ end: 'ok', afterMs: 10 }] });
    await desk.advance(4_989);
    expect([desk.crashes, desk.tries.length]).toEqual([1, 1]);
    await desk.advance(100);
    expect([first, next].map(({ endings }) => endings[0]?.at)).toEqual(['failed', 'replied']);
    expect(desk.tries[1]!.beganMs).toBe(5_000);
    await desk.expectHome();
    await desk.close();
  });

  test('LIM-23: a call that never ends keeps its place until its time limit, then it is the next one’s', async () => {
    const desk = new Desk({ limits: { concurrency: 1 }, timeoutMs: 1_000, attempts: 1 });
    desk.begin({ tries: [{ end: 'never', afterMs: 0 }] });
    const next = desk.begin({ tries: [{ end: 'ok', afterMs: 10 }] });
    await desk.advance(999);
    expect(desk.tries).toHaveLength(1);
    await desk.advance(20);
    expect(next.endings).toMatchObject([{ at: 'replied' }]);
    expect(desk.tries[1]!.beganMs).toBe(1_000);
    await desk.close();
  });

  test('LIM-35: one that throws before its first await settles like any other, and the third still runs', async () => {
    const world = new GateWorld({ limits: { concurrency: 1 }, attempts: 1 });
    const thrown = (): Promise<never> => {
      throw new TypeError('at once');
    };
    const calls = [world.gate.run(world.work(1, 10)), world.gate.run(thrown), world.gate.run(world.work(3, 10))];
    const ends = await world.drive(Promise.allSettled(calls));
    expect(ends).toMatchObject([{ value: 1 }, { status: 'rejected', reason: { message: 'at once' } }, { value: 3 }]);
    await world.drive(world.gate.close());
  });

  test('LIM-36: lowered while four run, nobody begins before fewer than two do; raised, two more begin at once', async () => {
    const desk = new Desk({ limits: { concurrency: 4 } });
    for (let at = 0; at < 12; at += 1) desk.begin({ tries: [{ end: 'ok', afterMs: 100 + at }] });
    await desk.settle();
    expect(desk.slotsTried).toBe(4);
    desk.tell({ type: 'limiter.configure', limits: { concurrency: 2 } } as never);
    await desk.advance(101);
    expect([desk.slotsTried, desk.tries.length]).toEqual([2, 4]);
    await desk.advance(1);
    expect([desk.slotsTried, desk.tries.length]).toEqual([2, 5]);
    desk.tell({ type: 'limiter.configure', limits: { concurrency: 4 } } as never);
    await desk.settle();
    expect([desk.slotsTried, desk.tries.length]).toEqual([4, 7]);
    await desk.advance(5_000);
    await desk.expectHome();
    await desk.close();
  });
});

describe('rates', () => {
  test('LIM-02: of a burst of three, three go at once, and the fourth when its turn has been earned', async () => {
    const world = new GateWorld({ ...TEN_A_SECOND, burstMs: 300 });
    const calls = [1, 2, 3, 4].map((at) => world.gate.run(world.work(at, 0)));
    await world.settle();
    expect(world.began).toEqual([1, 2, 3]);
    await world.drive(Promise.all(calls));
    expect(world.nowMs).toBe(100);
    await world.drive(world.gate.close());
  });

  test('LIM-11: a call whose turn comes after its deadline is refused at once and takes nothing', async () => {
    const world = new GateWorld({ ...TEN_A_SECOND, burstMs: 100 });
    await world.drive(world.gate.run(world.work(1, 0)));
    const hopeless = world.ending(world.gate.run(world.work('hopeless', 0), { withinMs: 50 }));
    await world.settle();
    expect(await hopeless).toMatchObject({ error: { code: 'DROVER_ADMISSION_LATE', detail: { waitedMs: 0 } } });
    expect(world.nowMs).toBe(0);
    await world.drive(world.gate.run(world.work(2, 0)));
    expect(world.nowMs).toBe(100);
    await world.drive(world.gate.close());
  });

  test('LIM-18: three are there, five come every 150 ms, six are kept: weights 1 to 5 go in order by 450 ms', async () => {
    const desk = new Desk({ limits: { tokensPerMinute: 2_000 }, safetyMargin: 0, burstMs: 180 });
    // Of a full store of six, three are gone: that is where the row begins.
    desk.begin({ input: 3, tries: [{ end: 'ok', afterMs: 0 }] });
    for (let weight = 1; weight <= 5; weight += 1) desk.begin({ input: weight, tries: [{ end: 'ok', afterMs: 0 }] });
    await desk.advance(450);
    expect(desk.tries.map(({ input }) => input)).toEqual([3, 1, 2, 3, 4, 5]);
    // Thirty milliseconds a turn: 3, 4 and 5 are earned one after the other. In steps: 0, 0, 150, 300 and 450.
    expect(desk.tries.slice(1).map(({ beganMs }) => Math.round(beganMs))).toEqual([0, 0, 90, 210, 360]);
    // Three are there again: in steps two of these are lost at the cap of six, and one is left.
    expect(6 - (await desk.look()).owedTokens).toBeCloseTo(3, 3);
    await desk.advance(60_000);
    expect((await desk.look()).owedTokens).toBe(0);
    const fromMs = desk.nowMs;
    for (let call = 0; call < 7; call += 1) desk.begin({ input: 1, tries: [{ end: 'ok', afterMs: 0 }] });
    await desk.advance(29);
    expect(desk.tries.filter(({ beganMs }) => beganMs >= fromMs)).toHaveLength(6);
    await desk.advance(100);
    await desk.expectHome();
    await desk.close();
  });

  test('LIM-18: turns are earned continuously and saved up to the burst, never above it', async () => {
    // Five a 150 ms, at most six: weights 1 to 5 in order need fifteen, of which six are there.
    const desk = new Desk({ limits: { tokensPerMinute: 2_000 }, safetyMargin: 0, burstMs: 180 });
    for (let weight = 1; weight <= 5; weight += 1) desk.begin({ input: weight, tries: [{ end: 'ok', afterMs: 0 }] });
    await desk.advance(1_000);
    expect(desk.tries.map(({ call }) => call)).toEqual([0, 1, 2, 3, 4]);
    expect(desk.tries.at(-1)!.beganMs).toBeLessThanOrEqual(450);
    expect(Math.round(desk.tries.at(-1)!.beganMs)).toBe(270);
    // A long idle time saves no more than six.
    await desk.advance(60_000);
    const fromMs = desk.nowMs;
    for (let call = 0; call < 7; call += 1) desk.begin({ input: 1, tries: [{ end: 'ok', afterMs: 0 }] });
    await desk.settle();
    expect(desk.tries.filter(({ beganMs }) => beganMs === fromMs)).toHaveLength(6);
    await desk.advance(100);
    await desk.expectHome();
    await desk.close();
  });
});

describe('LIM-22: a gate that is closed', () => {
  const begin = async (): Promise<{ world: GateWorld; ends: Promise<unknown>[] }> => {
    const world = new GateWorld({ limits: { concurrency: 2 } });
    const ends = [1, 2, 3, 4].map((at) => world.ending(world.gate.run(world.work(at, 100))));
    await world.settle();
    expect(await world.gate.look()).toMatchObject({ inFlight: 2, waiting: 2 });
    return { world, ends };
  };
  const closed = { at: 'failed', error: { code: 'DROVER_ADMISSION_CLOSED' } };

  test('drops: those in line are refused, those under way finish', async () => {
    const { world, ends } = await begin();
    const closing = world.gate.close({ drain: false });
    expect(await world.ending(world.gate.run(world.work('new', 1)))).toMatchObject(closed);
    expect(await world.drive(Promise.all(ends))).toMatchObject([{ reply: 1 }, { reply: 2 }, closed, closed]);
    await world.drive(closing);
    expect(world.began).toEqual([1, 2]);
    expect(world.clock.pending).toBe(0);
  });

  test('drains: all finish, and nobody new is taken', async () => {
    const { world, ends } = await begin();
    const closing = world.gate.close();
    expect(await world.ending(world.gate.run(world.work('new', 1)))).toMatchObject(closed);
    expect(await world.drive(Promise.all(ends))).toMatchObject([{ reply: 1 }, { reply: 2 }, { reply: 3 }, { reply: 4 }]);
    await world.drive(closing);
    expect(world.began).toEqual([1, 2, 3, 4]);
    expect(world.clock.pending).toBe(0);
  });

  test('drops those that rest between two tries, too', async () => {
    const world = new GateWorld();
    const end = world.ending(world.gate.run(world.work(1, 10, http(503, { 'retry-after': '30' }))));
    await world.advance(1_000);
    await world.drive(world.gate.close({ drain: false }), 100);
    expect(await end).toMatchObject(closed);
    expect(world.clock.pending).toBe(0);
  });
});

describe('LIM-32: Retry-After of a failure', () => {
  const BACKOFF_MS = 500;
  /** Every chance comes out the same: the jitter is known, and what is left of a rest is what the provider asked for. */
  const always = (chance: number): Random => ({
    next: () => chance,
    int: (below) => Math.floor(chance * below),
    fork: () => always(chance),
  });

  /** How long a call rests between a first try that fails so and the second one. */
  async function restOf(status: number, chance: number, headers: (nowMs: number) => Readonly<Record<string, string>>): Promise<number> {
    const world = new GateWorld({ random: always(chance) });
    const tried: number[] = [];
    const call = world.gate.run(async ({ attempt }) => {
      tried.push(world.nowMs);
      if (attempt === 1) throw http(status, headers(world.clock.nowMs()));
    });
    await world.drive(call);
    await world.drive(world.gate.close());
    expect(tried).toHaveLength(2);
    return tried[1]! - tried[0]!;
  }

  const rows: readonly [string, Readonly<Record<string, string>>, number][] = [
    ['retry-after-ms goes before retry-after', { 'retry-after-ms': '10', 'retry-after': '5' }, 10],
    ['a part of a second', { 'retry-after': '0.1' }, 100],
    ['a whole minute is obeyed', { 'retry-after': '60' }, 60_000],
    ['none: own backoff', {}, 0],
    ['more than a minute: own backoff', { 'retry-after': '120' }, 0],
    ['a year: own backoff', { 'retry-after': '31536000' }, 0],
    ['negative: own backoff', { 'retry-after': '-1' }, 0],
    ['unreadable: own backoff', { 'retry-after': 'abc' }, 0],
    ['a date that has passed: own backoff', { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }, 0],
  ];
  // The row's delays are exact; ours have the jitter of the backoff on top, so that a herd does not come back as one.
  test.each(rows)('%s', async (_name, headers, askedMs) => {
    for (const status of [429, 500, 529]) {
      for (const chance of [0, 0.5, 0.998]) {
        expect([status, chance, await restOf(status, chance, () => headers)]).toEqual([status, chance, askedMs + chance * BACKOFF_MS]);
      }
    }
  });

  test('a date two seconds ahead', async () => {
    const inTwoSeconds = (nowMs: number): Readonly<Record<string, string>> => ({ 'retry-after': new Date(nowMs + 2_000).toUTCString() });
    expect(await restOf(429, 0, inTwoSeconds)).toBe(2_000);
    expect(await restOf(429, 0.5, inTwoSeconds)).toBe(2_250);
  });
});
