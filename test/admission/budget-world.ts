/** Budgets in virtual time, over a memory store that may be away, with the truth beside them. */
import { setImmediate } from 'node:timers/promises';
import { expect } from 'vitest';
import { seededRandom } from '../../actors/kernel/random.ts';
import { StoreFailedError } from '../../actors/ports/store-errors.ts';
import type { Store } from '../../actors/ports/store.ts';
import type { BudgetExceededError } from '../../src/admission/errors.ts';
import { Budgets } from '../../src/admission/budgets.ts';
import type { BudgetAsker, BudgetFact, BudgetReservation, BudgetSpec, BudgetStore } from '../../src/admission/budgets.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

/** One that asks, and what it was told. */
export class Asker implements BudgetAsker {
  reservation: BudgetReservation | undefined;
  error: BudgetExceededError | undefined;
  onReserved: () => void = () => {};
  onExhausted: () => void = () => {};

  get isWaiting(): boolean {
    return this.reservation === undefined && this.error === undefined;
  }

  reserved(reservation: BudgetReservation): void {
    expect(this.isWaiting, 'told once').toBe(true);
    this.reservation = reservation;
    this.onReserved();
  }

  exhausted(error: BudgetExceededError): void {
    expect(this.isWaiting, 'told once').toBe(true);
    this.error = error;
    this.onExhausted();
  }
}

/** Whether commands get through: `before`: they fail; `after`: they happen, and fail all the same. */
export type Away = 'before' | 'after' | undefined;

interface Process {
  isGone: boolean;
}

export class BudgetWorld {
  readonly clock = new VirtualClock(1_000_000);
  readonly store: Store = memoryStore();
  readonly facts: BudgetFact[] = [];
  away: Away;
  /** Commands wait for it on their way. */
  held: Promise<void> | undefined;
  /** Commands that reached the store. */
  commands = 0;
  #crashed = false;
  readonly #processes = new Map<Budgets, Process>();

  static async open(): Promise<BudgetWorld> {
    const world = new BudgetWorld();
    await world.store.open({ nowMs: 0, maxUnfinished: 1 });
    return world;
  }

  /** A process: `shared` ones take slices from the store. */
  budgets(
    specs: Readonly<Record<string, BudgetSpec>>,
    { shared = true, store = this.store }: { readonly shared?: boolean; readonly store?: Store } = {},
  ): Budgets {
    const process: Process = { isGone: false };
    const budgets = new Budgets({
      clock: this.clock,
      alarm: (atMs, fire) => this.clock.wakeAt(atMs, () => !process.isGone && fire()),
      store: shared ? this.#reachable(process, store) : undefined,
      random: seededRandom(1),
      onFact: (fact) => this.facts.push(fact),
    });
    for (const [scope, spec] of Object.entries(specs)) budgets.declare(scope, spec);
    this.#processes.set(budgets, process);
    return budgets;
  }

  /** Asks, and lets everything happen that needs no time. */
  async ask(budgets: Budgets, scopes: readonly string[], amount: { readonly usd?: number; readonly tokens?: number }): Promise<Asker> {
    const asker = new Asker();
    const reservation = budgets.reserve(scopes, { usd: 0, tokens: 0, ...amount }, asker);
    if (reservation !== undefined) asker.reserved(reservation);
    await this.settle();
    return asker;
  }

  /** Asks, and waits for the answer of a store that takes its time. */
  answer(budgets: Budgets, scopes: readonly string[], amount: { readonly usd: number }): Promise<BudgetReservation | BudgetExceededError> {
    return new Promise((resolve) => {
      const asker = new Asker();
      asker.onReserved = () => resolve(asker.reservation!);
      asker.onExhausted = () => resolve(asker.error!);
      const reservation = budgets.reserve(scopes, { tokens: 0, ...amount }, asker);
      if (reservation !== undefined) asker.reserved(reservation);
    });
  }

  async settle(): Promise<void> {
    await setImmediate();
    await setImmediate();
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.clock.nowMs() + ms;
    for (let dueMs = this.clock.nextDueMs; dueMs !== undefined && dueMs <= untilMs; dueMs = this.clock.nextDueMs) {
      this.clock.advanceTo(Math.max(dueMs, this.clock.nowMs()));
      await this.settle();
    }
    this.clock.advanceTo(untilMs);
    await this.settle();
  }

  async taken(scope: string, periodStartMs = 0): Promise<{ readonly usd: number; readonly tokens: number }> {
    const [found] = await this.store.readBudgets([{ scope, periodStartMs }]);
    return { usd: found!.takenNanoUsd / 1e9, tokens: found!.takenTokens };
  }

  /** Closes everything, and demands that no timer is left (L7). */
  async close(): Promise<void> {
    await Promise.all([...this.#processes.keys()].map((budgets) => budgets.close()));
    await this.settle();
    if (!this.#crashed) expect(this.clock.pending, 'timers left').toBe(0);
    await this.store.close();
  }

  /** The process is gone: nothing is given back, and nothing of it fires any more. */
  crash(budgets: Budgets): void {
    this.#processes.get(budgets)!.isGone = true;
    this.#processes.delete(budgets);
    this.#crashed = true;
  }

  #reachable(process: Process, store: Store): BudgetStore {
    const carry = async <T>(command: string, perform: () => Promise<T>): Promise<T> => {
      const failed = new StoreFailedError({ store: 'memory', command });
      const { away } = this;
      if (process.isGone) return new Promise(() => {});
      if (away === 'before') throw failed;
      this.commands += 1;
      await this.held;
      const reply = await perform();
      if (away === 'after') throw failed;
      return reply;
    };
    return {
      takeBudget: (items) => carry('takeBudget', () => store.takeBudget(items)),
      returnBudget: (items) => carry('returnBudget', () => store.returnBudget(items)),
      readBudgets: (items) => carry('readBudgets', () => store.readBudgets(items)),
    };
  }
}
