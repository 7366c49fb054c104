/** The rate-limit headers of an answer in OpenAI's form. */
import type { Buckets } from '../admission/admission.ts';
import { fullInMs, remaining } from '../admission/bucket.ts';

const DIMENSIONS = ['requests', 'tokens'] as const;

/** OpenAI tells of requests and of all tokens together, never of input and output apart. */
export const RATE_HEADER_NAMES = DIMENSIONS.flatMap((kind) => ['limit', 'remaining', 'reset'].map((what) => `x-ratelimit-${what}-${kind}`));

/**
 * `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`; a dimension without a declared limit has none.
 *
 * - limit: the declared rate per minute
 * - remaining: what would be let in at this moment, so never more than the burst
 * - reset: the time until the whole burst is there again
 */
export function rateLimitHeaders(buckets: Buckets, nowMs: number): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const kind of DIMENSIONS) {
    const bucket = buckets[kind];
    if (bucket.ratePerMinute === Infinity) continue;
    headers[`x-ratelimit-limit-${kind}`] = String(bucket.ratePerMinute);
    headers[`x-ratelimit-remaining-${kind}`] = String(remaining(bucket, nowMs));
    headers[`x-ratelimit-reset-${kind}`] = formatReset(fullInMs(bucket, nowMs));
  }
  return headers;
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
