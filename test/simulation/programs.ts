/**
 * Programs: a random topology with random work, drawn from one seed. The input of a task is its
 * program: what its run does follows from that alone, and what it says can be compared with what is
 * remembered. Faults are the kit's own mix. Around them tasks are told of events, people decide, and an
 * operator cancels, pauses and puts back; some tasks recur.
 */
import { agent, bulkhead, contract, defineFleet, dependency } from 'drover';
import type { Agent, AutoscaleSpec, BudgetSpec, BudgetTree, Context, DependencyBreakerSpec, Topology } from 'drover';
import type { AnyStateMachine } from 'xstate';
import { z } from 'zod';
import { seededRandom } from '../../actors/kernel/random.ts';
import type { Random } from '../../actors/kernel/random.ts';
import { INVARIANTS } from '../../src/testing/index.ts';
import type { OutsideAct, SimulateOptions, SimulationResult } from '../../src/testing/index.ts';
import type { SimulationInternals } from '../../src/testing/simulate/internals.ts';
import { simulateWith } from '../../src/testing/simulate/simulate.ts';
import type { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { Executor } from './execute.ts';
import type { Count, Said } from './execute.ts';
import { eventsOf, ProgramDrawer, ROWS } from './program.ts';
import type { Program } from './program.ts';
import { COUNTED, DEPLOYED, FAIR, SAID } from './program-invariants.ts';
import { SqliteDisk } from './sqlite-disk.ts';
import { statechartOf } from './statechart.ts';

type AnyKind = Agent<Program, readonly Said[]>;
type AnySpec = Omit<AnyKind['spec'], 'run' | 'version'>;

interface Work {
  readonly id: string;
  readonly kind: string;
  readonly input: Program;
  readonly priority: number;
  readonly atMs: number;
  readonly notBeforeMs?: number;
  readonly deadlineMs?: number;
}

const KINDS = ['k0', 'k1', 'k2'] as const;
const DEPENDENCIES = ['d0', 'd1'] as const;
const DURATION_MS = 40_000;
/** So much later comes what comes when others are forgotten, a minute after their end. */
const LATE_MS = 70_000;
/** So many processes have versions of their own; those that come after them have those of the last. */
const DEPLOYS = 6;

/** By kind: what the processes run, one after the other. */
type Deploys = Readonly<
  Record<string, { readonly onVersionChange: 'replay' | 'restart' | 'refuse'; readonly versions: readonly number[] }>
>;

/** Simulates what one seed draws. */
export function simulatePrograms(seed: number): Promise<SimulationResult> {
  const drawn = new Drawn(seed);
  return simulateWith(drawn.topology, drawn.options, drawn.internals);
}

/** The same over a real database. */
export async function simulateOnSqlite(seed: number): Promise<SimulationResult> {
  const drawn = new Drawn(seed);
  const disk = new SqliteDisk();
  try {
    const replay = (): string => `DROVER_SEED=${seed} npx vitest run test/simulation/sqlite.test.ts`;
    return await simulateWith(drawn.topology, { ...drawn.options, replay }, { ...drawn.internals, disk });
  } finally {
    await disk.remove();
  }
}

export class Drawn {
  readonly topology: Topology;
  readonly options: SimulateOptions;
  readonly internals: SimulationInternals;
  clock!: VirtualClock;
  readonly #random: Random;
  readonly #kinds: readonly string[];
  readonly #dependencies: readonly string[];
  readonly #programs: ProgramDrawer;
  readonly #executor: Executor;
  readonly #statechart: AnyStateMachine;
  #nonce = 0;

  constructor(seed: number) {
    this.#random = seededRandom(`programs/${seed}`);
    const random = this.#random.fork('plan');
    this.#kinds = KINDS.slice(0, 1 + random.int(KINDS.length));
    this.#dependencies = DEPENDENCIES.slice(0, 1 + random.int(DEPENDENCIES.length));
    const locks = this.#kinds.map(() => random.int(3) > 0);
    const versions = this.#drawVersions(this.#random.fork('versions'));
    const draws = this.#random.fork('statecharts');
    const charts = this.#kinds.map(() => draws.int(5) === 0);
    this.#programs = new ProgramDrawer({
      kinds: this.#kinds,
      dependencies: this.#dependencies,
      locks,
      charts,
      grows: versions !== undefined,
    });
    this.#executor = new Executor(
      (ms) => new Promise((resolve) => this.clock.wakeAt(this.clock.nowMs() + ms, resolve)),
      () => (this.#nonce += 1),
    );
    this.#statechart = statechartOf(this.#executor);
    const specs = this.#drawSpecs(this.#random.fork('agents'), locks, versions);
    const supervision = { intensity: 10_000, periodMs: 1_000, backoff: { baseMs: 5, capMs: 200 } };
    const budget = random.int(3) === 0 ? { budget: this.#drawBudget(this.#random.fork('budget'), 300) } : {};
    const wakeGate = random.int(4) === 0 ? { wakeGate: { most: 1 + random.int(3) } } : {};
    const keeps = this.#random.fork('retention');
    const retention =
      keeps.int(6) === 0 ? { retention: { completedMs: 60_000, failedMs: 60_000 + keeps.int(60_000), cancelledMs: 60_000 } } : {};
    const few = this.#random.fork('bounds');
    const bounds = few.int(8) === 0 ? { bounds: { fanOut: 1 + few.int(4), family: 2 + few.int(8) } } : {};
    const fleetOf = (process: number): Topology => {
      const agents = mapped(specs, (kind, spec) => {
        const version = versions?.[kind]?.versions[Math.min(process, DEPLOYS) - 1] ?? 1;
        return this.#agentOf(spec, version, charts[this.#kinds.indexOf(kind)]!);
      });
      return defineFleet({ name: 'test', staggerMs: 0, agents, supervision, ...budget, ...wakeGate, ...retention, ...bounds });
    };
    this.topology = fleetOf(1);
    this.internals = { onClock: (clock) => (this.clock = clock), ...(versions === undefined ? {} : { deployed: fleetOf }) };
    const slowMs = 20 + random.int(400);
    const reply = (_request: number, { idempotencyKey }: { readonly idempotencyKey: string }): Said => [idempotencyKey, (this.#nonce += 1)];
    const early = this.#drawWork(this.#random.fork('work'));
    const forgets = 'retention' in retention;
    // When the first are forgotten others come, or the same again: whoever is not forgotten is told once more how it ended.
    const comesAgain = keeps.int(2) === 0;
    const others = (): Work[] => this.#drawWork(this.#random.fork('late work')).map((one) => ({ ...one, id: `late ${one.id}` }));
    // What is told too early is told to the one that has ended, and nobody tells the other.
    const same = (): Work[] => early.filter(({ input }) => eventsOf(input).length === 0);
    const late = forgets ? (comesAgain ? same() : others()).map((one) => ({ ...one, ...later(one, LATE_MS) })) : [];
    const work = [...early, ...late];
    this.options = {
      seed,
      durationMs: forgets ? DURATION_MS + LATE_MS : DURATION_MS,
      workload: work,
      outside: [
        ...this.#drawOutside(this.#random.fork('outside'), work),
        ...this.#drawSchedules(this.#random.fork('schedules')),
        ...this.#drawMailboxes(this.#random.fork('mailboxes')),
        ...this.#drawHolders(this.#random.fork('holders')),
      ],
      provider: Object.fromEntries(this.#dependencies.map((name) => [name, { latencyMs: [0, slowMs] as const, reply }])),
      // Sleeps that nobody sees are a part of the programs.
      nondeterminism: 'allow',
      invariants: [...INVARIANTS, SAID, FAIR, COUNTED, DEPLOYED],
      replay: () => `DROVER_SEED=${seed} npx vitest run test/simulation/programs.test.ts`,
    };
  }

  #drawWork(random: Random): readonly Work[] {
    return Array.from({ length: 3 + random.int(25) }, (_, at) => {
      const kind = random.int(this.#kinds.length);
      const atMs = random.next() * 10_000;
      return {
        id: `t${at}`,
        kind: KINDS[kind]!,
        input: this.#programs.draw(random, kind, 0),
        priority: at % 3,
        atMs,
        ...(random.int(10) === 0 ? { notBeforeMs: atMs + random.int(8_000) } : {}),
        ...(random.int(12) === 0 ? { deadlineMs: atMs + 8_000 + random.int(20_000) } : {}),
      };
    }).toSorted((a, b) => a.atMs - b.atMs);
  }

  /** What tasks wait for comes some time; what an operator does comes at any time. */
  #drawOutside(random: Random, work: readonly Work[]): readonly OutsideAct[] {
    const acts: OutsideAct[] = [];
    const some = (): number => random.next() * DURATION_MS;
    for (const { id: task, input, atMs } of work) {
      const events = [...eventsOf(input), ...(random.int(10) === 0 ? (['go'] as const) : [])];
      const tell = (time: string, afterMs: number): void => {
        for (const [n, name] of events.entries())
          acts.push({ at: 'signal', task, name, payload: `${name} ${n} of ${task}, ${time}`, atMs: afterMs + random.next() * 15_000 });
      };
      tell('first', atMs);
      if (random.int(12) === 0) acts.push({ at: 'cancel', task, atMs: atMs + random.next() * 8_000 });
      if (random.int(5) === 0) {
        const againMs = some();
        acts.push({ at: 'requeue', task, atMs: againMs });
        // Of what it was told before it was cancelled it knows nothing.
        tell('again', againMs);
      }
      if (random.int(10) === 0) {
        const pausedMs = atMs + random.next() * 8_000;
        acts.push({ at: 'pause', task, atMs: pausedMs }, { at: 'unpause', task, atMs: pausedMs + random.next() * 8_000 });
      }
    }
    if (random.int(4) === 0) {
      const kind = this.#kinds[random.int(this.#kinds.length)]!;
      const atMs = some();
      acts.push({ at: 'pause-kind', kind, atMs }, { at: 'unpause-kind', kind, atMs: atMs + random.next() * 10_000 });
    }
    for (let count = random.int(4); count > 0; count -= 1) {
      const change = (count_: unknown): Count => ({ n: ((count_ as Count | undefined)?.n ?? 0) + 1, by: 'outside' });
      acts.push({ at: 'set-row', key: ROWS[random.int(ROWS.length)]!, change, atMs: some() });
    }
    return acts;
  }

  /** Tasks that recur for a while, in one of three fleets. */
  #drawSchedules(random: Random): readonly OutsideAct[] {
    if (random.int(3) > 0) return [];
    return Array.from({ length: 1 + random.int(2) }, (_, at) => `recurring-${at}`).flatMap((name) => {
      const kind = random.int(this.#kinds.length);
      const spec = {
        kind: KINDS[kind]!,
        // Nobody tells it of anything.
        input: this.#programs.draw(random, kind, 1),
        everyMs: 1_000 + random.int(8_000),
        missed: (['once', 'skip'] as const)[random.int(2)]!,
        overlap: (['skip', 'allow'] as const)[random.int(2)]!,
        spreadMs: random.int(3) === 0 ? random.int(3_000) : 0,
      };
      const atMs = random.next() * 20_000;
      return [
        { at: 'schedule', name, spec, atMs },
        { at: 'unschedule', name, atMs: atMs + random.next() * 20_000 },
      ] as const;
    });
  }

  /** Ways to wait for workers change while tasks wait, in one of four fleets. */
  #drawMailboxes(random: Random): readonly OutsideAct[] {
    if (random.int(4) > 0) return [];
    return Array.from({ length: 1 + random.int(3) }, () => ({
      at: 'mailboxes',
      kind: this.#kinds[random.int(this.#kinds.length)]!,
      mailboxes: {
        mode: (['steal', 'shared', 'dedicated'] as const)[random.int(3)]!,
        ...(random.int(2) === 0 ? { capacity: 1 + random.int(6) } : {}),
        ...(random.int(2) === 0 ? { stealAbove: 1 + random.int(3) } : {}),
      },
      atMs: random.next() * 20_000,
    }));
  }

  /** People and scripts who share locks and an office beside the fleet, in one of three fleets. */
  #drawHolders(random: Random): readonly OutsideAct[] {
    if (random.int(3) > 0) return [];
    const ttlMs = 500 + random.int(4_000);
    const lockers = Array.from({ length: 2 + random.int(4) }, () => ({
      at: 'lock' as const,
      name: `lock ${random.int(2)}`,
      holdMs: random.int(4_000),
      ttlMs,
      atMs: random.next() * 15_000,
    }));
    const candidates = Array.from({ length: random.int(4) }, () => ({
      at: 'stand' as const,
      name: 'office',
      forMs: 2_000 + random.int(15_000),
      termMs: 200 + random.int(5_000),
      ttlMs,
      atMs: random.next() * 15_000,
    }));
    return [...lockers, ...candidates];
  }

  /** Each process may run other versions of the code, in one of three fleets. */
  #drawVersions(random: Random): Deploys | undefined {
    if (random.int(3) > 0) return undefined;
    return mapped(Object.fromEntries(this.#kinds.map((kind) => [kind, kind])), () => {
      const onVersionChange = (['replay', 'replay', 'restart', 'refuse'] as const)[random.int(4)]!;
      return { onVersionChange, versions: Array.from({ length: DEPLOYS }, () => 1 + random.int(3)) };
    });
  }

  #agentOf(spec: AnySpec, version: number, isChart: boolean): AnyKind {
    if (isChart)
      return agent({ ...(spec as object), version: String(version), machine: this.#statechart as never } as never) as unknown as AnyKind;
    return agent({
      ...spec,
      version: String(version),
      run: (program: Program, ctx) => this.#executor.execute(program, ctx as unknown as Context<never, never>, version),
    });
  }

  #drawSpecs(random: Random, locks: readonly boolean[], versions: Deploys | undefined): Record<string, AnySpec> {
    const uses = {
      ...Object.fromEntries(this.#dependencies.map((name) => [name, this.#drawDependency(random.fork(name))])),
      low: bulkhead({ concurrency: 1 + random.int(2), rank: 1, holdMs: 8_000 }),
      high: bulkhead({ concurrency: 1 + random.int(2), rank: 2, holdMs: 8_000 }),
    };
    const specs: Record<string, AnySpec> = {};
    const bounds = random.fork('bounds');
    for (const [at, kind] of this.#kinds.entries()) {
      specs[kind] = {
        uses,
        events: { go: z.string(), paid: z.string() },
        asks: Object.fromEntries(
          this.#kinds.slice(at + 1).map((name) => [name, contract<Program, Program, readonly Said[], readonly Said[]>()]),
        ),
        replicas: 1 + random.int(4),
        mailbox: {
          mode: (['steal', 'steal', 'shared', 'dedicated'] as const)[random.int(4)]!,
          capacity: 1 + random.int(6),
          stealAbove: 1 + random.int(3),
        },
        attempts: 3 + random.int(20),
        losses: 2 + random.int(20),
        backoff: { baseMs: 1 + random.int(50), capMs: 1_000 },
        leaseMs: 1_000 + random.int(8_000),
        runTimeoutMs: 10_000 + random.int(50_000),
        stallMs: 5_000 + random.int(20_000),
        lingerMs: random.int(3) === 0 ? 0 : random.int(80),
        onRejection: random.int(5) === 0 ? 'restart' : 'retry',
        ...(locks[at]! ? { writes: ({ writes }: Program) => writes, reads: ({ reads }: Program) => reads } : {}),
        ...(random.int(8) === 0 ? { onConflict: 'reject' as const } : {}),
        ...(random.int(2) === 0 ? { orderKey: ({ key }: Program) => key } : {}),
        ...(random.int(2) === 0 ? { affinity: ({ affinity }: Program) => affinity ?? 'any' } : {}),
        ...(random.int(3) === 0
          ? { tenant: ({ ops }: Program) => `tenant ${ops.length % 3}`, tenantWeights: { 'tenant 1': 1 + random.int(3) } }
          : {}),
        ...(random.int(8) === 0 ? { deadlineMs: 10_000 + random.int(40_000) } : {}),
        ...(random.int(4) === 0 ? { budget: this.#drawKindBudget(random) } : {}),
        ...(versions === undefined ? {} : { onVersionChange: versions[kind]!.onVersionChange }),
        ...(bounds.int(4) === 0 ? { replicas: this.#drawAutoscale(bounds) } : {}),
        ...(bounds.int(6) === 0 ? { backlog: 2 + bounds.int(8) } : {}),
      };
    }
    return specs;
  }

  /** Grows and shrinks by itself within seconds. */
  #drawAutoscale(random: Random): AutoscaleSpec {
    const min = 1 + random.int(2);
    return {
      min,
      max: min + 1 + random.int(4),
      up: { queuedPerWorker: 1, ageMs: 200 + random.int(2_000), forMs: 1_000, everyMs: 1_000 + random.int(2_000), staggerMs: 50 },
      down: { afterMs: 1_000 + random.int(4_000), everyMs: 1_000 + random.int(2_000) },
    };
  }

  #drawDependency(random: Random) {
    const limits = { concurrency: 1 + random.int(4), ...(random.int(3) === 0 ? { requestsPerMinute: 600 + random.int(3_000) } : {}) };
    const usage = () => ({ inputTokens: 5, outputTokens: 5 });
    const perform = async (request: number): Promise<unknown> => request;
    const adapt = (['none', 'none', 'aimd', 'gradient'] as const)[random.int(4)]!;
    const breaker = random.int(2) === 0 ? {} : { breaker: this.#drawBreaker(random) };
    const tokens = random.int(4) === 0 ? { inputTokensPerMinute: 20_000, outputTokensPerMinute: 20_000 } : {};
    const attempts = 1 + random.int(4);
    const estimate = () => ({ input: 6, output: 6 });
    return dependency({ limits: { ...limits, ...tokens }, adapt, ...breaker, attempts, timeoutMs: 5_000, estimate, usage, perform });
  }

  #drawBreaker(random: Random): DependencyBreakerSpec {
    const resetAfterMs = random.int(2) === 0 ? 200 + random.int(2_000) : { baseMs: 100 + random.int(500), capMs: 4_000 };
    const probes = random.int(3) === 0 ? { probes: 2 } : {};
    switch (random.int(4)) {
      case 0:
        return { resetAfterMs, ...probes, sampling: { share: 0.3, windowMs: 5_000, least: 4 } };
      case 1:
        return { soft: { windowMs: 5_000 } };
      default:
        return { resetAfterMs, ...probes, failures: 1 + random.int(4) };
    }
  }

  /** Of tokens in a short period, so that what has run out comes again. */
  #drawBudget(random: Random, least: number): BudgetSpec {
    return { tokens: least + random.int(2_000), perMs: 2_000 + random.int(6_000), warnAt: [0.5, 0.9] };
  }

  #drawKindBudget(random: Random): BudgetTree {
    return {
      ...(random.int(2) === 0 ? { kind: this.#drawBudget(random, 150) } : {}),
      ...(random.int(2) === 0 ? { worker: this.#drawBudget(random, 100) } : {}),
      task: { tokens: 60 + random.int(2_000) },
    };
  }
}

function later({ atMs, notBeforeMs, deadlineMs }: Work, ms: number): Pick<Work, 'atMs' | 'notBeforeMs' | 'deadlineMs'> {
  return {
    atMs: atMs + ms,
    ...(notBeforeMs === undefined ? {} : { notBeforeMs: notBeforeMs + ms }),
    ...(deadlineMs === undefined ? {} : { deadlineMs: deadlineMs + ms }),
  };
}

function mapped<T, U>(record: Readonly<Record<string, T>>, change: (name: string, value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(name, value)]));
}
