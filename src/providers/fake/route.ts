/** POST of a question, in whatever format, from the body to an accepted call or a refusal. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Random } from '../../../actors/kernel/random.ts';
import type { Rejection } from './admission/admission.ts';
import { Call } from './call.ts';
import type { CallHost } from './call.ts';
import { drawFault, isRefusal } from './faults/faults.ts';
import type { FaultRates } from './faults/faults.ts';
import { spoiledRetryAfter } from './faults/spoil.ts';
import { readBody, sendJson } from './http.ts';
import type { ResolvedOptions } from './options.ts';
import { respond } from './respond.ts';
import { costOf, promptUsage } from './usage.ts';
import { invalidRequest } from './wire.ts';
import type { Wire, WireError } from './wire.ts';

/** What the route needs from its provider. */
export interface RouteHost extends CallHost {
  readonly options: ResolvedOptions;
  /** The rates of this moment. */
  readonly faults: FaultRates;
  readonly faultRandom: Random;
  readonly answerRandom: Random;
}

/** One request and the response to it. */
export interface Exchange {
  readonly id: string;
  readonly wire: Wire;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Identity and rate-limit headers, as they are at the moment of sending. */
  readonly headers: () => Record<string, string>;
  /** Notes that the connection carries this call, and returns the connection's id. */
  readonly carry: () => string;
}

/** Tokens charged for the answer when the request names no maximum. */
const DEFAULT_MAX_TOKENS = 16;

/** Resolves when the call is answered, refused, or left alone. */
export async function handleQuestion(host: RouteHost, exchange: Exchange): Promise<void> {
  const { options, limiter } = host;
  const { id, wire, request, response, headers } = exchange;
  const body = await readBody(request, options.maxBodyBytes);
  // A client that is gone already would never end its call: its `close` event has passed.
  if (body.at === 'aborted' || response.destroyed) return;
  if (body.at === 'too-large') {
    const message = `The body is larger than ${options.maxBodyBytes} bytes.`;
    return refuse(exchange, invalidRequest(message, null, 'request_too_large', 413));
  }
  const parsed = wire.parse(body.text, options.models);
  if ('error' in parsed) return refuse(exchange, parsed.error);

  const { question } = parsed;
  const prompt = promptUsage(question.request, question.promptTokens, options.cachedPrompt, options.cacheWrites);
  const outputTokens = question.maxTokens ?? DEFAULT_MAX_TOKENS;
  const estimate = costOf({ ...prompt, outputTokens, reasoningTokens: 0 }, wire.cachedCounts);
  const fault = drawFault(host.faults, host.faultRandom);
  if (isRefusal(fault)) return reject(exchange, limiter.refuse(estimate, fault), spoiledRetryAfter(fault));
  const verdict = limiter.enter(estimate, fault);
  if (verdict.at === 'rejected') return reject(exchange, verdict, null);

  const facts = {
    id,
    connection: exchange.carry(),
    atMs: host.nowMs(),
    key: request.headers['idempotency-key']?.toString() ?? null,
    model: question.request.model,
    streamed: question.streamed,
  };
  const call = new Call(host, { wire, facts, prompt, estimate, fault }, response);
  await respond(call, question, { options, wire, prompt, random: host.answerRandom, headers, callId: id });
}

function reject(exchange: Exchange, { by, retryAfterMs }: Rejection, retryAfter: string | null): void {
  const message = `Rate limit reached (${by}). Please try again in ${retryAfterMs}ms.`;
  const error = { status: 429, message, type: by, param: null, code: 'rate_limit_exceeded' };
  refuse(exchange, error, retryAfter === null ? exchange.wire.retryHeaders(retryAfterMs) : { 'retry-after': retryAfter });
}

function refuse({ id, wire, response, headers }: Exchange, error: WireError, more: Record<string, string> = {}): void {
  sendJson(response, error.status, wire.errorBody(error, id), { ...headers(), ...more });
}
