/**
 * Simulation: a random topology under random work and random faults, all drawn from one seed, in
 * virtual time. Workers, queues, limiters and whole processes crash, the store fails and delays;
 * then the faults stop, and everything has to end. What must hold always is checked always.
 *
 * The input of a task is its program: what its run does follows from that alone.
 */
import { agent, contract } from 'drover';
import type { Agent, Context, Fleet, TaskHandle } from 'drover';
import type { ClaimedTask, RememberItem, Settlement, SettleReply, SubmitOutcome } from '../../actors/ports/store.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import type { LimiterState } from '../../actors/limiter.ts';
import type { QueueState } from '../../actors/queue.ts';
import { seededRandom } from '../../actors/kernel/random.ts';
import type { Random } from '../../actors/kernel/random.ts';
import { hashText } from '../../src/runtime/payload.ts';
import { Testbed } from './harness.ts';
import type { Command, Service, ServiceCall } from './harness.ts';

// ── Programs ───────────────────────────────────────────────────────────────────────────────────

type Op =
  | { readonly at: 'call'; readonly dependency: string; readonly request: number; readonly remember?: false }
  | { readonly at: 'step'; readonly name: string; readonly ms: number; readonly fails?: true }
  | { readonly at: 'ask'; readonly kind: string; readonly program: Program }
  | { readonly at: 'send'; readonly kind: string; readonly program: Program }
  | { readonly at: 'both'; readonly ops: readonly Op[] }
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
type Said = readonly [key: string, value: unknown];

const KINDS = ['k0', 'k1', 'k2'] as const;
const DEPENDENCIES = ['d0', 'd1'] as const;

function drawProgram(random: Random, plan: Plan, kind: number, depth: number): Program {
  const ops: Op[] = [];
  let steps = 0;
  const drawOp = (nested: boolean): Op => {
    const children = KINDS.slice(kind + 1, plan.kinds);
    const choice = random.int(nested ? 6 : 10);
    if (choice <= 2) {
      const remember = random.int(8) === 0 ? { remember: false as const } : {};
      return { at: 'call', dependency: DEPENDENCIES[random.int(plan.dependencies)]!, request: random.int(1_000), ...remember };
    }
    if (choice <= 4 || children.length === 0 || depth > 2) {
      const fails = random.int(12) === 0 ? { fails: true as const } : {};
      return { at: 'step', name: `s${(steps += 1)}`, ms: random.int(200), ...fails };
    }
    const child = kind + 1 + random.int(children.length);
    if (choice <= 6) return { at: 'ask', kind: KINDS[child]!, program: drawProgram(random, plan, child, depth + 1) };
    if (choice === 7) return { at: 'send', kind: KINDS[child]!, program: drawProgram(random, plan, child, depth + 1) };
    if (choice === 8) return { at: 'both', ops: Array.from({ length: 2 + random.int(3) }, () => drawOp(true)) };
    return random.int(2) === 0 ? { at: 'progress' } : { at: 'sleep', ms: random.int(300) };
  };
  for (let count = random.int(5); count >= 0; count -= 1) ops.push(drawOp(false));
  const hopeless = random.int(30) === 0 ? { hopeless: true as const } : {};
  return { ops, rejects: random.int(4) === 0 ? 1 + random.int(2) : 0, ...hopeless };
}

// ── Plans ──────────────────────────────────────────────────────────────────────────────────────

interface Plan {
  readonly kinds: number;
  readonly dependencies: number;
  readonly ordered: boolean;
  /** Some runs do without some faults: what one hides, another shows. */
  readonly faults: {
    readonly storeFails: number;
    readonly storeDelayMs: number;
    readonly workerCrashes: number;
    readonly queueCrashes: number;
    readonly limiterCrashes: number;
    readonly kills: number;
    readonly stalls: number;
    readonly callFails: number;
  };
}

function drawPlan(random: Random): Plan {
  const some = (most: number): number => (random.int(2) === 0 ? 0 : 1 + random.int(most));
  return {
    kinds: 1 + random.int(KINDS.length),
    dependencies: 1 + random.int(DEPENDENCIES.length),
    ordered: random.int(2) === 0,
    faults: {
      storeFails: some(3) * 0.1,
      storeDelayMs: some(3) * 40,
      workerCrashes: some(8),
      queueCrashes: some(4),
      limiterCrashes: some(5),
      kills: some(2),
      stalls: some(2),
      callFails: some(3) * 0.1,
    },
  };
}

/** What was broken, and how to see it again. */
export class SimulationFailure extends Error {}

export interface SimulationReport {
  readonly tasks: number;
  readonly runs: number;
  readonly virtualMs: number;
  /** Of everything that was committed, when and in which order: the same seed has the same. */
  readonly trace: string;
}

/** What the programs and the faults may bring a task to. */
const FAIR_ENDS = [
  'DROVER_CALL_FAILED',
  'DROVER_CHILD_FAILED',
  'DROVER_RUN_TIMEOUT',
  'DROVER_RUN_LOST',
  'hopeless',
  'rejected at attempt',
  'a step fails',
  'the worker died under the run',
];

/** How long everything may take to end once the faults have stopped. */
const HEALING_MS = 2 * 3_600_000;

export async function simulate(seed: number): Promise<SimulationReport> {
  const bed = new Testbed(seed);
  const simulation = new Simulation(bed);
  try {
    await simulation.run();
    await bed[Symbol.asyncDispose]();
  } catch (error) {
    throw new SimulationFailure(
      `seed ${seed}: ${error instanceof Error ? error.message : String(error)}\nreplay: DROVER_SEED=${seed} npx vitest run test/runtime/simulation.test.ts`,
      { cause: error },
    );
  }
  return simulation.report();
}

class Simulation {
  readonly #bed: Testbed;
  readonly #random: Random;
  readonly #plan: Plan;
  readonly #services = new Map<string, Service>();
  readonly #agents: Record<string, AnyKind>;
  /** Idempotency keys whose effect is remembered, with what it said. */
  readonly #remembered = new Map<string, string>();
  readonly #acknowledged = new Map<string, { readonly kind: string; readonly program: Program }>();
  /** Handles that have not been told how their task ended, and by whom they were given. */
  readonly #untold = new Map<TaskHandle, Fleet>();
  readonly #stored = new Set<string>();
  readonly #completions = new Map<string, number>();
  readonly #fences = new Map<string, number>();
  readonly #trace: string[] = [];
  #fleet!: Fleet;
  #nonce = 0;
  #runs = 0;
  #broken: string | undefined;

  constructor(bed: Testbed) {
    this.#bed = bed;
    this.#random = seededRandom(`simulation/${bed.seed}`);
    this.#plan = drawPlan(this.#random.fork('plan'));
    for (const name of DEPENDENCIES.slice(0, this.#plan.dependencies)) this.#services.set(name, this.#drawService(name));
    this.#agents = this.#drawAgents();
  }

  async run(): Promise<void> {
    const { faults } = this.#bed;
    const { storeFails, storeDelayMs } = this.#plan.faults;
    const random = this.#random.fork('store');
    faults.ordered = this.#plan.ordered;
    faults.committed = (command, items, reply) => this.#committed(command, items, reply);
    faults.delays = () => [random.next() * storeDelayMs, random.next() * storeDelayMs];
    // An owner that is refused must not be taken for a fleet that cannot start.
    faults.fault = (command) =>
      command !== 'open' && command !== 'close' && random.next() < storeFails ? (random.int(2) === 0 ? 'before' : 'after') : undefined;
    await this.#start();
    this.#bed.settled = () => {
      this.#everyTaskCounted();
      this.#eachTaskInOneMailbox();
    };
    const submitting = this.#submitAll();
    await this.#disturb();
    faults.fault = undefined;
    faults.delays = undefined;
    for (const service of this.#services.values()) service.respond = this.#answering(this.#random.fork('healed'), 0);
    await this.#bed.drive(submitting, HEALING_MS);
    await this.#everythingEnds();
    await this.#bed.close(this.#fleet);
    this.#check();
  }

  report(): SimulationReport {
    return { tasks: this.#stored.size, runs: this.#runs, virtualMs: this.#bed.nowMs, trace: hashText(this.#trace.join('\n')) };
  }

  // ── Drawing ──────────────────────────────────────────────────────────────────────────────────

  #drawService(name: string): Service {
    const random = this.#random.fork(`service/${name}`);
    const concurrency = 1 + random.int(4);
    const limits = { concurrency, ...(random.int(3) === 0 ? { requestsPerMinute: 600 + random.int(3_000) } : {}) };
    const service = this.#bed.service(
      { limits, attempts: 1 + random.int(4), timeoutMs: 5_000, estimate: () => 10, usage: () => ({ inputTokens: 5, outputTokens: 5 }) },
      this.#answering(random, this.#plan.faults.callFails),
    );
    return Object.assign(service, { concurrency });
  }

  #answering(random: Random, failing: number): Service['respond'] {
    const slowMs = 20 + random.int(400);
    return (call) => {
      this.#performed(call);
      const afterMs = random.next() * slowMs;
      if (random.next() >= failing) return { afterMs, reply: [call.key, (this.#nonce += 1)] };
      const kind = random.int(4);
      if (kind === 0) return { never: true };
      if (kind === 1)
        return {
          afterMs,
          error: Object.assign(new Error('slow down'), { status: 429, headers: { 'retry-after-ms': String(random.int(2_000)) } }),
        };
      return { afterMs, error: Object.assign(new Error('overloaded'), { status: 503 }) };
    };
  }

  #drawAgents(): Record<string, AnyKind> {
    const random = this.#random.fork('agents');
    const kinds = KINDS.slice(0, this.#plan.kinds);
    const uses = Object.fromEntries([...this.#services].map(([name, { dependency }]) => [name, dependency]));
    const agents: Record<string, AnyKind> = {};
    for (const [at, kind] of kinds.entries()) {
      agents[kind] = agent({
        uses,
        asks: Object.fromEntries(kinds.slice(at + 1).map((name) => [name, contract<Program, Program, readonly Said[], readonly Said[]>()])),
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
        run: (program: Program, ctx) => this.#execute(program, ctx as unknown as Context<never, never>),
      });
    }
    return agents;
  }

  // ── What runs do ─────────────────────────────────────────────────────────────────────────────

  async #execute(program: Program, ctx: Context<never, never>): Promise<readonly Said[]> {
    this.#runs += 1;
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
        const [key, value] = (await ctx.call(op.dependency as never, op.request as never, options)) as Said;
        return op.remember === false ? [] : [[key, value]];
      }
      case 'step':
        return [
          await ctx.step(op.name, async ({ idempotencyKey: key }) => {
            if (this.#remembered.has(key)) this.#break(`S4: ${key} is made again though it is remembered`);
            await this.#bed.sleep(op.ms);
            if (op.fails === true && ctx.task.attempt < 3) throw new Error('a step fails');
            return [key, (this.#nonce += 1)] as const;
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
        await this.#bed.sleep(op.ms);
        return [];
      case 'both':
    }
    return (await Promise.all(op.ops.map((inner) => this.#perform(inner, ctx)))).flat();
  }

  // ── Work and faults ──────────────────────────────────────────────────────────────────────────

  async #start(): Promise<void> {
    const fleet = await this.#bed.start({
      agents: this.#agents,
      supervision: { intensity: 10_000, periodMs: 1_000, backoff: { baseMs: 5, capMs: 200 } },
    });
    this.#fleet = fleet as never;
  }

  async #submitAll(): Promise<void> {
    const random = this.#random.fork('work');
    const count = 3 + random.int(25);
    const all: Promise<void>[] = [];
    for (let at = 0; at < count; at += 1) {
      const kind = random.int(this.#plan.kinds);
      const program = drawProgram(random, this.#plan, kind, 0);
      all.push(this.#submit(`t${at}`, KINDS[kind]!, program, random.next() * 10_000));
    }
    await Promise.all(all);
  }

  /** Submits until it is acknowledged, whichever fleet is there to do so. */
  async #submit(id: string, kind: string, program: Program, afterMs: number): Promise<void> {
    await this.#bed.sleep(afterMs);
    for (;;) {
      try {
        const fleet = this.#fleet;
        const handle = await fleet.submit(kind, program, { id, priority: Number(id.slice(1)) % 3 });
        this.#acknowledged.set(id, { kind, program });
        const told = (): boolean => this.#untold.delete(handle);
        this.#untold.set(handle, fleet);
        handle.result().then(told, told);
        if (this.#bed.disk.tasks.get([id])[0] === undefined) this.#break(`S1: ${id} was acknowledged and is not in the store`);
        return;
      } catch (error) {
        const { code } = error as { code?: string };
        if (code !== 'DROVER_STORE_FAILED' && code !== 'DROVER_FLEET_CLOSED' && code !== 'DROVER_STORE_CLOSED')
          this.#break(`submit of ${id} rejected: ${String(error)}`);
        await this.#bed.sleep(50);
      }
    }
  }

  async #disturb(): Promise<void> {
    const random = this.#random.fork('faults');
    const { workerCrashes, queueCrashes, limiterCrashes, kills, stalls } = this.#plan.faults;
    const lastMs = 15_000 + random.int(30_000);
    const fates: { readonly inMs: number; readonly strike: () => Promise<void> | void }[] = [];
    const plan = (times: number, strike: () => Promise<void> | void): void => {
      for (let at = 0; at < times; at += 1) fates.push({ inMs: random.next() * lastMs, strike });
    };
    const kinds = KINDS.slice(0, this.#plan.kinds);
    plan(workerCrashes, () => this.#bed.crashWorker(kinds[random.int(kinds.length)]!, random.int(4)));
    plan(queueCrashes, () => this.#bed.crashQueue(kinds[random.int(kinds.length)]!));
    plan(limiterCrashes, () => this.#bed.crashLimiter([...this.#services.keys()][random.int(this.#services.size)]!));
    plan(stalls, () => this.#bed.clock.stall(random.next() * 12_000));
    plan(kills, () => this.#restart(random));
    plan(1, () => {});
    fates.sort((a, b) => a.inMs - b.inMs);
    const fromMs = this.#bed.nowMs;
    for (const { inMs, strike } of fates) {
      // A stall may have passed the time of what comes next.
      await this.#step(Math.max(0, fromMs + inMs - this.#bed.nowMs));
      await strike();
      await this.#step(0);
    }
  }

  async #restart(random: Random): Promise<void> {
    if (random.int(3) === 0) await this.#bed.close(this.#fleet, { deadlineMs: random.int(500) });
    this.#bed.kill();
    for (const service of this.#services.values()) service.disconnect();
    await this.#start();
  }

  async #everythingEnds(): Promise<void> {
    const { tasks } = this.#bed.disk;
    const limitMs = this.#bed.nowMs + HEALING_MS;
    for (;;) {
      const open = tasks.list({ limit: Infinity }).filter(({ status }) => !isTerminal(status));
      if (open.length === 0) break;
      if (this.#bed.nowMs > limitMs) this.#break(`L1: ${open.length} tasks do not end, such as ${JSON.stringify(open[0])}`);
      await this.#step(1_000);
    }
    this.#endsHaveReasons();
    await this.#step(5_000);
    if (this.#fleet.load.held !== 0 || this.#fleet.load.running !== 0) this.#break(`L3: still held: ${JSON.stringify(this.#fleet.load)}`);
    for (const [name, service] of this.#services) {
      const limiter = this.#stateOf(`test/dependencies/${name}`) as LimiterState | undefined;
      if (limiter?.inFlight !== 0 || limiter.line.size !== 0)
        this.#break(`L3: permits of ${name} are not home: ${JSON.stringify(limiter)}`);
      if (service.inFlight !== 0) this.#break(`L3: ${service.inFlight} calls of ${name} go on for nobody`);
    }
    for (const [{ id }, fleet] of this.#untold) if (fleet === this.#fleet) this.#break(`L1: ${id} has ended, and nobody tells its handle`);
    await this.#handlesTell();
  }

  /** A task that did not complete says why, and it is nothing that Drover did. */
  #endsHaveReasons(): void {
    for (const task of this.#bed.disk.tasks.list({ limit: Infinity })) {
      if (task.status === 'completed') continue;
      const { code, message } = JSON.parse(task.error!) as { readonly code?: string; readonly message: string };
      if (!FAIR_ENDS.some((fair) => fair === code || message.startsWith(fair))) this.#break(`${task.id} is ${task.status}: ${task.error}`);
    }
  }

  /** Whoever asks for a task now is told how it ended, and that nothing of it is made again. */
  async #handlesTell(): Promise<void> {
    const runs = this.#runs;
    for (const [id, { kind, program }] of this.#acknowledged) {
      const handle = await this.#bed.drive(this.#fleet.submit(kind, program, { id, priority: 0 }));
      const outcome = await this.#bed.drive(
        handle.result().then(
          (said) => said,
          (error: { code: string }) => error.code,
        ),
      );
      const task = this.#bed.disk.tasks.get([id])[0]!;
      if (task.status !== 'completed') {
        if (outcome !== 'DROVER_TASK_FAILED') this.#break(`${id} is ${task.status}, its handle says ${JSON.stringify(outcome)}`);
        continue;
      }
      for (const [key, value] of outcome as readonly Said[]) {
        const remembered = this.#remembered.get(key);
        if (remembered !== JSON.stringify([key, value]))
          this.#break(`S4: ${id} says ${String(value)} for ${key}, remembered is ${remembered}`);
      }
    }
    if (this.#runs !== runs) this.#break('a task that had ended ran again');
  }

  // ── What must hold ───────────────────────────────────────────────────────────────────────────

  async #step(ms: number): Promise<void> {
    await this.#bed.advance(ms);
    this.#check();
  }

  #check(): void {
    if (this.#broken !== undefined) throw new Error(this.#broken);
  }

  /** Kept until the next step: what is thrown inside the runtime would only be one more fault. */
  #break(what: string): void {
    this.#broken ??= `at ${this.#bed.nowMs}: ${what}`;
  }

  #performed(call: ServiceCall): void {
    if (this.#remembered.has(call.key)) this.#break(`S4: ${call.key} is called again though its reply is remembered`);
    for (const [name, service] of this.#services) {
      const { concurrency } = service as Service & { readonly concurrency: number };
      if (service.inFlight > concurrency) this.#break(`S6: ${service.inFlight} of ${concurrency} calls of ${name} in flight`);
      const twins = service.calls.filter(({ key, endedAtMs }) => key === call.key && endedAtMs === undefined);
      if (twins.length > 1) this.#break(`S4: ${call.key} is in flight twice`);
    }
  }

  #committed(command: Command, items: unknown, reply: unknown): void {
    switch (command) {
      case 'submit':
        for (const [at, outcome] of (reply as readonly SubmitOutcome[]).entries()) {
          if (outcome.at === 'accepted') this.#stored.add((items as readonly { id: string }[])[at]!.id);
        }
        break;
      case 'claim':
        for (const { id, fence } of reply as readonly ClaimedTask[]) {
          if (fence <= (this.#fences.get(id) ?? 0)) this.#break(`S3: fence ${fence} of ${id} after ${this.#fences.get(id)}`);
          this.#fences.set(id, fence);
        }
        break;
      case 'remember':
        for (const [at, kept] of (reply as readonly boolean[]).entries()) {
          const { id, place, value } = (items as readonly RememberItem[])[at]!;
          const key = `${id}/${place}`;
          if (kept && !this.#remembered.has(key)) this.#remembered.set(key, value);
        }
        break;
      case 'settle':
        for (const [at, outcome] of (reply as SettleReply).outcomes.entries())
          if (outcome.at === 'settled') this.#settled((items as readonly Settlement[])[at]!);
        break;
      default:
    }
    this.#trace.push(`${this.#bed.nowMs} ${command} ${JSON.stringify(reply)}`);
  }

  #settled({ id, fence, outcome }: Settlement): void {
    if (fence !== this.#fences.get(id)) this.#break(`S2: ${id} was settled under fence ${fence}, the last one is ${this.#fences.get(id)}`);
    if (outcome.at === 'completed') {
      const completions = (this.#completions.get(id) ?? 0) + 1;
      this.#completions.set(id, completions);
      if (completions > 1) this.#break(`S2: ${id} was completed ${completions} times`);
      for (const { id: sent } of outcome.sends) this.#stored.add(sent);
    }
    if (outcome.at !== 'parked') return;
    for (const [name, { calls }] of this.#services) {
      const held = calls.find(({ key, endedAtMs }) => endedAtMs === undefined && key.startsWith(`${id}/call:`));
      if (held !== undefined) this.#break(`S11: ${id} is parked with a call of ${name} in flight`);
    }
  }

  #everyTaskCounted(): void {
    const counts = this.#bed.disk.tasks.counts();
    const sum = Object.values(counts).reduce((all, kind) => all + Object.values(kind).reduce((a, b) => a + b, 0), 0);
    if (sum !== this.#stored.size) this.#break(`S14: ${sum} tasks are counted, ${this.#stored.size} were submitted`);
  }

  #eachTaskInOneMailbox(): void {
    const seen = new Set<string>();
    for (const kind of Object.keys(this.#agents)) {
      const queue = this.#stateOf(`test/work/${kind}`) as QueueState | undefined;
      for (const { mailbox, run } of queue?.slots ?? []) {
        for (const { id, fence } of run === null ? mailbox : [...mailbox, run]) {
          if (seen.has(`${id} ${fence}`)) this.#break(`S13: ${id} is in two places of a queue`);
          seen.add(`${id} ${fence}`);
        }
      }
    }
  }

  #stateOf(id: string): unknown {
    const host = this.#bed.fleets.at(-1)?.host;
    return (host?.snapshotOf(id) as { readonly state: unknown } | undefined)?.state;
  }
}

type AnyKind = Agent<Program, readonly Said[]>;
