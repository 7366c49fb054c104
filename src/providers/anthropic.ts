/**
 * Anthropic: messages as a dependency, through the official client; and a middleware (or a `fetch`) for code
 * that calls such a client itself.
 *
 * What is read from Anthropic's cache does not count for its rates, and is a part of the usage's input here.
 */
import { z } from 'zod';
import { dependency } from '../topology/dependency.ts';
import type { Dependency } from '../topology/dependency.ts';
import { readEvents, readMessage } from './anthropic-reply.ts';
import { ProviderReplyError } from './errors.ts';
import { checkModel, DEFAULT_TIMEOUT_MS, Estimating, modelFields, sharedSpec, withHeaders } from './model-options.ts';
import type { ModelOptions } from './model-options.ts';
import { tellQuota } from './quota.ts';
import type { HeadersLike } from './quota.ts';
import type { ChatReply } from './reply.ts';
import { learnInput } from './token-estimate.ts';
import { weightOf } from './weight.ts';
import type { Weight } from './weight.ts';

export { anthropicFetch, anthropicMiddleware } from './anthropic-drop-in.ts';
export type { AnthropicFetchOptions, AnthropicMiddleware, AnthropicRequest } from './anthropic-drop-in.ts';
export type { DropInOptions, Gate } from './drop-in.ts';
export { ProviderReplyError, ProviderStatusError, StreamBrokenError, UnknownPriceError } from './errors.ts';
export type { Fetch } from './fetch-through.ts';
export type { ModelOptions } from './model-options.ts';
export { priceOf } from './prices.ts';
export type { OwnPrices, Price, PriceOption } from './prices.ts';
export type { ChatReply, ToolCall } from './reply.ts';

/** Sent as it is. */
export interface AnthropicMessage {
  readonly role: 'user' | 'assistant' | 'system';
  /** A text, or blocks: texts, images, documents, calls and results of tools. */
  readonly content: string | readonly object[];
}

/** What a run gives to `ctx.call`. */
export interface MessagesRequest {
  readonly system?: string | readonly object[];
  readonly messages: readonly AnthropicMessage[];
  /** The answer is cut there. It is charged in full until the real usage is known. Default: the dependency's. */
  readonly maxOutputTokens?: number;
  /** More fields of the request's body, e.g. `tools`, `thinking`. */
  readonly parameters?: Readonly<Record<string, unknown>>;
}

/** What is needed of a client: `new Anthropic()` has it, and so have those for Bedrock, Vertex and Foundry. */
export interface MessagesClient {
  readonly messages: { create(body: never, options?: never): PromiseLike<unknown> };
}

/** `maxOutputTokens` default: 4,096, since Anthropic must be told one. `cachedInputIsFree` default: true. */
export interface AnthropicMessagesOptions extends ModelOptions {
  readonly client: MessagesClient;
  readonly model: string;
  /** Whose price list counts, by its name in `@pydantic/genai-prices`. Default `anthropic`. */
  readonly provider?: string;
}

const DEFAULT_OUTPUT_TOKENS = 4_096;

const CLIENT = "a client with messages.create, such as new Anthropic() of the package '@anthropic-ai/sdk'";

const ownShape = z.object(
  {
    ...modelFields,
    client: z.custom((value) => typeof (value as Partial<MessagesClient> | undefined)?.messages?.create === 'function', CLIENT),
    model: z.string('the name of a model').min(1, 'the name of a model'),
    provider: z.string('the name of a provider').optional(),
  },
  'an object with `client` and `model`',
);

/**
 * Messages of one model as a dependency. Requests are charged characters / 4 (corrected by real usage as it
 * comes; 1,600 tokens an image, 6,000 another file) and their maximum of output, and settled to what the reply says.
 *
 * A failed call is read by its HTTP status: 429 is rate-limited and its `retry-after` obeyed, 503 and 529 are
 * overload, 408, 409, other 5xx, lost connections and streams that break are transient, other statuses are permanent.
 * A 200 that is no message is a `ProviderReplyError`, transient too. What the rate-limit headers say is heeded.
 *
 * @throws TopologyError naming the field, the value and what is allowed.
 * @example
 * const model = anthropicMessages({
 *   client: new Anthropic(),
 *   model: 'claude-haiku-4-5',
 *   limits: { requestsPerMinute: 50, inputTokensPerMinute: 50_000, outputTokensPerMinute: 10_000 },
 * });
 */
export function anthropicMessages(options: AnthropicMessagesOptions): Dependency<MessagesRequest, ChatReply> {
  checkModel('anthropicMessages', ownShape, options);
  const { client, model, provider = 'anthropic', ...shared } = options;
  const { stream = false, maxOutputTokens = DEFAULT_OUTPUT_TOKENS, parameters, raw = false } = shared;
  const estimating = new Estimating();
  const timeout = Math.ceil(shared.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const bodyOf = (request: MessagesRequest): object => ({
    ...parameters,
    ...request.parameters,
    model,
    ...(request.system === undefined ? {} : { system: request.system }),
    messages: request.messages,
    max_tokens: request.maxOutputTokens ?? maxOutputTokens,
    ...(stream ? { stream: true } : {}),
  });
  const weigh = (request: MessagesRequest): Weight => {
    const { tools, system } = { ...parameters, ...request.parameters } as Record<string, unknown>;
    return weightOf(request.messages, request.system ?? system, JSON.stringify(tools));
  };
  return dependency<MessagesRequest, ChatReply>({
    ...sharedSpec(shared, model, provider, { cachedInputIsFree: true }),
    async perform(request, call) {
      const { signal, idempotencyKey } = call;
      const headers = { 'idempotency-key': idempotencyKey };
      try {
        const asked = client.messages.create(bodyOf(request) as never, { headers, signal, timeout, maxRetries: 0 } as never);
        const answer = await withHeaders(asked);
        tellQuota(call, answer.headers);
        const parts: unknown[] = [];
        const reply = stream
          ? await readEvents(answer.data, model, raw ? (part) => parts.push(part) : undefined)
          : readMessage(answer.data, model);
        learnInput(estimating.tokens, weigh(request), reply.usage);
        return raw ? { ...reply, raw: stream ? parts : answer.data } : reply;
      } catch (error) {
        // An aborted stream ends quietly, and then looks like half an answer.
        signal.throwIfAborted();
        tellQuota(call, (error as { readonly headers?: HeadersLike } | undefined)?.headers);
        throw error instanceof SyntaxError
          ? new ProviderReplyError({ model, expected: 'whole JSON', came: error.message }, { cause: error })
          : error;
      }
    },
    estimate: (request) => estimating.cost(weigh(request), request.maxOutputTokens ?? maxOutputTokens),
  });
}
