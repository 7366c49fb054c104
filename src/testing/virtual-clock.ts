/**
 * Virtual clock: time moves only when the test moves it, and jumps from one due time to the next.
 * While something fires, now is exactly its due time, however far the test wants to go.
 */
import type { CancelWake, Clock } from '../../actors/kernel/clock.ts';
import { invariant } from '../../actors/kernel/errors.ts';

interface Wake {
  readonly atMs: number;
  readonly fire: () => void;
}

export class VirtualClock implements Clock {
  #nowMs: number;
  /** By due time, then in order of setting. A host keeps one wake-up at a time, so this stays short. */
  readonly #wakes: Wake[] = [];
  #moving = false;

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** When the next wake-up is due, in the past too; undefined when nothing waits. */
  get nextDueMs(): number | undefined {
    return this.#wakes[0]?.atMs;
  }

  /** Wake-ups that have not fired and have not been cancelled. */
  get pending(): number {
    return this.#wakes.length;
  }

  wakeAt(atMs: number, fire: () => void): CancelWake {
    invariant(!Number.isNaN(atMs), 'a wake-up is due at a number');
    const wake: Wake = { atMs, fire };
    const later = this.#wakes.findIndex((other) => other.atMs > atMs);
    this.#wakes.splice(later < 0 ? this.#wakes.length : later, 0, wake);
    return () => {
      const at = this.#wakes.indexOf(wake);
      if (at >= 0) this.#wakes.splice(at, 1);
    };
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
      for (let due = this.#wakes[0]; due !== undefined && due.atMs <= atMs; due = this.#wakes[0]) {
        this.#wakes.shift();
        // What was set for the past is due now.
        this.#nowMs = Math.max(this.#nowMs, due.atMs);
        due.fire();
      }
      this.#nowMs = atMs;
    } finally {
      this.#moving = false;
    }
  }
}
