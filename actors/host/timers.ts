/**
 * Timers: one heap of absolute deadlines on one wake-up of the clock. Cancelling marks an entry;
 * it leaves the heap when its time comes, or when the dead outnumber the living.
 */
import type { CancelWake, Clock } from '../kernel/clock.ts';
import { invariant } from '../kernel/errors.ts';

export interface Timer {
  readonly atMs: number;
  /** Breaks ties: what was set first fires first. */
  readonly sequence: number;
  readonly fire: () => void;
  /** Still to come. */
  live: boolean;
  /** Also when it came too late to keep it from firing: what it set off can still be called back. */
  cancelled: boolean;
}

export class Timers {
  readonly #clock: Clock;
  readonly #heap: Timer[] = [];
  #sequence = 0;
  #dead = 0;
  #closed = false;
  #wake: { readonly atMs: number; readonly cancel: CancelWake } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Timers that will still fire. */
  get pending(): number {
    return this.#heap.length - this.#dead;
  }

  set(atMs: number, fire: () => void): Timer {
    // It would be due never, and hold up whatever lies below it in the heap.
    invariant(!Number.isNaN(atMs), 'a timer is due at a number');
    const timer: Timer = { atMs, sequence: (this.#sequence += 1), fire, live: !this.#closed, cancelled: false };
    if (this.#closed) return timer;
    this.#heap.push(timer);
    this.#up(this.#heap.length - 1);
    this.#arm();
    return timer;
  }

  cancel(timer: Timer): void {
    timer.cancelled = true;
    if (!timer.live) return;
    timer.live = false;
    this.#dead += 1;
    if (this.#dead > 64 && this.#dead > this.#heap.length / 2) this.#sweep();
    this.#arm();
  }

  /** Forgets everything, so that nothing keeps the process alive. What is set afterwards never fires. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#heap) timer.live = false;
    this.#heap.length = 0;
    this.#dead = 0;
    this.#arm();
  }

  #fireDue(): void {
    this.#wake = undefined;
    const nowMs = this.#clock.nowMs();
    const latest = this.#sequence;
    try {
      for (let first = this.#heap[0]; first !== undefined && (first.atMs <= nowMs || !first.live); first = this.#heap[0]) {
        // Set by one of these: whoever has been called goes on first, and promises are taken further between two turns only.
        if (first.sequence > latest) break;
        this.#pop();
        if (!first.live) {
          this.#dead -= 1;
          continue;
        }
        first.live = false;
        first.fire();
      }
    } finally {
      // One that throws does not hold up the others.
      this.#arm();
    }
  }

  #arm(): void {
    while (this.#heap[0]?.live === false) {
      this.#pop();
      this.#dead -= 1;
    }
    const nextMs = this.#heap[0]?.atMs;
    // A wake-up that comes too early only arms the next one; that is cheaper than moving it each time.
    if (nextMs !== undefined && this.#wake !== undefined && this.#wake.atMs <= nextMs) return;
    this.#wake?.cancel();
    this.#wake = nextMs === undefined ? undefined : { atMs: nextMs, cancel: this.#clock.wakeAt(nextMs, () => this.#fireDue()) };
  }

  #sweep(): void {
    const living = this.#heap.filter((timer) => timer.live).toSorted(byDeadline);
    this.#heap.length = 0;
    // A sorted array is a heap.
    for (const timer of living) this.#heap.push(timer);
    this.#dead = 0;
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#down(0);
  }

  #up(start: number): void {
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (byDeadline(this.#heap[parent]!, this.#heap[at]!) <= 0) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #down(start: number): void {
    let at = start;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= this.#heap.length) return;
      const right = left + 1;
      const child = right < this.#heap.length && byDeadline(this.#heap[right]!, this.#heap[left]!) < 0 ? right : left;
      if (byDeadline(this.#heap[at]!, this.#heap[child]!) <= 0) return;
      this.#swap(at, child);
      at = child;
    }
  }

  #swap(a: number, b: number): void {
    const held = this.#heap[a]!;
    this.#heap[a] = this.#heap[b]!;
    this.#heap[b] = held;
  }
}

function byDeadline(a: Timer, b: Timer): number {
  return a.atMs - b.atMs || a.sequence - b.sequence;
}
