/**
 * MemoryTasks: the commands of the store over plain objects, synchronous and in order, one item of
 * a batch after the other. What a command answers is how things stand after all of it. Nothing
 * throws after the first change: what could is checked before.
 *
 * Every place where a task can be has a structure of its own, so that no command scans: the ready
 * queue of its kind while queued, the list of held ones while under lease, the heap of due ones
 * while it waits for a time, and `waits` while it waits for children.
 */
import { ChurnMap } from '../../actors/kernel/churn-map.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import type {
  ClaimCommand,
  ClaimedTask,
  Held,
  NewTask,
  Remembered,
  RememberItem,
  RenewItem,
  SettledOutcome,
  SettleOutcome,
  SettleReply,
  Settlement,
  StartOutcome,
  SubmitOutcome,
  SweepReply,
  TaskCounts,
  TaskRecord,
  TaskStatus,
} from '../../actors/ports/store.ts';
import { unknownAfter } from './checks.ts';
import { DueHeap } from './due-heap.ts';
import { bestFirst, toClaimed, toRecord, toStarted } from './memory-task.ts';
import type { MemoryKind, MemoryTask } from './memory-task.ts';
import { ReadyQueue } from './ready-queue.ts';
import { LEASE_EXPIRED_ERROR, noCounts, OWNER_GONE_ERROR } from './task-status.ts';

const ACCEPTED: SubmitOutcome = { at: 'accepted' };
const STALE = { at: 'stale' } as const;
const NOTHING: readonly never[] = [];

/** All the tasks of one memory store. */
export class MemoryTasks {
  /** In order of arrival: `seq` is the index. */
  readonly #tasks: MemoryTask[] = [];
  readonly #byId = new Map<string, MemoryTask>();
  readonly #kinds = new Map<string, MemoryKind>();
  /** Leased and running ones. As many as the fleet has in hand: a sweep may look at each, and finding one is quicker than among all. */
  readonly #held = new ChurnMap<string, MemoryTask>();
  readonly #due = new DueHeap();
  /** By the id of a child: who is to be queued when it ends, while parked under that fence. */
  readonly #waits = new Map<string, Map<MemoryTask, number>>();
  #unfinished = 0;
  /** No lease ends before this: a sweep before it need not look. */
  #noLeaseEndsBeforeMs = Infinity;
  /** Kinds that have got something to claim by the command under way. */
  #ready = new Set<string>();

  submit(tasks: readonly NewTask[], maxUnfinished: number, nowMs: number): SubmitOutcome[] {
    return tasks.map((task) => this.#add(task, maxUnfinished, nowMs));
  }

  claim({ wants, leaseUntilMs }: ClaimCommand): ClaimedTask[] {
    const claimed: MemoryTask[] = [];
    for (const { kind, limit } of wants) {
      const queue = this.#kinds.get(kind)?.ready;
      if (queue === undefined) continue;
      for (let left = Math.floor(limit); left > 0; left -= 1) {
        const task = queue.pop();
        if (task === undefined) break;
        task.fence += 1;
        task.untilMs = leaseUntilMs;
        this.#move(task, 'leased');
        this.#held.set(task.id, task);
        claimed.push(task);
      }
    }
    if (claimed.length > 0 && leaseUntilMs < this.#noLeaseEndsBeforeMs) this.#noLeaseEndsBeforeMs = leaseUntilMs;
    if (wants.length > 1) claimed.sort(bestFirst);
    return claimed.map((task) => toClaimed(task));
  }

  start(items: readonly Held[]): StartOutcome[] {
    const held = items.map((item) => {
      const task = this.#holding(item);
      // Sent again, a start finds the run started and does not count it twice.
      if (task?.status === 'leased') {
        this.#move(task, 'running');
        task.attempt += 1;
      }
      return task;
    });
    // A child may be started by a later item than its parent: it is told how it stands after all of them.
    return held.map((task) => (task === undefined ? STALE : toStarted(task)));
  }

  remember(items: readonly RememberItem[]): boolean[] {
    return items.map((item) => {
      const task = this.#holding(item);
      if (task === undefined) return false;
      const remembered = (task.remembered ??= new Map<string, Remembered>());
      const { place, hash, value } = item;
      if (!remembered.has(place)) remembered.set(place, { place, hash, value });
      return true;
    });
  }

  renew(items: readonly RenewItem[], nowMs: number): boolean[] {
    return items.map((item) => {
      const task = this.#holding(item);
      if (task === undefined || task.untilMs <= nowMs) return false;
      task.untilMs = item.leaseUntilMs;
      this.#noLeaseEndsBeforeMs = Math.min(this.#noLeaseEndsBeforeMs, item.leaseUntilMs);
      return true;
    });
  }

  settle(items: readonly Settlement[], nowMs: number): SettleReply {
    const held = items.map((item) => {
      const task = this.#holding(item);
      if (task !== undefined) this.#settle(task, item.outcome, nowMs);
      return task;
    });
    // A later item may have woken a task that an earlier one parked.
    const outcomes = held.map((task): SettleOutcome => (task === undefined ? STALE : { at: 'settled', status: task.status }));
    return { outcomes, ready: this.#takeReady() };
  }

  sweep(nowMs: number): SweepReply {
    const expired: (Held & { readonly status: TaskStatus })[] = [];
    if (nowMs >= this.#noLeaseEndsBeforeMs) {
      for (const task of [...this.#held.values()].filter(({ untilMs }) => untilMs <= nowMs)) {
        this.#giveBack(task, LEASE_EXPIRED_ERROR, nowMs);
        expired.push({ id: task.id, fence: task.fence, status: task.status });
      }
      this.#noLeaseEndsBeforeMs = Infinity;
      for (const { untilMs } of this.#held.values()) this.#noLeaseEndsBeforeMs = Math.min(this.#noLeaseEndsBeforeMs, untilMs);
    }
    for (let task = this.#due.popDue(nowMs); task !== undefined; task = this.#due.popDue(nowMs)) {
      if (task.status === 'parked') task.resumed = true;
      this.#enqueue(task);
    }
    return { ready: this.#takeReady(), expired, nextAtMs: this.#due.nextAtMs };
  }

  /** Takes back every lease: the one who held them is gone. */
  recover(nowMs: number): number {
    const orphans = [...this.#held.values()];
    for (const task of orphans) this.#giveBack(task, OWNER_GONE_ERROR, nowMs);
    this.#noLeaseEndsBeforeMs = Infinity;
    this.#takeReady();
    return orphans.length;
  }

  get(ids: readonly string[]): (TaskRecord | undefined)[] {
    return ids.map((id) => {
      const task = this.#byId.get(id);
      return task === undefined ? undefined : toRecord(task);
    });
  }

  list({ status, kind, after, limit }: { status?: TaskStatus; kind?: string; after?: string; limit: number }): TaskRecord[] {
    const found: TaskRecord[] = [];
    const last = after === undefined ? undefined : this.#byId.get(after);
    if (after !== undefined && last === undefined) throw unknownAfter(after);
    for (let at = last === undefined ? 0 : last.seq + 1; at < this.#tasks.length && found.length < Math.floor(limit); at += 1) {
      const task = this.#tasks[at]!;
      if ((status === undefined || task.status === status) && (kind === undefined || task.kind.name === kind)) found.push(toRecord(task));
    }
    return found;
  }

  counts(): Record<string, TaskCounts> {
    // A kind may be called __proto__: a Map's entries stay own properties this way.
    return Object.fromEntries([...this.#kinds.values()].map(({ name, counts }) => [name, { ...counts }]));
  }

  #add(task: NewTask, maxUnfinished: number, nowMs: number): SubmitOutcome {
    const parent = task.parent === undefined ? undefined : this.#holding(task.parent);
    if (task.parent !== undefined && parent === undefined) return STALE;
    const known = this.#byId.get(task.id);
    if (known !== undefined) return { at: 'known', task: toRecord(known) };
    if (parent === undefined && this.#unfinished >= maxUnfinished) return { at: 'full', limit: maxUnfinished };
    const added: MemoryTask = {
      seq: this.#tasks.length,
      id: task.id,
      kind: this.#kindOf(task.kind),
      version: task.version,
      input: task.input,
      // Adding zero makes -0 the 0 that a disk gives back.
      priority: task.priority + 0,
      maxAttempts: task.maxAttempts,
      maxLosses: task.maxLosses,
      depth: task.depth + 0,
      parent,
      place: task.parent === undefined ? '' : task.parent.place,
      submittedAtMs: nowMs,
      status: 'queued',
      resumed: false,
      attempt: 0,
      losses: 0,
      fence: 0,
      untilMs: Infinity,
      slot: -1,
      parkedFor: null,
      finishedAtMs: null,
      result: null,
      error: null,
      remembered: undefined,
      children: undefined,
    };
    this.#tasks.push(added);
    this.#byId.set(added.id, added);
    if (parent !== undefined) (parent.children ??= []).push(added);
    this.#unfinished += 1;
    added.kind.counts.queued += 1;
    added.kind.ready.push(added);
    return ACCEPTED;
  }

  /** The task, if this run holds its lease. */
  #holding({ id, fence }: { readonly id: string; readonly fence: number }): MemoryTask | undefined {
    const task = this.#held.get(id);
    return task !== undefined && task.fence === fence ? task : undefined;
  }

  #settle(task: MemoryTask, outcome: SettledOutcome, nowMs: number): void {
    switch (outcome.at) {
      case 'completed': {
        // Before the run ends: it may be the parent of what it sends.
        for (const send of outcome.sends) if (this.#add(send, Infinity, nowMs) === ACCEPTED) this.#ready.add(send.kind);
        return this.#end(task, 'completed', outcome.result, null, nowMs);
      }
      case 'failed':
      case 'dead':
        return this.#end(task, outcome.at, null, outcome.error, nowMs);
      case 'retry': {
        this.#held.delete(task.id);
        task.error = outcome.error;
        task.resumed = false;
        return this.#waitUntil(task, 'retrying', outcome.readyAtMs);
      }
      case 'parked':
        return this.#park(task, outcome, nowMs);
      case 'released': {
        if (task.status === 'running') task.attempt -= 1;
        this.#held.delete(task.id);
        return this.#enqueue(task);
      }
      case 'lost': {
        if (task.status === 'running') return this.#giveBack(task, outcome.error, nowMs);
        task.resumed = true;
        return this.#giveBack(task, outcome.error, nowMs);
      }
    }
  }

  #park(task: MemoryTask, { reason, children, wakeAtMs }: Extract<SettledOutcome, { at: 'parked' }>, nowMs: number): void {
    if (task.status === 'running') task.attempt -= 1;
    this.#held.delete(task.id);
    const over = (wakeAtMs !== null && wakeAtMs <= nowMs) || children.some((id) => this.#hasEnded(id));
    if (over) {
      task.resumed = true;
      return this.#enqueue(task);
    }
    task.parkedFor = reason;
    for (const id of children) {
      let waiting = this.#waits.get(id);
      if (waiting === undefined) this.#waits.set(id, (waiting = new Map<MemoryTask, number>()));
      waiting.set(task, task.fence);
    }
    this.#waitUntil(task, 'parked', wakeAtMs);
  }

  /** The holder is gone: a run that had started is lost, a lease that was not used goes back as it was. */
  #giveBack(task: MemoryTask, error: string, nowMs: number): void {
    if (task.status === 'running') {
      task.losses += 1;
      if (task.losses >= task.maxLosses) return this.#end(task, 'dead', null, error, nowMs);
      task.error = error;
      task.resumed = true;
    }
    this.#held.delete(task.id);
    this.#enqueue(task);
  }

  #end(task: MemoryTask, status: TaskStatus, result: string | null, error: string | null, nowMs: number): void {
    this.#held.delete(task.id);
    this.#move(task, status);
    this.#unfinished -= 1;
    task.result = result;
    task.error = error;
    task.finishedAtMs = nowMs;
    task.remembered = undefined;
    if (this.#waits.size > 0) this.#wakeThoseWhoWaitFor(task.id);
  }

  #wakeThoseWhoWaitFor(childId: string): void {
    const waiting = this.#waits.get(childId);
    if (waiting === undefined) return;
    this.#waits.delete(childId);
    for (const [parent, fence] of waiting) {
      // It may have been woken by another child, or by time, and even wait for other things by now.
      if (parent.status !== 'parked' || parent.fence !== fence) continue;
      if (parent.slot >= 0) this.#due.remove(parent);
      parent.resumed = true;
      this.#enqueue(parent);
    }
  }

  #hasEnded(id: string): boolean {
    const task = this.#byId.get(id);
    return task !== undefined && isTerminal(task.status);
  }

  #enqueue(task: MemoryTask): void {
    this.#move(task, 'queued');
    task.untilMs = Infinity;
    task.parkedFor = null;
    task.kind.ready.push(task);
    this.#ready.add(task.kind.name);
  }

  #waitUntil(task: MemoryTask, status: 'retrying' | 'parked', untilMs: number | null): void {
    this.#move(task, status);
    task.untilMs = untilMs ?? Infinity;
    if (untilMs !== null) this.#due.add(task);
  }

  #move(task: MemoryTask, status: TaskStatus): void {
    const { counts } = task.kind;
    counts[task.status] -= 1;
    counts[status] += 1;
    task.status = status;
  }

  #kindOf(name: string): MemoryKind {
    let kind = this.#kinds.get(name);
    if (kind === undefined) this.#kinds.set(name, (kind = { name, ready: new ReadyQueue(), counts: noCounts() }));
    return kind;
  }

  #takeReady(): readonly string[] {
    if (this.#ready.size === 0) return NOTHING;
    const ready = [...this.#ready];
    this.#ready = new Set();
    return ready;
  }
}
