/** D10, D12 and D14: a store that awaits a message in a transaction, a fleet that lives by hints, and a line that ends at its first task. */
import { agent, defineFleet } from 'drover';
import type { Clock } from '../../../actors/kernel/clock.ts';
import type { DeciderSnapshot } from '../../../actors/kernel/decider.ts';
import type { Store } from '../../../actors/ports/store.ts';
import { queueLogic } from '../../../actors/queue.ts';
import type { QueueMessage, QueueState } from '../../../actors/queue.ts';
import type { Parts } from '../../../src/runtime/internals.ts';
import { performed } from '../../../src/testing/deadlock/subject.ts';
import type { Subject } from '../../../src/testing/deadlock/subject.ts';
import type { SimulationInternals } from '../../../src/testing/simulate/internals.ts';
import { HEAL_MS } from './plant.ts';
import type { Plant } from './plant.ts';

const clerks = defineFleet({ name: 'clerks', staggerMs: 0, agents: { clerk: agent({ run: async (text: string) => text }) } });

const hints = (internals: SimulationInternals): Subject =>
  performed(clerks, {
    durationMs: 2_000,
    healMs: HEAL_MS,
    faults: { messages: { lostNotifications: 1 } },
    internals: () => internals,
    work: (random) =>
      Array.from({ length: 1 + random.int(6) }, (_, at) => ({ kind: 'clerk', id: `t${at + 1}`, input: 'hello', atMs: random.int(1_500) })),
  });

/** Nobody looks through the store: what is not told is not known. */
const neverSwept = (store: Store): Store => ({ ...store, sweep: () => new Promise(() => {}) });

export const lostWakeUp: Plant = {
  code: 'D12',
  what: 'queues hear of tasks by notifications alone, and those get lost',
  instead: 'the store is swept',
  faulty: hints({ store: neverSwept }),
  correct: hints({}),
  kind: 'deadlock',
  invariant: 'L1',
  says: /t\d+ is queued, attempt 0/,
  // The task is accepted, and what says so is lost.
  smallest: { tasks: 1, steps: 2 },
};

/** Forgets what it is told while it waits for an answer of the store. */
const forgetful = ((clock: Clock) => {
  const real = queueLogic(clock);
  return {
    ...real,
    transition: (snapshot: DeciderSnapshot<QueueState>, message: QueueMessage, scope: never) =>
      message.type === 'queue.ready' && snapshot.state.claiming ? snapshot : real.transition(snapshot, message, scope),
  };
}) as unknown as Parts['queue'];

/** Commands take a while, so that something may come between the question and its answer. */
const slow = (internals: SimulationInternals): Subject =>
  performed(clerks, {
    durationMs: 2_000,
    healMs: HEAL_MS,
    faults: { store: { delayMs: 40 } },
    internals: () => internals,
    work: (random) =>
      Array.from({ length: 1 + random.int(6) }, (_, at) => ({ kind: 'clerk', id: `t${at + 1}`, input: 'hello', atMs: random.int(100) })),
  });

export const wakeUpBetween: Plant = {
  code: 'D12',
  what: 'a notification that comes while a claim is under way is forgotten, where nothing is swept',
  instead: 'it is remembered until the claim has come back',
  faulty: slow({ parts: { queue: forgetful }, store: neverSwept }),
  correct: slow({ store: neverSwept }),
  kind: 'deadlock',
  invariant: 'L1',
  says: /t\d+ is queued, attempt 0/,
  // A task is accepted between a claim that was too early for it and that claim's answer; another one has made the queue ask.
  smallest: { tasks: 2, steps: 6 },
};

/** One connection. A submission tells the queue and waits, in its transaction, until that has claimed. */
function tellingInATransaction(store: Store): Store {
  let last: Promise<unknown> = Promise.resolve();
  let claimed = (): void => {};
  const alone = <T>(body: () => Promise<T>): Promise<T> => {
    const mine = last.then(body);
    last = mine.catch(() => {});
    return mine;
  };
  return {
    ...store,
    submit: (tasks, nowMs) =>
      alone(async () => {
        await new Promise<void>((resolve) => (claimed = resolve));
        return store.submit(tasks, nowMs);
      }),
    claim: (command) =>
      alone(async () => {
        const tasks = await store.claim(command);
        claimed();
        return tasks;
      }),
  };
}

const transactions = (internals: () => SimulationInternals): Subject =>
  performed(clerks, {
    durationMs: 2_000,
    healMs: HEAL_MS,
    internals,
    work: (random) => Array.from({ length: 1 + random.int(6) }, (_, at) => ({ kind: 'clerk', id: `t${at + 1}`, input: 'hello' })),
  });

export const transaction: Plant = {
  code: 'D10',
  what: 'a transaction waits for an answer that needs the same connection',
  instead: 'a transaction waits for nobody',
  faulty: transactions(() => ({ store: tellingInATransaction })),
  correct: transactions(() => ({})),
  kind: 'deadlock',
  invariant: 'L1',
  says: /never answered/,
  // Nothing is ever committed.
  smallest: { tasks: 1, steps: 0 },
};

/** Levels of priority that no waiting makes up for here. */
const LONG = 1_000;

/** Strictly in order: the next one is handed out when the one before has ended. */
function inOrder(store: Store): Store {
  const line: string[] = [];
  return {
    ...store,
    submit: async (tasks, nowMs) => {
      // A retry stands in line from when it came due; here it is the head that goes first, whatever has become of it.
      const ranked = tasks.map((task, at) => ({ ...task, priority: -LONG * (line.length + at) }));
      const outcomes = await store.submit(ranked, nowMs);
      for (const [at, { id }] of tasks.entries()) if (outcomes[at]!.at === 'accepted') line.push(id);
      return outcomes;
    },
    claim: async (command) => {
      const head = (await store.get(line)).find((task) => task !== undefined && task.finishedAtMs === null);
      if (head?.status !== 'queued') return [];
      return store.claim({ ...command, wants: [{ kind: head.kind, limit: 1 }] });
    },
  };
}

const ordered = (attempts: number): Subject => {
  const line = agent({
    attempts,
    backoff: () => 1_000,
    run: async (text: string) => {
      if (text === 'poison') throw new Error('cannot be read');
      return text;
    },
  });
  return performed(defineFleet({ name: 'ordered', staggerMs: 0, agents: { line } }), {
    durationMs: 2_000,
    healMs: HEAL_MS,
    internals: () => ({ store: inOrder }),
    work: (random) => {
      const count = 2 + random.int(5);
      // Somebody comes after it.
      const poisoned = random.int(count - 1);
      return Array.from({ length: count }, (_, at) => ({
        kind: 'line' as const,
        id: `t${at + 1}`,
        input: at === poisoned ? 'poison' : 'hello',
      }));
    },
  });
};

export const poison: Plant = {
  code: 'D14',
  what: 'the head of an ordered line fails for ever, with attempts without limit',
  instead: 'three attempts, then the dead letters',
  faulty: ordered(Number.MAX_SAFE_INTEGER),
  correct: ordered(3),
  kind: 'starvation',
  invariant: 'L1',
  says: /waits for a worker of line/,
  // Both are accepted. The first one is claimed, started and tried again, and so on.
  smallest: { tasks: 2, steps: 2 + 3 + 1 },
};
