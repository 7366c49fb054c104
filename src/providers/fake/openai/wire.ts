/** The wire format of OpenAI's chat completions, as far as the fake provider speaks it. */
import type { CallUsage } from '../usage.ts';
import type { Completion, EventStream, Wire, WireError } from '../wire.ts';
import { RATE_HEADER_NAMES, rateLimitHeaders, retryHeaders } from './headers.ts';
import { parseChatRequest } from './request.ts';

const FINGERPRINT = 'fp_drover_fake';

/** OpenAI's chat completions. */
export const openaiWire: Wire = {
  name: 'openai',
  cachedCounts: true,
  parse: parseChatRequest,
  errorBody,
  plainBody,
  streamed,
  identityHeaders: (requestId, processingMs) => ({ 'x-request-id': requestId, 'openai-processing-ms': String(processingMs) }),
  rateHeaders: rateLimitHeaders,
  retryHeaders,
  rateHeaderNames: RATE_HEADER_NAMES,
};

function errorBody({ message, type, param, code }: WireError) {
  return { error: { message, type, param, code } };
}

function plainBody(completion: Completion) {
  const { pieces, usage, tellsUsage } = completion;
  const message = { role: 'assistant', content: (pieces ?? []).join(''), refusal: null, annotations: [] };
  const choice = { index: 0, message, logprobs: null, finish_reason: finishReasonOf(completion) };
  return {
    ...headOf(completion, 'chat.completion'),
    choices: pieces === null ? [] : [choice],
    ...(tellsUsage ? { usage: usageOf(usage) } : {}),
    service_tier: 'default',
  };
}

function streamed(completion: Completion, usageWanted: boolean): EventStream {
  const { pieces, usage, tellsUsage } = completion;
  const includeUsage = usageWanted && tellsUsage;
  const head = headOf(completion, 'chat.completion.chunk');
  const event = (choices: readonly unknown[], told: unknown): string =>
    // When usage was asked for, every chunk carries the field, null until the last.
    `data: ${JSON.stringify({ ...head, choices, ...(includeUsage ? { usage: told } : {}) })}\n\n`;
  const choice = (delta: object, finish_reason: string | null) =>
    pieces === null ? [] : [{ index: 0, delta, logprobs: null, finish_reason }];
  return {
    head: () => event(choice({ role: 'assistant', content: '', refusal: null }, null), null),
    content: (piece) => event(choice({ content: piece }, null), null),
    finish: () => event(choice({}, finishReasonOf(completion)), null),
    end: () => (includeUsage ? event([], usageOf(usage)) : '') + 'data: [DONE]\n\n',
    error: (error) => `data: ${JSON.stringify(errorBody(error))}\n\n`,
  };
}

function headOf({ id, createdMs, model }: Completion, object: string) {
  return { id: `chatcmpl-${id}`, object, created: Math.floor(createdMs / 1000), model, system_fingerprint: FINGERPRINT };
}

/** A refusal is a text like any other here. */
function finishReasonOf({ finishReason }: Completion): string {
  return finishReason === 'refusal' ? 'stop' : finishReason;
}

function usageOf({ inputTokens, cachedTokens, outputTokens, reasoningTokens }: CallUsage) {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: reasoningTokens, audio_tokens: 0 },
  };
}
