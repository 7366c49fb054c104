/** Reservations: what is set aside for a call, and how it comes home. The path of every call: nothing here allocates but what it returns. */
import { toNanoUsd, usedOr } from '../../actors/budget/amount.ts';
import type { Amount } from '../../actors/budget/amount.ts';
import { usedOf } from '../../actors/budget/balance.ts';
import type { Balance } from '../../actors/budget/balance.ts';
import { isFree } from './budget-purse.ts';
import type { Purse } from './budget-purse.ts';
import type { BudgetExceededError } from './errors.ts';

/** Who asked, and is told later: exactly one of the two, unless it cancels before. */
export interface BudgetAsker {
  reserved(reservation: BudgetReservation): void;
  exhausted(error: BudgetExceededError): void;
}

/** An upper bound that is set aside. To be settled exactly once. */
export interface BudgetReservation {
  readonly nanoUsd: number;
  readonly tokens: number;
}

/** A reservation that remembers where it was charged: names may change on the way. */
export class Held implements BudgetReservation {
  readonly nanoUsd: number;
  readonly tokens: number;
  readonly purses: readonly Purse[];
  isOut = true;

  constructor(purses: readonly Purse[], nanoUsd: number, tokens: number) {
    this.purses = purses;
    this.nanoUsd = nanoUsd;
    this.tokens = tokens;
  }
}

/** Sets it aside in every purse. */
export function charge(purses: readonly Purse[], nanoUsd: number, tokens: number): Held {
  for (let at = 0; at < purses.length; at += 1) {
    const purse = purses[at]!;
    purse.usd.reserved += nanoUsd;
    purse.tokens.reserved += tokens;
    purse.out += 1;
    purse.touched = true;
  }
  return new Held(purses, nanoUsd, tokens);
}

/** It has come home. Whether that concerns anybody else: who waits, who is to be warned, or the store. */
export function settled(held: Held, spent: Amount | null): boolean {
  const { purses, nanoUsd, tokens } = held;
  const usedNanoUsd = spent === null ? nanoUsd : usedOr(nanoUsd, toNanoUsd(spent.usd));
  const usedTokens = spent === null ? tokens : usedOr(tokens, spent.tokens);
  held.isOut = false;
  let needsCare = false;
  for (let at = 0; at < purses.length; at += 1) {
    const purse = purses[at]!;
    const { usd, tokens: account } = purse;
    usd.reserved -= nanoUsd;
    usd.spent += usedNanoUsd;
    account.reserved -= tokens;
    account.spent += usedTokens;
    purse.out -= 1;
    if (
      purse.retired ||
      purse.budget.line !== undefined ||
      usd.spent >= purse.warnNanoUsd ||
      account.spent >= purse.warnTokens ||
      !purse.hasRoom(0, 0)
    )
      needsCare = true;
  }
  return needsCare;
}

/** Whether it still fits into every purse, now that others have spent. */
export function stillFits({ purses, nanoUsd, tokens }: Held): boolean {
  return purses.every(({ usd, tokens: account }) => (isFree(nanoUsd, tokens) || fits(usd, nanoUsd)) && fits(account, tokens));
}

/** What was taken beyond the limit is booked already. */
function fits(balance: Balance, asked: number): boolean {
  return usedOf(balance) + asked <= Math.max(balance.limit, balance.taken);
}
