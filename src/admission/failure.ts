/** Failure: how an error of a dependency is read when the dependency does not say it itself. */
import type { CallFailure } from '../topology/dependency.ts';

/** Of those below 500, what may pass by itself: a timeout, a conflict, too early. */
const PASSING: readonly number[] = [408, 409, 425];

/** A longer Retry-After is not obeyed blindly: the call's own backoff applies, as in OpenAI's client. */
const LONGEST_RETRY_AFTER_MS = 60_000;
/** A dependency's own `classify` may ask for more, but not for what makes no sense. */
const LONGEST_ASKED_MS = 3_600_000;

/**
 * Reads what HTTP clients put on their errors: `status` (or `statusCode`), `headers`, and
 * `retryable` of Drover's own. An error that says nothing counts as transient.
 */
export function classifyError(error: unknown, wallMs: number): CallFailure {
  try {
    return read(error, wallMs);
  } catch {
    // An error whose fields cannot be read says nothing.
    return { at: 'transient' };
  }
}

function statusOf(error: unknown): number | undefined {
  const { status, statusCode } = (error ?? {}) as Record<string, unknown>;
  const code = typeof status === 'number' ? status : statusCode;
  return typeof code === 'number' ? code : undefined;
}

function read(error: unknown, wallMs: number): CallFailure {
  const { retryable, headers, responseHeaders } = (error ?? {}) as Record<string, unknown>;
  const code = statusOf(error);
  const retryAfterMs = readRetryAfter(headers ?? responseHeaders, wallMs);
  const after = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (code === 429) return { at: 'rate-limited', ...after };
  if (code === 503 || code === 529) return { at: 'overloaded', ...after };
  if (code !== undefined && code >= 400) {
    const passes = code >= 500 || PASSING.includes(code);
    return passes ? { at: 'transient', ...after } : { at: 'permanent' };
  }
  return retryable === false ? { at: 'permanent' } : { at: 'transient', ...after };
}

/** `retry-after-ms`, or `retry-after` in seconds or as a date. Undefined where it is missing or makes no sense. */
export function readRetryAfter(headers: unknown, wallMs: number): number | undefined {
  const ms = Number(header(headers, 'retry-after-ms') ?? NaN);
  if (Number.isFinite(ms)) return sensible(ms);
  const text = header(headers, 'retry-after');
  if (text === undefined) return undefined;
  const seconds = Number(text);
  return sensible(Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(text) - wallMs);
}

function sensible(ms: number): number | undefined {
  return ms >= 0 && ms <= LONGEST_RETRY_AFTER_MS ? ms : undefined;
}

function header(headers: unknown, name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  const value = (headers as Record<string, unknown> | null | undefined)?.[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Whether the provider would not have the call, and so has used nothing for it. */
export function wasTurnedAway(failure: CallFailure): failure is CallFailure & { readonly at: 'rate-limited' | 'overloaded' } {
  return failure.at === 'rate-limited' || failure.at === 'overloaded';
}

/** Whether the provider found the request itself wrong (a key, a field, an address), and so has done nothing. */
export function wasRejected(error: unknown): boolean {
  try {
    const code = statusOf(error);
    return code !== undefined && code >= 400 && code < 500 && !PASSING.includes(code);
  } catch {
    return false;
  }
}

/** How long the provider asks to be left alone; undefined: it does not say, or what makes no sense. */
export function retryAfterOf(failure: CallFailure): number | undefined {
  const asked = failure.at === 'permanent' ? undefined : failure.retryAfterMs;
  return asked !== undefined && asked > 0 && asked <= LONGEST_ASKED_MS ? asked : undefined;
}
