/** Limiter state: who is out, who waits, what is known of rates and breaker, and the limiter's own time. */
import { mayIssue } from '../breaker/breaker.ts';
import type { Breaker } from '../breaker/breaker.ts';
import type { Regulator } from './regulator.ts';
import type { WaitLine } from './wait-line.ts';

/** Times are the limiter's own, except `dueAtMs`. */
export interface LimiterState {
  readonly regulator: Regulator;
  readonly breaker: Breaker | undefined;
  readonly capacity: number;
  readonly sheds: boolean;
  /** Slots that are taken. */
  readonly inFlight: number;
  readonly line: WaitLine;
  /** The latest event. */
  readonly timeMs: number;
  /** Own time less the host's. Grows by each step that the clock takes back. */
  readonly aheadMs: number;
  /** What the timer is set to, in the host's time. */
  readonly dueAtMs: number | undefined;
  readonly granted: number;
  readonly refused: number;
  /** Time that permits were out, and permits that came home: both fade, so their quotient is a recent mean. */
  readonly permitMs: number;
  readonly settled: number;
}

/** A state that nobody else has seen yet: whoever made it may write to it. */
export type Draft = { -readonly [Field in keyof LimiterState]: LimiterState[Field] };

/** The state at the host's `nowMs`, always a new one. */
export function at(state: LimiterState, nowMs: number): Draft {
  const timeMs = nowMs + state.aheadMs;
  if (timeMs < state.timeMs) return { ...state, aheadMs: state.timeMs - nowMs };
  return { ...state, timeMs, permitMs: state.permitMs + state.inFlight * (timeMs - state.timeMs) };
}

/** Whether the breaker would let somebody go. */
export function hasLeave({ breaker }: LimiterState): boolean {
  return breaker === undefined || mayIssue(breaker, 1) !== 'no';
}

/** Room that has been learned may be less than one call takes: it goes alone then. */
export function hasRoom({ inFlight, regulator }: LimiterState, slots: number): boolean {
  const { concurrency } = regulator;
  return inFlight + slots <= concurrency || (inFlight === 0 && concurrency >= 1);
}

/** The host's time of an own one. */
export function toHostMs(state: LimiterState, ownMs: number): number {
  return ownMs - state.aheadMs;
}
