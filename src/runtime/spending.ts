/**
 * Spending: the budgets of a fleet. Who pays for which call, and what happens when the money is gone:
 * the workers that it was for are suspended, never killed, until the next period or until somebody
 * raises the budget. What one task may spend is its own affair: a call beyond it is refused.
 *
 *     fleet ─▶ kind ─▶ worker ─▶ task        a call is charged to all of them, or to none
 */
import type { EventEmitter } from 'eventemitter3';
import type { Logger } from 'pino';
import type { BudgetSpec } from '../../actors/budget/plan.ts';
import type { Host } from '../../actors/host/host.ts';
import type { ActorId } from '../../actors/kernel/effects.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { Store } from '../../actors/ports/store.ts';
import { Budgets } from '../admission/budgets.ts';
import type { BudgetFact, BudgetLook } from '../admission/budgets.ts';
import { FLEET_SCOPE, isOfTask, kindScope, taskScope, workerScope } from '../admission/scopes.ts';
import type { KindPlan, Topology } from '../topology/fleet.ts';
import { announce } from './events.ts';
import type { FleetEvents } from './events.ts';
import type { Operator, WorkerInfo } from './operator.ts';
import { kindOf } from './tree.ts';

export type { BudgetLook } from '../admission/budgets.ts';

export interface SpendingOptions {
  readonly topology: Topology;
  readonly host: Host;
  readonly store: Store;
  readonly random: Random;
  readonly operator: () => Operator;
  /** Told once when the task has ended. */
  readonly whenEnded: (task: string, ended: () => void) => void;
  readonly log: Logger;
  readonly events: EventEmitter<FleetEvents>;
}

const NOBODY: readonly string[] = [];
const LONGEST_CLOSE_MS = 5_000;

export class Spending {
  readonly budgets: Budgets;
  readonly #options: SpendingOptions;
  /** Who is suspended for a budget that has run out. */
  readonly #suspended = new Map<string, Set<ActorId>>();
  /** Scopes of workers and tasks that have been declared. */
  readonly #declared = new Set<string>();
  /** Whether anybody has a budget at all. */
  readonly #isUsed: boolean;

  constructor(options: SpendingOptions) {
    this.#options = options;
    const { topology, host, store, random } = options;
    const kinds = Object.values(topology.kinds);
    this.#isUsed = topology.budget !== undefined || kinds.some(({ budget }) => budget !== undefined);
    this.budgets = new Budgets({
      clock: host.clock,
      alarm: (atMs, fire) => host.alarm(atMs, fire),
      store,
      random,
      onFact: (fact) => this.#noted(fact),
    });
    if (topology.budget !== undefined) this.budgets.declare(FLEET_SCOPE, topology.budget);
    for (const { kind, budget } of kinds) if (budget?.kind !== undefined) this.budgets.declare(kindScope(kind), budget.kind);
  }

  /** The budgets that pay for the calls of a run. */
  scopesOf(plan: KindPlan, worker: ActorId, task: string): readonly string[] {
    if (!this.#isUsed) return NOBODY;
    const scopes: string[] = [];
    if (this.#options.topology.budget !== undefined) scopes.push(FLEET_SCOPE);
    const { budget } = plan;
    if (budget?.kind !== undefined) scopes.push(kindScope(plan.kind));
    if (budget?.worker !== undefined) scopes.push(this.#declare(workerScope(worker), budget.worker));
    if (budget?.task !== undefined) scopes.push(this.#declareTask(task, budget.task));
    return scopes;
  }

  /** Every budget that is in use, with what is spent of it. */
  look(): readonly BudgetLook[] {
    return this.budgets.look();
  }

  /** Gives a budget another limit; whoever was suspended for it goes on. */
  raise(scope: string, spec: BudgetSpec): void {
    this.budgets.raise(scope, spec);
  }

  /** Reads what earlier processes have spent. A store that is away is asked again by the first call. */
  open(): void {
    if (this.#isUsed) this.budgets.refresh().catch(() => {});
  }

  /** Gives back what is unspent. A store that does not answer keeps it: then it counts as spent. */
  close(): Promise<void> {
    if (!this.#isUsed) return Promise.resolve();
    const { host } = this.#options;
    return new Promise((resolve) => {
      const cancel = host.alarm(host.clock.nowMs() + LONGEST_CLOSE_MS, resolve);
      void this.budgets.close().finally(() => {
        cancel();
        resolve();
      });
    });
  }

  #declare(scope: string, spec: BudgetSpec): string {
    if (!this.#declared.has(scope)) {
      this.budgets.declare(scope, spec);
      this.#declared.add(scope);
    }
    return scope;
  }

  #declareTask(task: string, spec: BudgetSpec): string {
    const scope = taskScope(task);
    if (this.#declared.has(scope)) return scope;
    this.#options.whenEnded(task, () => {
      this.#declared.delete(scope);
      this.budgets.forget(scope);
    });
    return this.#declare(scope, spec);
  }

  #noted(fact: BudgetFact): void {
    const { host, log, events } = this.#options;
    const atMs = host.clock.nowMs();
    switch (fact.at) {
      case 'warned': {
        const { scope, share, limit, spent, untilMs } = fact;
        log.warn(fact, 'a budget is nearly used up');
        return announce(events, log, 'budget.warned', () => ({ atMs, scope, share, limit, spent, untilMs }));
      }
      case 'exhausted': {
        const { scope, limit, spent, asked, untilMs } = fact;
        log.warn(fact, 'a budget has run out');
        announce(events, log, 'budget.exhausted', () => ({ atMs, scope, limit, spent, asked, untilMs }));
        return isOfTask(scope) ? undefined : this.#suspend(scope);
      }
      case 'replenished':
        announce(events, log, 'budget.replenished', () => ({ atMs, scope: fact.scope }));
        return this.#resume(fact.scope);
      case 'store-away':
        return log.warn({ err: fact.error }, 'no slice of a budget can be had from the store: what is in hand is spent, and no more');
      case 'store-back':
    }
  }

  #suspend(scope: string): void {
    const { operator } = this.#options;
    if (this.#suspended.has(scope)) return;
    const workers = new Set<ActorId>();
    this.#suspended.set(scope, workers);
    const suspend = (all: readonly WorkerInfo[]): void => {
      for (const { worker, kind } of all) {
        if (this.#suspended.get(scope) !== workers || !this.#pays(scope, worker, kind)) continue;
        workers.add(worker);
        // It may be gone by then, or its kind starting anew: then its next call parks instead.
        operator()
          .suspend(worker, 'budget')
          .catch(() => {});
      }
    };
    operator()
      .workers()
      .then(suspend, () => {});
  }

  #pays(scope: string, worker: ActorId, kind: string): boolean {
    const { topology } = this.#options;
    return (
      scope === FLEET_SCOPE || scope === kindScope(kind) || (scope === workerScope(worker) && worker.startsWith(kindOf(topology, kind)))
    );
  }

  /** There is money again. */
  #resume(scope: string): void {
    const workers = this.#suspended.get(scope);
    if (workers === undefined) return;
    this.#suspended.delete(scope);
    const others = [...this.#suspended.values()];
    for (const worker of workers) {
      if (others.some((still) => still.has(worker))) continue;
      this.#options
        .operator()
        .resume(worker, 'budget')
        .catch(() => {});
    }
  }
}
