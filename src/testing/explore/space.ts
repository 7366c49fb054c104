/**
 * State space: what a search needs to know of a system. A state is a row of bytes; nothing is an
 * object, so that millions of states fit.
 */

/**
 * What a move is to the verdicts: `step` moves somebody, `progress` achieves something, `release`
 * only gives, `fault` is done to the system. Nothing may be hoped from a fault: a state that only a
 * crash would free counts as dead.
 */
export type MoveClass = 'step' | 'progress' | 'release' | 'fault';

/** One label of a state space: the same move may be made in many states. */
export interface Move {
  readonly class: MoveClass;
  /** Who moves: an index of `actors`. */
  readonly actor: number;
  /** Whom it gets further: indexes of `actors`. Not empty exactly when the class is `progress`. */
  readonly achieves: readonly number[];
  /** The move as a sentence. */
  readonly says: string;
}

/** A system to search: where it starts, and what can happen in a state. Deterministic. */
export interface StateSpace {
  /** Size of a state. At least 1. */
  readonly bytes: number;
  readonly actors: readonly string[];
  /** May grow while states are expanded. At most 65,535. */
  readonly moves: readonly Move[];
  /** Writes the initial state; `into` is zero before. */
  start(into: Uint8Array): void;
  /**
   * Finds every successor of the state that begins at `at`: writes it into `next` (`bytes` long, with
   * any content before) and calls `found` with the move.
   */
  expand(states: Uint8Array, at: number, next: Uint8Array, found: (move: number) => void): void;
  /** Whether all is idle: nothing is left to do. Absent where a system has no such state. */
  readonly isHome?: (states: Uint8Array, at: number) => boolean;
  /** Whether this actor has something to do, that is, would starve if it never got further. */
  isBusy(actor: number, states: Uint8Array, at: number): boolean;
}
