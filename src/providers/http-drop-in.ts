/**
 * HTTP drop-in: carries the requests of a client through a gate, and gives back what a client does not
 * try again.
 *
 *     client ─▶ what does it ask? ─▶ gate ─▶ provider, again where the gate says so
 *        ◀── answer, as it came ◀──────┘
 *        ◀── the last failure, or the gate's refusal, with `x-should-retry: false`
 *
 * 1. A plain answer is read whole before it is handed over: what is lost on the way is tried again by the gate.
 * 2. A streamed answer is handed over when its first byte is there. From then on there is no other try.
 *    The gate's permit comes home when the stream has ended, broke, was left, or took longer than the
 *    gate's `timeoutMs`: that bounds a body that nobody reads, too.
 * 3. What a broken or left stream used is unknown: its estimate stays charged.
 * 4. Nothing is thrown but the reason of the client's own signal: clients try again whatever else a `fetch` throws.
 *
 * A client whose own timeout ends a call (`fetch` cannot keep it from counting the time in the line) would
 * send it again, and pay twice. Such a second attempt is recognised and refused.
 */
import { hash } from 'node:crypto';
import { DroverError, toErrorRecord } from '../../actors/kernel/errors.ts';
import { scoredReply } from '../admission/quality.ts';
import type { ScoredReply } from '../admission/quality.ts';
import type { PerformContext, Usage } from '../topology/dependency.ts';
import type { Asked, DropIn } from './drop-in.ts';
import { tellReply, tellUsage } from './drop-in.ts';
import { ProviderQuotaError, ProviderStatusError } from './errors.ts';
import { tellQuota } from './quota.ts';
import { readBody } from './request-body.ts';
import type { RequestBody } from './request-body.ts';
import { EventWatch } from './server-events.ts';
import type { EventReading } from './server-events.ts';
import { watchedStream } from './watched-stream.ts';
import type { StreamEnd } from './watched-stream.ts';

/** What a request asks for, and how it is sent. */
export interface HttpAsked extends Asked {
  /** Sent instead of the client's own body. */
  readonly body?: object;
}

/** How a provider speaks. */
export interface HttpWire {
  /** Whether a model answers what is posted there, whatever it is. `path` without slashes at its end. Everything else passes by. */
  isGated(path: string): boolean;
  /** What a request asks for. */
  ask(path: string, request: RequestBody): HttpAsked;
  plainUsage(body: unknown): Usage | undefined;
  reading(): EventReading;
  /** The body of a refusal. */
  refusal(refusal: Refusal): object;
  /** The account is used up, and waiting does not help. */
  isUsedUp(status: number, body: unknown): boolean;
}

export interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly code: string;
}

/** One request of a client. */
export interface Exchange {
  readonly url: string;
  readonly init: RequestInit;
  /** Sends it. */
  send(init: RequestInit): Promise<Response>;
  /** Whether the client passes on what is thrown instead of trying again: then it gets Drover's own errors. */
  readonly passesErrors: boolean;
}

/** What clients put on a second attempt of theirs. */
const CLIENT_ATTEMPT = 'x-stainless-retry-count';
const CLIENT_TIMEOUT = 'DROVER_CLIENT_TIMEOUT';
/** Clients that pass errors on still take for a timeout, and try again, what has this in its text. */
const LOOKS_LIKE_TIMEOUT = /timed? ?out/i;
const MOST_ABORTED = 1_000;
const BODYLESS = new Set([204, 205, 304]);

const STATUS_OF: Readonly<Record<string, number>> = {
  DROVER_BUDGET_EXCEEDED: 429,
  DROVER_CALL_TOO_LARGE: 429,
  DROVER_ADMISSION_LATE: 429,
  DROVER_ADMISSION_FULL: 503,
  DROVER_BREAKER_OPEN: 503,
  DROVER_ADMISSION_CLOSED: 503,
  DROVER_CALL_TIMEOUT: 504,
  DROVER_UNKNOWN_PRICE: 400,
};

export class HttpDropIn {
  readonly #dropIn: DropIn;
  readonly #wire: HttpWire;
  /** Requests that the client's own signal ended. */
  readonly #aborted = new Set<string>();

  constructor(dropIn: DropIn, wire: HttpWire) {
    this.#dropIn = dropIn;
    this.#wire = wire;
  }

  /** Never rejects but with the reason of `init.signal`, or with Drover's errors where the client passes them on. */
  async exchange(exchange: Exchange): Promise<Response> {
    const path = pathOf(exchange.url);
    if (exchange.init.method?.toUpperCase() !== 'POST' || !this.#wire.isGated(path)) return exchange.send(exchange.init);
    const joined = this.#dropIn.joined;
    // The body as it can be sent again: what a client gave as a stream can be read but once.
    let whole = exchange;
    try {
      exchange.init.signal?.throwIfAborted();
      const request = await readBody(exchange.init.body);
      whole = { ...exchange, init: { ...exchange.init, ...(request.body === undefined ? {} : { body: request.body }) } };
      const asked = this.#wire.ask(path, request);
      const hides = asked.body !== undefined;
      const sent = hides ? { ...whole.init, body: JSON.stringify(asked.body) } : whole.init;
      if (joined !== undefined) return await this.#join(joined, whole, sent, hides);
      if (this.#isSecond(whole.init)) return this.#refuse(SECOND);
      return await this.#admit(asked, whole, sent, hides);
    } catch (error) {
      return this.#failed(error, whole, joined !== undefined);
    }
  }

  #admit(asked: HttpAsked, exchange: Exchange, sent: RequestInit, hides: boolean): Promise<Response> {
    const admissible = this.#dropIn.admissible(asked, exchange.init.signal ?? undefined);
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const { send } = exchange;
    const work = async (tried: PerformContext): Promise<Response> => {
      const signal = either(sent.signal, tried.signal);
      const got = await send({ ...sent, signal });
      tellQuota(tried, got.headers, !got.ok);
      if (!got.ok) throw await this.#statusError(got);
      if (!isEventStream(got))
        return this.#plain(got, (usage, body) => {
          admissible.used(tried, usage);
          tellReply(tried, asked.isMute === true ? null : plainReply(body));
        });
      tried.report({ isLast: true });
      const { response, ended } = this.#streamed(got, signal, hides);
      resolve(response);
      const end = await ended;
      if (end.at === 'broken') throw end.error;
      if (end.at === 'whole') {
        admissible.used(tried, end.usage);
        tellReply(tried, end.reply);
      }
      return response;
    };
    this.#dropIn.gate.run(work, admissible.call).then(resolve, reject);
    return promise;
  }

  async #join(joined: PerformContext, { send }: Exchange, sent: RequestInit, hides: boolean): Promise<Response> {
    const signal = either(sent.signal, joined.signal);
    const got = await send({ ...sent, signal });
    tellQuota(joined, got.headers, !got.ok);
    if (!got.ok) return responseOf(await this.#statusError(got));
    if (!isEventStream(got)) return this.#plain(got, (usage) => tellUsage(joined, usage));
    const { response, ended } = this.#streamed(got, signal, hides);
    void ended.then((end) => end.at === 'whole' && tellUsage(joined, end.usage));
    return response;
  }

  async #plain(got: Response, used: (usage: Usage | undefined, body: unknown) => void): Promise<Response> {
    const bytes = await got.arrayBuffer();
    const body = parsed(bytes);
    used(got.headers.get('content-type')?.includes('json') === true ? this.#wire.plainUsage(body) : undefined, body);
    return new Response(BODYLESS.has(got.status) ? null : bytes, got);
  }

  #streamed(got: Response, signal: AbortSignal, hides: boolean): { readonly response: Response; readonly ended: Promise<StreamEnd> } {
    const { promise: ended, resolve } = Promise.withResolvers<StreamEnd>();
    const body = watchedStream(got.body!, new EventWatch(this.#wire.reading(), hides), signal, resolve);
    return { response: new Response(body, got), ended };
  }

  async #statusError(got: Response): Promise<Error> {
    const bytes = await got.arrayBuffer();
    const error = new ProviderStatusError(got);
    answers.set(error, { status: got.status, statusText: got.statusText, headers: got.headers, bytes });
    const isUsedUp = this.#wire.isUsedUp(got.status, parsed(bytes));
    return isUsedUp ? new ProviderQuotaError({ model: this.#dropIn.gate.name }, { cause: error }) : error;
  }

  /** A second attempt of a client at what its own signal had ended. */
  #isSecond(init: RequestInit): boolean {
    const attempt = Number(new Headers(init.headers).get(CLIENT_ATTEMPT) ?? 0);
    const key = keyOf(init);
    return attempt > 0 && key !== undefined && this.#aborted.delete(key);
  }

  #failed(error: unknown, { init, passesErrors }: Exchange, isJoined: boolean): Response {
    if (init.signal?.aborted === true) {
      if (this.#aborted.size >= MOST_ABORTED) this.#aborted.clear();
      const key = keyOf(init);
      if (!isJoined && key !== undefined) this.#aborted.add(key);
      throw init.signal.reason;
    }
    const answered = responseOf(error);
    if (answered !== undefined) return answered;
    if (!(error instanceof DroverError)) {
      const { message, code, cause } = toErrorRecord(error);
      const why = cause === undefined ? message : `${message}: ${cause.message}`;
      return this.#refuse({
        status: 502,
        message: `the provider was not reached: ${why}`,
        code: cause?.code ?? code ?? 'DROVER_CONNECTION_LOST',
      });
    }
    if (passesErrors && !LOOKS_LIKE_TIMEOUT.test(String(error))) throw error;
    return this.#refuse({ status: STATUS_OF[error.code] ?? 500, message: error.message, code: error.code });
  }

  #refuse(refusal: Refusal): Response {
    return Response.json(this.#wire.refusal(refusal), { status: refusal.status, headers: { 'x-should-retry': 'false' } });
  }
}

const SECOND: Refusal = {
  status: 408,
  message:
    'the own timeout of the client ended this call, in the line or on its way; it is not sent again, for it might be paid twice; give the client a longer timeout, or the drop-in `withinMs`',
  code: CLIENT_TIMEOUT,
};

function either(own: AbortSignal | null | undefined, tried: AbortSignal): AbortSignal {
  return own === null || own === undefined ? tried : AbortSignal.any([own, tried]);
}

interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  readonly bytes: ArrayBuffer;
}

/** What providers answered, beside the errors that stand for it: errors are logged, and answers may hold what is nobody's business. */
const answers = new WeakMap<object, Answer>();

/** The provider's own answer to what failed, so that a client does not try again. */
function responseOf(error: Error): Response;
function responseOf(error: unknown): Response | undefined;
function responseOf(error: unknown): Response | undefined {
  const answer = answers.get(error as object) ?? answers.get((error as Partial<Error> | undefined)?.cause as object);
  if (answer === undefined) return undefined;
  const headers = new Headers(answer.headers);
  headers.set('x-should-retry', 'false');
  return new Response(BODYLESS.has(answer.status) ? null : answer.bytes, { status: answer.status, statusText: answer.statusText, headers });
}

function isEventStream({ headers, body }: Response): boolean {
  return body !== null && headers.get('content-type')?.includes('text/event-stream') === true;
}

/** Undefined: a form, which is another one each time. */
function keyOf({ body }: RequestInit): string | undefined {
  return typeof body === 'string' || body instanceof Uint8Array ? hash('sha1', body) : undefined;
}

/** Without what a server does not mind. */
function pathOf(url: string): string {
  return (URL.parse(url, 'http://localhost')?.pathname ?? '').replace(/\/+$/, '');
}

/** What is no JSON (a web page, half an answer) is no answer: it counts as one without a word. Undefined: JSON of another kind. */
function plainReply(body: unknown): ScoredReply | undefined {
  return body === undefined ? { text: '', toolCalls: [] } : scoredReply(body);
}

function parsed(bytes: ArrayBuffer): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    return undefined;
  }
}
