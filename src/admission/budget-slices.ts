/**
 * Slices: how a process comes by what it may reserve, when budgets are shared through a store.
 *
 *   1. Who finds too little in hand wants a slice: what is missing, or as much again as the process has
 *      had so far, up to a tenth of what is left. What is wanted in one turn goes in one command.
 *   2. The store grants it out of the limit, once and for all. A process that dies has spent its slice.
 *   3. A slice that nobody has reserved from for a while goes back, as does what is left at the end of
 *      a period and at `close`.
 *   4. A call that cost more than was reserved for it may have used up more than the slice: that is
 *      booked at once, beyond the limit too, so that other processes know.
 *
 * A store that does not answer leaves what is in hand. What was asked of it may have been granted
 * all the same: nobody knows, so it counts as spent; until the store is back, no more than what is
 * missing is asked for. For the same reason a return is never sent twice.
 */
import type { CancelWake, Clock } from '../../actors/kernel/clock.ts';
import { toErrorRecord } from '../../actors/kernel/errors.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { BudgetGrant, BudgetReturn, BudgetTake, Store } from '../../actors/ports/store.ts';
import { granted, nameOf, takeOf, takeOut } from './budget-commands.ts';
import type { Missing } from './budget-commands.ts';
import type { BudgetFact } from './budget-facts.ts';
import { heard } from './budget-purse.ts';
import type { Purse } from './budget-purse.ts';

/** What budgets need of a store. */
export type BudgetStore = Pick<Store, 'takeBudget' | 'returnBudget' | 'readBudgets'>;

/** How they reach the world. */
export interface SlicesOptions {
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly alarm: (atMs: number, fire: () => void) => CancelWake;
  readonly store: BudgetStore;
  readonly random: Random;
  readonly onFact: (fact: BudgetFact) => void;
  /** More is in hand, or it is known better what is left. */
  readonly changed: (purses: readonly Purse[]) => void;
}

/** A slice that nobody has reserved from for this long goes back, at the latest after twice as long. */
const IDLE_MS = 5_000;
const RETRY_BASE_MS = 250;
const RETRY_CAP_MS = 30_000;
/** The slices of one process. */
export class Slices {
  readonly #options: SlicesOptions;
  readonly #wanting = new Map<Purse, Missing>();
  readonly #returning = new Set<Purse>();
  /** Whatever may have something to give back. */
  readonly #inHand = new Set<Purse>();
  readonly #underWay = new Set<Promise<void>>();
  #scheduled = false;
  #failures = 0;
  #cancelRetry: CancelWake | undefined;
  #cancelIdle: CancelWake | undefined;
  #closed = false;

  constructor(options: SlicesOptions) {
    this.#options = options;
  }

  /** So much is missing in hand, at least; whatever is over is booked in any case. */
  want(purse: Purse, nanoUsd: number, tokens: number): void {
    // Whoever still needs it then asks again.
    if (purse.busy) return;
    const missing = this.#wanting.get(purse);
    if (missing === undefined) this.#wanting.set(purse, { nanoUsd, tokens });
    else {
      missing.nanoUsd = Math.max(missing.nanoUsd, nanoUsd);
      missing.tokens = Math.max(missing.tokens, tokens);
    }
    this.#schedule();
  }

  /** Gives back what is free: nothing will be reserved from it, or less than before. */
  giveBack(purse: Purse): void {
    this.#returning.add(purse);
    this.#schedule();
  }

  /** Asks how much is taken. Rejects when the store does. */
  async refresh(purses: readonly Purse[]): Promise<void> {
    const asked = purses.filter(({ busy }) => !busy);
    for (const purse of asked) purse.busy = true;
    try {
      const found = await this.#options.store.readBudgets(asked.map(nameOf));
      const nowMs = this.#options.clock.nowMs();
      asked.forEach((purse, at) => {
        heard(purse.usd, found[at]!.takenNanoUsd);
        heard(purse.tokens, found[at]!.takenTokens);
        purse.heardAtMs = nowMs;
        purse.aim();
      });
    } finally {
      this.#free(asked);
    }
  }

  /** Ends when everything that is unspent has gone back, or the store has refused to take it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRetry?.();
    this.#cancelIdle?.();
    this.#cancelRetry = this.#cancelIdle = undefined;
    await Promise.all(this.#underWay);
    this.#wanting.clear();
    for (const purse of this.#inHand) {
      if (purse.isOver) this.#wanting.set(purse, { nanoUsd: 0, tokens: 0 });
      this.#returning.add(purse);
    }
    this.#flush();
    await Promise.all(this.#underWay);
    // What was over in one dimension may have been free in the other.
    this.#flush();
    await Promise.all(this.#underWay);
  }

  #schedule(): void {
    if (this.#scheduled || this.#cancelRetry !== undefined || this.#closed) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      // In the meantime it may have been closed, or the store may have failed.
      if (this.#cancelRetry === undefined && !this.#closed) this.#flush();
    });
  }

  #flush(): void {
    const takers: Purse[] = [];
    const takes: BudgetTake[] = [];
    const askers: Purse[] = [];
    for (const [purse, missing] of this.#wanting) {
      this.#wanting.delete(purse);
      const take = takeOf(purse, missing, this.#failures > 0);
      if (take.wantNanoUsd + take.wantTokens + take.overNanoUsd + take.overTokens === 0) {
        // Whoever names no upper bound needs none of it, but has to know whether anything is left.
        if (purse.budget.line !== undefined) askers.push(purse);
        continue;
      }
      purse.busy = true;
      takers.push(purse);
      takes.push(take);
    }
    if (takers.length > 0) this.#track(this.#take(takers, takes));
    if (askers.length > 0) this.#track(this.#ask(askers));
    const givers: Purse[] = [];
    const returns: BudgetReturn[] = [];
    for (const purse of this.#returning) {
      if (purse.busy) continue;
      this.#returning.delete(purse);
      const back = takeOut(purse);
      if (purse.retired && purse.out === 0) this.#inHand.delete(purse);
      if (back.nanoUsd + back.tokens === 0 && !back.ended) continue;
      purse.busy = true;
      givers.push(purse);
      returns.push(back);
    }
    if (givers.length > 0) this.#track(this.#return(givers, returns));
  }

  async #ask(purses: readonly Purse[]): Promise<void> {
    try {
      await this.refresh(purses);
      this.#answered();
    } catch (thrown) {
      if (!this.#closed) for (const purse of purses) this.want(purse, 0, 0);
      this.#failed(thrown);
    }
  }

  async #take(purses: readonly Purse[], takes: readonly BudgetTake[]): Promise<void> {
    let grants: readonly BudgetGrant[];
    try {
      grants = await this.#options.store.takeBudget(takes);
    } catch (thrown) {
      purses.forEach((purse, at) => {
        purse.busy = false;
        const { leastNanoUsd, leastTokens } = takes[at]!;
        if (!this.#closed) this.want(purse, leastNanoUsd, leastTokens);
      });
      this.#failed(thrown);
      return;
    }
    const nowMs = this.#options.clock.nowMs();
    purses.forEach((purse, at) => {
      const { nanoUsd, tokens, takenNanoUsd, takenTokens } = grants[at]!;
      granted(purse.usd, nanoUsd, takes[at]!.overNanoUsd, takenNanoUsd);
      granted(purse.tokens, tokens, takes[at]!.overTokens, takenTokens);
      purse.heardAtMs = nowMs;
      purse.aim();
      this.#inHand.add(purse);
    });
    this.#answered();
    this.#free(purses);
    this.#watchIdle();
  }

  async #return(purses: readonly Purse[], returns: readonly BudgetReturn[]): Promise<void> {
    try {
      await this.#options.store.returnBudget(returns);
      purses.forEach((purse, at) => {
        heard(purse.usd, purse.usd.taken - returns[at]!.nanoUsd);
        heard(purse.tokens, purse.tokens.taken - returns[at]!.tokens);
        purse.aim();
      });
      this.#answered();
    } catch (thrown) {
      this.#failed(thrown);
    }
    this.#free(purses);
  }

  #free(purses: readonly Purse[]): void {
    for (const purse of purses) purse.busy = false;
    // Booked first: what follows may reserve again.
    for (const purse of purses) {
      if (purse.isOver) this.want(purse, 0, 0);
      if (purse.retired && purse.out === 0 && purse.hasFree) this.#returning.add(purse);
    }
    this.#options.changed(purses);
    if (this.#returning.size > 0) this.#schedule();
  }

  #track(command: Promise<void>): void {
    const tracked = command.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  #answered(): void {
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#options.onFact({ at: 'store-back' });
    this.#schedule();
  }

  /** Nothing more is asked until the retry: full jitter, doubling. */
  #failed(thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(toErrorRecord(thrown).message);
    const { clock, alarm, random, onFact } = this.#options;
    const mostMs = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** this.#failures);
    this.#failures += 1;
    const retryAtMs = clock.nowMs() + random.next() * mostMs;
    if (!this.#closed && this.#cancelRetry === undefined) {
      this.#cancelRetry = alarm(retryAtMs, () => {
        this.#cancelRetry = undefined;
        this.#schedule();
      });
    }
    onFact({ at: 'store-away', error, retryAtMs });
  }

  #watchIdle(): void {
    if (this.#cancelIdle !== undefined || this.#closed) return;
    const { clock, alarm } = this.#options;
    this.#cancelIdle = alarm(clock.nowMs() + IDLE_MS, () => {
      this.#cancelIdle = undefined;
      for (const purse of this.#inHand) {
        const isUsed = purse.touched || purse.budget.line !== undefined;
        purse.touched = false;
        if (!isUsed && purse.hasFree) this.giveBack(purse);
        // Whatever is granted to it next brings it back.
        if (!isUsed && !purse.hasFree && purse.out === 0) this.#inHand.delete(purse);
      }
      if (this.#inHand.size > 0) this.#watchIdle();
    });
  }
}
