/** Broken stores: each forgets or doubles one thing, as an adapter with a mistake would. They show that the promises can be broken. */
import { isTerminal } from '../../actors/ports/store.ts';
import type { ClaimedTask, Settlement, SettledOutcome, Store } from '../../actors/ports/store.ts';
import { override } from './ground.ts';
import type { Program } from './programs.ts';
import type { Promised } from './witness.ts';

export interface Mistake {
  /** What is seen to be broken: one of these, and first. */
  readonly breaks: readonly Promised[];
  readonly spoil: (store: Store) => Store;
  /** What is done in its days, all of it cancelled somewhen. Default: as it is drawn. */
  readonly day?: readonly Program[];
}

const HOUR_MS = 3_600_000;

const PLAIN = { writes: [], reads: [], ends: 'well' } as const;
/** Something to undo, and a while in which it is not over. */
const LONG: Program = {
  ops: [
    { at: 'undoable', name: 'u0' },
    { at: 'sleep', ms: 5_000 },
  ],
  ...PLAIN,
};

export const MISTAKES: Readonly<Record<string, Mistake>> = {
  'loses an accepted task': {
    breaks: ['S1', 'S14'],
    spoil: (store) =>
      override(store, {
        submit: async (tasks, nowMs) => {
          const kept = tasks.filter(({ id }) => id !== 't2');
          const outcomes = await store.submit(kept, nowMs);
          return tasks.map((task) => (task.id === 't2' ? { at: 'accepted' } : outcomes[kept.indexOf(task)]!));
        },
      }),
  },
  'lets a stale fence pass': {
    breaks: ['S2'],
    spoil: (store) =>
      override(store, {
        settle: async (items, nowMs) => {
          const tasks = await store.get(items.map(({ id }) => id));
          return store.settle(
            items.map((item, at): Settlement => ({ ...item, fence: tasks[at]?.fence ?? item.fence })),
            nowMs,
          );
        },
      }),
  },
  'gives fences anew': {
    breaks: ['S3', 'S2'],
    spoil: (store) => {
      const real = new Map<string, number>();
      const toReal = <T extends { readonly id: string; readonly fence: number }>(items: readonly T[]): T[] =>
        items.map((item) => ({ ...item, fence: real.get(item.id) ?? item.fence }));
      return override(store, {
        claim: async (command) => {
          const tasks = await store.claim(command);
          for (const { id, fence } of tasks) real.set(id, fence);
          return tasks.map((task) => ({ ...task, fence: 1 }));
        },
        start: (items, nowMs) => store.start(toReal(items), nowMs),
        remember: (items, nowMs) => store.remember(toReal(items), nowMs),
        renew: (items, nowMs) => store.renew(toReal(items), nowMs),
        settle: (items, nowMs) => store.settle(toReal(items), nowMs),
      });
    },
  },
  'forgets what was remembered': {
    breaks: ['S4'],
    spoil: (store) => override(store, { remember: async (items) => items.map(() => true) }),
  },
  'forgets what is to be compensated': {
    // Seen too where a later run comes to register what it should find.
    breaks: ['undo', 'end'],
    spoil: (store) =>
      override(store, {
        remember: async (items, nowMs) => {
          const kept = items.filter(({ place }) => !place.startsWith('compensate:'));
          const answers = await store.remember(kept, nowMs);
          return items.map((item) => answers[kept.indexOf(item)] ?? true);
        },
      }),
  },
  'lets writers share a lock': {
    breaks: ['S10'],
    spoil: (store) =>
      override(store, {
        submit: (tasks, nowMs) =>
          store.submit(
            tasks.map((task) => ({ ...task, locks: (task.locks ?? []).map(({ resource }) => ({ resource, mode: 'read' })) })),
            nowMs,
          ),
      }),
  },
  'forgets a lock': {
    breaks: ['S10', 'S3'],
    spoil: (store) =>
      override(store, {
        submit: (tasks, nowMs) =>
          store.submit(
            tasks.map((task) => ({ ...task, locks: [] })),
            nowMs,
          ),
      }),
  },
  'forgets an order key': {
    breaks: ['S13'],
    spoil: (store) =>
      override(store, {
        submit: (tasks, nowMs) =>
          store.submit(
            tasks.map((task) => ({ ...task, orderKey: task.id })),
            nowMs,
          ),
      }),
  },
  'doubles a wake-up': {
    breaks: ['S13'],
    spoil: (store) => {
      const held = new Map<string, ClaimedTask>();
      return override(store, {
        claim: async (command) => {
          const again = [...held.values()].slice(0, 1);
          held.clear();
          const tasks = await store.claim(command);
          for (const task of tasks) held.set(task.id, task);
          // What somebody has already is given to somebody once more, as if it had been queued twice.
          return [...tasks, ...again.map((task) => ({ ...task, fence: task.fence + 1 }))];
        },
        settle: (items, nowMs) => {
          for (const { id } of items) held.delete(id);
          return store.settle(items, nowMs);
        },
      });
    },
  },
  'loses an event': {
    breaks: ['L1'],
    spoil: (store) =>
      override(store, {
        signal: async (items) => ({ outcomes: items.map(() => ({ at: 'told' as const, n: 0 })), ready: [] }),
      }),
  },
  'wakes nobody when a child ends': {
    breaks: ['L1'],
    spoil: (store) =>
      override(store, {
        settle: (items, nowMs) => {
          const deaf = (outcome: SettledOutcome): SettledOutcome =>
            outcome.at === 'parked' ? { ...outcome, children: ['nobody'] } : outcome;
          return store.settle(
            items.map((item) => ({ ...item, outcome: deaf(item.outcome) })),
            nowMs,
          );
        },
      }),
  },
  'lets go of the locks of who is to be undone': {
    breaks: ['undo'],
    day: Array.from({ length: 6 }, (): Program => ({ ...PLAIN, ops: [{ at: 'undoable', name: 'u0' }], writes: ['a'], ends: 'badly' })),
    spoil: (store) =>
      override(store, {
        settle: async (items, nowMs) => {
          const reply = await store.settle(items, nowMs);
          const isUndone = (at: number): boolean => {
            const { at: how } = items[at]!.outcome;
            const outcome = reply.outcomes[at]!;
            return (how === 'failed' || how === 'dead') && outcome.at === 'settled' && outcome.status === 'queued';
          };
          for (const [at, { id }] of items.entries()) {
            if (!isUndone(at)) continue;
            const by = { id, by: 'nobody', reason: null };
            await store.steer([{ ...by, action: 'pause' }], nowMs);
            await store.steer([{ ...by, action: 'unpause' }], nowMs);
          }
          return reply;
        },
      }),
  },
  'leaves the children of a task that fails': {
    breaks: ['family'],
    day: Array.from({ length: 4 }, (): Program => ({ ...PLAIN, ops: [{ at: 'race', program: LONG }], ends: 'badly' })),
    spoil: (store) =>
      override(store, {
        settle: async (items, nowMs) => {
          const reply = await store.settle(items, nowMs);
          const failed = new Set(items.flatMap(({ id, outcome: { at } }) => (at === 'failed' || at === 'dead' ? [id] : [])));
          const children = (await store.list({ limit: 1_000 })).filter(({ parentId }) => parentId !== null && failed.has(parentId));
          await store.steer(
            children.map(({ id }) => ({ id, action: 'requeue', by: 'nobody', reason: null })),
            nowMs,
          );
          return reply;
        },
      }),
  },
  'does not tell who is to be undone of its children': {
    breaks: ['undo'],
    day: Array.from({ length: 4 }, (): Program => ({
      ops: [
        { at: 'undoable', name: 'u0' },
        { at: 'ask', program: LONG },
      ],
      ...PLAIN,
    })),
    spoil: (store) =>
      override(store, {
        start: async (items, nowMs) => {
          const outcomes = await store.start(items, nowMs);
          return outcomes.map((outcome) => {
            if (outcome.at !== 'started' || outcome.undo === null) return outcome;
            return { ...outcome, children: outcome.children.filter(({ status }) => isTerminal(status)) };
          });
        },
      }),
  },
  'takes no lease back': {
    breaks: ['L2'],
    spoil: (store) =>
      override(store, {
        claim: async (command) => {
          const tasks = await store.claim({ ...command, leaseUntilMs: command.leaseUntilMs + HOUR_MS });
          return tasks.map((task) => ({ ...task, leaseUntilMs: command.leaseUntilMs }));
        },
        renew: (items, nowMs) =>
          store.renew(
            items.map((item) => ({ ...item, leaseUntilMs: item.leaseUntilMs + HOUR_MS })),
            nowMs,
          ),
      }),
  },
  'counts one task too many': {
    breaks: ['S14'],
    spoil: (store) =>
      override(store, {
        counts: async () => {
          const counts = await store.counts();
          return Object.fromEntries(Object.entries(counts).map(([kind, of]) => [kind, { ...of, parked: of.parked + of.leased }]));
        },
      }),
  },
  'lets a waiter be passed without end': {
    breaks: ['L5'],
    spoil: (store) => override(store, { open: (command) => store.open({ ...command, mostPassed: 1_000_000 }) }),
  },
};
