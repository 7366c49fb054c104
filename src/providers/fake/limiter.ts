/** The limiter: carries the admission state, reads the clock for it, and counts what it decided. */
import type { Admission, LimitKind, ProviderLimits, Rejection, Verdict } from './admission.ts';
import { admit, costOfRejection, openAdmission, resizeAdmission, settle } from './admission.ts';
import type { CallFault, FaultName } from './faults.ts';
import { FAULT_NAMES } from './faults.ts';
import { rateLimitHeaders } from './headers.ts';
import type { ResolvedOptions } from './options.ts';

/** Counters since the start. */
export interface FakeProviderStats {
  /** Calls let in, whatever became of them. */
  readonly accepted: number;
  readonly rejected429: number;
  /** Rejections by the dimension that was named; `fault` are those of `rate429`. */
  readonly rejectedBy: Readonly<Record<LimitKind | 'fault', number>>;
  readonly inFlight: number;
  readonly peakInFlight: number;
  /** Real usage of calls that have ended. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Faults drawn, by name; those drawn for a call that the limits refused do not count. */
  readonly faults: Readonly<Record<FaultName, number>>;
}

/** A `rate429` fault has no true wait; it names the smallest that `retry-after` can say. */
const FAULT_RETRY_AFTER_MS = 1_000;

export class Limiter {
  readonly #options: ResolvedOptions;
  #admission: Admission;
  #peakInFlight = 0;
  #accepted = 0;
  #inputTokens = 0;
  #outputTokens = 0;
  readonly #rejectedBy = { requests: 0, tokens: 0, concurrency: 0, fault: 0 };
  readonly #faults = Object.fromEntries(FAULT_NAMES.map((name) => [name, 0])) as Record<FaultName, number>;

  constructor(options: ResolvedOptions) {
    this.#options = options;
    this.#admission = openAdmission(options.limits, options.hidden, options.burstMs, options.nowMs());
  }

  /** Decides about a call; `fault` is what will become of it once it is accepted. */
  enter(estimatedTokens: number, fault: CallFault | null): Verdict {
    const { nowMs, rejectedCostQuota, latency } = this.#options;
    const rules = { rejectedCostQuota, concurrencyRetryMs: latency.baseMs };
    const [admission, verdict] = admit(this.#admission, estimatedTokens, rules, nowMs());
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

  /** Refuses a call that the limits might have let in: the fault `rate429`. */
  refuse(): Rejection {
    const { nowMs, rejectedCostQuota } = this.#options;
    this.#faults.rate429 += 1;
    this.#rejectedBy.fault += 1;
    if (rejectedCostQuota) this.#admission = costOfRejection(this.#admission, nowMs());
    return { at: 'rejected', by: 'requests', retryAfterMs: FAULT_RETRY_AFTER_MS };
  }

  /** The call is over: once per accepted call. */
  leave(estimatedTokens: number, inputTokens: number, outputTokens: number): void {
    this.#inputTokens += inputTokens;
    this.#outputTokens += outputTokens;
    const usedTokens = inputTokens + outputTokens;
    this.#admission = settle(this.#admission, estimatedTokens, usedTokens, this.#options.nowMs());
  }

  /** Replaces the hidden limits; `{}` makes the declared ones true again. */
  setHidden(hidden: ProviderLimits): void {
    const { limits, burstMs, nowMs } = this.#options;
    this.#admission = resizeAdmission(this.#admission, { ...limits, ...hidden }, burstMs, nowMs());
  }

  headers(): Record<string, string> {
    return rateLimitHeaders(this.#admission, this.#options.nowMs());
  }

  stats(): FakeProviderStats {
    const { requests, tokens, concurrency, fault } = this.#rejectedBy;
    return {
      accepted: this.#accepted,
      rejected429: requests + tokens + concurrency + fault,
      rejectedBy: { ...this.#rejectedBy },
      inFlight: this.#admission.inFlight,
      peakInFlight: this.#peakInFlight,
      inputTokens: this.#inputTokens,
      outputTokens: this.#outputTokens,
      faults: { ...this.#faults },
    };
  }
}
