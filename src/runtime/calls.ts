/**
 * Calls: carries calls to one dependency: admitted by its limiter, timed, read, tried again.
 *
 *     admit ──▶ try ──▶ reply
 *       ▲        └─ failed ─▶ rest (holding nothing) ─┐
 *       └─────────────────────────────────────────────┘
 *
 * Whatever happens to a call, its permit comes home exactly once: when the try ends, when it times
 * out, or when the run behind it is over. A call whose run is over is never answered.
 *
 * A limiter that is started again is told how many permits are out, and every call that waits asks
 * again (`revive`), so a crash of it costs a delay and nothing else.
 */
import type { LimiterReply } from '../../actors/limiter.ts';
import type { Asker } from '../../actors/host/asks.ts';
import type { Host } from '../../actors/host/host.ts';
import type { ActorId, Message } from '../../actors/kernel/effects.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { CallFailure, DependencySpec, PerformContext, Usage } from '../topology/dependency.ts';
import { CallError, CallTimeoutError, CallTooLargeError, RunOverError } from './errors.ts';
import { classifyError } from './failure.ts';

/** Something that a run has begun and that has not ended. */
export interface Operation {
  /** What it only waits for, and so could as well await in the store; undefined while it does something. */
  readonly waitsFor: 'admission' | 'child' | undefined;
  /** The run is over: the operation gives back what it holds and never settles. */
  cancel(): void;
}

/** Who calls. */
export interface Caller {
  /** Whose turn it is, for fairness among waiters. */
  readonly flow: string;
  readonly idempotencyKey: string;
  /** Whose call it is, for whoever watches workers; undefined: no worker's. */
  readonly subject: CallSubject | undefined;
  /** Calls code of the user's on the caller's behalf. */
  within<T>(act: () => T): T;
  replied(reply: unknown): void;
  failed(error: CallError): void;
}

export interface CallSubject {
  readonly worker: ActorId;
  readonly kind: string;
  readonly task: string;
  /** Hash of the request; undefined when the reply is not remembered. */
  readonly request: string | undefined;
}

/** What observers and statistics are told. */
export interface CallObserver {
  completed(dependency: string, usage: Usage, ms: number, usd: number, caller: Caller): void;
  failed(dependency: string, failure: CallFailure, error: unknown, again: boolean, ms: number, caller: Caller): void;
  /** A function of the dependency threw, or gave what makes no sense: the call goes on without it. */
  misread(dependency: string, field: 'usage' | 'price' | 'classify', error: unknown): void;
}

const DEFAULT_TIMEOUT_MS = 120_000;
const DEFAULT_ATTEMPTS = 4;
const BACKOFF_BASE_MS = 500;
const BACKOFF_CAP_MS = 60_000;
const NO_USAGE: Usage = { inputTokens: 0, outputTokens: 0 };

export class Calls {
  readonly name: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- requests and replies are typed where the agent is defined
  readonly spec: DependencySpec<any, any>;
  readonly host: Host;
  readonly limiter: ActorId;
  readonly random: Random;
  readonly observer: CallObserver;
  /** Told before each try: whoever may not act any more is cancelled by then. */
  readonly beforeTry: (nowMs: number) => void;
  readonly timeoutMs: number;
  readonly #lost: Call[] = [];
  /** Tries in the order they began, the ended ones among them until they come to the front. */
  #tries: Try[] = [];
  #permitsOut = 0;
  #tickets = 0;
  #alarmed = false;

  constructor(
    name: string,
    spec: DependencySpec<unknown, unknown>,
    context: Pick<Calls, 'host' | 'limiter' | 'random' | 'observer' | 'beforeTry'>,
  ) {
    this.name = name;
    this.spec = spec;
    this.host = context.host;
    this.limiter = context.limiter;
    this.random = context.random;
    this.observer = context.observer;
    this.beforeTry = context.beforeTry;
    this.timeoutMs = spec.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  /** Permits that have been granted and have not come home. */
  get permitsOut(): number {
    return this.#permitsOut;
  }

  /** Begins a call. Its caller is answered once, or never when it is cancelled before. */
  begin(request: unknown, caller: Caller): Operation {
    const call = new Call(this, request, caller);
    call.admit();
    return call;
  }

  newTicket(): number {
    return (this.#tickets += 1);
  }

  /** The limiter is gone with the question of this call: asked again when there is a new one. */
  lost(call: Call): void {
    this.#lost.push(call);
  }

  /** The limiter has been started again. */
  revive(): void {
    const inOrder = this.#lost.splice(0).toSorted((a, b) => a.ticket - b.ticket);
    for (const call of inOrder) call.ask();
  }

  /** A permit has come, and a try begins. All have the same time, so the oldest is due first and one alarm serves all. */
  began(tried: Try): void {
    this.#permitsOut += 1;
    this.#tries.push(tried);
    if (!this.#alarmed) this.#watch(tried);
    else if (this.#tries.length > 2 * this.#permitsOut + 1_024) this.#tries = this.#tries.filter((other) => !other.ended);
  }

  /** The permit comes home. */
  ended(charged: number, used: number | null): void {
    this.#permitsOut -= 1;
    this.settle(charged, used);
  }

  /** For the limiter that granted it: its successor is told how many are out. */
  settle(charged: number, used: number | null): void {
    this.host.tell(this.limiter, { type: 'limiter.settle', charged, used } as Message);
  }

  #watch(oldest: Try): void {
    this.#alarmed = true;
    this.host.alarm(oldest.beganMs + this.timeoutMs, () => {
      this.#alarmed = false;
      const nowMs = this.host.clock.nowMs();
      const due = this.#tries.findIndex((tried) => !tried.ended && nowMs < tried.beganMs + this.timeoutMs);
      const over = this.#tries.splice(0, due < 0 ? this.#tries.length : due);
      for (const tried of over) if (!tried.ended) tried.call.timedOut();
      if (this.#tries[0] !== undefined) this.#watch(this.#tries[0]);
    });
  }
}

/** One call on its way. */
class Call implements Operation, Asker<LimiterReply> {
  waitsFor: 'admission' | undefined;
  readonly #calls: Calls;
  readonly #request: unknown;
  readonly #caller: Caller;
  readonly #tokens: number;
  #attempt = 1;
  /** Grows from call to call. */
  ticket = 0;
  #charged = 0;
  #over = false;
  #try: Try | undefined;
  #cancelRest: (() => void) | undefined;

  constructor(calls: Calls, request: unknown, caller: Caller) {
    this.#calls = calls;
    this.#request = request;
    this.#caller = caller;
    const tokens = calls.spec.estimate?.(request) ?? 0;
    this.#tokens = Number.isFinite(tokens) && tokens > 0 ? Math.ceil(tokens) : 0;
  }

  get asked(): ActorId {
    return this.#calls.limiter;
  }

  admit(): void {
    this.waitsFor = 'admission';
    this.ticket = this.#calls.newTicket();
    this.ask();
  }

  ask(): void {
    if (this.#over) return;
    const { host, limiter } = this.#calls;
    const replyTo = host.expect(this);
    const question = { type: 'limiter.acquire', replyTo, ticket: this.ticket, flow: this.#caller.flow, tokens: this.#tokens };
    host.send(limiter, question);
  }

  lost(): void {
    this.#calls.lost(this);
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    const { host, limiter } = this.#calls;
    this.#cancelRest?.();
    if (this.waitsFor === 'admission' && this.#cancelRest === undefined) {
      host.send(limiter, { type: 'limiter.cancel', ticket: this.ticket } as Message);
    }
    const tried = this.#try;
    if (tried === undefined) return;
    this.#endTry(null);
    tried.abort(new RunOverError('ended'));
  }

  timedOut(): void {
    const { name, timeoutMs } = this.#calls;
    const error = new CallTimeoutError({ dependency: name, timeoutMs });
    const tried = this.#try;
    this.#failed(error);
    tried?.abort(error);
  }

  answered(reply: LimiterReply): void {
    if (this.#over || this.waitsFor === undefined) {
      // Given up, or asked twice over a restart: what is granted for nothing goes straight back.
      if (reply.at === 'granted') this.#calls.settle(reply.charged, 0);
      return;
    }
    if (reply.at === 'cancelled') return;
    this.waitsFor = undefined;
    if (reply.at === 'granted') {
      this.#charged = reply.charged;
      return this.#perform();
    }
    const cause = new CallTooLargeError({ dependency: this.#calls.name, tokens: this.#tokens });
    this.#give(new CallError({ dependency: this.#calls.name, attempts: 0, failure: 'refused' }, { cause }));
  }

  #perform(): void {
    const { spec, host, beforeTry } = this.#calls;
    const nowMs = host.clock.nowMs();
    beforeTry(nowMs);
    if (this.#over) return this.#calls.settle(this.#charged, 0);
    const tried = new Try(this, this.#caller.idempotencyKey, this.#attempt, nowMs);
    this.#try = tried;
    this.#calls.began(tried);
    try {
      const replying = this.#caller.within(() => spec.perform(this.#request, tried) as Promise<unknown> | undefined);
      // Callers without types may give the reply itself.
      if (typeof replying?.then !== 'function') return this.#replied(replying, tried);
      replying.then(
        (reply) => tried.ended || this.#replied(reply, tried),
        (error: unknown) => tried.ended || this.#failed(error),
      );
    } catch (error) {
      this.#failed(error);
    }
  }

  #replied(reply: unknown, tried: Try): void {
    const { name, observer, host } = this.#calls;
    const usage = this.#usage(reply);
    this.#endTry(usage === undefined ? null : usage.inputTokens + usage.outputTokens);
    this.#over = true;
    observer.completed(name, usage ?? NO_USAGE, host.clock.nowMs() - tried.beganMs, this.#price(usage), this.#caller);
    this.#caller.replied(reply);
  }

  #failed(error: unknown): void {
    const { name, spec, observer } = this.#calls;
    const failure = this.#classify(error);
    const ms = this.#try === undefined ? 0 : this.#calls.host.clock.nowMs() - this.#try.beganMs;
    // A refused call has used no tokens; what another failure used is unknown.
    this.#endTry(failure.at === 'rate-limited' ? 0 : null);
    const again = failure.at !== 'permanent' && this.#attempt < (spec.attempts ?? DEFAULT_ATTEMPTS);
    observer.failed(name, failure, error, again, ms, this.#caller);
    if (again) this.#rest(failure);
    else this.#give(new CallError({ dependency: name, attempts: this.#attempt, failure: failure.at }, { cause: error }));
  }

  #rest(failure: CallFailure): void {
    const { host, limiter, random } = this.#calls;
    const nowMs = host.clock.nowMs();
    const asked = failure.at === 'permanent' ? undefined : failure.retryAfterMs;
    const retryAfterMs = asked !== undefined && Number.isFinite(asked) && asked > 0 ? asked : 0;
    if (failure.at === 'rate-limited' && retryAfterMs > 0) {
      host.send(limiter, { type: 'limiter.hold', untilMs: nowMs + retryAfterMs } as Message);
    }
    const jitterMs = random.next() * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** (this.#attempt - 1));
    this.waitsFor = 'admission';
    this.#cancelRest = host.alarm(nowMs + retryAfterMs + jitterMs, () => {
      this.#cancelRest = undefined;
      this.#attempt += 1;
      this.admit();
    });
  }

  #give(error: CallError): void {
    this.#over = true;
    this.#caller.failed(error);
  }

  #endTry(used: number | null): void {
    this.#try!.ended = true;
    this.#try = undefined;
    this.#calls.ended(this.#charged, used);
  }

  #usage(reply: unknown): Usage | undefined {
    try {
      const usage = this.#calls.spec.usage?.(reply, this.#request);
      return usage !== undefined && isAmount(usage.inputTokens) && isAmount(usage.outputTokens) ? usage : undefined;
    } catch (error) {
      // A reply without usage is still a reply; its estimate stays charged.
      this.#misread('usage', error);
      return undefined;
    }
  }

  #price(usage: Usage | undefined): number {
    const { spec } = this.#calls;
    if (usage === undefined || spec.price === undefined) return 0;
    try {
      const usd: unknown = spec.price(usage);
      if (isAmount(usd)) return usd;
      this.#misread('price', usd);
    } catch (error) {
      this.#misread('price', error);
    }
    return 0;
  }

  #classify(error: unknown): CallFailure {
    const { spec, host } = this.#calls;
    try {
      const failure = spec.classify?.(error);
      if (failure?.at === 'rate-limited' || failure?.at === 'transient' || failure?.at === 'permanent') return failure;
      if (failure !== undefined) this.#misread('classify', failure);
    } catch (thrown) {
      this.#misread('classify', thrown);
    }
    return classifyError(error, host.clock.nowMs());
  }

  #misread(field: 'usage' | 'price' | 'classify', error: unknown): void {
    this.#calls.observer.misread(this.#calls.name, field, error);
  }
}

function isAmount(value: unknown): value is number {
  return Number.isFinite(value) && (value as number) >= 0;
}

/** One try of a call. The signal is made when somebody looks: most need none, and it costs more than they do. */
class Try implements PerformContext {
  readonly call: Call;
  readonly idempotencyKey: string;
  readonly attempt: number;
  readonly beganMs: number;
  /** Its permit has come home: what still comes of it is ignored. */
  ended = false;
  #controller: AbortController | undefined;
  #aborted: { readonly reason: unknown } | undefined;

  constructor(call: Call, idempotencyKey: string, attempt: number, beganMs: number) {
    this.call = call;
    this.idempotencyKey = idempotencyKey;
    this.attempt = attempt;
    this.beganMs = beganMs;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted !== undefined) this.#controller.abort(this.#aborted.reason);
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#aborted = { reason };
    this.#controller?.abort(reason);
  }
}
