/** How Anthropic speaks over HTTP. */
import type { Usage } from '../topology/dependency.ts';
import { messageOf } from './errors.ts';
import type { HttpAsked, HttpWire, Refusal } from './http-drop-in.ts';
import type { EventReading } from './server-events.ts';
import { anthropicUsage } from './usage.ts';
import { weightOf } from './weight.ts';

export const anthropicWire: HttpWire = {
  ask,
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

/** Messages alone: not their counting, not their batches. */
function ask(path: string, body: Readonly<Record<string, unknown>>): HttpAsked | undefined {
  const { model, messages, system, tools, max_tokens: most } = body;
  if (typeof model !== 'string' || messages === undefined || !path.endsWith('/messages')) return undefined;
  return {
    model,
    weight: weightOf(messages, system, JSON.stringify(tools), JSON.stringify(body['output_config'])),
    outputTokens: Number.isSafeInteger(most) && (most as number) >= 1 ? (most as number) : undefined,
  };
}

interface Told {
  readonly type?: unknown;
  readonly usage?: unknown;
  readonly message?: { readonly usage?: unknown };
  readonly error?: unknown;
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
    const { type, usage, message, error } = (value ?? {}) as Told;
    switch (type) {
      case 'message_start':
        this.#start = message?.usage;
        break;
      case 'message_delta':
        this.#end = usage ?? this.#end;
        this.isWhole = true;
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
