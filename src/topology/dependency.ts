/** Dependency: anything shared that runs call, with its limits, its breaker, and what a call costs. */
import type { AdaptSpec, Quota } from '../../actors/admission/regulator.ts';
import type { Weights } from '../../actors/admission/wait-line.ts';
import type { BreakerSpec } from '../../actors/breaker/breaker.ts';
import { TopologyError } from './topology-error.ts';
import { checkShape } from '../../actors/kernel/shape.ts';
import { dependencyShape } from './shapes.ts';

/** What a dependency may be used for at most. Each is optional; none means unlimited. */
export interface Limits {
  /** Requests a minute, paced. At least 1. */
  readonly requestsPerMinute?: number;
  /** Tokens a minute, input and output together, paced, by estimate first and settled to real usage. At least 1. */
  readonly tokensPerMinute?: number;
  /** For providers that count the two apart. At least 1 each. */
  readonly inputTokensPerMinute?: number;
  readonly outputTokensPerMinute?: number;
  /** Calls in flight at once. At least 1. */
  readonly concurrency?: number;
}

/** What one call really used. Numbers that are negative, not finite, or above a hundred million count as unknown. */
export interface Usage {
  /** All of them, the cached ones among them. */
  readonly inputTokens: number;
  /** All of them, those of reasoning among them. */
  readonly outputTokens: number;
  /** Of the input: read from the provider's cache. */
  readonly cachedInputTokens?: number;
  /** Of the input: written to the provider's cache. */
  readonly cacheWriteTokens?: number;
  /** Of the output. */
  readonly reasoningTokens?: number;
}

/** An upper bound of what a call will use. */
export interface TokenCost {
  readonly input: number;
  readonly output: number;
}

/** What a try may tell before it ends. What makes no sense is ignored. */
export interface SeenOnTheWay {
  /** Counts when `usage` of the dependency says nothing. */
  readonly usage?: Usage | undefined;
  /** What the provider's headers say is left. */
  readonly quota?: Quota | undefined;
  readonly retryAfterMs?: number | undefined;
  /** Whoever called has a part of the reply in hand already: however this try ends, there is no other. */
  readonly isLast?: boolean | undefined;
  /**
   * What scorers of quality are given in place of what comes back, where its text cannot be seen (a `Response`, a stream):
   * a text, or an object with `text`. Null: nothing in it is to be scored.
   */
  readonly reply?: unknown;
}

/** What `perform` gets beside the request. */
export interface PerformContext {
  /** Aborts when the call timed out or its run is over. */
  readonly signal: AbortSignal;
  /** The same for every try of the same call, in every run of the same task. */
  readonly idempotencyKey: string;
  /** 1 for the first try of this call in this run. */
  readonly attempt: number;
  /** Tells what is known before the reply, or without one. */
  report(seen: SeenOnTheWay): void;
}

/** How a failed call is to be read. */
export type CallFailure =
  /** Refused for quota; nothing is admitted to the dependency before `retryAfterMs` have passed. More than an hour counts as nothing. */
  | { readonly at: 'rate-limited'; readonly retryAfterMs?: number }
  /** Refused for load (503, 529): the provider is there, and has too much to do. */
  | { readonly at: 'overloaded'; readonly retryAfterMs?: number }
  /** May pass by itself: connection lost, 5xx. */
  | { readonly at: 'transient'; readonly retryAfterMs?: number }
  /** Trying again can't help: bad request, no permission. */
  | { readonly at: 'permanent' };

export interface DependencyBreakerSpec extends Omit<BreakerSpec, 'quality'> {
  /**
   * Whether an error is a failure of the dependency. Default: `transient` and `overloaded` ones are; a refusal for quota is
   * the limiter's affair, and a wrong request says nothing.
   */
  counts?(error: unknown, failure: CallFailure): boolean;
  /**
   * Opens it while the status is 200, for what the replies are worth. Where scorers look for a text and find none (what comes
   * back is a `Response` or a stream), nothing is learned, and that is said once: as `misread` of `quality`.
   */
  readonly quality?: QualitySpec;
}

export interface QualitySpec extends NonNullable<BreakerSpec['quality']> {
  /**
   * Each says how good a reply is, from 0 to 1, or nothing; the least counts. `scorers` of this package has some ready.
   * They are given what `perform` gives back, behind a drop-in a `ScoredReply`: of a stream, when it has ended.
   * Default: empty, truncated, repeated and refusing texts are bad.
   */
  readonly scorers?: readonly ((reply: never, request: never) => number | undefined)[];
}

export interface DependencySpec<Req, Rep> {
  /** Does the call. Everything that Drover limits, remembers, replays and simulates goes through here. */
  perform(request: Req, call: PerformContext): Promise<Rep>;
  readonly limits?: Limits;
  /**
   * Learns what the dependency really gives. `aimd`: the rate, in tokens when there is an estimate, in requests otherwise;
   * declared limits are its ceiling, it begins with half of them, and none is needed. `gradient`: calls in flight, by latency. Default `none`.
   */
  readonly adapt?: AdaptSpec;
  /** Stops calls while the dependency fails, for the whole fleet. `{}`: after five failures in a row. Default: none. */
  readonly breaker?: DependencyBreakerSpec | false;
  /** Second tries that all its callers together may make. Default: a tenth of the first ones, and one a second. */
  readonly retries?: { readonly share?: number; readonly perSecond?: number; readonly most?: number };
  /** Who gets how much of it. Default: every tenant alike, and every kind within a tenant. */
  readonly weights?: Weights;
  /** Calls that may wait for it. Default 100,000. */
  readonly waiting?: number;
  /** A full line refuses newcomers, or sheds the least important one who waits. Default `refuse`. */
  readonly whenFull?: 'refuse' | 'shed';
  /** Input read from the provider's cache does not count for its rates. Default false. */
  readonly cachedInputIsFree?: boolean;
  /** Share of the rates that is left unused, 0 to 0.9. Default 0.1. */
  readonly safetyMargin?: number;
  /** How much of a rate may be saved up while idle, in ms of that rate. Default 1,000. */
  readonly burstMs?: number;
  /** Tokens that the call is charged before it is made: an upper bound. A number counts as input. Default 0. */
  estimate?(request: Req): number | TokenCost;
  /** What the call really used. Default: unknown, so the estimate stays charged. */
  usage?(reply: Rep, request: Req): Usage | undefined;
  /** US dollars of a usage; also of the estimate, when there is a budget. */
  price?(usage: Usage, request: Req): number;
  /** Room in flight that a call takes: a whole number, at least 1. Default 1. */
  slots?(request: Req): number;
  /** Of a bulkhead: use `bulkhead(...)`. */
  readonly rank?: number;
  /** What has no known price: an error where a budget in money applies. */
  readonly unpriced?: string;
  /** Default: read from `status`, `code` and the `retry-after` headers that clients put on errors. */
  classify?(error: unknown): CallFailure;
  /** A try that takes longer is aborted and counts as transient. Default 120,000. */
  readonly timeoutMs?: number;
  /** Tries of one call within one run. Default 4. */
  readonly attempts?: number;
}

export interface Dependency<Req = unknown, Rep = unknown> {
  readonly is: 'dependency';
  readonly spec: DependencySpec<Req, Rep>;
}

// oxlint-disable-next-line typescript/no-explicit-any -- requests are contravariant
export type AnyDependency = Dependency<any, any>;

export type RequestOf<D> = D extends Dependency<infer Req, infer _Rep> ? Req : never;
export type ReplyOf<D> = D extends Dependency<infer _Req, infer Rep> ? Rep : never;

/**
 * Declares something shared that runs call through `ctx.call`.
 *
 * @throws TopologyError naming the field, the value and what is allowed.
 * @example
 * const crm = dependency({
 *   limits: { concurrency: 4 },
 *   perform: async (id: string, { signal }) => (await fetch(`https://crm.example/${id}`, { signal })).json(),
 * });
 */
export function dependency<Req, Rep>(spec: DependencySpec<Req, Rep>): Dependency<Req, Rep> {
  const problem = checkShape(dependencyShape, spec);
  if (problem !== undefined) throw new TopologyError({ ...problem, path: ['dependency', ...problem.path] });
  return { is: 'dependency', spec };
}

/** What a call is charged before it is made: what makes no sense counts as nothing. */
export function costOf(estimate: number | TokenCost | undefined): TokenCost {
  if (typeof estimate === 'object' && estimate !== null) return { input: tokensOf(estimate.input), output: tokensOf(estimate.output) };
  return { input: tokensOf(estimate), output: 0 };
}

function tokensOf(tokens: unknown): number {
  return Number.isFinite(tokens) && (tokens as number) > 0 ? Math.ceil(tokens as number) : 0;
}
