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
import { systemRandom } from '../../actors/kernel/random.ts';
import type { Random } from '../../actors/kernel/random.ts';
import { spawnRoot } from '../../supervisors/guardian.ts';
import { Tree } from '../../supervisors/tree.ts';
import { z } from 'zod';
import { checkShape, unknownOr } from '../../actors/kernel/shape.ts';
import { budgetShape } from '../topology/admission-shapes.ts';
import { dependency } from '../topology/dependency.ts';
import { TopologyError } from '../topology/topology-error.ts';
import type { CallFailure, Dependency, DependencySpec, PerformContext, TokenCost, Usage } from '../topology/dependency.ts';
import { Budgets } from './budgets.ts';
import type { BudgetFact, BudgetLook, BudgetSpec, BudgetStore } from './budgets.ts';
import { AdmissionClosedError, AdmissionOptionError, CallError } from './call-errors.ts';
import { Calls } from './calls.ts';
import type { Caller, Operation } from './caller.ts';
import { joining } from './joining.ts';
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
  /** Told of what happens. What it throws is dropped. */
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
  /** Told, once, when it has to wait in the line: how many go before it, and how long that takes, for all that is known. What it throws is dropped. */
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

const NO_PRICE = (): number => Number.NaN;
const FREE = (): number => 0;
const NO_CALL: AdmittedCall<never> = {};
/** Restarts of a limiter before the gate gives up: more than a fault that comes now and then needs. */
const INTENSITY = { intensity: 10, periodMs: 10_000, backoff: { baseMs: 10, capMs: 1_000 } };

/**
 * Makes a gate. It keeps no process alive: with no call under way it has no timer.
 *
 * @throws AdmissionOptionError naming the field, the value and what is allowed.
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
  readonly #scope: string;
  readonly #scopes: readonly string[];
  readonly #list = new RunningList();
  readonly #hasPrice: boolean;
  #needsPrices: boolean;
  #keys = 0;
  #closing: Promise<void> | undefined;

  constructor(spec: AdmissionSpec) {
    const problem = checkShape(ownShape, spec);
    if (problem !== undefined) throw new AdmissionOptionError({ ...problem, path: ['admission', ...problem.path] });
    const { name = 'admission', budget, store, onEvent, price, clock = systemClock(), random = systemRandom, classify, ...shared } = spec;
    this.name = name;
    const tell = (event: AdmissionEvent): void => {
      try {
        onEvent?.(event);
      } catch {
        // An observer that fails is no reason to lose an answer.
      }
    };
    const own = dependencyOf({
      ...shared,
      ...(classify === undefined ? {} : { classify }),
      perform: ({ work }, call) => work(call),
      estimate: ({ call }): TokenCost => ({ input: call.input ?? 0, output: call.output ?? 0 }),
      usage: (reply, { call }) => call.usage?.(reply),
      // Where money is limited, what nobody has a price for is not free: it is refused.
      price: (usage, { call }) => (call.price ?? price ?? (this.#needsPrices ? NO_PRICE : FREE))(usage),
    });
    this.#host = new Host({ clock, random: random.fork('host'), transport: fifoTransport() });
    this.#budgets = new Budgets({
      clock,
      alarm: (atMs, fire) => this.#host.alarm(atMs, fire),
      store,
      random: random.fork('budgets'),
      onFact: (fact) => tell({ at: 'budget', fact }),
    });
    this.#scope = `gate:${name}`;
    if (budget !== undefined) this.#budgets.declare(this.#scope, budget);
    this.#hasPrice = price !== undefined;
    this.#needsPrices = !this.#hasPrice && budget?.usd !== undefined;
    this.#scopes = budget === undefined ? [] : [this.#scope];
    this.#calls = new Calls(name, own.spec, {
      host: this.#host,
      limiter: `${name}/limiter`,
      random: random.fork('calls'),
      budgets: this.#budgets,
      standsAlone: true,
      beforeTry: () => {},
      observer: {
        completed: onEvent === undefined ? () => {} : (_name, usage, ms, usd) => tell({ at: 'called', usage, usd, ms }),
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
   * @throws AdmissionOptionError when an option of the call is none
   * @throws BreakerOpenError, BudgetExceededError, CallTooLargeError, AdmissionLateError, AdmissionFullError, AdmissionClosedError
   *   when nothing was sent; otherwise what the last try of the work threw
   */
  run<T>(work: (call: PerformContext) => Promise<T>, call: AdmittedCall<T> = NO_CALL): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closing !== undefined) throw new AdmissionClosedError(this.name);
      if (call !== NO_CALL) check(call);
      const running = new Running(this.#list, this.#scopes, this.name, (this.#keys += 1), call, resolve as never, reject);
      try {
        const request: GateRequest = { work, call };
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
    if (position === null) return;
    try {
      tell({ position, estimateMs });
    } catch {
      // As with `onEvent`.
    }
  }

  /** What is admitted now, who waits, how the breaker and the budget stand. */
  async look(): Promise<AdmissionLook> {
    const look = await this.#host.ask<LimiterLook>(this.#calls.limiter, (replyTo) => ({ type: 'limiter.look', replyTo }) as Message);
    return { ...look, budget: this.#budgets.look()[0] ?? null };
  }

  /**
   * The call around the code that asks, when what that code does is a part of it: a call of a fleet, or of this gate, that is
   * still under way. For drop-ins.
   */
  get joined(): PerformContext | undefined {
    const tried = joining.current;
    return tried !== undefined && this.#calls.joins(tried) ? tried : undefined;
  }

  /** Money is limited and the gate knows no price: a call that brings none of its own would be free. */
  get needsPrices(): boolean {
    return this.#needsPrices;
  }

  /** Gives the budget another limit. @throws BudgetInputError */
  raiseBudget(budget: BudgetSpec): void {
    this.#budgets.raise(this.#scope, budget);
    this.#needsPrices = this.#needsPrices || (!this.#hasPrice && budget.usd !== undefined);
  }

  /** Opens the breaker by hand: nothing is called until every isolation has been released. Returns what releases this one. */
  isolate(): () => void {
    return this.#calls.breakerControl.isolate();
  }

  /** Closes the breaker, whatever it was. */
  reset(): void {
    this.#calls.breakerControl.reset();
  }

  /** Refuses new calls, and waits for those that are under way; `drain: false` refuses those that wait to be admitted, too. */
  close({ drain = true }: { readonly drain?: boolean } = {}): Promise<void> {
    if (!drain) for (const running of this.#list.all()) running.dropIfWaiting(new AdmissionClosedError(this.name));
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#list.empty();
    await this.#budgets.close();
    this.#host.close();
  }
}

/** What is wrong with a dependency is here wrong with a gate. */
function dependencyOf(spec: DependencySpec<GateRequest, unknown>): Dependency<GateRequest> {
  try {
    return dependency(spec);
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    const { path, value, expected } = error.detail;
    throw new AdmissionOptionError({ path: ['admission', ...path.slice(1)], value, expected }, { cause: error });
  }
}

const amount = z.number('tokens, at least 0').min(0, 'tokens, at least 0').optional();
const fn = z.custom((value) => typeof value === 'function', 'a function').optional();
const text = z.string('a text').optional();

const callShape = z.strictObject(
  {
    input: amount,
    output: amount,
    usage: fn,
    price: fn,
    tenant: text,
    flow: text,
    priority: z.int('a whole number').optional(),
    signal: z.custom((value) => value instanceof AbortSignal, 'an AbortSignal').optional(),
    withinMs: z.number('milliseconds, at least 0').min(0, 'milliseconds, at least 0').optional(),
    onWaiting: fn,
    whenShut: z.enum(['wait', 'refuse'], "'wait' or 'refuse'").optional(),
  },
  unknownOr('an object of options'),
);

const storeShape = z.custom(
  (value) =>
    ['takeBudget', 'returnBudget', 'readBudgets'].every((name) => typeof (value as Record<string, unknown> | null)?.[name] === 'function'),
  'a store that is open, with takeBudget, returnBudget and readBudgets',
);

const ownShape = z.object(
  {
    name: z.string('a text of at least 1 character').min(1, 'a text of at least 1 character').optional(),
    budget: budgetShape.optional(),
    store: storeShape.optional(),
    price: fn,
    classify: fn,
    onEvent: fn,
  },
  'an object of options',
);

/** What untroubled callers give needs no schema, and its cost. */
function check(call: AdmittedCall<never>): void {
  if (!isPlain(call)) {
    const problem = checkShape(callShape, call);
    if (problem !== undefined) throw new AdmissionOptionError({ ...problem, path: ['run', ...problem.path] });
  }
  call.signal?.throwIfAborted();
}

function isPlain(call: AdmittedCall<never>): boolean {
  for (const field in call) {
    const value = call[field as keyof typeof call] as unknown;
    if (field === 'input' || field === 'output') {
      if (!Number.isFinite(value) || (value as number) < 0) return false;
    } else if (field !== 'usage' || typeof value !== 'function') return false;
  }
  return true;
}

/** Calls under way, each linked to its neighbours: a Set that is filled and emptied all the time keeps what was in it alive. */
class RunningList {
  first: Running | undefined;
  #whenEmpty: (() => void) | undefined;

  all(): readonly Running[] {
    const all: Running[] = [];
    for (let each = this.first; each !== undefined; each = each.next) all.push(each);
    return all;
  }

  /** Resolves when nothing is under way. */
  empty(): Promise<void> {
    return this.first === undefined ? Promise.resolve() : new Promise((resolve) => (this.#whenEmpty = resolve));
  }

  add(running: Running): void {
    running.next = this.first;
    if (this.first !== undefined) this.first.before = running;
    this.first = running;
  }

  remove(running: Running): void {
    const { before, next } = running;
    if (before === undefined) this.first = next;
    else before.next = next;
    if (next !== undefined) next.before = before;
    // Whoever keeps it does not keep the others.
    running.before = running.next = undefined;
    if (this.first === undefined) this.#whenEmpty?.();
  }
}

/** One call of a gate, under way. */
class Running implements Caller {
  before: Running | undefined;
  next: Running | undefined;
  readonly scopes: readonly string[];
  readonly subject = undefined;
  readonly #list: RunningList;
  readonly #name: string;
  readonly #number: number;
  readonly #call: AdmittedCall<never>;
  readonly #resolve: (reply: unknown) => void;
  readonly #reject: (error: unknown) => void;
  readonly #aborted: (() => void) | undefined;
  #operation: Operation | undefined;
  #isOver = false;

  constructor(
    list: RunningList,
    scopes: readonly string[],
    name: string,
    number: number,
    call: AdmittedCall<never>,
    resolve: (reply: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.#list = list;
    this.scopes = scopes;
    this.#name = name;
    this.#number = number;
    this.#call = call;
    this.#resolve = resolve;
    this.#reject = reject;
    list.add(this);
    const { signal } = call;
    if (signal === undefined) return;
    this.#aborted = () => this.#drop(signal.reason);
    signal.addEventListener('abort', this.#aborted);
  }

  get idempotencyKey(): string {
    return `${this.#name}/${this.#number}`;
  }

  get tenant(): string | undefined {
    return this.#call.tenant;
  }

  get flow(): string {
    return this.#call.flow ?? '';
  }

  get priority(): number | undefined {
    return this.#call.priority;
  }

  get withinMs(): number | undefined {
    return this.#call.withinMs;
  }

  get whenShut(): 'wait' | 'refuse' {
    return this.#call.whenShut ?? 'refuse';
  }

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
    if (this.#ends()) this.#resolve(reply);
  }

  failed(error: unknown): void {
    // The caller knows what it called: the error is the work's own, or says that nothing was sent.
    if (this.#ends()) this.#reject(error instanceof CallError ? error.cause : error);
  }

  dropIfWaiting(error: Error): void {
    if (this.#operation?.waitsFor !== undefined) this.#drop(error);
  }

  #drop(reason: unknown): void {
    this.#operation?.cancel(reason);
    if (this.#ends()) this.#reject(reason);
  }

  /** Once. */
  #ends(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    if (this.#aborted !== undefined) this.#call.signal!.removeEventListener('abort', this.#aborted);
    this.#list.remove(this);
    return true;
  }
}
