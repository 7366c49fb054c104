/**
 * Admission: a call enters with a permit, a request and its estimated tokens, or with none of them.
 *
 *     admit ──▶ accepted ── settle ──▶ (permit home, tokens corrected to the real usage)
 *       └─────▶ rejected (with the wait until the scarcest dimension would let it in)
 *
 * `enforced` decides. `shown` is what the headers tell when a hidden limit differs from the declared
 * one: it follows the same calls at the declared rate, so that the headers lie consistently.
 *
 * All of it is pure over the state and the moment, so a benchmark can drive it in virtual time:
 *
 * ```ts
 * let provider = openAdmission({ limits: { tokensPerMinute: 60_000 } }, nowMs);
 * const [next, verdict] = admit(provider, estimate, nowMs);
 * provider = settle(next, estimate, used, laterMs);
 * ```
 */
import type { Bucket } from './bucket.ts';
import { charge, drain, fullBucket, overdraw, resizeBucket, waitMs } from './bucket.ts';
import type { LimitKind, ProviderLimits, RateKind, TokenCost } from './limits.ts';
import { amountOf, checkLimits, RATE_KINDS, ratePerMinute, sameLimits } from './limits.ts';
import type { CapacitySchedule, Neighbour, Position, Timeline } from './timeline.ts';
import { checkTimeline, nextEvent, startOf } from './timeline.ts';

/**
 * What a call costs that was turned away, never below empty: nothing (`false`), a request (`true`), or
 * a request and its estimated tokens (`'request-and-tokens'`).
 */
export type RejectedCost = boolean | 'request-and-tokens';

/** What {@link openAdmission} is told. All may be left out. */
export interface AdmissionOptions {
  /** Declared limits. Default: none. */
  readonly limits?: ProviderLimits;
  /** What is really enforced, where it differs from `limits`. Default: nothing differs. */
  readonly hidden?: ProviderLimits;
  /** Hidden limits over time, since the opening. Default: they stay. */
  readonly schedule?: CapacitySchedule;
  /** Others who spend the same quota. Default: none. */
  readonly neighbours?: readonly Neighbour[];
  /** For the moments of the neighbours. Default 1. */
  readonly seed?: number | string;
  /** How much unused rate is kept for a burst, in milliseconds of it. Default 1 000. */
  readonly burstMs?: number;
  /** Default false. */
  readonly rejectedCostQuota?: RejectedCost;
  /** Told to a call that found no permit, in milliseconds: no one knows when a call will end. Default 1. */
  readonly concurrencyRetryMs?: number;
}

/** One bucket per dimension that has a rate. */
export type Buckets = Readonly<Record<RateKind, Bucket>>;

/** The whole of what decides about the next call. Plain data but for a schedule that is a function. */
export interface Admission {
  readonly rules: AdmissionRules;
  readonly openedAtMs: number;
  /** What of the timeline has happened. */
  readonly position: Position;
  /** What is enforced: the limits declared, with the hidden ones in force over them. */
  readonly allowed: ProviderLimits;
  readonly inFlight: number;
  readonly enforced: Buckets;
  readonly shown: Buckets;
}

interface AdmissionRules {
  readonly limits: ProviderLimits;
  readonly timeline: Timeline;
  readonly burstMs: number;
  readonly rejectedCostQuota: RejectedCost;
  readonly concurrencyRetryMs: number;
}

/** Come back later. */
export interface Rejection {
  readonly at: 'rejected';
  /** The dimension with the longest wait. */
  readonly by: LimitKind;
  readonly retryAfterMs: number;
}

/** What {@link admit} answers. */
export type Verdict = { readonly at: 'accepted' } | Rejection;

const NO_TOKENS: TokenCost = { inputTokens: 0, outputTokens: 0 };

/**
 * So far may neighbours put a bucket into debt. Enough for one that is within the rate to get all of its
 * share however small the burst is, and little enough for others to recover from one that was not.
 */
const NEIGHBOUR_DEBT_MS = 10_000;

/**
 * Full buckets, nobody in flight; schedule and neighbours begin at `nowMs`.
 *
 * @throws RangeError when a limit, a moment or a rate is out of its range.
 */
export function openAdmission(options: AdmissionOptions, nowMs: number): Admission {
  const { burstMs = 1_000, rejectedCostQuota = false, concurrencyRetryMs = 1 } = options;
  if (!(burstMs >= 0)) throw new RangeError(`burstMs: expected at least 0, got ${burstMs}`);
  const limits = checkLimits('limits', options.limits ?? {});
  const allowed = { ...limits, ...checkLimits('hidden', options.hidden ?? {}) };
  const { schedule = [], neighbours = [], seed = 1 } = options;
  const timeline = checkTimeline({ schedule, neighbours, seed });
  const full = (of: ProviderLimits): Buckets => bucketsOf((kind) => fullBucket(ratePerMinute(of, kind), burstMs, nowMs));
  return {
    rules: { limits, timeline, burstMs, rejectedCostQuota, concurrencyRetryMs },
    openedAtMs: nowMs,
    position: startOf(timeline),
    allowed,
    inFlight: 0,
    enforced: full(allowed),
    shown: full(limits),
  };
}

/** Decides about one call that is expected to cost `estimate`. */
export function admit(before: Admission, estimate: TokenCost, nowMs: number): readonly [Admission, Verdict] {
  const state = advance(before, nowMs);
  const scarcest = scarcestDimension(state, estimate, nowMs);
  if (scarcest !== null) {
    const after = chargeRejection(state, estimate, nowMs);
    // Asked again: the rejection itself may have moved the moment at which the call could enter.
    const { by, retryAfterMs } = (after === state ? null : scarcestDimension(after, estimate, nowMs)) ?? scarcest;
    return [after, { at: 'rejected', by, retryAfterMs }];
  }
  const accepted: Admission = {
    ...state,
    inFlight: state.inFlight + 1,
    enforced: bucketsOf((kind) => charge(state.enforced[kind], amountOf(kind, 1, estimate), nowMs)),
    shown: bucketsOf((kind) => drain(state.shown[kind], amountOf(kind, 1, estimate), nowMs)),
  };
  return [accepted, { at: 'accepted' }];
}

/** Takes what a call costs that was turned away, for whatever reason. {@link admit} does so by itself. */
export function chargeRejection(before: Admission, estimate: TokenCost, nowMs: number): Admission {
  const state = advance(before, nowMs);
  const { rejectedCostQuota } = state.rules;
  if (rejectedCostQuota === false) return state;
  const cost = rejectedCostQuota === 'request-and-tokens' ? estimate : NO_TOKENS;
  // Not below empty: else clients that retry too fast would lock themselves out for ever.
  return {
    ...state,
    enforced: bucketsOf((kind) => drain(state.enforced[kind], amountOf(kind, 1, cost), nowMs)),
    shown: bucketsOf((kind) => drain(state.shown[kind], amountOf(kind, 1, cost), nowMs)),
  };
}

/** The permit comes home and the charge becomes the real usage, less or more. Once for each accepted call. */
export function settle(before: Admission, estimate: TokenCost, used: TokenCost, nowMs: number): Admission {
  const state = advance(before, nowMs);
  const correction = (kind: RateKind) => amountOf(kind, 0, used) - amountOf(kind, 0, estimate);
  return {
    ...state,
    inFlight: state.inFlight - 1,
    enforced: bucketsOf((kind) => charge(state.enforced[kind], correction(kind), nowMs)),
    shown: bucketsOf((kind) => (correction(kind) > 0 ? drain : charge)(state.shown[kind], correction(kind), nowMs)),
  };
}

/**
 * Other hidden limits from now on, until the schedule has others; `{}` makes the declared ones true again.
 * Calls in flight stay, debts stay.
 *
 * @throws RangeError when a limit is out of its range.
 */
export function resize(state: Admission, hidden: ProviderLimits, nowMs: number): Admission {
  return withHidden(advance(state, nowMs), checkLimits('hidden', hidden), nowMs);
}

/** Lets everything happen that the timeline has up to `nowMs`. The other functions do so by themselves. */
export function advance(before: Admission, nowMs: number): Admission {
  const { timeline } = before.rules;
  let state = before;
  for (;;) {
    const event = nextEvent(timeline, state.position, nowMs - state.openedAtMs);
    if (event === null) return state;
    // Whole milliseconds keep the arithmetic of the buckets exact; up, so that it never is before its time.
    const atMs = state.openedAtMs + Math.ceil(event.sinceStartMs);
    state = event.at === 'change' ? withHidden(state, event.hidden, atMs) : withArrival(state, event.neighbour, atMs);
    state = { ...state, position: event.next };
  }
}

/** What the headers tell: the truth, debts too, unless a hidden limit makes it another rate. */
export function shownBuckets({ enforced, shown }: Admission): Buckets {
  return bucketsOf((kind) => (enforced[kind].ratePerMinute === shown[kind].ratePerMinute ? enforced[kind] : shown[kind]));
}

function withHidden(state: Admission, hidden: ProviderLimits, nowMs: number): Admission {
  const { limits, burstMs } = state.rules;
  const allowed = { ...limits, ...hidden };
  if (sameLimits(state.allowed, allowed)) return state;
  return {
    ...state,
    allowed,
    enforced: bucketsOf((kind) => resizeBucket(state.enforced[kind], ratePerMinute(allowed, kind), burstMs, nowMs)),
  };
}

function withArrival(state: Admission, neighbour: Neighbour, nowMs: number): Admission {
  const { tokensPerRequest, outputTokensPerRequest = 0 } = neighbour;
  const cost = { inputTokens: tokensPerRequest - outputTokensPerRequest, outputTokens: outputTokensPerRequest };
  return {
    ...state,
    enforced: bucketsOf((kind) => overdraw(state.enforced[kind], amountOf(kind, 1, cost), NEIGHBOUR_DEBT_MS, nowMs)),
    shown: bucketsOf((kind) => drain(state.shown[kind], amountOf(kind, 1, cost), nowMs)),
  };
}

function scarcestDimension(state: Admission, estimate: TokenCost, nowMs: number): { by: LimitKind; retryAfterMs: number } | null {
  let by: LimitKind = 'requests';
  let retryAfterMs = 0;
  for (const kind of RATE_KINDS) {
    const wait = waitMs(state.enforced[kind], amountOf(kind, 1, estimate), nowMs);
    if (wait > retryAfterMs) [by, retryAfterMs] = [kind, wait];
  }
  const noPermit = state.inFlight >= (state.allowed.concurrency ?? Infinity);
  const retryMs = Math.max(1, state.rules.concurrencyRetryMs);
  if (noPermit && retryMs > retryAfterMs) [by, retryAfterMs] = ['concurrency', retryMs];
  return retryAfterMs > 0 ? { by, retryAfterMs } : null;
}

function bucketsOf(bucket: (kind: RateKind) => Bucket): Buckets {
  return {
    requests: bucket('requests'),
    tokens: bucket('tokens'),
    'input-tokens': bucket('input-tokens'),
    'output-tokens': bucket('output-tokens'),
  };
}
