/** POST /v1/chat/completions, from the body to an accepted call or a refusal. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Random } from '../../../actors/kernel/random.ts';
import type { Rejection } from './admission.ts';
import { Call } from './call.ts';
import type { CallHost } from './call.ts';
import { drawFault } from './faults.ts';
import type { FaultRates } from './faults.ts';
import { retryHeaders } from './headers.ts';
import { readBody, sendJson } from './http.ts';
import type { ResolvedOptions } from './options.ts';
import { respond } from './respond.ts';
import { countPromptTokens, DEFAULT_MAX_TOKENS, invalidRequest, maxCompletionTokens, parseChatRequest } from './wire.ts';

/** What the route needs from its provider. */
export interface ChatHost extends CallHost {
  readonly options: ResolvedOptions;
  /** The rates of this moment. */
  readonly faults: FaultRates;
  readonly faultRandom: Random;
  readonly answerRandom: Random;
}

/** One request and the response to it. */
export interface Exchange {
  readonly id: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Identity and rate-limit headers, as they are at the moment of sending. */
  readonly headers: () => Record<string, string>;
  /** Notes that the connection carries this call, and returns the connection's id. */
  readonly carry: () => string;
}

/** Resolves when the call is answered, refused, or left alone. */
export async function handleChat(host: ChatHost, exchange: Exchange): Promise<void> {
  const { options, limiter } = host;
  const { id, request, response, headers } = exchange;
  const body = await readBody(request, options.maxBodyBytes);
  // A client that is gone already would never end its call: its `close` event has passed.
  if (body.at === 'aborted' || response.destroyed) return;
  if (body.at === 'too-large') {
    const message = `The body is larger than ${options.maxBodyBytes} bytes.`;
    return sendJson(response, 413, { error: invalidRequest(message, null, 'request_too_large') }, headers());
  }
  const parsed = parseChatRequest(body.text, options.models);
  if ('error' in parsed) return sendJson(response, 400, { error: parsed.error }, headers());

  const chat = parsed.request;
  const promptTokens = countPromptTokens(chat);
  const estimatedTokens = promptTokens + (maxCompletionTokens(chat) ?? DEFAULT_MAX_TOKENS);
  const fault = drawFault(host.faults, host.faultRandom);
  if (fault === 'rate429') return reject(exchange, limiter.refuse());
  const verdict = limiter.enter(estimatedTokens, fault);
  if (verdict.at === 'rejected') return reject(exchange, verdict);

  const facts = {
    id,
    connection: exchange.carry(),
    atMs: host.nowMs(),
    key: request.headers['idempotency-key']?.toString() ?? null,
    model: chat.model,
    promptTokens,
    streamed: chat.stream === true,
  };
  const call = new Call(host, facts, estimatedTokens, fault, response);
  await respond(call, chat, { options, random: host.answerRandom, headers, callId: id });
}

function reject({ response, headers }: Exchange, { by, retryAfterMs }: Rejection): void {
  const message = `Rate limit reached (${by}). Please try again in ${retryAfterMs}ms.`;
  const error = { message, type: by, param: null, code: 'rate_limit_exceeded' };
  sendJson(response, 429, { error }, { ...headers(), ...retryHeaders(retryAfterMs) });
}
