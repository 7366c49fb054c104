/** SqliteSteering: what operators do to tasks. Whoever is under lease is noted, and hears of it when he lets go. */
import type { Held, Steering, SteerOutcome, SteerReply } from '../../actors/ports/store.ts';
import type { Endings } from './sqlite-endings.ts';
import type { HeldTask } from './sqlite-held.ts';
import type { Known } from './sqlite-known.ts';
import { isCancelNoted, isKept, NOTED, toFree } from './sqlite-rows.ts';
import type { FreeRow, FreeTask } from './sqlite-rows.ts';
import { hasCompensations } from './sqlite-undo.ts';
import { FIRST_TERMINAL, STATUS, statusOf } from './task-status.ts';

type UndoingRefusal = Extract<SteerOutcome, { why: 'undoing' }>;
type Refusal = Exclude<Extract<SteerOutcome, { at: 'refused' }>['why'], 'undoing' | 'deadline'>;

/** What it comes to; `done`: the status is told when the command is over. */
type Steered = { readonly at: 'done' } | Exclude<SteerOutcome, { at: 'done' }>;

const DONE: Steered = { at: 'done' };

/** Of one command. */
export class SqliteSteering {
  readonly #known: Known;
  readonly #nowMs: number;
  readonly #endings: Endings;
  readonly #ended: string[] = [];
  readonly #held: Held[] = [];

  constructor(known: Known, nowMs: number, endings: Endings) {
    this.#known = known;
    this.#nowMs = nowMs;
    this.#endings = endings;
  }

  steer(items: readonly Steering[]): SteerReply {
    const steered = items.map((item) => {
      const [seq] = (this.#known.sql.seqOf.get(item.id) ?? []) as unknown as [number | undefined];
      if (seq === undefined) return { seq: 0, outcome: { at: 'unknown' } as const };
      const outcome = this.#steer(seq, item);
      if (outcome.at === 'done' || outcome.at === 'noted') {
        const { action, by, reason } = item;
        this.#known.story.append(seq, { at: 'steered', atMs: this.#nowMs, action, by, reason });
      }
      // The next may be about one that waited for this one.
      this.#endings.writeEnded();
      return { seq, outcome };
    });
    this.#endings.write();
    const outcomes = steered.map(({ seq, outcome }): SteerOutcome => {
      if (outcome.at !== 'done') return outcome;
      const [status] = this.#known.sql.statusOf.get(seq) as unknown as [number];
      return { at: 'done', status: statusOf(status) };
    });
    return { outcomes, ready: [...this.#endings.moves.ready], ended: this.#ended, held: this.#held };
  }

  #steer(seq: number, item: Steering): Steered {
    const { action } = item;
    const run = this.#known.held.of(seq);
    if (run !== undefined) return this.#steerRun(run, action);
    const task = toFree(this.#known.sql.free.get(seq) as unknown as FreeRow);
    if (action === 'requeue') return this.#requeue(task, item);
    if (task.status >= FIRST_TERMINAL && !(action === 'cancel' && isKept(task))) return refused('ended', task);
    switch (action) {
      case 'cancel':
        return this.#cancel(task, item);
      case 'pause':
        if (!isPaused(task)) this.#endings.moves.pause(task);
        return DONE;
      case 'unpause':
        if (!isPaused(task)) return refused('not-paused', task);
        this.#endings.moves.unpause(task);
        return DONE;
    }
  }

  #steerRun(run: HeldTask, action: Steering['action']): Steered {
    switch (action) {
      case 'requeue':
        return refused('not-ended', run);
      case 'unpause':
        if (run.noted !== NOTED.pause) return refused('not-paused', run);
        this.#endings.note(run, null);
        return DONE;
      case 'cancel':
        return run.undo === null ? this.#note(run, NOTED.cancel) : undoing(run.undo, run);
      case 'pause':
        return isCancelNoted(run.noted) ? refused('cancelling', run) : this.#note(run, NOTED.pause);
    }
  }

  #note(run: HeldTask, what: number): Steered {
    this.#endings.note(run, what);
    this.#held.push({ id: run.id, fence: run.fence });
    return { at: 'noted', fence: run.fence };
  }

  #cancel(task: FreeTask, item: Steering): Steered {
    if (task.undo !== null) return undoing(task.undo, task);
    if (isKept(task)) this.#reopen(task);
    const { ended, held } = this.#endings.cancel(task, item);
    this.#ended.push(...ended);
    this.#held.push(...held);
    return DONE;
  }

  #requeue(task: FreeTask, item: Steering): Steered {
    if (task.status < FIRST_TERMINAL) return refused('not-ended', task);
    if (task.status === STATUS.completed) return refused('ended', task);
    if (task.undo !== null && !hasCompensations(this.#known, task.seq)) return refused('undone', task);
    const { deadlineMs = Infinity } = task.options ?? {};
    if (task.undo === null && deadlineMs <= this.#nowMs)
      return { at: 'refused', why: 'deadline', status: statusOf(task.status), deadlineMs };
    this.#putBack(task, item);
    return DONE;
  }

  /** It was kept as it stood, and has not ended any more. */
  #reopen({ seq, kind, orderKey, options }: FreeTask): void {
    const { sql } = this.#known;
    sql.openApprovals.run(seq);
    sql.reopen.run(orderKey, seq);
    if (orderKey !== null) this.#known.notAlone(orderKey);
    if (options !== null) this.#known.count(kind, options, 1);
  }

  /** With those that were cancelled since it ended, which it finds where they were, and those that failed, which it would fail for again. */
  #putBack(task: FreeTask, item: Steering): void {
    const { sql, agingMs, story } = this.#known;
    const isUndone = task.undo !== null;
    sql.openApprovals.run(task.seq);
    sql.requeue.run(task.orderKey, this.#nowMs, agingMs, task.seq);
    if (task.orderKey !== null) this.#known.notAlone(task.orderKey);
    if (task.options !== null) this.#known.count(task.kind, task.options, 1);
    this.#endings.moves.queue(task, isUndone ? 1 : 0);
    // What has been undone cannot be put back.
    if (isUndone) return;
    const { action, by, reason } = item;
    for (const [seq] of sql.putBackWith.all(task.id, task.seq) as unknown as [number][]) {
      const child = toFree(sql.free.get(seq) as unknown as FreeRow);
      if (child.undo !== null) continue;
      story.append(seq, { at: 'steered', atMs: this.#nowMs, action, by, reason });
      this.#putBack(child, item);
    }
  }
}

function isPaused({ parkedFor }: FreeTask): boolean {
  return parkedFor === 'operator';
}

/** It ends as was kept for it. */
function undoing(ends: number, { status }: { readonly status: number }): Steered {
  return { at: 'refused', why: 'undoing', status: statusOf(status), ends: statusOf(ends) as UndoingRefusal['ends'] };
}

function refused(why: Refusal, { status }: { readonly status: number }): Steered {
  return { at: 'refused', why, status: statusOf(status) };
}
