/** How OpenAI and its look-alikes speak over HTTP: chat completions, completions, responses, embeddings. */
import { scoredReply } from '../admission/quality.ts';
import type { ScoredReply } from '../admission/quality.ts';
import type { Usage } from '../topology/dependency.ts';
import { messageOf } from './errors.ts';
import type { HttpAsked, HttpWire, Refusal } from './http-drop-in.ts';
import type { RequestBody } from './request-body.ts';
import { Said } from './said.ts';
import type { EventReading } from './server-events.ts';
import { openaiUsage } from './usage.ts';
import { unreadWeight, weightOf } from './weight.ts';

/** `tellsUsage`: streams are asked to say what they used. */
export function openaiWire(tellsUsage: boolean): HttpWire {
  return {
    isGated: (path) => GATED.test(path),
    ask: (path, request) => ask(path, request, tellsUsage),
    plainUsage: (body) => openaiUsage((body as { readonly usage?: unknown } | undefined)?.usage),
    reading: () => new OpenaiReading(),
    refusal: ({ message, code }: Refusal) => ({ error: { message, type: 'drover_refusal', param: null, code } }),
    isUsedUp: (status, body) =>
      status === 429 && (body as { readonly error?: { readonly code?: unknown } } | undefined)?.error?.code === 'insufficient_quota',
  };
}

/** Where a model answers; whatever else a client asks for (images, speech, moderations, counting, batches) passes by. */
const GATED = /\/(?:chat\/completions|completions|responses(?:\/compact)?|embeddings)$/;
/** Those that are told by a field of theirs what they are to say of their usage in a stream. */
const TELLS_WHEN_ASKED = /\/completions$/;

/** What the provider keeps and puts before the input (a stored prompt, an earlier response, a conversation), each: nobody here knows its size. */
const KEPT_TOKENS = 2_000;

function ask(path: string, { json, size }: RequestBody, tellsUsage: boolean): HttpAsked {
  const isEmbedding = path.endsWith('/embeddings');
  if (json === undefined)
    return { model: undefined, weight: unreadWeight(size), outputTokens: isEmbedding ? 0 : undefined, isMute: isEmbedding };
  const { model, messages, prompt, input, instructions } = json;
  const described = [json['tools'], json['functions'], json['response_format'], json['text']].map((part) => JSON.stringify(part));
  const said = weightOf(messages, prompt, input, instructions, described);
  const kept = [isRecord(prompt) ? prompt : undefined, json['previous_response_id'], json['conversation']].filter(isGiven).length;
  const most = [json['max_completion_tokens'], json['max_tokens'], json['max_output_tokens']].find(isCount);
  return {
    isMute: isEmbedding,
    model: typeof model === 'string' && model !== '' ? model : undefined,
    weight: { ...said, flatTokens: said.flatTokens + kept * KEPT_TOKENS },
    outputTokens: isEmbedding ? 0 : most,
    ...(isCount(json['n']) ? { answers: json['n'] } : {}),
    ...(tellsUsage && TELLS_WHEN_ASKED.test(path) && json['stream'] === true ? withUsage(json) : {}),
  };
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
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
  readonly choices?: readonly (Choice | null | undefined)[];
  /** Of the responses: as far as it has come. */
  readonly response?: { readonly usage?: unknown };
  readonly delta?: unknown;
  readonly item?: { readonly type?: unknown };
}

interface Choice {
  readonly index?: unknown;
  readonly finish_reason?: unknown;
  readonly text?: unknown;
  readonly delta?: { readonly content?: unknown; readonly refusal?: unknown; readonly tool_calls?: unknown };
}

interface ToolDelta {
  readonly id?: unknown;
  readonly function?: { readonly name?: unknown };
}

function isNamed(call: ToolDelta | null): boolean {
  return typeof call?.id === 'string' || typeof call?.function?.name === 'string';
}

const LAST = new Set(['response.completed', 'response.incomplete', 'response.failed']);

class OpenaiReading implements EventReading {
  usage: Usage | undefined;
  isDone = false;
  isWhole = false;
  failure: string | undefined;
  readonly #said = new Said();
  /** Of a response: all of it, told with its end. */
  #responded: ScoredReply | undefined;

  get reply(): ScoredReply {
    const { isEmpty, reply } = this.#said;
    return isEmpty ? (this.#responded ?? reply) : { ...this.#responded, ...reply };
  }

  read(data: string, value: unknown): boolean {
    if (data === '[DONE]') {
      this.isDone = true;
      return false;
    }
    if (typeof value !== 'object' || value === null) return false;
    const { type, error, usage, choices, response, delta, item } = value as Chunk;
    if (error !== undefined && error !== null) this.failure = messageOf(error);
    else if (type === 'error') this.failure = messageOf(value);
    const told = usage ?? response?.usage;
    if (told !== undefined && told !== null) this.usage = openaiUsage(told) ?? this.usage;
    if (type === 'response.output_text.delta') this.#said.add(delta);
    if (type === 'response.refusal.delta') this.#said.refuses(delta);
    if (type === 'response.output_item.done' && item?.type !== 'message' && item?.type !== 'reasoning') this.#said.calls(item);
    if (typeof type === 'string' && LAST.has(type)) {
      this.isDone = true;
      this.#responded = scoredReply(response);
    }
    if (!Array.isArray(choices)) return false;
    for (const choice of choices) this.#choose(choice);
    return choices.length === 0 && usage !== undefined && usage !== null;
  }

  #choose(choice: Choice | null | undefined): void {
    const { index = 0, finish_reason: reason, text, delta } = choice ?? {};
    if (typeof reason === 'string') this.isWhole = true;
    // Of several answers the first is scored.
    if (index !== 0) return;
    this.#said.ended(reason);
    this.#said.add(text ?? delta?.content);
    this.#said.refuses(delta?.refusal);
    // What follows of a call has no name any more.
    if (Array.isArray(delta?.tool_calls))
      for (const call of delta.tool_calls as readonly ToolDelta[]) if (isNamed(call)) this.#said.calls(call);
  }
}
