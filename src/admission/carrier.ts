/** Carrier: what one call needs of whoever carries the calls of its dependency. */
import type { Permit } from '../../actors/admission/limiter.ts';
import type { CallReport } from '../../actors/admission/regulator.ts';
import type { BreakerResult } from '../../actors/breaker/breaker.ts';
import type { Host } from '../../actors/host/host.ts';
import type { ActorId } from '../../actors/kernel/effects.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { DependencySpec } from '../topology/dependency.ts';
import type { Budgets } from './budgets.ts';
import type { CallReadings } from './call-readings.ts';
import type { CallObserver, ReplyScore } from './caller.ts';
import type { RetryBudget } from './retry-budget.ts';
import type { TryTimeouts } from './try-timeouts.ts';

/** One for each dependency. */
export interface Carrier {
  readonly name: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- requests and replies are typed where the agent is defined
  readonly spec: DependencySpec<any, any>;
  readonly host: Host;
  readonly limiter: ActorId;
  readonly random: Random;
  readonly observer: CallObserver;
  readonly budgets: Budgets | undefined;
  readonly score: ReplyScore | undefined;
  /** Told before each try: whoever may not act any more is cancelled by then. */
  readonly beforeTry: (nowMs: number) => void;
  readonly retries: RetryBudget;
  readonly readings: CallReadings;
  readonly timeouts: TryTimeouts;
  /** Of one try. */
  readonly timeoutMs: number;
  /** When an open breaker will be tried again; a while from now when only a person closes it. Undefined: it is not open. */
  readonly opensAtMs: number | undefined;
  /** Grows from call to call. */
  newTicket(): number;
  /** The limiter is gone with the question of this call: asked again when there is a new one. */
  lost(call: UnansweredCall): void;
  /** A permit has come. */
  took(permit: Permit): void;
  /** A permit comes home. */
  home(permit: Permit, report: CallReport, result: BreakerResult, score: number | undefined): void;
}

/** A call that waits for a limiter to come back. */
export interface UnansweredCall {
  readonly ticket: number;
  ask(): void;
  /** Nothing was sent, and nothing will be. */
  refuse(cause: Error): void;
}
