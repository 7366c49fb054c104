/** Mutants: for each invariant one faulty part, and the work and faults under which it shows. */
import { agent, contract, defineFleet, dependency } from 'drover';
import type { MailboxOptions } from 'drover';
import type { Limits, SimulateOptions, Topology } from './kit.ts';
import { fromDecider, NOTHING } from '../../../actors/kernel/decider.ts';
import { emit, reply } from '../../../actors/kernel/effects.ts';
import { limiterLogic } from '../../../actors/admission/limiter.ts';
import type { Homecoming, LimiterInput, LimiterMessage } from '../../../actors/admission/limiter.ts';
import type { BudgetSpec } from '../../../actors/budget/plan.ts';
import type { OwnEffect, ReplyTo } from '../../../actors/kernel/effects.ts';
import type { Settlement, Store } from '../../../actors/ports/store.ts';
import { queueLogic } from '../../../actors/queue.ts';
import type { QueueInput } from '../../../actors/queue.ts';
import { supervisorLogic } from '../../../supervisors/supervisor.ts';
import type { SupervisorInput } from '../../../supervisors/state.ts';
import type { Parts } from '../../../src/runtime/internals.ts';
import type { SimulationInternals } from '../../../src/testing/simulate/internals.ts';

export interface Mutant {
  readonly invariant: string;
  /** What it does wrong. */
  readonly what: string;
  readonly internals: () => SimulationInternals;
  readonly limits?: Limits;
  /** Default: parents that ask children. */
  readonly topology?: Topology;
  readonly options?: Partial<SimulateOptions>;
}

const LEASE_MS = 5_000;

/** Parents call, then ask a child that calls: enough for every invariant to matter. */
export function fleetUnder(limits: Limits, mailbox: MailboxOptions = { capacity: 4, stealAbove: 2 }, affinity?: string): Topology {
  const model = dependency({ limits, estimate: () => 20, perform: async (request: string) => request });
  const kind = { replicas: 3, leaseMs: LEASE_MS, mailbox, ...(affinity === undefined ? {} : { affinity: () => affinity }) };
  const child = agent({ ...kind, uses: { model }, run: async (input: string, ctx) => ctx.call('model', input) });
  const parent = agent({
    ...kind,
    uses: { model },
    asks: { child },
    run: async (input: string, ctx) => {
      const said = await ctx.call('model', input);
      await ctx.step('note', () => said.length);
      return [said, await ctx.ask('child', input), await ctx.call('model', `${input} again`)];
    },
  });
  return defineFleet({ name: 'mutants', agents: { parent, child } });
}

interface Visit {
  readonly writes: readonly string[];
  readonly calls: number;
}

/** Whoever is in a room calls, and stands in line behind many who are in none. */
function rooms(): Topology {
  const model = dependency({ limits: { concurrency: 1 }, perform: async (request: number) => request });
  const visitor = agent({
    uses: { model },
    replicas: 16,
    writes: ({ writes }: Visit) => writes,
    run: async ({ calls }: Visit, ctx) => {
      for (let call = 0; call < calls; call += 1) await ctx.call('model', call);
      return calls;
    },
  });
  return defineFleet({ name: 'rooms', agents: { visitor } });
}

/** Fourteen of two priorities, somebody ordinary in the room after them, and then one as urgent as any who wants to go there. */
const VISITS: SimulateOptions['workload'] = [
  ...Array.from({ length: 14 }, (_, at) => ({ input: { writes: [], calls: 4 }, priority: 1 + (at % 2), atMs: at })),
  { input: { writes: ['room'], calls: 1 }, priority: 0, atMs: 900 },
  { input: { writes: ['room'], calls: 1 }, priority: 2, atMs: 1_200 },
].map((visit) => ({ kind: 'visitor', ...visit }));

/** A pool of one whose only worker asks for more of its own kind. A run that gets nowhere is over soon. */
function asksItself(): Topology {
  const node = agent({
    asks: { node: contract<number, number, string, string>() },
    runTimeoutMs: 20_000,
    attempts: 2,
    run: async (depth: number, ctx): Promise<string> => (depth === 0 ? 'leaf' : ctx.ask('node', depth - 1)),
  });
  return defineFleet({ name: 'tree', agents: { node } });
}

export const WORK: SimulateOptions['workload'] = Array.from({ length: 40 }, (_, at) => ({
  kind: 'parent',
  input: `input ${at}`,
  atMs: at * 100,
}));

/** A store of which some commands are other ones. */
function lying(lies: (store: Store) => Partial<Store>): () => SimulationInternals {
  return () => ({ store: (store) => ({ ...store, ...lies(store) }) });
}

/** The real logic, born with another input. */
export function born<I>(logic: (clock: never) => unknown, change: (input: I) => I): never {
  return ((clock: never) => {
    const real = logic(clock) as { getInitialSnapshot(scope: unknown, input: I): unknown };
    return { ...real, getInitialSnapshot: (scope: unknown, input: I) => real.getInitialSnapshot(scope, change(input)) };
  }) as never;
}

const limited = (change: (limits: Limits) => Limits): Parts['limiter'] =>
  born<LimiterInput>(limiterLogic, (input) => ({ ...input, limits: change(input.limits) }));

/** Serves who came last: one that waits may wait for ever. */
const lastInFirstOut = ((clock: never) =>
  fromDecider<
    {
      readonly inFlight: number;
      readonly line: { readonly size: number };
      readonly waiting: readonly { ticket: number; replyTo: ReplyTo }[];
    },
    LimiterMessage,
    LimiterInput,
    ReturnType<typeof reply>
  >(
    {
      initial: ({ inFlight = 0 }) => [{ inFlight, line: { size: 0 }, waiting: [] }, NOTHING],
      decide(state, message) {
        const of = (inFlight: number, waiting: typeof state.waiting) => ({ inFlight, waiting, line: { size: waiting.length } });
        const grant = (to: ReplyTo) =>
          reply(to, { at: 'granted', input: 0, output: 0, slots: 1, ticket: 0, waitedMs: 0, grantedMs: 0, book: undefined });
        if (message.type === 'limiter.acquire') {
          const { ticket, replyTo } = message;
          if (state.inFlight === 0) return [of(1, state.waiting), [grant(replyTo)]];
          return [of(state.inFlight, [...state.waiting, { ticket, replyTo }]), NOTHING];
        }
        if (message.type === 'limiter.cancel')
          return [
            of(
              state.inFlight,
              state.waiting.filter(({ ticket }) => ticket !== message.ticket),
            ),
            NOTHING,
          ];
        if (message.type !== 'limiter.settle') return [state, NOTHING];
        const last = state.waiting.at(-1);
        return last === undefined ? [of(0, []), NOTHING] : [of(1, state.waiting.slice(0, -1)), [grant(last.replyTo)]];
      },
    },
    clock,
  )) as unknown as Parts['limiter'];

function isWellProbed({ permit, result }: Homecoming): boolean {
  return permit.ticket > 0 && result === 'success';
}

/** Loses one permit that comes home. */
const forgetful = ((clock: never) => {
  const real = limiterLogic(clock);
  let settled = 0;
  return {
    ...real,
    transition: (snapshot: never, message: LimiterMessage, scope: never) => {
      if (message.type !== 'limiter.settle') return real.transition(snapshot, message, scope);
      return real.transition(snapshot, { ...message, items: message.items.filter(() => (settled += 1) !== 5) }, scope);
    },
  };
}) as unknown as Parts['limiter'];

const STALL_MS = 12_000;

/** One dependency with a breaker that opens soon and rests shortly, and whatever budget. */
function guarded(budget?: BudgetSpec): Topology {
  const model = dependency({
    breaker: { failures: 2, resetAfterMs: 500 },
    estimate: () => 20,
    usage: () => ({ inputTokens: 15, outputTokens: 0 }),
    perform: async (request: string) => request,
  });
  const parent = agent({
    uses: { model },
    replicas: 4,
    leaseMs: LEASE_MS,
    run: async (input: string, ctx) => [await ctx.call('model', input), await ctx.call('model', `${input} again`)],
  });
  return defineFleet({ name: 'guarded', ...(budget === undefined ? {} : { budget }), agents: { parent } });
}

/** Failures enough for a breaker to open now and then. */
const FAILING = { calls: { overloaded: 0.4 } } as const;

/** The real logic, which hears something else. */
const hearing = (change: (message: LimiterMessage) => LimiterMessage): Parts['limiter'] =>
  ((clock: never) => {
    const real = limiterLogic(clock);
    return {
      ...real,
      transition: (snapshot: never, message: LimiterMessage, scope: never) => real.transition(snapshot, change(message), scope),
    };
  }) as unknown as Parts['limiter'];

export const MUTANTS: readonly Mutant[] = [
  {
    invariant: 'S1',
    what: 'a store accepts a task without keeping it',
    internals: lying((store) => ({
      submit: async (tasks, nowMs) => {
        const kept = await store.submit(
          tasks.filter(({ id }) => id !== 'task-3'),
          nowMs,
        );
        let at = 0;
        return tasks.map(({ id }) => (id === 'task-3' ? { at: 'accepted' } : kept[at++]!));
      },
    })),
  },
  {
    invariant: 'S2',
    what: 'a store settles under a fence that is not the last',
    options: { faults: { store: { failAfter: 0.3 } } },
    internals: lying((store) => ({
      settle: async (items, nowMs) => {
        const { outcomes, ready } = await store.settle(items, nowMs);
        return { ready, outcomes: outcomes.map((outcome) => (outcome.at === 'stale' ? { at: 'settled', status: 'completed' } : outcome)) };
      },
    })),
  },
  {
    invariant: 'S3',
    what: 'a store gives a fence a second time',
    internals: lying((store) => ({
      claim: async (command) => (await store.claim(command)).map((task) => (task.fence === 2 ? { ...task, fence: 1 } : task)),
    })),
  },
  {
    invariant: 'S4',
    what: 'a store forgets what was remembered',
    internals: lying((store) => ({
      start: async (items, nowMs) =>
        (await store.start(items, nowMs)).map((outcome) => (outcome.at === 'started' ? { ...outcome, memory: [], children: [] } : outcome)),
    })),
  },
  {
    invariant: 'S5',
    what: 'a store grants whatever is asked of a budget',
    topology: guarded({ tokens: 300, perMs: 10_000 }),
    internals: lying(() => ({
      takeBudget: async (items) =>
        items.map(({ wantNanoUsd: nanoUsd, wantTokens: tokens }) => ({ nanoUsd, tokens, takenNanoUsd: 0, takenTokens: 0 })),
    })),
  },
  {
    invariant: 'S8',
    what: 'a breaker that is half-open lets three calls through instead of one',
    topology: guarded(),
    options: { faults: FAILING },
    internals: () => ({
      parts: {
        limiter: born<LimiterInput>(limiterLogic, (input) => ({ ...input, breaker: input.breaker && { ...input.breaker, probes: 3 } })),
      },
    }),
  },
  {
    invariant: 'S6',
    what: 'a limiter grants one permit more than there are',
    internals: () => ({ parts: { limiter: limited((limits) => ({ ...limits, concurrency: 4 })) } }),
  },
  {
    invariant: 'S7',
    what: 'a limiter paces at twice the rate',
    limits: { requestsPerMinute: 200 },
    internals: () => ({ parts: { limiter: limited((limits) => ({ ...limits, requestsPerMinute: 400 })) } }),
  },
  {
    invariant: 'S7',
    what: 'a limiter does not count tokens',
    limits: { tokensPerMinute: 4_000 },
    internals: () => ({ parts: { limiter: limited(() => ({})) } }),
  },
  {
    invariant: 'S9',
    what: 'a supervisor restarts without end',
    options: {
      faults: {
        strikes: Array.from({ length: 60 }, (_, at) => ({ at: 'worker-crash', atMs: 5_000 + at * 50, kind: 'child', replica: at % 3 })),
      },
    },
    internals: () => ({
      parts: {
        supervisor: born<SupervisorInput>(supervisorLogic, (input) => ({
          ...input,
          settings: {
            ...input.settings,
            intensity: { ...input.settings.intensity, intensity: 1_000 },
            backoff: { baseMs: 10, capMs: 10 },
          },
        })),
      },
    }),
  },
  {
    invariant: 'S9',
    what: 'a supervisor stops its children in the order of their start',
    internals: () => ({
      onHost: (host) => {
        const { stop } = host;
        // Whoever is told to stop, the first of its siblings is told before.
        host.stop = (id, deadlineMs) => {
          if (id.endsWith('/agents')) stop.call(host, id.replace('/agents', '/dependencies'), deadlineMs);
          stop.call(host, id, deadlineMs);
        };
      },
    }),
  },
  {
    invariant: 'S11',
    what: 'a supervisor says that a worker is suspended, and has started, and lets it run',
    options: { faults: { strikes: Array.from({ length: 20 }, (_, at) => ({ at: 'worker-suspend', atMs: 500 + at * 500, ms: 400 })) } },
    internals: () => ({
      // A worker that is told to give back whatever it begins, and stays, goes round without end.
      until: 'S11',
      parts: {
        supervisor: (clock) => {
          const logic = supervisorLogic(clock);
          return {
            ...logic,
            transition(snapshot, message, scope) {
              if (message.type !== 'supervisor.suspend-child') return logic.transition(snapshot, message, scope);
              const { child, reason, replyTo } = message;
              emit({ type: 'supervisor.noted', fact: { at: 'suspended', child, reasons: [reason] } } as OwnEffect);
              // Else nothing would begin on it.
              emit({ type: 'supervisor.noted', fact: { at: 'started', child, life: 1 } } as OwnEffect);
              emit(reply(replyTo, 'ok'));
              return snapshot;
            },
          };
        },
      },
    }),
  },
  {
    invariant: 'S11',
    what: 'a store parks a task whose run goes on',
    options: { provider: { model: { latencyMs: [4_000, 9_000] } } },
    internals: lying((store) => {
      let lied = false;
      return {
        renew: async (items, nowMs) => {
          const kept = await store.renew(items, nowMs);
          if (lied || items[0] === undefined) return kept;
          lied = true;
          const outcome: Settlement['outcome'] = { at: 'parked', reason: 'a lie', children: [], wakeAtMs: nowMs + 2_000 };
          await store.settle([{ id: items[0].id, fence: items[0].fence, outcome }], nowMs);
          return kept;
        },
      };
    }),
  },
  {
    invariant: 'S13',
    what: 'a queue lets steal from before the threshold',
    topology: fleetUnder({ concurrency: 3 }, { capacity: 4, stealAbove: 2 }, 'mail'),
    options: { provider: { model: { latencyMs: [10, 15_000] } } },
    internals: () => ({ parts: { queue: born<QueueInput>(queueLogic, (input) => ({ ...input, stealAbove: 1 })) } }),
  },
  {
    invariant: 'S13',
    what: 'a queue that is told to keep mailboxes apart lets steal all the same',
    topology: fleetUnder({ concurrency: 3 }, { mode: 'dedicated', capacity: 4, stealAbove: 1 }, 'mail'),
    options: { provider: { model: { latencyMs: [10, 15_000] } } },
    internals: () => ({ parts: { queue: born<QueueInput>(queueLogic, (input) => ({ ...input, mode: 'steal' })) } }),
  },
  {
    invariant: 'S13',
    what: 'a queue binds to one worker what any would do for',
    options: { provider: { model: { latencyMs: [10, 15_000] } } },
    internals: () => ({ parts: { queue: born<QueueInput>(queueLogic, (input) => ({ ...input, mode: 'dedicated' })) } }),
  },
  {
    invariant: 'S14',
    what: 'a store has a task that nobody submitted',
    internals: lying((store) => {
      let lied = false;
      return {
        submit: async (tasks, nowMs) => {
          const outcomes = await store.submit(tasks, nowMs);
          if (!lied) await store.submit([{ ...tasks[0]!, id: 'ghost' }], nowMs);
          lied = true;
          return outcomes;
        },
      };
    }),
  },
  {
    invariant: 'L1',
    what: 'a store never hands out one of its tasks',
    internals: lying((store) => ({ claim: async (command) => (await store.claim(command)).filter(({ id }) => id !== 'task-2') })),
  },
  {
    invariant: 'L2',
    what: 'a store takes leases back a minute late',
    options: { faults: { store: { failAfter: 0.3 } } },
    internals: lying((store) => ({ sweep: async (nowMs) => ({ ...(await store.sweep(nowMs - 60_000)), nextAtMs: null }) })),
  },
  {
    invariant: 'L3',
    what: 'a limiter loses a permit that comes home',
    internals: () => ({ parts: { limiter: forgetful } }),
  },
  {
    invariant: 'L4',
    what: 'a breaker takes every success of a probe for a failure',
    topology: guarded(),
    options: { faults: FAILING },
    internals: () => ({
      parts: {
        limiter: hearing((message) =>
          message.type === 'limiter.settle'
            ? { ...message, items: message.items.map((home) => (isWellProbed(home) ? { ...home, result: 'failure' } : home)) }
            : message,
        ),
      },
    }),
  },
  {
    invariant: 'L5',
    what: 'a limiter serves who came last',
    limits: { concurrency: 1 },
    internals: () => ({ parts: { limiter: lastInFirstOut } }),
  },
  {
    invariant: 'L5',
    what: 'a limiter raises who waits above those who are as urgent and came before',
    topology: rooms(),
    options: { workload: VISITS, provider: { model: { latencyMs: 300 } } },
    internals: () => ({
      parts: { limiter: hearing((message) => (message.type === 'limiter.raise' ? { ...message, priority: 9 } : message)) },
    }),
  },
  {
    invariant: 'waits',
    what: 'a runtime in which a run that only waits keeps its worker',
    topology: asksItself(),
    options: { workload: [{ kind: 'node', input: 2 }] },
    internals: () => ({ parking: false }),
  },
  {
    invariant: 'L7',
    what: 'a part leaves a timer',
    internals: () => ({
      parts: {
        limiter: (clock) => {
          clock.wakeAt(clock.nowMs() + 1e9, () => {});
          return limiterLogic(clock);
        },
      },
    }),
  },
  {
    invariant: 'B1',
    what: 'a queue lets its mailboxes grow',
    topology: fleetUnder({ concurrency: 3 }, { capacity: 4, stealAbove: 2 }, 'mail'),
    internals: () => ({ parts: { queue: born<QueueInput>(queueLogic, (input) => ({ ...input, capacity: 12 })) } }),
  },
  {
    invariant: 'B3',
    what: 'a process does not look at the clock after it stood still',
    options: { faults: { strikes: [{ at: 'stall', atMs: 6_000, ms: STALL_MS }] }, provider: { model: { latencyMs: [500, 2_000] } } },
    internals: () => ({
      onHost: (host) => {
        const { clock, alarm } = host;
        let readMs = clock.nowMs();
        let lagMs = 0;
        let lagsUntilMs = 0;
        const lag = (): number => {
          const realMs = clock.nowMs();
          if (realMs - readMs > STALL_MS / 2) [lagMs, lagsUntilMs] = [realMs - readMs, realMs + 1_500];
          if (realMs > lagsUntilMs) lagMs = 0;
          readMs = realMs;
          return lagMs;
        };
        const nowMs = (): number => clock.nowMs() - lag();
        host.alarm = (atMs, fire) => alarm.call(host, atMs + lag(), fire);
        Object.assign(host, { clock: { nowMs, wakeAt: clock.wakeAt } });
      },
    }),
  },
];
