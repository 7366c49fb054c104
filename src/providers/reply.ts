/** Reply: what a model answered, the same whichever provider and client it came through. */
import type { Usage } from '../topology/dependency.ts';

/** A tool that the model wants to be called. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** What the model wrote for arguments, read as JSON; as it came where it is none. */
  readonly input: unknown;
}

/** What a model answered. */
export interface ChatReply {
  /** The text; what it said to refuse, where it refused; empty where it said nothing. */
  readonly text: string;
  /** Empty where it wants none. */
  readonly toolCalls: readonly ToolCall[];
  /** As the provider says it. OpenAI: `stop`, `length`, `tool_calls`. Anthropic: `end_turn`, `max_tokens`, `tool_use`. */
  readonly finishReason: string;
  /** Null when the provider did not say; the estimate then stays charged. */
  readonly usage: Usage | null;
  /** The model that answered, as the provider names it. */
  readonly model: string;
  /** The provider's id of this answer. */
  readonly id: string;
  /** The provider's own object, with the option `raw`; of a stream, the list of its parts. It is stored with what is remembered. */
  readonly raw?: unknown;
}

/** Arguments as an object where they can be read. */
export function readArguments(text: string): unknown {
  if (text === '') return {};
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
