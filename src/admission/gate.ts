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
import { Host } from '../../actors/host/host.ts';
import { fifoTransport } from '../../actors/host/transport.ts';
import { systemClock } from '../../actors/kernel/clock.ts';
import type { Message } from '../../actors/kernel/effects.ts';
import { systemRandom } from '../../actors/kernel/random.ts';
import { spawnRoot } from '../../supervisors/guardian.ts';
import { Tree } from '../../supervisors/tree.ts';
import type { PerformContext, TokenCost } from '../topology/dependency.ts';
import { Budgets } from './budgets.ts';
import type { BudgetLook, BudgetSpec } from './budgets.ts';
import { AdmissionClosedError } from './call-errors.ts';
import { Calls } from './calls.ts';
import { checkCall, checkWork } from './gate-call.ts';
import type { AdmittedCall, GateRequest } from './gate-call.ts';
import { Running, RunningList } from './gate-running.ts';
import { checkSpec, dependencyOf } from './gate-spec.ts';
import type { AdmissionEvent, AdmissionSpec } from './gate-spec.ts';
import { joining } from './joining.ts';
import { limiterChild } from './limiter-child.ts';
import { scoreOf } from './score.ts';

export type { AdmittedCall } from './gate-call.ts';
export type { AdmissionEvent, AdmissionSpec } from './gate-spec.ts';

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
    checkSpec(spec);
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
   * What the work used is settled when its promise does. Not to be nested: an inner `run` may wait for room that the outer one has.
   *
   * @throws AdmissionOptionError when an option of the call is none
   * @throws BreakerOpenError, BudgetExceededError, CallTooLargeError, AdmissionLateError, AdmissionFullError, AdmissionClosedError
   *   when nothing was sent; otherwise what the last try of the work threw
   */
  run<T>(work: (call: PerformContext) => Promise<T>, call: AdmittedCall<T> = NO_CALL): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closing !== undefined) throw new AdmissionClosedError(this.name);
      checkWork(work);
      if (call !== NO_CALL) checkCall(call);
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
