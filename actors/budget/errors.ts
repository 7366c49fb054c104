/** What is wrong with a budget, or with an amount that is to be taken from one. */
import { describe, DroverError } from '../kernel/errors.ts';

/** A budget or an amount is not one. Nothing of it has happened. */
export class BudgetInputError extends DroverError {
  readonly code = 'DROVER_BUDGET_INPUT';
  readonly retryable = false;
  override readonly detail: { readonly field: string; readonly expected: string };
  constructor(field: string, expected: string, found: unknown) {
    super(`${field}: expected ${expected}, got ${describe(found)}`);
    this.detail = { field, expected };
  }
}
