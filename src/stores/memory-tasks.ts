/**
 * MemoryTasks: the commands of the store about tasks over plain objects, synchronous and in order, one item
 * of a batch after the other. What a command answers is how things stand after all of it. Nothing
 * throws after the first change: what could is checked before.
 */
import type {
  Approval,
  ApprovalQuery,
  ApprovalRequest,
  ApprovalWithdrawal,
  ClaimCommand,
  ClaimedTask,
  Decision,
  Firing,
  ForgetCommand,
  ForgetReply,
  NewTask,
  OpenCommand,
  RememberItem,
  RenewItem,
  SettleOutcome,
  SettleReply,
  Settlement,
  Signal,
  StartItem,
  StartOutcome,
  StateRead,
  StateReadOutcome,
  Steering,
  SteerReply,
  Store,
  StoryEntry,
  SubmitOutcome,
  SweepReply,
  TaskCounts,
  TaskRecord,
} from '../../actors/ports/store.ts';
import { AGING_MS, MOST_BEGUN, MOST_PASSED } from '../../actors/ports/store.ts';
import { unknownAfter } from './checks.ts';
import { closeFamilies } from './memory-cancel.ts';
import { MemoryMoves } from './memory-moves.ts';
import { MemoryRows } from './memory-rows.ts';
import { MemorySchedules } from './memory-schedules.ts';
import { giveBack, settleRun } from './memory-settle.ts';
import { askApproval, decideApproval, signal, withdrawApproval } from './memory-signals.ts';
import { startRun } from './memory-start.ts';
import { steer } from './memory-steering.ts';
import { storyOf } from './memory-story.ts';
import { addTask, submitTask } from './memory-submit.ts';
import { sweep } from './memory-sweep.ts';
import { goesAhead, toClaimed, toRecord, toStarted } from './memory-task.ts';
import type { MemoryTask } from './memory-task.ts';
import { readOf, rememberedRead } from './state-memory.ts';
import { OWNER_GONE_ERROR } from './task-status.ts';

const STALE = { at: 'stale' } as const;

/** All the tasks of one memory store, and what they share a transaction with. */
export class MemoryTasks {
  readonly rows: MemoryRows;
  readonly schedules = new MemorySchedules();
  readonly #moves: MemoryMoves;
  readonly #paused = new Set<string>();

  /** `nextToken` is the one counter of the store: of locks, rows and leases. */
  constructor(nextToken: () => number) {
    this.rows = new MemoryRows(nextToken);
    this.#moves = new MemoryMoves(nextToken);
  }

  /** Takes back every lease: the one who held them is gone. How many runs there were. */
  open(command: OpenCommand, epoch: number): number {
    const { nowMs, maxFamily = Infinity, agingMs = AGING_MS, kinds = {} } = command;
    const { mostPassed = MOST_PASSED, mostBegun = MOST_BEGUN } = command;
    const moves = this.#moves;
    moves.leastFence = epoch;
    moves.tasks.open();
    moves.maxFamily = maxFamily;
    moves.age(agingMs);
    moves.open(nowMs);
    moves.locks.mostPassed = mostPassed;
    // As from a disk: what a new owner knows of the locks is what their rows say.
    moves.locks.load(moves.locks.holders(), moves.locks.waiters());
    moves.locks.open(nowMs);
    moves.kinds.limit(kinds);
    moves.kinds.begin(mostBegun);
    // Whoever was to be told is gone.
    moves.endedBeside.length = 0;
    // In order of arrival: who is woken for locks may depend on it.
    const orphans = [...moves.held.values()].toSorted((a, b) => a.seq - b.seq);
    const runs = orphans.filter(({ status }) => status === 'running').length;
    for (const task of orphans) {
      giveBack(moves, task, 'owner-gone', OWNER_GONE_ERROR, nowMs);
      moves.followUp(nowMs);
    }
    closeFamilies(moves, nowMs);
    moves.noLeaseEndsBeforeMs = Infinity;
    moves.takeReady();
    moves.takeGathering();
    return runs;
  }

  submit(tasks: readonly NewTask[], maxUnfinished: number, nowMs: number): SubmitOutcome[] {
    return tasks.map((task) => submitTask(this.#moves, task, maxUnfinished, nowMs));
  }

  claim({ wants, leaseUntilMs, nowMs }: ClaimCommand): ClaimedTask[] {
    const moves = this.#moves;
    let claimed: MemoryTask[] = [];
    for (const { kind, limit, box } of wants) {
      const entry = this.#paused.has(kind) ? undefined : moves.kinds.get(kind);
      const queue = box === undefined ? entry?.ready : entry?.boxes.get(box);
      if (queue === undefined) continue;
      const ofThis: MemoryTask[] = [];
      for (let left = Math.floor(limit); left > 0; left -= 1) {
        const task = queue.pop();
        if (task === undefined) break;
        moves.lease(task, leaseUntilMs, nowMs);
        ofThis.push(task);
      }
      claimed = claimed.length === 0 ? ofThis : merged(claimed, ofThis);
    }
    return claimed.map((task) => toClaimed(task));
  }

  start(items: readonly StartItem[], nowMs: number): StartOutcome[] {
    const outcomes = items.map((item) => startRun(this.#moves, item, nowMs));
    closeFamilies(this.#moves, nowMs);
    // A child may be started by a later item than its parent: it is told how it stands after all of them.
    return outcomes.map((outcome) => ('at' in outcome ? outcome : toStarted(outcome)));
  }

  remember(items: readonly RememberItem[]): boolean[] {
    return items.map((item) => {
      const task = this.#moves.holding(item);
      if (task === undefined) return false;
      const remembered = (task.remembered ??= new Map());
      const { place, hash, value, failed, version, replace } = item;
      if (replace === true || !remembered.has(place)) {
        remembered.set(place, {
          place,
          hash,
          value,
          ...(failed === true ? { failed } : {}),
          ...(version === undefined ? {} : { version }),
        });
      }
      return true;
    });
  }

  renew(items: readonly RenewItem[], nowMs: number): boolean[] {
    return items.map((item) => {
      const task = this.#moves.holding(item);
      if (task === undefined || task.untilMs <= nowMs) return false;
      task.untilMs = item.leaseUntilMs;
      this.#moves.noLeaseEndsBeforeMs = Math.min(this.#moves.noLeaseEndsBeforeMs, item.leaseUntilMs);
      return true;
    });
  }

  settle(items: readonly Settlement[], nowMs: number): SettleReply {
    const moves = this.#moves;
    const held = items.map((item): MemoryTask | SettleOutcome => {
      const task = moves.holding(item);
      if (task === undefined) return STALE;
      const refused = settleRun(moves, this.rows, task, item.outcome, nowMs);
      moves.followUp(nowMs);
      return refused ?? task;
    });
    closeFamilies(moves, nowMs);
    // A later item may have woken a task that an earlier one parked.
    const outcomes = held.map((one): SettleOutcome => ('at' in one ? one : { at: 'settled', status: one.status }));
    return { outcomes, ready: moves.takeReady(), ...moves.takeGathering() };
  }

  sweep(nowMs: number): SweepReply {
    return sweep(this.#moves, this.schedules, nowMs);
  }

  unbox(items: Parameters<Store['unbox']>[0]): void {
    for (const { kind, box } of items) this.#moves.kinds.unbox(kind, box);
  }

  /** And what the next owner's epoch must be greater than. */
  forget(command: ForgetCommand): ForgetReply & { readonly fence: number } {
    const reply = this.#moves.tasks.forget(command, (task) => this.#moves.forget(task));
    return { ...reply, fence: this.#moves.leastFence };
  }

  readState(items: readonly StateRead[]): StateReadOutcome[] {
    return items.map((item) => {
      const { place, key } = item;
      const task = this.#moves.holding(item);
      if (task === undefined) return STALE;
      const remembered = (task.remembered ??= new Map());
      let read = remembered.get(place);
      if (read === undefined) remembered.set(place, (read = rememberedRead(item, this.rows.get(key) ?? null)));
      return { at: 'read', row: readOf(read) };
    });
  }

  signal(items: readonly Signal[], nowMs: number): ReturnType<typeof signal> {
    return signal(this.#moves, items, nowMs);
  }

  askApproval(items: readonly ApprovalRequest[], nowMs: number): readonly boolean[] {
    return askApproval(this.#moves, items, nowMs);
  }

  withdrawApproval(items: readonly ApprovalWithdrawal[]): readonly boolean[] {
    return withdrawApproval(this.#moves, items);
  }

  decideApproval(items: readonly Decision[], nowMs: number): ReturnType<typeof decideApproval> {
    return decideApproval(this.#moves, items, nowMs);
  }

  approvals(query: ApprovalQuery): readonly Approval[] {
    return this.#moves.approvals.list(query);
  }

  steer(items: readonly Steering[], nowMs: number): SteerReply {
    return steer(this.#moves, items, nowMs);
  }

  pauseKinds(items: Parameters<Store['pauseKinds']>[0]): void {
    for (const { kind, paused } of items) {
      if (paused) this.#paused.add(kind);
      else this.#paused.delete(kind);
    }
  }

  pausedKinds(): readonly string[] {
    return [...this.#paused].toSorted();
  }

  story(id: string): readonly StoryEntry[] {
    const task = this.#moves.byId.get(id);
    return task === undefined ? [] : storyOf(task);
  }

  fireSchedules(items: readonly Firing[], nowMs: number): { readonly fired: readonly boolean[]; readonly ready: readonly string[] } {
    const moves = this.#moves;
    const fired = items.map((item) => {
      if (!this.schedules.fire(item)) return false;
      for (const task of item.tasks) if (!moves.byId.has(task.id) && addTask(moves, task, undefined, nowMs)) moves.isReady(task.kind);
      return true;
    });
    return { fired, ready: moves.takeReady() };
  }

  get(ids: readonly string[]): (TaskRecord | undefined)[] {
    return ids.map((id) => {
      const task = this.#moves.byId.get(id);
      return task === undefined ? undefined : toRecord(task);
    });
  }

  list({ status, kind, parkedFor, after, limit }: Parameters<Store['list']>[0]): TaskRecord[] {
    const { tasks, byId } = this.#moves;
    const found: TaskRecord[] = [];
    const last = after === undefined ? undefined : byId.get(after);
    if (after !== undefined && last === undefined) throw unknownAfter(after);
    for (const task of tasks.from(last === undefined ? 0 : last.seq + 1)) {
      if (found.length >= Math.floor(limit)) break;
      if (status !== undefined && task.status !== status) continue;
      if (kind !== undefined && task.kind.name !== kind) continue;
      if (parkedFor !== undefined && (task.status !== 'parked' || task.parkedFor !== parkedFor)) continue;
      found.push(toRecord(task));
    }
    return found;
  }

  counts(): Record<string, TaskCounts> {
    // A kind may be called __proto__: a Map's entries stay own properties this way.
    return Object.fromEntries(Array.from(this.#moves.kinds.all(), ({ name, counts }) => [name, { ...counts }]));
  }
}

/** Two lists, each in the order of its queue, into one. */
function merged(a: readonly MemoryTask[], b: readonly MemoryTask[]): MemoryTask[] {
  const both: MemoryTask[] = [];
  let left = 0;
  let right = 0;
  while (left < a.length && right < b.length) both.push(goesAhead(b[right]!, a[left]!) ? b[right++]! : a[left++]!);
  return both.concat(a.slice(left), b.slice(right));
}
