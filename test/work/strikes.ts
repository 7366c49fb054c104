/** Strikes: what happens at the commit points of a day. */
import type { StoreFault } from '../../src/testing/simulate/faulty-store.ts';
import type { Command } from '../runtime/harness.ts';
import type { Strike } from './world.ts';

export const FAULTS = ['before', 'after', 'dies-before', 'dies-after'] as const satisfies readonly StoreFault[];

/** A fleet does not come up over a store that does not open: that is for others to test. */
const SPARED: readonly Command[] = ['open', 'close', 'get', 'list', 'counts', 'story', 'schedules', 'pausedKinds', 'approvals'];

/** About one commit in forty fails, and one in a hundred and fifty is the end of the process. */
export const randomStrike: Strike = (command, _nth, random) => {
  if (SPARED.includes(command)) return undefined;
  const draw = random.int(150);
  if (draw < 4) return draw < 2 ? 'before' : 'after';
  return draw === 4 ? (random.int(2) === 0 ? 'dies-before' : 'dies-after') : undefined;
};

/** One strike of a process, at the n-th time of one command. */
export function strikeAt(wanted: Command, at: number, fault: StoreFault): Strike {
  return (command, nth) => (command === wanted && nth === at ? fault : undefined);
}
