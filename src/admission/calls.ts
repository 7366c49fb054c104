/**
 * Calls: carries calls to one dependency: paid from the budgets, admitted by its limiter, timed, read,
 * tried again. What becomes of each of them is in `call.ts`; here is what they share.
 *
 * A limiter that is started again is told what its predecessor knew and how much is out, and every
 * call that waits asks again (`revive`), so a crash of it costs a delay and nothing else.
 */
import type { Book, Homecoming, LimiterEffect, Permit } from '../../actors/admission/limiter.ts';
import type { CallReport } from '../../actors/admission/regulator.ts';
import type { BreakerLook, BreakerResult } from '../../actors/breaker/breaker.ts';
import type { Host } from '../../actors/host/host.ts';
import type { ActorId, OwnEffect } from '../../actors/kernel/effects.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { DependencySpec, PerformContext } from '../topology/dependency.ts';
import { BreakerControl } from './breaker-control.ts';
import type { Budgets } from './budgets.ts';
import { Call } from './call.ts';
import { AdmissionClosedError } from './call-errors.ts';
import { CallReadings } from './call-readings.ts';
import type { Caller, CallObserver, Operation, ReplyScore } from './caller.ts';
import type { Carrier, UnansweredCall } from './carrier.ts';
import { LimiterHandover } from './limiter-handover.ts';
import { BY_HAND_MS } from './rest.ts';
import { RetryBudget } from './retry-budget.ts';
import { TryTimeouts } from './try-timeouts.ts';
import { Try } from './try.ts';

export interface CallsContext {
  readonly host: Host;
  readonly limiter: ActorId;
  readonly random: Random;
  readonly observer: CallObserver;
  /** Told before each try: whoever may not act any more is cancelled by then. */
  readonly beforeTry: (nowMs: number) => void;
  /** Default: nobody pays. */
  readonly budgets?: Budgets | undefined;
  /** Default: nothing is scored. */
  readonly score?: ReplyScore | undefined;
  /** A gate's: only what goes through the same gate is a part of its calls. Default false. */
  readonly standsAlone?: boolean | undefined;
}

const DEFAULT_TIMEOUT_MS = 120_000;

export class Calls implements Carrier {
  readonly name: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- requests and replies are typed where the agent is defined
  readonly spec: DependencySpec<any, any>;
  readonly host: Host;
  readonly limiter: ActorId;
  readonly random: Random;
  readonly observer: CallObserver;
  readonly budgets: Budgets | undefined;
  readonly score: ReplyScore | undefined;
  readonly standsAlone: boolean;
  readonly beforeTry: (nowMs: number) => void;
  readonly retries: RetryBudget;
  readonly readings: CallReadings;
  readonly timeouts: TryTimeouts;
  readonly breakerControl: BreakerControl;
  readonly timeoutMs: number;
  readonly #handover: LimiterHandover;
  readonly #lost: UnansweredCall[] = [];
  #tickets = 0;
  #isShut = false;

  constructor(name: string, spec: DependencySpec<unknown, unknown>, context: CallsContext) {
    this.name = name;
    this.spec = spec;
    this.host = context.host;
    this.limiter = context.limiter;
    this.random = context.random;
    this.observer = context.observer;
    this.beforeTry = context.beforeTry;
    this.budgets = context.budgets;
    this.score = context.score;
    this.standsAlone = context.standsAlone ?? false;
    this.timeoutMs = spec.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.retries = new RetryBudget(spec.retries);
    this.readings = new CallReadings(name, spec, context.observer);
    this.timeouts = new TryTimeouts(context.host, this.timeoutMs);
    this.breakerControl = new BreakerControl((message) => this.host.send(this.limiter, message, 'control'));
    this.#handover = new LimiterHandover(context.host.clock);
  }

  /** Room in flight of permits that have been granted and have not come home. */
  get slotsOut(): number {
    return this.#handover.slotsOut;
  }

  /** What the limiter knew at last, for its successor. */
  get book(): Book | undefined {
    return this.#handover.book;
  }

  /** The end of the latest Retry-After; in the past when there is none. */
  get heldUntilMs(): number {
    return this.#handover.heldUntilMs;
  }

  /** How the breaker stood when it last moved; undefined: it never did. */
  get breaker(): BreakerLook | undefined {
    return this.#handover.breaker;
  }

  get opensAtMs(): number | undefined {
    const { breaker } = this.#handover;
    if (breaker === undefined || (breaker.at !== 'open' && breaker.at !== 'isolated')) return undefined;
    return breaker.untilMs ?? this.host.clock.nowMs() + BY_HAND_MS;
  }

  /** Begins a call. Its caller is answered once, or never when it is cancelled before. */
  begin(request: unknown, caller: Caller): Operation {
    const call = new Call(this, request, caller);
    this.retries.earn();
    call.reserve();
    return call;
  }

  /** Whether what happens within that try is paid and admitted by it, and not by a call of its own here. */
  joins(tried: PerformContext): boolean {
    if (!(tried instanceof Try) || tried.ended) return false;
    const carrier = tried.carrier as Calls;
    return carrier === this || !carrier.standsAlone;
  }

  newTicket(): number {
    return (this.#tickets += 1);
  }

  lost(call: UnansweredCall): void {
    if (this.#isShut) call.refuse(new AdmissionClosedError(this.name));
    else this.#lost.push(call);
  }

  /** The limiter has been started again. */
  revive(): void {
    const inOrder = this.#lost.splice(0).toSorted((a, b) => a.ticket - b.ticket);
    for (const call of inOrder) call.ask();
  }

  /** The limiter will not come back: whoever waits for it is told so, and whoever comes. */
  shut(): void {
    this.#isShut = true;
    for (const call of this.#lost.splice(0)) call.refuse(new AdmissionClosedError(this.name));
  }

  /** What the limiter does beside answering. */
  perform(effect: OwnEffect): void {
    const noted = effect as LimiterEffect;
    this.#handover.noted(noted);
    this.observer.breakerMoved?.(this.name, noted.breaker);
  }

  took(permit: Permit): void {
    this.#handover.took(permit);
  }

  /** For the limiter that granted it: its successor is told how many are out. */
  home(permit: Permit, report: CallReport, result: BreakerResult, score: number | undefined): void {
    this.#handover.home(permit, report);
    this.host.tellTogether(this.limiter, 'limiter.settle', { permit, report, result, score } satisfies Homecoming);
  }
}
