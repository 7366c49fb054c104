/**
 * Lock step: a way to look for trouble at tables with too many orders to search. Everybody makes the
 * same move, one after the other; then everybody makes the next. Of all the orders this leaves a few,
 * so nothing is proved by it; what it finds has been played, move by move, on the table itself.
 */
import { isDead, play, startOf } from './kit.ts';
import type { StateSpace } from './kit.ts';
import { atSeat } from './words.ts';

export interface Trouble {
  readonly kind: 'deadlock' | 'livelock';
  readonly trace: readonly string[];
  /** Of a livelock: comes back to where it began, everybody moves in it, and nobody eats. */
  readonly cycle: readonly string[];
}

/** Breadth first over what everybody can do alike; `phases` are moves of philosopher 0. Nothing is found where none of them leads on. */
export function searchInLockStep(space: StateSpace, seats: number, phases: readonly string[]): Trouble | undefined {
  interface Way {
    readonly state: Uint8Array;
    readonly steps: readonly { readonly says: readonly string[]; readonly achieves: boolean; readonly from: string }[];
  }
  const start: Way = { state: startOf(space), steps: [] };
  const ways = [start];
  const seen = new Set([start.state.join()]);
  for (const { state, steps } of ways) {
    if (isDead(space, state)) return { kind: 'deadlock', trace: steps.flatMap(({ says }) => says), cycle: [] };
    for (const phase of phases) {
      const says = Array.from({ length: seats }, (_, seat) => atSeat(phase, seat, seats));
      const { states, moves, stoppedAt } = play(space, says, state);
      if (stoppedAt !== undefined) continue;
      const after = states.at(-1)!;
      const achieves = moves.some((move) => move.class === 'progress');
      const way = { state: after, steps: [...steps, { says, achieves, from: state.join() }] };
      const backTo = way.steps.findIndex(({ from }) => from === after.join());
      if (backTo !== -1 && way.steps.slice(backTo).every((step) => !step.achieves)) {
        const sentences = (some: Way['steps']) => some.flatMap((step) => step.says);
        return { kind: 'livelock', trace: sentences(way.steps.slice(0, backTo)), cycle: sentences(way.steps.slice(backTo)) };
      }
      if (seen.has(after.join())) continue;
      seen.add(after.join());
      ways.push(way);
    }
  }
  return undefined;
}
