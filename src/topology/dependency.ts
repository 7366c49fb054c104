/** Dependency: anything shared that runs call, with its limits and what a call costs. */
import { TopologyError } from './topology-error.ts';
import { checkShape } from '../../actors/kernel/shape.ts';
import { dependencyShape } from './shapes.ts';

/** What a dependency may be used for at most. Each is optional; none means unlimited. */
export interface Limits {
  /** Requests a minute, paced. At least 1. */
  readonly requestsPerMinute?: number;
  /** Tokens a minute, paced, by estimate first and settled to real usage. At least 1. */
  readonly tokensPerMinute?: number;
  /** Calls in flight at once. At least 1. */
  readonly concurrency?: number;
}

/** What one call really used. Negative or not finite numbers count as unknown. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** What `perform` gets beside the request. */
export interface PerformContext {
  /** Aborts when the call timed out or its run is over. */
  readonly signal: AbortSignal;
  /** The same for every try of the same call, in every run of the same task. */
  readonly idempotencyKey: string;
  /** 1 for the first try of this call in this run. */
  readonly attempt: number;
}

/** How a failed call is to be read. */
export type CallFailure =
  /** Refused for quota; nothing is admitted to the dependency before `retryAfterMs` have passed. */
  | { readonly at: 'rate-limited'; readonly retryAfterMs?: number }
  /** May pass by itself: overloaded, connection lost, 5xx. */
  | { readonly at: 'transient'; readonly retryAfterMs?: number }
  /** Trying again can't help: bad request, no permission. */
  | { readonly at: 'permanent' };

export interface DependencySpec<Req, Rep> {
  /** Does the call. Everything that Drover limits, remembers, replays and simulates goes through here. */
  perform(request: Req, call: PerformContext): Promise<Rep>;
  readonly limits?: Limits;
  /** Share of the rates that is left unused, 0 to 0.9. Default 0.1. */
  readonly safetyMargin?: number;
  /** How much of a rate may be saved up while idle, in ms of that rate. Default 1,000. */
  readonly burstMs?: number;
  /** Tokens that the call is charged before it is made. Default 0. */
  estimate?(request: Req): number;
  /** What the call really used. Default: unknown, so the estimate stays charged. */
  usage?(reply: Rep, request: Req): Usage | undefined;
  /** US dollars of a usage. */
  price?(usage: Usage): number;
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
