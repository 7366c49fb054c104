/**
 * Quota: what the rate-limit headers of OpenAI, Anthropic and their look-alikes say is left.
 *
 * Read with care: a number that is none, is negative, or has no moment at which it is whole again says
 * nothing. How long a quota that is used up holds calls back is the limiter's affair (a minute at most).
 * A Retry-After that is negative, in the past, no number, or longer than a minute is not obeyed: the
 * backoff of the call itself counts then.
 */
import type { Quota, Remaining } from '../../actors/admission/regulator.ts';
import { readRetryAfter } from '../admission/failure.ts';
import type { PerformContext } from '../topology/dependency.ts';

type Dimension = keyof Quota;

const ANTHROPIC: readonly (readonly [Dimension, string])[] = [
  ['requests', 'requests'],
  ['tokens', 'tokens'],
  ['input', 'input-tokens'],
  ['output', 'output-tokens'],
];

/** Headers, or a record of them in lower case. */
export type HeadersLike = Headers | Readonly<Record<string, string | undefined>>;

/** Undefined when the headers say nothing. `wallMs`: milliseconds since 1970. */
export function readQuota(headers: HeadersLike, wallMs: number): Quota | undefined {
  const quota: { -readonly [D in Dimension]?: Remaining } = {};
  for (const dimension of ['requests', 'tokens'] as const) {
    const header = (what: string) => get(headers, `x-ratelimit-${what}-${dimension}`);
    const said = remaining(header('limit'), header('remaining'), durationMs(header('reset')));
    if (said !== undefined) quota[dimension] = said;
  }
  for (const [dimension, name] of ANTHROPIC) {
    const header = (what: string) => get(headers, `anthropic-ratelimit-${name}-${what}`);
    const said = remaining(header('limit'), header('remaining'), Date.parse(header('reset') ?? '') - wallMs);
    if (said !== undefined) quota[dimension] = said;
  }
  return Object.keys(quota).length === 0 ? undefined : quota;
}

/** Tells a try what the headers of its answer say. */
export function tellQuota(call: PerformContext, headers: HeadersLike | undefined, failed = false): void {
  if (headers === undefined) return;
  const wallMs = Date.now();
  const quota = readQuota(headers, wallMs);
  // After a success it would hold back nobody who ought to be.
  const retryAfterMs = failed ? readRetryAfter(headers, wallMs) : undefined;
  if (quota !== undefined || retryAfterMs !== undefined) call.report({ quota, retryAfterMs });
}

function remaining(limitText: string | undefined, leftText: string | undefined, resetMs: number): Remaining | undefined {
  const limit = numberOf(limitText);
  const left = numberOf(leftText);
  return limit > 0 && left >= 0 && left <= limit && resetMs >= 0 ? { limit, left, resetMs } : undefined;
}

function numberOf(text: string | undefined): number {
  return text === undefined || text.trim() === '' ? NaN : Number(text);
}

const UNITS_MS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** `1h2m3.5s`, `120ms`; a number alone is seconds. */
function durationMs(text: string | undefined): number {
  if (text === undefined) return NaN;
  const seconds = numberOf(text);
  if (!Number.isNaN(seconds)) return seconds * 1_000;
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[dhms]))+$/.test(text)) return NaN;
  let sum = 0;
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[dhms])/g)) sum += Number(count) * UNITS_MS[unit!]!;
  return sum;
}

function get(headers: HeadersLike, name: string): string | undefined {
  return headers instanceof Headers ? (headers.get(name) ?? undefined) : headers[name];
}
