/** Line: what waits for whoever is free. A value; its head is taken without copying the rest. */
import type { ClaimedTask } from '../ports/store.ts';

export interface Line {
  readonly tasks: readonly ClaimedTask[];
  /** So many of `tasks` have been taken already: fewer than half of them, between two decisions. */
  readonly taken: number;
}

export const EMPTY: Line = { tasks: [], taken: 0 };

export const lengthOf = ({ tasks, taken }: Line): number => tasks.length - taken;

/** What waits, the head first. */
export const waitingIn = ({ tasks, taken }: Line): readonly ClaimedTask[] => (taken === 0 ? tasks : tasks.slice(taken));

/** The line without its first `count`. Those are forgotten once they are half of it, so that it does not keep what is over. */
export function without({ tasks, taken }: Line, count: number): Line {
  if (count === 0) return { tasks, taken };
  const gone = taken + count;
  return gone * 2 < tasks.length ? { tasks, taken: gone } : { tasks: tasks.slice(gone), taken: 0 };
}
