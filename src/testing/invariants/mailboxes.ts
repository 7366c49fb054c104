/** Invariants of mailboxes: a task is in one place, steals keep to their threshold, and nothing grows without bound. */
import { isTerminal } from '../../../actors/ports/store.ts';
import type { QueueState } from '../../../actors/queue.ts';
import type { Look } from './fact.ts';
import type { Invariant } from './invariant.ts';

export const S13: Invariant = {
  name: 'S13',
  promise: 'an idle worker steals only from behind the threshold, and a task is in one mailbox or one slot only',
  check({ kinds }, broken) {
    /** What was looked at is not looked at again. */
    const seen = new Map<string, QueueState>();
    const look = (queueOf: Look['queue']): void => {
      for (const kind in kinds) {
        const state = queueOf(kind);
        if (state === undefined || seen.get(kind) === state) continue;
        seen.set(kind, state);
        const places = new Set<string>();
        for (const { mailbox, run } of state.slots) {
          for (const { id, fence } of run === null ? mailbox : [run, ...mailbox]) {
            const name = `${id} under fence ${fence}`;
            if (places.has(name)) broken(`${name} is in two places of the queue of ${kind}`);
            places.add(name);
          }
        }
      }
    };
    return {
      'scene.still': ({ look: { queue } }) => look(queue),
      'mailbox.stolen': ({ kind, steal: { thief, victim, count }, left }) => {
        const { stealAbove } = kinds[kind]!.mailbox;
        if (left < stealAbove)
          broken(`${thief} stole ${count} from ${victim} and left ${left}; only what lies behind ${stealAbove} may be stolen`);
      },
    };
  },
};

export const B1: Invariant = {
  name: 'B1',
  promise: 'what is held in memory or kept for a task stays within its bounds',
  check({ kinds, bounds }, broken) {
    const rows = new Map<string, number>();
    return {
      'scene.still': ({ look: { queue } }) => {
        for (const kind in kinds) {
          const { capacity } = kinds[kind]!.mailbox;
          for (const { worker, mailbox } of queue(kind)?.slots ?? [])
            if (mailbox.length > capacity) broken(`the mailbox of ${worker} holds ${mailbox.length} tasks, ${capacity} fit`);
        }
      },
      'store.remembered': ({ item: { id, place, value } }) => {
        const count = (rows.get(id) ?? 0) + 1;
        rows.set(id, count);
        if (count > bounds.operations) broken(`${id} remembers ${count} operations, a run has ${bounds.operations} at most`);
        // A unit of UTF-16 is at least one byte of UTF-8.
        if (value.length > bounds.payloadBytes)
          broken(`${id} remembers ${value.length} characters at ${place}, ${bounds.payloadBytes} bytes fit`);
      },
      'store.settled': ({ settlement, outcome }) => {
        if (isTerminal(outcome.status)) rows.delete(settlement.id);
      },
    };
  },
};
