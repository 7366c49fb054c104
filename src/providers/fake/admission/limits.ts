/** What a provider allows, and what one call takes of it. */

/** What a provider allows. A missing field, or `Infinity`, means no limit. */
export interface ProviderLimits {
  readonly requestsPerMinute?: number;
  /** Prompt and completion tokens together. */
  readonly tokensPerMinute?: number;
  /** Prompt tokens alone. On Anthropic's route those read from the cache do not count, here and in the sum. */
  readonly inputTokensPerMinute?: number;
  /** Completion tokens alone. */
  readonly outputTokensPerMinute?: number;
  /** Calls in flight at once. */
  readonly concurrency?: number;
}

/** Dimensions with a rate, each a bucket of its own. */
export const RATE_KINDS = ['requests', 'tokens', 'input-tokens', 'output-tokens'] as const;

/** A dimension with a rate. */
export type RateKind = (typeof RATE_KINDS)[number];

/** The dimension that refused a call; also the `type` in the body of OpenAI's 429. */
export type LimitKind = RateKind | 'concurrency';

/** Tokens of a call as they count towards the limits: estimated before it, real after it. */
export interface TokenCost {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** The rate of a dimension, per minute. */
export function ratePerMinute(limits: ProviderLimits, kind: RateKind): number {
  switch (kind) {
    case 'requests':
      return limits.requestsPerMinute ?? Infinity;
    case 'tokens':
      return limits.tokensPerMinute ?? Infinity;
    case 'input-tokens':
      return limits.inputTokensPerMinute ?? Infinity;
    case 'output-tokens':
      return limits.outputTokensPerMinute ?? Infinity;
  }
}

/** What `requests` calls of this cost together take of a dimension. */
export function amountOf(kind: RateKind, requests: number, { inputTokens, outputTokens }: TokenCost): number {
  switch (kind) {
    case 'requests':
      return requests;
    case 'tokens':
      return inputTokens + outputTokens;
    case 'input-tokens':
      return inputTokens;
    case 'output-tokens':
      return outputTokens;
  }
}

/** Whether two sets of limits allow the same. */
export function sameLimits(a: ProviderLimits, b: ProviderLimits): boolean {
  return (
    (a.concurrency ?? Infinity) === (b.concurrency ?? Infinity) &&
    RATE_KINDS.every((kind) => ratePerMinute(a, kind) === ratePerMinute(b, kind))
  );
}

/** @throws RangeError when a limit is not above zero, or the concurrency is below one. */
export function checkLimits(name: string, limits: ProviderLimits): ProviderLimits {
  for (const [field, limit] of Object.entries(limits)) {
    if (!(limit > 0)) throw new RangeError(`${name}.${field}: expected a number above 0, got ${limit}`);
  }
  const { concurrency = 1 } = limits;
  if (concurrency < 1) throw new RangeError(`${name}.concurrency: expected at least 1, got ${concurrency}`);
  return { ...limits };
}
