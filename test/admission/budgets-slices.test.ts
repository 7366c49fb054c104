/** Budgets that several processes share through a store, and what a crash leaves of them. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Budgets } from '../../src/admission/budgets.ts';
import { SqlitePlace } from '../stores/conformance/sqlite-place.ts';
import { BudgetWorld } from './budget-world.ts';

let world: BudgetWorld;
beforeEach(async () => void (world = await BudgetWorld.open()));
afterEach(() => world.close());

const specs = { fleet: { usd: 100 } };

async function spend(budgets: Budgets, usd: number, real = usd): Promise<void> {
  const { reservation } = await world.ask(budgets, ['fleet'], { usd });
  budgets.settle(reservation!, { usd: real, tokens: 0 });
  await world.settle();
}

test('a process takes as much again as it has had, up to a tenth of what is left, or what a call needs when that is more', async () => {
  const budgets = world.budgets(specs);
  const taken: number[] = [];
  for (const usd of [1, 1, 1, 1, 30, 1, 5]) {
    await world.ask(budgets, ['fleet'], { usd });
    taken.push((await world.taken('fleet')).usd);
  }
  expect(taken).toEqual([1, 2, 4, 4, 34, 40.6, 40.6]);
});

test('slices of all scopes of a call come with one command', async () => {
  const budgets = world.budgets({ fleet: { usd: 10 }, 'kind:a': { usd: 10 }, 'worker:a/0': { tokens: 50 }, 'task:1': { usd: 1 } });
  const call = await world.ask(budgets, ['fleet', 'kind:a', 'worker:a/0', 'task:1'], { usd: 0.5, tokens: 20 });
  expect(call.reservation).toBeDefined();
  expect(world.commands).toBe(1);
});

test('while a slice is in hand no command is needed', async () => {
  const budgets = world.budgets(specs);
  await spend(budgets, 10, 1);
  for (let call = 0; call < 9; call += 1) await spend(budgets, 1);
  expect(world.commands).toBe(1);
});

test('a slice that nobody uses goes back after a while, and no timer is left', async () => {
  const budgets = world.budgets(specs);
  await spend(budgets, 10, 1);
  await world.advance(4_999);
  expect((await world.taken('fleet')).usd).toBe(10);
  await world.advance(5_001);
  expect((await world.taken('fleet')).usd).toBe(1);
  await world.advance(5_000);
  expect(world.clock.pending).toBe(0);
});

test('closing gives back what is unspent, and keeps what is still reserved', async () => {
  const budgets = world.budgets(specs);
  await spend(budgets, 10, 3);
  await world.ask(budgets, ['fleet'], { usd: 4 });
  await budgets.close();
  expect((await world.taken('fleet')).usd).toBe(7);
});

test('closing gives back a slice that is just on its way', async () => {
  const budgets = world.budgets(specs);
  const { promise, resolve } = Promise.withResolvers<void>();
  world.held = promise;
  const asker = await world.ask(budgets, ['fleet'], { usd: 1 });
  const closed = budgets.close();
  await world.settle();
  expect(asker.error!.detail.why).toBe('closed');
  world.held = undefined;
  resolve();
  await closed;
  expect(world.commands).toBe(2);
  expect((await world.taken('fleet')).usd).toBe(0);
});

test('closing books what is over in one dimension, and gives back what is free in the other', async () => {
  const budgets = world.budgets({ fleet: { usd: 100, tokens: 100 } });
  const call = await world.ask(budgets, ['fleet'], { usd: 10, tokens: 10 });
  budgets.settle(call.reservation!, { usd: 12, tokens: 5 });
  await budgets.close();
  expect(await world.taken('fleet')).toEqual({ usd: 12, tokens: 5 });
});

test('what is spent above a slice while another one is on its way is booked when that has come', async () => {
  const budgets = world.budgets(specs);
  const call = await world.ask(budgets, ['fleet'], { usd: 10 });
  const { promise, resolve } = Promise.withResolvers<void>();
  world.held = promise;
  const next = await world.ask(budgets, ['fleet'], { usd: 1 });
  budgets.settle(call.reservation!, { usd: 30, tokens: 0 });
  budgets.cancel(next);
  world.held = undefined;
  resolve();
  await world.settle();
  // 10 for the first slice, 9 for the second, and the rest of what was spent.
  expect((await world.taken('fleet')).usd).toBe(30);
});

test('the slice of a process that has died counts as spent', async () => {
  const first = world.budgets(specs);
  await spend(first, 10, 1);
  world.crash(first);
  await world.advance(60_000);
  const second = world.budgets(specs);
  await second.refresh();
  expect(second.look()[0]).toMatchObject({ spent: { usd: 10 }, left: { usd: 90 } });
  const all = await world.ask(second, ['fleet'], { usd: 91 });
  expect(all.error!.detail).toMatchObject({ why: 'exhausted', spent: { usd: 10 } });
  expect((await world.ask(second, ['fleet'], { usd: 90 })).reservation).toBeDefined();
});

test('two processes together stay within the budget, and one gets what the other gives back', async () => {
  const [first, second] = [world.budgets(specs), world.budgets(specs)];
  await spend(first, 60);
  const theirs = await world.ask(second, ['fleet'], { usd: 40 });
  await world.advance(2_000);
  expect((await world.ask(first, ['fleet'], { usd: 1 })).error!.detail).toMatchObject({ why: 'exhausted', spent: { usd: 100 } });
  second.settle(theirs.reservation!, { usd: 0, tokens: 0 });
  await world.advance(10_000);
  expect((await world.ask(first, ['fleet'], { usd: 40 })).reservation).toBeDefined();
});

test('what is spent above a slice is booked, so that other processes know of it', async () => {
  const [first, second] = [world.budgets(specs), world.budgets(specs)];
  await spend(first, 90, 95);
  expect((await world.taken('fleet')).usd).toBe(95);
  expect((await world.ask(second, ['fleet'], { usd: 6 })).error).toBeDefined();
  expect((await world.ask(second, ['fleet'], { usd: 5 })).reservation).toBeDefined();
});

test('what was booked above the limit is not reserved again when other calls turn out cheaper', async () => {
  const budgets = world.budgets(specs);
  const cheap = await world.ask(budgets, ['fleet'], { usd: 40 });
  await spend(budgets, 60, 64);
  expect((await world.taken('fleet')).usd).toBe(104);
  budgets.settle(cheap.reservation!, { usd: 36, tokens: 0 });
  await world.settle();
  expect((await world.ask(budgets, ['fleet'], { usd: 0.01 })).error!.detail).toMatchObject({ spent: { usd: 100 } });
});

test('what was booked above the limit is within it after a raise', async () => {
  const budgets = world.budgets(specs);
  await spend(budgets, 100, 104);
  budgets.raise('fleet', { usd: 105 });
  expect((await world.ask(budgets, ['fleet'], { usd: 1 })).reservation).toBeDefined();
});

test('with the store away, the slice in hand goes on, and nothing beyond it', async () => {
  const budgets = world.budgets(specs);
  await spend(budgets, 10, 1);
  world.away = 'before';
  await spend(budgets, 9);
  const beyond = await world.ask(budgets, ['fleet'], { usd: 1 });
  await world.advance(120_000);
  expect(beyond.isWaiting).toBe(true);
  expect(world.facts.find(({ at }) => at === 'store-away')).toMatchObject({ error: { code: 'DROVER_STORE_FAILED' } });
  world.away = undefined;
  await world.advance(30_000);
  expect(beyond.reservation).toBeDefined();
  expect(world.facts.at(-1)).toEqual({ at: 'store-back' });
});

test('what a store may have granted without saying so counts as spent, and no more than needed is asked meanwhile', async () => {
  const budgets = world.budgets(specs);
  await spend(budgets, 10);
  world.away = 'after';
  const call = await world.ask(budgets, ['fleet'], { usd: 1 });
  expect((await world.taken('fleet')).usd).toBe(19);
  world.away = undefined;
  await world.advance(250);
  expect(call.reservation).toBeDefined();
  expect((await world.taken('fleet')).usd).toBe(20);
});

test('a return of which nobody knows whether it came is not sent again', async () => {
  const budgets = world.budgets(specs);
  await spend(budgets, 10, 1);
  world.away = 'after';
  await world.advance(10_000);
  expect((await world.taken('fleet')).usd).toBe(1);
  world.away = undefined;
  await world.advance(60_000);
  await spend(budgets, 2);
  await budgets.close();
  expect((await world.taken('fleet')).usd).toBe(3);
});

test('a task that has ended leaves nothing in the store, also when its last call comes home later', async () => {
  const budgets = world.budgets({ ...specs, 'task:1': { usd: 5 }, 'task:2': { usd: 5 } });
  const calls = [await world.ask(budgets, ['fleet', 'task:1'], { usd: 1 }), await world.ask(budgets, ['fleet', 'task:2'], { usd: 1 })];
  budgets.settle(calls[0]!.reservation!, null);
  for (const scope of ['task:1', 'task:2']) budgets.forget(scope);
  await world.settle();
  expect([(await world.taken('task:1')).usd, (await world.taken('task:2')).usd]).toEqual([0, 1]);
  budgets.settle(calls[1]!.reservation!, { usd: 2, tokens: 0 });
  await world.settle();
  expect((await world.taken('task:2')).usd).toBe(0);
  expect(budgets.look().map(({ scope, spent }) => [scope, spent.usd])).toEqual([['fleet', 3]]);
});

test('whoever waits for a scope that ends goes on without it', async () => {
  const budgets = world.budgets({ fleet: { usd: 100 }, 'task:1': { usd: 5 } });
  await world.ask(budgets, ['fleet', 'task:1'], { usd: 5 });
  const waiting = await world.ask(budgets, ['fleet', 'task:1'], { usd: 3 });
  expect(waiting.isWaiting).toBe(true);
  budgets.forget('task:1');
  await world.settle();
  expect(waiting.reservation).toBeDefined();
});

test('a share that was spent by others is warned of as soon as the store tells', async () => {
  await spend(world.budgets(specs), 85);
  expect(world.facts).toMatchObject([{ at: 'warned', share: 0.8 }]);
  await world.ask(world.budgets(specs), ['fleet'], { usd: 1 });
  expect(world.facts).toMatchObject([{ at: 'warned' }, { at: 'warned', share: 0.8, spent: { usd: 85 } }]);
});

test('a dimension without a limit is counted, and needs no slice', async () => {
  const budgets = world.budgets(specs);
  const call = await world.ask(budgets, ['fleet'], { usd: 1, tokens: 5_000 });
  budgets.settle(call.reservation!, { usd: 1, tokens: 4_000 });
  expect(budgets.look()[0]).toMatchObject({ spent: { usd: 1, tokens: 4_000 }, left: { tokens: null } });
  expect((await world.taken('fleet')).tokens).toBe(0);
});

test('over SQLite a budget outlives the death of its process, slice and all', async () => {
  const place = new SqlitePlace();
  const command = { nowMs: 0, maxUnfinished: 1 };
  try {
    const before = place.store();
    await before.open(command);
    const first = world.budgets(specs, { store: before });
    expect(await world.answer(first, ['fleet'], { usd: 30 })).toMatchObject({ nanoUsd: 30e9 });
    await place.crash(before);
    world.crash(first);
    const after = place.store();
    await after.open(command);
    const second = world.budgets(specs, { store: after });
    expect(await world.answer(second, ['fleet'], { usd: 71 })).toMatchObject({
      code: 'DROVER_BUDGET_EXCEEDED',
      detail: { spent: { usd: 30 } },
    });
    expect(await world.answer(second, ['fleet'], { usd: 70 })).toMatchObject({ nanoUsd: 70e9 });
    await second.close();
    await after.close();
  } finally {
    await place.remove();
  }
});

test('who names no upper bound is told from what the store knows then that all is spent', async () => {
  const budgets = world.budgets(specs);
  await spend(budgets, 100, 110);
  await world.advance(10_000);
  expect((await world.ask(budgets, ['fleet'], {})).error).toMatchObject({ code: 'DROVER_BUDGET_EXCEEDED' });
});
