/**
 * Call: one call on its way.
 *
 *     reserve ──▶ admit ──▶ try ──▶ reply
 *       ▲                    └─ failed ─▶ rest (holding nothing) ─┐
 *       └─────────────────────────────────────────────────────────┘
 *
 * One reservation: first the budgets (which may wait for money that others hold and may give back),
 * then the limiter (rates, room, breaker). Always in this order, so nobody waits in a ring. Whatever
 * happens to a try, what it holds comes home exactly once: when the try ends, when it times out, or
 * when whoever called is gone. A call whose caller is gone is never answered.
 */
import type { LimiterReply, Permit } from '../../actors/admission/limiter.ts';
import type { CallReport } from '../../actors/admission/regulator.ts';
import type { Asker } from '../../actors/host/asks.ts';
import type { ActorId, Message } from '../../actors/kernel/effects.ts';
import { costOf } from '../topology/dependency.ts';
import { AdmissionLateError, CallError, CallTimeoutError, refusalOf } from './call-errors.ts';
import type { Caller, Operation } from './caller.ts';
import type { Carrier, UnansweredCall } from './carrier.ts';
import type { BudgetExceededError } from './errors.ts';
import { joining } from './joining.ts';
import { Payment } from './payment.ts';
import type { Payer } from './payment.ts';
import { backoffMs, BY_HAND_MS, NO_RETRIES_MS } from './rest.ts';
import { isOfTask, isOfWorker } from './scopes.ts';
import { abandonedEnd, failedEnd, repliedEnd } from './try-end.ts';
import type { TryEnd } from './try-end.ts';
import { Try } from './try.ts';

const DEFAULT_ATTEMPTS = 4;
const NOTHING_SPENT = { usd: 0, tokens: 0 };
/** A permit that was never used. */
const UNUSED: CallReport = { end: 'unused', usedInput: 0, usedOutput: 0, latencyMs: 0 };

export class Call implements Operation, Asker<LimiterReply>, Payer, UnansweredCall {
  waitsFor: 'admission' | undefined;
  readonly #carrier: Carrier;
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
  /** Undefined: nobody pays. */
  #payment: Payment | undefined;
  #permit: Permit | undefined;
  #try: Try | undefined;
  #cancelRest: (() => void) | undefined;
  #restsUntilMs: number | undefined;
  #isAborted = false;
  /** This try is admitted by then, or refused. */
  #deadlineMs: number | undefined;

  constructor(carrier: Carrier, request: unknown, caller: Caller) {
    this.#carrier = carrier;
    this.#request = request;
    this.#caller = caller;
    const { spec } = carrier;
    const { input, output } = costOf(spec.estimate?.(request));
    this.#input = input;
    this.#output = output;
    this.#slots = spec.slots?.(request) ?? 1;
    if (!Number.isInteger(this.#slots) || this.#slots < 1)
      throw new RangeError(`slots of ${carrier.name}: a whole number of at least 1, not ${this.#slots}`);
  }

  get asked(): ActorId {
    return this.#carrier.limiter;
  }

  /** For people. */
  get who(): string {
    return this.#caller.subject?.worker ?? this.#caller.flow;
  }

  get notBeforeMs(): number | undefined {
    if (this.#at === 'rest') return this.#restsUntilMs;
    return this.#at === 'limiter' ? this.#carrier.opensAtMs : undefined;
  }

  /** First the money: a call that cannot be paid does not stand in anybody's way. */
  reserve(): void {
    const { budgets, host, readings } = this.#carrier;
    const { scopes, withinMs } = this.#caller;
    this.waitsFor = 'admission';
    if (withinMs !== undefined) this.#deadlineMs = host.clock.nowMs() + withinMs;
    if (budgets === undefined || scopes === undefined || scopes.length === 0) return this.#admit();
    this.#at = 'budgets';
    const usd = readings.price({ inputTokens: this.#input, outputTokens: this.#output }, this.#request);
    this.#payment ??= new Payment(this.#carrier, this);
    if (this.#payment.reserve(scopes, usd, this.#input + this.#output, this.#deadlineMs)) this.#admit();
  }

  paid(): void {
    this.#admit();
  }

  unpaid(): void {
    const { name: dependency, host } = this.#carrier;
    this.refuse(new AdmissionLateError({ dependency, waitedMs: this.#caller.withinMs!, earliestMs: host.clock.nowMs() }));
  }

  /** Until the next period, until somebody raises it, or for good. */
  exhausted(error: BudgetExceededError): void {
    const { scope, untilMs, why } = error.detail;
    const { postponed, whenShut = 'wait' } = this.#caller;
    const isForGood = why !== 'exhausted' || (untilMs === null && isOfTask(scope));
    if (isForGood || whenShut === 'refuse' || postponed === undefined) return this.refuse(error);
    // Somebody may raise it sooner; until then its workers are suspended, and nobody comes to ask.
    const againMs = Math.min(untilMs ?? Infinity, this.#carrier.host.clock.nowMs() + BY_HAND_MS);
    // A worker that has spent its own is suspended, and its run goes to a peer who has not: it does not wait for the worker.
    if (isOfWorker(scope)) this.#sleep(againMs, true);
    else this.#restUntil(againMs, true);
  }

  #admit(): void {
    this.#at = 'limiter';
    this.ticket = this.#carrier.newTicket();
    this.ask();
  }

  ask(): void {
    if (this.#at !== 'limiter') return;
    const { host, limiter, spec, random } = this.#carrier;
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

  raised(): void {
    const { host, limiter } = this.#carrier;
    // Wherever else it is, it has not asked yet, or not this time: it asks with the priority that its caller has then.
    if (this.#at === 'limiter')
      host.send(limiter, { type: 'limiter.raise', ticket: this.ticket, priority: this.#caller.priority ?? 0 } as Message);
  }

  lost(): void {
    this.#carrier.lost(this);
  }

  answered(reply: LimiterReply): void {
    if (reply.at === 'granted') this.#carrier.took(reply);
    if (this.#at !== 'limiter') {
      // Given up, or asked twice over a restart: what is granted for nothing goes straight back.
      if (reply.at === 'granted') this.#carrier.home(reply, UNUSED, 'unused', undefined);
      return;
    }
    if (reply.at === 'cancelled') return;
    if (reply.at === 'granted') {
      this.waitsFor = undefined;
      this.#permit = reply;
      return this.#perform();
    }
    this.#refund();
    this.refuse(refusalOf(this.#carrier.name, this.#input + this.#output, reply));
  }

  refuse(cause: Error): void {
    if (this.#at === 'over') return;
    this.#refund();
    this.#give(new CallError({ dependency: this.#carrier.name, attempts: this.#attempt - 1, failure: 'refused' }, { cause }));
  }

  abort(reason: unknown): void {
    this.#isAborted = true;
    this.#try?.abort(reason);
  }

  cancel(reason?: unknown): void {
    const { host, limiter } = this.#carrier;
    const at = this.#at;
    this.#at = 'over';
    this.#cancelRest?.();
    if (at === 'budgets') this.#payment!.cancel();
    if (at === 'limiter') host.send(limiter, { type: 'limiter.cancel', ticket: this.ticket } as Message);
    const tried = this.#try;
    if (tried === undefined) return this.#refund();
    this.#endTry(abandonedEnd(this.#carrier, tried, host.clock.nowMs(), reason));
    tried.abort(reason);
  }

  timedOut(): void {
    const { name, timeoutMs } = this.#carrier;
    const error = new CallTimeoutError({ dependency: name, timeoutMs });
    const tried = this.#try;
    this.#failed(error);
    tried?.abort(error);
  }

  #perform(): void {
    const { spec, host, beforeTry, timeouts } = this.#carrier;
    const nowMs = host.clock.nowMs();
    beforeTry(nowMs);
    const permit = this.#permit!;
    if (this.#at !== 'limiter') return this.#carrier.home(permit, UNUSED, 'unused', undefined);
    if (this.#payment !== undefined && !this.#payment.isCovered) return this.#unaffordable(permit);
    const tried = new Try(this, this.#caller, this.#attempt, nowMs, this.#carrier);
    this.#at = 'try';
    this.#try = tried;
    timeouts.began(tried);
    host.goesOutside();
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
    this.#carrier.home(permit, UNUSED, 'unused', undefined);
    this.#permit = undefined;
    this.#refund();
    this.#again();
  }

  #replied(reply: unknown, tried: Try): void {
    const { name, observer, host } = this.#carrier;
    const end = repliedEnd(this.#carrier, this.#request, reply, tried, host.clock.nowMs());
    this.#endTry(end);
    this.#at = 'over';
    observer.completed(name, end.usage, end.report.latencyMs, end.usd, this.#caller);
    this.#caller.replied(reply);
  }

  #failed(error: unknown): void {
    const { name, spec, observer, retries, host } = this.#carrier;
    const tried = this.#try!;
    const nowMs = host.clock.nowMs();
    if (this.#isAborted) {
      // Its caller wanted that: it says nothing about the provider.
      this.#endTry(abandonedEnd(this.#carrier, tried, nowMs));
      return this.#give(new CallError({ dependency: name, attempts: this.#attempt, failure: 'transient' }, { cause: error }));
    }
    const end = failedEnd(this.#carrier, this.#request, error, tried, nowMs);
    const { failure, retryAfterMs = 0 } = end;
    this.#endTry(end);
    const again = failure.at !== 'permanent' && !tried.isLast && this.#attempt < (spec.attempts ?? DEFAULT_ATTEMPTS);
    observer.failed(name, failure, error, again, end.report.latencyMs, this.#caller);
    if (again && retries.take(nowMs)) return this.#rest(retryAfterMs);
    if (again && this.#caller.postponed !== undefined) return this.#restUntil(nowMs + Math.max(retryAfterMs, NO_RETRIES_MS), false);
    this.#give(new CallError({ dependency: name, attempts: this.#attempt, failure: failure.at }, { cause: error }));
  }

  /** Full jitter, and never below what the provider asked for. */
  #rest(retryAfterMs: number): void {
    const { host, random } = this.#carrier;
    this.#sleep(host.clock.nowMs() + retryAfterMs + backoffMs(this.#attempt, random.next()));
  }

  /** A long rest: whoever calls may as well go away and come again. */
  #restUntil(untilMs: number, sameTry: boolean): void {
    const { random } = this.#carrier;
    this.#restsUntilMs = untilMs;
    this.#sleep(untilMs + random.next() * NO_RETRIES_MS, sameTry);
    this.#caller.postponed?.();
  }

  #sleep(untilMs: number, sameTry = false): void {
    this.#at = 'rest';
    this.waitsFor = 'admission';
    this.#cancelRest = this.#carrier.host.alarm(untilMs, () => {
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

  #endTry({ report, result, score, spent }: TryEnd): void {
    this.#try!.ended = true;
    this.#try = undefined;
    this.#carrier.timeouts.ended();
    this.#carrier.home(this.#permit!, report, result, score);
    this.#permit = undefined;
    this.#payment?.settle(spent);
  }

  /** The money that was not used. */
  #refund(): void {
    this.#payment?.settle(NOTHING_SPENT);
  }
}
