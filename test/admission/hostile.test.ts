/** Bad input and bad luck of a gate: a clear error or a safe reading, and whatever was reserved comes home. */
import { describe, expect, test } from 'vitest';
import { admission } from '../../src/admission/gate.ts';
import type { AdmissionSpec } from '../../src/admission/gate.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { Desk } from './desk.ts';
import { GateWorld, http } from './gate-world.ts';

describe('a gate that makes no sense', () => {
  const rows: readonly [string, object, RegExp][] = [
    ['a rate of nothing', { limits: { requestsPerMinute: 0 } }, /limits.*requestsPerMinute/s],
    ['a negative rate', { limits: { tokensPerMinute: -5 } }, /tokensPerMinute/],
    ['a rate that is no number', { limits: { tokensPerMinute: Number.NaN } }, /tokensPerMinute/],
    ['an endless rate', { limits: { tokensPerMinute: Infinity } }, /tokensPerMinute/],
    ['no room at all', { limits: { concurrency: 0 } }, /concurrency/],
    ['room for a part of a call', { limits: { concurrency: 1.5 } }, /concurrency/],
    ['a limit of another name', { limits: { rpm: 5 } }, /rpm/],
    ['a margin of everything', { safetyMargin: 1 }, /safetyMargin/],
    ['a burst of no time', { burstMs: 0 }, /burstMs/],
    ['no tries', { attempts: 0 }, /attempts/],
    ['no time', { timeoutMs: 0 }, /timeoutMs/],
    ['a breaker that opens at no failure', { breaker: { failures: 0 } }, /breaker/],
    ['a threshold above all scores', { breaker: { quality: { below: 2, outOf: 5 } } }, /breaker/],
    ['a soft breaker that refuses everything', { breaker: { soft: { k: 1 } } }, /breaker/],
    ['a weight of nothing', { weights: { tenants: { a: 0 } } }, /weights/],
    ['a negative budget', { budget: { usd: -1 } }, /usd/],
    ['a budget of nothing in particular', { budget: {} }, /usd, tokens/],
    ['a part of a token', { budget: { tokens: 0.5 } }, /tokens/],
    ['a warning beyond the end', { budget: { usd: 1, warnAt: [2] } }, /warnAt/],
    ['learning of an unknown kind', { adapt: 'magic' }, /adapt/],
    ['a rate to learn that is nothing', { adapt: { rate: { startPerMinute: 0 } } }, /adapt/],
    ['room to learn by no known way', { adapt: { concurrency: { by: 'vegas' } } }, /adapt/],
    [
      'a least rate above the highest',
      { adapt: { rate: { leastPerMinute: 100, mostPerMinute: 10 } } },
      /leastPerMinute.*at most `mostPerMinute` \(10\).*100/,
    ],
    ['a first rate above the highest', { adapt: { rate: { startPerMinute: 100, mostPerMinute: 10 } } }, /startPerMinute.*mostPerMinute/],
    ['a first room above the most', { adapt: { concurrency: { by: 'aimd', start: 50, most: 5 } } }, /concurrency\.start.*most/],
    ['a least room above the most', { adapt: { concurrency: { by: 'gradient2', least: 50, most: 5 } } }, /concurrency\.least.*most/],
    ['a first rest above the longest', { breaker: { resetAfterMs: { baseMs: 1_000, capMs: 10 } } }, /baseMs.*`capMs` \(10\).*1000/],
    ['more scores than are looked at', { breaker: { quality: { below: 0.5, outOf: 3, least: 5 } } }, /quality\.least.*`outOf` \(3\).*5/],
    ['a share of all', { breaker: { sampling: { share: 1 } } }, /sampling\.share: expected a share/],
    [
      'a breaker with a field of another name',
      { breaker: { sampling: { part: 1 } } },
      /sampling\.part: expected no such field; there are share/,
    ],
    ['a ratio of all', { adapt: { concurrency: { by: 'aimd', backoffRatio: 1 } } }, /backoffRatio: expected a share/],
    [
      'a field of another name',
      { clasify: () => null },
      /^admission\.clasify: expected no such field; there are name, budget, limits(?!.*(perform|unpriced))/,
    ],
    ['places of a dependency', { slots: () => 1 }, /slots/],
    ['a line for nobody', { waiting: 0 }, /waiting/],
  ];
  test.each(rows)('%s is refused at once, and named', (_name, spec, message) => {
    expect(() => admission(spec as AdmissionSpec)).toThrow(message);
  });

  test('whatever may be learned is taken', () => {
    const ways: readonly NonNullable<AdmissionSpec['adapt']>[] = [
      'none',
      'aimd',
      'gradient',
      { rate: { unit: 'requests', startPerMinute: 5 }, concurrency: { by: 'gradient2', least: 2, smoothing: 0.5 } },
      { concurrency: { by: 'aimd', most: 50, backoffRatio: 0.7 } },
    ];
    for (const adapt of ways) expect(() => admission({ adapt })).not.toThrow();
  });

  test('a second try is bounded by shares that make sense', () => {
    for (const retries of [{ share: 2 }, { share: -1 }, { perSecond: -1 }, { most: -1 }])
      expect(() => admission({ retries })).toThrow(/retries/);
  });
});

describe('a call that makes no sense', () => {
  test.each([[null], [7], ['x'], [[]]])('options that are none are refused: %j', async (options) => {
    const world = new GateWorld();
    expect(await world.ending(world.gate.run(world.work(1, 1), options as never))).toMatchObject({
      at: 'failed',
      error: { code: 'DROVER_ADMISSION_OPTION', detail: { path: ['run'], expected: 'an object of options' } },
    });
  });

  test('work that is no function is refused, and not tried', async () => {
    const world = new GateWorld();
    expect(await world.ending(world.gate.run(undefined as never))).toMatchObject({
      at: 'failed',
      error: { code: 'DROVER_ADMISSION_OPTION', detail: { path: ['run', 'work'] } },
    });
    expect((await world.gate.look()).granted).toBe(0);
  });

  test('a budget that is none is not raised to', () => {
    for (const budget of [null, 7, { usd: 1, warnAt: 5 }])
      expect(() => admission({ budget: { usd: 1 } }).raiseBudget(budget as never)).toThrow(
        expect.objectContaining({ code: 'DROVER_BUDGET_INPUT' }) as Error,
      );
  });

  test('a call without a price is told to have one, where money is limited', async () => {
    const world = new GateWorld({ budget: { usd: 1 } });
    const { error } = (await world.ending(world.gate.run(world.work(1, 1), { input: 1 }))) as { readonly error: Error };
    expect(error).toMatchObject({ code: 'DROVER_BUDGET_INPUT', message: expect.stringMatching(/give `price`, got undefined/) as string });
  });

  test('a priority that is no whole number is refused, and the gate can be closed', async () => {
    const world = new GateWorld();
    for (const priority of [0.5, Number.NaN, Infinity])
      expect(await world.ending(world.gate.run(world.work(1, 1), { priority }))).toMatchObject({
        error: { message: expect.stringContaining('priority') as unknown },
      });
    expect(world.began).toEqual([]);
    await world.drive(world.gate.close(), 100);
  });

  test.each(['tenant', 'flow'])('a %s that is no text is refused, and the limiter does not crash over it', async (field) => {
    const world = new GateWorld({ limits: { concurrency: 1 } });
    const first = world.gate.run(world.work('first', 10));
    for (const name of [5, {}, Number.NaN, true, null])
      expect(await world.ending(world.gate.run(world.work(1, 1), { [field]: name }))).toMatchObject({
        error: { code: 'DROVER_ADMISSION_OPTION' },
      });
    for (const name of ['__proto__', 'constructor', ''])
      expect(await world.drive(world.gate.run(world.work(name, 1), { [field]: name }))).toBe(name);
    expect(await world.drive(first)).toBe('first');
    await world.drive(world.gate.close(), 100);
  });

  test.each([
    ['input', -5],
    ['input', Number.NaN],
    ['output', Infinity],
    ['output', 'lots'],
    ['input', null],
    ['withinMs', Number.NaN],
    ['whenShut', 'perhaps'],
    ['price', 5],
    ['usage', 5],
    ['signal', {}],
    ['onWaiting', 5],
    ['tokens', 5],
  ])('%s of %s is refused, named, and nothing is done', async (field, value) => {
    const world = new GateWorld({ limits: { tokensPerMinute: 600 }, budget: { tokens: 100 } });
    const ending = await world.ending(world.gate.run(world.work(1, 1), { [field]: value }));
    expect(ending).toMatchObject({
      at: 'failed',
      error: { code: 'DROVER_ADMISSION_OPTION', message: expect.stringContaining(field) as unknown },
    });
    expect(world.began).toEqual([]);
    await world.drive(world.gate.close(), 100);
  });

  test('a price beyond all money is refused where it is asked, and the gate can still be closed', async () => {
    const world = new GateWorld({ budget: { usd: 5 } });
    const end = await world.drive(world.ending(world.gate.run(world.work(1, 1), { input: 1, price: () => 1e12 })));
    expect(end).toMatchObject({ at: 'failed', error: { code: 'DROVER_BUDGET_INPUT' } });
    expect(world.began).toEqual([]);
    await world.drive(world.gate.close(), 100);
    expect(world.clock.pending).toBe(0);
  });

  const usages: readonly [string, unknown][] = [
    ['is missing', undefined],
    ['is null', null],
    ['is negative', { inputTokens: -5, outputTokens: 1 }],
    ['is no number', { inputTokens: Number.NaN, outputTokens: 1 }],
    ['is half', { inputTokens: 5 }],
    ['is a text', { inputTokens: '5', outputTokens: '6' }],
  ];
  test.each(usages)('a usage that %s leaves the upper bound charged', async (_name, usage) => {
    const world = new GateWorld({
      budget: { tokens: 1_000, usd: 10 },
      price: ({ inputTokens, outputTokens }) => (inputTokens + outputTokens) / 1_000,
    });
    await world.drive(world.gate.run(world.work(1, 1), { input: 100, output: 50, usage: () => usage as never }));
    expect((await world.gate.look()).budget).toMatchObject({ spent: { tokens: 150, usd: 0.15 }, reserved: { tokens: 0, usd: 0 } });
    await world.drive(world.gate.close());
  });

  test('a price that makes no sense is refused where money is limited, and no hindrance where it is not', async () => {
    for (const price of [() => Number.NaN, () => -1, () => 'cheap' as never, () => ({}) as never]) {
      const world = new GateWorld({ budget: { usd: 1 } });
      expect(await world.drive(world.ending(world.gate.run(world.work(1, 1), { input: 1_000_000, price })))).toMatchObject({
        at: 'failed',
        error: { code: 'DROVER_BUDGET_INPUT' },
      });
      const free = new GateWorld({ budget: { tokens: 5_000_000 } });
      expect(await free.drive(free.gate.run(free.work('done', 1), { input: 1_000_000, price }))).toBe('done');
    }
  });

  test('a call that was turned away costs nothing, whatever a reading of its own makes of the status', async () => {
    const world = new GateWorld({ budget: { tokens: 1_000 }, classify: () => ({ at: 'transient' }) });
    const refused = Object.assign(new Error('slow down'), { status: 429 });
    await world.drive(world.ending(world.gate.run(world.work(1, 1, refused), { input: 900 })));
    expect((await world.gate.look()).budget).toMatchObject({ spent: { tokens: 0 }, reserved: { tokens: 0 } });
    await world.drive(world.gate.close());
  });

  test('an absurd usage counts as unknown, and does not stop the others for years', async () => {
    const world = new GateWorld({ limits: { tokensPerMinute: 60_000 } });
    const usage = () => ({ inputTokens: 1e15, outputTokens: 0 });
    await world.drive(world.gate.run(world.work(1, 1), { input: 100, usage }));
    expect(await world.drive(world.gate.run(world.work('done', 1), { input: 100 }))).toBe('done');
    expect(world.nowMs).toBeLessThan(60_000);
  });

  test('a usage that throws is reported, and leaves the upper bound charged', async () => {
    const world = new GateWorld({ budget: { tokens: 1_000 } });
    const usage = (): never => {
      throw new Error('no idea');
    };
    expect(await world.drive(world.gate.run(world.work(1, 1), { input: 100, usage }))).toBe(1);
    expect((await world.gate.look()).budget).toMatchObject({ spent: { tokens: 100 } });
    expect(world.events.filter(({ at }) => at === 'misread')).toMatchObject([{ field: 'usage', error: { message: 'no idea' } }]);
    await world.drive(world.gate.close());
  });

  const prices: readonly [string, (calls: number) => number][] = [
    [
      'throws',
      () => {
        throw new Error('the price list is gone');
      },
    ],
    ['is no number', () => Number.NaN],
    ['is negative', () => -1],
    ['is endless', () => Infinity],
  ];
  test.each(prices)(
    'S5: a price that %s once the usage is known leaves the upper bound charged, and nothing is free',
    async (_name, wrong) => {
      const world = new GateWorld({ budget: { usd: 10 } });
      let asked = 0;
      const price = (): number => ((asked += 1) === 1 ? 2 : wrong(asked));
      await world.drive(world.gate.run(world.work(1, 1), { input: 100, price, usage: () => ({ inputTokens: 80, outputTokens: 0 }) }));
      expect((await world.gate.look()).budget).toMatchObject({ spent: { usd: 2 }, reserved: { usd: 0 } });
      expect(world.events.some(({ at }) => at === 'misread')).toBe(true);
      await world.drive(world.gate.close());
    },
  );

  const garbage: readonly unknown[] = [
    { retryAfterMs: Number.NaN },
    { retryAfterMs: -5 },
    { retryAfterMs: 'soon' },
    { usage: { inputTokens: -1, outputTokens: 'many' } },
    { usage: null, quota: null, retryAfterMs: null },
    { quota: 5 },
    { quota: { requests: { left: Number.NaN, resetMs: Infinity, limit: -1 } } },
    { quota: { tokens: { left: 0, resetMs: 1e15 }, input: { left: -5 }, output: null } },
    { quota: { tokens: { left: '0', resetMs: 'never' } } },
    {},
  ];
  test.each(garbage.map((seen) => [JSON.stringify(seen), seen]))('what a try tells on its way may be nonsense: %s', async (_name, seen) => {
    const world = new GateWorld({ limits: { requestsPerMinute: 6_000, tokensPerMinute: 6_000 } });
    const call = world.gate.run(
      async (tried) => {
        tried.report(seen as never);
        if (tried.attempt === 1) throw http(429);
        return 'done';
      },
      { input: 10 },
    );
    expect(await world.drive(call, 120_000)).toBe('done');
    const fromMs = world.nowMs;
    expect(await world.drive(world.gate.run(world.work('next', 1), { input: 10 }), 120_000)).toBe('next');
    // However it is read, nobody waits for longer than a minute.
    expect(world.nowMs - fromMs).toBeLessThanOrEqual(61_000);
    // A limiter that had crashed over it would have begun to count anew.
    expect(await world.gate.look()).toMatchObject({ inFlight: 0, waiting: 0, granted: 3 });
    await world.drive(world.gate.close());
  });

  test('an error that is none is passed on as it is', async () => {
    const world = new GateWorld({ attempts: 1 });
    for (const thrown of [undefined, null, 'text', 5, Object.create(null)]) {
      const end = await world.drive(world.ending(world.gate.run(() => Promise.reject(thrown))));
      expect(end).toMatchObject({ at: 'failed', error: thrown === undefined || thrown === null ? {} : (expect.anything() as unknown) });
    }
    expect(await world.gate.look()).toMatchObject({ inFlight: 0 });
    await world.drive(world.gate.close());
  });
});

describe('a deadline', () => {
  test('holds for a call that waits for money that others hold', async () => {
    const world = new GateWorld({ budget: { tokens: 100 } });
    const first = world.gate.run(world.work('first', 10_000), { input: 100, usage: () => ({ inputTokens: 10, outputTokens: 0 }) });
    await world.settle();
    const late = world.ending(world.gate.run(world.work('late', 1), { input: 50, withinMs: 1_000 }));
    expect(await world.drive(late, 5_000)).toMatchObject({ error: { code: 'DROVER_ADMISSION_LATE' } });
    expect(world.nowMs).toBe(1_000);
    expect(await world.drive(first)).toBe('first');
    expect((await world.gate.look()).budget).toMatchObject({ reserved: { tokens: 0 }, waiting: 0, spent: { tokens: 10 } });
    await world.drive(world.gate.close());
  });

  test('is not put off by a limiter that crashes meanwhile', async () => {
    const desk = new Desk({ limits: { concurrency: 1 } });
    await desk.advance(5_000);
    desk.begin({ tries: [{ end: 'ok', afterMs: 1_050 }] });
    const late = desk.begin({ withinMs: 1_000, tries: [{ end: 'ok', afterMs: 1 }] });
    await desk.advance(900);
    desk.crash();
    await desk.advance(99);
    expect(late.endings).toEqual([]);
    await desk.advance(2);
    expect(late.endings).toMatchObject([{ at: 'failed', error: { cause: { code: 'DROVER_ADMISSION_LATE' } } }]);
    await desk.advance(1_000);
    expect(desk.tries).toHaveLength(1);
    await desk.expectHome();
    await desk.close();
  });
});

describe('a gate whose limiter is not there yet', () => {
  test('answers who asked before it was, whatever order messages come in', async () => {
    for (let seed = 0; seed < 40; seed += 1) {
      const desk = new Desk({ limits: { concurrency: 1 } }, { seed });
      const calls = [1, 2, 3].map(() => desk.begin({ tries: [{ end: 'ok', afterMs: 10 }] }));
      await desk.advance(100);
      expect(
        calls.map(({ endings }) => endings.length),
        `seed ${seed}`,
      ).toEqual([1, 1, 1]);
      await desk.close();
    }
  });
});

describe('a limiter that crashes twice within a second', () => {
  const granted = async (distanceMs: number): Promise<number> => {
    const desk = new Desk({ limits: { requestsPerMinute: 600 }, safetyMargin: 0, burstMs: 200 });
    await desk.advance(10_000);
    desk.begin({ tries: [{ end: 'ok', afterMs: 1 }] });
    await desk.advance(1);
    desk.crash();
    await desk.advance(distanceMs);
    expect(desk.crashes).toBe(1);
    desk.crash();
    await desk.advance(1);
    expect(desk.crashes).toBe(2);
    const fromMs = desk.nowMs;
    const call = desk.begin({ tries: [{ end: 'ok', afterMs: 1 }] });
    await desk.advance(5_000);
    expect(call.endings).toMatchObject([{ at: 'replied' }]);
    await desk.expectHome();
    await desk.close();
    return desk.tries[1]!.beganMs - fromMs;
  };

  test('does not believe the book of its predecessor, and is cautious for a second', async () => {
    expect(await granted(200)).toBeGreaterThanOrEqual(1_000);
  });

  test('one that crashes less often goes on at once', async () => {
    expect(await granted(1_500)).toBeLessThan(300);
  });
});

describe('a gate whose limiter cannot go on', () => {
  const ruined = async (desk: Desk): Promise<void> => {
    for (let crash = 0; crash < 4; crash += 1) {
      desk.crash();
      await desk.advance(600);
    }
    await desk.ended;
  };

  test('refuses whoever waits, and whoever comes: nobody hangs', async () => {
    const desk = new Desk({ limits: { concurrency: 1 } }, { supervision: { intensity: 2, periodMs: 60_000 } });
    const under = desk.begin({ tries: [{ end: 'ok', afterMs: 10_000 }] });
    await desk.settle();
    expect(desk.tries).toHaveLength(1);
    const waits = desk.begin({ tries: [{ end: 'ok', afterMs: 1 }] });
    const rests = desk.begin({ slots: 1, tries: [{ end: 'ok', afterMs: 1 }] });
    await ruined(desk);
    const comes = desk.begin({ tries: [{ end: 'ok', afterMs: 1 }] });
    await desk.advance(20_000);
    const closed = [{ at: 'failed', error: { cause: { code: 'DROVER_ADMISSION_CLOSED' } } }];
    for (const call of [waits, rests, comes]) expect(call.endings).toMatchObject(closed);
    expect(under.endings).toMatchObject([{ at: 'replied' }]);
    expect(desk.calls.slotsOut).toBe(0);
    await desk.close();
  });

  test('refuses a call that comes back from its rest, too', async () => {
    const desk = new Desk({ attempts: 3 }, { supervision: { intensity: 2, periodMs: 60_000 } });
    const rests = desk.begin({ tries: [{ end: http(503, { 'retry-after': '30' }), afterMs: 1 }] });
    await ruined(desk);
    await desk.advance(60_000);
    expect(rests.endings).toMatchObject([{ at: 'failed', error: { cause: { code: 'DROVER_ADMISSION_CLOSED' } } }]);
    await desk.close();
  });
});

describe('budgets of a gate', () => {
  test('a call beyond the budget is refused, nothing of it is done, and raising lets it go', async () => {
    const world = new GateWorld({ budget: { tokens: 100 } });
    expect(await world.drive(world.gate.run(world.work(1, 1), { input: 80 }))).toBe(1);
    const refused = await world.drive(world.ending(world.gate.run(world.work(2, 1), { input: 80 })));
    expect(refused).toMatchObject({ error: { code: 'DROVER_BUDGET_EXCEEDED', detail: { why: 'exhausted', untilMs: null } } });
    expect(world.began).toEqual([1]);
    world.gate.raiseBudget({ tokens: 200 });
    expect(await world.drive(world.gate.run(world.work(3, 1), { input: 80 }))).toBe(3);
    await world.drive(world.gate.close());
  });

  test('S5: many at once reserve no more than there is, and each is answered once', async () => {
    const world = new GateWorld({ budget: { tokens: 1_000 } });
    const usage = () => ({ inputTokens: 60, outputTokens: 0 });
    const calls = Array.from({ length: 40 }, (_, at) => world.ending(world.gate.run(world.work(at, 10 + at), { input: 100, usage })));
    await world.settle();
    expect(world.inFlight).toBe(10);
    const ends = await world.drive(Promise.all(calls));
    const replied = ends.filter(({ at }) => at === 'replied');
    // Sixty each: with fifteen done, nine hundred are spent, and a last one fits.
    expect(replied).toHaveLength(16);
    for (const end of ends) if (end.at === 'failed') expect(end.error.code).toBe('DROVER_BUDGET_EXCEEDED');
    expect((await world.gate.look()).budget).toMatchObject({ spent: { tokens: 960 }, reserved: { tokens: 0 }, waiting: 0 });
    await world.drive(world.gate.close());
  });

  test('S5: two gates on one store spend it once, and one that dies has spent its slice', async () => {
    const store = memoryStore();
    await store.open({ nowMs: 0, maxUnfinished: 1 });
    const worlds = [1, 2].map(() => new GateWorld({ budget: { tokens: 1_000 }, store }));
    let spent = 0;
    for (const world of worlds) {
      for (let call = 0; call < 10; call += 1) {
        const end = await world.drive(world.ending(world.gate.run(world.work(call, 1), { input: 100 })));
        if (end.at === 'replied') spent += 100;
      }
    }
    expect(spent).toBeLessThanOrEqual(1_000);
    expect(spent).toBeGreaterThanOrEqual(900);
    for (const world of worlds) await world.drive(world.gate.close());
    await store.close();
  });
});

describe('calls that wait in the line, and cost more than was thought', () => {
  test('S5: overspend by the estimate error of calls in flight, and not by that of all who waited', async () => {
    const world = new GateWorld({ limits: { concurrency: 2 }, budget: { tokens: 1_000 } });
    const usage = () => ({ inputTokens: 0, outputTokens: 100 });
    const endings = await world.drive(
      Promise.all(Array.from({ length: 100 }, (_, at) => world.ending(world.gate.run(world.work(at, 10), { output: 1, usage })))),
    );
    const { budget } = await world.gate.look();
    // Each is wrong by 99, and two are in flight.
    expect(budget!.spent.tokens).toBeLessThanOrEqual(1_000 + 2 * 99);
    expect(endings.filter(({ at }) => at === 'replied')).toHaveLength(budget!.spent.tokens / 100);
    const refused = endings.filter((ending) => ending.at === 'failed');
    expect(refused.every(({ error }) => error.code === 'DROVER_BUDGET_EXCEEDED')).toBe(true);
    expect(await world.gate.look()).toMatchObject({ inFlight: 0, waiting: 0, budget: { reserved: { tokens: 0 } } });
  });
});

describe('money without a price', () => {
  test('is not spent: a gate with a budget in dollars wants to know what a call costs', async () => {
    const world = new GateWorld({ budget: { usd: 1 } });
    expect(await world.drive(world.ending(world.gate.run(world.work(1, 1), { input: 1_000 })))).toMatchObject({
      at: 'failed',
      error: { code: 'DROVER_BUDGET_INPUT' },
    });
    expect(world.began).toEqual([]);
  });
});

describe('whoever watches and throws', () => {
  test('loses nobody an answer', async () => {
    const world = new GateWorld({
      limits: { concurrency: 1 },
      breaker: { failures: 1 },
      onEvent: () => {
        throw new Error('an observer fails');
      },
    });
    const onWaiting = (): void => {
      throw new Error('another one');
    };
    const runs = [1, 2, 3].map((at) => world.gate.run(world.work(at, 10), { onWaiting }));
    expect(await world.drive(Promise.all(runs))).toEqual([1, 2, 3]);
    await world.drive(world.gate.close());
  });

  test('an error that cannot be read is passed on as it is', async () => {
    const world = new GateWorld({ attempts: 1 });
    const odd = Object.defineProperty(new Error('odd'), 'status', {
      get() {
        throw new Error('no');
      },
    });
    expect(await world.drive(world.ending(world.gate.run(() => Promise.reject(odd))))).toMatchObject({
      at: 'failed',
      error: { message: 'odd' },
    });
  });
});

describe('an isolation', () => {
  test('that a reset has ended does not end a later one when it is released', async () => {
    const world = new GateWorld();
    const first = world.gate.isolate();
    world.gate.reset();
    const second = world.gate.isolate();
    first();
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'isolated' } });
    second();
    expect(await world.gate.look()).toMatchObject({ breaker: { at: 'closed' } });
  });
});

describe('closing', () => {
  test('a second time, without draining, refuses those who still wait', async () => {
    const world = new GateWorld({ limits: { concurrency: 1 } });
    const [running, waiting] = [1, 2].map((at) => world.ending(world.gate.run(world.work(at, 1_000))));
    await world.drive(world.sleep(10));
    const draining = world.gate.close();
    const closing = world.gate.close({ drain: false });
    expect(await world.drive(Promise.all([running!, waiting!]))).toMatchObject([
      { at: 'replied' },
      { at: 'failed', error: { code: 'DROVER_ADMISSION_CLOSED' } },
    ]);
    await world.drive(Promise.all([draining, closing]));
  });

  test('is not needed for a process to end: soon after the last call there is no timer', async () => {
    const world = new GateWorld();
    await world.drive(world.gate.run(world.work(1, 10)));
    await world.drive(world.sleep(200));
    expect(world.clock.pending).toBe(0);
  });
});
