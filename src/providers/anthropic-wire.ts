/** How Anthropic speaks over HTTP. */
import type { Usage } from '../topology/dependency.ts';
import { messageOf } from './errors.ts';
import type { HttpAsked, HttpWire, Refusal } from './http-drop-in.ts';
import type { RequestBody } from './request-body.ts';
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
  readonly stop_reason?: unknown;
}

/** The usage comes twice: with the start, and, cumulative, with the end. */
class AnthropicReading implements EventReading {
  isDone = false;
  isWhole = false;
  failure: string | undefined;
  #start: unknown;
  #end: unknown;

  get usage(): Usage | undefined {
    // What only the start said is not what the whole answer used.
    return this.#end === undefined ? undefined : anthropicUsage(this.#start, this.#end);
  }

  read(_data: string, value: unknown): boolean {
    const { type, usage, message, error, stop_reason: stopReason } = (value ?? {}) as Told;
    switch (type) {
      case 'message_start':
        this.#start = message?.usage;
        break;
      case 'message_delta':
        this.#end = usage ?? this.#end;
        this.isWhole = true;
        break;
      case 'completion':
        // Of the completions of old, the last has a reason.
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
