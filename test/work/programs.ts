/** Programs: what the run of a task does, as its input, so that whoever finds the task knows what must come of it. */
import type { Random } from '../../actors/kernel/random.ts';

export type Op =
  | { readonly at: 'step'; readonly name: string }
  /** `fails`: undoing it does at the first time, or until somebody has mended what it needs. */
  | { readonly at: 'undoable'; readonly name: string; readonly fails?: 'once' | 'until mended' }
  | { readonly at: 'ask'; readonly program: Program }
  /** Asks, and does not wait for it for long. */
  | { readonly at: 'race'; readonly program: Program }
  | { readonly at: 'sleep'; readonly ms: number }
  /** Waits for the next `go`. */
  | { readonly at: 'event' }
  | { readonly at: 'approval'; readonly name: string }
  | { readonly at: 'add'; readonly row: string; readonly by: number }
  | { readonly at: 'widen'; readonly rows: readonly string[] };

export interface Program {
  readonly ops: readonly Op[];
  readonly writes: readonly string[];
  readonly reads: readonly string[];
  readonly key?: string;
  readonly affinity?: string;
  /** `late`: after it was rejected once. `badly`: it is rejected until it is dead. */
  readonly ends: 'well' | 'late' | 'badly';
}

export const ROWS = ['a', 'b', 'c'] as const;

interface Chances {
  readonly failing: Random;
  readonly racing: Random;
}

/** How many tasks there are in a drawn day, and what their programs are. */
export function drawDay(random: Random): readonly Program[] {
  const chances = { failing: random.fork('failing'), racing: random.fork('racing') };
  return Array.from({ length: 4 + random.int(8) }, () => drawProgram(random, chances, 0));
}

/**
 * @param chances of their own: for compensations that fail, and for asks that are not waited for
 * @param depth 0 for a task from outside: only those are told of events, and have order keys
 */
export function drawProgram(random: Random, chances: Chances, depth: number): Program {
  const { failing, racing } = chances;
  const writes = ROWS.filter(() => random.int(3) === 0);
  const reads = ROWS.filter((row) => !writes.includes(row) && random.int(4) === 0);
  const mine: string[] = [...writes];
  const drawOp = (_: unknown, at: number): Op => {
    const choice = random.int(16);
    if (choice < 4) return { at: 'step', name: `s${at}` };
    if (choice < 6 && depth < 2) return { at: racing.int(3) === 0 ? 'race' : 'ask', program: drawProgram(random, chances, depth + 1) };
    if (choice === 6) return { at: 'sleep', ms: random.int(3) === 0 ? random.int(6_000) : random.int(200) };
    if (choice === 7 && depth === 0) return { at: 'event' };
    if (choice === 8 && depth === 0) return { at: 'approval', name: `p${at}` };
    if (choice < 11) {
      const draw = failing.int(6);
      const fails = draw === 0 ? 'once' : draw === 1 ? 'until mended' : undefined;
      return { at: 'undoable', name: `u${at}`, ...(fails === undefined ? {} : { fails }) };
    }
    if (choice === 11) {
      const rows = ROWS.filter(() => random.int(2) === 0);
      mine.push(...rows);
      return { at: 'widen', rows };
    }
    if (mine.length === 0) return { at: 'step', name: `s${at}` };
    return { at: 'add', row: mine[random.int(mine.length)]!, by: 1 + random.int(9) };
  };
  const ops = Array.from({ length: 1 + random.int(5) }, drawOp);
  const end = random.int(8);
  return {
    ops,
    writes,
    reads,
    ...(depth === 0 && random.int(2) === 0 ? { key: `key ${random.int(2)}` } : {}),
    ...(random.int(2) === 0 ? { affinity: `desk ${random.int(2)}` } : {}),
    ends: end === 0 ? 'badly' : end === 1 ? 'late' : 'well',
  };
}

/** Whether a task of its order key may go before it has ended: it waits for what that one might bring. */
export function letsOthersBy({ ops }: Program): boolean {
  return ops.some(({ at }) => at === 'ask' || at === 'race' || at === 'event' || at === 'approval');
}

export function eventsOf({ ops }: Program): number {
  return ops.filter(({ at }) => at === 'event').length;
}
