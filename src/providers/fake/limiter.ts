/** The limiter: carries the admission state, reads the clock for it, and counts what it decided. */
import type { Admission, Buckets, Rejection, Verdict } from './admission/admission.ts';
import { admit, advance, chargeRejection, openAdmission, resize, settle, shownBuckets } from './admission/admission.ts';
import type { LimitKind, ProviderLimits, TokenCost } from './admission/limits.ts';
import type { CallFault, FaultName, RefusalFault } from './faults/faults.ts';
import { FAULT_NAMES } from './faults/faults.ts';
import type { ResolvedOptions } from './options.ts';
import type { CallUsage } from './usage.ts';
import { addUsage, NO_USAGE } from './usage.ts';

/** Counters since the start. */
export interface FakeProviderStats {
  /** Calls let in, whatever became of them. */
  readonly accepted: number;
  readonly rejected429: number;
  /** Rejections by the dimension that was named; `fault` are those of `rate429` and its like. */
  readonly rejectedBy: Readonly<Record<LimitKind | 'fault', number>>;
  readonly inFlight: number;
  readonly peakInFlight: number;
  /** Real usage of calls that have ended: whole prompts, cached or not. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of the input tokens, read from the cache. */
  readonly cachedTokens: number;
  /** Of the input tokens, written to the cache. */
  readonly cacheWriteTokens: number;
  /** Of the output tokens. */
  readonly reasoningTokens: number;
  /** Faults drawn, by name; those drawn for a call that the limits refused do not count. */
  readonly faults: Readonly<Record<FaultName, number>>;
}

/** A `rate429` fault has no true wait; it names the smallest that `retry-after` can say. */
const FAULT_RETRY_AFTER_MS = 1_000;

export class Limiter {
  readonly #nowMs: () => number;
  #admission: Admission;
  #peakInFlight = 0;
  #accepted = 0;
  #used: CallUsage = NO_USAGE;
  readonly #rejectedBy = { requests: 0, tokens: 0, 'input-tokens': 0, 'output-tokens': 0, concurrency: 0, fault: 0 };
  readonly #faults = Object.fromEntries(FAULT_NAMES.map((name) => [name, 0])) as Record<FaultName, number>;

  constructor(options: ResolvedOptions) {
    this.#nowMs = options.nowMs;
    this.#admission = openAdmission({ ...options, concurrencyRetryMs: options.latency.baseMs }, options.nowMs());
  }

  /** Decides about a call; `fault` is what will become of it once it is accepted. */
  enter(estimate: TokenCost, fault: CallFault | null): Verdict {
    const [admission, verdict] = admit(this.#admission, estimate, this.#nowMs());
    this.#admission = admission;
    if (verdict.at === 'rejected') {
      this.#rejectedBy[verdict.by] += 1;
      return verdict;
    }
    this.#accepted += 1;
    this.#peakInFlight = Math.max(this.#peakInFlight, admission.inFlight);
    if (fault !== null) this.#faults[fault] += 1;
    return verdict;
  }

  /** Refuses a call that the limits might have let in. */
  refuse(estimate: TokenCost, fault: RefusalFault): Rejection {
    this.#faults[fault] += 1;
    this.#rejectedBy.fault += 1;
    this.#admission = chargeRejection(this.#admission, estimate, this.#nowMs());
    return { at: 'rejected', by: 'requests', retryAfterMs: FAULT_RETRY_AFTER_MS };
  }

  /** The call is over: once per accepted call. `cost`: what of the usage counts towards the limits. */
  leave(estimate: TokenCost, usage: CallUsage, cost: TokenCost): void {
    this.#used = addUsage(this.#used, usage);
    this.#admission = settle(this.#admission, estimate, cost, this.#nowMs());
  }

  /** Replaces the hidden limits, until the schedule has others; `{}` makes the declared ones true again. */
  setHidden(hidden: ProviderLimits): void {
    this.#admission = resize(this.#admission, hidden, this.#nowMs());
  }

  /** What the rate-limit headers tell at this moment. */
  shown(nowMs: number): Buckets {
    this.#admission = advance(this.#admission, nowMs);
    return shownBuckets(this.#admission);
  }

  stats(): FakeProviderStats {
    const rejected429 = Object.values(this.#rejectedBy).reduce((sum, count) => sum + count, 0);
    return {
      accepted: this.#accepted,
      rejected429,
      rejectedBy: { ...this.#rejectedBy },
      inFlight: this.#admission.inFlight,
      peakInFlight: this.#peakInFlight,
      ...this.#used,
      faults: { ...this.#faults },
    };
  }
}
