/** Calls that name no upper bound, and what is counted of calls that went wrong. */
import { describe, expect, test } from 'vitest';
import { GateWorld, http } from './gate-world.ts';

const uses = (tokens: number) => ({ usage: () => ({ inputTokens: tokens, outputTokens: 0 }) });

async function codes(world: GateWorld, count: number, call: object): Promise<(string | undefined)[]> {
  const ends: (string | undefined)[] = [];
  for (let at = 0; at < count; at += 1) {
    const end = await world.drive(world.ending(world.gate.run(world.work(at, 1), call)));
    ends.push(end.at === 'failed' ? end.error.code : 'replied');
  }
  return ends;
}

describe('calls that name no upper bound', () => {
  test('go until the budget is spent, and are refused then', async () => {
    const world = new GateWorld({ budget: { tokens: 500 } });
    expect(await codes(world, 6, uses(150))).toEqual([
      ...Array<string>(4).fill('replied'),
      ...Array<string>(2).fill('DROVER_BUDGET_EXCEEDED'),
    ]);
    expect(await world.gate.look()).toMatchObject({ budget: { spent: { tokens: 600 } }, inFlight: 0 });
    await world.drive(world.gate.close());
  });

  test('are refused when the budget is lowered below what is spent, and go again when it is raised', async () => {
    const world = new GateWorld({ budget: { tokens: 1_000 } });
    expect(await codes(world, 1, uses(600))).toEqual(['replied']);
    world.gate.raiseBudget({ tokens: 500 });
    expect(await codes(world, 1, uses(600))).toEqual(['DROVER_BUDGET_EXCEEDED']);
    world.gate.raiseBudget({ tokens: 601 });
    expect(await codes(world, 2, uses(600))).toEqual(['replied', 'DROVER_BUDGET_EXCEEDED']);
    await world.drive(world.gate.close());
  });

  test('that cost nothing go where no dollar is left', async () => {
    const world = new GateWorld({ budget: { usd: 1 }, price: ({ inputTokens }) => (inputTokens >= 100 ? 2 : 0) });
    expect(await codes(world, 2, uses(100))).toEqual(['replied', 'DROVER_BUDGET_EXCEEDED']);
    expect(await codes(world, 2, { input: 10, ...uses(10) })).toEqual(['replied', 'replied']);
    await world.drive(world.gate.close());
  });
});

describe('what is counted', () => {
  test('a request that the provider found wrong has used nothing; one that broke off counts in full', async () => {
    const world = new GateWorld({ attempts: 1, budget: { tokens: 1_000 } });
    for (const status of [400, 401, 403, 404, 413, 422, 429, 503]) {
      await world.drive(world.ending(world.gate.run(world.work(status, 1, http(status)), { input: 100 })));
      expect(await world.gate.look()).toMatchObject({ budget: { spent: { tokens: 0 } } });
    }
    for (const [at, status] of [408, 500].entries()) {
      await world.drive(world.ending(world.gate.run(world.work(status, 1, http(status)), { input: 100 })));
      expect(await world.gate.look()).toMatchObject({ budget: { spent: { tokens: 100 * (at + 1) } } });
    }
    await world.drive(world.gate.close());
  });

  test('fewer than no cached tokens are none', async () => {
    const world = new GateWorld({ limits: { tokensPerMinute: 60_000 }, burstMs: 1_000, cachedInputIsFree: true });
    const usage = () => ({ inputTokens: 10, outputTokens: 0, cachedInputTokens: -50_000 });
    for (let at = 0; at < 3; at += 1) await world.drive(world.gate.run(world.work(at, 1), { input: 10, usage }));
    expect(world.nowMs).toBeLessThan(1_000);
    await world.drive(world.gate.close());
  });
});

test('an abandoned call says nothing of the dependency, unless the time of whoever made it was over', async () => {
  const world = new GateWorld({ attempts: 1, breaker: { failures: 3, resetAfterMs: 60_000 } });
  const hanging = (signal: AbortSignal) => world.ending(world.gate.run(() => new Promise(() => {}), { signal }));
  const breaker = async (): Promise<string> => (await world.gate.look()).breaker!.at;
  for (const [reason, at] of [
    [new Error('changed my mind'), 'closed'],
    [new DOMException('too slow', 'TimeoutError'), 'open'],
  ] as const) {
    const hands = [1, 2, 3].map(() => new AbortController());
    const ends = hands.map(({ signal }) => hanging(signal));
    await world.settle();
    for (const hand of hands) hand.abort(reason);
    await world.drive(Promise.all(ends));
    expect(await breaker()).toBe(at);
  }
  await world.drive(world.gate.close());
});

test('whether a caller whose time was over counts as a failure is for `counts` to say', async () => {
  const world = new GateWorld({ attempts: 1, breaker: { failures: 1, resetAfterMs: 60_000, counts: () => false } });
  const hand = new AbortController();
  const end = world.ending(world.gate.run(() => new Promise(() => {}), { signal: hand.signal }));
  await world.settle();
  hand.abort(new DOMException('too slow', 'TimeoutError'));
  await world.drive(end);
  expect(await world.gate.look()).toMatchObject({ breaker: { at: 'closed' } });
  await world.drive(world.gate.close());
});
