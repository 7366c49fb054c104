/** Comparing what processes share beside tasks. */
import { expect } from 'vitest';
import type { LeaseHeld, LeaseOutcome } from '../../actors/ports/store.ts';
import type { Comparison } from './compare.ts';
import { LEASES, NO_VERSION, PERIODS_MS, SCOPES } from './histories-shared.ts';
import type { SharedStep } from './histories-shared.ts';
import { BudgetModel, IntentModel } from './shared-model.ts';

export class SharedModels {
  readonly budgets = new BudgetModel();
  readonly intents = new IntentModel();
  /** Leases that were ever granted, with the model's tokens. */
  readonly leases: LeaseHeld[] = [];

  async end(to: Comparison): Promise<void> {
    const { store, model, nowMs } = to;
    const periods = SCOPES.flatMap((scope) => PERIODS_MS.map((periodStartMs) => ({ scope, periodStartMs })));
    to.same(this.budgets.read(periods), await store.readBudgets(periods));
    to.same(model.leases.read(LEASES, nowMs), await store.readLeases(LEASES, nowMs), ['fence']);
  }
}

// How many are ahead, and when it is worth asking again, is no more than advice.
const certain = (outcome: object): object => ('fence' in outcome ? outcome : { at: (outcome as { at: string }).at });

/** Has what is over forgotten, before the clock is set back: of what nobody has asked for since, that is nobody's promise. */
export async function forgetWhatIsOver({ model, store, nowMs, shared }: Comparison): Promise<void> {
  const items = LEASES.map((name) => ({ name, holder: 'somebody', ttlMs: 1, waitUntilMs: null }));
  const expected = model.leases.take(items, nowMs);
  const answered = await store.takeLeases(items, nowMs);
  expect(answered.map(({ at }) => at)).toEqual(expected.map(({ at }) => at));
  const granted = (outcomes: readonly LeaseOutcome[]): LeaseHeld[] =>
    items.flatMap(({ name, holder }, at) => {
      const outcome = outcomes[at]!;
      return outcome.at === 'granted' ? [{ name, holder, fence: outcome.fence }] : [];
    });
  model.leases.release(granted(expected), nowMs);
  await store.releaseLeases(granted(answered), nowMs);
  shared.intents.register([], nowMs);
  await store.registerIntents([], nowMs);
}

export async function compareShared(to: Comparison, step: SharedStep): Promise<void> {
  const { model, store, nowMs, shared } = to;
  const { budgets, intents } = shared;
  switch (step.op) {
    case 'take':
      return to.same(budgets.take(step.items), await store.takeBudget(step.items));
    case 'return':
      budgets.giveBack(step.items);
      return store.returnBudget(step.items);
    case 'register': {
      const items = step.items.map(({ forMs, ...item }) => ({ ...item, untilMs: nowMs + forMs }));
      return to.same(intents.register(items, nowMs), await store.registerIntents(items, nowMs));
    }
    case 'withdraw':
      intents.withdraw(step.items);
      return store.withdrawIntents(step.items);
    case 'write': {
      const items = step.items.map(({ key, value, fresh }) => {
        const version = fresh ? (model.state.get(key)?.version ?? null) : NO_VERSION;
        return { key, value, version };
      });
      const answered = await store.setState(
        items.map((item) => to.rowToAdapter(item)),
        nowMs,
      );
      to.same(
        items.map((item) => model.state.write(item)),
        answered,
        ['version'],
      );
      const keys = ['m', 'n'];
      return to.same(
        keys.map((key) => model.state.get(key)),
        await store.getState(keys),
        ['version'],
      );
    }
    case 'lease': {
      const items = step.items.map(({ waitMs, ...item }) => ({ ...item, waitUntilMs: waitMs === null ? null : nowMs + waitMs }));
      const expected = model.leases.take(items, nowMs);
      const answered = await store.takeLeases(items, nowMs);
      to.same(expected.map(certain), answered.map(certain), ['fence']);
      for (const [at, { name, holder }] of items.entries()) {
        const outcome = expected[at]!;
        if (outcome.at === 'granted') shared.leases.push({ name, holder, fence: outcome.fence });
      }
      return;
    }
    case 'extend': {
      const lease = shared.leases.at(-1 - step.pick);
      if (lease === undefined) return;
      const [mine, theirs] = [lease, { ...lease, fence: to.tokens.toAdapter(lease.fence) }].map((held) => [{ ...held, ttlMs: step.ttlMs }]);
      return to.same(model.leases.renew(mine!, nowMs), await store.renewLeases(theirs!, nowMs));
    }
    case 'give back': {
      const lease = shared.leases.at(-1 - step.pick);
      if (lease === undefined) return;
      const theirs = [{ ...lease, fence: to.tokens.toAdapter(lease.fence) }];
      return to.same(model.leases.release([lease], nowMs), await store.releaseLeases(theirs, nowMs));
    }
    case 'leave': {
      const item = { name: step.name, holder: step.holder, fence: 0 };
      model.leases.release([item], nowMs);
      await store.releaseLeases([item], nowMs);
      return;
    }
    case 'plan': {
      const item = { name: step.name, plan: '"each day"', nextAtMs: nowMs + step.inMs };
      model.schedules.put([item]);
      return store.putSchedules([item]);
    }
    case 'unplan':
      model.schedules.remove([step.name]);
      return store.removeSchedules([step.name]);
  }
}
