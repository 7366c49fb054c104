/**
 * Programs: a random topology with random work, drawn from one seed. The input of a task is its
 * program: what its run does follows from that alone, and what it says can be compared with what is
 * remembered. Faults are the kit's own mix.
 */
import { agent, bulkhead, contract, defineFleet, dependency } from 'drover';
import type { Agent, BudgetSpec, BudgetTree, Context, DependencyBreakerSpec, Topology } from 'drover';
import { seededRandom } from '../../actors/kernel/random.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { Invariant } from '../../src/testing/index.ts';
import { INVARIANTS } from '../../src/testing/index.ts';
import type { SimulateOptions, SimulationResult } from '../../src/testing/index.ts';
import { simulateWith } from '../../src/testing/simulate/simulate.ts';
import type { VirtualClock } from '../../src/testing/virtual-clock.ts';

type Op =
  | { readonly at: 'call'; readonly dependency: string; readonly request: number; readonly remember?: false }
  | { readonly at: 'step'; readonly name: string; readonly ms: number; readonly fails?: true }
  | { readonly at: 'ask'; readonly kind: string; readonly program: Program }
  | { readonly at: 'send'; readonly kind: string; readonly program: Program }
  | { readonly at: 'both'; readonly ops: readonly Op[] }
  /** With a place of the lower bulkhead in hand, and in it of the higher one. */
  | { readonly at: 'hold'; readonly deep: boolean; readonly ms: number; readonly op: Op }
  | { readonly at: 'progress' }
  | { readonly at: 'sleep'; readonly ms: number };

interface Program {
  readonly ops: readonly Op[];
  /** Throws before its end in its first so many attempts. */
  readonly rejects: number;
  /** Throws before its end, for good. */
  readonly hopeless?: true;
}

/** What an operation brought: its key, and what only its own effect can have said. */
type Said = readonly [key: string, value: number];

type AnyKind = Agent<Program, readonly Said[]>;

const KINDS = ['k0', 'k1', 'k2'] as const;
const DEPENDENCIES = ['d0', 'd1'] as const;
const DURATION_MS = 40_000;

/** What programs and faults may bring a task to; anything else was Drover's doing. */
const FAIR_ENDS = [
  'DROVER_CALL_FAILED',
  'DROVER_CALL_TIMEOUT',
  'DROVER_BULKHEAD_ORDER',
  'DROVER_CHILD_FAILED',
  'DROVER_RUN_TIMEOUT',
  'DROVER_RUN_LOST',
  'hopeless',
  'rejected at attempt',
  'a step fails',
  'the worker died under the run',
];

/** Simulates what one seed draws. */
export function simulatePrograms(seed: number): Promise<SimulationResult> {
  const drawn = new Drawn(seed);
  return simulateWith(drawn.topology, drawn.options, { onClock: (clock) => (drawn.clock = clock) });
}

class Drawn {
  readonly topology: Topology;
  readonly options: SimulateOptions;
  clock!: VirtualClock;
  readonly #random: Random;
  readonly #kinds: readonly string[];
  readonly #dependencies: readonly string[];
  #nonce = 0;

  constructor(seed: number) {
    this.#random = seededRandom(`programs/${seed}`);
    const random = this.#random.fork('plan');
    this.#kinds = KINDS.slice(0, 1 + random.int(KINDS.length));
    this.#dependencies = DEPENDENCIES.slice(0, 1 + random.int(DEPENDENCIES.length));
    const agents = this.#drawAgents(this.#random.fork('agents'));
    const supervision = { intensity: 10_000, periodMs: 1_000, backoff: { baseMs: 5, capMs: 200 } };
    const budget = random.int(3) === 0 ? { budget: this.#drawBudget(this.#random.fork('budget'), 300) } : {};
    const wakeGate = random.int(4) === 0 ? { wakeGate: { most: 1 + random.int(3) } } : {};
    this.topology = defineFleet({ name: 'test', staggerMs: 0, agents, supervision, ...budget, ...wakeGate });
    const slowMs = 20 + random.int(400);
    const reply = (_request: number, { idempotencyKey }: { readonly idempotencyKey: string }): Said => [idempotencyKey, (this.#nonce += 1)];
    this.options = {
      seed,
      durationMs: DURATION_MS,
      workload: this.#drawWork(this.#random.fork('work')),
      provider: Object.fromEntries(this.#dependencies.map((name) => [name, { latencyMs: [0, slowMs] as const, reply }])),
      // Bare sleeps are a part of the programs.
      nondeterminism: 'allow',
      invariants: [...INVARIANTS, SAID, FAIR],
      replay: () => `DROVER_SEED=${seed} npx vitest run test/simulation/programs.test.ts`,
    };
  }

  #drawWork(random: Random) {
    return Array.from({ length: 3 + random.int(25) }, (_, at) => {
      const kind = random.int(this.#kinds.length);
      return {
        id: `t${at}`,
        kind: KINDS[kind]!,
        input: this.#drawProgram(random, kind, 0),
        priority: at % 3,
        atMs: random.next() * 10_000,
      };
    }).toSorted((a, b) => a.atMs - b.atMs);
  }

  #drawProgram(random: Random, kind: number, depth: number): Program {
    const ops: Op[] = [];
    let steps = 0;
    const drawOp = (nested: boolean): Op => {
      const children = this.#kinds.slice(kind + 1);
      const choice = random.int(nested ? 6 : 10);
      if (choice <= 2) {
        const remember = random.int(8) === 0 ? { remember: false as const } : {};
        return {
          at: 'call',
          dependency: this.#dependencies[random.int(this.#dependencies.length)]!,
          request: random.int(1_000),
          ...remember,
        };
      }
      if (choice <= 4 || children.length === 0 || depth > 2) {
        const fails = random.int(12) === 0 ? { fails: true as const } : {};
        return { at: 'step', name: `s${(steps += 1)}`, ms: random.int(200), ...fails };
      }
      const child = kind + 1 + random.int(children.length);
      if (choice <= 6) return { at: 'ask', kind: KINDS[child]!, program: this.#drawProgram(random, child, depth + 1) };
      if (choice === 7) return { at: 'send', kind: KINDS[child]!, program: this.#drawProgram(random, child, depth + 1) };
      if (choice === 8 && random.int(3) === 0) return { at: 'hold', deep: random.int(2) === 0, ms: random.int(100), op: drawOp(true) };
      if (choice === 8) return { at: 'both', ops: Array.from({ length: 2 + random.int(3) }, () => drawOp(true)) };
      return random.int(2) === 0 ? { at: 'progress' } : { at: 'sleep', ms: random.int(300) };
    };
    for (let count = random.int(5); count >= 0; count -= 1) ops.push(drawOp(false));
    const hopeless = random.int(30) === 0 ? { hopeless: true as const } : {};
    return { ops, rejects: random.int(4) === 0 ? 1 + random.int(2) : 0, ...hopeless };
  }

  #drawAgents(random: Random): Record<string, AnyKind> {
    const uses = {
      ...Object.fromEntries(this.#dependencies.map((name) => [name, this.#drawDependency(random.fork(name))])),
      low: bulkhead({ concurrency: 1 + random.int(2), rank: 1, holdMs: 8_000 }),
      high: bulkhead({ concurrency: 1 + random.int(2), rank: 2, holdMs: 8_000 }),
    };
    const agents: Record<string, AnyKind> = {};
    for (const [at, kind] of this.#kinds.entries()) {
      agents[kind] = agent({
        uses,
        asks: Object.fromEntries(
          this.#kinds.slice(at + 1).map((name) => [name, contract<Program, Program, readonly Said[], readonly Said[]>()]),
        ),
        replicas: 1 + random.int(4),
        mailbox: { capacity: 1 + random.int(6), stealAbove: 1 + random.int(3) },
        attempts: 3 + random.int(20),
        losses: 2 + random.int(20),
        backoff: { baseMs: 1 + random.int(50), capMs: 1_000 },
        leaseMs: 1_000 + random.int(8_000),
        runTimeoutMs: 10_000 + random.int(50_000),
        stallMs: 5_000 + random.int(20_000),
        lingerMs: random.int(3) === 0 ? 0 : random.int(80),
        onRejection: random.int(5) === 0 ? 'restart' : 'retry',
        ...(random.int(3) === 0 ? { tenant: ({ ops }: Program) => `tenant ${ops.length % 3}` } : {}),
        ...(random.int(4) === 0 ? { budget: this.#drawKindBudget(random) } : {}),
        run: (program: Program, ctx) => this.#execute(program, ctx as unknown as Context<never, never>),
      });
    }
    return agents;
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

  // ── What runs do ─────────────────────────────────────────────────────────────────────────────

  async #execute(program: Program, ctx: Context<never, never>): Promise<readonly Said[]> {
    const said: Said[] = [];
    for (const op of program.ops) said.push(...(await this.#perform(op, ctx)));
    if (program.hopeless === true) throw Object.assign(new Error('hopeless'), { retryable: false });
    if (ctx.task.attempt <= program.rejects) throw new Error(`rejected at attempt ${ctx.task.attempt}`);
    return said;
  }

  async #perform(op: Op, ctx: Context<never, never>): Promise<readonly Said[]> {
    switch (op.at) {
      case 'call': {
        const options = op.remember === undefined ? {} : { remember: op.remember };
        const said: unknown = await ctx.call(op.dependency as never, op.request as never, options);
        return op.remember === false ? [] : [said as Said];
      }
      case 'step':
        return [
          await ctx.step(op.name, async ({ idempotencyKey }): Promise<Said> => {
            await this.#sleep(op.ms);
            if (op.fails === true && ctx.task.attempt < 3) throw new Error('a step fails');
            return [idempotencyKey, (this.#nonce += 1)];
          }),
        ];
      case 'ask':
        try {
          return await ctx.ask(op.kind as never, op.program as never);
        } catch (error) {
          // Only what the child came to is the same in every run.
          if ((error as { code?: string }).code !== 'DROVER_CHILD_FAILED') throw error;
          return [];
        }
      case 'send':
        ctx.send(op.kind as never, op.program as never);
        return [];
      case 'progress':
        ctx.progress(1, 2);
        return [];
      case 'sleep':
        await this.#sleep(op.ms);
        return [];
      case 'hold': {
        const inner = async (): Promise<readonly Said[]> => {
          await this.#sleep(op.ms);
          return this.#perform(op.op, ctx);
        };
        const low = ctx.hold('low', () => (op.deep ? ctx.hold('high', inner) : inner()));
        return await low;
      }
      case 'both':
    }
    return (await Promise.all(op.ops.map((inner) => this.#perform(inner, ctx)))).flat();
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.wakeAt(this.clock.nowMs() + ms, resolve));
  }
}

/** What a task says it brought is what was remembered, each by its own key. */
const SAID: Invariant = {
  name: 'S4',
  promise: 'a result is made of what is remembered',
  check(_topology, broken) {
    const remembered = new Map<string, string>();
    return {
      'store.remembered': ({ item: { id, place, value } }) => {
        const key = `${id}/${place}`;
        if (!remembered.has(key)) remembered.set(key, value);
      },
      'client.told': ({ id, outcome, value }) => {
        if (outcome !== 'completed') return;
        for (const said of value as readonly unknown[]) {
          // Garbage is remembered as well as anything else.
          if (!Array.isArray(said) || typeof said[0] !== 'string') continue;
          const known = remembered.get(said[0]);
          if (known !== JSON.stringify(said)) broken(`${id} says ${JSON.stringify(said)}, remembered is ${known}`);
        }
      },
    };
  },
};

/** A task that did not complete says why, and it is nothing that Drover did. */
const FAIR: Invariant = {
  name: 'fair ends',
  promise: 'a task that does not complete ends for a reason of its own, or of a fault',
  check(_topology, broken) {
    return {
      'store.settled': ({ settlement: { id, outcome } }) => {
        if (outcome.at !== 'failed' && outcome.at !== 'dead') return;
        const { code, message } = JSON.parse(outcome.error) as { readonly code?: string; readonly message: string };
        if (!FAIR_ENDS.some((fair) => fair === code || message.startsWith(fair))) broken(`${id} is ${outcome.at}: ${outcome.error}`);
      },
    };
  },
};
