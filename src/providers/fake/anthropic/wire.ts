/** The wire format of Anthropic's messages, as far as the fake provider speaks it. */
import type { CallUsage } from '../usage.ts';
import type { Completion, EventStream, Wire, WireError } from '../wire.ts';
import { RATE_HEADER_NAMES, rateLimitHeaders, retryHeaders } from './headers.ts';
import { parseMessagesRequest } from './request.ts';

/** Anthropic's messages. */
export const anthropicWire: Wire = {
  name: 'anthropic',
  cachedCounts: false,
  parse: parseMessagesRequest,
  errorBody,
  plainBody,
  streamed,
  identityHeaders: (requestId) => ({ 'request-id': requestId }),
  rateHeaders: rateLimitHeaders,
  retryHeaders,
  rateHeaderNames: RATE_HEADER_NAMES,
};

const STOP_REASONS = { stop: 'end_turn', length: 'max_tokens', refusal: 'refusal' } as const;

/** What a usage says before the answer is there: the first token is on its way. */
const FIRST_OUTPUT_TOKENS = 1;

function errorBody({ status, message }: WireError, requestId: string) {
  return { type: 'error', error: { type: errorTypeOf(status), message }, request_id: requestId };
}

function errorTypeOf(status: number): string {
  switch (status) {
    case 404:
      return 'not_found_error';
    case 413:
      return 'request_too_large';
    case 429:
      return 'rate_limit_error';
    case 529:
      return 'overloaded_error';
    default:
      return status < 500 ? 'invalid_request_error' : 'api_error';
  }
}

function plainBody(completion: Completion) {
  const { pieces, usage, tellsUsage, finishReason } = completion;
  return {
    ...headOf(completion),
    content: pieces === null ? [] : [{ type: 'text', text: pieces.join(''), citations: null }],
    stop_reason: STOP_REASONS[finishReason],
    stop_sequence: null,
    ...(tellsUsage ? { usage: usageOf(usage) } : {}),
  };
}

function streamed(completion: Completion): EventStream {
  const { id, pieces, usage, tellsUsage, finishReason } = completion;
  const block = { type: 'text', text: '', citations: null };
  const first = { ...usage, outputTokens: FIRST_OUTPUT_TOKENS, reasoningTokens: 0 };
  const message = {
    ...headOf(completion),
    content: [],
    stop_reason: null,
    stop_sequence: null,
    ...(tellsUsage ? { usage: usageOf(first) } : {}),
  };
  const delta = { stop_reason: STOP_REASONS[finishReason], stop_sequence: null };
  const inBlock = (text: string) => (pieces === null ? '' : text);
  return {
    head: () =>
      event('message_start', { message }) + inBlock(event('content_block_start', { index: 0, content_block: block })) + event('ping', {}),
    content: (text) => event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }),
    finish: () => inBlock(event('content_block_stop', { index: 0 })),
    // The usage is cumulative: it repeats the prompt's, and counts all of the answer.
    end: () => event('message_delta', { delta, ...(tellsUsage ? { usage: usageOf(usage) } : {}) }) + event('message_stop', {}),
    error: (error) => `event: error\ndata: ${JSON.stringify(errorBody(error, id))}\n\n`,
  };
}

function event(type: string, fields: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
}

function headOf({ id, model }: Completion) {
  return { id: `msg_${id}`, type: 'message', role: 'assistant', model };
}

/** Here, unlike at OpenAI, the tokens of the cache are not among the input tokens but beside them. */
function usageOf({ inputTokens, cachedTokens, cacheWriteTokens, outputTokens, reasoningTokens }: CallUsage) {
  return {
    input_tokens: inputTokens - cachedTokens - cacheWriteTokens,
    cache_creation_input_tokens: cacheWriteTokens,
    cache_read_input_tokens: cachedTokens,
    output_tokens: outputTokens,
    output_tokens_details: { thinking_tokens: reasoningTokens },
    service_tier: 'standard',
  };
}
