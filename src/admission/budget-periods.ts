/**
 * Budget periods: when a budget begins anew. Whoever reserves or looks begins what is due; where somebody
 * waits for it, or was refused, an alarm does. A clock that nobody's period needs is not read.
 */
import type { CancelWake, Clock } from '../../actors/kernel/clock.ts';
import type { Budget } from './budget-purse.ts';

/** What periods need of whoever keeps the budgets. */
export interface PeriodsOptions {
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly alarm: (atMs: number, fire: () => void) => CancelWake;
  readonly budgets: () => Iterable<Budget>;
  /** The period of this one is over: it gets another purse. */
  readonly renew: (budget: Budget, nowMs: number) => void;
  /** Something is due: those who have waited for it are to be served, which begins it. */
  readonly due: () => void;
}

/** Of one process. */
export class Periods {
  readonly #options: PeriodsOptions;
  /** When the first period ends; Infinity when none does: then nobody need look at the clock. */
  #nextEndMs = Infinity;
  #alarmAtMs = Infinity;
  #cancelAlarm: CancelWake | undefined;
  #closed = false;

  constructor(options: PeriodsOptions) {
    this.#options = options;
  }

  /** There is one more. */
  add({ purse }: Budget): void {
    this.#nextEndMs = Math.min(this.#nextEndMs, purse.endMs);
  }

  /** Begins the periods that are due, and serves who has waited for them. */
  roll(): void {
    if (this.#isDue()) this.#options.due();
  }

  /** Begins the periods that are due, and returns their budgets. */
  begin(): readonly Budget[] {
    if (!this.#isDue()) return [];
    const begun: Budget[] = [];
    const nowMs = this.#options.clock.nowMs();
    this.#nextEndMs = Infinity;
    for (const budget of this.#options.budgets()) {
      if (budget.purse.endMs <= nowMs) {
        this.#options.renew(budget, nowMs);
        begun.push(budget);
      }
      this.#nextEndMs = Math.min(this.#nextEndMs, budget.purse.endMs);
    }
    return begun;
  }

  /** Somebody waits for it, or was refused: its next period has to begin without being asked. */
  watch({ purse: { endMs } }: Budget): void {
    if (endMs >= this.#alarmAtMs || this.#closed) return;
    this.#cancelAlarm?.();
    this.#alarmAtMs = endMs;
    this.#cancelAlarm = this.#options.alarm(endMs, () => {
      this.#alarmAtMs = Infinity;
      this.#cancelAlarm = undefined;
      this.roll();
      for (const budget of this.#options.budgets()) if (budget.line !== undefined || budget.refused !== undefined) this.watch(budget);
    });
  }

  /** None begins any more. */
  close(): void {
    this.#closed = true;
    this.#cancelAlarm?.();
    this.#cancelAlarm = undefined;
  }

  #isDue(): boolean {
    return this.#nextEndMs !== Infinity && this.#options.clock.nowMs() >= this.#nextEndMs && !this.#closed;
  }
}
