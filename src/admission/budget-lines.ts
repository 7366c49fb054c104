/**
 * Lines: who could not be served at once. One line a budget, in order of arrival; a waiter stands in
 * the line of the first of its budgets that has no room for it, or where somebody stands who came
 * before. When there is room, the head goes on: to its reservation, or into the next line, at the
 * place of its arrival.
 *
 * Nobody waits for ever: a head waits for calls in flight or for the store only, and when the last of
 * them has come home it either fits, or a slice may be had, or it is refused.
 */
import { toUsd } from '../../actors/budget/amount.ts';
import { missingFor } from '../../actors/budget/balance.ts';
import type { Clock } from '../../actors/kernel/clock.ts';
import { invariant } from '../../actors/kernel/errors.ts';
import { first, insert, remove } from '../../actors/sorted-set.ts';
import type { Budget, Purse, Waiter } from './budget-purse.ts';
import { charge, Held, settled } from './budget-reservation.ts';
import type { BudgetAsker } from './budget-reservation.ts';
import { BudgetExceededError } from './errors.ts';

/** What lines need of whoever keeps the budgets. */
export interface LinesOptions {
  readonly clock: Pick<Clock, 'nowMs'>;
  /** Periods that are due begin; returns their budgets. Asked before anybody is served: not out of a period that is over. */
  readonly begin: () => readonly Budget[];
  /** So much is missing in hand. */
  readonly want: (purse: Purse, nanoUsd: number, tokens: number) => void;
  /** Somebody stands in this line now. */
  readonly joined: (budget: Budget) => void;
  /** Somebody was refused, because this budget is exhausted. */
  readonly refused: (budget: Budget, waiter: Waiter, error: BudgetExceededError) => void;
  /** A reservation that nobody wanted any more has come home, and concerns others. */
  readonly homecoming: (purses: readonly Purse[]) => void;
}

/** What is known of others is believed for this long, then the store is asked before anybody is refused for it. */
const FRESH_MS = 1_000;

/** An answer on its way to who asked. */
interface Answer {
  readonly waiter: Waiter;
  readonly outcome: Held | BudgetExceededError;
}

/** What becomes of a waiter. */
type Step =
  | { readonly at: 'go' }
  | { readonly at: 'waits'; readonly budget: Budget }
  | { readonly at: 'refused'; readonly budget: Budget; readonly why: 'exhausted' | 'too-large' };

/** Of one process. */
export class Lines {
  readonly #options: LinesOptions;
  readonly #waiters = new Map<BudgetAsker, Waiter>();
  /** Budgets whose line may go on. */
  readonly #dirty = new Set<Budget>();
  #answers: Answer[] = [];
  #serving = false;
  #lastTicket = 0;
  #closed = false;

  constructor(options: LinesOptions) {
    this.#options = options;
  }

  /** The asker hears later. */
  join(budgets: readonly Budget[], nanoUsd: number, tokens: number, asker: BudgetAsker): void {
    invariant(!this.#waiters.has(asker), 'an asker waits for one reservation at a time');
    const waiter: Waiter = { ticket: (this.#lastTicket += 1), budgets, nanoUsd, tokens, asker, standsAt: undefined };
    this.#waiters.set(asker, waiter);
    if (this.#closed) this.#answer(waiter, errorOf(waiter, budgets[0], 'closed'));
    else this.#go(waiter);
  }

  cancel(asker: BudgetAsker): void {
    const waiter = this.#waiters.get(asker);
    if (waiter === undefined) return;
    this.#waiters.delete(asker);
    const budget = waiter.standsAt;
    // Else its answer is on the way, and finds nobody.
    if (budget === undefined) return;
    this.#leave(waiter);
    this.serve(budget);
  }

  /** Serves who waits for these budgets, in order of arrival over all of them. */
  serve(...budgets: readonly Budget[]): void {
    for (const budget of budgets) this.#dirty.add(budget);
    if (this.#serving || this.#closed) return;
    this.#serving = true;
    try {
      for (const budget of this.#options.begin()) this.#dirty.add(budget);
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        this.#go(next.waiter);
        // It goes on waiting there, and so do all behind it.
        if (next.waiter.standsAt === next.budget) this.#dirty.delete(next.budget);
      }
    } finally {
      this.#serving = false;
    }
  }

  /** Refuses whoever waits, and whoever comes. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiters.values()) {
      const budget = waiter.standsAt;
      if (budget === undefined) continue;
      this.#leave(waiter);
      this.#answer(waiter, errorOf(waiter, budget, 'closed'));
    }
  }

  #next(): { readonly waiter: Waiter; readonly budget: Budget } | undefined {
    let next: { readonly waiter: Waiter; readonly budget: Budget } | undefined;
    for (const budget of this.#dirty) {
      const waiter = first(budget.line);
      if (waiter === undefined) this.#dirty.delete(budget);
      else if (next === undefined || waiter.ticket < next.waiter.ticket) next = { waiter, budget };
    }
    return next;
  }

  /** As far as it comes. */
  #go(waiter: Waiter): void {
    const step = this.#assess(waiter);
    if (step.at === 'waits' && waiter.standsAt === step.budget) return;
    this.#leave(waiter);
    switch (step.at) {
      case 'go': {
        const purses = waiter.budgets.filter(({ forgotten }) => !forgotten).map(({ purse }) => purse);
        return this.#answer(waiter, charge(purses, waiter.nanoUsd, waiter.tokens));
      }
      case 'refused': {
        const error = errorOf(waiter, step.budget, step.why);
        this.#answer(waiter, error);
        if (step.why === 'exhausted') this.#options.refused(step.budget, waiter, error);
        return;
      }
      case 'waits':
        waiter.standsAt = step.budget;
        step.budget.line = insert(step.budget.line, waiter, byTicket);
        this.#options.joined(step.budget);
    }
  }

  /** Asks for slices too, where that helps and nobody is ahead. */
  #assess({ budgets, nanoUsd, tokens, ticket }: Waiter): Step {
    let blocked: Budget | undefined;
    let exhausted: Budget | undefined;
    const takes: Purse[] = [];
    for (const budget of budgets) {
      if (budget.forgotten) continue;
      const { purse, line } = budget;
      const verdict = purse.verdictOf(nanoUsd, tokens);
      if (verdict === 'too-large') return { at: 'refused', budget, why: verdict };
      if (verdict === 'exhausted' && this.#isFresh(purse)) {
        // The one that takes longest to come back says until when.
        if (exhausted === undefined || purse.endMs > exhausted.purse.endMs) exhausted = budget;
        continue;
      }
      const isBehind = line !== undefined && first(line)!.ticket < ticket;
      if (verdict === 'go' && !isBehind) continue;
      blocked ??= budget;
      if (!isBehind && (verdict === 'take' || verdict === 'exhausted')) takes.push(purse);
    }
    if (exhausted !== undefined) return { at: 'refused', budget: exhausted, why: 'exhausted' };
    if (blocked === undefined) return { at: 'go' };
    for (const purse of takes) this.#options.want(purse, missingFor(purse.usd, nanoUsd), missingFor(purse.tokens, tokens));
    return { at: 'waits', budget: blocked };
  }

  #isFresh({ heardAtMs }: Purse): boolean {
    return heardAtMs === Infinity || this.#options.clock.nowMs() - heardAtMs < FRESH_MS;
  }

  #leave(waiter: Waiter): void {
    const budget = waiter.standsAt;
    if (budget === undefined) return;
    budget.line = remove(budget.line, waiter, byTicket);
    waiter.standsAt = undefined;
  }

  /** Told in a turn of its own: nobody is called from within its own call. */
  #answer(waiter: Waiter, outcome: Answer['outcome']): void {
    if (this.#answers.push({ waiter, outcome }) === 1) queueMicrotask(() => this.#tell());
  }

  #tell(): void {
    const answers = this.#answers;
    let told = 0;
    this.#answers = [];
    try {
      for (const answer of answers) {
        told += 1;
        this.#tellOne(answer);
      }
    } finally {
      // One of them threw: the others are told all the same.
      if (told < answers.length) {
        this.#answers = [...answers.slice(told), ...this.#answers];
        queueMicrotask(() => this.#tell());
      }
    }
  }

  #tellOne({ waiter, outcome }: Answer): void {
    const { asker } = waiter;
    if (this.#waiters.get(asker) === waiter) {
      this.#waiters.delete(asker);
      if (outcome instanceof Held) asker.reserved(outcome);
      else asker.exhausted(outcome);
    } else if (outcome instanceof Held && settled(outcome, NOTHING)) {
      // It has cancelled.
      this.#options.homecoming(outcome.purses);
    }
  }
}

const NOTHING = { usd: 0, tokens: 0 } as const;
const WITHOUT_BUDGET = { scope: 'none', limit: { usd: null, tokens: null }, purse: { spent: NOTHING, untilMs: null } } as const;

function byTicket(a: Waiter, b: Waiter): number {
  return a.ticket - b.ticket;
}

function errorOf(waiter: Waiter, budget: Budget | undefined, why: BudgetExceededError['detail']['why']): BudgetExceededError {
  const { scope, limit, purse } = budget ?? WITHOUT_BUDGET;
  const asked = { usd: toUsd(waiter.nanoUsd), tokens: waiter.tokens };
  return new BudgetExceededError({ why, scope, limit, spent: purse.spent, asked, untilMs: why === 'exhausted' ? purse.untilMs : null });
}
