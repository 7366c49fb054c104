/** How Anthropic speaks over HTTP. */
import type { ScoredReply } from '../admission/quality.ts';
import type { Usage } from '../topology/dependency.ts';
import { messageOf } from './errors.ts';
import type { HttpAsked, HttpWire, Refusal } from './http-drop-in.ts';
import type { RequestBody } from './request-body.ts';
import { Said } from './said.ts';
import type { EventReading } from './server-events.ts';
import { anthropicUsage } from './usage.ts';
import { unreadWeight, weightOf } from './weight.ts';

export const anthropicWire: HttpWire = {
  isGated: (path) => GATED.test(path),
  ask: (_path, request) => ask(request),
  plainUsage: (body) => anthropicUsage((body as { readonly usage?: unknown } | undefined)?.usage),
  reading: () => new AnthropicReading(),
  refusal: ({ status, message, code }: Refusal) => ({ type: 'error', error: { type: TYPE_OF[status] ?? 'api_error', message, code } }),
  isUsedUp: () => false,
};

const TYPE_OF: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  408: 'timeout_error',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
};

/** Messages, and the completions of old. Not the counting of tokens, which is free and has limits of its own, nor batches, which are answered elsewhere. */
const GATED = /\/(?:messages|complete)$/;

function ask({ json, size }: RequestBody): HttpAsked {
  if (json === undefined) return { model: undefined, weight: unreadWeight(size), outputTokens: undefined };
  const { model, messages, prompt, system, tools } = json;
  const most = json['max_tokens'] ?? json['max_tokens_to_sample'];
  return {
    model: typeof model === 'string' && model !== '' ? model : undefined,
    weight: weightOf(messages, prompt, system, JSON.stringify(tools), JSON.stringify(json['output_config'])),
    outputTokens: Number.isSafeInteger(most) && (most as number) >= 1 ? (most as number) : undefined,
  };
}

interface Told {
  readonly type?: unknown;
  readonly usage?: unknown;
  readonly message?: { readonly usage?: unknown };
  readonly error?: unknown;
  readonly content_block?: { readonly type?: unknown; readonly text?: unknown };
  readonly delta?: { readonly type?: unknown; readonly text?: unknown; readonly stop_reason?: unknown };
  /** Of the completions of old. */
  readonly completion?: unknown;
  readonly stop_reason?: unknown;
}

/** The usage comes twice: with the start, and, cumulative, with the end. */
class AnthropicReading implements EventReading {
  isDone = false;
  isWhole = false;
  failure: string | undefined;
  #start: unknown;
  #end: unknown;
  readonly #said = new Said();

  get usage(): Usage | undefined {
    // What only the start said is not what the whole answer used.
    return this.#end === undefined ? undefined : anthropicUsage(this.#start, this.#end);
  }

  get reply(): ScoredReply {
    return this.#said.reply;
  }

  read(_data: string, value: unknown): boolean {
    const { type, usage, message, error, content_block: block, delta, completion, stop_reason: stopReason } = (value ?? {}) as Told;
    switch (type) {
      case 'message_start':
        this.#start = message?.usage;
        break;
      case 'content_block_start':
        if (block?.type === 'text') this.#said.add(block.text);
        else if (typeof block?.type === 'string' && block.type.endsWith('tool_use')) this.#said.calls(block);
        break;
      case 'content_block_delta':
        if (delta?.type === 'text_delta') this.#said.add(delta.text);
        break;
      case 'message_delta':
        this.#said.ended(delta?.stop_reason);
        this.#end = usage ?? this.#end;
        this.isWhole = true;
        break;
      case 'completion':
        this.#said.add(completion);
        this.#said.ended(stopReason);
        // The last has a reason.
        if (typeof stopReason === 'string') this.isDone = true;
        break;
      case 'message_stop':
        this.isDone = true;
        break;
      case 'error':
        this.failure = messageOf(error);
        break;
      default:
    }
    return false;
  }
}
