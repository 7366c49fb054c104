/** How OpenAI and its look-alikes speak over HTTP: chat completions, completions, responses, embeddings. */
import type { Usage } from '../topology/dependency.ts';
import { messageOf } from './errors.ts';
import type { HttpAsked, HttpWire, Refusal } from './http-drop-in.ts';
import type { EventReading } from './server-events.ts';
import { openaiUsage } from './usage.ts';
import { weightOf } from './weight.ts';

/** `tellsUsage`: streams are asked to say what they used. */
export function openaiWire(tellsUsage: boolean): HttpWire {
  return {
    ask: (path, body) => ask(path, body, tellsUsage),
    plainUsage: (body) => openaiUsage((body as { readonly usage?: unknown } | undefined)?.usage),
    reading: () => new OpenaiReading(),
    refusal: ({ message, code }: Refusal) => ({ error: { message, type: 'drover_refusal', param: null, code } }),
    isUsedUp: (status, body) =>
      status === 429 && (body as { readonly error?: { readonly code?: unknown } } | undefined)?.error?.code === 'insufficient_quota',
  };
}

/** What is read here; whatever else a client asks for (images, speech, moderations, counting) passes by. */
const READ = /\/(?:chat\/completions|completions|responses|embeddings)$/;

function ask(path: string, body: Readonly<Record<string, unknown>>, tellsUsage: boolean): HttpAsked | undefined {
  const { model, messages, prompt, input, instructions } = body;
  const asks = messages ?? prompt ?? input;
  if (typeof model !== 'string' || asks === undefined || !READ.test(path)) return undefined;
  const described = [body['tools'], body['functions'], body['response_format'], body['text']].map((part) => JSON.stringify(part));
  const most = [body['max_completion_tokens'], body['max_tokens'], body['max_output_tokens']].find(isCount);
  return {
    model,
    weight: weightOf(asks, instructions, described),
    outputTokens: path.endsWith('/embeddings') ? 0 : most,
    ...(isCount(body['n']) ? { answers: body['n'] } : {}),
    ...(tellsUsage && input === undefined && body['stream'] === true ? withUsage(body) : {}),
  };
}

/** A caller who did not ask for the usage does not get to see it. */
function withUsage(body: Readonly<Record<string, unknown>>): { readonly body?: object } {
  const options = body['stream_options'] as { readonly include_usage?: unknown } | null | undefined;
  if (options?.include_usage === true) return {};
  return { body: { ...body, stream_options: { ...options, include_usage: true } } };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

interface Chunk {
  readonly type?: unknown;
  readonly error?: unknown;
  readonly usage?: unknown;
  readonly choices?: readonly { readonly finish_reason?: unknown }[];
  /** Of the responses: as far as it has come. */
  readonly response?: { readonly usage?: unknown };
}

const LAST = new Set(['response.completed', 'response.incomplete', 'response.failed']);

class OpenaiReading implements EventReading {
  usage: Usage | undefined;
  isDone = false;
  isWhole = false;
  failure: string | undefined;

  read(data: string, value: unknown): boolean {
    if (data === '[DONE]') {
      this.isDone = true;
      return false;
    }
    if (typeof value !== 'object' || value === null) return false;
    const { type, error, usage, choices, response } = value as Chunk;
    if (error !== undefined && error !== null) this.failure = messageOf(error);
    else if (type === 'error') this.failure = messageOf(value);
    const told = usage ?? response?.usage;
    if (told !== undefined && told !== null) this.usage = openaiUsage(told) ?? this.usage;
    if (typeof type === 'string' && LAST.has(type)) this.isDone = true;
    if (!Array.isArray(choices)) return false;
    if (choices.some((choice) => typeof choice?.finish_reason === 'string')) this.isWhole = true;
    return choices.length === 0 && usage !== undefined && usage !== null;
  }
}
