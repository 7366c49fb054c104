/**
 * Endings: what becomes of tasks whose runs let go of their lease, within one command.
 *
 * 1. The command says of each what happened; the run stops holding its lease at once, so that a
 *    second word about it is stale. Only what must come in order is written here.
 * 2. `write` ends all that have ended.
 * 3. Then it wakes those who waited for them. Tasks that park in this very command are not among
 *    them yet.
 * 4. Last it parks: a child that has ended is found whether it ended years ago or in step 2, so no
 *    wake-up can fall between.
 */
import type { SettledOutcome, TaskStatus } from '../../actors/ports/store.ts';
import type { HeldTask, HeldTasks } from './sqlite-held.ts';
import type { Cell, Statements } from './sqlite-statements.ts';
import type { Tally } from './sqlite-tally.ts';
import { FIRST_TERMINAL, STATUS } from './task-status.ts';

type ParkedOutcome = Extract<SettledOutcome, { at: 'parked' }>;

interface Parking {
  readonly task: HeldTask;
  readonly outcome: ParkedOutcome;
  readonly done: (status: TaskStatus) => void;
}

/** Of one command: tell it of each task, then `write`. */
export class Endings {
  /** Kinds that have got something to claim. */
  readonly ready = new Set<string>();
  readonly #sql: Statements;
  readonly #tally: Tally;
  readonly #held: HeldTasks;
  readonly #nowMs: number;
  readonly #completedRows: Cell[] = [];
  readonly #endedRows: Cell[] = [];
  readonly #endedIds: string[] = [];
  readonly #parkings: Parking[] = [];

  constructor(sql: Statements, tally: Tally, held: HeldTasks, nowMs: number) {
    this.#sql = sql;
    this.#tally = tally;
    this.#held = held;
    this.#nowMs = nowMs;
  }

  complete(task: HeldTask, result: string | null): void {
    this.#completedRows.push(task.seq, result);
    this.#ended(task, STATUS.completed);
  }

  /** `losses` as they are then; a run that is lost adds one. */
  end(task: HeldTask, status: 'failed' | 'dead', error: string, losses = task.losses): void {
    this.#endedRows.push(task.seq, STATUS[status], losses, error);
    this.#ended(task, STATUS[status]);
  }

  retry(task: HeldTask, error: string, readyAtMs: number): void {
    this.#putBack(task, STATUS.retrying, { resumed: 0, error, atMs: readyAtMs });
  }

  /** The lease goes back unused, and the attempt too. */
  release(task: HeldTask): void {
    this.#putBack(task, STATUS.queued, { attempt: attemptGivenBack(task) });
  }

  /** The holder is gone: a run that had started is lost, a lease that was not used goes back as it was. */
  giveBack(task: HeldTask, error: string): 'queued' | 'dead' {
    if (task.status === STATUS.leased) {
      this.#putBack(task, STATUS.queued, {});
      return 'queued';
    }
    const losses = task.losses + 1;
    if (losses < task.maxLosses) {
      this.#putBack(task, STATUS.queued, { resumed: 1, losses, error });
      return 'queued';
    }
    this.end(task, 'dead', error, losses);
    return 'dead';
  }

  /** The worker died under the run; even when it had not begun, it goes ahead of new work now. */
  lose(task: HeldTask, error: string): 'queued' | 'dead' {
    if (task.status === STATUS.running) return this.giveBack(task, error);
    this.#putBack(task, STATUS.queued, { resumed: 1 });
    return 'queued';
  }

  /** `done` hears from `write` whether the task waits, or is queued because what it waits for is there. */
  park(task: HeldTask, outcome: ParkedOutcome, done: (status: TaskStatus) => void): void {
    this.#held.remove(task);
    this.#parkings.push({ task, outcome, done });
  }

  /** Writes what is left, in the order that the head of this file tells. */
  write(): void {
    if (this.#endedIds.length > 0) {
      this.#sql.complete.run(this.#completedRows, this.#nowMs);
      this.#sql.end.run(this.#endedRows, this.#nowMs);
      if ((this.#sql.anyWait.get() as unknown as [number])[0] === 1) this.#endedIds.forEach((id) => this.#wakeThoseWhoWaitFor(id));
    }
    for (const { task, outcome, done } of this.#parkings) done(this.#park(task, outcome));
  }

  #ended(task: HeldTask, status: number): void {
    this.#held.remove(task);
    this.#tally.moved(task.kind, task.status, status);
    this.#endedIds.push(task.id);
  }

  #wakeThoseWhoWaitFor(childId: string): void {
    for (const [parent, fence] of this.#sql.takeWaits.all(childId) as unknown as [number, number][]) {
      // None, when it was woken by another child or by time, and may even wait for other things by now.
      const woken = this.#sql.wake.get(this.#nowMs, parent, fence) as unknown as [kind: string] | undefined;
      if (woken === undefined) continue;
      this.#tally.moved(woken[0], STATUS.parked, STATUS.queued);
      this.ready.add(woken[0]);
    }
  }

  #park(task: HeldTask, { reason, children, wakeAtMs }: ParkedOutcome): TaskStatus {
    const attempt = attemptGivenBack(task);
    if ((wakeAtMs !== null && wakeAtMs <= this.#nowMs) || children.some((id) => this.#hasEnded(id))) {
      this.#putBack(task, STATUS.queued, { attempt, resumed: 1 });
      return 'queued';
    }
    for (const child of children) this.#sql.addWait.run(child, task.seq, task.fence);
    this.#putBack(task, STATUS.parked, { attempt, atMs: wakeAtMs, parkedFor: reason });
    return 'parked';
  }

  #hasEnded(id: string): boolean {
    const row = this.#sql.seqOf.get(id) as unknown as [seq: number, status: number] | undefined;
    return row !== undefined && row[1] >= FIRST_TERMINAL;
  }

  #putBack(
    task: HeldTask,
    status: typeof STATUS.queued | typeof STATUS.retrying | typeof STATUS.parked,
    {
      resumed = task.resumed,
      attempt = task.attempt,
      losses = task.losses,
      error = null,
      atMs = this.#nowMs,
      parkedFor = null,
    }: {
      resumed?: number;
      attempt?: number;
      losses?: number;
      error?: string | null;
      atMs?: number | null;
      parkedFor?: string | null;
    },
  ): void {
    this.#held.remove(task);
    this.#sql.putBack.run(status, resumed, attempt, losses, error, atMs, parkedFor, task.seq);
    this.#tally.moved(task.kind, task.status, status);
    if (status === STATUS.queued) this.ready.add(task.kind);
  }
}

function attemptGivenBack(task: HeldTask): number {
  return task.status === STATUS.running ? task.attempt - 1 : task.attempt;
}
