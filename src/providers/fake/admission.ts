/**
 * Admission: a call enters with a permit, a request and its estimated tokens, or with none of them.
 *
 *     admit ──▶ accepted ── settle ──▶ (permit home, tokens corrected to the real usage)
 *       └─────▶ rejected (with the wait until the scarcest dimension would let it in)
 *
 * `enforced` decides. `shown` is what the headers tell when a hidden limit differs from the declared
 * one: it follows the same calls at the declared rate, so that the headers lie consistently.
 */
import type { Bucket } from './bucket.ts';
import { charge, drain, fullBucket, resize, waitMs } from './bucket.ts';

/** The dimension that refused a call; also the `type` in the body of the 429. */
export type LimitKind = 'requests' | 'tokens' | 'concurrency';

/** What a provider allows. A missing field, or `Infinity`, means no limit. */
export interface ProviderLimits {
  readonly requestsPerMinute?: number;
  /** Prompt and completion tokens together. */
  readonly tokensPerMinute?: number;
  /** Calls in flight at once. */
  readonly concurrency?: number;
}

/** One bucket per dimension that has a rate. */
export interface Buckets {
  readonly requests: Bucket;
  readonly tokens: Bucket;
}

/** The whole of what decides about the next call. */
export interface Admission {
  readonly concurrency: number;
  readonly inFlight: number;
  readonly enforced: Buckets;
  readonly shown: Buckets;
}

/** Come back later. */
export interface Rejection {
  readonly at: 'rejected';
  /** The dimension with the longest wait. */
  readonly by: LimitKind;
  readonly retryAfterMs: number;
}

/** What `admit` answers. */
export type Verdict = { readonly at: 'accepted' } | Rejection;

/** What an admission needs besides its state. */
export interface AdmissionRules {
  /** Whether a rejection takes a request from the bucket too (never below empty). */
  readonly rejectedCostQuota: boolean;
  /** Told to a call that found no permit. No one knows when a call will end. */
  readonly concurrencyRetryMs: number;
}

/** Full buckets, nobody in flight. */
export function openAdmission(declared: ProviderLimits, hidden: ProviderLimits, burstMs: number, nowMs: number): Admission {
  const enforced = { ...declared, ...hidden };
  return {
    concurrency: enforced.concurrency ?? Infinity,
    inFlight: 0,
    enforced: fullBuckets(enforced, burstMs, nowMs),
    shown: fullBuckets(declared, burstMs, nowMs),
  };
}

/** Other limits from now on. Calls in flight stay, debts stay. */
export function resizeAdmission(state: Admission, enforced: ProviderLimits, burstMs: number, nowMs: number): Admission {
  const { requests, tokens } = state.enforced;
  return {
    ...state,
    concurrency: enforced.concurrency ?? Infinity,
    enforced: {
      requests: resize(requests, enforced.requestsPerMinute ?? Infinity, burstMs, nowMs),
      tokens: resize(tokens, enforced.tokensPerMinute ?? Infinity, burstMs, nowMs),
    },
  };
}

/** Decides about one call that is expected to use `estimatedTokens`. */
export function admit(state: Admission, estimatedTokens: number, rules: AdmissionRules, nowMs: number): readonly [Admission, Verdict] {
  const scarcest = scarcestDimension(state, estimatedTokens, rules, nowMs);
  if (scarcest !== null) {
    const after = rules.rejectedCostQuota ? costOfRejection(state, nowMs) : state;
    // Asked again: the rejection itself may have moved the moment at which the call could enter.
    const { by, retryAfterMs } = scarcestDimension(after, estimatedTokens, rules, nowMs) ?? scarcest;
    return [after, { at: 'rejected', by, retryAfterMs }];
  }
  const accepted: Admission = {
    ...state,
    inFlight: state.inFlight + 1,
    enforced: {
      requests: charge(state.enforced.requests, 1, nowMs),
      tokens: charge(state.enforced.tokens, estimatedTokens, nowMs),
    },
    shown: {
      requests: drain(state.shown.requests, 1, nowMs),
      tokens: drain(state.shown.tokens, estimatedTokens, nowMs),
    },
  };
  return [accepted, { at: 'accepted' }];
}

/** Takes one request for a call that was turned away, as some providers do. */
export function costOfRejection(state: Admission, nowMs: number): Admission {
  // Not below empty: else clients that retry too fast would lock themselves out for ever.
  const { enforced, shown } = state;
  return {
    ...state,
    enforced: { ...enforced, requests: drain(enforced.requests, 1, nowMs) },
    shown: { ...shown, requests: drain(shown.requests, 1, nowMs) },
  };
}

/** The permit comes home and the token charge becomes the real usage, less or more. */
export function settle(state: Admission, estimatedTokens: number, usedTokens: number, nowMs: number): Admission {
  const correction = usedTokens - estimatedTokens;
  const { enforced, shown } = state;
  const correctShown = correction > 0 ? drain : charge;
  return {
    ...state,
    inFlight: state.inFlight - 1,
    enforced: { ...enforced, tokens: charge(enforced.tokens, correction, nowMs) },
    shown: { ...shown, tokens: correctShown(shown.tokens, correction, nowMs) },
  };
}

function scarcestDimension(
  state: Admission,
  estimatedTokens: number,
  rules: AdmissionRules,
  nowMs: number,
): { by: LimitKind; retryAfterMs: number } | null {
  const noPermit = state.inFlight >= state.concurrency;
  const waits: { by: LimitKind; retryAfterMs: number }[] = [
    { by: 'requests', retryAfterMs: waitMs(state.enforced.requests, 1, nowMs) },
    { by: 'tokens', retryAfterMs: waitMs(state.enforced.tokens, estimatedTokens, nowMs) },
    { by: 'concurrency', retryAfterMs: noPermit ? Math.max(1, rules.concurrencyRetryMs) : 0 },
  ];
  const longest = waits.reduce((worst, wait) => (wait.retryAfterMs > worst.retryAfterMs ? wait : worst));
  return longest.retryAfterMs > 0 ? longest : null;
}

function fullBuckets(limits: ProviderLimits, burstMs: number, nowMs: number): Buckets {
  return {
    requests: fullBucket(limits.requestsPerMinute ?? Infinity, burstMs, nowMs),
    tokens: fullBucket(limits.tokensPerMinute ?? Infinity, burstMs, nowMs),
  };
}
