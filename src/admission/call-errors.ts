/** Errors of calls: what became of a call that brought no reply. */
import type { LimiterReply } from '../../actors/admission/limiter.ts';
import { describe, DroverError, toErrorRecord } from '../../actors/kernel/errors.ts';
import type { Problem } from '../../actors/kernel/shape.ts';
import type { CallFailure } from '../topology/dependency.ts';

/** A call of a dependency failed, after the tries it is allowed. `cause` is what the last one ended with. */
export class CallError extends DroverError {
  readonly code = 'DROVER_CALL_FAILED';
  readonly retryable: boolean;
  override readonly detail: {
    readonly dependency: string;
    readonly attempts: number;
    readonly failure: CallFailure['at'] | 'refused';
  };
  constructor(detail: CallError['detail'], options: ErrorOptions) {
    super(
      `call of ${detail.dependency} failed (${detail.failure}, ${detail.attempts} of its tries): ${toErrorRecord(options.cause).message}`,
      options,
    );
    this.detail = detail;
    this.retryable =
      detail.failure !== 'permanent' && (detail.failure !== 'refused' || (options.cause as Partial<DroverError>).retryable === true);
  }
}

/** One try of a call took longer than the dependency's `timeoutMs`. */
export class CallTimeoutError extends DroverError {
  readonly code = 'DROVER_CALL_TIMEOUT';
  readonly retryable = true;
  override readonly detail: { readonly dependency: string; readonly timeoutMs: number };
  constructor(detail: CallTimeoutError['detail']) {
    super(`call of ${detail.dependency}: no answer within ${detail.timeoutMs} ms (timeoutMs)`);
    this.detail = detail;
  }
}

/** The limiter will never admit this call: it is larger than a whole minute of a limit. */
export class CallTooLargeError extends DroverError {
  readonly code = 'DROVER_CALL_TOO_LARGE';
  readonly retryable = false;
  /** `largestTokens`: the most that one call may ask for; 0: it asks for more room than there is. */
  override readonly detail: { readonly dependency: string; readonly tokens: number; readonly largestTokens: number };
  constructor(detail: CallTooLargeError['detail']) {
    super(
      detail.largestTokens === 0
        ? `call of ${detail.dependency}: it takes more places at once (\`slots\`) than there are (\`concurrency\`); take fewer, or raise the limit`
        : `call of ${detail.dependency}: an estimate of ${detail.tokens} tokens is more than its limits allow in a minute; send less, or raise the limits`,
    );
    this.detail = detail;
  }
}

/** The breaker of a dependency is open: nobody calls it for now. */
export class BreakerOpenError extends DroverError {
  readonly code = 'DROVER_BREAKER_OPEN';
  readonly retryable = true;
  /** `untilMs`: when it will be tried again; null: when a person closes it. */
  override readonly detail: { readonly dependency: string; readonly untilMs: number | null };
  constructor(detail: BreakerOpenError['detail']) {
    super(
      `call of ${detail.dependency}: its breaker is open ${detail.untilMs === null ? 'by hand, until somebody closes it' : `until ${Math.round(detail.untilMs)} ms`}; nothing was sent`,
    );
    this.detail = detail;
  }
}

/** The limiter would not admit the call by its deadline. */
export class AdmissionLateError extends DroverError {
  readonly code = 'DROVER_ADMISSION_LATE';
  readonly retryable = true;
  /** `earliestMs`: when it could have gone, for all that is known. */
  override readonly detail: { readonly dependency: string; readonly waitedMs: number; readonly earliestMs: number };
  constructor(detail: AdmissionLateError['detail']) {
    super(
      `call of ${detail.dependency}: cannot be admitted by its deadline (waited ${Math.round(detail.waitedMs)} ms, not before ${Math.round(detail.earliestMs)} ms); nothing was sent; give it longer, or send less`,
    );
    this.detail = detail;
  }
}

/** So many calls wait for the dependency that no more may. */
export class AdmissionFullError extends DroverError {
  readonly code = 'DROVER_ADMISSION_FULL';
  readonly retryable = true;
  override readonly detail: { readonly dependency: string; readonly waiting: number };
  constructor(detail: AdmissionFullError['detail']) {
    super(`call of ${detail.dependency}: ${detail.waiting} calls wait already; come back later`);
    this.detail = detail;
  }
}

/** The dependency's limiter is shut: nothing is admitted any more. */
export class AdmissionClosedError extends DroverError {
  readonly code = 'DROVER_ADMISSION_CLOSED';
  readonly retryable = false;
  override readonly detail: { readonly dependency: string };
  constructor(dependency: string) {
    super(`call of ${dependency}: its admission is closed`);
    this.detail = { dependency };
  }
}

/** An option of a gate, or of one of its calls, is none. Nothing was done. */
export class AdmissionOptionError extends DroverError {
  readonly code = 'DROVER_ADMISSION_OPTION';
  readonly retryable = false;
  override readonly detail: { readonly path: readonly string[]; readonly expected: string };
  constructor({ path, value, expected }: Problem, options?: ErrorOptions) {
    super(`${path.join('.')}: expected ${expected}, got ${describe(value)}`, options);
    this.detail = { path, expected };
  }
}

/** Why the limiter would not have a call, as its caller hears it. */
export function refusalOf(dependency: string, tokens: number, refusal: Extract<LimiterReply, { readonly at: 'refused' }>): DroverError {
  switch (refusal.reason) {
    case 'too-large':
      return new CallTooLargeError({ dependency, tokens, largestTokens: refusal.largestTokens });
    case 'deadline':
      return new AdmissionLateError({ dependency, waitedMs: refusal.waitedMs, earliestMs: refusal.earliestMs });
    case 'open':
      return new BreakerOpenError({ dependency, untilMs: refusal.untilMs });
    case 'full':
      return new AdmissionFullError({ dependency, waiting: refusal.waiting });
  }
}
