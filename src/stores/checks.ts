/**
 * Checks: what no store can keep is refused before anything of the command has happened, by every
 * adapter with the same words.
 */
import type {
  ApprovalQuery,
  ApprovalRequest,
  ApprovalWithdrawal,
  ClaimCommand,
  Decision,
  Firing,
  ForgetCommand,
  Held,
  LockWant,
  NewTask,
  OpenCommand,
  RememberItem,
  RenewItem,
  Settlement,
  Signal,
  StartItem,
  SteerAction,
  Steering,
  Store,
  TaskStatus,
} from '../../actors/ports/store.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import {
  checkBound,
  checkCount,
  checkFence,
  checkFlag,
  checkId,
  checkItems,
  checkLimit,
  checkList,
  checkNow,
  checkObject,
  checkRecord,
  checkText,
  checkTime,
  checkWord,
  StoreInputError,
} from './check-values.ts';
import { checkSeen, checkWrites } from './checks-shared.ts';
import { STATUSES } from './task-status.ts';

export { checkNow, LONGEST_ID, StoreInputError } from './check-values.ts';
export * from './checks-shared.ts';

// Each throws a `StoreInputError` for the first thing that is wrong.

/** `open`. */
export function checkOpen(command: OpenCommand): void {
  checkObject(command, 'command');
  const { nowMs, maxUnfinished, maxFamily, agingMs, mostPassed, mostBegun, kinds } = command;
  checkNow(nowMs);
  checkBound(maxUnfinished, 'maxUnfinished');
  if (maxFamily !== undefined) checkBound(maxFamily, 'maxFamily');
  if (agingMs !== undefined && !(Number.isFinite(agingMs) && agingMs >= 1)) throw new StoreInputError('agingMs', 'at least 1', agingMs);
  if (mostPassed !== undefined) checkCount(mostPassed, 0, 'mostPassed');
  if (mostBegun !== undefined) checkCount(mostBegun, 1, 'mostBegun');
  if (kinds !== undefined) checkRecord(kinds, 'kinds');
  for (const [kind, limits] of Object.entries(kinds ?? {})) {
    checkText(kind, 'kind');
    checkRecord(limits, 'kinds');
    if (limits.maxUnfinished !== undefined) checkBound(limits.maxUnfinished, 'maxUnfinished');
    if (limits.maxOfTenant !== undefined) checkBound(limits.maxOfTenant, 'maxOfTenant');
    if (limits.weights !== undefined) checkRecord(limits.weights, 'weights');
    for (const [tenant, weight] of Object.entries(limits.weights ?? {})) {
      checkId(tenant, 'tenant');
      if (!(Number.isFinite(weight) && weight > 0)) throw new StoreInputError('weight', 'a number above 0', weight);
    }
  }
}

/** `submit`. */
export function checkTasks(tasks: readonly NewTask[], nowMs: number): void {
  checkNow(nowMs);
  checkItems(tasks, 'tasks');
  for (let at = 0; at < tasks.length; at += 1) checkTask(tasks[at]!);
}

/** `claim`. */
export function checkClaim(command: ClaimCommand): void {
  checkObject(command, 'command');
  const { wants, leaseUntilMs, nowMs } = command;
  checkTime(leaseUntilMs, 'leaseUntilMs');
  checkNow(nowMs);
  checkItems(wants, 'wants');
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
  checkNow(nowMs);
  checkItems(items);
  for (let at = 0; at < items.length; at += 1) {
    const { id, fence } = items[at]!;
    checkId(id);
    checkFence(fence);
  }
}

/** `remember`. */
export function checkRemember(items: readonly RememberItem[], nowMs: number): void {
  checkHeld(items, nowMs);
  for (const { place, hash, value, failed, version, replace } of items) {
    checkText(place, 'place');
    checkText(hash, 'hash');
    checkText(value, 'value');
    if (failed !== undefined) checkFlag(failed, 'failed');
    if (version !== undefined) checkText(version, 'version');
    if (replace !== undefined) checkFlag(replace, 'replace');
  }
}

/** `renew`. */
export function checkRenew(items: readonly RenewItem[], nowMs: number): void {
  checkHeld(items, nowMs);
  for (const { leaseUntilMs } of items) checkTime(leaseUntilMs, 'leaseUntilMs');
}

const FORGETS = ['state', 'everything'] as const;
const OUTCOME_EXPECTED = 'one of completed, retry, failed, dead, undone, parked, released, lost';

/** `settle`. */
export function checkSettlements(items: readonly Settlement[], nowMs: number): void {
  checkHeld(items, nowMs);
  for (let at = 0; at < items.length; at += 1) {
    const { outcome } = items[at]!;
    checkObject(outcome, 'outcome');
    switch (outcome.at) {
      case 'completed':
        if (outcome.result !== null) checkText(outcome.result, 'result');
        checkItems(outcome.sends, 'sends');
        for (const task of outcome.sends) checkTask(task);
        if (outcome.writes !== undefined) checkWrites(outcome.writes);
        if (outcome.reads !== undefined) checkSeen(outcome.reads);
        break;
      case 'retry':
        checkText(outcome.error, 'error');
        checkTime(outcome.readyAtMs, 'readyAtMs');
        checkPlaces(outcome.failures);
        if (outcome.forget !== undefined) checkWord(outcome.forget, FORGETS, 'forget');
        break;
      case 'failed':
        checkText(outcome.error, 'error');
        checkPlaces(outcome.failures);
        if (outcome.keeps !== undefined) checkFlag(outcome.keeps, 'keeps');
        break;
      case 'dead':
        checkText(outcome.error, 'error');
        checkPlaces(outcome.failures);
        break;
      case 'lost':
        checkText(outcome.error, 'error');
        break;
      case 'parked':
        checkText(outcome.reason, 'reason');
        checkList(outcome.children, 'children');
        for (const id of outcome.children) checkId(id);
        if (outcome.wakeAtMs !== null) checkTime(outcome.wakeAtMs, 'wakeAtMs');
        if (outcome.events !== undefined) checkItems(outcome.events, 'events');
        for (const event of outcome.events ?? []) {
          checkId(event.name, 'name');
          checkCount(event.n, 0, 'n');
        }
        if (outcome.gatherMs !== undefined) checkBound(outcome.gatherMs, 'gatherMs');
        if (outcome.locks !== undefined) checkLocks(outcome.locks);
        break;
      case 'released':
        if (outcome.box !== undefined) checkId(outcome.box, 'box');
        break;
      case 'undone':
        break;
      default:
        throw new StoreInputError('outcome', OUTCOME_EXPECTED, (outcome satisfies never as { readonly at: unknown }).at);
    }
  }
}

/** `unbox`. */
export function checkBoxes(items: Parameters<Store['unbox']>[0]): void {
  checkItems(items);
  for (const { kind, box } of items) {
    checkText(kind, 'kind');
    checkId(box, 'box');
  }
}

/** `forget`. */
export function checkForget(command: ForgetCommand): void {
  checkObject(command, 'command');
  const { endedByMs, limit } = command;
  checkRecord(endedByMs, 'endedByMs');
  for (const [status, byMs] of Object.entries(endedByMs)) {
    if (!isTerminal(status as TaskStatus))
      throw new StoreInputError('endedByMs', 'a time for completed, failed, cancelled or dead', status);
    checkTime(byMs, 'endedByMs');
  }
  checkCount(limit, 1, 'limit');
}

/** `signal`. */
export function checkSignals(items: readonly Signal[], nowMs: number): void {
  checkNow(nowMs);
  checkItems(items);
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
  checkNow(nowMs);
  checkItems(items);
  for (const { id, name, decision } of items) {
    checkId(id);
    checkId(name, 'name');
    checkText(decision, 'decision');
  }
}

const ACTIONS: readonly SteerAction[] = ['cancel', 'pause', 'unpause', 'requeue'];

/** `steer`. */
export function checkSteerings(items: readonly Steering[], nowMs: number): void {
  checkNow(nowMs);
  checkItems(items);
  for (const { id, action, by, reason } of items) {
    checkId(id);
    checkWord(action, ACTIONS, 'action');
    checkText(by, 'by');
    if (reason !== null) checkText(reason, 'reason');
  }
}

/** `pauseKinds`. */
export function checkPauses(items: Parameters<Store['pauseKinds']>[0]): void {
  checkItems(items);
  for (const { kind, paused } of items) {
    checkText(kind, 'kind');
    checkFlag(paused, 'paused');
  }
}

/** `fireSchedules`. */
export function checkFirings(items: readonly Firing[], nowMs: number): void {
  checkNow(nowMs);
  checkItems(items);
  for (const { name, atMs, nextAtMs, tasks } of items) {
    checkId(name, 'name');
    checkTime(atMs, 'atMs');
    checkTime(nextAtMs, 'nextAtMs');
    checkItems(tasks, 'tasks');
    for (const task of tasks) checkTask(task);
  }
}

/** `approvals`. */
export function checkApprovalQuery(query: ApprovalQuery): void {
  checkObject(query, 'query');
  const { limit, nowMs, after } = query;
  checkLimit(limit);
  checkNow(nowMs);
  if (after !== undefined) checkCount(after, 0, 'after');
}

/** `get`. */
export function checkIds(ids: readonly string[]): void {
  checkList(ids, 'ids');
  for (let at = 0; at < ids.length; at += 1) checkId(ids[at]!);
}

/** `list`. */
export function checkQuery(query: Parameters<Store['list']>[0]): void {
  checkObject(query, 'query');
  const { status, kind, parkedFor, after, limit } = query;
  if (status !== undefined) checkWord(status, STATUSES, 'status');
  if (kind !== undefined) checkText(kind, 'kind');
  if (parkedFor !== undefined) checkText(parkedFor, 'parkedFor');
  if (after !== undefined) checkText(after, 'after');
  checkLimit(limit);
}

/** `list` was to go on after a task that is not there. */
export function unknownAfter(after: string): StoreInputError {
  return new StoreInputError('after', 'the id of a stored task', after);
}

const CONFLICTS = ['queue', 'reject'] as const;

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
    checkObject(task.parent, 'parent');
    checkId(task.parent.id);
    checkFence(task.parent.fence);
    checkText(task.parent.place, 'place');
  }
  if (task.rootId !== undefined) checkId(task.rootId, 'rootId');
  if (task.tenant !== undefined) checkId(task.tenant, 'tenant');
  if (task.affinity !== undefined) checkText(task.affinity, 'affinity');
  if (task.orderKey !== undefined) checkText(task.orderKey, 'orderKey');
  if (task.locks !== undefined) checkLocks(task.locks);
  if (task.onConflict !== undefined) checkWord(task.onConflict, CONFLICTS, 'onConflict');
  if (task.notBeforeMs !== undefined) checkTime(task.notBeforeMs, 'notBeforeMs');
  if (task.deadlineMs !== undefined) checkTime(task.deadlineMs, 'deadlineMs');
}

function checkPlaces(places: readonly string[] | undefined): void {
  if (places === undefined) return;
  checkList(places, 'failures');
  for (const place of places) checkText(place, 'place');
}

const MODES = ['read', 'write'] as const;

function checkLocks(locks: readonly LockWant[]): void {
  checkItems(locks, 'locks');
  for (const { resource, mode } of locks) {
    checkId(resource, 'resource');
    checkWord(mode, MODES, 'mode');
  }
  if (locks.length === 1) return;
  const seen = new Set<string>();
  for (const { resource } of locks) {
    if (seen.has(resource)) throw new StoreInputError('locks', 'no resource twice', resource);
    seen.add(resource);
  }
}
