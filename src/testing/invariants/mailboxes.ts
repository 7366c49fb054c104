/** Invariants of mailboxes: a task is in one place, steals keep to their threshold, and nothing grows without bound. */
import { isTerminal } from '../../../actors/ports/store.ts';
import type { Held } from '../../../actors/ports/store.ts';
import type { QueueState } from '../../../actors/queue.ts';
import { lengthOf, waitingIn } from '../../../actors/queue/line.ts';
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

  /** What a victim keeps in its mailbox at least. A threshold that is deeper than a mailbox may be reaches into the box. */
  keeps(kind: string): number {
    return Math.min(...this.#of(kind).flatMap(({ stealAbove = [], capacity = [] }) => [stealAbove, capacity].flat()));
  }

  maySteal(kind: string): boolean {
    return this.#of(kind).some(({ mode }) => mode === 'steal');
  }

  /** Nothing waits for one worker that any would do for. */
  bindsNothing(kind: string): boolean {
    return this.#of(kind).every(({ mode = 'steal' }) => mode === 'steal');
  }

  #of(kind: string): readonly MailboxOptions[] {
    return [this.#plans[kind]!.mailbox, ...(this.#said.get(kind) ?? [])];
  }
}

export const S13: Invariant = {
  name: 'S13',
  promise:
    'an idle worker steals only where that is the mode and only from behind the threshold, nothing waits for one worker that any would do for, and a task is in one mailbox, the line or one slot only',
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
        const place = ({ id, fence }: Held): void => {
          const name = `${id} under fence ${fence}`;
          if (places.has(name)) broken(`${name} is in two places of the queue of ${kind}`);
          places.add(name);
        };
        for (const { worker, mailbox, run } of state.slots) {
          if (run !== null) place(run);
          for (const task of mailbox) {
            place(task);
            if (task.affinity === null && ways.bindsNothing(kind))
              broken(`${task.id} would go to any worker, and waits in the mailbox of ${worker}`);
          }
        }
        for (const task of waitingIn(state.line)) place(task);
        const free = state.slots.find(({ run, leaving }) => run === null && !leaving);
        if (free !== undefined && lengthOf(state.line) > 0) broken(`${free.worker} is idle before the line of ${kind}`);
      }
    };
    return {
      'mailboxes.configured': ({ kind, mailboxes }) => ways.configured(kind, mailboxes),
      'scene.still': ({ look: { queue } }) => look(queue),
      'mailbox.stolen': ({ kind, steal: { thief, victim, count }, left }) => {
        if (!ways.maySteal(kind)) broken(`${thief} stole ${count} from ${victim}, and nobody of ${kind} may steal`);
        const keeps = ways.keeps(kind);
        if (left < keeps) broken(`${thief} stole ${count} from ${victim} and left ${left}; only what lies behind ${keeps} may be stolen`);
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
          const { slots, line } = queue(kind) ?? { slots: [], line: undefined };
          if (line !== undefined && lengthOf(line) > capacity * Math.max(1, slots.length))
            broken(`the line of ${kind} holds ${lengthOf(line)} tasks, ${capacity} fit for each worker`);
          for (const { worker, mailbox } of slots)
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
