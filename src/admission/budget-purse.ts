/**
 * What is held outside the pure decisions of `actors/budget`: a budget, its purse for the period
 * under way, and the line of those who wait for it. Mutable, because every call passes here twice for
 * each of its scopes.
 */
import { freeOf, mayPay, overOf, roomOf, spentAtShare, stillBeyond, usedOf, verdictOf, worse } from '../../actors/budget/balance.ts';
import type { Balance, Verdict } from '../../actors/budget/balance.ts';
import { toUsd } from '../../actors/budget/amount.ts';
import { periodEndMs, periodStartMs } from '../../actors/budget/plan.ts';
import type { BudgetPlan } from '../../actors/budget/plan.ts';
import type { SortedSet } from '../../actors/sorted-set.ts';
import type { LimitedAmount } from './errors.ts';
import type { BudgetAsker } from './budget-reservation.ts';

/** A balance in place. */
export type Account = { -readonly [K in keyof Balance]: Balance[K] };

/** One budget in one period: what this process has in hand of it. */
export class Purse {
  readonly budget: Budget;
  readonly startMs: number;
  readonly endMs: number;
  /** In nano-dollars. */
  readonly usd: Account;
  readonly tokens: Account;
  /** Reservations that have not come home. */
  out = 0;
  /** Whether anybody has reserved since it was looked at last. */
  touched = false;
  /** A period that is over, or a scope that was forgotten: nothing is reserved here any more. */
  retired = false;
  /** A command of it is on its way to the store. */
  busy = false;
  /** When `taken` was heard; a purse that needs no store knows it always. */
  heardAtMs: number;
  /** Shares that have been warned of. */
  warned = 0;
  /** Own spending at which the next share is passed. */
  warnNanoUsd = Infinity;
  warnTokens = Infinity;

  /** `shared`: slices come from a store. Without, the whole is in hand. */
  constructor(budget: Budget, nowMs: number, shared: boolean) {
    const { plan } = budget;
    this.budget = budget;
    this.startMs = periodStartMs(plan, nowMs);
    this.endMs = periodEndMs(plan, this.startMs);
    this.usd = accountOf(plan.nanoUsd, shared);
    this.tokens = accountOf(plan.tokens, shared);
    this.heardAtMs = shared ? -Infinity : Infinity;
    this.aim();
  }

  /** Whether this much may be reserved at once. */
  hasRoom(nanoUsd: number, tokens: number): boolean {
    return roomOf(this.usd) >= nanoUsd && roomOf(this.tokens) >= tokens;
  }

  /** Whether a call of this may go at once. One without an upper bound needs no room, but something that is left. */
  takes(nanoUsd: number, tokens: number): boolean {
    return this.hasRoom(nanoUsd, tokens) && (tokens > 0 || this.mayPay(nanoUsd, tokens));
  }

  verdictOf(nanoUsd: number, tokens: number): Verdict {
    const inTokens = verdictOf(this.tokens, tokens);
    return isFree(nanoUsd, tokens) ? inTokens : worse(verdictOf(this.usd, nanoUsd), inTokens);
  }

  /** Something in hand that nobody uses. */
  get hasFree(): boolean {
    return freeOf(this.usd) > 0 || freeOf(this.tokens) > 0;
  }

  /** More is spent and reserved than was granted. */
  get isOver(): boolean {
    return overOf(this.usd) > 0 || overOf(this.tokens) > 0;
  }

  /** Whether this much is left, here or outside. */
  mayPay(nanoUsd: number, tokens: number): boolean {
    return (isFree(nanoUsd, tokens) || mayPay(this.usd, nanoUsd)) && mayPay(this.tokens, tokens);
  }

  /** Works out when the next warning is due. After `taken`, `granted`, the limit or `warned` has changed. */
  aim(): void {
    const share = this.budget.plan.warnAt[this.warned];
    this.warnNanoUsd = share === undefined ? Infinity : spentAtShare(this.usd, share);
    this.warnTokens = share === undefined ? Infinity : spentAtShare(this.tokens, share);
  }

  /** The limit has changed: shares that are not passed under the new one are warned of again. */
  relimit({ nanoUsd, tokens, warnAt }: BudgetPlan, shared: boolean): void {
    relimit(this.usd, nanoUsd, shared);
    relimit(this.tokens, tokens, shared);
    const passed = (share: number): boolean =>
      usedOf(this.usd) >= share * this.usd.limit || usedOf(this.tokens) >= share * this.tokens.limit;
    this.warned = warnAt.filter(passed).length;
    this.aim();
  }

  /** For people: what is spent, as far as is known. */
  get spent(): { readonly usd: number; readonly tokens: number } {
    return { usd: toUsd(usedOf(this.usd)), tokens: usedOf(this.tokens) };
  }

  get untilMs(): number | null {
    return this.endMs === Infinity ? null : this.endMs;
  }
}

/** One scope. */
export class Budget {
  readonly scope: string;
  plan: BudgetPlan;
  purse: Purse;
  /** Who waits for it, first come first. */
  line: SortedSet<Waiter> = undefined;
  /** What was refused first, as long as it would be refused again. */
  refused: { readonly nanoUsd: number; readonly tokens: number } | undefined;
  forgotten = false;

  constructor(scope: string, plan: BudgetPlan, nowMs: number, shared: boolean) {
    this.scope = scope;
    this.plan = plan;
    this.purse = new Purse(this, nowMs, shared);
  }

  get limit(): LimitedAmount {
    const { nanoUsd, tokens } = this.plan;
    return { usd: nanoUsd === Infinity ? null : toUsd(nanoUsd), tokens: tokens === Infinity ? null : tokens };
  }
}

/** Somebody who could not be served at once. */
export interface Waiter {
  /** The order of arrival. */
  readonly ticket: number;
  readonly budgets: readonly Budget[];
  readonly nanoUsd: number;
  readonly tokens: number;
  readonly asker: BudgetAsker;
  /** In whose line it stands; none when its answer is on the way. */
  standsAt: Budget | undefined;
}

/** It uses tokens that cost nothing: dollars are no matter, also where none are left. */
export function isFree(nanoUsd: number, tokens: number): boolean {
  return nanoUsd === 0 && tokens > 0;
}

/** How much is taken by everybody. */
export function heard(account: Account, taken: number): void {
  if (account.limit === Infinity) return;
  account.taken = taken;
  const beyond = stillBeyond(account);
  account.granted += account.beyond - beyond;
  account.beyond = beyond;
}

function accountOf(limit: number, shared: boolean): Account {
  const granted = shared && limit !== Infinity ? 0 : limit;
  return { limit, taken: granted === Infinity ? 0 : granted, granted, beyond: 0, spent: 0, reserved: 0 };
}

function relimit(account: Account, limit: number, shared: boolean): void {
  const was = account.limit;
  account.limit = limit;
  if (!shared) {
    account.granted = limit;
    account.taken = limit === Infinity ? 0 : limit;
  } else if (limit === Infinity) {
    account.granted = Infinity;
  } else if (was === Infinity) {
    // Nothing was taken while it was not limited: what was spent meanwhile has to be booked.
    account.granted = 0;
  } else heard(account, account.taken);
}
