/**
 * MemoryMoves: where tasks are, and how they get from one place to the next. The commands are in the
 * rooms beside it.
 *
 * Every place where a task can be has a structure of its own, so that no command scans: the ready
 * queue of its kind while queued, the list of held ones while under lease, the heap of due ones
 * while it waits for a time, `waits` while it waits for children, the line of its order key, the
 * lock table, and the heap of deadlines.
 */
import { LockTable } from '../../actors/conflicts/lock-table.ts';
import { ChurnMap } from '../../actors/kernel/churn-map.ts';
import { AGING_MS, isTerminal, MOST_PASSED } from '../../actors/ports/store.ts';
import type { NewTask, StoryEntry, TaskStatus } from '../../actors/ports/store.ts';
import { DueHeap } from './due-heap.ts';
import { IndexedHeap } from './indexed-heap.ts';
import { MemoryApprovals } from './memory-approvals.ts';
import { MemoryArrivals } from './memory-arrivals.ts';
import { MemoryKinds } from './memory-kinds.ts';
import { OrderLines } from './memory-order.ts';
import type { OrderLine } from './memory-order.ts';
import { tellRun } from './memory-story.ts';
import { hasCompensations, isHeld, moreOf } from './memory-task.ts';
import type { MemoryTask, Undo } from './memory-task.ts';
import { MemoryWaits } from './memory-waits.ts';
import type { Arrival } from './memory-waits.ts';
import type { CancelOrder } from './parent-end.ts';
import { CLOCK_STEP_MS, nextFence, rankOf } from './task-status.ts';

type RunOutcome = Extract<StoryEntry, { at: 'run' }>['outcome'];

const NOTHING: readonly never[] = [];

export class MemoryMoves {
  readonly tasks = new MemoryArrivals();
  readonly byId = new Map<string, MemoryTask>();
  readonly kinds = new MemoryKinds();
  /** Leased and running ones. As many as the fleet has in hand: a sweep may look at each, and finding one is quicker than among all. */
  readonly held = new ChurnMap<string, MemoryTask>();
  readonly due = new DueHeap();
  /** Unfinished ones that are to end by a time, but for those under lease and those that are being undone. */
  readonly deadlines = new IndexedHeap<MemoryTask>((a, b) => a.more!.deadlineMs! < b.more!.deadlineMs!);
  readonly waits = new MemoryWaits();
  readonly lines = new OrderLines();
  readonly locks: LockTable;
  readonly approvals = new MemoryApprovals();
  /** By root: its unfinished descendants. */
  readonly families = new Map<string, number>();
  /** Held ones that have inherited a priority since the last sweep. */
  readonly raised = new Set<MemoryTask>();
  /** Those that the command under way has parked for their turn, and that may stand in line for locks. */
  readonly #outOfTurn: MemoryTask[] = [];
  #latestMs = 0;
  agingMs = AGING_MS;
  maxFamily = Infinity;
  /** No claim gets a smaller fence: the epoch of the owner, and more once larger ones have been forgotten. */
  leastFence = 0;
  unfinished = 0;
  /** No lease ends before this: a sweep before it need not look. */
  noLeaseEndsBeforeMs = Infinity;
  /** Those that end by the command under way: whom they have asked is still to be cancelled. */
  readonly fallen: { readonly task: MemoryTask; readonly order: CancelOrder; readonly sends: readonly NewTask[] }[] = [];
  /** Those that have ended with who had asked for them, other than by a cancel that has said so: for the next sweep to tell. */
  readonly endedBeside: string[] = [];
  /** Those that got something of what they wait for by the command under way, and wait for more. */
  readonly #gathering = new Set<MemoryTask>();
  /** Kinds that have got something to claim by the command under way. */
  #ready = new Set<string>();
  /** Lines in which somebody else may go by now. */
  readonly #moved = new Set<OrderLine>();

  /** `nextToken` gives the tokens of locks. */
  constructor(nextToken: () => number) {
    this.locks = new LockTable({ mostPassed: MOST_PASSED, nextToken });
  }

  /** The task, if this run holds its lease. */
  holding({ id, fence }: { readonly id: string; readonly fence: number }): MemoryTask | undefined {
    const task = this.held.get(id);
    return task !== undefined && task.fence === fence ? task : undefined;
  }

  /** It has left the ready queue: somebody has claimed it. */
  lease(task: MemoryTask, untilMs: number, nowMs: number): void {
    task.fence = nextFence(task.fence, this.leastFence);
    task.untilMs = untilMs;
    task.claimedAtMs = nowMs;
    task.startedAtMs = null;
    task.worker = null;
    this.move(task, 'leased');
    this.held.set(task.id, task);
    if (untilMs < this.noLeaseEndsBeforeMs) this.noLeaseEndsBeforeMs = untilMs;
    const { more } = task;
    if (more === undefined) return;
    more.box = undefined;
    if (more.deadlineMs !== null) this.deadlines.remove(task);
    if (more.line === undefined) return;
    more.line.queued = undefined;
    more.line.held = task;
  }

  /** To be claimed, unless it is to wait for its time or its turn. */
  enqueue(task: MemoryTask, nowMs: number): void {
    if (this.place(task, nowMs)) this.#ready.add(task.kind.name);
  }

  /** The same, without a hint. Whether it can be claimed. */
  place(task: MemoryTask, nowMs: number): boolean {
    const { more } = task;
    if (more !== undefined) {
      // For one that has begun, or waits for its turn, its time had come, whatever a clock says that is behind.
      if (task.fence === 0 && task.parkedFor !== 'order' && more.notBeforeMs > nowMs) {
        this.park(task, 'time', more.notBeforeMs);
        return false;
      }
      if (more.line !== undefined && !this.#takesTurn(task, more.line)) return false;
    }
    this.move(task, 'queued');
    task.untilMs = Infinity;
    task.parkedFor = null;
    if (more?.line !== undefined) more.line.queued = task;
    this.kinds.queueOf(task).push(task);
    return true;
  }

  /** It waits, until then or until somebody wakes it. */
  park(task: MemoryTask, reason: string, untilMs: number | null): void {
    task.parkedFor = reason;
    this.#waitUntil(task, 'parked', untilMs);
    const { more } = task;
    if (more === undefined) return;
    more.box = undefined;
    const { line } = more;
    if (line === undefined) return;
    line.place(task);
    if (line.first === task) this.#sendBack(line);
    this.#moved.add(line);
  }

  retryAt(task: MemoryTask, atMs: number): void {
    this.#waitUntil(task, 'retrying', atMs);
  }

  /** It waits for an operator. `retryAtMs`: when it would have been tried again. */
  pause(task: MemoryTask, retryAtMs?: number): void {
    moreOf(task).retryAtMs = retryAtMs;
    this.park(task, 'operator', null);
  }

  /** An operator lets it go on: a retry when its time comes, all others ahead of new work. */
  unpause(task: MemoryTask, nowMs: number): void {
    const { retryAtMs } = moreOf(task);
    moreOf(task).retryAtMs = undefined;
    if (retryAtMs !== undefined && retryAtMs > nowMs) {
      task.parkedFor = null;
      return this.retryAt(task, retryAtMs);
    }
    if (retryAtMs !== undefined) this.waitsSince(task, retryAtMs);
    this.wake(task, nowMs);
  }

  /** It is not queued, and its waiting counts from then on. */
  waitsSince(task: MemoryTask, sinceMs: number): void {
    task.sinceMs = sinceMs;
    task.rank = rankOf(sinceMs, task.priority, this.agingMs);
  }

  /** How far the clock has been: called now and then. */
  passed(nowMs: number): void {
    if (nowMs >= this.#latestMs + CLOCK_STEP_MS) this.#latestMs = nowMs;
  }

  /** What was tried, or came, by a clock that was ahead waits no longer for that, nor behind all who come now. */
  open(nowMs: number): void {
    const wasAhead = this.#latestMs > nowMs;
    this.#latestMs = nowMs;
    if (!wasAhead) return;
    for (const task of this.tasks) {
      if (isTerminal(task.status)) continue;
      if (task.status === 'retrying' && task.claimedAtMs > nowMs && task.untilMs > nowMs) {
        this.due.remove(task);
        task.untilMs -= task.claimedAtMs - nowMs;
        this.due.add(task);
      }
      if (task.sinceMs <= nowMs) continue;
      if (task.status === 'queued') this.kinds.queueOf(task).remove(task);
      this.waitsSince(task, nowMs);
      if (task.status === 'queued') this.kinds.queueOf(task).push(task);
    }
  }

  /** A level of priority is worth so much from now on, also to those who are here. */
  age(agingMs: number): void {
    if (agingMs === this.agingMs) return;
    this.agingMs = agingMs;
    for (const task of this.tasks) {
      if (task.status === 'queued') this.kinds.queueOf(task).remove(task);
      task.rank = rankOf(task.sinceMs, task.priority, agingMs);
      if (task.status === 'queued') this.kinds.queueOf(task).push(task);
    }
  }

  /** What it waited for is there. */
  wake(task: MemoryTask, nowMs: number): void {
    this.unplace(task);
    task.resumed = true;
    this.enqueue(task, nowMs);
  }

  /** Something has come of what it waits for. */
  arrived(task: MemoryTask, arrival: Arrival, nowMs: number): void {
    if (arrival.at === 'nothing') return;
    if (arrival.at === 'woken') return this.wake(task, nowMs);
    if (arrival.untilMs < task.untilMs) {
      if (task.slot >= 0) this.due.remove(task);
      task.untilMs = arrival.untilMs;
      this.due.add(task);
    }
    this.#gathering.add(task);
  }

  /** Takes one that is not held out of where it is. */
  unplace(task: MemoryTask): void {
    const { more } = task;
    if (task.status === 'queued') {
      this.kinds.queueOf(task).remove(task);
      if (more?.line !== undefined) more.line.queued = undefined;
    } else if (task.slot >= 0) this.due.remove(task);
    if (more?.wait !== undefined) this.waits.end(task);
  }

  /**
   * The run lets go of the lease, and so of its locks, unless it `keepsLocks`. `comesBack`: the task is queued
   * again as it was, or to be undone, so one that was woken for its locks keeps its place in their line.
   */
  letGo(
    task: MemoryTask,
    outcome: RunOutcome,
    detail: string | null,
    nowMs: number,
    { comesBack = false, keepsLocks = false }: { readonly comesBack?: boolean; readonly keepsLocks?: boolean } = {},
  ): void {
    this.held.delete(task.id);
    if (outcome !== 'completed') tellRun(task, outcome, detail, nowMs);
    const { more } = task;
    if (more === undefined) return;
    if (more.deadlineMs !== null && more.undo === undefined) this.deadlines.add(task);
    if (more.line !== undefined) {
      more.line.held = undefined;
      this.#moved.add(more.line);
    }
    if (more.locks.length === 0) return;
    if (more.lockToken === 0) {
      if (!comesBack) this.wakeBlocked(this.locks.forget(task.seq, nowMs), nowMs);
    } else if (!keepsLocks) this.releaseLocks(task, nowMs);
  }

  /** It holds nothing any more. */
  releaseLocks(task: MemoryTask, nowMs: number): void {
    if (task.more === undefined || task.more.lockToken === 0) return;
    task.more.lockToken = 0;
    this.wakeBlocked(this.locks.release(task.seq, nowMs), nowMs);
  }

  /** Those who were told by the lock table to try again. */
  wakeBlocked(seqs: readonly number[], nowMs: number): void {
    for (const seq of seqs) {
      const task = this.tasks.of(seq);
      if (task.status === 'parked' && task.parkedFor === 'locks') this.wake(task, nowMs);
    }
  }

  /** Ends one that is not held any more, or undoes it first where there is something to undo. */
  endBadly(task: MemoryTask, status: Undo['status'], error: string | null, nowMs: number): void {
    const { undo } = task.more ?? {};
    // What could not be undone is kept, for a `requeue`.
    if (undo !== undefined) return this.end(task, 'dead', null, error, nowMs);
    if (!hasCompensations(task)) return this.end(task, status, null, error, nowMs);
    // It wants the same locks to be undone, so where it waits for them it keeps its place.
    if (!isHeld(task)) this.unplace(task);
    const more = moreOf(task);
    const isPaused = more.noted?.action === 'pause' || (task.parkedFor === 'operator' && status !== 'cancelled');
    more.undo = { status, error };
    more.noted = undefined;
    more.box = undefined;
    if (more.deadlineMs !== null) this.deadlines.remove(task);
    task.attempt = 0;
    task.losses = 0;
    task.resumed = true;
    task.error = error;
    if (isPaused) this.pause(task);
    else this.enqueue(task, nowMs);
  }

  /** Ends one that is not held any more. What it remembers is kept for a `requeue` unless it has done all it was to do, or undone it. */
  end(task: MemoryTask, status: TaskStatus, result: string | null, error: string | null, nowMs: number, undone = false): void {
    const { more } = task;
    if (!isHeld(task)) this.unplace(task);
    this.#leaveLine(task, nowMs);
    this.releaseLocks(task, nowMs);
    this.move(task, status);
    this.count(task, -1);
    task.parkedFor = null;
    task.result = result;
    task.error = error;
    task.finishedAtMs = nowMs;
    if (more !== undefined) {
      more.noted = undefined;
      more.box = undefined;
      if (more.deadlineMs !== null) this.deadlines.remove(task);
      if (more.line !== undefined) {
        more.line.leave(task);
        this.#moved.add(more.line);
      }
      if (more.told !== undefined) this.approvals.close(more.told);
    }
    if (undone || status === 'completed') {
      task.remembered = undefined;
      if (more?.told?.forget() === true) more.told = undefined;
    }
    if (this.waits.size > 0) {
      for (const [parent, arrival] of this.waits.childEnded(task.id, nowMs)) this.arrived(parent, arrival, nowMs);
    }
  }

  /** One that is not held leaves whatever it stands in but the line of its order key. */
  forsake(task: MemoryTask, nowMs: number): void {
    if (isHeld(task)) return;
    this.unplace(task);
    this.#leaveLine(task, nowMs);
  }

  #leaveLine(task: MemoryTask, nowMs: number): void {
    if (task.more !== undefined && task.more.locks.length > 0) this.wakeBlocked(this.locks.forget(task.seq, nowMs), nowMs);
  }

  /** Somebody more urgent waits for it, so it is as urgent, and so is what it waits for. */
  raise(task: MemoryTask, priority: number): void {
    if (task.priority >= priority || isTerminal(task.status)) return;
    if (task.status === 'queued') this.kinds.queueOf(task).remove(task);
    this.#inherit(task, priority);
    if (task.status === 'queued') return this.kinds.queueOf(task).push(task);
    if (isHeld(task)) this.raised.add(task);
    if (task.status !== 'parked') return;
    if (task.parkedFor === 'locks') this.raiseHolders(task);
    else if (task.parkedFor === 'order') this.#raiseThoseAhead(task);
    else for (const child of task.children ?? NOTHING) this.raise(child, priority);
  }

  /** Whoever has what it wants is as urgent as it is. */
  raiseHolders(task: MemoryTask): void {
    for (const seq of this.locks.holdersAgainst(task.more!.locks)) this.raise(this.tasks.of(seq), task.priority);
  }

  /** Counts a task in, or out. */
  count(task: MemoryTask, by: 1 | -1): void {
    this.unfinished += by;
    task.kind.unfinished += by;
    if (task.tenant !== null) addTo(task.kind.ofTenants, task.tenant, by);
    if (task.rootId !== null) addTo(this.families, task.rootId, by);
  }

  /** It is not there any more, nor is what it left. Who comes under its id is not mistaken for it: his fences are greater. */
  forget(task: MemoryTask): void {
    this.byId.delete(task.id);
    task.kind.counts[task.status] -= 1;
    this.leastFence = Math.max(this.leastFence, task.fence + 1);
  }

  move(task: MemoryTask, status: TaskStatus): void {
    const { counts } = task.kind;
    counts[task.status] -= 1;
    counts[status] += 1;
    task.status = status;
  }

  /** After each item of a command: whose turn it is by now is queued, and who has to wait for his keeps nobody from a lock. */
  followUp(nowMs: number): void {
    for (;;) {
      for (const line of this.#moved) {
        this.#moved.delete(line);
        const { first } = line;
        if (line.size === 0) this.lines.drop(line);
        else if (line.held === undefined && first?.status === 'parked' && first.parkedFor === 'order') this.enqueue(first, nowMs);
      }
      const task = this.#outOfTurn.pop();
      if (task === undefined) return;
      if (task.parkedFor !== 'order') continue;
      this.wakeBlocked(this.locks.forget(task.seq, nowMs), nowMs);
      this.releaseLocks(task, nowMs);
    }
  }

  /** When the next of those comes due that gather by the command under way. */
  takeGathering(): { readonly nextAtMs?: number } {
    if (this.#gathering.size === 0) return {};
    // Other commands let some begin, which may wait for something else by now.
    const stillWait = ({ more, untilMs }: MemoryTask): boolean => more?.wait !== undefined && untilMs < Infinity;
    const untilMs = [...this.#gathering].filter(stillWait).map((task) => task.untilMs);
    this.#gathering.clear();
    return untilMs.length === 0 ? {} : { nextAtMs: Math.min(...untilMs) };
  }

  /** The kind has got something to claim. */
  isReady(kind: string): void {
    this.#ready.add(kind);
  }

  takeReady(): readonly string[] {
    if (this.#ready.size === 0) return NOTHING;
    const ready = [...this.#ready];
    this.#ready = new Set();
    return ready;
  }

  /** Whether it may go now; otherwise it is parked until it may. */
  #takesTurn(task: MemoryTask, line: OrderLine): boolean {
    line.place(task);
    if (!line.mayGo(task)) {
      line.press(task);
      this.#parkForTurn(task);
      this.#raiseThoseAhead(task);
      return false;
    }
    this.#sendBack(line);
    const priority = line.pressureOn(task.seq);
    if (priority > task.priority) this.#inherit(task, priority);
    return true;
  }

  /** The one that was to go next, when an older one goes first. */
  #sendBack(line: OrderLine): void {
    const { queued } = line;
    if (queued === undefined || queued === line.first) return;
    this.unplace(queued);
    line.press(queued);
    this.#parkForTurn(queued);
  }

  #parkForTurn(task: MemoryTask): void {
    this.park(task, 'order', null);
    if (task.more!.locks.length > 0) this.#outOfTurn.push(task);
  }

  #raiseThoseAhead(task: MemoryTask): void {
    const { held, first } = task.more!.line!;
    if (held !== undefined && held !== task) this.raise(held, task.priority);
    if (first !== undefined && first !== task) this.raise(first, task.priority);
  }

  #inherit(task: MemoryTask, priority: number): void {
    task.priority = priority;
    task.rank = rankOf(task.sinceMs, priority, this.agingMs);
  }

  #waitUntil(task: MemoryTask, status: 'retrying' | 'parked', untilMs: number | null): void {
    this.move(task, status);
    task.untilMs = untilMs ?? Infinity;
    if (untilMs !== null) this.due.add(task);
  }
}

function addTo(counts: Map<string, number>, key: string, by: 1 | -1): void {
  const n = (counts.get(key) ?? 0) + by;
  if (n === 0) counts.delete(key);
  else counts.set(key, n);
}
