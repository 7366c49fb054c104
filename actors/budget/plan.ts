/**
 * What a budget allows, and in which stretch of time. Periods are aligned to multiples of their
 * length since the epoch: every process and every restart means the same ones, without asking.
 */
import { MOST_USD, toNanoUsd } from './amount.ts';
import { BudgetInputError } from './errors.ts';

/** A budget as its author writes it: `usd`, `tokens`, or both, of which none may be passed. */
export interface BudgetSpec {
  /** Dollars, from 0 to about nine million. Default: money is not limited. */
  readonly usd?: number;
  /** Input and output tokens together, at least 0. Default: tokens are not limited. */
  readonly tokens?: number;
  /** The length of a period, in whole milliseconds. Default: one period without an end. */
  readonly perMs?: number;
  /** Shares of the budget, above 0 and up to 1, at which somebody is told, once a period each. Default `[0.8]`. */
  readonly warnAt?: readonly number[];
}

/** A budget, checked and worked out. */
export interface BudgetPlan {
  /** Infinity: not limited. So below. */
  readonly nanoUsd: number;
  readonly tokens: number;
  readonly perMs: number;
  /** Rising, each once. */
  readonly warnAt: readonly number[];
}

const DEFAULT_WARN_AT = [0.8] as const;

/** Throws a `BudgetInputError` that names the field. */
export function planBudget(spec: BudgetSpec): BudgetPlan {
  if (typeof spec !== 'object' || (spec as unknown) === null) throw new BudgetInputError('budget', '{ usd, tokens, perMs, warnAt }', spec);
  const { usd, tokens, perMs, warnAt = DEFAULT_WARN_AT } = spec;
  if (!Array.isArray(warnAt)) throw new BudgetInputError('warnAt', 'a list of shares', warnAt);
  if (usd === undefined && tokens === undefined) throw new BudgetInputError('budget', 'usd, tokens, or both', {});
  if (usd !== undefined && !(usd >= 0 && usd <= MOST_USD)) throw new BudgetInputError('usd', `dollars from 0 to ${MOST_USD}`, usd);
  if (tokens !== undefined && !(Number.isSafeInteger(tokens) && tokens >= 0))
    throw new BudgetInputError('tokens', 'a whole number of at least 0', tokens);
  if (perMs !== undefined && !(Number.isSafeInteger(perMs) && perMs >= 1))
    throw new BudgetInputError('perMs', 'a whole number of milliseconds, at least 1', perMs);
  for (const share of warnAt) if (!(share > 0 && share <= 1)) throw new BudgetInputError('warnAt', 'shares above 0 and up to 1', share);
  return {
    nanoUsd: usd === undefined ? Infinity : toNanoUsd(usd),
    tokens: tokens ?? Infinity,
    perMs: perMs ?? Infinity,
    warnAt: [...new Set(warnAt)].toSorted((a, b) => a - b),
  };
}

/** When the period that holds `nowMs` began; 0 for one without an end. */
export function periodStartMs({ perMs }: BudgetPlan, nowMs: number): number {
  return perMs === Infinity ? 0 : Math.floor(nowMs / perMs) * perMs;
}

/** When the period that began then is over; Infinity for one without an end. */
export function periodEndMs({ perMs }: BudgetPlan, startMs: number): number {
  return startMs + perMs;
}
