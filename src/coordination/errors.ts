/** What locks, leaders and gates refuse, and how what is held is lost. Codes are listed in the README. */
import { describe, DroverError } from '../../actors/kernel/errors.ts';

/**
 * What was held is not held any more: stop, and write nothing. Why: its time is over by the clock (`expired`), the store
 * says so (`refused`), the store has failed for good (`failed`, with its error as cause), or its holder gave it back (`released`).
 */
export class LeaseLostError extends DroverError {
  readonly code = 'DROVER_LEASE_LOST';
  /** Taken again it has a new token. */
  readonly retryable = true;
  override readonly detail: { readonly name: string; readonly fence: number | null; readonly why: LeaseLostWhy };
  constructor(detail: LeaseLostError['detail'], options?: ErrorOptions) {
    super(`${detail.name}${detail.fence === null ? '' : ` under token ${detail.fence}`}: ${WHY[detail.why]}`, options);
    this.detail = detail;
  }
}

export type LeaseLostWhy = 'expired' | 'refused' | 'failed' | 'released';

const WHY: Readonly<Record<LeaseLostWhy, string>> = {
  expired: 'its lease has run out before a renewal was answered; stop what rests on it',
  refused: 'the store says that its lease is over; stop what rests on it',
  failed: 'its lease cannot be renewed any more, for its store has failed; stop what rests on it',
  released: 'has been given back',
};

/** Somebody else has the lock, and went on having it for as long as was to be waited. */
export class LockTakenError extends DroverError {
  readonly code = 'DROVER_LOCK_TAKEN';
  readonly retryable = true;
  /** `retryAfterMs`: when the lease of who has it now runs out, unless it is renewed. */
  override readonly detail: { readonly name: string; readonly waitedMs: number; readonly retryAfterMs: number };
  constructor(detail: LockTakenError['detail'], options?: ErrorOptions) {
    super(
      `lock ${detail.name}: somebody else has it, after ${Math.round(detail.waitedMs)} ms of waiting; wait longer (waitMs), or try again`,
      options,
    );
    this.detail = detail;
  }
}

/** As many as the gate lets through were ahead for as long as was to be waited. */
export class GateFullError extends DroverError {
  readonly code = 'DROVER_GATE_FULL';
  readonly retryable = true;
  override readonly detail: { readonly name: string; readonly ahead: number; readonly waitedMs: number };
  constructor(detail: GateFullError['detail'], options?: ErrorOptions) {
    super(
      `gate ${detail.name}: ${detail.ahead} are ahead, after ${Math.round(detail.waitedMs)} ms of waiting; wait longer (waitMs), or try again`,
      options,
    );
    this.detail = detail;
  }
}

/** An argument of a lock, a leader or a gate has a wrong value. */
export class CoordinationOptionError extends DroverError {
  readonly code = 'DROVER_COORDINATION_OPTION';
  readonly retryable = false;
  override readonly detail: { readonly option: string };
  constructor(option: string, expected: string, value: unknown) {
    super(`${option}: expected ${expected}, got ${describe(value)}`);
    this.detail = { option };
  }
}
