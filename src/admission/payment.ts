/**
 * Payment: the budget half of a call. Its upper bound is set aside in all of its scopes before it is
 * admitted, asked for again when others have spent meanwhile, and settled exactly once: to what the call
 * has cost, to nothing, or, where nobody knows, in full.
 */
import { BudgetInputError } from '../../actors/budget/errors.ts';
import type { Host } from '../../actors/host/host.ts';
import type { Amount, BudgetAsker, BudgetReservation, Budgets } from './budgets.ts';
import type { BudgetExceededError } from './errors.ts';

/** Whose payment it is. Told of what was not there at once: exactly one of these, unless it cancels before. */
export interface Payer {
  paid(): void;
  /** Others have not given back in time what it would be paid from. */
  unpaid(): void;
  /** The money has run out. */
  exhausted(error: BudgetExceededError): void;
}

export class Payment implements BudgetAsker {
  readonly #budgets: Budgets;
  readonly #scopes: readonly string[];
  readonly #host: Pick<Host, 'alarm'>;
  readonly #payer: Payer;
  #reservation: BudgetReservation | undefined;
  #cancelAlarm: (() => void) | undefined;

  constructor(budgets: Budgets, scopes: readonly string[], host: Pick<Host, 'alarm'>, payer: Payer) {
    this.#budgets = budgets;
    this.#scopes = scopes;
    this.#host = host;
    this.#payer = payer;
  }

  /**
   * Sets an upper bound aside. True: at once; otherwise the payer is told, by `byMs` at the latest.
   *
   * @param usd undefined: nobody knows the price
   * @throws BudgetInputError when money is limited, and nobody knows the price: it is not spent like that
   */
  reserve(dependency: string, usd: number | undefined, tokens: number, byMs: number | undefined): boolean {
    if (usd === undefined && this.#budgets.limitsMoney(this.#scopes))
      throw new BudgetInputError(`price of ${dependency}`, 'dollars of a call, at least 0', 'something else, or an error');
    this.#reservation = this.#budgets.reserve(this.#scopes, { usd: usd ?? 0, tokens }, this);
    if (this.#reservation !== undefined) return true;
    if (byMs !== undefined)
      this.#cancelAlarm = this.#host.alarm(byMs, () => {
        this.#budgets.cancel(this);
        this.#payer.unpaid();
      });
    return false;
  }

  /** The payer does not want it any more, and will not be told. */
  cancel(): void {
    this.#cancelAlarm?.();
    this.#budgets.cancel(this);
  }

  reserved(reservation: BudgetReservation): void {
    this.#cancelAlarm?.();
    this.#reservation = reservation;
    this.#payer.paid();
  }

  exhausted(error: BudgetExceededError): void {
    this.#cancelAlarm?.();
    this.#payer.exhausted(error);
  }

  /** Whether what was set aside still fits: others may have spent more than they had set aside, while the call stood in line. */
  get isCovered(): boolean {
    return this.#reservation === undefined || this.#budgets.covers(this.#reservation);
  }

  /** What was set aside comes home as this; null: nobody knows, and it counts in full. Nothing when nothing is set aside. */
  settle(spent: Amount | null): void {
    const reservation = this.#reservation;
    if (reservation === undefined) return;
    this.#reservation = undefined;
    this.#budgets.settle(reservation, spent);
  }
}
