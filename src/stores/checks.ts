/**
 * Checks: what no store can keep is refused before anything of the command has happened, by every
 * adapter with the same words.
 */
import type {
  ApprovalRequest,
  ApprovalWithdrawal,
  ClaimCommand,
  Decision,
  Firing,
  Held,
  LockWant,
  NewTask,
  OpenCommand,
  RememberItem,
  RenewItem,
  Settlement,
  Signal,
  StartItem,
  Steering,
  Store,
} from '../../actors/ports/store.ts';
import { StoreInputError, checkTime, checkText, checkLimit, checkId, checkBound, checkCount } from './check-values.ts';
import { checkWrites } from './checks-shared.ts';
import { STATUSES } from './task-status.ts';

export { checkTime, LONGEST_ID, StoreInputError } from './check-values.ts';
export * from './checks-shared.ts';

// Each throws a `StoreInputError` for the first thing that is wrong.

/** `open`. */
export function checkOpen({ nowMs, maxFamily, agingMs, mostPassed, mostBegun, kinds }: OpenCommand): void {
  checkTime(nowMs, 'nowMs');
  if (maxFamily !== undefined) checkBound(maxFamily, 'maxFamily');
  if (agingMs !== undefined && !(Number.isFinite(agingMs) && agingMs >= 1)) throw new StoreInputError('agingMs', 'at least 1', agingMs);
  if (mostPassed !== undefined) checkCount(mostPassed, 0, 'mostPassed');
  if (mostBegun !== undefined) checkCount(mostBegun, 1, 'mostBegun');
  for (const [kind, limits] of Object.entries(kinds ?? {})) {
    checkText(kind, 'kind');
    if (limits.maxUnfinished !== undefined) checkBound(limits.maxUnfinished, 'maxUnfinished');
    if (limits.maxOfTenant !== undefined) checkBound(limits.maxOfTenant, 'maxOfTenant');
    for (const [tenant, weight] of Object.entries(limits.weights ?? {})) {
      checkId(tenant, 'tenant');
      if (!(Number.isFinite(weight) && weight > 0)) throw new StoreInputError('weight', 'a number above 0', weight);
    }
  }
}

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
    if (want.box !== undefined) checkId(want.box, 'box');
  }
}

/** `start`. */
export function checkStarts(items: readonly StartItem[], nowMs: number): void {
  checkHeld(items, nowMs);
  for (let at = 0; at < items.length; at += 1) {
    const { worker } = items[at]!;
    if (worker !== undefined) checkText(worker, 'worker');
  }
}

/** The runs of a command. */
export function checkHeld(items: readonly Held[], nowMs: number): void {
  checkTime(nowMs, 'nowMs');
  for (let at = 0; at < items.length; at += 1) checkId(items[at]!.id);
}

/** `remember`. */
export function checkRemember(items: readonly RememberItem[], nowMs: number): void {
  checkHeld(items, nowMs);
  for (const { place, hash, value, version } of items) {
    checkText(place, 'place');
    checkText(hash, 'hash');
    checkText(value, 'value');
    if (version !== undefined) checkText(version, 'version');
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
        if (outcome.writes !== undefined) checkWrites(outcome.writes);
        break;
      case 'retry':
        checkText(outcome.error, 'error');
        checkTime(outcome.readyAtMs, 'readyAtMs');
        checkPlaces(outcome.failures);
        break;
      case 'failed':
      case 'dead':
        checkText(outcome.error, 'error');
        checkPlaces(outcome.failures);
        break;
      case 'lost':
        checkText(outcome.error, 'error');
        break;
      case 'parked':
        checkText(outcome.reason, 'reason');
        for (const id of outcome.children) checkId(id);
        if (outcome.wakeAtMs !== null) checkTime(outcome.wakeAtMs, 'wakeAtMs');
        for (const event of outcome.events ?? []) {
          checkId(event.name, 'name');
          checkCount(event.n, 0, 'n');
        }
        if (outcome.gatherMs !== undefined && !(outcome.gatherMs >= 0))
          throw new StoreInputError('gatherMs', 'at least 0', outcome.gatherMs);
        if (outcome.locks !== undefined) checkLocks(outcome.locks);
        break;
      case 'released':
        if (outcome.box !== undefined) checkId(outcome.box, 'box');
        break;
      case 'undone':
        break;
    }
  }
}

/** `unbox`. */
export function checkBoxes(items: Parameters<Store['unbox']>[0]): void {
  for (const { kind, box } of items) {
    checkText(kind, 'kind');
    checkId(box, 'box');
  }
}

/** `signal`. */
export function checkSignals(items: readonly Signal[], nowMs: number): void {
  checkTime(nowMs, 'nowMs');
  for (const { id, name, value, key } of items) {
    checkId(id);
    checkId(name, 'name');
    checkText(value, 'value');
    if (key !== undefined) checkId(key, 'key');
  }
}

/** `askApproval`. */
export function checkApprovalRequests(items: readonly ApprovalRequest[], nowMs: number): void {
  checkHeld(items, nowMs);
  for (const { name, request, expiresAtMs } of items) {
    checkId(name, 'name');
    checkText(request, 'request');
    if (expiresAtMs !== null) checkTime(expiresAtMs, 'expiresAtMs');
  }
}

/** `withdrawApproval`. */
export function checkApprovalWithdrawals(items: readonly ApprovalWithdrawal[], nowMs: number): void {
  checkHeld(items, nowMs);
  for (const { name } of items) checkId(name, 'name');
}

/** `decideApproval`. */
export function checkDecisions(items: readonly Decision[], nowMs: number): void {
  checkTime(nowMs, 'nowMs');
  for (const { id, name, decision } of items) {
    checkId(id);
    checkId(name, 'name');
    checkText(decision, 'decision');
  }
}

/** `steer`. */
export function checkSteerings(items: readonly Steering[], nowMs: number): void {
  checkTime(nowMs, 'nowMs');
  for (const { id, by, reason } of items) {
    checkId(id);
    checkText(by, 'by');
    if (reason !== null) checkText(reason, 'reason');
  }
}

/** `pauseKinds`. */
export function checkPauses(items: Parameters<Store['pauseKinds']>[0]): void {
  for (const { kind } of items) checkText(kind, 'kind');
}

/** `fireSchedules`. */
export function checkFirings(items: readonly Firing[], nowMs: number): void {
  checkTime(nowMs, 'nowMs');
  for (const { name, atMs, nextAtMs, tasks } of items) {
    checkId(name, 'name');
    checkTime(atMs, 'atMs');
    checkTime(nextAtMs, 'nextAtMs');
    for (const task of tasks) checkTask(task);
  }
}

/** `approvals`. */
export function checkApprovalQuery({ limit, nowMs, after = 0 }: Parameters<Store['approvals']>[0]): void {
  checkLimit(limit);
  checkTime(nowMs, 'nowMs');
  checkCount(after, 0, 'after');
}

/** `get`. */
export function checkIds(ids: readonly string[]): void {
  for (let at = 0; at < ids.length; at += 1) checkId(ids[at]!);
}

/** `list`. */
export function checkQuery({ status, kind, parkedFor, after, limit }: Parameters<Store['list']>[0]): void {
  if (status !== undefined && !STATUSES.includes(status)) throw new StoreInputError('status', `one of ${STATUSES.join(', ')}`, status);
  if (kind !== undefined) checkText(kind, 'kind');
  if (parkedFor !== undefined) checkText(parkedFor, 'parkedFor');
  if (after !== undefined) checkText(after, 'after');
  checkLimit(limit);
}

/** `list` was to go on after a task that is not there. */
export function unknownAfter(after: string): StoreInputError {
  return new StoreInputError('after', 'the id of a stored task', after);
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
  if (task.parent !== undefined) {
    checkId(task.parent.id);
    checkText(task.parent.place, 'place');
  }
  if (task.rootId !== undefined) checkId(task.rootId, 'rootId');
  if (task.tenant !== undefined) checkId(task.tenant, 'tenant');
  if (task.affinity !== undefined) checkText(task.affinity, 'affinity');
  if (task.orderKey !== undefined) checkText(task.orderKey, 'orderKey');
  if (task.locks !== undefined) checkLocks(task.locks);
  if (task.notBeforeMs !== undefined) checkTime(task.notBeforeMs, 'notBeforeMs');
  if (task.deadlineMs !== undefined) checkTime(task.deadlineMs, 'deadlineMs');
}

function checkPlaces(places: readonly string[] = []): void {
  for (const place of places) checkText(place, 'place');
}

function checkLocks(locks: readonly LockWant[]): void {
  for (const { resource } of locks) checkId(resource, 'resource');
  if (locks.length === 1) return;
  const seen = new Set<string>();
  for (const { resource } of locks) {
    if (seen.has(resource)) throw new StoreInputError('locks', 'no resource twice', resource);
    seen.add(resource);
  }
}
