/** Task status: the numbers that rows keep, and what is said of a run that nobody settled. */
import { invariant } from '../../actors/kernel/errors.ts';
import type { ErrorRecord } from '../../actors/kernel/errors.ts';
import type { TaskStatus } from '../../actors/ports/store.ts';

/** Every status, in the order of its numbers. */
export const STATUSES = [
  'queued',
  'leased',
  'running',
  'retrying',
  'parked',
  'completed',
  'failed',
  'cancelled',
  'dead',
] as const satisfies readonly TaskStatus[];

/**
 * The number that a row keeps for each status, for ever: in the tens how far the task is. All take
 * one byte in a row of SQLite, which 0 and 1 would not: so most steps change a row in its place.
 */
export const STATUS = {
  queued: 10,
  leased: 11,
  running: 12,
  retrying: 20,
  parked: 21,
  completed: 30,
  failed: 31,
  cancelled: 32,
  dead: 33,
} as const satisfies Record<TaskStatus, number>;

/** A store notes how far the clock of its owners has been each time that it is so much further. */
export const CLOCK_STEP_MS = 60_000;

/** From this number on a task has ended. */
export const FIRST_TERMINAL = STATUS.completed;

const BY_NUMBER = new Map(STATUSES.map((status): [number, TaskStatus] => [STATUS[status], status]));

/** The status that a row keeps as this number. */
export function statusOf(number: number): TaskStatus {
  const status = BY_NUMBER.get(number);
  invariant(status !== undefined, `no status has the number ${number}`);
  return status;
}

/** How many tasks are where: all zero, to be counted up. */
export function noCounts(): Record<TaskStatus, number> {
  return { queued: 0, leased: 0, running: 0, retrying: 0, parked: 0, completed: 0, failed: 0, cancelled: 0, dead: 0 };
}

/** The error of a run whose lease ran out: JSON of an `ErrorRecord`. */
export const LEASE_EXPIRED_ERROR = runLost('its lease ran out before it was settled');

/** The error of a run that a former owner of the store had under lease: JSON of an `ErrorRecord`. */
export const OWNER_GONE_ERROR = runLost('the process that ran it has ended');

/** The error of a task that had not ended at its deadline, in the words of the run that finds that out itself: JSON of an `ErrorRecord`. */
export function deadlinePassed(id: string, deadlineMs: number): string {
  return errorOf({
    name: 'DeadlinePassedError',
    message: `task ${id}: had not ended by its deadline, ${new Date(deadlineMs).toISOString()}`,
    code: 'DROVER_DEADLINE_PASSED',
    retryable: false,
  });
}

/** How the remembered places of compensations begin: with one of them a task does not end badly without being undone. */
export const COMPENSATION_PLACE = 'compensate:';

/** Sorts behind every place of a compensation. */
export const BEHIND_COMPENSATIONS = `${COMPENSATION_PLACE.slice(0, -1)};`;

/** How the remembered places of reads of rows begin. */
export const STATE_PLACE = 'state:';

/** How the names of the events begin that decide approvals. */
export const APPROVAL_EVENT = 'approval:';

/** The fence of a claim: greater than that of every one before, also of those of former owners, or of forgotten tasks, that no row tells of. */
export function nextFence(fence: number, leastFence: number): number {
  return Math.max(fence + 1, leastFence);
}

/**
 * Within a tenant the lowest goes first: waiting counts as much as urgency. A task waits since it was submitted; a retry
 * since it came due, so what fails again and again stands behind what has come meanwhile.
 */
export function rankOf(sinceMs: number, priority: number, agingMs: number): number {
  return sinceMs - priority * agingMs;
}

/** What a story says of a run that could not start. */
export function blockedBy(resource: string, holder: string): string {
  return `${resource}: ${holder}`;
}

function runLost(why: string): string {
  return errorOf({ name: 'RunLostError', message: `the run was lost: ${why}`, code: 'DROVER_RUN_LOST', retryable: true });
}

function errorOf(record: ErrorRecord): string {
  return JSON.stringify(record);
}
