/** Invariant of waits: nobody waits, through others, for himself. */
import { findStuck } from '../waits/wait-graph.ts';
import type { Invariant } from './invariant.ts';

/** Looking at all waits costs as much as there are tasks. A circle stays, so it is enough to look now and then. */
const FEW_TASKS = 64;
const FIRST_LOOKS = 500;
const LOOKS_BETWEEN = 16;

export const WAITS: Invariant = {
  name: 'waits',
  promise: 'nobody waits in a circle',
  check(_topology, broken) {
    let looks = 0;
    const seen = new Set<string>();
    return {
      'scene.still': ({ look }) => {
        looks += 1;
        if ((look.unfinished.size > FEW_TASKS || looks > FIRST_LOOKS) && looks % LOOKS_BETWEEN !== 0) return;
        const stuck = findStuck(look.waits());
        if (stuck === undefined || seen.has(stuck.circle[0]!)) return;
        seen.add(stuck.circle[0]!);
        broken(`${stuck.tasks.length} tasks wait for each other: ${stuck.says.join('; ')}`);
      },
    };
  },
};
