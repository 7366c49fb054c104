/**
 * Checks: what no store can keep is refused before anything of the command has happened, by every
 * adapter with the same words.
 *
 * Texts must be well-formed Unicode, because a disk keeps UTF-8: a lone surrogate would come back
 * as another text, and two ids could become one. JSON made by `JSON.stringify` always is.
 */
import { DroverError, describe } from '../../actors/kernel/errors.ts';
import type {
  BudgetReturn,
  BudgetTake,
  ClaimCommand,
  Held,
  Intent,
  NewTask,
  RememberItem,
  RenewItem,
  Settlement,
  Store,
} from '../../actors/ports/store.ts';

/** A command carries something that no store can keep. Nothing of it has happened. */
export class StoreInputError extends DroverError {
  readonly code = 'DROVER_STORE_INPUT';
  readonly retryable = false;
  override readonly detail: { readonly field: string };
  constructor(field: string, expected: string, found: unknown) {
    super(`${field}: expected ${expected}, got ${describe(found)}`);
    this.detail = { field };
  }
}

/** The longest id, in characters. */
export const LONGEST_ID = 512;

// Each throws a `StoreInputError` for the first thing that is wrong.

/** `submit`. */
export function checkTasks(tasks: readonly NewTask[], nowMs: number): void {
  checkTime(nowMs, 'nowMs');
  for (let at = 0; at < tasks.length; at += 1) checkTask(tasks[at]!);
}

/** `claim`. */
export function checkClaim({ wants, leaseUntilMs, nowMs }: ClaimCommand): void {
  checkTime(leaseUntilMs, 'leaseUntilMs');
  checkTime(nowMs, 'nowMs');
  for (const want of wants) {
    checkText(want.kind, 'kind');
    checkLimit(want.limit);
  }
}

/** `start`, and the runs of every other command. */
export function checkHeld(items: readonly Held[], nowMs: number): void {
  checkTime(nowMs, 'nowMs');
  for (let at = 0; at < items.length; at += 1) checkId(items[at]!.id);
}

/** `remember`. */
export function checkRemember(items: readonly RememberItem[], nowMs: number): void {
  checkHeld(items, nowMs);
  for (const { place, hash, value } of items) {
    checkText(place, 'place');
    checkText(hash, 'hash');
    checkText(value, 'value');
  }
}

/** `renew`. */
export function checkRenew(items: readonly RenewItem[], nowMs: number): void {
  checkHeld(items, nowMs);
  for (const { leaseUntilMs } of items) checkTime(leaseUntilMs, 'leaseUntilMs');
}

/** `settle`. */
export function checkSettlements(items: readonly Settlement[], nowMs: number): void {
  checkHeld(items, nowMs);
  for (let at = 0; at < items.length; at += 1) {
    const { outcome } = items[at]!;
    switch (outcome.at) {
      case 'completed':
        if (outcome.result !== null) checkText(outcome.result, 'result');
        for (const task of outcome.sends) checkTask(task);
        break;
      case 'retry':
        checkText(outcome.error, 'error');
        checkTime(outcome.readyAtMs, 'readyAtMs');
        break;
      case 'failed':
      case 'dead':
      case 'lost':
        checkText(outcome.error, 'error');
        break;
      case 'parked':
        checkText(outcome.reason, 'reason');
        for (const id of outcome.children) checkId(id);
        if (outcome.wakeAtMs !== null) checkTime(outcome.wakeAtMs, 'wakeAtMs');
        break;
      case 'released':
        break;
    }
  }
}

/** `get`. */
export function checkIds(ids: readonly string[]): void {
  for (let at = 0; at < ids.length; at += 1) checkId(ids[at]!);
}

/** `list`. */
export function checkQuery({ kind, after, limit }: Parameters<Store['list']>[0]): void {
  if (kind !== undefined) checkText(kind, 'kind');
  if (after !== undefined) checkText(after, 'after');
  checkLimit(limit);
}

/** `takeBudget`. */
export function checkBudgetTakes(items: readonly BudgetTake[]): void {
  for (const item of items) {
    checkPeriod(item);
    for (const field of ['wantNanoUsd', 'wantTokens', 'leastNanoUsd', 'leastTokens', 'overNanoUsd', 'overTokens'] as const)
      checkCount(item[field], 0, field);
    for (const field of ['limitNanoUsd', 'limitTokens'] as const) if (item[field] !== null) checkCount(item[field], 0, field);
    if (item.leastNanoUsd > item.wantNanoUsd) throw new StoreInputError('leastNanoUsd', 'at most wantNanoUsd', item.leastNanoUsd);
    if (item.leastTokens > item.wantTokens) throw new StoreInputError('leastTokens', 'at most wantTokens', item.leastTokens);
    if (!(item.keepFromMs <= item.periodStartMs)) throw new StoreInputError('keepFromMs', 'at most periodStartMs', item.keepFromMs);
  }
}

/** `returnBudget`. */
export function checkBudgetReturns(items: readonly BudgetReturn[]): void {
  for (const item of items) {
    checkPeriod(item);
    checkCount(item.nanoUsd, 0, 'nanoUsd');
    checkCount(item.tokens, 0, 'tokens');
  }
}

/** `readBudgets`. */
export function checkBudgetReads(items: Parameters<Store['readBudgets']>[0]): void {
  for (const item of items) checkPeriod(item);
}

/** `registerIntents`. */
export function checkIntents(items: readonly Intent[], nowMs: number): void {
  checkTime(nowMs, 'nowMs');
  checkWithdrawals(items);
  for (const { most, untilMs } of items) {
    checkCount(most, 1, 'most');
    checkTime(untilMs, 'untilMs');
  }
}

/** `withdrawIntents`. */
export function checkWithdrawals(items: Parameters<Store['withdrawIntents']>[0]): void {
  for (const { gate, holder } of items) {
    checkId(gate, 'gate');
    checkId(holder, 'holder');
  }
}

/** `list` was to go on after a task that is not there. */
export function unknownAfter(after: string): StoreInputError {
  return new StoreInputError('after', 'the id of a stored task', after);
}

/** A time: any number, but not none. */
export function checkTime(ms: number, field: string): void {
  if (Number.isNaN(ms)) throw new StoreInputError(field, 'a time in milliseconds', ms);
}

function checkText(text: string, field: string): void {
  if (!text.isWellFormed()) throw new StoreInputError(field, 'well-formed Unicode, without lone surrogates', text);
}

function checkLimit(limit: number): void {
  if (Number.isNaN(limit)) throw new StoreInputError('limit', 'a number', limit);
}

function checkId(id: string, field = 'id'): void {
  if (id.length > LONGEST_ID) throw new StoreInputError(field, `at most ${LONGEST_ID} characters`, id);
  checkText(id, field);
}

function checkPeriod({ scope, periodStartMs }: { readonly scope: string; readonly periodStartMs: number }): void {
  checkId(scope, 'scope');
  if (!Number.isSafeInteger(periodStartMs)) throw new StoreInputError('periodStartMs', 'a whole number of milliseconds', periodStartMs);
}

function checkTask(task: NewTask): void {
  checkId(task.id);
  checkText(task.kind, 'kind');
  checkText(task.version, 'version');
  checkText(task.input, 'input');
  if (!Number.isFinite(task.priority)) throw new StoreInputError('priority', 'a finite number', task.priority);
  checkCount(task.maxAttempts, 1, 'maxAttempts');
  checkCount(task.maxLosses, 1, 'maxLosses');
  checkCount(task.depth, 0, 'depth');
  if (task.parent === undefined) return;
  checkId(task.parent.id);
  checkText(task.parent.place, 'place');
}

function checkCount(count: number, least: number, field: string): void {
  if (!Number.isSafeInteger(count) || count < least) throw new StoreInputError(field, `a whole number of at least ${least}`, count);
}
