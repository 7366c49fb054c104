/** What admission may refuse a call with. */
import { DroverError } from '../../actors/kernel/errors.ts';

/** An amount, with null for what a budget does not limit. */
export interface LimitedAmount {
  readonly usd: number | null;
  readonly tokens: number | null;
}

/**
 * A budget cannot pay for the call; nothing of it was spent. `why`:
 *   - `exhausted`: too little is left, and nothing that is reserved could come home to make room.
 *     Again from `untilMs` on, when the next period begins; null: not before somebody raises the budget.
 *   - `too-large`: the call's upper bound is above the whole budget. Ask for less, or raise it.
 *   - `closed`: whoever keeps the budgets has stopped meanwhile.
 */
export class BudgetExceededError extends DroverError {
  readonly code = 'DROVER_BUDGET_EXCEEDED';
  readonly retryable: boolean;
  override readonly detail: {
    readonly why: 'exhausted' | 'too-large' | 'closed';
    readonly scope: string;
    readonly limit: LimitedAmount;
    /** What others have taken into their hands included, whether they spend it or not. */
    readonly spent: { readonly usd: number; readonly tokens: number };
    readonly asked: { readonly usd: number; readonly tokens: number };
    readonly untilMs: number | null;
  };
  constructor(detail: BudgetExceededError['detail'], options?: ErrorOptions) {
    super(`budget ${detail.scope}: ${inWords(detail)}`, options);
    this.detail = detail;
    this.retryable = detail.untilMs !== null;
  }
}

function inWords({ why, limit, spent, asked, untilMs }: BudgetExceededError['detail']): string {
  const needs = `the call needs up to ${amount(asked, limit)}`;
  if (why === 'closed') return `${needs}, and the budgets have been closed; ask the next process`;
  if (why === 'too-large')
    return `${needs}, and the whole budget is ${amount(limit, limit)}; ask for fewer output tokens, or raise the budget`;
  const then = untilMs === null ? 'raise the budget' : `the next period begins at ${untilMs} ms`;
  return `${needs}, and ${amount(spent, limit)} of ${amount(limit, limit)} are spent; ${then}`;
}

/** Of the dimensions that are limited only. */
function amount({ usd, tokens }: LimitedAmount, limit: LimitedAmount): string {
  const parts: string[] = [];
  if (limit.usd !== null) parts.push(`$${usd}`);
  if (limit.tokens !== null) parts.push(`${tokens} tokens`);
  return parts.join(' and ');
}
