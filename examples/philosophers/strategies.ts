/** Strategies: what a philosopher does with what it sees. Each takes forks one by one, as DPBench has it. */

/** What one philosopher sees of the table. */
export interface Observation {
  readonly seat: number;
  readonly seats: number;
  readonly eats: boolean;
  readonly holdsLeft: boolean;
  readonly holdsRight: boolean;
  /** Nobody has it: the philosopher's own fork is not free. */
  readonly leftIsFree: boolean;
  readonly rightIsFree: boolean;
}

export type Action = 'take left' | 'take right' | 'release' | 'wait';

export type Strategy = (seen: Observation) => Action;

/** Left, then right, whatever the others do. */
const greedy: Strategy = ({ eats, holdsLeft }) => {
  if (eats) return 'wait';
  return holdsLeft ? 'take right' : 'take left';
};

/** Takes its first fork only when it sees both free; then waits for the second. */
const careful: Strategy = ({ eats, holdsLeft, leftIsFree, rightIsFree }) => {
  if (eats) return 'wait';
  if (holdsLeft) return rightIsFree ? 'take right' : 'wait';
  return leftIsFree && rightIsFree ? 'take left' : 'wait';
};

/** As greedy, but puts its fork back when it sees the other one taken. */
const polite: Strategy = (seen) => {
  const { eats, holdsLeft, holdsRight, rightIsFree } = seen;
  return !eats && holdsLeft && !holdsRight && !rightIsFree ? 'release' : greedy(seen);
};

/** The fork with the lower number first: the last philosopher begins on its right. */
const ordered: Strategy = ({ seat, seats, eats, holdsLeft, holdsRight }) => {
  if (eats) return 'wait';
  const leftFirst = seat < (seat + 1) % seats;
  if (leftFirst) return holdsLeft ? 'take right' : 'take left';
  return holdsRight ? 'take left' : 'take right';
};

export const STRATEGIES = { greedy, careful, polite, ordered } as const satisfies Readonly<Record<string, Strategy>>;

export type StrategyName = keyof typeof STRATEGIES;
