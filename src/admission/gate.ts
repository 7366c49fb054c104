/**
 * Gate: one limiter, one breaker and one budget for whatever a program calls, without a fleet.
 *
 *     const gate = admission({ limits: { requestsPerMinute: 500 }, breaker: {}, budget: { usd: 5 } });
 *     const reply = await gate.run(({ signal }) => ask(question, { signal }), { input: 800, output: 200 });
 *
 * It is what a fleet has for each of its dependencies: the same limiter under the same supervision,
 * rebuilt when it crashes; the same order of reservation; the same bounds on second tries.
 */
import { limiterLogic } from '../../actors/admission/limiter.ts';
import type { LimiterLook, LimiterMessage } from '../../actors/admission/limiter.ts';
import type { BreakerLook } from '../../actors/breaker/breaker.ts';
import { Host } from '../../actors/host/host.ts';
import { fifoTransport } from '../../actors/host/transport.ts';
import { systemClock } from '../../actors/kernel/clock.ts';
import type { Clock } from '../../actors/kernel/clock.ts';
import type { Message } from '../../actors/kernel/effects.ts';
import { describe } from '../../actors/kernel/errors.ts';
import { systemRandom } from '../../actors/kernel/random.ts';
import type { Random } from '../../actors/kernel/random.ts';
import { spawnRoot } from '../../supervisors/guardian.ts';
import { Tree } from '../../supervisors/tree.ts';
import { dependency } from '../topology/dependency.ts';
import type { CallFailure, DependencySpec, PerformContext, TokenCost, Usage } from '../topology/dependency.ts';
import { Budgets } from './budgets.ts';
import type { BudgetFact, BudgetLook, BudgetSpec, BudgetStore } from './budgets.ts';
import { AdmissionClosedError, CallError } from './call-errors.ts';
import { Calls } from './calls.ts';
import type { Caller, Operation } from './caller.ts';
import { limiterChild } from './limiter-child.ts';
import { scoreOf } from './score.ts';

type Shared =
  | 'limits'
  | 'adapt'
  | 'breaker'
  | 'retries'
  | 'weights'
  | 'waiting'
  | 'whenFull'
  | 'safetyMargin'
  | 'burstMs'
  | 'timeoutMs'
  | 'attempts'
  | 'cachedInputIsFree';

/** Limits, breaker and retries are those of `dependency`. */
export interface AdmissionSpec extends Pick<DependencySpec<unknown, unknown>, Shared> {
  /** For errors and events. Default 'admission'. */
  readonly name?: string;
  /** Default: no limit on money or tokens. */
  readonly budget?: BudgetSpec;
  /** Where the budget is kept over restarts and shared with other programs, e.g. a store of Drover. Default: in memory. */
  readonly store?: BudgetStore;
  /** US dollars of a usage, where the call does not say. */
  price?(usage: Usage): number;
  /** How an error of the work is to be read. Default: by the `status` and headers that clients put on their errors. */
  classify?(error: unknown): CallFailure;
  /** Told of what happens; must not throw. */
  onEvent?(event: AdmissionEvent): void;
  /** For tests; defaults are those of production. */
  readonly clock?: Clock;
  readonly random?: Random;
}

export type AdmissionEvent =
  | { readonly at: 'called'; readonly usage: Usage; readonly usd: number; readonly ms: number }
  | { readonly at: 'failed'; readonly failure: CallFailure['at']; readonly error: unknown; readonly again: boolean; readonly ms: number }
  | { readonly at: 'breaker'; readonly breaker: BreakerLook }
  | { readonly at: 'budget'; readonly fact: BudgetFact }
  /** A function of the user's threw, or gave what makes no sense: the call went on without it. */
  | { readonly at: 'misread'; readonly field: string; readonly error: unknown };

/** One call. */
export interface AdmittedCall<T> {
  /** Upper bounds of what it will use. Default 0. */
  readonly input?: number;
  readonly output?: number;
  /** What it really used. Default: as reported by the work, else unknown: the upper bound counts. */
  usage?(reply: T): Usage | undefined;
  /** US dollars of a usage. Default: the gate's. */
  price?(usage: Usage): number;
  /** Whom to be fair to. Default: nobody in particular. */
  readonly tenant?: string;
  readonly flow?: string;
  /** A whole number; higher goes sooner within its flow. Default 0. */
  readonly priority?: number;
  /** Gives up the place in the line, or the try that is under way. */
  readonly signal?: AbortSignal;
  /** Each try is admitted within this time, or refused. Default: waits as long as it takes. */
  readonly withinMs?: number;
  /** Told, once, when a try has to wait in the line: how many go before it, and how long that takes, for all that is known. */
  onWaiting?(where: { readonly position: number; readonly estimateMs: number }): void;
  /** While the breaker is open: to wait, or to be refused. Default `refuse`. */
  readonly whenShut?: 'wait' | 'refuse';
}

interface GateRequest {
  readonly work: (call: PerformContext) => Promise<unknown>;
  readonly call: AdmittedCall<unknown>;
}

/** How a gate stands. */
export type AdmissionLook = LimiterLook & { readonly budget: BudgetLook | null };

const SCOPE = 'budget';
const SCOPES: readonly string[] = [SCOPE];
/** Restarts of a limiter before the gate gives up: more than a fault that comes now and then needs. */
const INTENSITY = { intensity: 10, periodMs: 10_000, backoff: { baseMs: 10, capMs: 1_000 } };

/**
 * Makes a gate. It keeps no process alive: with no call under way it has no timer.
 *
 * @throws TopologyError, BudgetInputError naming the field, the value and what is allowed.
 */
export function admission(spec: AdmissionSpec = {}): Admission {
  return new Admission(spec);
}

/** Use `admission`. */
export class Admission implements AsyncDisposable {
  readonly name: string;
  readonly #host: Host;
  readonly #calls: Calls;
  readonly #budgets: Budgets;
  readonly #scopes: readonly string[];
  readonly #open = new Set<Running>();
  readonly #hasPrice: boolean;
  #needsPrices: boolean;
  #keys = 0;
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;

  constructor(spec: AdmissionSpec) {
    const { name = 'admission', budget, store, onEvent, price, clock = systemClock(), random = systemRandom, classify, ...shared } = spec;
    this.name = name;
    const tell = (event: AdmissionEvent): void => onEvent?.(event);
    const own = dependency<GateRequest, unknown>({
      ...shared,
      ...(classify === undefined ? {} : { classify }),
      perform: ({ work }, call) => work(call),
      estimate: ({ call }): TokenCost => ({ input: call.input ?? 0, output: call.output ?? 0 }),
      usage: (reply, { call }) => call.usage?.(reply),
      price: (usage, { call }) => call.price?.(usage) ?? price?.(usage) ?? 0,
    });
    this.#host = new Host({ clock, random: random.fork('host'), transport: fifoTransport() });
    this.#budgets = new Budgets({
      clock,
      alarm: (atMs, fire) => this.#host.alarm(atMs, fire),
      store,
      random: random.fork('budgets'),
      onFact: (fact) => tell({ at: 'budget', fact }),
    });
    if (budget !== undefined) this.#budgets.declare(SCOPE, budget);
    this.#hasPrice = price !== undefined;
    this.#needsPrices = !this.#hasPrice && budget?.usd !== undefined;
    this.#scopes = budget === undefined ? [] : SCOPES;
    this.#calls = new Calls(name, own.spec, {
      host: this.#host,
      limiter: `${name}/limiter`,
      random: random.fork('calls'),
      budgets: this.#budgets,
      beforeTry: () => {},
      observer: {
        completed: (_name, usage, ms, usd) => tell({ at: 'called', usage, usd, ms }),
        failed: (_name, failure, error, again, ms) => tell({ at: 'failed', failure: failure.at, error, again, ms }),
        misread: (_name, field, error) => tell({ at: 'misread', field, error }),
        breakerMoved: (_name, breaker) => tell({ at: 'breaker', breaker }),
      },
      score: scoreOf(own.spec, (error) => tell({ at: 'misread', field: 'quality', error })),
    });
    const limiter = { ...limiterChild(name, own.spec, this.#calls, { host: this.#host, limiter: limiterLogic }), id: 'limiter' };
    const { ended } = spawnRoot(this.#host, new Tree({ host: this.#host }), name, { ...INTENSITY, children: [limiter] });
    void ended.then(() => this.#calls.shut());
  }

  /**
   * Does `work` once it is admitted, again when it fails for what passes by itself, and within the bounds on second tries.
   * What the work used is settled when its promise does.
   *
   * @throws BreakerOpenError, BudgetExceededError, CallTooLargeError, AdmissionLateError, AdmissionFullError, AdmissionClosedError
   *   when nothing was sent; otherwise what the last try of the work threw
   */
  run<T>(work: (call: PerformContext) => Promise<T>, call: AdmittedCall<T> = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closing !== undefined) throw new AdmissionClosedError(this.name);
      call.signal?.throwIfAborted();
      for (const field of ['tenant', 'flow'] as const)
        if (call[field] !== undefined && typeof call[field] !== 'string')
          throw new TypeError(`${field}: a text, not ${describe(call[field])}`);
      if (!Number.isInteger(call.priority ?? 0)) throw new RangeError(`priority: a whole number, not ${call.priority}`);
      const request: GateRequest = { work, call };
      const running = new Running(this.#scopes, `${this.name}/${(this.#keys += 1)}`, call, (settle) => {
        this.#open.delete(running);
        settle(resolve as (reply: unknown) => void, reject);
        if (this.#open.size === 0) this.#drained?.();
      });
      this.#open.add(running);
      try {
        running.began(this.#calls.begin(request, running));
        if (call.onWaiting !== undefined) void this.#tellPlace(running, call.onWaiting.bind(call));
      } catch (error) {
        running.failed(error);
      }
    });
  }

  async #tellPlace(running: Running, tell: NonNullable<AdmittedCall<never>['onWaiting']>): Promise<void> {
    const { ticket } = running;
    if (ticket === undefined) return;
    const question = (replyTo: number): LimiterMessage => ({ type: 'limiter.look', replyTo, ticket });
    const { position, estimateMs } = await this.#host.ask<LimiterLook>(this.#calls.limiter, question);
    if (position !== null) tell({ position, estimateMs });
  }

  /** What is admitted now, who waits, how the breaker and the budget stand. */
  async look(): Promise<AdmissionLook> {
    const look = await this.#host.ask<LimiterLook>(this.#calls.limiter, (replyTo) => ({ type: 'limiter.look', replyTo }) as Message);
    return { ...look, budget: this.#budgets.look()[0] ?? null };
  }

  /** Money is limited and the gate knows no price: a call that brings none of its own would be free. */
  get needsPrices(): boolean {
    return this.#needsPrices;
  }

  /** Gives the budget another limit. @throws BudgetInputError */
  raiseBudget(budget: BudgetSpec): void {
    this.#budgets.raise(SCOPE, budget);
    this.#needsPrices = this.#needsPrices || (!this.#hasPrice && budget.usd !== undefined);
  }

  /** Opens the breaker by hand: nothing is called until every isolation has been released. Returns what releases this one. */
  isolate(): () => void {
    this.#tell({ type: 'limiter.isolate' });
    let isReleased = false;
    return () => {
      if (!isReleased) this.#tell({ type: 'limiter.release' });
      isReleased = true;
    };
  }

  /** Closes the breaker, whatever it was. */
  reset(): void {
    this.#tell({ type: 'limiter.reset' });
  }

  /** Refuses new calls, and waits for those that are under way; `drain: false` refuses those that wait to be admitted, too. */
  close({ drain = true }: { readonly drain?: boolean } = {}): Promise<void> {
    this.#closing ??= this.#close(drain);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(drain: boolean): Promise<void> {
    if (!drain) for (const running of [...this.#open]) running.dropIfWaiting(new AdmissionClosedError(this.name));
    if (this.#open.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#drained = resolve;
      await promise;
    }
    await this.#budgets.close();
    this.#host.close();
  }

  #tell(message: LimiterMessage): void {
    this.#host.send(this.#calls.limiter, message, 'control');
  }
}

type Settled = (resolve: (reply: unknown) => void, reject: (error: unknown) => void) => void;

/** One call of a gate, under way. */
class Running implements Caller {
  readonly tenant: string | undefined;
  readonly flow: string;
  readonly priority: number;
  readonly scopes: readonly string[];
  readonly withinMs: number | undefined;
  readonly whenShut: 'wait' | 'refuse';
  readonly idempotencyKey: string;
  readonly subject = undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #end: (settled: Settled) => void;
  #operation: Operation | undefined;
  #isOver = false;

  constructor(scopes: readonly string[], key: string, call: AdmittedCall<never>, end: (settled: Settled) => void) {
    this.scopes = scopes;
    this.idempotencyKey = key;
    this.tenant = call.tenant;
    this.flow = call.flow ?? '';
    this.priority = call.priority ?? 0;
    this.withinMs = call.withinMs;
    this.whenShut = call.whenShut ?? 'refuse';
    this.#signal = call.signal;
    this.#end = end;
    this.#signal?.addEventListener('abort', this.#aborted);
  }

  readonly #aborted = (): void => this.#drop(this.#signal!.reason);

  get ticket(): number | undefined {
    return this.#operation?.ticket;
  }

  began(operation: Operation): void {
    this.#operation = operation;
  }

  within<T>(act: () => T): T {
    return act();
  }

  replied(reply: unknown): void {
    this.#settle((resolve) => resolve(reply));
  }

  failed(error: unknown): void {
    // The caller knows what it called: the error is the work's own, or says that nothing was sent.
    this.#settle((_resolve, reject) => reject(error instanceof CallError ? error.cause : error));
  }

  dropIfWaiting(error: Error): void {
    if (this.#operation?.waitsFor !== undefined) this.#drop(error);
  }

  #drop(reason: unknown): void {
    this.#operation?.cancel(reason);
    this.#settle((_resolve, reject) => reject(reason));
  }

  #settle(settled: Settled): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#signal?.removeEventListener('abort', this.#aborted);
    this.#end(settled);
  }
}
