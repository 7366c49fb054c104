/**
 * Process clock: how one simulated process sees the time of its world. It can be set ahead (`step`),
 * as when a machine has slept: every deadline of the process is nearer then, while the world, and the
 * calls that it answers, go on as before. A dead process has no wake-ups (`stop`).
 */
import type { CancelWake, Clock } from '../../actors/kernel/clock.ts';
import type { VirtualClock } from './virtual-clock.ts';

interface Wake {
  readonly atMs: number;
  readonly fire: () => void;
  cancel: CancelWake;
}

export class ProcessClock implements Clock {
  readonly #world: VirtualClock;
  readonly #wakes = new Set<Wake>();
  #aheadMs = 0;
  #stopped = false;

  constructor(world: VirtualClock) {
    this.#world = world;
  }

  nowMs(): number {
    return this.#world.nowMs() + this.#aheadMs;
  }

  /** Wake-ups that are still to come. */
  get pending(): number {
    return this.#wakes.size;
  }

  wakeAt(atMs: number, fire: () => void): CancelWake {
    const wake: Wake = { atMs, fire, cancel: () => {} };
    if (this.#stopped) return wake.cancel;
    this.#wakes.add(wake);
    this.#arm(wake);
    return () => {
      this.#wakes.delete(wake);
      wake.cancel();
    };
  }

  /** The clock is `ms` later from now on. */
  step(ms: number): void {
    this.#aheadMs += ms;
    for (const wake of this.#wakes) {
      wake.cancel();
      this.#arm(wake);
    }
  }

  /** Nothing fires any more. */
  stop(): void {
    this.#stopped = true;
    for (const wake of this.#wakes) wake.cancel();
    this.#wakes.clear();
  }

  #arm(wake: Wake): void {
    wake.cancel = this.#world.wakeAt(this.#worldMsOf(wake.atMs), () => {
      this.#wakes.delete(wake);
      wake.fire();
    });
  }

  /** When it is that late by this clock. Sums of fractions are rounded: whoever was woken before would only ask again, for ever. */
  #worldMsOf(atMs: number): number {
    const worldMs = atMs - this.#aheadMs;
    return worldMs + this.#aheadMs < atMs ? worldMs + Math.abs(worldMs) * Number.EPSILON : worldMs;
  }
}
