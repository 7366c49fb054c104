/** Limits: what a dependency allows, what a call costs of it, what a call that is over tells about it. */
import type { ConcurrencyAdaptSpec } from './adaptive-concurrency.ts';
import type { RateAdaptSpec } from './rate-control.ts';
import { paceOf } from './gcra.ts';
import type { Pace } from './gcra.ts';

/** What the dependency allows. What is left out is not limited. Checked where it enters. */
export interface LimiterLimits {
  /** Above 0. */
  readonly requestsPerMinute?: number;
  /** Input and output tokens together. Above 0. */
  readonly tokensPerMinute?: number;
  /** For providers that count the two apart. Above 0. */
  readonly inputTokensPerMinute?: number;
  /** Above 0. */
  readonly outputTokensPerMinute?: number;
  /** Calls in flight; at least 1. */
  readonly concurrency?: number;
  /** The part of the rates that is left unused, from 0 to below 1. Concurrency is used in full. Default 0.1. */
  readonly safetyMargin?: number;
  /** How much of the rates may be saved up while idle, in milliseconds. Default 1,000. */
  readonly burstMs?: number;
  /** What is learned beside what is declared. Default 'none'. */
  readonly adapt?: AdaptSpec;
}

/**
 * What is learned from how calls end. Needs no declared limit at all; those there are stay ceilings.
 * 'aimd': the rate. 'gradient': the concurrency, by Gradient2. Or each as one likes.
 */
export type AdaptSpec = 'none' | 'aimd' | 'gradient' | { readonly rate?: RateAdaptSpec; readonly concurrency?: ConcurrencyAdaptSpec };

/** What a call is charged before it is made: an upper bound. */
export interface Cost {
  readonly input: number;
  readonly output: number;
  /** Room in flight that it takes: at least 1. */
  readonly slots: number;
}

/** How a permit came home, as far as limits are concerned. */
export type CallEnd =
  /** The provider answered. */
  | 'ok'
  /** Refused for quota (429). */
  | 'rate-limited'
  /** Refused for load (529, 503). */
  | 'overloaded'
  /** Failed otherwise, timed out. */
  | 'failed'
  /** Never reached the provider, or says nothing about it. */
  | 'unused';

/** What a call that is over tells about the dependency. */
export interface CallReport {
  readonly end: CallEnd;
  /** Tokens that it really used; null: unknown, so the estimate stays charged. */
  readonly usedInput: number | null;
  readonly usedOutput: number | null;
  /** From its grant to its end. */
  readonly latencyMs: number;
  /** When its permit was granted, in the limiter's time. Default: `latencyMs` ago. */
  readonly grantedMs?: number;
  /** Calls in flight when it was over, itself among them. Needed by a learned concurrency; without it no growth is held back. */
  readonly inFlight?: number;
  /** As the provider said it, made safe. */
  readonly retryAfterMs?: number | undefined;
  /** What the provider's headers say is left. */
  readonly quota?: Quota | undefined;
}

/** Of one dimension: how much is left until it is full again. */
export interface Remaining {
  /** The whole, as declared for a minute. */
  readonly limit?: number;
  readonly left?: number;
  /** Until `left` is `limit` again. */
  readonly resetMs?: number;
}

export interface Quota {
  readonly requests?: Remaining;
  readonly tokens?: Remaining;
  readonly input?: Remaining;
  readonly output?: Remaining;
}

/** Who goes before a newcomer, in sum. */
export interface Ahead {
  readonly requests: number;
  readonly input: number;
  readonly output: number;
}

/** The limits, worked out. */
export interface RegulatorPlan {
  readonly limits: LimiterLimits;
  readonly requests: Pace | undefined;
  readonly tokens: Pace | undefined;
  readonly input: Pace | undefined;
  readonly output: Pace | undefined;
  /** Tokens of one request at most: a whole minute of each rate. */
  readonly largestTokens: number;
  readonly largestInput: number;
  readonly largestOutput: number;
}

/** The part of the rates that is left unused when nobody says. */
export const DEFAULT_SAFETY_MARGIN = 0.1;
const DEFAULT_BURST_MS = 1_000;

/** @param part of the rates, above 0 to 1: a slice. Default 1. */
export function planOf(limits: LimiterLimits, part = 1): RegulatorPlan {
  const { safetyMargin = DEFAULT_SAFETY_MARGIN, burstMs = DEFAULT_BURST_MS } = limits;
  const share = 1 - safetyMargin;
  const pace = (perMinute: number | undefined): Pace | undefined =>
    perMinute === undefined ? undefined : paceOf(perMinute * share * part, burstMs);
  const minute = (perMinute: number | undefined): number => (perMinute === undefined ? Infinity : perMinute * share);
  return {
    limits,
    requests: pace(limits.requestsPerMinute),
    tokens: pace(limits.tokensPerMinute),
    input: pace(limits.inputTokensPerMinute),
    output: pace(limits.outputTokensPerMinute),
    largestTokens: minute(limits.tokensPerMinute),
    largestInput: minute(limits.inputTokensPerMinute),
    largestOutput: minute(limits.outputTokensPerMinute),
  };
}
