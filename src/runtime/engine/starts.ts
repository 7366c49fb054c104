/**
 * Starts: tasks are claimed, given back unused, spilled, and begun.
 *
 *     queue.claim ─▶ store.claim ─▶ queue.claimed        queue.start ─▶ store.start ─▶ a run
 */
import type { ActorId, ExitReason } from '../../../actors/kernel/effects.ts';
import type { ClaimedTask, StartItem, StartOutcome } from '../../../actors/ports/store.ts';
import type { QueueEffect, Start } from '../../../actors/queue.ts';
import type { SettledOutcome } from '../../../actors/ports/store.ts';
import type { KindPlan } from '../../topology/fleet.ts';
import { Batcher } from '../batcher.ts';
import type { BatcherOptions, Requester } from '../batcher.ts';
import type { RunEngine } from '../engine.ts';
import { Run } from '../run.ts';
import { WriteConflictError } from '../run/errors.ts';
import { writeErrorRecord } from '../task-error.ts';
import { WakeGate } from '../wake-gate.ts';
import { refOf } from './core.ts';
import type { EngineCore } from './core.ts';
import type { Settlements } from './settlements.ts';
import type { Upkeep } from './upkeep.ts';

const CLAIM_RETRY_MS = 500;

type ClaimEffect = Extract<QueueEffect, { readonly type: 'queue.claim' }>;

export class Starts {
  readonly #engine: RunEngine;
  readonly #core: EngineCore;
  readonly #settlements: Settlements;
  readonly #upkeep: Upkeep;
  readonly #batcher: Batcher<StartItem, StartOutcome>;
  /** Undefined: whoever wakes goes at once. */
  readonly #wakeGate: WakeGate | undefined;
  /** Workers that were told to yield: in which life, and by when. */
  readonly #yielding = new Map<ActorId, { readonly incarnation: number; readonly byMs: number }>();
  /** Boxes into which something is being spilled: how much of it the store has not answered, and what waits for that. */
  readonly #spilling = new Map<ActorId, { left: number; readonly afterwards: (() => void)[] }>();

  /** Boxes that may hold something, and of which kind that is. */
  readonly #boxes = new Map<ActorId, KindPlan>();

  constructor(engine: RunEngine, core: EngineCore, batching: BatcherOptions, settlements: Settlements, upkeep: Upkeep) {
    this.#engine = engine;
    this.#core = core;
    this.#settlements = settlements;
    this.#upkeep = upkeep;
    const { store } = core;
    this.#batcher = new Batcher((items) => store.start(items, core.nowMs()), batching);
    const { wakeGate, name } = core.options.topology;
    if (wakeGate !== undefined) this.#wakeGate = new WakeGate({ ...batching, store, gate: `${name}/wake`, most: wakeGate.most });
  }

  idle(): Promise<void> {
    return this.#batcher.idle();
  }

  close(): void {
    this.#batcher.close();
    this.#wakeGate?.close();
  }

  /** The worker is being suspended: those of its runs that have yet to begin park too. */
  yields(worker: ActorId, incarnation: number, byMs: number): void {
    this.#yielding.set(worker, { incarnation, byMs });
  }

  // ── Claims ───────────────────────────────────────────────────────────────────────────────────

  claim(plan: KindPlan, effect: ClaimEffect): void {
    const { box } = effect;
    if (box === undefined) this.#claim(plan, effect);
    else this.#afterSpills(box, () => this.#claim(plan, effect));
  }

  #claim(plan: KindPlan, effect: ClaimEffect): void {
    const { limit, box } = effect;
    const core = this.#core;
    const nowMs = core.nowMs();
    const leaseUntilMs = nowMs + plan.leaseMs;
    const of = box === undefined ? {} : { box };
    core.store.claim({ wants: [{ kind: plan.kind, limit, ...of }], leaseUntilMs, nowMs }).then(
      (claimed) => {
        // An answer that took longer than the lease: the store has taken the tasks back, or will.
        const tasks = core.nowMs() < leaseUntilMs ? claimed : [];
        for (const task of tasks) {
          // The store took it back unseen, and gave it to this node again.
          const former = core.leases.add(plan, task);
          if (former !== undefined) this.#upkeep.lose(former);
        }
        core.tellQueue(plan.kind, { type: 'queue.claimed', tasks, asked: limit, late: tasks.length < claimed.length, ...of });
      },
      (error: unknown) => this.#again(error, () => this.#claim(plan, effect)),
    );
  }

  /** Gives back a task whose run has not begun, and will not. */
  release(task: ClaimedTask, outcome: SettledOutcome = { at: 'released' }, settled?: Parameters<Settlements['settle']>[3]): void {
    const lease = this.#core.leases.get(task);
    if (lease?.orphaned === 'settled') return settled?.({ at: 'stale' });
    if (lease !== undefined) lease.orphaned = 'settled';
    this.#settlements.settle(task, outcome, undefined, settled);
  }

  spill(plan: KindPlan, worker: ActorId, tasks: readonly ClaimedTask[]): void {
    this.#boxes.set(worker, plan);
    const core = this.#core;
    core.stats.spilled += tasks.length;
    core.emit('mailbox.spilled', () => ({ atMs: core.nowMs(), kind: plan.kind, worker, count: tasks.length }));
    const spilling = this.#spilling.get(worker) ?? { left: 0, afterwards: [] };
    this.#spilling.set(worker, spilling);
    spilling.left += tasks.length;
    for (const task of tasks) {
      this.release(task, { at: 'released', box: worker }, () => {
        spilling.left -= 1;
        if (spilling.left > 0) return;
        this.#spilling.delete(worker);
        for (const act of spilling.afterwards) act();
      });
    }
  }

  /** The queue of the kind has forgotten in whose boxes something is, also of those who have left. */
  unboxAll(plan: KindPlan): void {
    for (const [box, of] of [...this.#boxes]) if (of === plan) this.unbox(plan, box);
  }

  /** Nothing to do where nothing has been spilled: what a former process has was opened with the store. */
  unbox({ kind }: KindPlan, box: ActorId): void {
    if (!this.#boxes.delete(box)) return;
    const unbox = (): void => {
      this.#core.store.unbox([{ kind, box }]).then(
        () => this.#core.ready([kind]),
        (error: unknown) => this.#again(error, unbox),
      );
    };
    this.#afterSpills(box, unbox);
  }

  /** Commands about a box reach the store in their order: one that overtook a spill would leave tasks behind that nobody asks for. */
  #afterSpills(box: ActorId, act: () => void): void {
    const spilling = this.#spilling.get(box);
    if (spilling === undefined) act();
    else spilling.afterwards.push(act);
  }

  #again(error: unknown, act: () => void): void {
    const core = this.#core;
    if (!core.isPassing(error) || core.isClosing) return;
    core.alarm(CLAIM_RETRY_MS * (1 + this.#engine.random.next()), act);
  }

  // ── Starts ───────────────────────────────────────────────────────────────────────────────────

  start(plan: KindPlan, start: Start): void {
    const starting = new Starting(this, plan, start, this.#core.options.epoch);
    this.#batcher.add(starting, starting);
  }

  /** The store has counted the attempt, or says why it has not. */
  begin(plan: KindPlan, { worker, incarnation, task }: Start, outcome: StartOutcome): void {
    const core = this.#core;
    const lease = core.leases.get(task);
    if (lease === undefined || lease.orphaned === 'settled') return core.slotFree(plan, task);
    if (outcome.at === 'stale') return this.#upkeep.lose(lease);
    if (outcome.at === 'blocked') return this.#blocked(plan, task, outcome);
    if (lease.orphaned !== undefined) {
      core.slotFree(plan, task);
      return this.#settlements.settle(task, orphanOutcome(lease.orphaned));
    }
    if (outcome.at === 'rejected') return this.#rejected(plan, task, outcome);
    // Its slot is not freed, which would get it the next one: the queue will hear that there is nobody.
    if (core.options.host.incarnationOf(worker) !== incarnation) return this.release(task);
    const run = new Run(this.#engine, { plan, worker, claimed: task, priority: lease.priority, started: outcome });
    lease.run = run;
    for (const event of lease.told ?? []) run.told(event);
    lease.told = undefined;
    core.stats.started += 1;
    core.running += 1;
    const { attempt } = outcome;
    core.emit('task.started', () => ({ ...refOf(task), atMs: run.startedMs, attempt, worker }));
    core.options.observe?.({ type: 'run.started', atMs: run.startedMs, worker, kind: plan.kind, task: task.id });
    if (this.#wakeGate?.wakes(worker, incarnation) === true) run.executeThrough(this.#wakeGate);
    else run.execute();
    const yielding = this.#yielding.get(worker);
    // Its start was on its way. It parks after its first operation: given back now it might come again at once.
    if (yielding === undefined || yielding.incarnation < incarnation || yielding.byMs <= run.startedMs) return;
    run.yieldAfterNext(yielding.byMs - run.startedMs);
  }

  /** Somebody has what it wants: it waits in the store, and the worker is free. */
  #blocked(plan: KindPlan, task: ClaimedTask, { resource, holder }: { readonly resource: string; readonly holder: string }): void {
    const core = this.#core;
    core.leases.drop(task);
    core.slotFree(plan, task);
    // What was noted of it while its claim was on its way is done now.
    this.#upkeep.letGoOf(task);
    core.emit('task.blocked', () => ({ ...refOf(task), atMs: core.nowMs(), resource, holder }));
  }

  #rejected(plan: KindPlan, task: ClaimedTask, { resource, holder }: { readonly resource: string; readonly holder: string }): void {
    const lease = this.#core.leases.get(task)!;
    lease.orphaned = 'settled';
    this.#core.slotFree(plan, task);
    const error = writeErrorRecord(new WriteConflictError({ id: task.id, resource, holder }));
    this.#settlements.settle(task, { at: 'failed', error });
  }

  // ── Runs that lose their worker ──────────────────────────────────────────────────────────────

  orphan(task: ClaimedTask, reason: ExitReason): void {
    const core = this.#core;
    const lease = core.leases.get(task);
    if (lease === undefined) return;
    const orphaned = reason.at === 'error' || (reason.at === 'killed' && !core.isClosing) ? 'lost' : 'released';
    if (lease.run === undefined) {
      lease.orphaned ??= orphaned;
      return;
    }
    // A run that is over already has its settlement on the way.
    if (core.abandon(lease.run, 'worker-gone')) this.#settlements.settle(task, orphanOutcome(orphaned, reason));
  }
}

/** A start on its way: the item of the command, and who waits for it. */
class Starting implements StartItem, Requester<StartOutcome> {
  readonly id: string;
  readonly fence: number;
  readonly worker: string;
  readonly #starts: Starts;
  readonly #plan: KindPlan;
  readonly #start: Start;

  constructor(starts: Starts, plan: KindPlan, start: Start, epoch: number) {
    this.id = start.task.id;
    this.fence = start.task.fence;
    this.worker = `${start.worker}#${start.incarnation}@${epoch}`;
    this.#starts = starts;
    this.#plan = plan;
    this.#start = start;
  }

  replied(outcome: StartOutcome): void {
    this.#starts.begin(this.#plan, this.#start, outcome);
  }
}

function orphanOutcome(orphaned: 'lost' | 'released', reason?: ExitReason): SettledOutcome {
  if (orphaned === 'released') return { at: 'released' };
  const cause = reason?.at === 'error' ? { cause: reason.error } : undefined;
  return { at: 'lost', error: writeErrorRecord(new Error('the worker died under the run', cause)) };
}
