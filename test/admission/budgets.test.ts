import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Budgets } from '../../src/admission/budgets.ts';
import { Asker, BudgetWorld } from './budget-world.ts';

const HOUR_MS = 3_600_000;

let world: BudgetWorld;
beforeEach(async () => void (world = await BudgetWorld.open()));
afterEach(() => world.close());

const alone = { shared: false };

function spent(budgets: Budgets, scope: string): { readonly usd: number; readonly tokens: number } {
  return budgets.look().find((look) => look.scope === scope)!.spent;
}

describe('a budget', () => {
  test('LIM-25: what was reserved and not used can be reserved again', async () => {
    const budgets = world.budgets({ fleet: { tokens: 100, perMs: 60_000 } }, alone);
    const first = await world.ask(budgets, ['fleet'], { tokens: 50 });
    budgets.settle(first.reservation!, { usd: 0, tokens: 20 });
    expect(spent(budgets, 'fleet').tokens).toBe(20);
    for (const tokens of [50, 30]) expect((await world.ask(budgets, ['fleet'], { tokens })).reservation).toBeDefined();
    expect(budgets.look()[0]).toMatchObject({ reserved: { tokens: 80 }, left: { tokens: 0, usd: null } });
  });

  test('LIM-29: a refund goes where it was charged, also when the scope has got another name on the way', async () => {
    const budgets = world.budgets({ 'key:k': { tokens: 100 }, 'model:m': { tokens: 100 }, 'team:t': { tokens: 100 } }, alone);
    const scopes = ['key:k', 'model:m'];
    const call = await world.ask(budgets, scopes, { tokens: 40 });
    scopes[1] = 'team:t';
    budgets.settle(call.reservation!, { usd: 0, tokens: 0 });
    expect(budgets.look().map(({ scope, left, reserved }) => [scope, left.tokens, reserved.tokens])).toEqual([
      ['key:k', 100, 0],
      ['model:m', 100, 0],
      ['team:t', 100, 0],
    ]);
  });

  test('LIM-29: a refund after its period, or after its scope has ended, makes nothing out of nothing', async () => {
    const budgets = world.budgets({ fleet: { tokens: 100, perMs: HOUR_MS }, 'task:1': { tokens: 50 } });
    const call = await world.ask(budgets, ['fleet', 'task:1'], { tokens: 40 });
    budgets.forget('task:1');
    await world.advance(HOUR_MS);
    budgets.declare('task:2', { tokens: 50 });
    budgets.settle(call.reservation!, { usd: 0, tokens: 0 });
    await world.settle();
    expect(budgets.look().map(({ left, spent: used }) => [left.tokens, used.tokens])).toEqual([
      [100, 0],
      [50, 0],
    ]);
    expect(await world.taken('task:1')).toEqual({ usd: 0, tokens: 0 });
  });

  test('LIM-30: money and tokens do not mix: each is charged exactly what the call says', async () => {
    const budgets = world.budgets({ fleet: { usd: 1, tokens: 10_000 } }, alone);
    await world.ask(budgets, ['fleet'], { usd: 0.000_000_123, tokens: 777 });
    expect(budgets.look()[0]!.reserved).toEqual({ usd: 0.000_000_123, tokens: 777 });
  });

  test('ten dimes are a dollar, and not a nano-dollar more', async () => {
    const budgets = world.budgets({ fleet: { usd: 1 } }, alone);
    for (let call = 0; call < 10; call += 1) {
      const { reservation } = await world.ask(budgets, ['fleet'], { usd: 0.1 });
      budgets.settle(reservation!, { usd: 0.1, tokens: 0 });
    }
    expect(budgets.look()[0]).toMatchObject({ spent: { usd: 1 }, left: { usd: 0 } });
    expect((await world.ask(budgets, ['fleet'], { usd: 0.000_000_001 })).error).toBeDefined();
  });

  test('a call is charged to all of its scopes, or to none', async () => {
    const budgets = world.budgets({ fleet: { usd: 10 }, 'kind:a': { usd: 5 }, 'task:1': { usd: 1 } }, alone);
    const refused = await world.ask(budgets, ['fleet', 'kind:a', 'task:1'], { usd: 2 });
    expect(refused.error!.detail).toMatchObject({ why: 'too-large', scope: 'task:1' });
    expect(budgets.look().map(({ reserved }) => reserved.usd)).toEqual([0, 0, 0]);
    await world.ask(budgets, ['fleet', 'kind:a', 'task:1', 'worker:without-a-budget'], { usd: 1 });
    expect(budgets.look().map(({ reserved }) => reserved.usd)).toEqual([1, 1, 1]);
  });

  test('a call whose scopes have no budget is free to go', () => {
    const budgets = world.budgets({});
    const reservation = budgets.reserve(['fleet', 'kind:a'], { usd: 1e6, tokens: 1e9 }, new Asker());
    expect(reservation).toBeDefined();
    budgets.settle(reservation!, null);
  });

  test('a call that costs more than was reserved counts in full, and the next one is refused', async () => {
    const budgets = world.budgets({ fleet: { usd: 10, perMs: HOUR_MS } }, alone);
    const call = await world.ask(budgets, ['fleet'], { usd: 5 });
    budgets.settle(call.reservation!, { usd: 9.5, tokens: 0 });
    const { error } = await world.ask(budgets, ['fleet'], { usd: 1 });
    expect(error).toMatchObject({
      code: 'DROVER_BUDGET_EXCEEDED',
      retryable: true,
      detail: { why: 'exhausted', scope: 'fleet', limit: { usd: 10, tokens: null }, spent: { usd: 9.5 }, asked: { usd: 1 } },
    });
    expect(error!.detail.untilMs).toBe(Math.ceil(world.clock.nowMs() / HOUR_MS) * HOUR_MS);
  });

  test('a call of which nobody knows what it cost counts as much as was reserved', async () => {
    const budgets = world.budgets({ fleet: { usd: 10, tokens: 100 } }, alone);
    for (const usage of [null, { usd: Number.NaN, tokens: -1 }, { usd: -3, tokens: Infinity }]) {
      const call = await world.ask(budgets, ['fleet'], { usd: 2, tokens: 30 });
      budgets.settle(call.reservation!, usage);
    }
    expect(spent(budgets, 'fleet')).toEqual({ usd: 6, tokens: 90 });
  });

  test('what costs nothing may go though more than everything is spent', async () => {
    const budgets = world.budgets({ fleet: { usd: 1, tokens: 100 } }, alone);
    budgets.settle((await world.ask(budgets, ['fleet'], { usd: 1 })).reservation!, { usd: 3, tokens: 0 });
    expect((await world.ask(budgets, ['fleet'], { tokens: 5 })).reservation).toBeDefined();
    expect((await world.ask(budgets, ['fleet'], { usd: 0.1 })).error).toBeDefined();
  });

  test('a budget without a period that is spent is spent for good', async () => {
    const budgets = world.budgets({ 'task:1': { tokens: 10 } }, alone);
    budgets.settle((await world.ask(budgets, ['task:1'], { tokens: 10 })).reservation!, null);
    const { error } = await world.ask(budgets, ['task:1'], { tokens: 1 });
    expect(error).toMatchObject({ retryable: false, detail: { untilMs: null } });
    expect(error!.message).toBe('budget task:1: the call needs up to 1 tokens, and 10 tokens of 10 tokens are spent; raise the budget');
  });

  test('the scope that takes longest to come back says until when', async () => {
    const budgets = world.budgets({ worker: { usd: 1, perMs: 60_000 }, kind: { usd: 1, perMs: HOUR_MS }, fleet: { usd: 9 } }, alone);
    budgets.settle((await world.ask(budgets, ['worker', 'kind', 'fleet'], { usd: 1 })).reservation!, null);
    expect((await world.ask(budgets, ['worker', 'kind', 'fleet'], { usd: 1 })).error!.detail).toMatchObject({ scope: 'kind' });
  });

  for (const wrong of [{ usd: -1 }, { usd: Number.NaN }, { tokens: Infinity }, { tokens: -0.5 }, { usd: 1e10 }]) {
    test(`an amount of ${JSON.stringify(wrong)} is refused at once, and nothing of it happens`, () => {
      const budgets = world.budgets({ fleet: { usd: 1 } }, alone);
      expect(() => budgets.reserve(['fleet'], { usd: 0, tokens: 0, ...wrong }, new Asker())).toThrow(
        expect.objectContaining({ code: 'DROVER_BUDGET_INPUT' }),
      );
      expect(budgets.look()[0]!.reserved).toEqual({ usd: 0, tokens: 0 });
    });
  }
});

describe('periods', () => {
  const anHour = { usd: 10, perMs: HOUR_MS };

  test('they begin at multiples of their length, whenever the process began', async () => {
    const budgets = world.budgets({ fleet: { usd: 1, perMs: 300_000 } }, alone);
    expect(budgets.look()[0]).toMatchObject({ periodStartMs: 900_000, untilMs: 1_200_000 });
    budgets.settle((await world.ask(budgets, ['fleet'], { usd: 1 })).reservation!, null);
    await world.advance(199_999);
    expect((await world.ask(budgets, ['fleet'], { usd: 1 })).error).toBeDefined();
    await world.advance(1);
    expect((await world.ask(budgets, ['fleet'], { usd: 1 })).reservation).toBeDefined();
  });

  test('a call counts in the period in which it was reserved, also when it ends in the next', async () => {
    const budgets = world.budgets({ fleet: anHour });
    const startMs = budgets.look()[0]!.periodStartMs;
    const call = await world.ask(budgets, ['fleet'], { usd: 8 });
    await world.advance(HOUR_MS);
    expect(budgets.look()[0]).toMatchObject({ spent: { usd: 0 }, reserved: { usd: 0 } });
    budgets.settle(call.reservation!, { usd: 7, tokens: 0 });
    expect((await world.ask(budgets, ['fleet'], { usd: 10 })).reservation).toBeDefined();
    expect(await world.taken('fleet', startMs)).toEqual({ usd: 7, tokens: 0 });
    expect(await world.taken('fleet', startMs + HOUR_MS)).toEqual({ usd: 10, tokens: 0 });
  });

  test('who waits is served when the next period begins, though nothing has come home', async () => {
    const budgets = world.budgets({ fleet: anHour }, alone);
    await world.ask(budgets, ['fleet'], { usd: 8 });
    const waiting = await world.ask(budgets, ['fleet'], { usd: 8 });
    expect(waiting.isWaiting).toBe(true);
    await world.advance(HOUR_MS);
    expect(waiting.reservation).toBeDefined();
  });

  test('who waits for the fleet is not served out of a period of its worker that is over', async () => {
    const budgets = world.budgets({ worker: { tokens: 700, perMs: 5_000 }, fleet: { tokens: 1_000, perMs: 100_000 } });
    world.away = 'before';
    const early = await world.ask(budgets, ['worker', 'fleet'], { tokens: 600 });
    await world.advance(5_001);
    world.away = undefined;
    await world.advance(60_000);
    expect(early.reservation).toBeDefined();
    const nowMs = world.clock.nowMs();
    expect(budgets.look()[0]!.periodStartMs).toBe(nowMs - (nowMs % 5_000));
    const periods = await Promise.all(Array.from({ length: 14 }, (_, at) => world.taken('worker', 1_000_000 + at * 5_000)));
    expect(periods[0]!.tokens).toBe(0);
  });
});

describe('waiting', () => {
  test('who would fit if calls in flight turn out cheaper waits, and is told when they do', async () => {
    const budgets = world.budgets({ fleet: { usd: 10 } }, alone);
    const first = await world.ask(budgets, ['fleet'], { usd: 8 });
    const second = await world.ask(budgets, ['fleet'], { usd: 5 });
    expect(second.isWaiting).toBe(true);
    budgets.settle(first.reservation!, { usd: 3, tokens: 0 });
    await world.settle();
    expect(second.reservation).toBeDefined();
  });

  test('who waited in vain is refused as soon as that is certain', async () => {
    const budgets = world.budgets({ fleet: { usd: 10 } }, alone);
    const first = await world.ask(budgets, ['fleet'], { usd: 8 });
    const second = await world.ask(budgets, ['fleet'], { usd: 5 });
    budgets.settle(first.reservation!, { usd: 8, tokens: 0 });
    await world.settle();
    expect(second.error!.detail).toMatchObject({ why: 'exhausted', spent: { usd: 8 } });
  });

  test('small calls do not starve a large one: they queue up behind it', async () => {
    const budgets = world.budgets({ fleet: { usd: 10 } }, alone);
    const out = [await world.ask(budgets, ['fleet'], { usd: 4 }), await world.ask(budgets, ['fleet'], { usd: 4 })];
    const large = await world.ask(budgets, ['fleet'], { usd: 9 });
    const small = await world.ask(budgets, ['fleet'], { usd: 1 });
    expect([large.isWaiting, small.isWaiting]).toEqual([true, true]);
    budgets.settle(out[0]!.reservation!, { usd: 0, tokens: 0 });
    await world.settle();
    expect(small.isWaiting).toBe(true);
    budgets.settle(out[1]!.reservation!, { usd: 0, tokens: 0 });
    await world.settle();
    expect([large.reservation, small.reservation].map((reservation) => reservation !== undefined)).toEqual([true, true]);
  });

  test('who waits for its kind does not hold up other kinds', async () => {
    const budgets = world.budgets({ fleet: { usd: 100 }, 'kind:a': { usd: 5 } }, alone);
    await world.ask(budgets, ['fleet', 'kind:a'], { usd: 5 });
    expect((await world.ask(budgets, ['fleet', 'kind:a'], { usd: 1 })).isWaiting).toBe(true);
    expect((await world.ask(budgets, ['fleet', 'kind:b'], { usd: 90 })).reservation).toBeDefined();
  });

  test('who moves on from its kind to the fleet keeps the place of its arrival', async () => {
    const budgets = world.budgets({ fleet: { usd: 10 }, 'kind:a': { usd: 5 } }, alone);
    const first = await world.ask(budgets, ['fleet', 'kind:a'], { usd: 5 });
    const other = await world.ask(budgets, ['fleet'], { usd: 5 });
    const early = await world.ask(budgets, ['kind:a', 'fleet'], { usd: 4 });
    const late = await world.ask(budgets, ['fleet'], { usd: 6 });
    budgets.settle(first.reservation!, { usd: 0, tokens: 0 });
    await world.settle();
    expect([early.isWaiting, late.isWaiting]).toEqual([false, true]);
    budgets.settle(other.reservation!, { usd: 0, tokens: 0 });
    await world.settle();
    expect(late.reservation).toBeDefined();
  });

  test('when several lines may go on at once, the order of arrival decides', async () => {
    const anHour = { usd: 5, perMs: HOUR_MS };
    const budgets = world.budgets({ fleet: { usd: 16 }, 'kind:a': anHour, 'kind:b': anHour }, alone);
    for (const kind of ['kind:a', 'kind:b']) await world.ask(budgets, [kind, 'fleet'], { usd: 5 });
    const early = await world.ask(budgets, ['kind:b', 'fleet'], { usd: 5 });
    const late = await world.ask(budgets, ['kind:a', 'fleet'], { usd: 5 });
    await world.advance(HOUR_MS);
    expect([early.isWaiting, late.isWaiting]).toEqual([false, true]);
  });

  test('whoever cancels lets the next one pass, and is not told', async () => {
    const budgets = world.budgets({ fleet: { usd: 10 } }, alone);
    await world.ask(budgets, ['fleet'], { usd: 6 });
    const large = await world.ask(budgets, ['fleet'], { usd: 9 });
    const small = await world.ask(budgets, ['fleet'], { usd: 4 });
    budgets.cancel(large);
    await world.settle();
    expect([large.isWaiting, small.reservation !== undefined]).toEqual([true, true]);
  });

  test('an answer that is on its way when its asker cancels comes home, and serves the next one', async () => {
    const budgets = world.budgets({ fleet: { usd: 10 } }, alone);
    const first = await world.ask(budgets, ['fleet'], { usd: 9 });
    const second = await world.ask(budgets, ['fleet'], { usd: 9 });
    const third = await world.ask(budgets, ['fleet'], { usd: 8 });
    budgets.settle(first.reservation!, { usd: 0, tokens: 0 });
    budgets.cancel(second);
    await world.settle();
    expect([second.isWaiting, third.isWaiting, budgets.look()[0]!.reserved.usd]).toEqual([true, false, 8]);
  });

  test('a refusal is told in a turn of its own, not within the question', async () => {
    const budgets = world.budgets({ fleet: { usd: 1 } }, alone);
    const asker = new Asker();
    expect(budgets.reserve(['fleet'], { usd: 2, tokens: 0 }, asker)).toBeUndefined();
    expect(asker.error).toBeUndefined();
    await world.settle();
    expect(asker.error!.detail).toMatchObject({ why: 'too-large', untilMs: null });
  });

  test('whoever waits when the budgets are closed is refused, as is whoever comes later', async () => {
    const budgets = world.budgets({ fleet: { usd: 10 } }, alone);
    await world.ask(budgets, ['fleet'], { usd: 6 });
    const waiting = await world.ask(budgets, ['fleet'], { usd: 9 });
    await budgets.close();
    const late = await world.ask(budgets, ['fleet'], { usd: 1 });
    expect([waiting.error!.detail.why, late.error!.detail.why]).toEqual(['closed', 'closed']);
  });
});

describe('an operator', () => {
  test('raises a budget: who waits is served, and what is spent stays spent', async () => {
    const budgets = world.budgets({ fleet: { usd: 10 } }, alone);
    await world.ask(budgets, ['fleet'], { usd: 8 });
    const waiting = await world.ask(budgets, ['fleet'], { usd: 8 });
    budgets.raise('fleet', { usd: 16 });
    await world.settle();
    expect(waiting.reservation).toBeDefined();
    expect(budgets.look()[0]).toMatchObject({ limit: { usd: 16 }, reserved: { usd: 16 }, left: { usd: 0 } });
  });

  for (const how of [{ shared: false }, { shared: true }]) {
    test(`lowers a budget ${how.shared ? 'over a store' : 'in memory'}: nothing is reserved until enough is left`, async () => {
      const budgets = world.budgets({ fleet: { usd: 100 } }, how);
      budgets.settle((await world.ask(budgets, ['fleet'], { usd: 10 })).reservation!, { usd: 0, tokens: 0 });
      const call = await world.ask(budgets, ['fleet'], { usd: 4 });
      budgets.raise('fleet', { usd: 5 });
      await world.settle();
      const waiting = await world.ask(budgets, ['fleet'], { usd: 2 });
      expect(waiting.isWaiting).toBe(true);
      budgets.settle(call.reservation!, { usd: 3, tokens: 0 });
      await world.settle();
      expect(waiting.reservation).toBeDefined();
      expect((await world.ask(budgets, ['fleet'], { usd: 1 })).isWaiting).toBe(true);
    });
  }

  test('may not give a budget another period, nor raise one that nobody has declared', () => {
    const budgets = world.budgets({ fleet: { usd: 10 } }, alone);
    expect(() => budgets.raise('fleet', { usd: 10, perMs: 5 })).toThrow(/perMs: expected the same period as before, got 5/);
    expect(() => budgets.raise('flet', { usd: 10 })).toThrow(/scope: expected one of fleet, got "flet"/);
  });

  test('is warned once for each share in a period', async () => {
    const budgets = world.budgets({ fleet: { usd: 10, tokens: 100, perMs: HOUR_MS, warnAt: [0.9, 0.5] } }, alone);
    const spend = async (usd: number): Promise<void> =>
      budgets.settle((await world.ask(budgets, ['fleet'], { usd })).reservation!, { usd, tokens: 0 });
    const shares = (): number[] => world.facts.flatMap((fact) => (fact.at === 'warned' ? [fact.share] : []));
    await spend(4.9);
    expect(shares()).toEqual([]);
    await spend(0.1);
    await spend(1);
    expect(shares()).toEqual([0.5]);
    await spend(4);
    expect(shares()).toEqual([0.5, 0.9]);
    expect(world.facts.at(-1)).toMatchObject({ scope: 'fleet', limit: { usd: 10, tokens: 100 }, spent: { usd: 10 } });
    await world.advance(HOUR_MS);
    await spend(10);
    expect(shares()).toEqual([0.5, 0.9, 0.5, 0.9]);
  });

  test('is warned again when the same share of a raised budget is spent', async () => {
    const budgets = world.budgets({ fleet: { tokens: 10, warnAt: [0.5] } }, alone);
    for (const tokens of [6, 30]) {
      budgets.raise('fleet', { tokens: tokens === 6 ? 10 : 60, warnAt: [0.5] });
      budgets.settle((await world.ask(budgets, ['fleet'], { tokens })).reservation!, null);
    }
    expect(world.facts.map(({ at }) => at)).toEqual(['warned', 'warned']);
  });

  test('hears once that a budget is exhausted, and when it is there again', async () => {
    const budgets = world.budgets({ fleet: { usd: 1, perMs: HOUR_MS, warnAt: [] } }, alone);
    budgets.settle((await world.ask(budgets, ['fleet'], { usd: 1 })).reservation!, null);
    await world.ask(budgets, ['fleet'], { usd: 0.5 });
    await world.ask(budgets, ['fleet'], { usd: 0.7 });
    expect(world.facts).toMatchObject([{ at: 'exhausted', scope: 'fleet', asked: { usd: 0.5 }, spent: { usd: 1 } }]);
    budgets.raise('fleet', { usd: 1.4, perMs: HOUR_MS, warnAt: [] });
    expect(world.facts).toHaveLength(1);
    budgets.raise('fleet', { usd: 1.5, perMs: HOUR_MS, warnAt: [] });
    expect(world.facts.at(-1)).toEqual({ at: 'replenished', scope: 'fleet' });
    budgets.settle((await world.ask(budgets, ['fleet'], { usd: 0.5 })).reservation!, null);
    await world.ask(budgets, ['fleet'], { usd: 0.5 });
    await world.advance(HOUR_MS);
    expect(world.facts.map(({ at }) => at)).toEqual(['exhausted', 'replenished', 'exhausted', 'replenished']);
  });
});
