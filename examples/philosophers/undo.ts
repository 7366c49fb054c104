/**
 * Undo: why a run in turn can be judged without going all the way round. Fifty careful philosophers
 * come back to the table they began with, but after more rounds than anybody can play (ten after 817,
 * fifteen after 176,126, twenty after 10,729,403).
 *
 * 1. A turn changes one philosopher, by what it and its two neighbours hold. If different holdings of
 *    its own never end alike while the neighbours' are the same, the turn can be undone: no two tables
 *    lead to one. A round is one turn of each, so a round can be undone too.
 * 2. There are finitely many tables, so the run comes to one that it has seen. The first such table is
 *    the one it began with: any other would have two tables before it.
 * 3. So whatever happens once on the way happens again and again. Nothing is dead, and whoever eats
 *    once never starves.
 */
import type { Strategy } from './strategies.ts';
import { HOLDINGS, isFree, LEFT, playTurn, RIGHT } from './table.ts';

/** Whether every turn at a table in sequential mode can be undone. Goes through all that a turn depends on. */
export function canBeUndone(seats: number, strategy: Strategy): boolean {
  return Array.from({ length: seats }, (_, seat) => seat).every((seat) =>
    HOLDINGS.every((left) => HOLDINGS.every((right) => endsApart(seats, strategy, seat, left, right))),
  );
}

function endsApart(seats: number, strategy: Strategy, seat: number, left: number, right: number): boolean {
  const table = new Uint8Array(seats);
  const ends = new Set<number>();
  for (const own of HOLDINGS) {
    table.fill(0);
    table[(seat + seats - 1) % seats] = left;
    table[(seat + 1) % seats] = right;
    const leftIsTaken = !isFree(table, seat);
    const rightIsTaken = !isFree(table, (seat + 1) % seats);
    // No two hold one fork.
    if (((own & LEFT) !== 0 && leftIsTaken) || ((own & RIGHT) !== 0 && rightIsTaken)) continue;
    table[seat] = own;
    playTurn(table, seat, strategy);
    if (ends.has(table[seat])) return false;
    ends.add(table[seat]);
  }
  return true;
}
