/**
 * Actor timers: those that an actor sets by effect, one a key, and the delays of its machine. When one comes
 * due it is delivered to its incarnation like any other message, and can still be called back until its turn.
 */
import type { Message } from '../kernel/effects.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Cell } from './cell.ts';
import type { Timer, Timers } from './timers.ts';

/** A timer, or an `after` of a machine, has come due. Called back when it is cancelled before its turn. */
export interface Fire extends Message {
  readonly type: 'host.fire';
  /** What it brings; undefined for an `after`, of which XState knows. */
  readonly brings: Message | undefined;
  readonly timer: Timer;
  readonly fire: () => void;
}

const STOP_TIMER = 'host.stop-deadline';

/** Of all actors on one host. */
export class ActorTimers {
  readonly #timers: Timers;
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #deliver: (cell: Cell, fire: Fire) => void;

  /** `deliver` brings it to this cell and to no successor, in a turn of its own. */
  constructor(timers: Timers, clock: Pick<Clock, 'nowMs'>, deliver: (cell: Cell, fire: Fire) => void) {
    this.#timers = timers;
    this.#clock = clock;
    this.#deliver = deliver;
  }

  /** In place of the one before with this key. Nothing for an actor that is gone. */
  set(cell: Cell, key: string, atMs: number, message: Message): void {
    this.cancel(cell, key);
    if (!cell.live) return;
    const taken = (): void => {
      cell.timers?.delete(key);
      cell.actor.send(message);
    };
    const timer = this.#timers.set(atMs, () => this.#fire(cell, timer, taken, message));
    (cell.timers ??= new Map()).set(key, timer);
  }

  cancel(cell: Cell, key: string): void {
    const timer = cell.timers?.get(key);
    if (timer === undefined) return;
    this.#timers.cancel(timer);
    cell.timers?.delete(key);
  }

  /** Those that were set by effect. The delays of a machine go with its actor. */
  cancelAll(cell: Cell): void {
    if (cell.timers !== undefined) for (const timer of cell.timers.values()) this.#timers.cancel(timer);
    cell.timers = undefined;
  }

  /** It has been asked to stop: `kill` is called at once, not in a turn of its own, when it is still there by then. */
  stopWithin(cell: Cell, deadlineMs: number, kill: () => void): void {
    this.cancel(cell, STOP_TIMER);
    const timer = this.#timers.set(this.#clock.nowMs() + deadlineMs, () => {
      cell.timers?.delete(STOP_TIMER);
      kill();
    });
    (cell.timers ??= new Map()).set(STOP_TIMER, timer);
  }

  /** The clock of a machine's own `after`. */
  clockOf(cell: Cell) {
    return {
      setTimeout: (fire: () => void, delayMs: number): Timer => {
        const timer = this.#timers.set(this.#clock.nowMs() + delayMs, () => this.#fire(cell, timer, fire));
        return timer;
      },
      clearTimeout: this.#clear,
    };
  }

  readonly #clear = (timer: Timer): void => this.#timers.cancel(timer);

  #fire(cell: Cell, timer: Timer, fire: () => void, brings?: Message): void {
    this.#deliver(cell, { type: 'host.fire', brings, timer, fire });
  }
}
