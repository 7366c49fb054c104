/**
 * Amount: money and tokens as whole numbers, so that sums are exact: thousandths of a millionth of a
 * dollar (nano-dollars), and tokens. Public numbers are dollars.
 */
import { BudgetInputError } from './errors.ts';

/** Money and tokens as people and providers count them. */
export interface Amount {
  /** Dollars, at least 0. */
  readonly usd: number;
  /** At least 0. */
  readonly tokens: number;
}

const NANOS_IN_A_DOLLAR = 1_000_000_000;

/** The most dollars that are counted exactly: about nine million. */
export const MOST_USD = Number.MAX_SAFE_INTEGER / NANOS_IN_A_DOLLAR;

/** The nearest whole number of nano-dollars. */
export function toNanoUsd(usd: number): number {
  return Math.round(usd * NANOS_IN_A_DOLLAR);
}

/** The dollars that stand for it. */
export function toUsd(nanoUsd: number): number {
  return nanoUsd / NANOS_IN_A_DOLLAR;
}

/** Throws a `BudgetInputError` unless both can be counted. Infinity cannot: no budget ever has it. */
export function checkAmount({ usd, tokens }: Amount): void {
  if (!(usd >= 0 && usd <= MOST_USD)) throw new BudgetInputError('usd', `dollars from 0 to ${MOST_USD}`, usd);
  if (!(tokens >= 0 && tokens <= Number.MAX_SAFE_INTEGER)) throw new BudgetInputError('tokens', 'a number of tokens, at least 0', tokens);
}

/**
 * What was really used, of one dimension, as the whole number that is charged. What is no amount
 * (negative, not a number, endless) says nothing: then the upper bound that was reserved counts.
 */
export function usedOr(reserved: number, used: number): number {
  return used >= 0 && used <= Number.MAX_SAFE_INTEGER ? Math.ceil(used) : reserved;
}
