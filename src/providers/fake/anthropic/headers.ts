/** The rate-limit headers of an answer in Anthropic's form. */
import type { Buckets } from '../admission/admission.ts';
import { fullInMs, remaining } from '../admission/bucket.ts';
import { RATE_KINDS } from '../admission/limits.ts';

/** The four dimensions, three headers each. */
export const RATE_HEADER_NAMES = RATE_KINDS.flatMap((kind) =>
  ['limit', 'remaining', 'reset'].map((what) => `anthropic-ratelimit-${kind}-${what}`),
);

/**
 * `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`; a dimension
 * without a declared limit has none. The reset is the moment, in whole seconds of RFC 3339, at which the
 * whole burst is there again.
 */
export function rateLimitHeaders(buckets: Buckets, nowMs: number): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const kind of RATE_KINDS) {
    const bucket = buckets[kind];
    if (bucket.ratePerMinute === Infinity) continue;
    headers[`anthropic-ratelimit-${kind}-limit`] = String(bucket.ratePerMinute);
    headers[`anthropic-ratelimit-${kind}-remaining`] = String(remaining(bucket, nowMs));
    headers[`anthropic-ratelimit-${kind}-reset`] = formatMoment(nowMs + fullInMs(bucket, nowMs));
  }
  return headers;
}

/** `retry-after` in whole seconds, at least 1. */
export function retryHeaders(retryAfterMs: number): Record<string, string> {
  return { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) };
}

/** RFC 3339, rounded up to the second: nobody is told to come too early. */
function formatMoment(ms: number): string {
  return new Date(Math.ceil(ms / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}
