/** Invariant of schedules: their turns come one after the other, each once. */
import type { Invariant } from './invariant.ts';

export const TURNS: Invariant = {
  name: 'turns',
  promise: 'each turn of a schedule is fired once, in order, and not before its time',
  check(_topology, broken) {
    /** By schedule: its next turn, as whoever wrote the row last said. */
    const turns = new Map<string, number>();
    return {
      'store.scheduled': ({ name, nextAtMs }) => void turns.set(name, nextAtMs),
      'store.unscheduled': ({ name }) => void turns.delete(name),
      'store.fired': ({ firing: { name, atMs, nextAtMs }, nowMs }) => {
        const next = turns.get(name);
        if (next === undefined) broken(`${name} is fired, and there is no such schedule`);
        else if (next !== atMs) broken(`${name} fires its turn of ${atMs}, and its next is that of ${next}`);
        if (nowMs < atMs) broken(`${name} fires its turn of ${atMs} ${atMs - nowMs} ms early`);
        if (nextAtMs <= atMs) broken(`${name} comes from its turn of ${atMs} to that of ${nextAtMs}`);
        turns.set(name, nextAtMs);
      },
    };
  },
};
