/** Invariants of mailboxes: a task is in one place, steals keep to their threshold, and nothing grows without bound. */
import { isTerminal } from '../../../actors/ports/store.ts';
import type { QueueState } from '../../../actors/queue.ts';
import type { MailboxOptions } from '../../runtime/kinds.ts';
import type { Topology } from '../../topology/fleet.ts';
import type { Look } from './fact.ts';
import type { Invariant } from './invariant.ts';

/** The change is on its way for a while, and the next process knows nothing of it: every way that was said to be so may be. */
class Ways {
  readonly #plans: Topology['kinds'];
  readonly #said = new Map<string, MailboxOptions[]>();

  constructor(plans: Topology['kinds']) {
    this.#plans = plans;
  }

  configured(kind: string, mailboxes: MailboxOptions): void {
    const said = this.#said.get(kind);
    if (said === undefined) this.#said.set(kind, [mailboxes]);
    else said.push(mailboxes);
  }

  capacity(kind: string): number {
    return Math.max(...this.#of(kind).flatMap(({ capacity = [] }) => capacity));
  }

  stealAbove(kind: string): number {
    return Math.min(...this.#of(kind).flatMap(({ stealAbove = [] }) => stealAbove));
  }

  maySteal(kind: string): boolean {
    return this.#of(kind).some(({ mode }) => mode === 'steal');
  }

  #of(kind: string): readonly MailboxOptions[] {
    return [this.#plans[kind]!.mailbox, ...(this.#said.get(kind) ?? [])];
  }
}

export const S13: Invariant = {
  name: 'S13',
  promise:
    'an idle worker steals only where that is the mode and only from behind the threshold, and a task is in one mailbox or one slot only',
  check({ kinds }, broken) {
    const ways = new Ways(kinds);
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
      'mailboxes.configured': ({ kind, mailboxes }) => ways.configured(kind, mailboxes),
      'scene.still': ({ look: { queue } }) => look(queue),
      'mailbox.stolen': ({ kind, steal: { thief, victim, count }, left }) => {
        if (!ways.maySteal(kind)) broken(`${thief} stole ${count} from ${victim}, and nobody of ${kind} may steal`);
        const stealAbove = ways.stealAbove(kind);
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
    const ways = new Ways(kinds);
    const rows = new Map<string, number>();
    return {
      'mailboxes.configured': ({ kind, mailboxes }) => ways.configured(kind, mailboxes),
      'scene.still': ({ look: { queue } }) => {
        for (const kind in kinds) {
          const capacity = ways.capacity(kind);
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
