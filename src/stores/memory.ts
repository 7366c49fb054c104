/**
 * The memory store: everything in this process, nothing on a disk. For tests, simulations and work
 * that may be lost; it keeps every other promise of the port.
 */
import { StoreClosedError, StoreOwnedError } from '../../actors/ports/store-errors.ts';
import type { Store } from '../../actors/ports/store.ts';
import {
  checkBudgetReads,
  checkBudgetReturns,
  checkBudgetTakes,
  checkClaim,
  checkHeld,
  checkIds,
  checkIntents,
  checkQuery,
  checkRemember,
  checkRenew,
  checkSettlements,
  checkTasks,
  checkTime,
  checkWithdrawals,
} from './checks.ts';
import { MemoryBudgets, MemoryIntents } from './memory-shared.ts';
import { MemoryTasks } from './memory-tasks.ts';

/**
 * What a disk would be to another store: outlives the stores over it, and has one owner at a time.
 * A test or a simulation that restarts a node makes the second store over the first one's disk.
 */
export class MemoryDisk {
  /** For the stores over it only. */
  readonly tasks = new MemoryTasks();
  readonly budgets = new MemoryBudgets();
  readonly intents = new MemoryIntents();
  epoch = 0;
  owner: Store | undefined;

  /** Ends the ownership as `kill -9` would: nothing is handed back, and the old owner's commands reject. */
  crash(): void {
    this.owner = undefined;
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
    async open({ nowMs, ...limits }) {
      checkTime(nowMs, 'nowMs');
      if (closed) throw new StoreClosedError(name);
      if (disk.owner !== undefined) throw new StoreOwnedError(name);
      disk.owner = store;
      disk.epoch += 1;
      maxUnfinished = limits.maxUnfinished;
      return { epoch: disk.epoch, recovered: disk.tasks.recover(nowMs) };
    },
    async submit(newTasks, nowMs) {
      checkTasks(newTasks, nowMs);
      return tasks().submit(newTasks, maxUnfinished, nowMs);
    },
    async claim(command) {
      checkClaim(command);
      return tasks().claim(command);
    },
    async start(items, nowMs) {
      checkHeld(items, nowMs);
      return tasks().start(items);
    },
    async remember(items, nowMs) {
      checkRemember(items, nowMs);
      return tasks().remember(items);
    },
    async renew(items, nowMs) {
      checkRenew(items, nowMs);
      return tasks().renew(items, nowMs);
    },
    async settle(items, nowMs) {
      checkSettlements(items, nowMs);
      return tasks().settle(items, nowMs);
    },
    async sweep(nowMs) {
      checkTime(nowMs, 'nowMs');
      return tasks().sweep(nowMs);
    },
    async get(ids) {
      checkIds(ids);
      return tasks().get(ids);
    },
    async list(query) {
      checkQuery(query);
      return tasks().list(query);
    },
    async counts() {
      return tasks().counts();
    },
    async takeBudget(items) {
      checkBudgetTakes(items);
      return owned().budgets.take(items);
    },
    async returnBudget(items) {
      checkBudgetReturns(items);
      owned().budgets.giveBack(items);
    },
    async readBudgets(items) {
      checkBudgetReads(items);
      return owned().budgets.read(items);
    },
    async registerIntents(items, nowMs) {
      checkIntents(items, nowMs);
      return owned().intents.register(items, nowMs);
    },
    async withdrawIntents(items) {
      checkWithdrawals(items);
      owned().intents.withdraw(items);
    },
    async close() {
      closed = true;
      if (disk.owner === store) disk.owner = undefined;
    },
  };
  return store;
}
