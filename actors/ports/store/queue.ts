/** Queue: how tasks come in, are claimed, and come back when their time is there. */
import type { TaskRecord } from './record.ts';
import type { Schedule } from './schedules.ts';
import type { EndedStatus, Held, NewTask, TaskStatus } from './task.ts';

export type SubmitOutcome =
  | { readonly at: 'accepted' }
  /** The id was there already. Whether it is the same task is for the caller to say. */
  | { readonly at: 'known'; readonly task: TaskRecord }
  /** There are `limit` unfinished tasks: in the store, of the kind, of that tenant of the kind, or of the same root (`family`). */
  | { readonly at: 'full'; readonly limit: number; readonly of?: 'store' | 'kind' | 'tenant' | 'family' }
  /** The parent's run no longer holds its lease. */
  | { readonly at: 'stale' };

export interface ClaimCommand {
  /** `box`: of the tasks that were spilled into this box; absent: of those in none. A paused kind gives nothing. */
  readonly wants: readonly { readonly kind: string; readonly limit: number; readonly box?: string }[];
  readonly leaseUntilMs: number;
  readonly nowMs: number;
}

/**
 * A task under lease. Order: ahead of new work first (`resumed`), but after `mostBegun` of those a new one, if there is any; then the tenants of the kind, or of
 * the box, take turns by weight; within a tenant by rank, which is the time of arrival less `agingMs` for each
 * level of priority, so that waiting counts as much as urgency; then arrival. A retry that has come
 * due counts from then, so what fails again and again leaves the head of the line; put back by an
 * operator (`requeue`) it counts from its arrival once more.
 */
export interface ClaimedTask {
  readonly id: string;
  readonly kind: string;
  readonly version: string;
  readonly input: string;
  readonly priority: number;
  /** Its rank, as it was claimed: milliseconds; the lower goes first. Whatever holds several may keep to it. */
  readonly rank: number;
  readonly fence: number;
  readonly depth: number;
  readonly parentId: string | null;
  readonly leaseUntilMs: number;
  readonly rootId: string | null;
  readonly tenant: string | null;
  readonly affinity: string | null;
  readonly deadlineMs: number | null;
}

export interface SweepReply {
  /** Kinds that have got something to claim. */
  readonly ready: readonly string[];
  /** Tasks whose lease had run out: back in the queue, or dead; or whose deadline had passed under lease. */
  readonly expired: readonly (Held & { readonly status: TaskStatus })[];
  /** Tasks that have ended without being held: their deadline has passed; or, since the last sweep, who had asked for them has ended. */
  readonly ended: readonly string[];
  /** When the next retry, parked task, deadline or schedule comes due, null when there is none. */
  readonly nextAtMs: number | null;
  /** Tasks under lease that have inherited a priority since the last sweep: somebody more urgent waits for what they hold. */
  readonly raised: readonly { readonly id: string; readonly priority: number }[];
  /** Runs of which an operator wants something, or whose parent has ended: they are to let go. */
  readonly noted: readonly (Held & { readonly what: 'cancel' | 'pause' })[];
  /** Schedules that are due. They stay due until they are fired. */
  readonly schedules: readonly Schedule[];
}

/** How long waiting makes up for one level of priority, unless told otherwise. */
export const AGING_MS = 60_000;

/** How many younger ones may take what a task waits for, at most, unless told otherwise. */
export const MOST_PASSED = 2;

/** How many that have begun are claimed of a kind in a row, at most, while something new waits, unless told otherwise. */
export const MOST_BEGUN = 9;

/** What a kind may have. */
export interface KindLimits {
  readonly maxUnfinished?: number;
  /** Unfinished tasks of one tenant that are accepted from outside. Of tasks that have none there may be any number. */
  readonly maxOfTenant?: number;
  /** Above 0. */
  readonly weights?: Readonly<Record<string, number>>;
}

/** What may be forgotten. */
export interface ForgetCommand {
  /** By status: up to when a task must have ended. Of a status that is not named all are kept. */
  readonly endedByMs: Readonly<Partial<Record<EndedStatus, number>>>;
  /** So many tasks are looked at, from where the last command stopped. At least 1. */
  readonly limit: number;
}

export interface ForgetReply {
  /** Tasks that are gone. */
  readonly forgotten: number;
  /** False: it has come to the last that can have ended by then, and the next command begins with the oldest again. */
  readonly more: boolean;
}

/** Tasks on their way to a worker. */
export interface QueueStore {
  submit(tasks: readonly NewTask[], nowMs: number): Promise<readonly SubmitOutcome[]>;
  claim(command: ClaimCommand): Promise<readonly ClaimedTask[]>;
  /** Takes back leases that have run out, queues what has come due, and ends what is past its deadline; at most some thousands at a time. */
  sweep(nowMs: number): Promise<SweepReply>;
  /** What is in this box may be claimed by everybody again. On `open` every box is empty. */
  unbox(items: readonly { readonly kind: string; readonly box: string }[]): Promise<void>;
  /**
   * Deletes tasks that have ended, with all that is stored of them: whoever nobody asked for or sent, together with all that
   * it asked for and sent, and they in turn; all of them at once, when each has ended by its time, or else none. An id that
   * has been forgotten may be submitted again, as a new task, whose fences are greater than those of the one before.
   */
  forget(command: ForgetCommand): Promise<ForgetReply>;
}
