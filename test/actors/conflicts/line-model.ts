/** The lock table again as slowly and plainly as can be: lists, gone through from one end to the other. */
import { PROMISE_MS } from '../../../actors/conflicts/lock-table.ts';
import { isLastToPass } from '../../../actors/conflicts/passing.ts';
import type { LockWant } from '../../../actors/ports/store.ts';

interface Holder {
  readonly seq: number;
  readonly wants: readonly LockWant[];
}

interface Waiter extends Holder {
  readonly sinceMs: number;
  passed: number;
  wokenAtMs: number | null;
}

export function clash(a: readonly LockWant[], b: readonly LockWant[]): boolean {
  return a.some((one) => b.some((other) => one.resource === other.resource && (one.mode === 'write' || other.mode === 'write')));
}

export class LineModel {
  readonly mostPassed: number;
  holders: Holder[] = [];
  line: Waiter[] = [];
  nowMs = 0;
  /** So many tokens have been given. */
  #grants = 0;

  constructor(mostPassed: number) {
    this.mostPassed = mostPassed;
  }

  /** Those who are woken because it is blocked; null: it has been granted. */
  take(seq: number, wants: readonly LockWant[], waits: boolean): number[] | null {
    const known = this.line.find((waiter) => waiter.seq === seq);
    const older = this.#olderThan(known ?? { seq, sinceMs: this.nowMs });
    if (!this.#isBlocked(wants, older)) {
      this.#grants += 1;
      const left = isLastToPass(this.#grants) ? Infinity : 1;
      for (const waiter of older) if (clash(wants, waiter.wants)) waiter.passed = Math.min(waiter.passed + left, this.mostPassed);
      this.line = this.line.filter((waiter) => waiter !== known);
      this.holders.push({ seq, wants });
      return null;
    }
    if (!waits) return [];
    if (known === undefined) {
      this.#join(seq, wants);
      return [];
    }
    const wasWoken = known.wokenAtMs !== null;
    known.wokenAtMs = null;
    return wasWoken ? this.wake() : [];
  }

  /** Whether it stands in line now: it does not when it could have all. */
  stand(seq: number, wants: readonly LockWant[]): boolean {
    if (!this.#isBlocked(wants, this.#olderThan({ seq, sinceMs: this.nowMs }))) return false;
    this.#join(seq, wants);
    return true;
  }

  /** A token for another run of one that holds. */
  renew(): void {
    this.#grants += 1;
  }

  release(seq: number): number[] {
    if (!this.holders.some((holder) => holder.seq === seq)) return [];
    this.holders = this.holders.filter((holder) => holder.seq !== seq);
    return this.wake();
  }

  forget(seq: number): number[] {
    if (!this.line.some((waiter) => waiter.seq === seq)) return [];
    this.line = this.line.filter((waiter) => waiter.seq !== seq);
    return this.wake();
  }

  /** Everybody for whom there is room, oldest first. */
  wake(): number[] {
    const woken: number[] = [];
    for (const waiter of this.line) {
      if (waiter.wokenAtMs !== null) continue;
      const comeFirst = this.#olderThan(waiter).filter((other) => this.#isReserved(other));
      const called = this.line.filter((other) => other.wokenAtMs !== null && this.#isThere(other));
      if ([...this.holders, ...comeFirst, ...called].some((other) => clash(waiter.wants, other.wants))) continue;
      waiter.wokenAtMs = this.nowMs;
      woken.push(waiter.seq);
    }
    return woken;
  }

  #isBlocked(wants: readonly LockWant[], older: readonly Waiter[]): boolean {
    return [...this.holders, ...older.filter((waiter) => this.#isReserved(waiter))].some((other) => clash(wants, other.wants));
  }

  #join(seq: number, wants: readonly LockWant[]): void {
    this.line.push({ seq, wants, sinceMs: this.nowMs, passed: 0, wokenAtMs: null });
    this.line.sort((a, b) => a.sinceMs - b.sinceMs || a.seq - b.seq);
  }

  #olderThan({ seq, sinceMs }: { readonly seq: number; readonly sinceMs: number }): Waiter[] {
    return this.line.filter((other) => other.sinceMs < sinceMs || (other.sinceMs === sinceMs && other.seq < seq));
  }

  #isReserved(waiter: Waiter): boolean {
    return waiter.passed >= this.mostPassed && this.#isThere(waiter);
  }

  #isThere({ wokenAtMs }: Waiter): boolean {
    return wokenAtMs === null || this.nowMs - wokenAtMs < PROMISE_MS;
  }
}
