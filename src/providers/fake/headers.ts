/** The rate-limit headers of an answer. */
import type { Admission } from './admission.ts';
import type { Bucket } from './bucket.ts';
import { fullInMs, remaining } from './bucket.ts';

/**
 * `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`; a dimension without a declared limit has none.
 *
 * - limit: the declared rate per minute
 * - remaining: what would be let in at this moment, so never more than the burst
 * - reset: the time until the whole burst is there again
 */
export function rateLimitHeaders({ enforced, shown }: Admission, nowMs: number): Record<string, string> {
  return {
    ...dimensionHeaders('requests', honestOr(enforced.requests, shown.requests), nowMs),
    ...dimensionHeaders('tokens', honestOr(enforced.tokens, shown.tokens), nowMs),
  };
}

/** `retry-after` in whole seconds, at least 1, and `retry-after-ms`. */
export function retryHeaders(retryAfterMs: number): Record<string, string> {
  return {
    'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))),
    'retry-after-ms': String(Math.ceil(retryAfterMs)),
  };
}

/** A duration as OpenAI writes it: `6m0s`, `1.5s`, `120ms`, `0s`. */
export function formatReset(ms: number): string {
  if (ms <= 0) return '0s';
  if (ms < 1000) return `${ms}ms`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = `${(ms % 60_000) / 1000}s`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

/** The enforced bucket says exactly what is left, debts too. Only a hidden limit makes us show the other. */
function honestOr(enforced: Bucket, shown: Bucket): Bucket {
  return enforced.ratePerMinute === shown.ratePerMinute ? enforced : shown;
}

function dimensionHeaders(name: string, bucket: Bucket, nowMs: number): Record<string, string> {
  if (bucket.ratePerMinute === Infinity) return {};
  return {
    [`x-ratelimit-limit-${name}`]: String(bucket.ratePerMinute),
    [`x-ratelimit-remaining-${name}`]: String(remaining(bucket, nowMs)),
    [`x-ratelimit-reset-${name}`]: formatReset(fullInMs(bucket, nowMs)),
  };
}
