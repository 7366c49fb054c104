/**
 * Virtual clock: time moves only when the test moves it, and jumps from one due time to the next.
 * While something fires, now is exactly its due time, however far the test wants to go.
 */
import type { CancelWake, Clock } from '../../actors/kernel/clock.ts';
import { invariant } from '../../actors/kernel/errors.ts';

interface Wake {
  readonly atMs: number;
  /** Breaks ties: what was set first fires first. */
  readonly sequence: number;
  fire: (() => void) | undefined;
}

/** Cancelled wake-ups leave the heap when they come to its top, or when they are more than the others. */
const FEW_DEAD = 64;

export class VirtualClock implements Clock {
  #nowMs: number;
  /** A heap by due time, then in order of setting. */
  #wakes: Wake[] = [];
  #dead = 0;
  #sequence = 0;
  #moving = false;

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** When the next wake-up is due, in the past too; undefined when nothing waits. */
  get nextDueMs(): number | undefined {
    for (let first = this.#wakes[0]; first !== undefined; first = this.#wakes[0]) {
      if (first.fire !== undefined) return first.atMs;
      this.#pop();
      this.#dead -= 1;
    }
    return undefined;
  }

  /** Wake-ups that have not fired and have not been cancelled. */
  get pending(): number {
    return this.#wakes.length - this.#dead;
  }

  wakeAt(atMs: number, fire: () => void): CancelWake {
    invariant(!Number.isNaN(atMs), 'a wake-up is due at a number');
    const wake: Wake = { atMs, sequence: (this.#sequence += 1), fire };
    this.#wakes.push(wake);
    this.#up(this.#wakes.length - 1);
    return () => this.#cancel(wake);
  }

  advanceBy(ms: number): void {
    this.advanceTo(this.#nowMs + ms);
  }

  /** Fires all that is due until then, also what is set on the way. When one throws, time stays at its due time. */
  advanceTo(atMs: number): void {
    invariant(atMs >= this.#nowMs && atMs < Infinity, 'time goes forward, and not to its end');
    invariant(!this.#moving, 'time is not moved by what it fires');
    this.#moving = true;
    try {
      for (let dueMs = this.nextDueMs; dueMs !== undefined && dueMs <= atMs; dueMs = this.nextDueMs) {
        const { fire } = this.#pop();
        // What was set for the past is due now.
        this.#nowMs = Math.max(this.#nowMs, dueMs);
        fire!();
      }
      this.#nowMs = atMs;
    } finally {
      this.#moving = false;
    }
  }

  /** Goes to the next due time, or stays when that is past, and fires one wake-up: what it sets off comes before the next. */
  fireNext(): void {
    invariant(!this.#moving, 'time is not moved by what it fires');
    const dueMs = this.nextDueMs;
    if (dueMs === undefined) return;
    const { fire } = this.#pop();
    this.#nowMs = Math.max(this.#nowMs, dueMs);
    this.#moving = true;
    try {
      fire!();
    } finally {
      this.#moving = false;
    }
  }

  /** Time passes in which nothing fires, as over a busy process. What came due fires when time moves next. */
  stall(ms: number): void {
    invariant(ms >= 0 && ms < Infinity && !this.#moving, 'a stall takes time, and is not set off by a wake-up');
    this.#nowMs += ms;
  }

  #cancel(wake: Wake): void {
    if (wake.fire === undefined) return;
    wake.fire = undefined;
    this.#dead += 1;
    if (this.#dead <= FEW_DEAD || this.#dead * 2 <= this.#wakes.length) return;
    // A sorted array is a heap.
    this.#wakes = this.#wakes.filter(({ fire }) => fire !== undefined).toSorted((a, b) => (isBefore(a, b) ? -1 : 1));
    this.#dead = 0;
  }

  #pop(): Wake {
    const wakes = this.#wakes;
    const first = { ...wakes[0]! };
    // It can't be cancelled any more: it is out of the heap.
    wakes[0]!.fire = undefined;
    const last = wakes.pop()!;
    if (wakes.length > 0) this.#down(last);
    return first;
  }

  #up(from: number): void {
    const wakes = this.#wakes;
    const wake = wakes[from]!;
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(wake, wakes[above]!)) break;
      wakes[at] = wakes[above]!;
      at = above;
    }
    wakes[at] = wake;
  }

  /** Lets `wake` sink from the top to its place. */
  #down(wake: Wake): void {
    const wakes = this.#wakes;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= wakes.length) break;
      if (below + 1 < wakes.length && isBefore(wakes[below + 1]!, wakes[below]!)) below += 1;
      if (!isBefore(wakes[below]!, wake)) break;
      wakes[at] = wakes[below]!;
      at = below;
    }
    wakes[at] = wake;
  }
}

function isBefore(a: Wake, b: Wake): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
