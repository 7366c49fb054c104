/** Operator: what reaches a task from outside: events, decisions, and orders of whoever runs the fleet. */
import type { Held, TaskStatus } from './task.ts';

/** Tells a task of something that happened outside. */
export interface Signal {
  readonly id: string;
  readonly name: string;
  readonly value: string;
  /** The same key for the same task and name is the same event, told once. */
  readonly key?: string;
}

export type SignalOutcome =
  /** It is the `n`th of its name, from 0. */
  | { readonly at: 'told'; readonly n: number }
  /** It had been told before, with this value. Whether that is the same is for the caller to say. */
  | { readonly at: 'known'; readonly value: string }
  | { readonly at: 'unknown' }
  | { readonly at: 'ended'; readonly status: TaskStatus }
  /** It is being undone, and ends so then: no wait of it takes anything any more. */
  | { readonly at: 'undoing'; readonly status: TaskStatus; readonly ends: 'failed' | 'cancelled' | 'dead' }
  /** It has been told of `limit` events that name it. */
  | { readonly at: 'full'; readonly limit: number }
  /** Nobody asks for this approval, or not any more, or it has been decided. */
  | { readonly at: 'not-asked' }
  /** It is asked for, but by then the wait for it was over. */
  | { readonly at: 'expired'; readonly expiresAtMs: number };

/** How many events one task may be told of. */
export const MOST_EVENTS = 10_000;

/** A run asks a person. */
export interface ApprovalRequest extends Held {
  readonly name: string;
  readonly request: string;
  readonly expiresAtMs: number | null;
}

/** A run asks no more. */
export interface ApprovalWithdrawal extends Held {
  readonly name: string;
}

/** Decides what a task asks: it is told of the event `approval:<name>`. The same decision again is known, until the task has ended. */
export interface Decision {
  readonly id: string;
  readonly name: string;
  readonly decision: string;
}

/** What is asked and not yet decided. */
export interface Approval {
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  readonly request: string;
  readonly askedAtMs: number;
  readonly expiresAtMs: number | null;
  /** From 1; what is asked later has a greater one. That of one which is gone may be given again. */
  readonly cursor: number;
}

export interface ApprovalQuery {
  readonly limit: number;
  readonly nowMs: number;
  /** Only what stands behind that cursor. Absent: from the first. */
  readonly after?: number;
}

/**
 * `requeue` puts back what failed, died or was cancelled: to be run; or, where some of what it had registered could not be
 * undone, to be undone, with fresh attempts, and to end as was kept for it. What is to be run must not be past its deadline.
 * With it those children are put back that were cancelled by its end, and those that failed or died, unless they have been
 * undone, and so on. `unpause` lets go on what was paused: ahead
 * of new work, but a retry, or a task that is not to begin before a time, not before its time. `cancel` ends what has not ended, and what has failed and is kept as
 * it stands: undone first where there is something to undo, with its children.
 */
export type SteerAction = 'cancel' | 'pause' | 'unpause' | 'requeue';

export interface Steering {
  readonly id: string;
  readonly action: SteerAction;
  readonly by: string;
  readonly reason: string | null;
}

export type SteerOutcome =
  /** `status` is where it is now. */
  | { readonly at: 'done'; readonly status: TaskStatus }
  /** It is under lease: noted, and done when the run lets go, which need not be at once. A run that completes first has completed. */
  | { readonly at: 'noted'; readonly fence: number }
  /** `undone`: all that it had done has been compensated, so it cannot be put back. */
  | { readonly at: 'refused'; readonly why: 'ended' | 'not-ended' | 'not-paused' | 'undone'; readonly status: TaskStatus }
  /** To be paused, but its run has been told to let go to be cancelled. */
  | { readonly at: 'refused'; readonly why: 'cancelling'; readonly status: TaskStatus }
  /** It would be put back to be run, and fail again at once. */
  | { readonly at: 'refused'; readonly why: 'deadline'; readonly status: TaskStatus; readonly deadlineMs: number }
  /** It is being undone already, and ends like that then: that is not cancelled. */
  | { readonly at: 'refused'; readonly why: 'undoing'; readonly status: TaskStatus; readonly ends: 'failed' | 'cancelled' | 'dead' }
  | { readonly at: 'unknown' };

export interface SteerReply {
  readonly outcomes: readonly SteerOutcome[];
  readonly ready: readonly string[];
  /** Tasks that have ended by this command: the unfinished children of a cancelled one end with it. */
  readonly ended: readonly string[];
  /** Runs that are to let go. */
  readonly held: readonly Held[];
}

/** Events, approvals, and steering. */
export interface OperatorStore {
  signal(
    items: readonly Signal[],
    nowMs: number,
  ): Promise<{ readonly outcomes: readonly SignalOutcome[]; readonly ready: readonly string[] }>;
  /** `false` where the fence was stale. What was asked before stays as it was. */
  askApproval(items: readonly ApprovalRequest[], nowMs: number): Promise<readonly boolean[]>;
  /**
   * Nobody decides it any more, unless somebody has: it is as if it had never been asked, and may be asked again. `false` where
   * the fence was stale.
   */
  withdrawApproval(items: readonly ApprovalWithdrawal[], nowMs: number): Promise<readonly boolean[]>;
  decideApproval(
    items: readonly Decision[],
    nowMs: number,
  ): Promise<{ readonly outcomes: readonly SignalOutcome[]; readonly ready: readonly string[] }>;
  /** Undecided ones of unfinished tasks, in order of asking; none that has expired by then, or whose task is being undone. */
  approvals(query: ApprovalQuery): Promise<readonly Approval[]>;
  steer(items: readonly Steering[], nowMs: number): Promise<SteerReply>;
  /** A paused kind is not claimed. Survives restarts. */
  pauseKinds(items: readonly { readonly kind: string; readonly paused: boolean }[]): Promise<void>;
  pausedKinds(): Promise<readonly string[]>;
}
