/**
 * Payment: the budget half of a call. Its upper bound is set aside in all of its scopes before it is
 * admitted, asked for again when others have spent meanwhile, and settled exactly once: to what the call
 * has cost, to nothing, or, where nobody knows, in full.
 */
import { BudgetInputError } from '../../actors/budget/errors.ts';
import type { Amount, BudgetAsker, BudgetReservation } from './budgets.ts';
import type { Carrier } from './carrier.ts';
import type { BudgetExceededError } from './errors.ts';

/** Whose payment it is. Told of what was not there at once: exactly one of these, unless it cancels before. */
export interface Payer {
  paid(): void;
  /** Others have not given back in time what it would be paid from. */
  unpaid(): void;
  /** The money has run out. */
  exhausted(error: BudgetExceededError): void;
}

/** Whose calls have budgets. */
type Paid = Pick<Carrier, 'name' | 'host' | 'budgets'>;

export class Payment implements BudgetAsker {
  readonly #carrier: Paid;
  readonly #payer: Payer;
  #reservation: BudgetReservation | undefined;
  #cancelAlarm: (() => void) | undefined;

  constructor(carrier: Paid, payer: Payer) {
    this.#carrier = carrier;
    this.#payer = payer;
  }

  /**
   * Sets an upper bound aside. True: at once; otherwise the payer is told, by `byMs` at the latest.
   *
   * @param usd undefined: nobody knows the price
   * @throws BudgetInputError when money is limited, and nobody knows the price: it is not spent like that
   */
  reserve(scopes: readonly string[], usd: number | undefined, tokens: number, byMs: number | undefined): boolean {
    const { name, host } = this.#carrier;
    const budgets = this.#carrier.budgets!;
    if (usd === undefined && budgets.limitsMoney(scopes))
      throw new BudgetInputError(
        `price of ${name}`,
        'dollars of a call, at least 0, since its budget is in dollars: give `price`',
        undefined,
      );
    this.#reservation = budgets.reserve(scopes, { usd: usd ?? 0, tokens }, this);
    if (this.#reservation !== undefined) return true;
    if (byMs !== undefined)
      this.#cancelAlarm = host.alarm(byMs, () => {
        budgets.cancel(this);
        this.#payer.unpaid();
      });
    return false;
  }

  /** The payer does not want it any more, and will not be told. */
  cancel(): void {
    this.#cancelAlarm?.();
    this.#carrier.budgets!.cancel(this);
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
    return this.#reservation === undefined || this.#carrier.budgets!.covers(this.#reservation);
  }

  /** What was set aside comes home as this; null: nobody knows, and it counts in full. Nothing when nothing is set aside. */
  settle(spent: Amount | null): void {
    const reservation = this.#reservation;
    if (reservation === undefined) return;
    this.#reservation = undefined;
    this.#carrier.budgets!.settle(reservation, spent);
  }
}
