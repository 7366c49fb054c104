/** A `fetch` for clients of OpenAI that carries what they ask of models through a gate. */
import { z } from 'zod';
import { DropIn, optionsOf } from './drop-in.ts';
import type { DropInOptions, Gate } from './drop-in.ts';
import { fetchThrough } from './fetch-through.ts';
import type { Fetch } from './fetch-through.ts';
import { openaiWire } from './openai-wire.ts';

export interface OpenaiFetchOptions extends DropInOptions {
  /** What sends. Default: the global `fetch`. */
  readonly fetch?: Fetch;
  /** Asks streams for their usage, and hides it where the caller did not ask. `false`: for servers that refuse that. Default true. */
  readonly includeUsage?: boolean;
}

/**
 * For `new OpenAI({ fetch: openaiFetch(gate) })`, and for look-alikes with the same wire format. Chat completions,
 * completions, responses (and their compaction) and embeddings go through the gate, whatever they hold and in whatever form:
 * a text, bytes, a stream, a `Request`. Everything else passes by: lists, files, batches, counting tokens, images, speech, and
 * what goes over a WebSocket.
 *
 * A request is charged by what can be read of it. What the provider keeps itself (a stored prompt, an earlier response, a
 * conversation) is guessed at 2,000 input tokens each; a body that cannot be read at 1,000, and a token for four of its bytes.
 *
 * What a client gets: the provider's answer as it came, plain or streamed; the provider's last failure, when the gate
 * gives up; or a refusal of the gate as a response 429 (budget, size, deadline), 503 (breaker, full line, closed), 504
 * (`timeoutMs` of the gate), 502 (not reached) or 400 (price unknown), whose `error.code` is Drover's. None of them is tried
 * again by the client: all that failed carry `x-should-retry: false`. (The AI SDK does not know that header: use
 * `admissionMiddleware` of `drover/ai-sdk` there.)
 *
 * The gate's breaker scores what is said: of a stream, when it has ended. A scorer of your own is given a `ScoredReply`; a reply in
 * a format that is not known is not scored, which is said once as `misread` of `quality`.
 *
 * Time in the line counts for the `timeout` of the client, 10 minutes by default: give it more, or the drop-in `withinMs`.
 * A stream's permit is held until the stream has ended, at most for the gate's `timeoutMs` (2 minutes by default), also when
 * nobody reads it.
 *
 * @throws TopologyError naming the argument that is wrong, and what is allowed.
 * @example
 * const gate = admission({ limits: { requestsPerMinute: 500 }, budget: { usd: 5 } });
 * const openai = new OpenAI({ fetch: openaiFetch(gate) });
 */
export function openaiFetch(gate: Gate, given: OpenaiFetchOptions = {}): Fetch {
  const { fetch: send, includeUsage, ...options } = optionsOf('openaiFetch', given);
  const dropIn = new DropIn('openaiFetch', gate, { ...options, ...(includeUsage === undefined ? {} : { includeUsage }) }, 'openai', {
    includeUsage: z.boolean('true or false').optional(),
  });
  return fetchThrough('openaiFetch', dropIn, openaiWire(includeUsage ?? true), send);
}
