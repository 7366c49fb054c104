/** What stands in front of Anthropic's client, as a middleware or as its `fetch`. */
import { anthropicWire } from './anthropic-wire.ts';
import { DropIn, optionsOf } from './drop-in.ts';
import type { DropInOptions, Gate } from './drop-in.ts';
import { fetchThrough } from './fetch-through.ts';
import type { Fetch } from './fetch-through.ts';
import { HttpDropIn } from './http-drop-in.ts';

/** A middleware of Anthropic's client, as far as this one needs to know. */
export type AnthropicMiddleware = <R extends AnthropicRequest>(request: R, next: (request: R) => Promise<Response>) => Promise<Response>;

/** A request as middlewares get it. */
export type AnthropicRequest = RequestInit & { readonly url: string };

/**
 * For `new Anthropic({ middleware: [anthropicMiddleware(gate)] })`: messages (and the completions of old) go through the gate, in
 * whatever form; all else passes by: counting tokens, which is free and has limits of its own, batches, files. It sees what Anthropic's own API would, also in front of Bedrock, Vertex and Foundry.
 *
 * What a client gets: the provider's answer as it came, plain or streamed; the provider's last failure, when the gate
 * gives up, marked so that the client does not try again; or the gate's refusal, thrown as Drover's own error
 * (`BudgetExceededError`, `BreakerOpenError`, `CallTooLargeError`, `AdmissionLateError`, `AdmissionFullError`,
 * `AdmissionClosedError`, `UnknownPriceError`). What the client would take for a timeout of its own and try again is a
 * response instead: 504 for the gate's `timeoutMs`, 502 for a provider that was not reached.
 *
 * Time in the line does not count for the client's `timeout`. Put it first among the middlewares: those behind it
 * run once for each try of the gate.
 *
 * @throws TopologyError naming the argument that is wrong, and what is allowed.
 * @example
 * const gate = admission({ limits: { inputTokensPerMinute: 40_000, outputTokensPerMinute: 8_000 }, cachedInputIsFree: true });
 * const anthropic = new Anthropic({ middleware: [anthropicMiddleware(gate)] });
 */
export function anthropicMiddleware(gate: Gate, options: DropInOptions = {}): AnthropicMiddleware {
  const through = new HttpDropIn(new DropIn('anthropicMiddleware', gate, options, 'anthropic'), anthropicWire);
  return (request, next) =>
    through.exchange({
      url: request.url,
      init: request,
      send: (init) => next({ ...request, ...init }),
      passesErrors: true,
    });
}

export interface AnthropicFetchOptions extends DropInOptions {
  /** What sends. Default: the global `fetch`. */
  readonly fetch?: Fetch;
}

/**
 * For `new Anthropic({ fetch: anthropicFetch(gate) })`, where a middleware cannot be had. As `openaiFetch`: refusals are
 * responses whose `error.code` is Drover's, and time in the line counts for the client's `timeout`. It knows Anthropic's own
 * addresses only: what goes to Bedrock, Vertex or Foundry passes by.
 *
 * @throws TopologyError naming the argument that is wrong, and what is allowed.
 */
export function anthropicFetch(gate: Gate, given: AnthropicFetchOptions = {}): Fetch {
  const { fetch: send, ...options } = optionsOf('anthropicFetch', given);
  return fetchThrough('anthropicFetch', new DropIn('anthropicFetch', gate, options, 'anthropic'), anthropicWire, send);
}
