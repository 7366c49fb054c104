/**
 * OpenAI: chat completions as a dependency, through the official client or any with its shape; and a `fetch`
 * for code that calls such a client itself.
 *
 *     request ─▶ estimate ─▶ (limiter) ─▶ client, once ─▶ reply, usage ─▶ (limiter settles)
 *
 * The client's own retries are set aside with each request: a second try goes through the limiter
 * like the first, or fifty clients retry for themselves. Each try carries the call's idempotency key.
 */
import { z } from 'zod';
import { dependency } from '../topology/dependency.ts';
import type { Dependency } from '../topology/dependency.ts';
import { ProviderQuotaError, ProviderReplyError } from './errors.ts';
import { checkModel, DEFAULT_TIMEOUT_MS, Estimating, modelFields, sharedSpec, withHeaders } from './model-options.ts';
import type { ModelOptions } from './model-options.ts';
import { readCompletion, readStream } from './openai-reply.ts';
import { tellQuota } from './quota.ts';
import type { HeadersLike } from './quota.ts';
import type { ChatReply } from './reply.ts';
import { learnInput } from './token-estimate.ts';
import { weightOf } from './weight.ts';
import type { Weight } from './weight.ts';

export { ProviderQuotaError, ProviderReplyError, ProviderStatusError, StreamBrokenError, UnknownPriceError } from './errors.ts';
export type { DropInOptions, Gate } from './drop-in.ts';
export type { Fetch } from './fetch-through.ts';
export type { ModelOptions } from './model-options.ts';
export { openaiFetch } from './openai-fetch.ts';
export type { OpenaiFetchOptions } from './openai-fetch.ts';
export { priceOf } from './prices.ts';
export type { OwnPrices, Price, PriceOption } from './prices.ts';
export type { ChatReply, ToolCall } from './reply.ts';

/** Sent as it is. */
export interface ChatMessage {
  readonly role: 'system' | 'developer' | 'user' | 'assistant' | 'tool' | 'function';
  /** A text, or parts: texts, images, audio, files. */
  readonly content?: string | readonly object[] | null;
  readonly name?: string;
  /** Of the assistant. */
  readonly tool_calls?: readonly object[];
  /** Of a tool: whose result it is. */
  readonly tool_call_id?: string;
}

/** What a run gives to `ctx.call`. */
export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  /** The answer is cut there. It is charged in full until the real usage is known. Default: the dependency's. */
  readonly maxOutputTokens?: number;
  /** More fields of the request's body, e.g. `tools`, `temperature`. */
  readonly parameters?: Readonly<Record<string, unknown>>;
}

/** What is needed of a client: `new OpenAI()` has it, and so have its look-alikes. */
export interface ChatClient {
  readonly chat: { readonly completions: { create(body: never, options?: never): PromiseLike<unknown> } };
}

/** `maxOutputTokens` default: the provider's own; 1,000 tokens are then charged until the usage is known. */
export interface OpenaiChatOptions extends ModelOptions {
  readonly client: ChatClient;
  readonly model: string;
  /** What the maximum is called: older look-alikes know only `max_tokens`. Default `max_completion_tokens`. */
  readonly maxTokensField?: 'max_completion_tokens' | 'max_tokens';
  /** Whose price list counts, by its name in `@pydantic/genai-prices`. Default `openai`. */
  readonly provider?: string;
}

const UNKNOWN_OUTPUT_TOKENS = 1_000;

const CLIENT = "a client with chat.completions.create, such as new OpenAI() of the package 'openai'";
const FIELDS = "'max_completion_tokens' or 'max_tokens'";

const ownShape = z.object(
  {
    ...modelFields,
    client: z.custom((value) => typeof (value as Partial<ChatClient> | undefined)?.chat?.completions?.create === 'function', CLIENT),
    model: z.string('the name of a model').min(1, 'the name of a model'),
    maxTokensField: z.enum(['max_completion_tokens', 'max_tokens'], FIELDS).optional(),
    provider: z.string('the name of a provider').optional(),
  },
  'an object with `client` and `model`',
);

/**
 * Chat completions of one model as a dependency. Requests are charged characters / 4 (corrected by
 * real usage as it comes; 1,600 tokens an image, 6,000 another file) and their maximum of output, and
 * settled to what the reply says.
 *
 * A failed call is read by its HTTP status: 429 is rate-limited and its `retry-after(-ms)` obeyed,
 * 503 and 529 are overload, 408, 409, other 5xx and lost connections are transient, other statuses are
 * permanent. A 200 that is no chat completion is a `ProviderReplyError`, transient too; a 429 that says
 * `insufficient_quota` is a `ProviderQuotaError`, permanent. What the rate-limit headers say is heeded.
 *
 * @throws TopologyError naming the field, the value and what is allowed.
 * @example
 * const model = openaiChat({
 *   client: new OpenAI(),
 *   model: 'gpt-4.1-mini',
 *   limits: { requestsPerMinute: 500, tokensPerMinute: 200_000, concurrency: 20 },
 * });
 */
export function openaiChat(options: OpenaiChatOptions): Dependency<ChatRequest, ChatReply> {
  checkModel('openaiChat', ownShape, options);
  const { client, model, maxTokensField = 'max_completion_tokens', provider = 'openai', ...shared } = options;
  const { stream = false, maxOutputTokens, parameters, raw = false } = shared;
  const estimating = new Estimating();
  const timeout = Math.ceil(shared.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const bodyOf = (request: ChatRequest): object => {
    const most = request.maxOutputTokens ?? maxOutputTokens;
    return {
      ...parameters,
      ...request.parameters,
      model,
      messages: request.messages,
      ...(most === undefined ? {} : { [maxTokensField]: most }),
      ...(stream ? { stream: true, stream_options: { include_usage: true } } : {}),
    };
  };
  const weigh = (request: ChatRequest): Weight => {
    const { tools, functions, response_format: format } = { ...parameters, ...request.parameters } as Record<string, unknown>;
    return weightOf(request.messages, JSON.stringify(tools), JSON.stringify(functions), JSON.stringify(format));
  };
  return dependency<ChatRequest, ChatReply>({
    ...sharedSpec(shared, model, provider),
    async perform(request, call) {
      const { signal, idempotencyKey } = call;
      const headers = { 'idempotency-key': idempotencyKey };
      try {
        const asked = client.chat.completions.create(bodyOf(request) as never, { headers, signal, timeout, maxRetries: 0 } as never);
        const answer = await withHeaders(asked);
        tellQuota(call, answer.headers);
        const parts: unknown[] = [];
        const reply = stream
          ? await readStream(answer.data, model, raw ? (part) => parts.push(part) : undefined)
          : readCompletion(answer.data, model);
        learnInput(estimating.tokens, weigh(request), reply.usage);
        return raw ? { ...reply, raw: stream ? parts : answer.data } : reply;
      } catch (error) {
        // An aborted stream ends quietly, and then looks like half an answer.
        signal.throwIfAborted();
        tellQuota(call, (error as { readonly headers?: HeadersLike } | undefined)?.headers);
        throw readFailure(error, model);
      }
    },
    estimate: (request) => estimating.cost(weigh(request), request.maxOutputTokens ?? maxOutputTokens ?? UNKNOWN_OUTPUT_TOKENS),
  });
}

/** The client's errors say what they are by `status` and headers; these two they do not tell apart. */
function readFailure(error: unknown, model: string): unknown {
  if (error instanceof SyntaxError) return new ProviderReplyError({ model, expected: 'whole JSON', came: error.message }, { cause: error });
  const { status, code } = (error ?? {}) as Record<string, unknown>;
  if (status === 429 && code === 'insufficient_quota') return new ProviderQuotaError({ model }, { cause: error });
  return error;
}
