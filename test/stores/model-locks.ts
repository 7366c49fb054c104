/** Locks of the model: who holds what, and the line of those who wait. */
import { isLastToPass } from '../../actors/conflicts/passing.ts';
import { MOST_PASSED } from '../../actors/ports/store.ts';
import type { LockWant } from '../../actors/ports/store.ts';
import { isHeld, keepsLocks, wantsOf } from './model-task.ts';
import type { ModelTask } from './model-task.ts';

/** How long a woken one that has been passed often enough keeps others out. */
export const PROMISE_MS = 30_000;

/** Why a start is refused its locks: this task has, or is next to have, this resource. */
export interface LockReason {
  readonly resource: string;
  readonly holder: string;
}

export class LockModel {
  mostPassed = MOST_PASSED;
  #lastToken = 0;
  /** Of those who stand in line since the store was opened, or have come since. */
  #latestMs = -Infinity;
  readonly #tasks: readonly ModelTask[];
  readonly #nowMs: () => number;

  constructor(tasks: readonly ModelTask[], nowMs: () => number) {
    this.#tasks = tasks;
    this.#nowMs = nowMs;
  }

  /** Whose clock is behind keeps nobody out for longer than that of the one before would have. */
  open(nowMs: number): void {
    const lines = this.#line().map(({ line }) => line!);
    this.#latestMs = Math.max(-Infinity, ...lines.map(({ sinceMs }) => sinceMs));
    for (const line of lines) if (line.wokenAtMs !== null) line.wokenAtMs = Math.min(line.wokenAtMs, nowMs);
  }

  /** One counter for everything that fences: locks, rows, leases. */
  nextToken(): number {
    this.#lastToken += 1;
    return this.#lastToken;
  }

  /** All it wants or nothing: the reasons why not, none when it has been granted. */
  take(task: ModelTask): LockReason[] {
    const wants = wantsOf(task);
    // To be undone, it may have kept what it holds: that goes on under another token.
    if (task.lockFence > 0) {
      task.lockFence = this.nextToken();
      return [];
    }
    const reasons = this.reasons(task);
    if (reasons.length > 0) return reasons;
    task.lockFence = wants.length > 0 ? this.nextToken() : 0;
    for (const older of this.#inLineBefore(task))
      if (overlap(wants, wantsOf(older)).length > 0) older.line!.passed = isLastToPass(task.lockFence) ? Infinity : older.line!.passed + 1;
    task.line = null;
    return [];
  }

  /** Stands in line, or goes on doing so at the place that it had. */
  standInLine(task: ModelTask): void {
    task.line ??= { sinceMs: this.#sinceMs(), passed: 0, wokenAtMs: null };
    task.line.wokenAtMs = null;
    this.#latestMs = Math.max(this.#latestMs, task.line.sinceMs);
  }

  /** Whoever has it, and whoever has been passed so often that it comes first. */
  reasons(task: ModelTask): LockReason[] {
    const wants = wantsOf(task);
    const inTheWay = [...this.holders(), ...this.#inLineBefore(task).filter((older) => this.#isReserved(older))];
    return inTheWay
      .filter((other) => other !== task)
      .flatMap((other) => overlap(wants, wantsOf(other)).map((resource) => ({ resource, holder: other.task.id })));
  }

  holders(): ModelTask[] {
    return this.#tasks.filter((task) => task.lockFence > 0 && (isHeld(task) || keepsLocks(task)));
  }

  /** Who is to try again: oldest first, as many as could run together, and together with those who have been told before. */
  toWake(): ModelTask[] {
    const woken: ModelTask[] = [];
    const expected = this.#line().filter((task) => this.#isExpected(task));
    const ahead: ModelTask[] = [];
    for (const task of this.#line()) {
      const isFree = ![...this.holders(), ...expected, ...woken, ...ahead].some(
        (other) => overlap(wantsOf(task), wantsOf(other)).length > 0,
      );
      // One that is to be undone has kept its place, and may be on its way already.
      if (task.line!.wokenAtMs === null && isFree) woken.push(task);
      else if (this.#isReserved(task)) ahead.push(task);
    }
    return woken;
  }

  /** Passed as often as is allowed, and not called in vain. */
  #isReserved({ line }: ModelTask): boolean {
    return line !== null && line.passed >= this.mostPassed && (line.wokenAtMs === null || this.#nowMs() < line.wokenAtMs + PROMISE_MS);
  }

  /** Woken, and not here yet. */
  #isExpected({ line }: ModelTask): boolean {
    return line !== null && line.wokenAtMs !== null && this.#nowMs() < line.wokenAtMs + PROMISE_MS;
  }

  #line(): ModelTask[] {
    return this.#tasks.filter(({ line }) => line !== null).toSorted((a, b) => a.line!.sinceMs - b.line!.sinceMs || a.seq - b.seq);
  }

  /** A newcomer by a clock that is behind comes after those who stand there all the same. */
  #sinceMs(): number {
    const nowMs = this.#nowMs();
    return nowMs < this.#latestMs ? this.#latestMs + 2 ** -10 : nowMs;
  }

  #inLineBefore(task: ModelTask): ModelTask[] {
    // A newcomer comes now; of the same time the one that arrived in the store first.
    const sinceMs = task.line?.sinceMs ?? this.#sinceMs();
    return this.#line().filter(({ line, seq }) => line!.sinceMs < sinceMs || (line!.sinceMs === sinceMs && seq < task.seq));
  }
}

/** The resources that these two cannot have at the same time. */
export function overlap(some: readonly LockWant[], others: readonly LockWant[]): string[] {
  return some
    .filter((a) => others.some((b) => a.resource === b.resource && (a.mode === 'write' || b.mode === 'write')))
    .map(({ resource }) => resource);
}
