/** Checks of what processes share beside tasks: rows of state, budgets, gates, leases, schedules. */
import type {
  BudgetReturn,
  BudgetTake,
  Intent,
  LeaseHeld,
  LeaseRequest,
  StateRead,
  StateSeen,
  StateWrite,
  Store,
} from '../../actors/ports/store.ts';
import {
  checkCount,
  checkFence,
  checkFlag,
  checkId,
  checkItems,
  checkLimit,
  checkList,
  checkNow,
  checkObject,
  checkText,
  checkTime,
  checkTtl,
  StoreInputError,
} from './check-values.ts';

// Each throws a `StoreInputError` for the first thing that is wrong.

/** `readState`. */
export function checkStateReads(items: readonly StateRead[], nowMs: number): void {
  checkNow(nowMs);
  checkItems(items);
  for (const { id, fence, place, key, version } of items) {
    checkId(id);
    checkFence(fence);
    checkText(place, 'place');
    checkId(key, 'key');
    if (version !== undefined) checkText(version, 'version');
  }
}

/** `getState`. */
export function checkKeys(keys: readonly string[]): void {
  checkList(keys, 'keys');
  for (const key of keys) checkId(key, 'key');
}

/** `listState`. */
export function checkStateQuery(query: Parameters<Store['listState']>[0]): void {
  checkObject(query, 'query');
  const { prefix, after, limit } = query;
  checkText(prefix, 'prefix');
  if (after !== undefined) checkText(after, 'after');
  checkLimit(limit);
}

/** `setState`. */
export function checkStateWrites(items: readonly StateWrite[], nowMs: number): void {
  checkNow(nowMs);
  checkItems(items);
  for (const item of items) checkWrite(item);
}

/** `takeBudget`. */
export function checkBudgetTakes(items: readonly BudgetTake[]): void {
  checkItems(items);
  for (const item of items) {
    checkPeriod(item);
    for (const field of ['wantNanoUsd', 'wantTokens', 'leastNanoUsd', 'leastTokens', 'overNanoUsd', 'overTokens'] as const)
      checkCount(item[field], 0, field);
    for (const field of ['limitNanoUsd', 'limitTokens'] as const) if (item[field] !== null) checkCount(item[field], 0, field);
    if (item.leastNanoUsd > item.wantNanoUsd) throw new StoreInputError('leastNanoUsd', 'at most wantNanoUsd', item.leastNanoUsd);
    if (item.leastTokens > item.wantTokens) throw new StoreInputError('leastTokens', 'at most wantTokens', item.leastTokens);
    checkTime(item.keepFromMs, 'keepFromMs');
    if (!(item.keepFromMs <= item.periodStartMs)) throw new StoreInputError('keepFromMs', 'at most periodStartMs', item.keepFromMs);
  }
}

/** `returnBudget`. */
export function checkBudgetReturns(items: readonly BudgetReturn[]): void {
  checkItems(items);
  for (const item of items) {
    checkPeriod(item);
    checkCount(item.nanoUsd, 0, 'nanoUsd');
    checkCount(item.tokens, 0, 'tokens');
    checkFlag(item.ended, 'ended');
  }
}

/** `readBudgets`. */
export function checkBudgetReads(items: Parameters<Store['readBudgets']>[0]): void {
  checkItems(items);
  for (const item of items) checkPeriod(item);
}

/** `registerIntents`. */
export function checkIntents(items: readonly Intent[], nowMs: number): void {
  checkNow(nowMs);
  checkWithdrawals(items);
  for (const { most, untilMs } of items) {
    checkCount(most, 1, 'most');
    checkTime(untilMs, 'untilMs');
  }
}

/** `withdrawIntents`. */
export function checkWithdrawals(items: Parameters<Store['withdrawIntents']>[0]): void {
  checkItems(items);
  for (const { gate, holder } of items) {
    checkId(gate, 'gate');
    checkId(holder, 'holder');
  }
}

/** `takeLeases`. */
export function checkLeaseRequests(items: readonly LeaseRequest[], nowMs: number): void {
  checkNow(nowMs);
  checkItems(items);
  for (const { name, holder, ttlMs, waitUntilMs } of items) {
    checkId(name, 'name');
    checkId(holder, 'holder');
    checkTtl(ttlMs);
    if (waitUntilMs !== null) checkTime(waitUntilMs, 'waitUntilMs');
  }
}

/** `renewLeases`. */
export function checkLeaseRenewals(items: Parameters<Store['renewLeases']>[0], nowMs: number): void {
  checkLeases(items, nowMs);
  for (const { ttlMs } of items) checkTtl(ttlMs);
}

/** `releaseLeases`. */
export function checkLeases(items: readonly LeaseHeld[], nowMs: number): void {
  checkNow(nowMs);
  checkItems(items);
  for (const { name, holder, fence } of items) {
    checkId(name, 'name');
    checkId(holder, 'holder');
    checkFence(fence);
  }
}

/** `readLeases`. */
export function checkLeaseReads(names: readonly string[], nowMs: number): void {
  checkNow(nowMs);
  checkNames(names);
}

/** `removeSchedules`. */
export function checkNames(names: readonly string[]): void {
  checkList(names, 'names');
  for (const name of names) checkId(name, 'name');
}

/** `putSchedules`. */
export function checkSchedules(items: Parameters<Store['putSchedules']>[0]): void {
  checkItems(items);
  for (const { name, plan, nextAtMs } of items) {
    checkId(name, 'name');
    checkText(plan, 'plan');
    checkTime(nextAtMs, 'nextAtMs');
  }
}

/** The rows that a completion writes. */
export function checkWrites(writes: readonly StateWrite[]): void {
  checkItems(writes, 'writes');
  for (const write of writes) checkWrite(write);
  if (writes.length === 1) return;
  const seen = new Set<string>();
  for (const write of writes) {
    if (seen.has(write.key)) throw new StoreInputError('writes', 'no key twice', write.key);
    seen.add(write.key);
  }
}

/** The rows that a completion has read. */
export function checkSeen(reads: readonly StateSeen[]): void {
  checkItems(reads, 'reads');
  for (const read of reads) checkVersion(read);
}

function checkWrite(write: StateWrite): void {
  checkVersion(write);
  if (write.value !== null) checkText(write.value, 'value');
}

function checkVersion({ key, version }: StateSeen): void {
  checkId(key, 'key');
  if (version !== null) checkCount(version, 1, 'version');
}

function checkPeriod({ scope, periodStartMs }: { readonly scope: string; readonly periodStartMs: number }): void {
  checkId(scope, 'scope');
  if (!Number.isSafeInteger(periodStartMs)) throw new StoreInputError('periodStartMs', 'a whole number of milliseconds', periodStartMs);
}
