/**
 * Upkeep: leases are renewed and given up, runs are ended that take too long.
 *
 * Once a tick:
 *   1. A run that timed out or stalled is abandoned; it is not renewed, its task goes back.
 *   2. A lease with less than two thirds of its time is renewed. Trust counts from when the request
 *      was sent, not from when it was answered.
 *   3. A lease that ran out before its renewal came is given up: its run is abandoned at once.
 * A process that stood still past a tick does so before any other effect (`isLate`).
 */
import type { Held } from '../../../actors/ports/store.ts';
import { RunTimeoutError } from '../errors.ts';
import type { Lease } from '../leases.ts';
import type { Run } from '../run.ts';
import { refOf } from './core.ts';
import type { EngineCore } from './core.ts';
import type { Endings } from './endings.ts';
import { Sweeps } from './sweeps.ts';

/** No attempt, loss or renewal is measured finer than this. */
const SHORTEST_TICK_MS = 20;
const LONGEST_TICK_MS = 1_000;

export class Upkeep {
  readonly #core: EngineCore;
  readonly #rejected: (run: Run, error: unknown) => void;
  readonly #sweeps: Sweeps;
  readonly #tickMs: number;
  #cancelTick: (() => void) | undefined;
  /** When the next tick is due; until `open` never. */
  #tickDueMs = Infinity;
  #renewing = false;

  constructor(
    core: EngineCore,
    endings: Endings,
    rejected: (run: Run, error: unknown) => void,
    letGo: (held: Held, why: 'cancelled' | 'paused') => void,
  ) {
    this.#core = core;
    this.#rejected = rejected;
    this.#sweeps = new Sweeps(core, endings, (lease) => this.lose(lease), letGo);
    const shortest = Object.values(core.options.topology.kinds).map(({ leaseMs, runTimeoutMs, stallMs }) =>
      Math.min(leaseMs / 3, runTimeoutMs / 4, stallMs / 4),
    );
    this.#tickMs = Math.max(SHORTEST_TICK_MS, Math.min(LONGEST_TICK_MS, ...shortest));
  }

  open(): void {
    this.#tick();
  }

  sweep(): void {
    this.#sweeps.sweep();
  }

  close(): void {
    this.#cancelTick?.();
    this.#sweeps.close();
  }

  /** Looks for due tasks at `atMs`, or earlier when that is planned already. */
  sweepBy(atMs: number): void {
    this.#sweeps.by(atMs);
  }

  /** Those tasks may have ended elsewhere: they are looked up, and whoever waits for them is told. */
  lookAgain(ids: readonly string[], awaited = false): void {
    this.#sweeps.lookAgain(ids, awaited);
  }

  /** Somebody else may hold the task; or an earlier try, whose answer was lost, has settled it. */
  doubt(task: Held, run: Run | undefined): void {
    this.#sweeps.doubt(task, run, false);
    this.#sweeps.by(this.#core.nowMs());
  }

  /** It is in nobody's hands, and may have ended by that: the next sweep looks. */
  letGoOf(task: Held): void {
    this.#sweeps.doubt(task, undefined, true);
  }

  /** What became of the task is known. */
  isSure(id: string): void {
    this.#sweeps.isSure(id);
  }

  /** The process stood still past its tick. */
  isLate(nowMs: number): boolean {
    return nowMs >= this.#tickDueMs;
  }

  loseExpired(nowMs: number): void {
    this.#tickDueMs = nowMs + this.#tickMs;
    for (const lease of [...this.#core.leases]) if (nowMs >= lease.untilMs) this.lose(lease);
  }

  /** This node does not hold the task any more. */
  lose(lease: Lease): void {
    const { task, plan, run, orphaned } = lease;
    const core = this.#core;
    core.leases.drop(task);
    // Its settlement is on its way: the store's answer to that decides.
    if (orphaned === 'settled' || run?.over !== undefined) return;
    // Its last loss may end it, in a sweep.
    this.#sweeps.doubt(task, run, true);
    if (run === undefined) core.tellQueue(plan.kind, { type: 'queue.revoked', tasks: [{ id: task.id, fence: task.fence }] });
    else core.abandon(run, 'lease-lost');
    core.slotFree(plan, task);
    core.stats.lost += 1;
    core.emit('lease.lost', () => ({ ...refOf(task), atMs: core.nowMs(), fence: task.fence }));
  }

  #tick(): void {
    const nowMs = this.#core.nowMs();
    this.#tickDueMs = nowMs + this.#tickMs;
    const due: Lease[] = [];
    for (const lease of [...this.#core.leases]) {
      if (nowMs >= lease.untilMs) this.lose(lease);
      else if (lease.run !== undefined && lease.run.over === undefined && this.#timedOut(lease.run, nowMs)) continue;
      else if (lease.run?.parkIfOnlyWaiting(nowMs, false) === true) continue;
      else if (lease.untilMs - nowMs < (lease.plan.leaseMs * 2) / 3) due.push(lease);
    }
    if (due.length > 0 && !this.#renewing) this.#renew(due, nowMs);
    this.#cancelTick = this.#core.alarm(this.#tickMs, () => this.#tick());
  }

  #timedOut(run: Run, nowMs: number): boolean {
    const { runTimeoutMs, stallMs } = run.plan;
    run.look(nowMs);
    // Each of the last tries to undo something has as long as a run.
    const late = nowMs - (run.undoing?.sinceMs ?? run.startedMs) >= runTimeoutMs;
    if (!late && (run.occupied || nowMs - run.lastSignMs < stallMs)) return false;
    const error = new RunTimeoutError(
      late ? { id: run.task.id, limit: 'runTimeoutMs', ms: runTimeoutMs } : { id: run.task.id, limit: 'stallMs', ms: stallMs },
    );
    if (run.undoing?.goesOnWithout(error) === true) return false;
    if (run.abandon(late ? 'timeout' : 'stalled')) this.#rejected(run, error);
    return true;
  }

  #renew(due: readonly Lease[], sentMs: number): void {
    this.#renewing = true;
    const items = due.map(({ task, plan }) => ({ id: task.id, fence: task.fence, leaseUntilMs: sentMs + plan.leaseMs }));
    this.#core.store.renew(items, sentMs).then(
      (kept) => {
        this.#renewing = false;
        for (let at = 0; at < due.length; at += 1) {
          if (kept[at] === true) due[at]!.untilMs = items[at]!.leaseUntilMs;
          // Settled meanwhile is no loss.
          else if (this.#core.leases.get(due[at]!.task) !== undefined && due[at]!.run?.over === undefined) this.lose(due[at]!);
        }
      },
      (error: unknown) => {
        this.#renewing = false;
        this.#core.isPassing(error);
      },
    );
  }
}
