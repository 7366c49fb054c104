/**
 * Try end: what a try that is over tells: the limiter (tokens and time), the breaker (its result and how good
 * the reply is) and the budgets (what it has cost). The call gives back what it holds with it, exactly once.
 */
import type { CallReport } from '../../actors/admission/regulator.ts';
import type { BreakerResult } from '../../actors/breaker/breaker.ts';
import type { CallFailure, Usage } from '../topology/dependency.ts';
import type { Amount } from './budgets.ts';
import type { Carrier } from './carrier.ts';
import { classifyError, retryAfterOf, wasRejected, wasTurnedAway } from './failure.ts';
import { isAmount } from './try.ts';
import type { Try } from './try.ts';

type Reader = Pick<Carrier, 'spec' | 'readings' | 'score'>;

export interface TryEnd {
  readonly report: CallReport;
  readonly result: BreakerResult;
  /** Quality of the reply from 0 to 1; undefined: no opinion. */
  readonly score: number | undefined;
  /** null: nobody knows. */
  readonly spent: Amount | null;
}

export interface RepliedEnd extends TryEnd {
  readonly usage: Usage;
  readonly usd: number;
}

export interface FailedEnd extends TryEnd {
  readonly failure: CallFailure;
  /** What the provider asks for; undefined: it does not. */
  readonly retryAfterMs: number | undefined;
}

const NOTHING_SPENT: Amount = { usd: 0, tokens: 0 };
const NO_USAGE: Usage = { inputTokens: 0, outputTokens: 0 };

/** It has been answered. */
export function repliedEnd({ spec, readings, score }: Reader, request: unknown, reply: unknown, tried: Try, nowMs: number): RepliedEnd {
  const usage = readings.usage(reply, request) ?? tried.usage;
  const usd = readings.price(usage, request);
  return {
    score: score === undefined || tried.reply === null ? undefined : score(tried.reply ?? reply, request),
    report: reportOf(spec, tried, 'ok', usage, nowMs),
    result: 'success',
    spent: spentOf(usage, usd),
    usage: usage ?? NO_USAGE,
    usd: usd ?? 0,
  };
}

/** It has failed, or taken too long. */
export function failedEnd({ spec, readings }: Reader, request: unknown, error: unknown, tried: Try, nowMs: number): FailedEnd {
  const failure = readings.failure(error, nowMs);
  const retryAfterMs = retryAfterOf(failure) ?? tried.retryAfterMs;
  // A refused call has used no tokens; what another failure used is unknown, unless the try has said so.
  // A status that says so holds, whatever the dependency's own reading makes of it.
  const free = wasTurnedAway(failure) || wasTurnedAway(classifyError(error, nowMs));
  const usage = tried.usage ?? (free ? NO_USAGE : undefined);
  const end = wasTurnedAway(failure) ? failure.at : failure.at === 'permanent' ? 'ok' : 'failed';
  return {
    report: reportOf(spec, tried, end, usage, nowMs, retryAfterMs),
    result: readings.result(error, failure),
    score: undefined,
    // A request that is wrong costs nothing; whether it counts for the rates nobody knows.
    spent: usage === undefined ? (wasRejected(error) ? NOTHING_SPENT : null) : spentOf(usage, readings.price(usage, request)),
    failure,
    retryAfterMs,
  };
}

/**
 * Whoever called is gone: what it has used by then nobody knows, and nothing of how the dependency is. That its
 * own time limit was over (`AbortSignal.timeout`) says that it was too slow: an error like any other that may pass.
 */
export function abandonedEnd({ spec, readings }: Reader, tried: Try, nowMs: number, reason?: unknown): TryEnd {
  const isLate = (reason as { readonly name?: unknown } | undefined)?.name === 'TimeoutError';
  const result = isLate ? readings.result(reason, { at: 'transient' }) : 'unused';
  return { report: reportOf(spec, tried, 'unused', undefined, nowMs), result, score: undefined, spent: null };
}

/** Of the tokens, those that count for the provider's rates. */
function reportOf(
  spec: Reader['spec'],
  { quota, beganMs }: Try,
  end: CallReport['end'],
  usage: Usage | undefined,
  nowMs: number,
  retryAfterMs?: number,
): CallReport {
  const latencyMs = nowMs - beganMs;
  if (usage === undefined) return { end, usedInput: null, usedOutput: null, latencyMs, retryAfterMs, quota };
  const free = spec.cachedInputIsFree === true && isAmount(usage.cachedInputTokens) ? usage.cachedInputTokens : 0;
  const usedInput = Math.max(0, usage.inputTokens - free);
  return { end, usedInput, usedOutput: usage.outputTokens, latencyMs, retryAfterMs, quota };
}

/** What nobody can price has cost what was reserved for it. */
function spentOf(usage: Usage | undefined, usd: number | undefined): Amount | null {
  return usage === undefined ? null : { usd: usd ?? NaN, tokens: usage.inputTokens + usage.outputTokens };
}
