/**
 * Desk: the parts of a gate one by one, in virtual time, under a supervisor, with messages in an order
 * drawn by seed. Its limiter can be made to crash; what is in flight is counted where the work runs.
 */
import { setImmediate } from 'node:timers/promises';
import { expect } from 'vitest';
import { limiterLogic } from '../../actors/admission/limiter.ts';
import type { LimiterInput, LimiterLook } from '../../actors/admission/limiter.ts';
import { Host } from '../../actors/host/host.ts';
import { seededTransport } from '../../actors/host/transport.ts';
import type { ActorId, Message } from '../../actors/kernel/effects.ts';
import { seededRandom } from '../../actors/kernel/random.ts';
import type { Random } from '../../actors/kernel/random.ts';
import { spawnRoot } from '../../supervisors/guardian.ts';
import type { Made, SupervisorSpec } from '../../supervisors/spec.ts';
import { Tree } from '../../supervisors/tree.ts';
import { Budgets } from '../../src/admission/budgets.ts';
import type { BudgetFact, BudgetSpec } from '../../src/admission/budgets.ts';
import type { Caller, Operation } from '../../src/admission/caller.ts';
import { Calls } from '../../src/admission/calls.ts';
import { limiterChild } from '../../src/admission/limiter-child.ts';
import { scoreOf } from '../../src/admission/score.ts';
import { dependency } from '../../src/topology/dependency.ts';
import type { DependencySpec, PerformContext } from '../../src/topology/dependency.ts';
import { GateTime, http } from './gate-world.ts';
import type { Ending } from './gate-world.ts';

const NAME = 'desk';
const LIMITER: ActorId = `${NAME}/limiter`;

/** One try, where the work runs. */
export interface Tried {
  readonly call: number;
  readonly attempt: number;
  readonly beganMs: number;
  readonly input: number;
  readonly output: number;
  readonly slots: number;
  /** How the breaker stood as people are told. */
  readonly breaker: string;
  endedMs: number | undefined;
  /** The places of its beginning and of its end among those of all. */
  readonly beganAs: number;
  endedAs: number;
}

export interface DeskCall {
  readonly tenant?: string;
  readonly flow?: string;
  readonly priority?: number;
  readonly input?: number;
  readonly output?: number;
  readonly slots?: number;
  readonly withinMs?: number;
  readonly whenShut?: 'wait' | 'refuse';
  readonly scopes?: readonly string[];
  /** How each try ends; the last one counts for all that come after. */
  readonly tries: readonly Try[];
}

export interface Try {
  /** `never`: it never answers, whatever the signal says. */
  readonly end: 'ok' | 'never' | 'throws' | Error;
  readonly afterMs: number;
  /** Share of the estimate that it uses; undefined: it does not say. */
  readonly used?: number;
}

/** One call as its caller sees it. */
export interface DeskOutcome {
  readonly number: number;
  readonly asked: DeskCall;
  /** More than one would be a fault. */
  readonly endings: Ending[];
  operation: Operation | undefined;
  cancelled: boolean;
  /** As it asked, or as it has been raised to. */
  priority: number;
}

interface DeskRequest {
  readonly number: number;
  readonly asked: DeskCall;
}

export interface DeskOptions {
  readonly budgets?: Readonly<Record<string, BudgetSpec>>;
  readonly seed?: number;
  /** A planted fault: what each limiter is started with instead. */
  readonly plant?: (input: LimiterInput) => LimiterInput;
  readonly supervision?: Pick<SupervisorSpec, 'intensity' | 'periodMs'>;
}

/** The parts of a gate one by one, under a supervisor, with messages in an order drawn by seed: its limiter can be made to crash. */
export class Desk extends GateTime {
  readonly host: Host;
  readonly calls: Calls;
  readonly budgets: Budgets;
  readonly tries: Tried[] = [];
  readonly outcomes: DeskOutcome[] = [];
  readonly facts: BudgetFact[] = [];
  readonly moves: string[] = [];
  readonly ended: Promise<unknown>;
  readonly random: Random;
  peak = 0;
  crashes = 0;
  /** Those whose limiter went while they waited for it: they have asked again. */
  readonly askedAgain = new Set<unknown>();
  /** Called whenever a try begins. */
  onTry: (tried: Tried) => void = () => {};
  #out = 0;
  #events = 0;

  constructor(spec: Partial<DependencySpec<DeskRequest, unknown>>, options: DeskOptions = {}) {
    super();
    const random = seededRandom(options.seed ?? 1);
    this.random = random;
    const onCrash = (id: ActorId): void => void (id === LIMITER && (this.crashes += 1));
    this.host = new Host({ clock: this.clock, random: random.fork('host'), transport: seededTransport(random.fork('transport')), onCrash });
    const { host } = this;
    this.budgets = new Budgets({
      clock: this.clock,
      alarm: (atMs, fire) => host.alarm(atMs, fire),
      store: undefined,
      random: random.fork('budgets'),
      onFact: (fact) => this.facts.push(fact),
    });
    for (const [scope, budget] of Object.entries(options.budgets ?? {})) this.budgets.declare(scope, budget);
    const own = dependency<DeskRequest, unknown>({
      perform: (request, call) => this.#perform(request, call),
      estimate: ({ asked }) => ({ input: asked.input ?? 0, output: asked.output ?? 0 }),
      slots: ({ asked }) => asked.slots ?? 1,
      usage: (reply) => reply as never,
      ...spec,
    });
    this.calls = new Calls(NAME, own.spec, {
      host,
      limiter: LIMITER,
      random: random.fork('calls'),
      budgets: this.budgets,
      beforeTry: () => {},
      observer: {
        completed: () => {},
        failed: () => {},
        misread: () => {},
        breakerMoved: (_name, { at }) => this.moves.push(at),
      },
      score: scoreOf(own.spec, () => {}),
    });
    const lost = this.calls.lost.bind(this.calls);
    this.calls.lost = (call) => {
      this.askedAgain.add(call);
      lost(call);
    };
    const child = limiterChild(NAME, own.spec, this.calls, { host, limiter: limiterLogic });
    const { plant = (input: LimiterInput) => input } = options;
    const start = (...birth: Parameters<NonNullable<typeof child.start>>) => {
      const made = child.start!(...birth) as Made;
      return { ...made, input: plant(made.input as LimiterInput) };
    };
    const { ended } = spawnRoot(host, new Tree({ host }), NAME, {
      intensity: 1_000,
      periodMs: 1_000,
      backoff: { baseMs: 10, capMs: 500 },
      ...options.supervision,
      children: [{ ...child, id: 'limiter', start }],
    });
    this.ended = ended;
    void ended.then(() => this.calls.shut());
  }

  get slotsTried(): number {
    return this.#out;
  }

  begin(asked: DeskCall): DeskOutcome {
    const number = this.outcomes.length;
    const outcome: DeskOutcome = { number, asked, endings: [], operation: undefined, cancelled: false, priority: asked.priority ?? 0 };
    this.outcomes.push(outcome);
    const caller: Caller = {
      tenant: asked.tenant,
      flow: asked.flow ?? 'flow',
      get priority() {
        return outcome.priority;
      },
      scopes: asked.scopes,
      withinMs: asked.withinMs,
      whenShut: asked.whenShut,
      idempotencyKey: String(number),
      subject: undefined,
      within: (act) => act(),
      replied: (reply) => void outcome.endings.push({ at: 'replied', reply }),
      failed: (error) => void outcome.endings.push({ at: 'failed', error: error as Error }),
    };
    outcome.operation = this.calls.begin({ number, asked }, caller);
    return outcome;
  }

  cancel(outcome: DeskOutcome): void {
    if (outcome.cancelled || outcome.endings.length > 0) return;
    outcome.cancelled = true;
    outcome.operation!.cancel(new Error('given up'));
  }

  /** Somebody more urgent waits for it. */
  raise(outcome: DeskOutcome, priority: number): void {
    if (priority <= outcome.priority) return;
    outcome.priority = priority;
    if (outcome.endings.length === 0 && !outcome.cancelled) outcome.operation!.raised?.();
  }

  /** Poison for whoever is the limiter when it arrives. */
  crash(): void {
    const nonsense = { type: 'limiter.acquire', replyTo: -1, ticket: -1, flow: 'crash', tokens: -1 } as Message;
    this.host.send(LIMITER, nonsense, 'control');
  }

  look(): Promise<LimiterLook> {
    return this.drive(this.host.ask<LimiterLook>(LIMITER, (replyTo) => ({ type: 'limiter.look', replyTo }) as Message));
  }

  tell(message: Message): void {
    this.host.send(LIMITER, message, 'control');
  }

  override async settle(): Promise<void> {
    do await setImmediate();
    while (this.host.pending.messages > 0);
  }

  /** Nothing is out, reserved, waited for, or still to come: L3. */
  async expectHome(): Promise<void> {
    for (const { scope, reserved, waiting } of this.budgets.look())
      expect({ scope, reserved, waiting }).toEqual({ scope, reserved: { usd: 0, tokens: 0 }, waiting: 0 });
    expect(this.calls.slotsOut, 'room that permits take').toBe(0);
    expect(await this.look()).toMatchObject({ waiting: 0, inFlight: 0 });
    expect(this.host.pending.asks, 'questions').toBe(0);
  }

  async close(): Promise<void> {
    await this.budgets.close();
    this.host.close();
  }

  #perform({ number, asked }: DeskRequest, { attempt, signal }: PerformContext): Promise<unknown> {
    const { input = 0, output = 0, slots = 1 } = asked;
    const breaker = this.calls.breaker?.at ?? 'closed';
    const tried: Tried = {
      call: number,
      attempt,
      beganMs: this.nowMs,
      input,
      output,
      slots,
      breaker,
      endedMs: undefined,
      beganAs: (this.#events += 1),
      endedAs: Infinity,
    };
    this.tries.push(tried);
    this.#out += slots;
    this.peak = Math.max(this.peak, this.#out);
    const over = (): void => {
      if (tried.endedMs !== undefined) return;
      tried.endedMs = this.nowMs;
      tried.endedAs = this.#events += 1;
      this.#out -= slots;
    };
    this.onTry(tried);
    const { end, afterMs, used } = asked.tries[Math.min(attempt, asked.tries.length) - 1]!;
    if (end === 'throws') {
      over();
      throw http(503);
    }
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => {
        over();
        reject(signal.reason as Error);
      });
      if (end === 'never') return;
      void this.sleep(afterMs).then(() => {
        over();
        if (end !== 'ok') return reject(end);
        const usage = used === undefined ? undefined : { inputTokens: Math.floor(input * used), outputTokens: Math.floor(output * used) };
        resolve(usage);
      });
    });
  }
}
