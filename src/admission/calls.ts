/**
 * Calls: carries calls to one dependency: paid from the budgets, admitted by its limiter, timed, read,
 * tried again.
 *
 *     reserve ──▶ admit ──▶ try ──▶ reply
 *       ▲                    └─ failed ─▶ rest (holding nothing) ─┐
 *       └─────────────────────────────────────────────────────────┘
 *
 * One reservation: first the budgets (which may wait for money that others hold and may give back),
 * then the limiter (rates, room, breaker). Always in this order, so nobody waits in a ring. Whatever
 * happens to a try, what it holds comes home exactly once: when the try ends, when it times out, or
 * when whoever called is gone. A call whose caller is gone is never answered.
 *
 * A limiter that is started again is told what its predecessor knew and how much is out, and every
 * call that waits asks again (`revive`), so a crash of it costs a delay and nothing else.
 */
import type { Book, LimiterEffect, LimiterReply, Permit } from '../../actors/admission/limiter.ts';
import type { CallReport } from '../../actors/admission/regulator.ts';
import type { BreakerLook, BreakerResult } from '../../actors/breaker/breaker.ts';
import type { Asker } from '../../actors/host/asks.ts';
import type { Host } from '../../actors/host/host.ts';
import type { ActorId, Message, OwnEffect } from '../../actors/kernel/effects.ts';
import type { Random } from '../../actors/kernel/random.ts';
import { costOf } from '../topology/dependency.ts';
import type { CallFailure, DependencySpec, PerformContext, Usage } from '../topology/dependency.ts';
import { BreakerControl } from './breaker-control.ts';
import type { BudgetAsker, BudgetReservation, Budgets } from './budgets.ts';
import {
  AdmissionClosedError,
  AdmissionFullError,
  AdmissionLateError,
  BreakerOpenError,
  CallError,
  CallTimeoutError,
  CallTooLargeError,
} from './call-errors.ts';
import type { BudgetExceededError } from './errors.ts';
import { BudgetInputError } from '../../actors/budget/errors.ts';
import { classifyError } from './failure.ts';
import { joining } from './joining.ts';
import { RetryBudget } from './retry-budget.ts';
import { isOfTask, isOfWorker } from './scopes.ts';
import { isAmount, isUsage, Try } from './try.ts';
import type { Caller, CallObserver, Operation, ReadField, ReplyScore } from './caller.ts';

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
const DEFAULT_ATTEMPTS = 4;
const BACKOFF_BASE_MS = 500;
const BACKOFF_CAP_MS = 60_000;
/** Who finds the retry budget empty comes again after 5 to 10 s. */
const NO_RETRIES_MS = 5_000;
/** Who waits for a person, to close a breaker or to raise a budget, looks again after so long. */
const BY_HAND_MS = 5_000;
/** A `classify` that says more makes no sense: the call's own backoff applies. */
const LONGEST_RETRY_AFTER_MS = 3_600_000;
/** How long an alarm outlasts the last try. */
const IDLE_MS = 100;
const NO_USAGE: Usage = { inputTokens: 0, outputTokens: 0 };

export class Calls {
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
  readonly breakerControl: BreakerControl;
  readonly timeoutMs: number;
  readonly #lost: Call[] = [];
  /** Tries in the order they began, the ended ones among them until they come to the front. */
  #tries: Try[] = [];
  #triesOut = 0;
  #slotsOut = 0;
  #book: Book | undefined;
  /** What the provider asked for last, and when: the book is of the latest grant, and may be older. */
  #hold = { sinceMs: -Infinity, untilMs: -Infinity };
  #breaker: BreakerLook | undefined;
  #tickets = 0;
  #cancelAlarm: (() => void) | undefined;
  #alarmAtMs = Infinity;
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
    this.retries = new RetryBudget(spec.retries);
    this.breakerControl = new BreakerControl((message) => this.host.send(this.limiter, message, 'control'));
    this.timeoutMs = spec.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  /** Room in flight of permits that have been granted and have not come home. */
  get slotsOut(): number {
    return this.#slotsOut;
  }

  /** What the limiter knew at last, for its successor. */
  get book(): Book | undefined {
    return this.#book;
  }

  /** The end of the latest Retry-After; in the past when there is none. A clock that went back does not make it longer. */
  get heldUntilMs(): number {
    const { sinceMs, untilMs } = this.#hold;
    return sinceMs === -Infinity ? untilMs : Math.min(untilMs, this.host.clock.nowMs() + untilMs - sinceMs);
  }

  /** How the breaker stood when it last moved; undefined: it never did. */
  get breaker(): BreakerLook | undefined {
    return this.#breaker;
  }

  /** When an open breaker will be tried again; a while from now when only a person closes it. Undefined: it is not open. */
  get opensAtMs(): number | undefined {
    const breaker = this.#breaker;
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

  /** The limiter is gone with the question of this call: asked again when there is a new one. */
  lost(call: Call): void {
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
    const { book, breaker } = effect as LimiterEffect;
    this.#book = book;
    this.#breaker = breaker;
    this.observer.breakerMoved?.(this.name, breaker);
  }

  /** A permit has come. */
  took(permit: Permit): void {
    this.#slotsOut += permit.slots;
    this.#book = permit.book;
  }

  /** A permit comes home. For the limiter that granted it: its successor is told how many are out. */
  home(permit: Permit, report: CallReport, result: BreakerResult, score: number | undefined): void {
    this.#slotsOut -= permit.slots;
    if (report.end === 'rate-limited' && report.retryAfterMs !== undefined) this.#heldFor(report.retryAfterMs);
    this.host.tell(this.limiter, { type: 'limiter.settle', permit, report, result, score } as Message);
  }

  #heldFor(ms: number): void {
    const sinceMs = this.host.clock.nowMs();
    if (sinceMs + ms > this.#hold.untilMs) this.#hold = { sinceMs, untilMs: sinceMs + ms };
  }

  /** A try begins. All have the same time, so the oldest is due first and one alarm serves all. */
  began(tried: Try): void {
    this.#triesOut += 1;
    this.#tries.push(tried);
    if (this.#cancelAlarm === undefined) this.#watch(tried);
    else if (this.#tries.length > 2 * this.#triesOut + 1_024) this.#tries = this.#tries.filter((other) => !other.ended);
  }

  ended(): void {
    this.#triesOut -= 1;
    if (this.#triesOut === 0 && this.#cancelAlarm !== undefined) this.#rest();
  }

  /** Nothing is out, so nothing need keep the process alive for long; and an alarm is not set anew for each of many calls. */
  #rest(): void {
    const restMs = this.host.clock.nowMs() + IDLE_MS;
    if (this.#alarmAtMs <= restMs) return;
    this.#cancelAlarm!();
    this.#tries = [];
    this.#alarmAt(restMs);
  }

  #watch(oldest: Try): void {
    this.#alarmAt(oldest.beganMs + this.timeoutMs);
  }

  #alarmAt(atMs: number): void {
    this.#alarmAtMs = atMs;
    this.#cancelAlarm = this.host.alarm(atMs, () => {
      this.#cancelAlarm = undefined;
      const nowMs = this.host.clock.nowMs();
      const due = this.#tries.findIndex((tried) => !tried.ended && nowMs < tried.beganMs + this.timeoutMs);
      const over = this.#tries.splice(0, due < 0 ? this.#tries.length : due);
      for (const tried of over) if (!tried.ended) tried.call.timedOut();
      if (this.#tries[0] !== undefined) this.#watch(this.#tries[0]);
    });
  }
}

/** A permit that was never used. */
const UNUSED: CallReport = { end: 'unused', usedInput: 0, usedOutput: 0, latencyMs: 0 };

/** One call on its way. */
class Call implements Operation, Asker<LimiterReply>, BudgetAsker {
  waitsFor: 'admission' | undefined;
  readonly #calls: Calls;
  readonly #request: unknown;
  readonly #caller: Caller;
  /** The estimate. */
  readonly #input: number;
  readonly #output: number;
  readonly #slots: number;
  #attempt = 1;
  /** Grows from call to call. */
  ticket = 0;
  /** What it waits for now. */
  #at: 'budgets' | 'limiter' | 'rest' | 'try' | 'over' = 'rest';
  #reservation: BudgetReservation | undefined;
  #permit: Permit | undefined;
  #try: Try | undefined;
  #cancelRest: (() => void) | undefined;
  #restsUntilMs: number | undefined;
  /** This try is admitted by then, or refused. */
  #deadlineMs: number | undefined;

  constructor(calls: Calls, request: unknown, caller: Caller) {
    this.#calls = calls;
    this.#request = request;
    this.#caller = caller;
    const { spec } = calls;
    const { input, output } = costOf(spec.estimate?.(request));
    this.#input = input;
    this.#output = output;
    this.#slots = spec.slots?.(request) ?? 1;
    if (!Number.isInteger(this.#slots) || this.#slots < 1)
      throw new RangeError(`slots of ${calls.name}: a whole number of at least 1, not ${this.#slots}`);
  }

  get asked(): ActorId {
    return this.#calls.limiter;
  }

  /** For people. */
  get who(): string {
    return this.#caller.subject?.worker ?? this.#caller.flow;
  }

  get notBeforeMs(): number | undefined {
    if (this.#at === 'rest') return this.#restsUntilMs;
    return this.#at === 'limiter' ? this.#calls.opensAtMs : undefined;
  }

  /** First the money: a call that cannot be paid does not stand in anybody's way. */
  reserve(): void {
    const { budgets, host } = this.#calls;
    const { scopes, withinMs } = this.#caller;
    this.waitsFor = 'admission';
    if (withinMs !== undefined) this.#deadlineMs = host.clock.nowMs() + withinMs;
    if (budgets === undefined || scopes === undefined || scopes.length === 0) return this.#admit();
    this.#at = 'budgets';
    const usd = this.#price({ inputTokens: this.#input, outputTokens: this.#output });
    // Nobody knows what it would cost: money is not spent like that.
    if (usd === undefined && budgets.limitsMoney(scopes))
      throw new BudgetInputError(`price of ${this.#calls.name}`, 'dollars of a call, at least 0', 'something else, or an error');
    const reservation = budgets.reserve(scopes, { usd: usd ?? 0, tokens: this.#input + this.#output }, this);
    if (reservation !== undefined) this.reserved(reservation);
    else if (this.#deadlineMs !== undefined) this.#cancelRest = host.alarm(this.#deadlineMs, () => this.#unpaid());
  }

  reserved(reservation: BudgetReservation): void {
    this.#cancelRest?.();
    this.#reservation = reservation;
    this.#admit();
  }

  /** Others have not given back in time what it would be paid from. */
  #unpaid(): void {
    const { name: dependency, budgets, host } = this.#calls;
    budgets!.cancel(this);
    this.refuse(new AdmissionLateError({ dependency, waitedMs: this.#caller.withinMs!, earliestMs: host.clock.nowMs() }));
  }

  /** The money has run out: until the next period, until somebody raises it, or for good. */
  exhausted(error: BudgetExceededError): void {
    this.#cancelRest?.();
    const { scope, untilMs, why } = error.detail;
    const { postponed, whenShut = 'wait' } = this.#caller;
    const isForGood = why !== 'exhausted' || (untilMs === null && isOfTask(scope));
    if (isForGood || whenShut === 'refuse' || postponed === undefined) return this.refuse(error);
    // Somebody may raise it sooner; until then its workers are suspended, and nobody comes to ask.
    const againMs = Math.min(untilMs ?? Infinity, this.#calls.host.clock.nowMs() + BY_HAND_MS);
    // A worker that has spent its own is suspended, and its run goes to a peer who has not: it does not wait for the worker.
    if (isOfWorker(scope)) this.#sleep(againMs, true);
    else this.#restUntil(againMs, true);
  }

  #admit(): void {
    this.#at = 'limiter';
    this.ticket = this.#calls.newTicket();
    this.ask();
  }

  ask(): void {
    if (this.#at !== 'limiter') return;
    const { host, limiter, spec, random } = this.#calls;
    const { flow, tenant, priority, whenShut } = this.#caller;
    const replyTo = host.expect(this);
    const question = {
      type: 'limiter.acquire',
      replyTo,
      ticket: this.ticket,
      tenant,
      flow,
      priority,
      input: this.#input,
      output: this.#output,
      slots: this.#slots,
      deadlineMs: this.#deadlineMs,
      whenOpen: whenShut,
      chance: spec.breaker !== undefined && spec.breaker !== false && spec.breaker.soft !== undefined ? random.next() : undefined,
    };
    host.send(limiter, question);
  }

  lost(): void {
    this.#calls.lost(this);
  }

  cancel(reason?: unknown): void {
    const { host, limiter, budgets } = this.#calls;
    const at = this.#at;
    this.#at = 'over';
    this.#cancelRest?.();
    if (at === 'budgets') budgets!.cancel(this);
    if (at === 'limiter') host.send(limiter, { type: 'limiter.cancel', ticket: this.ticket } as Message);
    const tried = this.#try;
    if (tried === undefined) return this.#refund();
    this.#endTry(this.#report('unused', undefined, host.clock.nowMs() - tried.beganMs), 'ignored', undefined, undefined);
    tried.abort(reason);
  }

  timedOut(): void {
    const { name, timeoutMs } = this.#calls;
    const error = new CallTimeoutError({ dependency: name, timeoutMs });
    const tried = this.#try;
    this.#failed(error);
    tried?.abort(error);
  }

  answered(reply: LimiterReply): void {
    if (reply.at === 'granted') this.#calls.took(reply);
    if (this.#at !== 'limiter') {
      // Given up, or asked twice over a restart: what is granted for nothing goes straight back.
      if (reply.at === 'granted') this.#calls.home(reply, UNUSED, 'unused', undefined);
      return;
    }
    if (reply.at === 'cancelled') return;
    if (reply.at === 'granted') {
      this.waitsFor = undefined;
      this.#permit = reply;
      return this.#perform();
    }
    this.#refund();
    const dependency = this.#calls.name;
    switch (reply.reason) {
      case 'too-large':
        return this.refuse(new CallTooLargeError({ dependency, tokens: this.#input + this.#output, largestTokens: reply.largestTokens }));
      case 'deadline':
        return this.refuse(new AdmissionLateError({ dependency, waitedMs: reply.waitedMs, earliestMs: reply.earliestMs }));
      case 'open':
        return this.refuse(new BreakerOpenError({ dependency, untilMs: reply.untilMs }));
      case 'full':
        return this.refuse(new AdmissionFullError({ dependency, waiting: reply.waiting }));
    }
  }

  /** Nothing was sent, and nothing will be. */
  refuse(cause: Error): void {
    if (this.#at === 'over') return;
    this.#refund();
    this.#give(new CallError({ dependency: this.#calls.name, attempts: this.#attempt - 1, failure: 'refused' }, { cause }));
  }

  #perform(): void {
    const { spec, host, beforeTry } = this.#calls;
    const nowMs = host.clock.nowMs();
    beforeTry(nowMs);
    const permit = this.#permit!;
    if (this.#at !== 'limiter') return this.#calls.home(permit, UNUSED, 'unused', undefined);
    if (this.#reservation !== undefined && !this.#calls.budgets!.covers(this.#reservation)) return this.#unaffordable(permit);
    const tried = new Try(this, this.#caller, this.#attempt, nowMs, this.#calls);
    this.#at = 'try';
    this.#try = tried;
    this.#calls.began(tried);
    try {
      const perform = () => spec.perform(this.#request, tried) as Promise<unknown> | undefined;
      const replying = this.#caller.within(
        joining.isUsed ? () => joining.run(spec.rank === undefined ? tried : undefined, perform) : perform,
      );
      // Callers without types may give the reply itself.
      if (typeof replying?.then !== 'function') return this.#replied(replying, tried);
      replying.then(
        (reply) => tried.ended || this.#replied(reply, tried),
        (error: unknown) => tried.ended || this.#failed(error),
      );
    } catch (error) {
      if (!tried.ended) this.#failed(error);
    }
  }

  /** Others have spent more than they had set aside, while this one stood in the line: it asks for its money again. */
  #unaffordable(permit: Permit): void {
    this.#calls.home(permit, UNUSED, 'unused', undefined);
    this.#permit = undefined;
    this.#refund();
    this.#again();
  }

  #replied(reply: unknown, tried: Try): void {
    const { name, observer, host, score } = this.#calls;
    const usage = this.#usage(reply);
    const usd = this.#price(usage);
    const latencyMs = host.clock.nowMs() - tried.beganMs;
    const quality = score === undefined ? undefined : score(reply, this.#request);
    this.#endTry(this.#report('ok', usage, latencyMs), 'success', quality, usage && { usage, usd });
    this.#at = 'over';
    observer.completed(name, usage ?? NO_USAGE, latencyMs, usd ?? 0, this.#caller);
    this.#caller.replied(reply);
  }

  #failed(error: unknown): void {
    const { name, spec, observer, retries, host } = this.#calls;
    const tried = this.#try!;
    const failure = this.#classify(error);
    const nowMs = host.clock.nowMs();
    const latencyMs = nowMs - tried.beganMs;
    const retryAfterMs = retryAfterOf(failure) ?? tried.retryAfterMs;
    // A refused call has used no tokens; what another failure used is unknown, unless the try has said so.
    // A status that says so holds, whatever the dependency's own reading makes of it.
    const free = wasTurnedAway(failure) || wasTurnedAway(classifyError(error, nowMs));
    const usage = tried.usage ?? (free ? NO_USAGE : undefined);
    const end = wasTurnedAway(failure) ? failure.at : failure.at === 'permanent' ? 'ok' : 'failed';
    const report = this.#report(end, usage, latencyMs, retryAfterMs);
    this.#endTry(report, this.#result(error, failure), undefined, usage && { usage, usd: this.#price(usage) });
    const again = failure.at !== 'permanent' && !tried.isLast && this.#attempt < (spec.attempts ?? DEFAULT_ATTEMPTS);
    observer.failed(name, failure, error, again, latencyMs, this.#caller);
    if (!again) return this.#give(new CallError({ dependency: name, attempts: this.#attempt, failure: failure.at }, { cause: error }));
    if (retries.take(nowMs)) return this.#rest(retryAfterMs ?? 0);
    if (this.#caller.postponed !== undefined) return this.#restUntil(nowMs + Math.max(retryAfterMs ?? 0, NO_RETRIES_MS), false);
    this.#give(new CallError({ dependency: name, attempts: this.#attempt, failure: failure.at }, { cause: error }));
  }

  /** What the breaker makes of a failure: that somebody asked for what he may not have says nothing about the provider. */
  #result(error: unknown, failure: CallFailure): BreakerResult {
    const { breaker } = this.#calls.spec;
    if (breaker === undefined || breaker === false) return 'ignored';
    if (breaker.counts !== undefined) {
      const counts = this.#read('counts', () => breaker.counts!(error, failure));
      if (typeof counts === 'boolean') return counts ? 'failure' : 'ignored';
    }
    return failure.at === 'transient' || failure.at === 'overloaded' ? 'failure' : 'ignored';
  }

  /** Full jitter, and never below what the provider asked for. */
  #rest(retryAfterMs: number): void {
    const { host, random } = this.#calls;
    const jitterMs = random.next() * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** (this.#attempt - 1));
    this.#sleep(host.clock.nowMs() + retryAfterMs + jitterMs);
  }

  /** A long rest: whoever calls may as well go away and come again. */
  #restUntil(untilMs: number, sameTry: boolean): void {
    const { random } = this.#calls;
    this.#restsUntilMs = untilMs;
    this.#sleep(untilMs + random.next() * NO_RETRIES_MS, sameTry);
    this.#caller.postponed?.();
  }

  #sleep(untilMs: number, sameTry = false): void {
    this.#at = 'rest';
    this.waitsFor = 'admission';
    this.#cancelRest = this.#calls.host.alarm(untilMs, () => {
      this.#cancelRest = undefined;
      this.#restsUntilMs = undefined;
      if (!sameTry) this.#attempt += 1;
      this.#again();
    });
  }

  #again(): void {
    try {
      this.reserve();
    } catch (error) {
      // A price that was an amount for the first try and is none now.
      this.refuse(error as Error);
    }
  }

  #give(error: CallError): void {
    this.#at = 'over';
    this.#caller.failed(error);
  }

  #endTry(
    report: CallReport,
    result: BreakerResult,
    score: number | undefined,
    spent: { readonly usage: Usage; readonly usd: number | undefined } | undefined,
  ): void {
    this.#try!.ended = true;
    this.#try = undefined;
    this.#calls.ended();
    this.#calls.home(this.#permit!, report, result, score);
    this.#permit = undefined;
    if (this.#reservation === undefined) return;
    const tokens = spent === undefined ? 0 : spent.usage.inputTokens + spent.usage.outputTokens;
    // What nobody can price has cost what was reserved for it.
    this.#settleBudget(spent === undefined ? null : { usd: spent.usd ?? NaN, tokens });
  }

  /** The money that was not used. */
  #refund(): void {
    if (this.#reservation !== undefined) this.#settleBudget(NOTHING_SPENT);
  }

  #settleBudget(spent: { readonly usd: number; readonly tokens: number } | null): void {
    const reservation = this.#reservation!;
    this.#reservation = undefined;
    this.#calls.budgets!.settle(reservation, spent);
  }

  /** What the limiter hears; of the tokens, those that count for the provider's rates. */
  #report(end: CallReport['end'], usage: Usage | undefined, latencyMs: number, retryAfterMs?: number): CallReport {
    const { quota } = this.#try!;
    if (usage === undefined) return { end, usedInput: null, usedOutput: null, latencyMs, retryAfterMs, quota };
    const free = this.#calls.spec.cachedInputIsFree === true ? (usage.cachedInputTokens ?? 0) : 0;
    const usedInput = Math.max(0, usage.inputTokens - free);
    return { end, usedInput, usedOutput: usage.outputTokens, latencyMs, retryAfterMs, quota };
  }

  #usage(reply: unknown): Usage | undefined {
    const { spec } = this.#calls;
    if (spec.usage !== undefined) {
      try {
        const usage = spec.usage(reply, this.#request);
        if (isUsage(usage)) return usage;
      } catch (error) {
        this.#calls.observer.misread(this.#calls.name, 'usage', error);
      }
    }
    return this.#try?.usage;
  }

  /** Undefined: the price makes no sense. */
  #price(usage: Usage | undefined): number | undefined {
    const { spec } = this.#calls;
    if (usage === undefined || spec.price === undefined) return 0;
    try {
      const usd = spec.price(usage, this.#request) as unknown;
      if (isAmount(usd)) return usd;
      this.#calls.observer.misread(this.#calls.name, 'price', usd);
    } catch (error) {
      this.#calls.observer.misread(this.#calls.name, 'price', error);
    }
    return undefined;
  }

  #classify(error: unknown): CallFailure {
    const { spec, host, name, observer } = this.#calls;
    const failure = spec.classify === undefined ? undefined : this.#read('classify', () => spec.classify!(error));
    if (failure !== undefined && FAILURES.includes(failure.at)) return failure;
    if (failure !== undefined) observer.misread(name, 'classify', failure);
    return classifyError(error, host.clock.nowMs());
  }

  /** Asks a function of the user's. One that throws is reported, and has said nothing. */
  #read<T>(field: ReadField, ask: () => T): T | undefined {
    try {
      return ask();
    } catch (error) {
      this.#calls.observer.misread(this.#calls.name, field, error);
      return undefined;
    }
  }
}

const FAILURES: readonly unknown[] = ['rate-limited', 'overloaded', 'transient', 'permanent'];
function wasTurnedAway(failure: CallFailure): failure is CallFailure & { readonly at: 'rate-limited' | 'overloaded' } {
  return failure.at === 'rate-limited' || failure.at === 'overloaded';
}

const NOTHING_SPENT = { usd: 0, tokens: 0 };

function retryAfterOf(failure: CallFailure): number | undefined {
  const asked = failure.at === 'permanent' ? undefined : failure.retryAfterMs;
  return asked !== undefined && asked > 0 && asked <= LONGEST_RETRY_AFTER_MS ? asked : undefined;
}
