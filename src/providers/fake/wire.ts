/** The OpenAI chat-completions wire format, as far as the fake provider speaks it. */
import { z } from 'zod';

const textPart = z.looseObject({ type: z.string(), text: z.string().optional() });

const chatMessage = z.looseObject({
  role: z.string().min(1),
  content: z.union([z.string(), z.array(textPart)]).nullish(),
});

const chatRequest = z.looseObject({
  model: z.string().min(1),
  messages: z.array(chatMessage).min(1),
  max_tokens: z.int().positive().nullish(),
  max_completion_tokens: z.int().positive().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
});

/** A request body that passed the checks. Fields unknown here are kept and have no effect. */
export type ChatRequest = z.infer<typeof chatRequest>;

/** `error` in the body of an answer that is not 2xx. */
export interface WireError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

/** The answer to one request, before it is plain or streamed. */
export interface Completion {
  readonly id: string;
  readonly model: string;
  /** Whole seconds since 1970. */
  readonly created: number;
  /** The text, one piece per token. */
  readonly pieces: readonly string[];
  readonly finishReason: 'stop' | 'length';
  readonly promptTokens: number;
}

/** Tokens charged for the answer when the request names no maximum. */
export const DEFAULT_MAX_TOKENS = 16;

const CHARACTERS_PER_TOKEN = 4;
const FINGERPRINT = 'fp_drover_fake';

/** Checks a body. `models` null: any model. */
export function parseChatRequest(
  text: string,
  models: readonly string[] | null,
): { readonly request: ChatRequest } | { readonly error: WireError } {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { error: invalidRequest('The body of your request is not valid JSON.', null, null) };
  }
  const parsed = chatRequest.safeParse(body);
  if (!parsed.success) return { error: describeIssue(body, parsed.error) };
  const { model } = parsed.data;
  if (models !== null && !models.includes(model)) {
    return { error: invalidRequest(`The model '${model}' does not exist.`, 'model', 'model_not_found') };
  }
  return { request: parsed.data };
}

/** Characters of all texts / 4, rounded up. */
export function countPromptTokens(request: ChatRequest): number {
  let characters = 0;
  for (const { content } of request.messages) {
    if (typeof content === 'string') characters += content.length;
    else for (const part of content ?? []) characters += part.text?.length ?? 0;
  }
  return Math.ceil(characters / CHARACTERS_PER_TOKEN);
}

/** The most tokens an answer may have; null when the request does not say. */
export function maxCompletionTokens(request: ChatRequest): number | null {
  return request.max_completion_tokens ?? request.max_tokens ?? null;
}

/** Cuts a text into tokens of four characters, as many as the request allows. */
export function complete(request: ChatRequest, text: string, id: string, nowMs: number): Completion {
  const most = maxCompletionTokens(request) ?? Infinity;
  const pieces: string[] = [];
  let from = 0;
  for (; from < text.length && pieces.length < most; from += CHARACTERS_PER_TOKEN) {
    pieces.push(text.slice(from, from + CHARACTERS_PER_TOKEN));
  }
  return {
    id: `chatcmpl-${id}`,
    model: request.model,
    created: Math.floor(nowMs / 1000),
    pieces,
    finishReason: from < text.length ? 'length' : 'stop',
    promptTokens: countPromptTokens(request),
  };
}

/** The body of a plain answer. */
export function completionBody(completion: Completion): string {
  const { id, created, model, pieces, finishReason } = completion;
  const message = { role: 'assistant', content: pieces.join(''), refusal: null, annotations: [] };
  return JSON.stringify({
    id,
    object: 'chat.completion',
    created,
    model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishReason }],
    usage: usageOf(completion),
    service_tier: 'default',
    system_fingerprint: FINGERPRINT,
  });
}

/** The events of a streamed answer, each ready to send. */
export function streamEvents(completion: Completion, includeUsage: boolean) {
  const { id, created, model, finishReason } = completion;
  const head = { id, object: 'chat.completion.chunk', created, model, system_fingerprint: FINGERPRINT };
  const event = (choices: readonly unknown[], usage: unknown): string =>
    // When usage was asked for, every chunk carries the field, null until the last.
    `data: ${JSON.stringify({ ...head, choices, ...(includeUsage ? { usage } : {}) })}\n\n`;
  const choice = (delta: object, finish_reason: string | null) => [{ index: 0, delta, logprobs: null, finish_reason }];
  return {
    role: () => event(choice({ role: 'assistant', content: '', refusal: null }, null), null),
    content: (piece: string) => event(choice({ content: piece }, null), null),
    /** Finish reason, usage if asked for, `[DONE]`: what comes after the last token. */
    tail: () => event(choice({}, finishReason), null) + (includeUsage ? event([], usageOf(completion)) : '') + 'data: [DONE]\n\n',
  };
}

/** An error about the request itself. */
export function invalidRequest(message: string, param: string | null, code: string | null): WireError {
  return { message, type: 'invalid_request_error', param, code };
}

function usageOf({ promptTokens, pieces }: Completion) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: pieces.length,
    total_tokens: promptTokens + pieces.length,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  };
}

function describeIssue(body: unknown, error: z.ZodError): WireError {
  const issue = error.issues[0];
  const path = issue?.path ?? [];
  const param = path.reduce<string>(
    (name, key) => (typeof key === 'number' ? `${name}[${key}]` : name === '' ? String(key) : `${name}.${String(key)}`),
    '',
  );
  const value = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], body);
  if (value === undefined) {
    return invalidRequest(`Missing required parameter: '${param}'.`, param, 'missing_required_parameter');
  }
  const reason = issue?.message ?? 'invalid value';
  return invalidRequest(`Invalid value for '${param || 'body'}': ${reason}`, param || null, 'invalid_value');
}
