/** The model, the memory store and the SQLite store give the same answers to the same history, whatever it is. */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Held, Store, TaskRecord } from '../../actors/ports/store.ts';
import { MemoryDisk, memoryStore } from '../../src/stores/memory.ts';
import { InlineThread } from './conformance/inline-thread.ts';
import { SqlitePlace } from './conformance/sqlite-place.ts';
import type { Place } from './conformance.ts';
import { history, PERIODS_MS, picked, SCOPES, toOutcome, toTask } from './histories.ts';
import type { Step } from './histories.ts';
import { LOST, Model } from './model.ts';
import { BudgetModel, IntentModel } from './shared-model.ts';

/** `DROVER_SEED=17 npx vitest run test/stores/histories.test.ts` runs another set of histories. */
const SEED = Number(process.env['DROVER_SEED'] ?? 20_261_121);

/** On a busy machine a thread takes long to start. */
const TIME_LIMIT_MS = 60_000;

/** Histories are about answers, not about the disk. */
const QUICK_DISK = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

test(
  'any history: the memory store answers as the model does',
  async () => {
    await fc.assert(
      fc.asyncProperty(history, (steps) => compare(steps, memoryPlace())),
      { seed: SEED, numRuns: 1_500 },
    );
  },
  TIME_LIMIT_MS,
);

test(
  'any history: the commands of the SQLite store answer as the model does',
  async () => {
    await fc.assert(
      fc.asyncProperty(history, (steps) =>
        onDisk(steps, new SqlitePlace({}, { root: QUICK_DISK, makeThread: (name, path) => new InlineThread(name, path) })),
      ),
      { seed: SEED, numRuns: 400 },
    );
  },
  TIME_LIMIT_MS,
);

test(
  'any history: the SQLite store answers as the model does, through its thread and over crashes',
  async () => {
    await fc.assert(
      fc.asyncProperty(history, (steps) => onDisk(steps, new SqlitePlace())),
      { seed: SEED + 1, numRuns: 15 },
    );
  },
  TIME_LIMIT_MS,
);

async function onDisk(steps: readonly Step[], place: Place): Promise<void> {
  try {
    await compare(steps, place);
  } finally {
    await place.remove();
  }
}

function memoryPlace(): Place {
  const disk = new MemoryDisk();
  return { store: () => memoryStore(disk), crash: async () => disk.crash(), remove: async () => {} };
}

/** Says every step to the model and to a store over `place`, and compares what they answer. */
async function compare(steps: readonly Step[], place: Place): Promise<void> {
  const model = new Model();
  const budgets = new BudgetModel();
  const intents = new IntentModel();
  let store = place.store();
  const runs: Held[] = [];
  let nowMs = 1_000;
  let maxUnfinished = 6;
  const both = async <T>(expected: T, answered: Promise<T>): Promise<T> => {
    expect(plain(await answered)).toEqual(plain(expected));
    return expected;
  };
  const open = async (): Promise<void> => {
    store = place.store();
    await both(model.open({ nowMs, maxUnfinished }), store.open({ nowMs, maxUnfinished }));
  };

  async function take(step: Step): Promise<void> {
    switch (step.op) {
      case 'submit': {
        const tasks = step.tasks.map((task) => toTask(task, runs));
        await both(model.submit(tasks, nowMs), store.submit(tasks, nowMs) as Promise<never>);
        return;
      }
      case 'claim': {
        const command = { wants: step.wants, leaseUntilMs: nowMs + step.leaseMs, nowMs };
        runs.push(...(await both(model.claim(command), store.claim(command) as Promise<never>)).map(({ id, fence }) => ({ id, fence })));
        return;
      }
      case 'start': {
        const items = step.picks.map((at) => picked(runs, at));
        await both(model.start(items), store.start(items, nowMs) as Promise<never>);
        return;
      }
      case 'remember': {
        const items = step.items.map(({ pick, place: where, value }) => ({ ...picked(runs, pick), place: where, hash: 'h', value }));
        await both(model.remember(items), store.remember(items, nowMs) as Promise<never>);
        return;
      }
      case 'renew': {
        const items = step.items.map(({ pick, leaseMs }) => ({ ...picked(runs, pick), leaseUntilMs: nowMs + leaseMs }));
        await both(model.renew(items, nowMs), store.renew(items, nowMs) as Promise<never>);
        return;
      }
      case 'settle': {
        const items = step.items.map(({ pick, outcome }) => ({ ...picked(runs, pick), outcome: toOutcome(outcome, runs, nowMs) }));
        await both(model.settle(items, nowMs), store.settle(items, nowMs));
        return;
      }
      case 'sweep': {
        await both(model.sweep(nowMs), store.sweep(nowMs));
        return;
      }
      case 'take': {
        await both(budgets.take(step.items), store.takeBudget(step.items) as Promise<never>);
        return;
      }
      case 'return': {
        await store.returnBudget(step.items);
        budgets.giveBack(step.items);
        return;
      }
      case 'register': {
        const items = step.items.map(({ forMs, ...item }) => ({ ...item, untilMs: nowMs + forMs }));
        await both(intents.register(items, nowMs), store.registerIntents(items, nowMs) as Promise<never>);
        return;
      }
      case 'withdraw': {
        await store.withdrawIntents(step.items);
        intents.withdraw(step.items);
        return;
      }
      case 'wait':
        nowMs += step.ms;
        return;
      case 'reopen': {
        if (step.crash) await place.crash(store);
        await store.close();
        maxUnfinished = step.maxUnfinished;
        return open();
      }
    }
  }

  await open();
  try {
    for (const step of steps) {
      await take(step);
      await both(model.counts(), store.counts() as Promise<never>);
    }
    const periods = SCOPES.flatMap((scope) => PERIODS_MS.map((periodStartMs) => ({ scope, periodStartMs })));
    await both(budgets.read(periods), store.readBudgets(periods) as Promise<never>);
    await both(model.all(), store.list({ limit: 1_000 }) as Promise<never>);
    await countIdentity(store);
  } finally {
    await store.close();
  }
}

/** S14: what was submitted is in exactly one place, and the counts say where. */
async function countIdentity(store: Store): Promise<void> {
  const tasks = await store.list({ limit: 1_000 });
  const counts = Object.values(await store.counts()).flatMap((byStatus) => Object.values(byStatus));
  expect(counts.reduce((sum, n) => sum + n, 0)).toBe(tasks.length);
}

/** Answers without what the port leaves open: the order of hints and of memory, and a store's own words for a lost run. */
function plain(answer: unknown): unknown {
  return JSON.parse(
    JSON.stringify(answer, (key, value: unknown) => {
      if (key === 'error' && typeof value === 'string' && value.includes('DROVER_RUN_LOST')) return LOST;
      if (key === 'ready') return (value as string[]).toSorted();
      if (key === 'memory') return (value as { place: string }[]).toSorted((a, b) => (a.place < b.place ? -1 : 1));
      if (key === 'expired') return (value as TaskRecord[]).toSorted((a, b) => (a.id < b.id ? -1 : 1));
      return value;
    }),
  );
}
