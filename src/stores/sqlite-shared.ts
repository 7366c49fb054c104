/** SqliteShared: the commands over budgets and intents, in the transactions of `SqliteTasks`. */
import type { BudgetGrant, BudgetReturn, BudgetTake, BudgetTaken, Intent, IntentOutcome, Store } from '../../actors/ports/store.ts';
import { grantOf, NOTHING_TAKEN, returned } from './budget-grant.ts';
import type { Statements } from './sqlite-statements.ts';

type TakenRow = readonly [nanoUsd: number, tokens: number];

const PROCEED: IntentOutcome = { at: 'proceed' };

/** Of one database. Everything is called within a transaction. */
export class SqliteShared {
  readonly #sql: Statements;

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  /** No intent counts longer from now than it was registered for: the clock of its holder may have been ahead. */
  open(nowMs: number): void {
    this.#sql.cutIntents.run(nowMs);
  }

  takeBudget(items: readonly BudgetTake[]): BudgetGrant[] {
    return items.map((item) => {
      const { scope, periodStartMs } = item;
      this.#sql.forgetPeriods.run(scope, item.keepFromMs);
      const grant = grantOf(this.#taken(scope, periodStartMs) ?? NOTHING_TAKEN, item);
      this.#sql.setTaken.run(scope, periodStartMs, grant.takenNanoUsd, grant.takenTokens);
      return grant;
    });
  }

  returnBudget(items: readonly BudgetReturn[]): void {
    for (const item of items) {
      const { scope, periodStartMs } = item;
      if (item.ended) {
        this.#sql.forgetScope.run(scope);
        continue;
      }
      const before = this.#taken(scope, periodStartMs);
      if (before === undefined) continue;
      const { takenNanoUsd, takenTokens } = returned(before, item);
      this.#sql.setTaken.run(scope, periodStartMs, takenNanoUsd, takenTokens);
    }
  }

  readBudgets(items: Parameters<Store['readBudgets']>[0]): BudgetTaken[] {
    return items.map(({ scope, periodStartMs }) => this.#taken(scope, periodStartMs) ?? NOTHING_TAKEN);
  }

  registerIntents(items: readonly Intent[], nowMs: number): IntentOutcome[] {
    this.#sql.forgetIntents.run(nowMs);
    return items.map(({ gate, holder, most, untilMs }) => {
      const [seq] = this.#sql.register.get(gate, holder, untilMs, untilMs - nowMs) as unknown as [number];
      const [ahead] = this.#sql.ahead.get(gate, seq, nowMs) as unknown as [number];
      return ahead < most ? PROCEED : { at: 'waiting', ahead };
    });
  }

  withdrawIntents(items: Parameters<Store['withdrawIntents']>[0]): void {
    for (const { gate, holder } of items) this.#sql.withdraw.run(gate, holder);
  }

  #taken(scope: string, periodStartMs: number): BudgetTaken | undefined {
    const row = this.#sql.taken.get(scope, periodStartMs) as unknown as TakenRow | undefined;
    return row === undefined ? undefined : { takenNanoUsd: row[0], takenTokens: row[1] };
  }
}
