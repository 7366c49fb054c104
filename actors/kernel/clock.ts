/**
 * Clock: the only source of time. Decisions get `nowMs` as an argument; the host reads it here.
 *
 * `nowMs()` never goes back: it is anchored to the wall clock once and then follows the monotonic
 * one, so a deadline computed today still means the same after the operator sets the date.
 */
export interface Clock {
  /** Milliseconds since the epoch, monotonic within the process, with a fraction. */
  nowMs(): number;
  /** Calls `fire` once, no earlier than `atMs`. Returns what cancels it. */
  wakeAt(atMs: number, fire: () => void): CancelWake;
}

export type CancelWake = () => void;

/** Node clamps longer timers to 1 ms; a longer wait is made of several. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** The clock of production: wall time at start, monotonic from then on. */
export function systemClock(): Clock {
  const anchorMs = performance.timeOrigin;
  const nowMs = (): number => anchorMs + performance.now();
  const wakeAt = (atMs: number, fire: () => void): CancelWake => {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const leftMs = atMs - nowMs();
      // Node may fire a fraction of a millisecond early, hence the rounding up.
      timer = setTimeout(() => (nowMs() >= atMs ? fire() : arm()), Math.min(LONGEST_TIMER_MS, Math.max(0, Math.ceil(leftMs))));
    };
    arm();
    return () => clearTimeout(timer);
  };
  return { nowMs, wakeAt };
}
