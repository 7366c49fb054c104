/**
 * A real fleet of 80 in virtual time: four kinds of twenty, always busy, on one model with lognormal
 * latencies (sigma 0.8), 5 % failed runs, noisy scores and prices. One worker may be bad, in every
 * incarnation. With and without a meta-agent it is the same fleet.
 */
import { setImmediate } from 'node:timers/promises';
import { pino } from 'pino';
import { agent, defineFleet, dependency } from 'drover';
import type { Fleet, Topology } from 'drover';
import { countingIds } from '../../../actors/kernel/ids.ts';
import { seededRandom } from '../../../actors/kernel/random.ts';
import type { Random } from '../../../actors/kernel/random.ts';
import type { Host } from '../../../actors/host/host.ts';
import { seededTransport } from '../../../actors/host/transport.ts';
import { startFleetWith } from '../../../src/runtime/fleet.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import type { Decision } from '../../../supervisors/meta-agent/watch.ts';

export type Badness = 'slow' | 'failing' | 'garbage' | 'spending';
export const BADNESSES: readonly Badness[] = ['slow', 'failing', 'garbage', 'spending'];

export interface Scenario {
  readonly seed: number;
  /** Undefined: all eighty are well. */
  readonly how: Badness | undefined;
  readonly metaAgent: boolean;
  readonly minutes: number;
}

/** What happened within the time. */
export interface Outcome {
  readonly runs: number;
  /** Runs of the bad worker while it was bad: somebody waited, paid or got something useless. */
  readonly badRuns: number;
  /** Of the time of all workers, the share that went into those runs. */
  readonly badTime: number;
  /** Seconds until the bad worker was suspended first; undefined: never. */
  readonly containedAfterS: number | undefined;
  /** How often a bad worker was suspended, and passed a health check. */
  readonly suspensions: number;
  /** Commands about workers that are well, by what they were. */
  readonly commandsAboutOthers: readonly string[];
  readonly suspendedOthers: number;
  readonly personsCalled: number;
  readonly usd: number;
  readonly p99Ms: number;
  /** Tasks that failed for good. */
  readonly failed: number;
}

const KINDS = ['reads', 'writes', 'checks', 'files'] as const;
const REPLICAS = 20;
/** Of a kind, at any time: somewhat more than its workers can do at once. */
const UNFINISHED = 40;
const MEDIAN_MS = 2_000;
const SIGMA = 0.8;
const FAILING = 0.05;
const SLOWER = 5;
const DEARER = 12;

interface Reply {
  readonly tokens: number;
  readonly failed: boolean;
  readonly score: number;
}

/** The worker that is bad in a run of this seed. */
export const badWorkerOf = (seed: number): string => `eighty/agents/${KINDS[seed % 4]!}/${(seed * 7) % REPLICAS}`;

/** Runs the fleet for so long, and closes it. */
export async function runEighty(scenario: Scenario): Promise<Outcome> {
  const eighty = new Eighty(scenario);
  const fleet = await eighty.drive(startFleetWith(eighty.topology, eighty.options, { onHost: (host) => (eighty.host = host) }));
  return eighty.run(fleet);
}

class Eighty {
  readonly topology: Topology;
  readonly #scenario: Scenario;
  readonly #clock = new VirtualClock(1_750_000_000_000);
  readonly #startMs = this.#clock.nowMs();
  readonly #random: Random;
  readonly #bad: string | undefined;
  /** Who runs a task: told before the run begins. */
  readonly #workers = new Map<string, string>();
  readonly #decisions: Decision[] = [];
  readonly #lengths: number[] = [];
  #host: Host | undefined;
  #badRuns = 0;
  #badMs = 0;
  /** When the runs of the bad worker began, by task: one may be told to have ended after the next has begun. */
  readonly #badSince = new Map<string, number>();
  #suspensions = 0;
  #suspendedOthers = 0;
  #persons = 0;
  #containedAtMs: number | undefined;
  #tasks = 0;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#random = seededRandom(`eighty ${scenario.seed}`);
    this.#bad = scenario.how === undefined ? undefined : badWorkerOf(scenario.seed);
    this.topology = this.#define() as never;
  }

  set host(host: Host) {
    this.#host = host;
  }

  get options() {
    const random = this.#random.fork('fleet');
    return {
      store: memoryStore(),
      clock: this.#clock,
      random,
      ids: countingIds('task'),
      transport: seededTransport<never>(random.fork('transport')),
      logger: pino({ level: 'silent' }),
    };
  }

  async run(fleet: Fleet): Promise<Outcome> {
    this.#listen(fleet);
    for (const kind of KINDS) for (let at = 0; at < UNFINISHED; at += 1) this.#submit(fleet, kind);
    await this.#until(() => false, this.#startMs + this.#scenario.minutes * 60_000);
    const { started, usd, failed, dead } = fleet.stats;
    const sorted = this.#lengths.toSorted((a, b) => a - b);
    const outcome: Outcome = {
      runs: started,
      badRuns: this.#badRuns,
      badTime: this.#badMs / (KINDS.length * REPLICAS * this.#scenario.minutes * 60_000),
      containedAfterS: this.#containedAtMs === undefined ? undefined : (this.#containedAtMs - this.#startMs) / 1_000,
      suspensions: this.#suspensions,
      commandsAboutOthers: this.#commandsAboutOthers(),
      suspendedOthers: this.#suspendedOthers,
      personsCalled: this.#persons,
      usd,
      p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
      failed: failed + dead,
    };
    await this.drive(fleet.close({ deadlineMs: 0 }));
    return outcome;
  }

  /** Lets time pass until the promise has settled. */
  async drive<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const over = (): void => {
      settled = true;
    };
    promise.then(over, over);
    await this.#until(() => settled, Infinity);
    return promise;
  }

  async #until(condition: () => boolean, limitMs: number): Promise<void> {
    await this.#settle();
    while (!condition()) {
      const dueMs = this.#clock.nextDueMs;
      if (dueMs === undefined || dueMs > limitMs) return;
      this.#clock.advanceTo(Math.max(dueMs, this.#clock.nowMs()));
      await this.#settle();
    }
  }

  async #settle(): Promise<void> {
    do await setImmediate();
    while ((this.#host?.pending.messages ?? 0) > 0);
  }

  #define() {
    const random = this.#random.fork('model');
    const model = dependency<string, Reply>({
      perform: (_request, { idempotencyKey }) => this.#answer(this.#howOf(this.#callerOf(idempotencyKey)), random),
      usage: ({ tokens }) => ({ inputTokens: tokens, outputTokens: 0 }),
      price: ({ inputTokens }) => (inputTokens / 1_000) * 0.002,
    });
    const work = agent({
      uses: { model },
      replicas: REPLICAS,
      healthCheck: (ctx) => this.#check(() => ctx.call('model', 'are you well?')),
      run: async (input: string, ctx) => {
        const reply = await ctx.call('model', input);
        if (this.#fails(this.#howOf(this.#workers.get(ctx.task.id)), random)) throw new Error('no use');
        ctx.score(reply.score);
        return 'done';
      },
    });
    const metaAgent = this.#scenario.metaAgent ? { metaAgent: {} } : {};
    return defineFleet({ name: 'eighty', ...metaAgent, agents: Object.fromEntries(KINDS.map((kind) => [kind, work])) });
  }

  /** What a careful owner asks of a worker before it may go on: three answers, in time, of use, at a price. One may be luck. */
  async #check(ask: () => Promise<Reply>): Promise<boolean> {
    const beganMs = this.#clock.nowMs();
    const inTime = async (): Promise<boolean> => {
      const { failed, score, tokens } = await ask();
      return !failed && score > 0.2 && tokens < 5_000 && this.#clock.nowMs() - beganMs < 3 * MEDIAN_MS;
    };
    return (await Promise.all([inTime(), inTime(), inTime()])).every(Boolean);
  }

  #howOf(worker: string | undefined): Badness | undefined {
    return worker !== undefined && worker === this.#bad ? this.#scenario.how : undefined;
  }

  /** The key of a run's call begins with its task, that of a health check with the worker. */
  #callerOf(key: string): string | undefined {
    if (!key.startsWith('health/')) return this.#workers.get(key.slice(0, key.indexOf('/')));
    return key.slice('health/'.length, key.lastIndexOf('/'));
  }

  #answer(how: Badness | undefined, random: Random): Promise<Reply> {
    const ms = MEDIAN_MS * Math.exp(SIGMA * normal(random)) * (how === 'slow' ? SLOWER : 1);
    const reply: Reply = {
      tokens: Math.round(1_000 * Math.exp(0.6 * normal(random)) * (how === 'spending' ? DEARER : 1)),
      failed: this.#fails(how, random),
      score: how === 'garbage' ? 0 : Math.min(1, Math.max(0, 0.75 + 0.15 * normal(random))),
    };
    return new Promise((resolve) => this.#clock.wakeAt(this.#clock.nowMs() + ms, () => resolve(reply)));
  }

  #fails(how: Badness | undefined, random: Random): boolean {
    return random.next() < (how === 'failing' ? 1 : FAILING);
  }

  #submit(fleet: Fleet, kind: string): void {
    this.#tasks += 1;
    fleet.submit(kind, `task ${this.#tasks}`, { id: `t${this.#tasks}` }).catch(() => {});
  }

  #listen(fleet: Fleet): void {
    const { events } = fleet;
    events.on('task.started', ({ id, worker }) => {
      this.#workers.set(id, worker);
      if (worker !== this.#bad) return;
      this.#badRuns += 1;
      this.#badSince.set(id, this.#clock.nowMs());
    });
    for (const name of ['task.completed', 'task.failed', 'task.retrying', 'task.parked'] as const) {
      events.on(name, ({ id }: { readonly id: string }) => this.#ended(id));
    }
    events.on('task.completed', ({ id, kind, ms }) => {
      this.#lengths.push(ms);
      this.#workers.delete(id);
      this.#submit(fleet, kind);
    });
    events.on('task.failed', ({ id, kind }) => {
      this.#workers.delete(id);
      this.#submit(fleet, kind);
    });
    events.on('worker.suspended', ({ worker, reasons, atMs }) => {
      // Restarted by hand it is suspended for a moment, for no reason of its own.
      if (!reasons.some((reason) => reason === 'health' || reason === 'quality' || reason === 'intensity')) return;
      if (worker !== this.#bad) this.#suspendedOthers += 1;
      else {
        this.#suspensions += 1;
        this.#containedAtMs ??= atMs;
      }
    });
    events.on('meta.decided', (decision) => this.#decisions.push(decision));
    events.on('person.needed', () => (this.#persons += 1));
  }

  #ended(id: string): void {
    const sinceMs = this.#badSince.get(id);
    if (sinceMs === undefined) return;
    this.#badMs += this.#clock.nowMs() - sinceMs;
    this.#badSince.delete(id);
  }

  #commandsAboutOthers(): readonly string[] {
    return this.#decisions.flatMap(({ decided, worker, kind, rule }) => {
      const commands = (decided.at === 'stepped' && decided.order !== undefined) || decided.at === 'taken-back';
      if (!commands || (worker !== undefined && worker === this.#bad)) return [];
      return [`${decided.order!.type} ${worker ?? kind}: ${rule}`];
    });
  }
}

/** @see Box & Muller, "A note on the generation of random normal deviates", 1958 */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}
