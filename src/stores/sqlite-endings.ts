/**
 * Endings: what becomes of tasks whose runs let go of their lease, and of those that end without being
 * held, within one command.
 *
 * 1. The command says of each what happened; the run stops holding its lease and its locks at once, so
 *    that a second word about it is stale. Only what must come in order is written here.
 * 2. `write` ends all that have ended, and forgets what is not needed any more.
 * 3. Then it wakes those who waited for them. Tasks that park in this very command are not among
 *    them yet.
 * 4. Then it parks: a child that has ended is found whether it ended years ago or in step 2, so no
 *    wake-up can fall between.
 * 5. Then it cancels those who were asked by tasks that end.
 * 6. Last it puts the lines of order keys right.
 */
import { grown } from '../../actors/conflicts/lock-wants.ts';
import type { Held, LockWant, SettledOutcome, StoryEntry, TaskStatus } from '../../actors/ports/store.ts';
import { orderOf } from './parent-end.ts';
import type { CancelOrder } from './parent-end.ts';
import type { Arrival, HeldTask } from './sqlite-held.ts';
import { EndedRows } from './sqlite-ended-rows.ts';
import { Families } from './sqlite-family-end.ts';
import type { Known } from './sqlite-known.ts';
import { Moves } from './sqlite-moves.ts';
import { raise } from './sqlite-raise.ts';
import { boxOf, isCancelNoted, NOTED, orderKeyOf, toFree } from './sqlite-rows.ts';
import type { FreeRow, FreeTask, TaskOptions } from './sqlite-rows.ts';
import { hasCompensations } from './sqlite-undo.ts';
import { STATUS, statusOf } from './task-status.ts';

type ParkedOutcome = Extract<SettledOutcome, { at: 'parked' }>;
type RunOutcome = Extract<StoryEntry, { at: 'run' }>['outcome'];
type BadStatus = 'failed' | 'dead' | 'cancelled';
type Back = typeof STATUS.queued | typeof STATUS.retrying | typeof STATUS.parked;

const NOTHING: readonly never[] = [];

interface Parking {
  readonly task: HeldTask;
  readonly outcome: ParkedOutcome;
}

/** How a task is put back; what is not said stays as it is. */
interface Change {
  readonly resumed?: number;
  readonly attempt?: number;
  readonly losses?: number;
  readonly error?: string | null;
  readonly atMs?: number | null;
  readonly parkedFor?: string | null;
}

/** Of one command: tell it of each task, then `write`. */
export class Endings {
  readonly moves: Moves;
  readonly #known: Known;
  readonly #nowMs: number;
  readonly #rows: EndedRows;
  readonly #parkings: Parking[] = [];
  readonly #families: Families;

  constructor(known: Known, nowMs: number) {
    this.#known = known;
    this.#nowMs = nowMs;
    this.moves = new Moves(known, nowMs);
    this.#rows = new EndedRows(known.sql, nowMs);
    this.#families = new Families(known, nowMs, {
      note: (run) => this.note(run, NOTED.withParent),
      cancel: (child, told) => {
        this.moves.unplace(child);
        this.#cancelRow(child, child.losses, NOTED.withParent, told);
      },
    });
  }

  /** Whether children were cancelled: they may stand elsewhere than an earlier word about them said. */
  get hasClosedFamilies(): boolean {
    return this.#families.hasCancelled;
  }

  /** What it `sends` by that goes on. */
  complete(task: HeldTask, result: string | null, sends: readonly Arrival[]): void {
    this.#letsGo(task);
    if (task.noted !== null) this.#known.sql.note.run(null, task.seq);
    this.#rows.completed(task, result);
    this.#ended(task, task.status, STATUS.completed);
    if (task.hasAsked) this.#families.completed(task.id, sends);
  }

  /** `losses` as they are then; a run that is lost adds one. `keeps`: it is kept as it stands, unless it is cancelled, or being undone. */
  end(
    task: HeldTask,
    status: 'failed' | 'dead',
    error: string,
    {
      losses = task.losses,
      as = status,
      failures,
      keeps = false,
    }: { losses?: number; as?: RunOutcome; failures?: readonly string[]; keeps?: boolean } = {},
  ): void {
    if (keeps && task.undo === null && !isCancelNoted(task.noted)) return this.#keep(task, error);
    // What is undone goes the way that it went.
    if (failures !== undefined && !hasCompensations(this.#known, task.seq)) this.#forgetFailures(task, failures);
    const keepsLocks = task.options?.locks !== undefined && task.noted !== NOTED.pause && this.#isToBeUndone(task);
    this.#letsGo(task, as, error, keepsLocks);
    if (isCancelNoted(task.noted)) this.#cancelled(task, losses);
    else {
      const ended = this.#endBadly(task, status, error, losses, task.options);
      this.#fell(task, orderOf(task.id, status));
      if (!ended) this.#pauseNoted(task);
    }
  }

  /** Its family goes on as it is, and what it has registered stays so. */
  #keep(task: HeldTask, error: string): void {
    this.#letsGo(task, 'failed', error);
    this.moves.leaveLine(task.seq, task.options);
    this.#endNow(task, 'failed', error, task.losses);
    this.#rows.kept(task.seq);
    if (!task.fresh) this.#rows.close(task.seq);
  }

  /** What was to be undone has been: it ends as was kept for it. */
  undone(task: HeldTask): void {
    this.#letsGo(task, 'undone', null);
    const [error] = this.#known.sql.undoError.get(task.seq) as unknown as [string | null];
    const status = statusOf(task.undo!) as BadStatus;
    this.#endNow(task, status, error, task.losses);
    this.#fell(task, orderOf(task.id, status));
    this.#rows.forget(task.seq);
  }

  retry(task: HeldTask, { error, readyAtMs, failures, forget }: Extract<SettledOutcome, { at: 'retry' }>): void {
    this.#forgetFailures(task, failures);
    if (forget !== undefined && !task.fresh) this.#forgetBeforeRetry(task.seq, forget);
    this.#back(task, STATUS.retrying, { resumed: 0, error, atMs: readyAtMs }, 'retry', error);
  }

  /** The lease goes back unused, and the attempt too. */
  release(task: HeldTask, box: string | undefined): void {
    this.#back(task, STATUS.queued, { attempt: attemptGivenBack(task) }, 'released', null, box);
  }

  /** The holder is gone: a run that had started is lost, a lease that was not used goes back as it was. */
  giveBack(task: HeldTask, error: string, as: 'expired' | 'owner-gone' | 'lost'): void {
    if (task.status === STATUS.leased) return this.#back(task, STATUS.queued, {}, as, error);
    const losses = task.losses + 1;
    if (losses >= task.maxLosses) return this.end(task, 'dead', error, { losses, as });
    // The first loss is mostly somebody else's doing; whose run is lost again may have ended its worker itself.
    const goesAhead = losses === 1;
    if (!goesAhead && !isCancelNoted(task.noted)) this.#known.sql.rankSince.run(this.#nowMs, this.#known.agingMs, task.seq);
    this.#back(task, STATUS.queued, { resumed: goesAhead ? 1 : 0, losses, error }, as, error);
  }

  /** The worker died under the run; even when it had not begun, it goes ahead of new work now. */
  lose(task: HeldTask, error: string): void {
    if (task.status === STATUS.running) this.giveBack(task, error, 'lost');
    else this.#back(task, STATUS.queued, { resumed: 1 }, 'lost', error);
  }

  /** Somebody has the locks that it wants: it stands in line for them. */
  block(task: HeldTask, resource: string): void {
    this.#back(task, STATUS.parked, { atMs: null, parkedFor: 'locks' }, 'blocked', resource);
  }

  /** Whether it waits, or is queued because what it waits for is there, is seen by `write`. */
  park(task: HeldTask, outcome: ParkedOutcome): void {
    const { children, events = [], wakeAtMs, locks = [] } = outcome;
    // Who is to be undone needs no more than it has.
    const isOver = isCancelNoted(task.noted) && this.#isToBeUndone(task);
    const wants = locks.length === 0 || isOver ? undefined : this.#grow(task, locks);
    if (task.noted !== null) {
      return this.#back(task, STATUS.parked, { attempt: attemptGivenBack(task), atMs: null }, 'parked', outcome.reason);
    }
    this.#letsGo(task, 'parked', outcome.reason);
    if (wants === undefined || wakeAtMs !== null || children.length + events.length > 0) this.#parkings.push({ task, outcome });
    else this.#standInLine(task, wants);
  }

  /** Ends a task that nobody holds, and with it what it has asked for. Says who has ended and which runs are to let go. */
  cancel(task: FreeTask, order: CancelOrder): { readonly ended: readonly string[]; readonly held: readonly Held[] } {
    const told = { ended: [], held: [] };
    this.moves.unplace(task);
    this.#cancelRow(task, task.losses, NOTED.cancel, told);
    this.#families.cancel(task.id, order, told);
    return told;
  }

  /** It fails, though nobody holds it: whether it has ended by that. */
  fail(task: FreeTask, error: string): boolean {
    this.moves.unplace(task);
    const ended = this.#endBadly(task, 'failed', error, task.losses, task.options);
    this.#fell(task, orderOf(task.id, 'failed'));
    // An operator has it: it is undone when it may go on.
    if (!ended && task.parkedFor === 'operator') this.moves.pause(this.#free(task.seq));
    return ended;
  }

  /** Ends those who have ended so far, and wakes whoever waits for them. */
  writeEnded(): void {
    for (let ids = this.#rows.write(); ids.length > 0; ids = this.#rows.write()) {
      if ((this.#known.sql.anyWait.get() as unknown as [number])[0] === 1) this.moves.wake(this.moves.waits.wokenByChildren(ids));
    }
    this.#rows.forgetBeside();
  }

  /** Writes what is left, in the order that the head of this file tells. */
  write(): void {
    this.writeEnded();
    const parkings = this.#parkings.splice(0);
    this.moves.waits.expect(parkings.map(({ outcome }) => outcome));
    for (const { task, outcome } of parkings) this.#park(task, outcome);
    this.moves.waits.flush();
    this.#families.close();
    this.writeEnded();
    this.moves.write();
  }

  /** The lease is gone, and what it held with it, unless it `keepsLocks`: it is to be undone, and queued or retried for that. */
  #letsGo(task: HeldTask, as?: RunOutcome, detail: string | null = null, keepsLocks = false): void {
    if (this.#known.claims.has(task.seq)) this.#known.claims.write();
    this.#known.held.remove(task);
    if (as !== undefined) this.#known.story.ran(task, this.#nowMs, as, detail);
    const { options } = task;
    if (options === null) return;
    const key = orderKeyOf(options);
    if (key !== null) this.moves.order.touch(key);
    if (options.locks === undefined) return;
    const { table } = this.#known.locks;
    if (!keepsLocks) this.moves.releaseLocks(task);
    // It keeps its place in line where it is going to try again, as it is or to be undone.
    const comesBack = as === 'released' || as === 'lost' || as === 'expired' || as === 'owner-gone';
    const keepsPlace = comesBack ? task.noted !== NOTED.pause : as === 'blocked' && task.noted === null;
    if (!keepsPlace) this.moves.wakeForLocks(table.forget(task.seq, this.#nowMs));
  }

  /** It has registered what is to be undone, and undoing that has not begun. */
  #isToBeUndone(task: HeldTask | FreeTask): boolean {
    const isFresh = 'fresh' in task && task.fresh;
    return task.undo === null && !isFresh && hasCompensations(this.#known, task.seq);
  }

  #endBadly(task: HeldTask | FreeTask, status: BadStatus, error: string | null, losses: number, options: TaskOptions | null): boolean {
    const { sql, tally } = this.#known;
    const isFresh = 'fresh' in task && task.fresh;
    // What could not be undone is kept, for a `requeue`.
    if (task.undo !== null) {
      this.moves.leaveLine(task.seq, options);
      this.#endNow(task, 'dead', error, losses);
      this.#rows.close(task.seq);
      return true;
    }
    if (!this.#isToBeUndone(task)) {
      this.moves.leaveLine(task.seq, options);
      this.#endNow(task, status, error, losses);
      if (!isFresh) this.#rows.close(task.seq);
      return true;
    }
    sql.undo.run(STATUS[status], error, this.#nowMs, task.seq);
    tally.moved(task.kind, task.status, STATUS.queued);
    this.moves.queued(task.seq, task.kind, options?.tenant ?? '', 1, orderKeyOf(options));
    return false;
  }

  #endNow(task: HeldTask | FreeTask, status: TaskStatus, error: string | null, losses: number): void {
    this.moves.releaseLocks(task);
    this.#rows.ended(task, STATUS[status], losses, error);
    this.#ended(task, task.status, STATUS[status]);
  }

  #ended(task: HeldTask | FreeTask, from: number, to: number): void {
    this.#known.tally.moved(task.kind, from, to);
    if (task.options !== null) {
      this.#known.count(task.kind, task.options, -1);
      const key = orderKeyOf(task.options);
      if (key !== null && this.#known.wasAlone(key, task.seq)) this.moves.order.emptied(key);
    }
  }

  /** What was noted of it is done: nobody holds it any more. */
  #cancelled(task: HeldTask | FreeTask, losses: number, noted = task.noted): void {
    const order = this.#known.story.cancelOf(task.id);
    this.#cancelRow(task, losses, noted, { ended: [] });
    this.#fell(task, order);
  }

  #cancelRow(task: HeldTask | FreeTask, losses: number, noted: number | null, told: { readonly ended: string[] }): void {
    const ended = this.#endBadly(task, 'cancelled', null, losses, task.options);
    this.writeEnded();
    if (!ended) return;
    if (noted === NOTED.withParent) this.#known.sql.note.run(noted, task.seq);
    told.ended.push(task.id);
  }

  #fell(task: HeldTask | FreeTask, order: CancelOrder): void {
    // It has asked for nothing.
    if (!('fresh' in task && task.fresh)) this.#families.fell(task.id, order);
  }

  /** To be done when the run lets go. */
  note(task: HeldTask, what: number | null): void {
    task.noted = what;
    this.#known.sql.note.run(what, task.seq);
  }

  #pauseNoted(task: HeldTask): void {
    if (task.noted === null) return;
    this.#known.sql.note.run(null, task.seq);
    this.moves.pause(this.#free(task.seq));
  }

  /** It is put back, and what was noted of it is done. */
  #back(task: HeldTask, status: Back, change: Change, as: RunOutcome, detail: string | null, box?: string): void {
    const isLost = as === 'lost' || as === 'expired' || as === 'owner-gone';
    const isUndoing = task.undo !== null && task.noted === null && status !== STATUS.parked;
    const keepsLocks = isUndoing || (isCancelNoted(task.noted) && this.#isToBeUndone(task));
    if (isCancelNoted(task.noted) && isLost) {
      this.#letsGo(task, as, detail, keepsLocks);
      return this.#cancelled(task, change.losses ?? task.losses);
    }
    this.#letsGo(task, as, detail, keepsLocks);
    this.#putBack(task, status, change, task.noted === null ? box : undefined);
    if (task.noted === null) return;
    if (task.noted === NOTED.pause) return this.#pauseNoted(task);
    this.#known.sql.note.run(null, task.seq);
    const free = this.#free(task.seq);
    this.moves.unplace(free);
    this.#cancelled(free, free.losses, task.noted);
  }

  /** What it wants from now on. */
  #grow({ seq, options }: HeldTask, more: readonly LockWant[]): readonly LockWant[] {
    const locks = grown(options?.locks ?? NOTHING, more);
    if (locks !== options?.locks) this.#known.sql.setOptions.run(JSON.stringify({ ...options, locks }), seq);
    return locks;
  }

  /** It has nothing else to wait for. */
  #standInLine(task: HeldTask, wants: readonly LockWant[]): void {
    const { table } = this.#known.locks;
    const attempt = attemptGivenBack(task);
    if (!table.stand({ seq: task.seq, wants, nowMs: this.#nowMs })) return this.#putBack(task, STATUS.queued, { attempt, resumed: 1 });
    this.#putBack(task, STATUS.parked, { attempt, resumed: 1, atMs: null, parkedFor: 'locks' });
    for (const seq of table.holdersAgainst(wants)) raise(this.#known, seq, task.priority);
  }

  #park(task: HeldTask, outcome: ParkedOutcome): void {
    const attempt = attemptGivenBack(task);
    const waiting = this.moves.waits.park(task.seq, task.fence, outcome);
    if (waiting.at === 'there') this.#putBack(task, STATUS.queued, { attempt, resumed: 1 });
    else this.#putBack(task, STATUS.parked, { attempt, atMs: waiting.untilMs, parkedFor: outcome.reason });
  }

  #putBack(task: HeldTask, status: Back, change: Change, box?: string): void {
    const { resumed = task.resumed, attempt = task.attempt, losses = task.losses } = change;
    const { error = null, atMs = this.#nowMs, parkedFor = null } = change;
    const { sql, tally } = this.#known;
    sql.putBack.run(status, resumed, attempt, losses, error, atMs, parkedFor, task.seq);
    tally.moved(task.kind, task.status, status);
    if (status !== STATUS.queued) return;
    const tenant = task.options?.tenant ?? '';
    if (box === undefined) return this.moves.queued(task.seq, task.kind, tenant, resumed, orderKeyOf(task.options));
    sql.putIntoBox.run(boxOf(box, tenant), task.seq);
    this.#known.turns.spilled(task.kind, box, tenant, resumed);
  }

  #free(seq: number): FreeTask {
    return toFree(this.#known.sql.free.get(seq) as unknown as FreeRow);
  }

  #forgetFailures({ seq }: HeldTask, places: readonly string[] = []): void {
    for (const place of places) this.#known.sql.forgetFailure.run(seq, place);
  }

  #forgetBeforeRetry(seq: number, forget: 'state' | 'everything'): void {
    const { sql } = this.#known;
    if (forget === 'everything') sql.forgetMemory.run([seq]);
    else sql.forgetRemembered.run(seq, 'state:', 'state;');
  }
}

function attemptGivenBack(task: HeldTask): number {
  return task.status === STATUS.running ? task.attempt - 1 : task.attempt;
}
