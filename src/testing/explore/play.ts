/**
 * Play: a trace, sentence by sentence, on the transition function itself. What a search or an argument
 * says of a trace is true when it is played.
 */
import type { Move, StateSpace } from './space.ts';

export interface Played {
  /** The state at the start, and after each move that was made. */
  readonly states: readonly Uint8Array[];
  readonly moves: readonly Move[];
  /** Which sentence is no move of the state that the ones before it lead to. Undefined: all were made. */
  readonly stoppedAt: number | undefined;
}

/** The state that a space starts in. */
export function startOf(space: StateSpace): Uint8Array {
  const state = new Uint8Array(space.bytes);
  space.start(state);
  return state;
}

/** Every move of one state, with the state after it. */
export function movesFrom(space: StateSpace, state: Uint8Array): readonly { readonly move: Move; readonly state: Uint8Array }[] {
  const next = new Uint8Array(space.bytes);
  const moves: { readonly move: Move; readonly state: Uint8Array }[] = [];
  space.expand(state, 0, next, (move) => moves.push({ move: space.moves[move]!, state: next.slice() }));
  return moves;
}

/**
 * Makes moves by what they say; of several that say the same, the first. A net is to be played without
 * release first, which leaves moves out.
 */
export function play(space: StateSpace, says: readonly string[], from: Uint8Array = startOf(space)): Played {
  const states = [from];
  const moves: Move[] = [];
  for (const [at, sentence] of says.entries()) {
    const made = makeMove(space, states.at(-1)!, sentence);
    if (made === undefined) return { states, moves, stoppedAt: at };
    states.push(made.state);
    moves.push(made.move);
  }
  return { states, moves, stoppedAt: undefined };
}

function makeMove(space: StateSpace, state: Uint8Array, says: string): { readonly move: Move; readonly state: Uint8Array } | undefined {
  const next = new Uint8Array(space.bytes);
  let made: { readonly move: Move; readonly state: Uint8Array } | undefined;
  space.expand(state, 0, next, (index) => {
    const move = space.moves[index]!;
    if (made === undefined && move.says === says) made = { move, state: next.slice() };
  });
  return made;
}

/** Whether a state is dead: not home, and no move but a fault changes or achieves anything. */
export function isDead(space: StateSpace, state: Uint8Array): boolean {
  if (space.isHome?.(state, 0) === true) return false;
  return movesFrom(space, state).every(
    ({ move, state: after }) => move.class === 'fault' || (move.class !== 'progress' && after.every((byte, at) => byte === state[at])),
  );
}

/**
 * Makes a trace shorter as long as it can still be played to a state that `endsSo`: ways that lead back
 * to where they began are cut out, then parts, from half of it down to single moves, that are not needed.
 * Of what comes back no single move can be left out; a shorter trace of other moves may exist.
 */
export function shrinkTrace(space: StateSpace, says: readonly string[], endsSo: (state: Uint8Array) => boolean): readonly string[] {
  let shortest = withoutDetours(space, says);
  for (let size = Math.max(1, shortest.length >> 1); size >= 1;) {
    const candidate = withoutPart(space, shortest, size, endsSo);
    if (candidate !== undefined) shortest = withoutDetours(space, candidate);
    else size = size === 1 ? 0 : size >> 1;
  }
  return shortest;
}

/** The trace without one part of a size, later parts first, that still ends so. */
function withoutPart(space: StateSpace, says: readonly string[], size: number, endsSo: (state: Uint8Array) => boolean) {
  const { states } = play(space, says);
  for (let at = says.length - size; at >= 0; at -= 1) {
    // What comes before the part stays as it was.
    const rest = play(space, says.slice(at + size), states[at]);
    if (rest.stoppedAt === undefined && endsSo(rest.states.at(-1)!)) return says.toSpliced(at, size);
  }
  return undefined;
}

/** Each state of the way once: from the first time that it is come to, on as from the last. */
function withoutDetours(space: StateSpace, says: readonly string[]): readonly string[] {
  const states = play(space, says).states.map((state) => state.join());
  const kept: string[] = [];
  for (let at = states.lastIndexOf(states[0]!); at < says.length; at = states.lastIndexOf(states[at + 1]!)) kept.push(says[at]!);
  return kept;
}
