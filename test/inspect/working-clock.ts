/**
 * A clock of a process that works: time passes while something runs (`spend`), timers are late then, and
 * those that are due fire in order of setting.
 */
import type { CancelWake, Clock } from '../../actors/kernel/clock.ts';

export class WorkingClock implements Clock {
  #nowMs = 0;
  #wakes: { readonly atMs: number; readonly fire: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  wakeAt(atMs: number, fire: () => void): CancelWake {
    // A timer of no time takes one millisecond, as in Node.
    const wake = { atMs: Math.max(atMs, this.#nowMs + 1), fire };
    this.#wakes.push(wake);
    return () => {
      this.#wakes = this.#wakes.filter((other) => other !== wake);
    };
  }

  get pending(): number {
    return this.#wakes.length;
  }

  /** Something runs for so long. */
  spend(ms: number): void {
    this.#nowMs += ms;
  }

  /** Lets time pass, and fires what is due. */
  run(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#wakes.toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#wakes = this.#wakes.filter((wake) => wake !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fire();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }
}
