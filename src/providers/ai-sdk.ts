/**
 * AI SDK: any of its language models as a dependency, called as `generateText` and `streamText` call it; and a
 * middleware for code that calls those itself.
 */
import { generateText, streamText } from 'ai';
import type { LanguageModel } from 'ai';
import { z } from 'zod';
import { dependency } from '../topology/dependency.ts';
import type { Dependency, PerformContext } from '../topology/dependency.ts';
import { ProviderReplyError } from './errors.ts';
import { checkModel, Estimating, modelFields, sharedSpec } from './model-options.ts';
import type { ModelOptions } from './model-options.ts';
import { tellQuota } from './quota.ts';
import type { HeadersLike } from './quota.ts';
import type { ChatReply } from './reply.ts';
import { learnInput } from './token-estimate.ts';
import { textUsage } from './usage.ts';
import { weightOf } from './weight.ts';
import type { Weight } from './weight.ts';

export { admissionMiddleware } from './ai-sdk-middleware.ts';
export type { DropInOptions, Gate } from './drop-in.ts';
export { StreamBrokenError, UnknownPriceError } from './errors.ts';
export type { ModelOptions } from './model-options.ts';
export { priceOf } from './prices.ts';
export type { OwnPrices, Price, PriceOption } from './prices.ts';
export type { ChatReply, ToolCall } from './reply.ts';

type Asked = Parameters<typeof generateText>[0];

/**
 * What a run gives to `ctx.call`: the parameters of `generateText` that are data. Functions (tools that
 * execute themselves, callbacks, outputs) go into `parameters` of the dependency, since what a run asks for is
 * remembered by its JSON.
 */
export interface ModelRequest {
  readonly prompt?: Exclude<Asked['prompt'], undefined>;
  readonly messages?: Exclude<Asked['messages'], undefined>;
  readonly instructions?: Exclude<Asked['instructions'], undefined>;
  /** The answer is cut there. It is charged in full until the real usage is known. Default: the dependency's. */
  readonly maxOutputTokens?: number;
  /** More of them, e.g. `temperature`, `toolChoice`, `providerOptions`. */
  readonly parameters?: Readonly<Record<string, unknown>>;
}

/**
 * `maxOutputTokens` default: the provider's own; 1,000 tokens are then charged until the usage is known.
 * `cachedInputIsFree` default: true for models of Anthropic.
 */
export interface LanguageModelOptions extends ModelOptions {
  readonly model: LanguageModel;
  /** Whose price list counts, by its name in `@pydantic/genai-prices`. Default: the model's provider. */
  readonly provider?: string;
}

const UNKNOWN_OUTPUT_TOKENS = 1_000;

const MODEL = 'a language model of the AI SDK, or its name at the gateway';

const ownShape = z.object(
  {
    ...modelFields,
    model: z.union(
      [z.string().min(1), z.custom((value) => typeof (value as { doGenerate?: unknown } | null)?.doGenerate === 'function')],
      MODEL,
    ),
    provider: z.string('the name of a provider').optional(),
  },
  'an object with `model`',
);

/**
 * A language model of the AI SDK as a dependency. One call of it is one call of the model: loops over tools are
 * the run's, so that each step is admitted, remembered and paid by itself (`stopWhen` in `parameters` makes several
 * requests under one admission; their usage is counted in sum).
 *
 * Requests are charged characters / 4 (corrected by real usage as it comes; 1,600 tokens an image, 6,000 another
 * file) and their maximum of output, and settled to what the reply says. A failed call is read by its HTTP status,
 * as with `openaiChat`. What the rate-limit headers say is heeded.
 *
 * @throws TopologyError naming the field, the value and what is allowed.
 * @example
 * const model = languageModel({ model: openai('gpt-4.1-mini'), limits: { requestsPerMinute: 500 } });
 */
export function languageModel(options: LanguageModelOptions): Dependency<ModelRequest, ChatReply> {
  checkModel('languageModel', ownShape, options);
  const { model, provider: chosen, ...shared } = options;
  const { stream = false, maxOutputTokens, parameters, raw = false } = shared;
  const { id, provider } = nameOf(model);
  const estimating = new Estimating();
  const askOf = (request: ModelRequest, { signal, idempotencyKey }: PerformContext): Asked => {
    const { parameters: own, maxOutputTokens: most = maxOutputTokens, ...asked } = request;
    const { headers } = { ...parameters, ...own } as { readonly headers?: Record<string, string> };
    return {
      ...parameters,
      ...own,
      ...asked,
      ...(most === undefined ? {} : { maxOutputTokens: most }),
      headers: { ...headers, 'idempotency-key': idempotencyKey },
      model,
      maxRetries: 0,
      abortSignal: signal,
    } as unknown as Asked;
  };
  const weigh = (request: ModelRequest): Weight => {
    const { tools } = { ...parameters, ...request.parameters } as { readonly tools?: unknown };
    return weightOf(request.prompt, request.messages, request.instructions ?? parameters?.['instructions'], JSON.stringify(tools));
  };
  return dependency<ModelRequest, ChatReply>({
    ...sharedSpec(shared, id, chosen ?? provider, { cachedInputIsFree: provider?.startsWith('anthropic') ?? false }),
    async perform(request, call) {
      try {
        const ask = askOf(request, call);
        const { headers, reply, whole } = await (stream ? streamed(ask, id) : generated(ask, id));
        tellQuota(call, headers);
        learnInput(estimating.tokens, weigh(request), reply.usage);
        // What the SDK makes of a reply has dates and bytes in it; it is remembered as JSON.
        return raw ? { ...reply, raw: JSON.parse(JSON.stringify(whole)) as unknown } : reply;
      } catch (error) {
        call.signal.throwIfAborted();
        tellQuota(call, (error as { readonly responseHeaders?: HeadersLike } | undefined)?.responseHeaders);
        throw error;
      }
    },
    estimate: (request) => estimating.cost(weigh(request), request.maxOutputTokens ?? maxOutputTokens ?? UNKNOWN_OUTPUT_TOKENS),
  });
}

function nameOf(model: LanguageModel): { readonly id: string; readonly provider: string | undefined } {
  if (typeof model !== 'string') return { id: model.modelId, provider: model.provider };
  // At the gateway: `openai/gpt-4.1-mini`.
  const slash = model.indexOf('/');
  return slash < 0 ? { id: model, provider: undefined } : { id: model.slice(slash + 1), provider: model.slice(0, slash) };
}

/** How the AI SDK calls an end that the provider did not give a reason for. */
const CUT_OFF: ReadonlySet<string> = new Set(['interrupted', 'other']);

interface Answered {
  readonly reply: ChatReply;
  readonly headers: HeadersLike | undefined;
  /** As the provider said it. */
  readonly whole: unknown;
}

async function generated(ask: Asked, model: string): Promise<Answered> {
  const {
    text,
    toolCalls,
    finishReason,
    rawFinishReason,
    totalUsage: usage,
    response,
    content,
    providerMetadata,
  } = await generateText(ask);
  const reply = replyOf({ text, toolCalls, finishReason, usage, response, model });
  return { reply, headers: response.headers, whole: { content, rawFinishReason, usage, providerMetadata } };
}

async function streamed(ask: Asked, model: string): Promise<Answered> {
  // Without a listener of its own the AI SDK writes errors to the console.
  const result = streamText({ ...ask, onError: () => {} });
  const parts: unknown[] = [];
  for await (const part of result.stream) {
    if (part.type === 'error') throw part.error;
    if (part.type === 'abort') throw new ProviderReplyError({ model, expected: 'a stream up to its finish', came: 'an abort' });
    parts.push(part);
  }
  const [text, toolCalls, finishReason, said, usage, response] = await Promise.all([
    result.text,
    result.toolCalls,
    result.finishReason,
    result.rawFinishReason,
    result.totalUsage,
    result.response,
  ]);
  // So the AI SDK speaks of a stream that ended before the model was done.
  if (said === undefined && CUT_OFF.has(finishReason))
    throw new ProviderReplyError({ model, expected: 'a stream up to its finish', came: `${text.length} characters and then its end` });
  return { reply: replyOf({ text, toolCalls, finishReason, usage, response, model }), headers: response.headers, whole: parts };
}

interface Said {
  readonly text: string;
  readonly toolCalls: readonly { readonly toolCallId: string; readonly toolName: string; readonly input: unknown }[];
  readonly finishReason: string;
  readonly usage: unknown;
  readonly response: { readonly id?: string; readonly modelId?: string };
  readonly model: string;
}

function replyOf({ text, toolCalls, finishReason, usage, response, model }: Said): ChatReply {
  return {
    text,
    toolCalls: toolCalls.map(({ toolCallId, toolName, input }) => ({ id: toolCallId, name: toolName, input })),
    finishReason,
    usage: textUsage(usage) ?? null,
    model: response.modelId ?? model,
    id: response.id ?? '',
  };
}
