/**
 * The table of DPBench (Hasan and BusiReddyGari, arXiv 2602.13255, version 2), rule by rule:
 *
 * - Everybody is hungry from the start, and again after each meal. Nobody thinks.
 * - Fork `i` lies to the left of philosopher `i`, fork `i + 1` to its right.
 * - One action a decision: take left, take right, release everything, wait. Taking what is not free
 *   does nothing.
 * - Who holds both forks eats: that is a meal. With its next decision, whatever that is, both forks are
 *   put down.
 * - **Simultaneous**: all decide on the same table. Releases come first; of those who want the same
 *   fork, the one with the lowest number gets it. Forks that are put down after a meal can be taken in
 *   the round after that. A round is a time step.
 * - **Sequential**: in the order of their numbers, each sees the table as the one before left it. A
 *   round is one decision of each.
 *
 * The table is deadlocked when everybody holds exactly one fork and nobody eats, and DPBench ends the
 * episode there. The search looks further: for strategies that never give way such a table is dead (a
 * round changes nothing), and polite philosophers, who put the fork back in the next round, are in a
 * livelock when they all do, and go on eating when they do so in turn.
 */
import type { Move, StateSpace } from './kit.ts';
import type { Observation, Strategy } from './strategies.ts';

export type Mode = 'simultaneous' | 'sequential';

export const LEFT = 1;
export const RIGHT = 2;
const EATS = 4;

/** All that one philosopher can hold between two rounds: nothing, one fork, or both, eating. */
export const HOLDINGS: readonly number[] = [0, LEFT, RIGHT, LEFT | RIGHT | EATS];

export interface Round {
  /** Philosophers that began to eat. */
  readonly meals: readonly number[];
}

/** Plays one round on a table of one byte a philosopher, which it changes. */
export function playRound(table: Uint8Array, strategy: Strategy, mode: Mode): Round {
  return mode === 'simultaneous' ? allAtOnce(table, strategy) : oneByOne(table, strategy);
}

function allAtOnce(table: Uint8Array, strategy: Strategy): Round {
  const seats = table.length;
  const before = table.slice();
  const actions = Array.from(table, (_, seat) => strategy(observe(before, seat)));
  for (const [seat, action] of actions.entries()) if (action === 'release') table[seat]! &= EATS;
  const released = table.slice();
  // In the order of their numbers, so that the lowest is the first to find the fork free.
  for (const [seat, action] of actions.entries()) {
    if (action === 'take left' && isFree(released, seat) && isFree(table, seat)) table[seat]! |= LEFT;
    if (action === 'take right' && isFree(released, (seat + 1) % seats) && isFree(table, (seat + 1) % seats)) table[seat]! |= RIGHT;
  }
  const meals: number[] = [];
  for (const seat of before.keys()) if (settle(table, seat, before[seat]!)) meals.push(seat);
  return { meals };
}

function oneByOne(table: Uint8Array, strategy: Strategy): Round {
  const meals: number[] = [];
  for (const seat of table.keys()) if (playTurn(table, seat, strategy)) meals.push(seat);
  return { meals };
}

/** One decision of one philosopher, who sees the table as it is. Says whether a meal began. */
export function playTurn(table: Uint8Array, seat: number, strategy: Strategy): boolean {
  const seats = table.length;
  const before = table[seat]!;
  const action = strategy(observe(table, seat));
  if (action === 'release') table[seat]! &= EATS;
  if (action === 'take left' && isFree(table, seat)) table[seat]! |= LEFT;
  if (action === 'take right' && isFree(table, (seat + 1) % seats)) table[seat]! |= RIGHT;
  return settle(table, seat, before);
}

/** Who ate puts both forks down; who has both now eats. */
function settle(table: Uint8Array, seat: number, before: number): boolean {
  if ((before & EATS) !== 0) {
    table[seat] = 0;
    return false;
  }
  if (table[seat] !== (LEFT | RIGHT)) return false;
  table[seat] |= EATS;
  return true;
}

function observe(table: Uint8Array, seat: number): Observation {
  const seats = table.length;
  const own = table[seat]!;
  return {
    seat,
    seats,
    eats: (own & EATS) !== 0,
    holdsLeft: (own & LEFT) !== 0,
    holdsRight: (own & RIGHT) !== 0,
    leftIsFree: isFree(table, seat),
    rightIsFree: isFree(table, (seat + 1) % seats),
  };
}

/** Whether nobody holds a fork. */
export function isFree(table: Uint8Array, fork: number): boolean {
  const seats = table.length;
  return (table[fork]! & LEFT) === 0 && (table[(fork + seats - 1) % seats]! & RIGHT) === 0;
}

/** The table as a space to search. What one round does follows from the table, so there is one move a state. */
export function tableSpace(seats: number, strategy: Strategy, mode: Mode): StateSpace {
  const actors = ['the table', ...Array.from({ length: seats }, (_, seat) => `philosopher ${seat}`)];
  const moves: Move[] = [];
  const known = new Map<string, number>();
  const moveFor = ({ meals }: Round): number => {
    const key = meals.join(' and ');
    const move = known.get(key);
    if (move !== undefined) return move;
    known.set(key, moves.length);
    const says =
      meals.length === 0
        ? 'a round without a meal'
        : `a round in which ${meals.length === 1 ? 'philosopher' : 'philosophers'} ${key} began to eat`;
    return moves.push({ class: meals.length === 0 ? 'step' : 'progress', actor: 0, achieves: meals.map((seat) => seat + 1), says }) - 1;
  };
  return {
    bytes: seats,
    actors,
    moves,
    start: () => {},
    expand(states, at, next, found) {
      next.set(states.subarray(at, at + seats));
      found(moveFor(playRound(next, strategy, mode)));
    },
    // Everybody is hungry all the time.
    isBusy: (actor) => actor > 0,
  };
}

/** Meals of each philosopher in so many rounds. */
export function mealsIn(rounds: number, seats: number, strategy: Strategy, mode: Mode): readonly number[] {
  const table = new Uint8Array(seats);
  const meals = Array.from({ length: seats }, () => 0);
  for (let round = 0; round < rounds; round += 1) for (const seat of playRound(table, strategy, mode).meals) meals[seat]! += 1;
  return meals;
}

/** A table in letters, one a philosopher: the fork it holds, left or right, none, or both, eating. */
export function tellTable(table: Uint8Array): string {
  const letters = ['-', 'l', 'r', 'b'];
  return Array.from(table, (own) => ((own & EATS) === 0 ? letters[own]! : 'E')).join('');
}
