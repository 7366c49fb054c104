/** Invariant of retention: what is forgotten has ended long enough ago. */
import { isTerminal } from '../../../actors/ports/store.ts';
import type { EndedStatus, TaskStatus } from '../../../actors/ports/store.ts';
import type { Invariant } from './invariant.ts';

/** A store notes the time at which it was asked. What it did is seen when its disk is done, or its process, which stood still, goes on. */
const LONGEST_COMMAND_MS = 30_000;

export const RETENTION: Invariant = {
  name: 'retention',
  promise: 'no task is forgotten before it has ended for as long as the topology says, nor without whoever asked for it',
  check({ retention }, broken) {
    const there = new Set<string>();
    const ends = new Map<string, { readonly status: EndedStatus; endedMs: number }>();
    const end = (id: string, status: TaskStatus, endedMs: number): void => {
      if (isTerminal(status)) ends.set(id, { status, endedMs });
    };
    return {
      // A clock that was ahead ages nothing by that.
      'store.opened': ({ nowMs }) => {
        for (const its of ends.values()) its.endedMs = Math.min(its.endedMs, nowMs);
      },
      'store.accepted': ({ task }) => void there.add(task.id),
      'store.settled': ({ settlement, outcome }, atMs) => end(settlement.id, outcome.status, atMs),
      'store.expired': ({ held }, atMs) => end(held.id, held.status, atMs),
      'store.ended': ({ id, status }, atMs) => end(id, status, atMs),
      'store.steered': ({ steering: { id, action } }) => {
        if (action === 'requeue') ends.delete(id);
      },
      'store.forgot': ({ id, parent }, atMs) => {
        const its = ends.get(id);
        there.delete(id);
        ends.delete(id);
        if (its === undefined) return broken(`${id} is forgotten, and has not ended`);
        const { status, endedMs } = its;
        const keptMs = retention[status] ?? Infinity;
        if (atMs - endedMs < keptMs - LONGEST_COMMAND_MS)
          broken(`${id} is forgotten ${Math.round(atMs - endedMs)} ms after it ended ${status}, and is to be kept for ${keptMs}`);
        if (parent !== undefined && there.has(parent)) broken(`${id} is forgotten, and ${parent}, which asked for it, is not`);
      },
    };
  },
};
