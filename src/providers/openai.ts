/**
 * OpenAI: chat completions as a dependency, through the official client or any with its shape.
 *
 *     request ─▶ estimate ─▶ (limiter) ─▶ client, once ─▶ reply, usage ─▶ (limiter settles)
 *
 * The client's own retries are set aside with each request: a second try goes through the limiter
 * like the first, or fifty clients retry for themselves. Each try carries the call's idempotency key.
 */
import { z } from 'zod';
import { dependency } from '../topology/dependency.ts';
import type { Dependency, DependencySpec } from '../topology/dependency.ts';
import { checkShape } from '../../actors/kernel/shape.ts';
import { TopologyError } from '../topology/topology-error.ts';
import { ProviderQuotaError, ProviderReplyError } from './errors.ts';
import { readCompletion, readStream } from './openai-reply.ts';
import type { ChatReply } from './openai-reply.ts';
import { TokenEstimate } from './token-estimate.ts';

export { ProviderQuotaError, ProviderReplyError } from './errors.ts';
export type { ChatReply } from './openai-reply.ts';

export interface ChatMessage {
  readonly role: 'system' | 'developer' | 'user' | 'assistant';
  readonly content: string;
}

/** What a run gives to `ctx.call`. */
export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  /** The answer is cut there. It is charged in full until the real usage is known. Default: the dependency's. */
  readonly maxOutputTokens?: number;
  /** More fields of the request's body, e.g. `temperature`. */
  readonly parameters?: Readonly<Record<string, unknown>>;
}

/** What is needed of a client: `new OpenAI()` has it, and so have its look-alikes. */
export interface ChatClient {
  readonly chat: { readonly completions: { create(body: never, options?: never): PromiseLike<unknown> } };
}

type Passed = Pick<DependencySpec<ChatRequest, ChatReply>, 'limits' | 'safetyMargin' | 'burstMs' | 'timeoutMs' | 'attempts' | 'price'>;

/** Limits, margins, timeout, attempts and price are those of `dependency`. */
export interface OpenaiChatOptions extends Passed {
  readonly client: ChatClient;
  readonly model: string;
  /** Takes the answer in chunks; the reply is the same. Default false. */
  readonly stream?: boolean;
  /** For requests that name none. Default: the provider's own; 1,000 tokens are then charged until the usage is known. */
  readonly maxOutputTokens?: number;
  /** What the maximum is called: older look-alikes know only `max_tokens`. Default `max_completion_tokens`. */
  readonly maxTokensField?: 'max_completion_tokens' | 'max_tokens';
  /** More fields of each request's body, e.g. `reasoning_effort`. */
  readonly parameters?: Readonly<Record<string, unknown>>;
}

const UNKNOWN_OUTPUT_TOKENS = 1_000;
const DEFAULT_TIMEOUT_MS = 120_000;

const CLIENT = "a client with chat.completions.create, such as new OpenAI() of the package 'openai'";
const TOKENS = 'a whole number of tokens, at least 1';
const FIELDS = "'max_completion_tokens' or 'max_tokens'";

const ownShape = z.object(
  {
    client: z.custom((value) => typeof (value as Partial<ChatClient> | undefined)?.chat?.completions?.create === 'function', CLIENT),
    model: z.string('the name of a model').min(1, 'the name of a model'),
    stream: z.boolean('true or false').optional(),
    maxOutputTokens: z.int(TOKENS).min(1, TOKENS).optional(),
    maxTokensField: z.enum(['max_completion_tokens', 'max_tokens'], FIELDS).optional(),
    parameters: z.record(z.string(), z.unknown(), 'an object of body fields').optional(),
  },
  'an object with `client` and `model`',
);

/**
 * Chat completions of one model as a dependency. Requests are charged characters / 4 (corrected by
 * real usage as it comes) and their maximum of output, and settled to what the reply says.
 *
 * A failed call is read by its HTTP status: 429 is rate-limited and its `retry-after(-ms)` obeyed,
 * 408, 409, 5xx and lost connections are transient, other statuses are permanent. A 200 that is no
 * chat completion is a `ProviderReplyError`, transient too; a 429 that says `insufficient_quota` is a
 * `ProviderQuotaError`, permanent.
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
  const problem = checkShape(ownShape, options);
  if (problem !== undefined) throw new TopologyError({ ...problem, path: ['openaiChat', ...problem.path] });
  const { client, model, stream = false, maxOutputTokens, maxTokensField = 'max_completion_tokens', parameters, ...passed } = options;
  const tokens = new TokenEstimate();
  const timeout = Math.ceil(passed.timeoutMs ?? DEFAULT_TIMEOUT_MS);
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
  return dependency<ChatRequest, ChatReply>({
    ...passed,
    async perform(request, { signal, idempotencyKey }) {
      const headers = { 'idempotency-key': idempotencyKey };
      try {
        const answer: unknown = await client.chat.completions.create(
          bodyOf(request) as never,
          { headers, signal, timeout, maxRetries: 0 } as never,
        );
        const reply = stream ? await readStream(answer, model) : readCompletion(answer, model);
        if (reply.usage !== null) tokens.learn(charactersOf(request), reply.usage.inputTokens);
        return reply;
      } catch (error) {
        // An aborted stream ends quietly, and then looks like half an answer.
        signal.throwIfAborted();
        throw readFailure(error, model);
      }
    },
    estimate: (request) => tokens.of(charactersOf(request)) + (request.maxOutputTokens ?? maxOutputTokens ?? UNKNOWN_OUTPUT_TOKENS),
    usage: ({ usage }) => usage ?? undefined,
  });
}

function charactersOf({ messages }: ChatRequest): number {
  return messages.reduce((sum, { content }) => sum + content.length, 0);
}

/** The client's errors say what they are by `status` and headers; these two they do not tell apart. */
function readFailure(error: unknown, model: string): unknown {
  if (error instanceof SyntaxError) return new ProviderReplyError({ model, expected: 'whole JSON', came: error.message }, { cause: error });
  const { status, code } = (error ?? {}) as Record<string, unknown>;
  if (status === 429 && code === 'insufficient_quota') return new ProviderQuotaError({ model }, { cause: error });
  return error;
}
