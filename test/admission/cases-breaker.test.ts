/** Cases of a breaker that only show with calls around it: time-outs, probes on their way, isolation, scored replies. */
import { describe, expect, test } from 'vitest';
import { Desk } from './desk.ts';
import { GateWorld, http } from './gate-world.ts';
import type { AdmissionEvent } from '../../src/admission/gate.ts';

const BREAKS = { failures: 1, resetAfterMs: 1_000 } as const;
const moves = (events: readonly AdmissionEvent[]): string[] =>
  events.flatMap((event) => (event.at === 'breaker' ? [event.breaker.at] : []));

describe('a call that takes too long', () => {
  test('CB-21: is one failure, whatever it does later', async () => {
    const world = new GateWorld({ timeoutMs: 100, attempts: 1, breaker: { failures: 2, resetAfterMs: 60_000 } });
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', note);
    const slow = async (): Promise<never> => {
      await world.sleep(200);
      throw new Error('late');
    };
    const end = await world.drive(world.ending(world.gate.run(slow)));
    expect(end).toMatchObject({ at: 'failed', error: { code: 'DROVER_CALL_TIMEOUT' } });
    expect(world.nowMs).toBe(100);
    await world.advance(1_000);
    process.off('unhandledRejection', note);
    expect(world.events).toMatchObject([{ at: 'failed', failure: 'transient', again: false }]);
    // A second failure would open it: the late one was none.
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'closed' }, inFlight: 0 });
    expect(unhandled).toEqual([]);
    await world.drive(world.gate.close());
  });

  test('CB-22: gives its room back when its time is over, though its work never ends', async () => {
    const world = new GateWorld({ timeoutMs: 10, attempts: 1, limits: { concurrency: 2 } });
    const never = [1, 2].map(() => world.ending(world.gate.run(() => new Promise(() => {}))));
    await world.settle();
    expect(await world.gate.look()).toMatchObject({ inFlight: 2 });
    await world.drive(Promise.all(never));
    expect(world.nowMs).toBe(10);
    expect(await world.gate.look()).toMatchObject({ inFlight: 0 });
    expect(await world.drive(Promise.all([1, 2].map((at) => world.gate.run(world.work(at, 5)))))).toEqual([1, 2]);
    await world.drive(world.gate.close());
  });

  test('as a probe opens the breaker again when its time is over, not when its lease is', async () => {
    const world = new GateWorld({ timeoutMs: 100, attempts: 1, breaker: BREAKS });
    await world.drive(world.ending(world.gate.run(world.work(1, 0, http(500)))));
    await world.advance(1_000);
    const probe = world.ending(world.gate.run(() => new Promise(() => {})));
    await world.advance(99);
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'half-open', probesOut: 1 } });
    await world.drive(probe);
    expect(world.nowMs).toBe(1_100);
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'open', openings: 2 } });
    await world.drive(world.gate.close());
  });
});

describe('an open breaker', () => {
  const broken = async (spec: object = {}): Promise<GateWorld> => {
    const world = new GateWorld({ attempts: 1, breaker: BREAKS, ...spec });
    await world.drive(world.ending(world.gate.run(world.work('fails', 0, http(500)))));
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'open' } });
    world.began.length = 0;
    return world;
  };

  test('S8: refuses every call without doing its work, and says until when', async () => {
    const world = await broken();
    const ends = await Promise.all(Array.from({ length: 20 }, () => world.ending(world.gate.run(world.work('not done', 1)))));
    for (const end of ends)
      expect(end).toMatchObject({
        error: { code: 'DROVER_BREAKER_OPEN', retryable: true, detail: { untilMs: world.clock.nowMs() + 1_000 } },
      });
    expect(world.began).toEqual([]);
    expect((await world.gate.look()).breaker).toMatchObject({ refusals: 20 });
    await world.drive(world.gate.close());
  });

  test('S8: lets one probe through, and the others that waited only when it has come home well', async () => {
    const world = await broken();
    const calls = [1, 2, 3, 4].map((at) => world.gate.run(world.work(at, 100), { whenShut: 'wait' }));
    await world.advance(1_050);
    expect(world.began).toEqual([1]);
    await world.drive(Promise.all(calls));
    expect(world.began).toEqual([1, 2, 3, 4]);
    expect(world.nowMs).toBe(1_200);
    expect(moves(world.events)).toEqual(['open', 'half-open', 'closed']);
    await world.drive(world.gate.close());
  });

  test('CB-07: whoever came while a probe was out is refused, and its work is never done', async () => {
    const world = await broken();
    await world.advance(1_000);
    const probe = world.ending(world.gate.run(world.work('probe', 10, http(500))));
    const other = world.ending(world.gate.run(world.work('other', 1)));
    expect(await world.drive(other)).toMatchObject({ error: { code: 'DROVER_BREAKER_OPEN' } });
    await world.drive(probe);
    expect(world.began).toEqual(['probe']);
    expect(moves(world.events)).toEqual(['open', 'half-open', 'open']);
    await world.drive(world.gate.close());
  });

  test('CB-18: what the filter takes for no failure closes it, and the caller sees the error', async () => {
    const counts = (error: unknown): boolean => ((error as { status?: number }).status ?? 500) >= 500;
    const world = await broken({ breaker: { ...BREAKS, counts } });
    await world.advance(1_000);
    const end = await world.drive(world.ending(world.gate.run(world.work('asks for nonsense', 1, http(400)))));
    expect(end).toMatchObject({ error: { status: 400 } });
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'closed' } });
    await world.drive(world.gate.close());
  });

  test('a filter that throws is reported, and the failure counts as it would without', async () => {
    const counts = (): boolean => {
      throw new Error('no opinion');
    };
    const world = await broken({ breaker: { ...BREAKS, counts } });
    expect(world.events.filter(({ at }) => at === 'misread')).toMatchObject([{ field: 'counts', error: { message: 'no opinion' } }]);
    await world.drive(world.gate.close());
  });

  test('D6: a probe that is cancelled on its way gives its ticket back, and another one goes', async () => {
    const world = await broken();
    await world.advance(1_000);
    const giveUp = new AbortController();
    const probe = world.ending(world.gate.run(world.work('probe', 500), { signal: giveUp.signal }));
    await world.settle();
    expect(world.began).toEqual(['probe']);
    giveUp.abort(new Error('changed my mind'));
    expect(await world.drive(probe)).toMatchObject({ error: { message: 'changed my mind' } });
    // Nothing was learned from it.
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'half-open', probesOut: 0 }, inFlight: 0 });
    const crowd = Array.from({ length: 10 }, () => world.ending(world.gate.run(world.work('crowd', 500))));
    await world.settle();
    expect(world.began).toEqual(['probe', 'crowd']);
    expect((await world.drive(Promise.all(crowd))).filter((end) => 'error' in end)).toHaveLength(9);
    expect(await world.drive(world.gate.run(world.work('next', 1)))).toBe('next');
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'closed' }, inFlight: 0 });
    await world.drive(world.gate.close());
  });

  test('a probe that waits for a rate holds nobody’s ticket: permit and probe are taken together', async () => {
    const world = await broken({ limits: { requestsPerMinute: 1 }, safetyMargin: 0, burstMs: 1 });
    await world.advance(1_000);
    const waits = world.gate.run(world.work('probe', 1), { whenShut: 'wait' });
    await world.advance(30_000);
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'half-open', probesOut: 0 }, inFlight: 0, waiting: 1 });
    await world.drive(waits);
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'closed' } });
    await world.drive(world.gate.close());
  });

  test('is not opened by calls that were refused for quota, which are the limiter’s affair', async () => {
    const world = new GateWorld({ attempts: 1, breaker: BREAKS });
    for (let call = 0; call < 10; call += 1) await world.drive(world.ending(world.gate.run(world.work(call, 0, http(429)))));
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'closed' } });
    await world.drive(world.gate.close());
  });

  test('stays away where none is wanted, and can still be opened by hand', async () => {
    const world = new GateWorld({ attempts: 1, breaker: false });
    for (let call = 0; call < 20; call += 1) await world.drive(world.ending(world.gate.run(world.work(call, 0, http(500)))));
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'closed' } });
    const release = world.gate.isolate();
    expect(await world.drive(world.ending(world.gate.run(world.work('no', 1))))).toMatchObject({ error: { code: 'DROVER_BREAKER_OPEN' } });
    release();
    expect(await world.drive(world.gate.run(world.work('yes', 1)))).toBe('yes');
    await world.drive(world.gate.close());
  });
});

describe('a limiter that crashes', () => {
  test('tells that its breaker has moved on meanwhile: who watches misses nothing', async () => {
    const desk = new Desk({ attempts: 1, breaker: BREAKS });
    await desk.advance(5_000);
    desk.begin({ tries: [{ end: http(500), afterMs: 0 }] });
    await desk.advance(900);
    desk.crash();
    await desk.advance(40);
    expect(desk.moves).toEqual(['open']);
    await desk.advance(5_000);
    desk.crash();
    await desk.advance(100);
    expect(desk.moves).toEqual(['open', 'half-open']);
    desk.begin({ tries: [{ end: 'ok', afterMs: 0 }] });
    await desk.advance(100);
    expect(desk.moves).toEqual(['open', 'half-open', 'closed']);
    await desk.close();
  });

  test('tells of a half-open that is another one: it has been open in between, and has all its probes', async () => {
    const desk = new Desk({ attempts: 1, breaker: { ...BREAKS, probes: 2, probeMs: 2_000 } });
    await desk.advance(5_000);
    desk.begin({ tries: [{ end: http(500), afterMs: 0 }] });
    await desk.advance(1_500);
    desk.begin({ tries: [{ end: 'ok', afterMs: 0 }] });
    await desk.advance(100);
    expect(desk.moves).toEqual(['open', 'half-open']);
    // What the probe brought, the successor does not know: its lease and a rest have passed.
    await desk.advance(10_000);
    desk.crash();
    await desk.advance(100);
    expect(await desk.look()).toMatchObject({ breaker: { at: 'half-open', openings: 2 } });
    expect(desk.moves).toEqual(['open', 'half-open', 'half-open']);
    await desk.close();
  });
});

describe('CB-10: isolated by hand', () => {
  test('is counted: open until each handle is released, and a handle counts once', async () => {
    const world = new GateWorld();
    const first = world.gate.isolate();
    const second = world.gate.isolate();
    const refused = async (): Promise<unknown> => world.drive(world.ending(world.gate.run(world.work('no', 1))));
    const byHand = { error: { code: 'DROVER_BREAKER_OPEN', detail: { untilMs: null } } };
    expect(await refused()).toMatchObject(byHand);
    first();
    first();
    expect(await refused()).toMatchObject(byHand);
    await world.advance(10 * 60_000);
    expect(await refused()).toMatchObject(byHand);
    second();
    expect(await world.drive(world.gate.run(world.work('yes', 1)))).toBe('yes');
    expect(moves(world.events)).toEqual(['isolated', 'closed']);
    await world.drive(world.gate.close());
  });

  test('ends at a reset with all its handles; what is released later does nothing', async () => {
    const world = new GateWorld();
    const handle = world.gate.isolate();
    world.gate.isolate();
    world.gate.reset();
    expect(await world.drive(world.gate.run(world.work('yes', 1)))).toBe('yes');
    handle();
    expect(await world.drive(world.gate.run(world.work('again', 1)))).toBe('again');
    await world.drive(world.gate.close());
  });

  test('those who wait for it go when it ends, and what was under way comes home', async () => {
    const world = new GateWorld({ limits: { concurrency: 3 } });
    const under = world.gate.run(world.work('under way', 5_000));
    await world.settle();
    const release = world.gate.isolate();
    const waits = world.gate.run(world.work('waits', 1), { whenShut: 'wait' });
    expect(await world.drive(under)).toBe('under way');
    await world.advance(60_000);
    expect(world.began).toEqual(['under way']);
    release();
    expect(await world.drive(waits)).toBe('waits');
    await world.drive(world.gate.close());
  });
});

describe('quality', () => {
  const good = 'The invoice of the third of May is over 120 euro and was paid.';

  test('opens while every call succeeds, by the scorers that are there', async () => {
    const world = new GateWorld({ breaker: { resetAfterMs: 1_000, quality: { below: 0.5, outOf: 5 } } });
    for (let call = 0; call < 5; call += 1) await world.drive(world.gate.run(world.work(call, 1, '')));
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'open', why: 'quality' } });
    expect(world.events.filter(({ at }) => at === 'called')).toHaveLength(5);
    await world.advance(1_000);
    // A probe whose reply is poor has failed; one whose reply is good closes.
    await world.drive(world.gate.run(world.work('poor', 1, '')));
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'open', why: 'quality' } });
    await world.advance(1_000);
    await world.drive(world.gate.run(world.work('good', 1, good)));
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'closed' } });
    await world.drive(world.gate.close());
  });

  test('stays closed for the same calls with good replies', async () => {
    const world = new GateWorld({ breaker: { quality: { below: 0.5, outOf: 5 } } });
    for (let call = 0; call < 20; call += 1) await world.drive(world.gate.run(world.work(call, 1, good)));
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'closed' } });
    await world.drive(world.gate.close());
  });

  const scorers: readonly [string, () => unknown][] = [
    [
      'throws',
      () => {
        throw new Error('no idea');
      },
    ],
    ['gives no number', () => Number.NaN],
    ['gives more than all', () => 7],
    ['gives less than nothing', () => -1],
    ['is asynchronous', () => Promise.reject(new Error('later'))],
  ];
  test.each(scorers)('a scorer that %s has no opinion: the call goes on, and it is reported once', async (_name, scorer) => {
    const world = new GateWorld({ breaker: { quality: { below: 0.5, outOf: 2, scorers: [scorer as never] } } });
    for (let call = 0; call < 6; call += 1) expect(await world.drive(world.gate.run(world.work(call, 1)))).toBe(call);
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'closed' }, inFlight: 0 });
    expect(world.events.filter(({ at }) => at === 'misread')).toMatchObject([{ field: 'quality', error: { code: 'DROVER_SCORER' } }]);
    await world.drive(world.gate.close());
  });
});

describe('a soft breaker', () => {
  test('sheds a growing share while calls fail, never all, and none once they succeed for its window', async () => {
    const desk = new Desk({ attempts: 1, breaker: { soft: { k: 2, windowMs: 60_000 } } });
    const share = async (end: Error | 'ok', count = 300): Promise<number> => {
      const from = desk.tries.length;
      for (let call = 0; call < count; call += 1) {
        desk.begin({ whenShut: 'refuse', tries: [{ end, afterMs: 1 }] });
        await desk.advance(20);
      }
      return (desk.tries.length - from) / count;
    };
    expect(await share('ok', 100)).toBe(1);
    const failing = await share(http(500));
    expect(failing).toBeGreaterThan(0.02);
    expect(failing).toBeLessThan(0.95);
    const down = await share(http(500));
    expect(down).toBeLessThan(failing);
    expect(down).toBeGreaterThan(0);
    await desk.advance(120_000);
    expect(await share('ok')).toBeGreaterThan(0.99);
    await desk.expectHome();
    await desk.close();
  });
});
