/**
 * Budgets: a tree of limits on money and tokens (fleet, kind, worker, task), and who may spend of
 * them now. A call reserves an upper bound in all of its scopes, or in none, before it is made, and
 * settles to what it really cost afterwards.
 *
 *     reserve ─┬─ room in every scope ─────────────────────────▶ reserved
 *              ├─ more than a whole budget ────────────────────▶ too large
 *              ├─ it would not fit, whatever comes home ───────▶ exhausted, until the next period
 *              └─ calls in flight may cost less than reserved,
 *                 or a slice has to be fetched from the store ─▶ waits
 *
 * First come, first served: who waits stands in the line of the first scope that has no room for it,
 * and nobody who comes later is served out of a scope that somebody waits for. So small calls cannot
 * starve a large one. In a tree that is enough: whoever spends from an inner scope passes the outer
 * ones too, so one who waits further out is not robbed further in meanwhile.
 *
 * Promise (S5): in every scope and period, spent + reserved stays within the budget, over all
 * processes and crashes, except by what calls in flight cost above their own upper bound.
 */
import { checkAmount, toNanoUsd, toUsd } from '../../actors/budget/amount.ts';
import type { Amount } from '../../actors/budget/amount.ts';
import { unspentOf } from '../../actors/budget/balance.ts';
import { BudgetInputError } from '../../actors/budget/errors.ts';
import { planBudget } from '../../actors/budget/plan.ts';
import type { BudgetSpec } from '../../actors/budget/plan.ts';
import type { CancelWake, Clock } from '../../actors/kernel/clock.ts';
import type { Random } from '../../actors/kernel/random.ts';
import { sizeOf } from '../../actors/sorted-set.ts';
import type { BudgetFact, BudgetLook } from './budget-facts.ts';
import { Lines } from './budget-lines.ts';
import { Periods } from './budget-periods.ts';
import { Budget, Purse } from './budget-purse.ts';
import type { Account, Waiter } from './budget-purse.ts';
import { charge, settled, stillFits } from './budget-reservation.ts';
import type { BudgetAsker, BudgetReservation, Held } from './budget-reservation.ts';
import { Slices } from './budget-slices.ts';
import type { BudgetStore } from './budget-slices.ts';
import type { BudgetExceededError } from './errors.ts';

export type { Amount } from '../../actors/budget/amount.ts';
export type { BudgetSpec } from '../../actors/budget/plan.ts';
export type { BudgetFact, BudgetLook } from './budget-facts.ts';
export type { BudgetAsker, BudgetReservation } from './budget-reservation.ts';
export type { BudgetStore } from './budget-slices.ts';

/** How budgets reach the world. */
export interface BudgetsOptions {
  readonly clock: Pick<Clock, 'nowMs'>;
  /** Calls `fire` once, no earlier than `atMs`, never from within this call. Returns what cancels it. */
  readonly alarm: (atMs: number, fire: () => void) => CancelWake;
  /** Where slices come from. undefined: budgets are of this process alone, and forgotten with it. */
  readonly store: BudgetStore | undefined;
  readonly random: Random;
  /** Told at once, from within the call that made it so; must not throw. */
  readonly onFact: (fact: BudgetFact) => void;
}

/** The budgets that one process knows. */
export class Budgets {
  readonly #options: BudgetsOptions;
  readonly #slices: Slices | undefined;
  readonly #budgets = new Map<string, Budget>();
  readonly #lines: Lines;
  readonly #periods: Periods;
  #closed = false;

  constructor(options: BudgetsOptions) {
    this.#options = options;
    const { store } = options;
    this.#slices = store === undefined ? undefined : new Slices({ ...options, store, changed: (purses) => this.#changed(purses) });
    this.#periods = new Periods({
      ...options,
      budgets: () => this.#budgets.values(),
      renew: (budget, nowMs) => this.#renew(budget, nowMs),
      due: () => this.#lines.serve(),
    });
    this.#lines = new Lines({
      clock: options.clock,
      begin: () => this.#periods.begin(),
      // Without a store everything is in hand already.
      want: (purse, nanoUsd, tokens) => this.#slices?.want(purse, nanoUsd, tokens),
      joined: (budget) => this.#periods.watch(budget),
      refused: (budget, waiter, { detail }) => this.#refused(budget, waiter, detail),
      homecoming: (purses) => this.#homecoming(purses),
    });
  }

  /**
   * Makes a budget known under a name, e.g. `fleet`, `kind:triage`, `task:mail-17`. Again with another
   * spec: as `raise`. Throws a `BudgetInputError` when it is none.
   */
  declare(scope: string, spec: BudgetSpec): void {
    if (this.#budgets.has(scope)) return this.raise(scope, spec);
    const plan = planBudget(spec);
    const budget = new Budget(scope, plan, this.#options.clock.nowMs(), this.#slices !== undefined);
    this.#budgets.set(scope, budget);
    this.#periods.add(budget);
  }

  /**
   * Whether what was set aside still fits, now that others have spent: estimates may have been too low since. To be asked
   * when the call is about to be made, for it may have waited long.
   */
  covers(reservation: BudgetReservation): boolean {
    return stillFits(reservation as Held);
  }

  /** Whether money is limited in one of them at least. */
  limitsMoney(scopes: readonly string[]): boolean {
    return scopes.some((scope) => (this.#budgets.get(scope)?.plan.nanoUsd ?? Infinity) !== Infinity);
  }

  /** The scope is over, e.g. a task that has ended: what is unspent goes back, and the store forgets it. Its calls may still settle. */
  forget(scope: string): void {
    const budget = this.#budgets.get(scope);
    if (budget === undefined) return;
    this.#budgets.delete(scope);
    budget.forgotten = true;
    this.#retire(budget.purse);
    this.#lines.serve(budget);
  }

  /**
   * Changes the limits and the warnings of a budget; what is spent stays spent. Less than before is
   * possible: what is reserved already, or asked for within the same turn of the event loop from a slice in hand, and a slice
   * that is just being fetched, may then be above it.
   * Throws a `BudgetInputError` for a scope that was not declared, and for another period: that is
   * another budget.
   */
  raise(scope: string, spec: BudgetSpec): void {
    const budget = this.#budgets.get(scope);
    if (budget === undefined)
      throw new BudgetInputError(
        'scope',
        this.#budgets.size === 0 ? 'a budget, and there is none' : `one of ${[...this.#budgets.keys()].join(', ')}`,
        scope,
      );
    const plan = planBudget(spec);
    if (plan.perMs !== budget.plan.perMs) throw new BudgetInputError('perMs', 'the same period as before', spec.perMs);
    this.#periods.roll();
    const isLess = plan.nanoUsd < budget.plan.nanoUsd || plan.tokens < budget.plan.tokens;
    budget.plan = plan;
    budget.purse.relimit(plan, this.#slices !== undefined);
    if (budget.purse.isOver) this.#slices?.want(budget.purse, 0, 0);
    // What is in hand of the larger budget may be more than the smaller one.
    if (isLess) this.#slices?.giveBack(budget.purse);
    this.#replenished(budget);
    this.#lines.serve(budget);
  }

  /**
   * Sets an upper bound aside in all of the scopes that have a budget, or in none. Each scope is named
   * once; in which order they come is no matter, as long as all calls name them in the same. Returns the
   * reservation when there is room; otherwise undefined, and the asker is told later. An asker waits
   * for one thing at a time. Throws a `BudgetInputError` when the amount is none.
   */
  reserve(scopes: readonly string[], amount: Amount, asker: BudgetAsker): BudgetReservation | undefined {
    checkAmount(amount);
    const nanoUsd = toNanoUsd(amount.usd);
    const tokens = Math.ceil(amount.tokens);
    this.#periods.roll();
    const purses: Purse[] = [];
    let isFree = !this.#closed;
    for (let at = 0; at < scopes.length; at += 1) {
      const budget = this.#budgets.get(scopes[at]!);
      if (budget === undefined) continue;
      purses.push(budget.purse);
      if (budget.line !== undefined || !budget.purse.takes(nanoUsd, tokens)) isFree = false;
    }
    if (isFree) return charge(purses, nanoUsd, tokens);
    this.#lines.join(
      purses.map(({ budget }) => budget),
      nanoUsd,
      tokens,
      asker,
    );
    return undefined;
  }

  /** The asker does not want it any more, and will not be told. Nothing, when it has been. */
  cancel(asker: BudgetAsker): void {
    this.#lines.cancel(asker);
  }

  /**
   * What the call has really cost, which may be more than was reserved. null: nobody knows, so the
   * upper bound counts; likewise for a number that is no amount. Counts in the period in which it was
   * reserved. A second time is ignored.
   */
  settle(reservation: BudgetReservation, spent: Amount | null): void {
    const held = reservation as Held;
    if (!held.isOut) return;
    if (settled(held, spent)) this.#homecoming(held.purses);
  }

  /** Asks the store how much is spent already, for `look` and for warnings after a restart. Rejects when the store does. */
  async refresh(): Promise<void> {
    this.#periods.roll();
    await this.#slices?.refresh([...this.#budgets.values()].map(({ purse }) => purse));
  }

  /** Every budget, in the order of declaration. */
  look(): readonly BudgetLook[] {
    this.#periods.roll();
    return [...this.#budgets.values()].map(({ scope, limit, purse, line }) => ({
      scope,
      limit,
      spent: purse.spent,
      reserved: { usd: toUsd(purse.usd.reserved), tokens: purse.tokens.reserved },
      left: {
        usd: limit.usd === null ? null : toUsd(leftIn(purse.usd)),
        tokens: limit.tokens === null ? null : leftIn(purse.tokens),
      },
      periodStartMs: purse.startMs,
      untilMs: purse.untilMs,
      waiting: sizeOf(line),
    }));
  }

  /** Gives unspent slices back. Who waits is refused; what is still reserved stays with the store as spent. Never rejects. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#periods.close();
    this.#lines.close();
    await this.#slices?.close();
  }

  /** Something of note has come home to some of these. */
  #homecoming(purses: readonly Purse[]): void {
    const lines: Budget[] = [];
    for (const purse of purses) {
      if (purse.retired) {
        this.#retire(purse);
        continue;
      }
      this.#warn(purse);
      if (purse.isOver) this.#slices?.want(purse, 0, 0);
      if (purse.budget.line !== undefined) lines.push(purse.budget);
    }
    if (lines.length > 0) this.#lines.serve(...lines);
  }

  /** Told once, until it could be paid. */
  #refused(budget: Budget, { nanoUsd, tokens }: Waiter, { scope, limit, spent, asked, untilMs }: BudgetExceededError['detail']): void {
    if (budget.refused !== undefined) return;
    budget.refused = { nanoUsd, tokens };
    this.#periods.watch(budget);
    this.#options.onFact({ at: 'exhausted', scope, limit, spent, asked, untilMs });
  }

  #warn(purse: Purse): void {
    const { scope, limit, plan } = purse.budget;
    while (purse.usd.spent >= purse.warnNanoUsd || purse.tokens.spent >= purse.warnTokens) {
      const share = plan.warnAt[purse.warned]!;
      purse.warned += 1;
      purse.aim();
      this.#options.onFact({ at: 'warned', scope, share, limit, spent: purse.spent, untilMs: purse.untilMs });
    }
  }

  /** The store has spoken. */
  #changed(purses: readonly Purse[]): void {
    for (const purse of purses) {
      if (purse.retired) continue;
      this.#warn(purse);
      this.#replenished(purse.budget);
    }
    this.#lines.serve(...purses.map(({ budget }) => budget));
  }

  #replenished(budget: Budget): void {
    const { refused, purse } = budget;
    if (refused === undefined || !purse.mayPay(refused.nanoUsd, refused.tokens)) return;
    budget.refused = undefined;
    this.#options.onFact({ at: 'replenished', scope: budget.scope });
  }

  #retire(purse: Purse): void {
    purse.retired = true;
    if (this.#slices === undefined) return;
    if (purse.isOver) this.#slices.want(purse, 0, 0);
    if (purse.out === 0) this.#slices.giveBack(purse);
  }

  /** Its period is over. */
  #renew(budget: Budget, nowMs: number): void {
    this.#retire(budget.purse);
    budget.purse = new Purse(budget, nowMs, this.#slices !== undefined);
    this.#replenished(budget);
  }
}

function leftIn(account: Account): number {
  return Math.max(0, unspentOf(account) - account.reserved);
}
