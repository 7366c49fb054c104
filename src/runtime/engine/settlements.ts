/** Settlements: what becomes of a task, on its way into the store; and what the store makes of it. */
import { toErrorRecord } from '../../../actors/kernel/errors.ts';
import type { ErrorRecord } from '../../../actors/kernel/errors.ts';
import { isTerminal } from '../../../actors/ports/store.ts';
import type { ClaimedTask, NewTask, SettledOutcome, SettleOutcome, Settlement, TaskStatus } from '../../../actors/ports/store.ts';
import type { Random } from '../../../actors/kernel/random.ts';
import type { KindPlan } from '../../topology/fleet.ts';
import { Batcher } from '../batcher.ts';
import type { BatcherOptions, Requester } from '../batcher.ts';
import { BoundReachedError, VersionConflictError } from '../run/errors.ts';
import type { Run } from '../run.ts';
import { readErrorRecord } from '../task-error.ts';
import { refOf } from './core.ts';
import type { EngineCore } from './core.ts';
import type { Endings } from './endings.ts';
import type { Upkeep } from './upkeep.ts';

/** What becomes of the task of a run that is rejected: tried again; or its attempts are used up, or its backoff gives it up. */
export type Rest = { readonly at: 'again'; readonly inMs: number } | { readonly at: 'used-up' } | { readonly at: 'given-up' };

export class Settlements {
  readonly #core: EngineCore;
  readonly #upkeep: () => Upkeep;
  readonly #endings: Endings;
  readonly #random: Random;
  readonly #batcher: Batcher<Settlement, SettleOutcome>;

  constructor(core: EngineCore, batching: BatcherOptions, endings: Endings, upkeep: () => Upkeep) {
    this.#core = core;
    this.#upkeep = upkeep;
    this.#endings = endings;
    this.#random = batching.random;
    this.#batcher = new Batcher(async (items) => this.#settleAll(items), batching);
  }

  idle(): Promise<void> {
    return this.#batcher.idle();
  }

  close(): void {
    this.#batcher.close();
  }

  /** `settled`: told when the store has answered. */
  settle(task: ClaimedTask, outcome: SettledOutcome, run?: Run, settled?: (reply: SettleOutcome) => void): void {
    const settling = new Settling(this, task, outcome, run, settled);
    this.#batcher.add(settling, settling);
  }

  /** What a rejection makes of a task: an outcome, as its kind says. */
  outcomeOf(run: Run, thrown: unknown): SettledOutcome {
    const { undoing, usesState } = run;
    const record = toErrorRecord(undoing === undefined ? thrown : undoing.failureOf(thrown));
    const error = JSON.stringify(record);
    if (undoing !== undefined) {
      // What is undone goes the way that it went: nothing is forgotten.
      if (undoing.rest.at !== 'again') return { at: 'dead', error };
      return { at: 'retry', error, readyAtMs: this.#core.nowMs() + undoing.rest.inMs };
    }
    const places = run.failuresBehind(thrown);
    const failures = places.length === 0 ? {} : { failures: places };
    if (record.retryable === false) return { at: 'failed', error, ...failures };
    const rest = this.restOf(run);
    if (rest.at === 'used-up') return { at: 'dead', error, ...failures };
    if (rest.at === 'given-up') return { at: 'failed', error, ...failures };
    // Rows are read anew.
    const forget = usesState ? ({ forget: 'state' } as const) : {};
    return { at: 'retry', error, readyAtMs: this.#core.nowMs() + rest.inMs, ...failures, ...forget };
  }

  /** Asks a backoff function of the kind's own, so once a run. */
  restOf({ plan, task, losses }: Run): Rest {
    const failures = task.attempt - losses;
    if (failures >= plan.attempts) return { at: 'used-up' };
    const inMs = this.#delayOf(plan, failures);
    // A backoff that says no, or makes no sense, gives up.
    return Number.isFinite(inMs) && inMs >= 0 ? { at: 'again', inMs } : { at: 'given-up' };
  }

  /** The store has settled what became of a task, or refused it. */
  settled(task: ClaimedTask, outcome: SettledOutcome, reply: SettleOutcome, run: Run | undefined): void {
    const core = this.#core;
    if (reply.at === 'refused') return this.settle(task, this.outcomeOf(run!, refusalOf(task, outcome, reply)), run);
    core.leases.drop(task);
    const upkeep = this.#upkeep();
    if (reply.at === 'stale') return upkeep.doubt(task, run);
    upkeep.isSure(task.id);
    this.#note(task, outcome, run!, isTerminal(reply.status));
    // Whom it had asked is cancelled with it: the next sweep says who has ended, and which runs are to let go.
    const leaves = outcome.at === 'completed' ? run!.leavesChildren : run === undefined || run.hasAsked;
    if (leaves && mayHaveFallen(outcome, reply.status, run)) upkeep.sweepBy(core.nowMs());
    if (run?.lettingGo === 'paused' && reply.status === 'parked' && outcome.at !== 'parked') core.paused(task);
    if (outcome.at === 'completed' || !isTerminal(reply.status)) return;
    const error =
      outcome.at === 'undone' ? run!.undoing!.ends.error : 'error' in outcome && outcome.at !== 'retry' ? outcome.error : undefined;
    // What was noted of it while it ran has ended it: the store knows how.
    if (error === undefined || reply.status === 'cancelled') upkeep.lookAgain([task.id]);
    else this.#endings.ended(task, reply.status, error);
  }

  /** Tells what has become of the run. */
  #note(task: ClaimedTask, outcome: SettledOutcome, run: Run, isOver: boolean): void {
    const core = this.#core;
    const atMs = core.nowMs();
    switch (outcome.at) {
      case 'completed':
        for (const sent of outcome.sends) this.submitted(sent);
        return this.#endings.completed(task.id, outcome.result, run, atMs);
      case 'lost':
        core.stats.lost += 1;
        return;
      case 'retry': {
        if (isOver) return;
        core.stats.retried += 1;
        this.#lookBy(task.deadlineMs);
        const error: ErrorRecord = readErrorRecord(outcome.error)!;
        const inMs = Math.max(0, outcome.readyAtMs - atMs);
        core.emit('task.retrying', () => ({ ...refOf(task), atMs, attempt: run.task.attempt, inMs, error }));
        return this.#upkeep().sweepBy(outcome.readyAtMs);
      }
      case 'parked':
        if (isOver) return;
        core.stats.parked += 1;
        core.emit('task.parked', () => ({ ...refOf(task), atMs, reason: outcome.reason }));
        this.#lookBy(task.deadlineMs);
        if (outcome.wakeAtMs !== null) this.#upkeep().sweepBy(outcome.wakeAtMs);
        return;
      case 'failed':
      case 'dead':
      case 'undone':
        return;
      case 'released':
        if (!isOver) this.#lookBy(task.deadlineMs);
    }
  }

  /** Nobody holds it: the store has to be asked at that time. */
  #lookBy(atMs: number | null | undefined): void {
    if (typeof atMs === 'number') this.#upkeep().sweepBy(atMs);
  }

  submitted(task: NewTask): void {
    this.#lookBy(task.notBeforeMs);
    this.#lookBy(task.deadlineMs);
    this.#core.stats.submitted += 1;
    this.#core.emit('task.submitted', () => ({ ...refOf(task), atMs: this.#core.nowMs() }));
  }

  async #settleAll(items: readonly Settlement[]): Promise<readonly SettleOutcome[]> {
    const nowMs = this.#core.nowMs();
    if (this.#upkeep().isLate(nowMs)) return this.#settleLate(items, nowMs);
    const { outcomes, ready, nextAtMs } = await this.#core.store.settle(items, nowMs);
    this.#core.ready(ready);
    if (nextAtMs !== undefined) this.#upkeep().sweepBy(nextAtMs);
    return outcomes;
  }

  /** The process stood still: what a run decided whose lease ran out meanwhile is not committed. */
  async #settleLate(items: readonly Settlement[], nowMs: number): Promise<readonly SettleOutcome[]> {
    this.#upkeep().loseExpired(nowMs);
    const held = items.filter((item) => this.#core.leases.get(item) !== undefined);
    const settled = await this.#settleAll(held);
    const outcomes = new Map(held.map((item, at) => [item, settled[at]!]));
    return items.map((item) => outcomes.get(item) ?? { at: 'stale' });
  }

  #delayOf({ backoff }: KindPlan, failures: number): number {
    if (typeof backoff !== 'function') {
      const ceilingMs = Math.min(backoff.capMs, backoff.baseMs * 2 ** Math.min(failures - 1, 60));
      return ceilingMs * (0.1 + 0.9 * this.#random.next());
    }
    try {
      return backoff(failures);
    } catch (error) {
      this.#core.options.log.error({ err: error }, 'a backoff function threw');
      return -1;
    }
  }
}

/** A settlement on its way. */
class Settling implements Requester<SettleOutcome> {
  readonly id: string;
  readonly fence: number;
  readonly outcome: SettledOutcome;
  readonly #settlements: Settlements;
  readonly #task: ClaimedTask;
  readonly #run: Run | undefined;
  readonly #settled: ((reply: SettleOutcome) => void) | undefined;

  constructor(
    settlements: Settlements,
    task: ClaimedTask,
    outcome: SettledOutcome,
    run: Run | undefined,
    settled: ((reply: SettleOutcome) => void) | undefined,
  ) {
    this.id = task.id;
    this.fence = task.fence;
    this.outcome = outcome;
    this.#settlements = settlements;
    this.#task = task;
    this.#run = run;
    this.#settled = settled;
  }

  replied(reply: SettleOutcome): void {
    this.#settlements.settled(this.#task, this.outcome, reply, this.#run);
    this.#settled?.(reply);
  }
}

/** Whether its task may have ended by that, or is to be undone now. */
function mayHaveFallen({ at }: SettledOutcome, status: TaskStatus, run: Run | undefined): boolean {
  return at === 'completed' || at === 'failed' || at === 'dead' || at === 'lost' || isTerminal(status) || run?.lettingGo === 'cancelled';
}

/** The completion could not be committed: why the run is rejected instead. */
function refusalOf({ id }: ClaimedTask, outcome: SettledOutcome, refused: Extract<SettleOutcome, { readonly at: 'refused' }>): Error {
  if (refused.why === 'full') return new BoundReachedError({ id, bound: 'family', limit: refused.limit });
  const { writes = [], reads = [] } = outcome.at === 'completed' ? outcome : {};
  const named = [...writes, ...reads].find(({ key, version }) => key === refused.key && version !== refused.version);
  const expected = named?.version ?? null;
  return new VersionConflictError({ id, key: refused.key, expected, found: refused.version });
}
