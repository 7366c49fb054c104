/** What the routes have in common, whatever the wire format: a question, an answer to it, and an error. */
import type { Buckets } from './admission/admission.ts';
import type { ChatRequest } from './openai/request.ts';
import type { CallUsage } from './usage.ts';

/** A wire format. */
export type WireName = 'openai' | 'anthropic';

/** A request that passed the checks of its format. */
export interface Question {
  /** As `options.answer` gets it: in OpenAI's form, whatever it came in. */
  readonly request: ChatRequest;
  readonly promptTokens: number;
  /** The most tokens an answer may have; null when the request does not say. */
  readonly maxTokens: number | null;
  readonly streamed: boolean;
  /** Whether a stream is to end with the usage. */
  readonly includeUsage: boolean;
}

/** An answer that is no answer. Anthropic's format goes by the status alone and has no `param` and `code`. */
export interface WireError {
  readonly status: number;
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

/** The answer to one request, before it is plain or streamed. */
export interface Completion {
  readonly id: string;
  readonly model: string;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  /** The text, one piece per token; null: not even an empty text. */
  readonly pieces: readonly string[] | null;
  readonly finishReason: 'stop' | 'length' | 'refusal';
  /** When all of it is sent. */
  readonly usage: CallUsage;
  /** Whether the answer says so. */
  readonly tellsUsage: boolean;
}

/** A streamed answer, each part ready to send. */
export interface EventStream {
  /** Before the first token. */
  readonly head: () => string;
  readonly content: (piece: string) => string;
  /** After the last token. */
  readonly finish: () => string;
  /** Usage, where it is told, and the mark of the end. */
  readonly end: () => string;
  /** Instead of the rest: the answer failed on the way. */
  readonly error: (error: WireError) => string;
}

/** How a provider speaks. Pure; one object for each format. */
export interface Wire {
  readonly name: WireName;
  /** Whether prompt tokens read from the cache count towards the limits. */
  readonly cachedCounts: boolean;
  /** Checks a body. `models` null: any model. */
  parse(text: string, models: readonly string[] | null): { readonly question: Question } | { readonly error: WireError };
  /** The body of an answer that is no answer. */
  errorBody(error: WireError, requestId: string): unknown;
  /** The body of a plain answer. */
  plainBody(completion: Completion): unknown;
  streamed(completion: Completion, includeUsage: boolean): EventStream;
  /** Who answered, and how long it took. */
  identityHeaders(requestId: string, processingMs: number): Record<string, string>;
  /** What is left of each declared limit. */
  rateHeaders(buckets: Buckets, nowMs: number): Record<string, string>;
  /** When to come back. */
  retryHeaders(retryAfterMs: number): Record<string, string>;
  /** All headers that `rateHeaders` may have. */
  readonly rateHeaderNames: readonly string[];
}

/** An error about the request itself. */
export function invalidRequest(message: string, param: string | null = null, code: string | null = null, status = 400): WireError {
  return { status, message, type: 'invalid_request_error', param, code };
}
