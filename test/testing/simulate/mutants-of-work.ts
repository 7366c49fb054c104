/** Mutants of durable work: stores that break what is promised of locks, order, waiting, rows and undoing. */
import { agent, defineFleet, dependency } from 'drover';
import { z } from 'zod';
import type { LockWant, StateWrite, Store } from '../../../actors/ports/store.ts';
import type { SimulationInternals } from '../../../src/testing/simulate/internals.ts';
import type { SimulateOptions, Topology } from './kit.ts';
import type { Mutant } from './mutants.ts';

/** A store of which some commands are other ones. */
function lying(lies: (store: Store) => Partial<Store>): () => SimulationInternals {
  return () => ({ store: (store) => ({ ...store, ...lies(store) }) });
}

const model = dependency({ perform: async (request: string) => request, limits: { concurrency: 20 } });

/** Whatever is written, in order of its key. */
function accounts(): Topology {
  return defineFleet({
    name: 'accounts',
    agents: {
      wide: agent({ uses: { model }, writes: ['a', 'b'], run: async (input: string, ctx) => ctx.call('model', input) }),
      narrow: agent({
        uses: { model },
        replicas: 4,
        writes: (input: string) => [input.startsWith('a') ? 'a' : 'b'],
        run: async (input: string, ctx) => ctx.call('model', input),
      }),
      ordered: agent({
        uses: { model },
        replicas: 4,
        orderKey: (input: string) => input,
        run: async (input: string, ctx) => ctx.call('model', input),
      }),
    },
  });
}

const work = (kind: string, count: number, input: (at: number) => string, everyMs: number): SimulateOptions['workload'] =>
  Array.from({ length: count }, (_, at) => ({ kind, id: `${kind} ${at}`, input: input(at), atMs: at * everyMs })) as never;

/** One wide set beside streams of narrow ones. */
const STREAMS = [
  ...(work('narrow', 120, (at) => (at % 2 === 0 ? 'a' : 'b'), 100) as Iterable<{ readonly atMs: number }>),
  ...(work('wide', 3, String, 2_050) as Iterable<{ readonly atMs: number }>),
].toSorted((a, b) => a.atMs - b.atMs) as never;

/** Tells a task of two events, sleeps, and counts in a row. */
function waiting(): Topology {
  return defineFleet({
    name: 'waiting',
    agents: {
      waiter: agent({
        events: { go: z.string() },
        replicas: 2,
        run: async (_input: string, ctx) => {
          const first = await ctx.waitFor('go');
          await ctx.sleep(3_000);
          return [first, await ctx.waitFor('go')];
        },
      }),
      counter: agent({
        uses: { model },
        replicas: 2,
        writes: ['row'],
        run: async (input: string, ctx) => {
          const row = await ctx.state.get<number>('row');
          await ctx.state.set('row', (row?.value ?? 0) + 1, row?.version ?? null);
          // Somebody else may write it before this one completes.
          await ctx.call('model', input);
          return row?.version ?? 0;
        },
      }),
      undone: agent({
        run: async (input: string, ctx) => {
          await ctx.compensate('charge', () => {});
          await ctx.step('charge', () => input);
          throw Object.assign(new Error('no'), { retryable: false });
        },
      }),
    },
  });
}

/** Two rows that are written together, and read by whoever lets go of them in between. */
function pairs(): Topology {
  return defineFleet({
    name: 'pairs',
    agents: {
      pair: agent({
        replicas: 2,
        reads: ['p1', 'p2'],
        run: async (_input: string, ctx) => {
          const first = await ctx.state.get<string>('p1');
          await ctx.sleep(3_000);
          const second = await ctx.state.get<string>('p2');
          return [first?.value, second?.value];
        },
      }),
      both: agent({
        writes: ['p1', 'p2'],
        run: async (input: string, ctx) => {
          await ctx.state.update('p1', () => input);
          await ctx.state.update('p2', () => input);
        },
      }),
    },
  });
}

const PAIRS = [
  ...(work('pair', 10, String, 2_000) as Iterable<{ readonly atMs: number }>),
  ...(work('both', 15, String, 1_300) as Iterable<{ readonly atMs: number }>),
].toSorted((a, b) => a.atMs - b.atMs) as never;

/** Is not to go on over what another version has begun. */
function careful(version: string): Topology {
  return defineFleet({
    name: 'careful',
    agents: {
      careful: agent({
        version,
        onVersionChange: 'refuse',
        run: async (input: string, ctx) => {
          await ctx.compensate('first', () => {});
          const first = await ctx.step('first', () => input);
          await ctx.sleep(2_000);
          return [first, await ctx.step('second', () => input)];
        },
      }),
    },
  });
}

const WAITERS = work('waiter', 6, String, 200);
const EVENTS: SimulateOptions['outside'] = Array.from({ length: 6 }, (_, at) =>
  [0, 1].map((n) => ({ at: 'signal' as const, task: `waiter ${at}`, name: 'go', payload: `go ${n}`, atMs: 500 + at * 300 + n * 1_500 })),
).flat();

/** People who share a lock and an office beside a little work. */
const HOLDERS: Partial<SimulateOptions> = {
  workload: work('counter', 3, String, 300),
  outside: [
    ...Array.from({ length: 6 }, (_, at) => ({ at: 'lock' as const, name: 'report', holdMs: 2_500, ttlMs: 1_000, atMs: at * 400 })),
    ...[0, 700].map((atMs) => ({ at: 'stand' as const, name: 'office', forMs: 15_000, termMs: 2_000, ttlMs: 1_000, atMs })),
  ],
};

/** Forgets what has completed, in time. */
function forgetful(): Topology {
  return defineFleet({
    name: 'forgetful',
    agents: { echo: agent({ uses: { model }, replicas: 2, run: async (input: string, ctx) => ctx.call('model', input) }) },
    retention: { completedMs: 60_000 },
  });
}

export const MUTANTS_OF_WORK: readonly Mutant[] = [
  {
    invariant: 'S10',
    what: 'a store gives everybody the locks that he wants',
    topology: accounts(),
    options: { workload: STREAMS },
    internals: lying((store) => {
      const wants = new Map<string, readonly LockWant[]>();
      let token = 0;
      return {
        submit: (tasks, nowMs) => {
          for (const { id, locks = [] } of tasks) wants.set(id, locks);
          return store.submit(
            tasks.map(({ locks: _locks, ...task }) => task),
            nowMs,
          );
        },
        start: async (items, nowMs) =>
          (await store.start(items, nowMs)).map((outcome, at) =>
            outcome.at === 'started' ? { ...outcome, locks: wants.get(items[at]!.id) ?? [], lockFence: (token += 1) } : outcome,
          ),
      };
    }),
  },
  {
    invariant: 'S3',
    what: 'a store gives the same token to all locks',
    topology: accounts(),
    options: { workload: STREAMS },
    internals: lying((store) => ({
      start: async (items, nowMs) =>
        (await store.start(items, nowMs)).map((outcome) => (outcome.at === 'started' ? { ...outcome, lockFence: 1 } : outcome)),
    })),
  },
  {
    invariant: 'L5',
    what: 'a store lets any number of others pass whoever waits for locks',
    topology: accounts(),
    options: { workload: STREAMS },
    internals: lying((store) => ({ open: (command) => store.open({ ...command, mostPassed: 1_000 }) })),
  },
  {
    invariant: 'L5',
    what: 'a store that is opened again forgets by how many those in line may be passed',
    topology: accounts(),
    options: {
      workload: STREAMS,
      // Some are on their way to a worker then, so that the pause is noted.
      outside: [0, 1, 2].flatMap((at) => [
        { at: 'pause' as const, task: `wide ${at}`, atMs: 2_300 + at * 2_050 },
        { at: 'unpause' as const, task: `wide ${at}`, atMs: 2_800 + at * 2_050 },
      ]),
      faults: { store: { delayMs: 40 }, strikes: [{ at: 'kill', atMs: 3_000 }] },
    },
    internals: () => {
      let opened = 0;
      return {
        store: (store) => ({
          ...store,
          open: (command) => store.open({ ...command, ...((opened += 1) > 1 ? { mostPassed: 1_000 } : {}) }),
        }),
      };
    },
  },
  {
    invariant: 'S13',
    what: 'a store does not look at order keys',
    topology: accounts(),
    options: { workload: work('ordered', 30, (at) => `key ${at % 3}`, 50) },
    internals: lying((store) => ({
      submit: (tasks, nowMs) =>
        store.submit(
          tasks.map(({ orderKey: _key, ...task }) => task),
          nowMs,
        ),
    })),
  },
  {
    invariant: 'undo',
    what: 'a store does not keep what is to be undone',
    topology: waiting(),
    options: { workload: work('undone', 10, String, 100) },
    internals: lying((store) => ({
      remember: async (items, nowMs) => {
        const kept = items.filter(({ place }) => !place.startsWith('compensate:'));
        const answers = [...(await store.remember(kept, nowMs))];
        return items.map(({ place }) => (place.startsWith('compensate:') ? true : answers.shift()!));
      },
    })),
  },
  {
    invariant: 'events',
    what: 'a store gives a task the first event for the second',
    topology: waiting(),
    options: { workload: WAITERS, outside: EVENTS },
    internals: lying((store) => ({
      start: async (items, nowMs) =>
        (await store.start(items, nowMs)).map((outcome) =>
          outcome.at === 'started'
            ? { ...outcome, events: outcome.events.map((event) => ({ ...event, value: outcome.events[0]!.value })) }
            : outcome,
        ),
    })),
  },
  {
    invariant: 'sleeps',
    what: 'a store remembers that a sleep ends two seconds sooner',
    topology: waiting(),
    options: { workload: WAITERS, outside: EVENTS },
    internals: lying((store) => ({
      settle: (items, nowMs) =>
        store.settle(
          items.map(({ outcome, ...held }) =>
            outcome.at === 'parked' && outcome.wakeAtMs !== null
              ? { ...held, outcome: { ...outcome, wakeAtMs: outcome.wakeAtMs - 2_000 } }
              : { ...held, outcome },
          ),
          nowMs,
        ),
      remember: (items, nowMs) =>
        store.remember(
          items.map((item) => (item.place.startsWith('sleep#') ? { ...item, value: String(Number(item.value) - 2_000) } : item)),
          nowMs,
        ),
    })),
  },
  {
    invariant: 'turns',
    what: 'a store forgets that it has fired a turn, and fires it again',
    topology: waiting(),
    options: {
      workload: work('counter', 1, String, 0),
      outside: [
        { at: 'schedule', name: 'often', spec: { kind: 'counter', input: '0', everyMs: 3_000 }, atMs: 100 },
        { at: 'unschedule', name: 'often', atMs: 20_000 },
      ],
    },
    internals: lying((store) => ({
      fireSchedules: async (items, nowMs) => {
        const reply = await store.fireSchedules(items, nowMs);
        const rows = (await store.schedules()).map(({ name, plan }) => ({ name, plan, nextAtMs: items[0]!.atMs }));
        if (reply.fired[0] === true && nowMs < items[0]!.atMs + 1_000) await store.putSchedules(rows);
        return reply;
      },
    })),
  },
  {
    invariant: 'S12',
    what: 'a store gives a name away nearly a second before its time is over',
    topology: waiting(),
    options: HOLDERS,
    internals: lying((store) => ({ takeLeases: (items, nowMs) => store.takeLeases(items, nowMs + 900) })),
  },
  {
    invariant: 'S12',
    what: 'a store says that it has renewed leases, and has not',
    topology: waiting(),
    options: HOLDERS,
    internals: lying(() => ({ renewLeases: async (items) => items.map(() => true) })),
  },
  {
    invariant: 'S12',
    what: 'a store that is opened cuts the leases of the dead to the time of an hour ago',
    topology: waiting(),
    options: { ...HOLDERS, faults: { strikes: [{ at: 'kill', atMs: 5_000 }] } },
    internals: lying((store) => ({ open: (command) => store.open({ ...command, nowMs: command.nowMs - 3_600_000 }) })),
  },
  {
    invariant: 'S3',
    what: 'a store that is opened again counts the tokens of leases anew',
    topology: waiting(),
    options: { ...HOLDERS, faults: { strikes: [{ at: 'kill', atMs: 5_000 }] } },
    internals: () => {
      let counted = 0;
      /** Those of the present owner, by the real one. */
      const tokens = new Map<number, number>();
      const real = (fence: number): number => [...tokens].find(([, told]) => told === fence)?.[0] ?? fence;
      const held = <H extends { readonly fence: number }>(items: readonly H[]): H[] =>
        items.map((item) => ({ ...item, fence: real(item.fence) }));
      return {
        store: (store) => ({
          ...store,
          open: (command) => {
            counted = 0;
            tokens.clear();
            return store.open(command);
          },
          takeLeases: async (items, nowMs) =>
            (await store.takeLeases(items, nowMs)).map((outcome) => {
              if (outcome.at !== 'granted') return outcome;
              if (!tokens.has(outcome.fence)) tokens.set(outcome.fence, (counted += 1));
              return { ...outcome, fence: tokens.get(outcome.fence)! };
            }),
          renewLeases: (items, nowMs) => store.renewLeases(held(items), nowMs),
          releaseLeases: (items, nowMs) => store.releaseLeases(held(items), nowMs),
        }),
      };
    },
  },
  {
    invariant: 'retention',
    what: 'a store forgets what has just ended',
    topology: forgetful(),
    options: { workload: work('echo', 30, String, 4_000), durationMs: 130_000 },
    internals: lying((store) => ({ forget: (command) => store.forget({ ...command, endedByMs: { completed: Infinity } }) })),
  },
  {
    invariant: 'versions',
    what: 'a store says that the present version has brought what another one did',
    topology: careful('1'),
    options: { workload: work('careful', 6, String, 100), faults: { strikes: [{ at: 'kill', atMs: 1_000 }] } },
    internals: () => {
      let process = 0;
      return {
        deployed: (index) => careful(String((process = index))),
        store: (store) => ({
          ...store,
          start: async (items, nowMs) =>
            (await store.start(items, nowMs)).map((outcome) =>
              outcome.at === 'started'
                ? { ...outcome, memory: outcome.memory.map((item) => ({ ...item, version: String(process) })) }
                : outcome,
            ),
        }),
      };
    },
  },
  {
    invariant: 'undo',
    what: 'a store has undone what it is to keep as it stands',
    topology: careful('1'),
    options: { workload: work('careful', 6, String, 100), faults: { strikes: [{ at: 'kill', atMs: 1_000 }] } },
    internals: () => ({
      deployed: (index) => careful(String(index)),
      store: (store) => ({
        ...store,
        settle: (items, nowMs) => {
          const forgotten = items.map(({ outcome, ...held }) =>
            outcome.at === 'failed' ? { ...held, outcome: { at: outcome.at, error: outcome.error } as const } : { ...held, outcome },
          );
          return store.settle(forgotten, nowMs);
        },
      }),
    }),
  },
  {
    invariant: 'rows',
    what: 'a store writes rows over whatever is there',
    topology: waiting(),
    options: {
      workload: work('counter', 20, String, 300),
      outside: Array.from({ length: 30 }, (_, at) => ({
        at: 'set-row' as const,
        key: 'row',
        change: (value: unknown) => ((value as number | undefined) ?? 0) + 1,
        atMs: 100 + at * 250,
      })),
    },
    internals: lying((store) => ({
      settle: async (items, nowMs) => {
        const present = async (writes: readonly StateWrite[]): Promise<readonly StateWrite[]> => {
          const rows = await store.getState(writes.map(({ key }) => key));
          return writes.map((write, at) => ({ ...write, version: rows[at]?.version ?? null }));
        };
        const forced = items.map(async (item) =>
          item.outcome.at === 'completed' && item.outcome.writes !== undefined
            ? { ...item, outcome: { ...item.outcome, writes: await present(item.outcome.writes) } }
            : item,
        );
        return store.settle(await Promise.all(forced), nowMs);
      },
    })),
  },
  {
    invariant: 'rows',
    what: 'a store does not look at what a completion has read',
    topology: pairs(),
    options: { workload: PAIRS },
    internals: lying((store) => ({
      settle: (items, nowMs) => {
        const blind = items.map(({ outcome, ...held }) => {
          if (outcome.at !== 'completed') return { ...held, outcome };
          const { reads: _reads, ...rest } = outcome;
          return { ...held, outcome: rest };
        });
        return store.settle(blind, nowMs);
      },
    })),
  },
];
