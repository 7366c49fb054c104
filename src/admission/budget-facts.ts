/** What budgets tell whoever watches them, and what can be looked at. */
import type { LimitedAmount } from './errors.ts';

export type BudgetFact =
  /** A share of the budget is spent. Once for each share in a period; a process that starts anew may say it again. */
  | {
      readonly at: 'warned';
      readonly scope: string;
      readonly share: number;
      readonly limit: LimitedAmount;
      readonly spent: { readonly usd: number; readonly tokens: number };
      /** When the next period begins; null: never. */
      readonly untilMs: number | null;
    }
  /** The first call of the period was refused. */
  | {
      readonly at: 'exhausted';
      readonly scope: string;
      readonly limit: LimitedAmount;
      readonly spent: { readonly usd: number; readonly tokens: number };
      readonly asked: { readonly usd: number; readonly tokens: number };
      readonly untilMs: number | null;
    }
  /** There is something to spend again: a new period, a raise, or another process gave back. Only after `exhausted`. */
  | { readonly at: 'replenished'; readonly scope: string }
  /** Slices cannot be had from the store; `retryAtMs` is when it is asked again. */
  | { readonly at: 'store-away'; readonly error: Error; readonly retryAtMs: number }
  | { readonly at: 'store-back' };

/** How a budget stands. */
export interface BudgetLook {
  readonly scope: string;
  readonly limit: LimitedAmount;
  /** In this period, by everybody, as far as this process knows; what others hold unspent included. */
  readonly spent: { readonly usd: number; readonly tokens: number };
  /** For calls of this process that are in flight. */
  readonly reserved: { readonly usd: number; readonly tokens: number };
  /** Not spent and not reserved. null: not limited. */
  readonly left: LimitedAmount;
  readonly periodStartMs: number;
  /** When the next period begins; null: never. */
  readonly untilMs: number | null;
  /** Calls that wait for it. */
  readonly waiting: number;
}
