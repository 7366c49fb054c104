/**
 * The memory store: everything in this process, nothing on a disk. For tests, simulations and work
 * that may be lost; it keeps every other promise of the port.
 */
import { StoreClosedError, StoreOwnedError } from '../../actors/ports/store-errors.ts';
import type { Store } from '../../actors/ports/store.ts';
import * as check from './checks.ts';
import { MemoryLeases } from './memory-leases.ts';
import { MemoryBudgets, MemoryIntents } from './memory-shared.ts';
import { MemoryTasks } from './memory-tasks.ts';

/**
 * What a disk would be to another store: outlives the stores over it, and has one owner at a time.
 * A test or a simulation that restarts a node makes the second store over the first one's disk.
 */
export class MemoryDisk {
  /** For the stores over it only. */
  readonly tasks = new MemoryTasks(() => this.#nextToken());
  readonly budgets = new MemoryBudgets();
  readonly intents = new MemoryIntents();
  readonly leases = new MemoryLeases(() => this.#nextToken());
  epoch = 0;
  owner: Store | undefined;
  #lastToken = 0;

  /** Ends the ownership as `kill -9` would: nothing is handed back, and the old owner's commands reject. */
  crash(): void {
    this.owner = undefined;
  }

  /** Of locks, rows and leases: greater than every one before it. */
  #nextToken(): number {
    this.#lastToken += 1;
    return this.#lastToken;
  }
}

/** Tasks in this process's memory. They live as long as `disk` does, by default as long as the store. */
export function memoryStore(disk: MemoryDisk = new MemoryDisk()): Store {
  const name = 'memory';
  let maxUnfinished = Infinity;
  let closed = false;

  function owned(): MemoryDisk {
    if (disk.owner !== store) throw new StoreClosedError(name);
    return disk;
  }

  function tasks(): MemoryTasks {
    return owned().tasks;
  }

  const store: Store = {
    name,
    async open(command) {
      check.checkOpen(command);
      if (closed) throw new StoreClosedError(name, 'open');
      if (disk.owner !== undefined) throw new StoreOwnedError(name);
      disk.owner = store;
      disk.epoch += 1;
      maxUnfinished = command.maxUnfinished;
      disk.leases.open(command.nowMs);
      disk.intents.open(command.nowMs);
      return { epoch: disk.epoch, recovered: disk.tasks.open(command, disk.epoch) };
    },
    async submit(newTasks, nowMs) {
      check.checkTasks(newTasks, nowMs);
      return tasks().submit(newTasks, maxUnfinished, nowMs);
    },
    async claim(command) {
      check.checkClaim(command);
      return tasks().claim(command);
    },
    async start(items, nowMs) {
      check.checkStarts(items, nowMs);
      return tasks().start(items, nowMs);
    },
    async remember(items, nowMs) {
      check.checkRemember(items, nowMs);
      return tasks().remember(items);
    },
    async renew(items, nowMs) {
      check.checkRenew(items, nowMs);
      return tasks().renew(items, nowMs);
    },
    async settle(items, nowMs) {
      check.checkSettlements(items, nowMs);
      return tasks().settle(items, nowMs);
    },
    async sweep(nowMs) {
      check.checkNow(nowMs);
      return tasks().sweep(nowMs);
    },
    async unbox(items) {
      check.checkBoxes(items);
      tasks().unbox(items);
    },
    async forget(command) {
      check.checkForget(command);
      const { fence, ...reply } = tasks().forget(command);
      disk.epoch = Math.max(disk.epoch, fence);
      return reply;
    },
    async readState(items, nowMs) {
      check.checkStateReads(items, nowMs);
      return tasks().readState(items);
    },
    async getState(keys) {
      check.checkKeys(keys);
      const { rows } = tasks();
      return keys.map((key) => rows.get(key));
    },
    async listState(query) {
      check.checkStateQuery(query);
      return tasks().rows.list(query);
    },
    async setState(items, nowMs) {
      check.checkStateWrites(items, nowMs);
      const { rows } = tasks();
      return items.map((item) => rows.write(item));
    },
    async signal(items, nowMs) {
      check.checkSignals(items, nowMs);
      return tasks().signal(items, nowMs);
    },
    async askApproval(items, nowMs) {
      check.checkApprovalRequests(items, nowMs);
      return tasks().askApproval(items, nowMs);
    },
    async withdrawApproval(items, nowMs) {
      check.checkApprovalWithdrawals(items, nowMs);
      return tasks().withdrawApproval(items);
    },
    async decideApproval(items, nowMs) {
      check.checkDecisions(items, nowMs);
      return tasks().decideApproval(items, nowMs);
    },
    async approvals(query) {
      check.checkApprovalQuery(query);
      return tasks().approvals(query);
    },
    async steer(items, nowMs) {
      check.checkSteerings(items, nowMs);
      return tasks().steer(items, nowMs);
    },
    async pauseKinds(items) {
      check.checkPauses(items);
      tasks().pauseKinds(items);
    },
    async pausedKinds() {
      return tasks().pausedKinds();
    },
    async story(id) {
      check.checkIds([id]);
      return tasks().story(id);
    },
    async putSchedules(items) {
      check.checkSchedules(items);
      tasks().schedules.put(items);
    },
    async removeSchedules(names) {
      check.checkNames(names);
      tasks().schedules.remove(names);
    },
    async schedules() {
      return tasks().schedules.list();
    },
    async fireSchedules(items, nowMs) {
      check.checkFirings(items, nowMs);
      return tasks().fireSchedules(items, nowMs);
    },
    async get(ids) {
      check.checkIds(ids);
      return tasks().get(ids);
    },
    async list(query) {
      check.checkQuery(query);
      return tasks().list(query);
    },
    async counts() {
      return tasks().counts();
    },
    async takeBudget(items) {
      check.checkBudgetTakes(items);
      return owned().budgets.take(items);
    },
    async returnBudget(items) {
      check.checkBudgetReturns(items);
      owned().budgets.giveBack(items);
    },
    async readBudgets(items) {
      check.checkBudgetReads(items);
      return owned().budgets.read(items);
    },
    async registerIntents(items, nowMs) {
      check.checkIntents(items, nowMs);
      return owned().intents.register(items, nowMs);
    },
    async withdrawIntents(items) {
      check.checkWithdrawals(items);
      owned().intents.withdraw(items);
    },
    async takeLeases(items, nowMs) {
      check.checkLeaseRequests(items, nowMs);
      return owned().leases.take(items, nowMs);
    },
    async renewLeases(items, nowMs) {
      check.checkLeaseRenewals(items, nowMs);
      return owned().leases.renew(items, nowMs);
    },
    async releaseLeases(items, nowMs) {
      check.checkLeases(items, nowMs);
      return owned().leases.release(items, nowMs);
    },
    async readLeases(names, nowMs) {
      check.checkLeaseReads(names, nowMs);
      return owned().leases.read(names, nowMs);
    },
    async close() {
      closed = true;
      if (disk.owner === store) disk.owner = undefined;
    },
  };
  return store;
}
