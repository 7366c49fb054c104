/** What the runtime answers to those who submit, steer, signal and schedule tasks. Codes are listed in the README. */
import { describe, DroverError } from '../../actors/kernel/errors.ts';
import type { TaskStatus } from '../../actors/ports/store.ts';

/**
 * As many are unfinished as are accepted: in the store (`bounds.unfinished`), of the kind (its `backlog`), of that tenant
 * of the kind (`tenantBacklog`), or submits of this process that the store has not answered yet (`submitting`).
 *
 * Come back after `retryAfterMs`: by then there has been room for you and for those who were refused before you, if tasks go
 * on ending as fast as they have lately. At most it is what the whole backlog takes to end: where more wait outside than
 * that holds, some find it full again. Nobody keeps their place: whoever comes when there is room is in.
 */
export class FleetFullError extends DroverError {
  readonly code = 'DROVER_FLEET_FULL';
  readonly retryable = true;
  override readonly detail: {
    readonly of: 'store' | 'kind' | 'tenant' | 'family' | 'submitting';
    readonly limit: number;
    readonly retryAfterMs: number;
    /** Of a `submitMany`: the ids of those that are there all the same. */
    readonly stored?: readonly string[];
  };
  constructor(detail: FleetFullError['detail'], kind: string) {
    const { of, limit, retryAfterMs, stored = [] } = detail;
    const others = stored.length === 0 ? '' : `; of these ${stored.length} were stored (detail.stored), submit the others`;
    const what =
      of === 'kind'
        ? `${limit} unfinished tasks of ${kind} are there already (backlog of ${kind})`
        : of === 'tenant'
          ? `${limit} unfinished tasks of ${kind} are there already for that tenant (tenantBacklog of ${kind})`
          : of === 'submitting'
            ? `${limit} submits have not been answered by the store yet`
            : `${limit} unfinished tasks are in the store already (bounds.unfinished)`;
    super(`${what}${others}; submit again in ${retryAfterMs} ms`);
    this.detail = detail;
  }
}

/** There is no task with that id. */
export class UnknownTaskError extends DroverError {
  readonly code = 'DROVER_UNKNOWN_TASK';
  readonly retryable = false;
  override readonly detail: { readonly id: string };
  constructor(id: string) {
    super(`no task has the id ${describe(id)}`);
    this.detail = { id };
  }
}

/** The task has ended: it cannot be cancelled, paused or told of anything. */
export class TaskEndedError extends DroverError {
  readonly code = 'DROVER_TASK_ENDED';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly status: TaskStatus };
  constructor(id: string, status: TaskStatus) {
    super(`task ${id}: has ended already, ${status}`);
    this.detail = { id, status };
  }
}

/** The task cannot be put back: it has not ended, or it has completed, or (`undone`) all that it did has been undone. */
export class TaskNotRequeueableError extends DroverError {
  readonly code = 'DROVER_TASK_NOT_REQUEUEABLE';
  readonly retryable = false;
  /** `deadlineMs`: its deadline, which has passed. */
  override readonly detail: { readonly id: string; readonly status: TaskStatus; readonly undone: boolean; readonly deadlineMs?: number };
  constructor(detail: TaskNotRequeueableError['detail']) {
    super(`task ${detail.id}: ${whyNot(detail)}`);
    this.detail = detail;
  }
}

function whyNot({ status, undone, deadlineMs }: TaskNotRequeueableError['detail']): string {
  if (undone) return 'all that it did has been undone; submit a new task instead';
  if (deadlineMs === undefined) return `is ${status}; only what is dead, failed or cancelled can be put back`;
  return `its deadline passed at ${new Date(deadlineMs).toISOString()}, so it would fail again at once; submit a new task instead`;
}

/** The task is being undone: it ends as `ends` then. What has failed for good is not cancelled, and an event reaches nobody. */
export class TaskUndoingError extends DroverError {
  readonly code = 'DROVER_TASK_UNDOING';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly status: TaskStatus; readonly ends: 'failed' | 'cancelled' | 'dead' };
  constructor(detail: TaskUndoingError['detail']) {
    super(`task ${detail.id}: is being undone, and ends ${detail.ends} then; pause keeps that from going on, until unpause`);
    this.detail = detail;
  }
}

/** The task cannot be paused: it has been cancelled, and its run is letting go. What is undone then can be paused. */
export class TaskCancellingError extends DroverError {
  readonly code = 'DROVER_TASK_CANCELLING';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly status: TaskStatus };
  constructor(id: string, status: TaskStatus) {
    super(
      `task ${id}: has been cancelled, and ends when its run has let go, or when it has been undone; pause it then to keep it from being undone`,
    );
    this.detail = { id, status };
  }
}

/** The task is not paused. */
export class TaskNotPausedError extends DroverError {
  readonly code = 'DROVER_TASK_NOT_PAUSED';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly status: TaskStatus };
  constructor(id: string, status: TaskStatus) {
    super(`task ${id}: is not paused but ${status}`);
    this.detail = { id, status };
  }
}

/** The task was cancelled, or the one that asked for it was: by whom, and why. */
export class TaskCancelledError extends DroverError {
  readonly code = 'DROVER_TASK_CANCELLED';
  readonly retryable = false;
  /** `by` is null when that cannot be found out: its story is gone, or the store is. */
  override readonly detail: { readonly id: string; readonly kind: string; readonly by: string | null; readonly reason: string | null };
  constructor(detail: TaskCancelledError['detail']) {
    const { id, kind, by, reason } = detail;
    super(`task ${id} (${kind}) was cancelled${by === null ? '' : ` by ${by}`}${reason === null ? '' : `: ${reason}`}`);
    this.detail = detail;
  }
}

/** A task was told of as many events as it may be. */
export class EventsFullError extends DroverError {
  readonly code = 'DROVER_EVENTS_FULL';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly name: string; readonly limit: number };
  constructor(detail: EventsFullError['detail']) {
    super(`task ${detail.id}: has been told of ${detail.limit} events already; ${detail.name} is one too many, begin another task`);
    this.detail = detail;
  }
}

/** Under this key the task has been told of another payload. */
export class SignalConflictError extends DroverError {
  readonly code = 'DROVER_SIGNAL_CONFLICT';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly name: string; readonly key: string };
  constructor(detail: SignalConflictError['detail']) {
    super(
      `task ${detail.id}: has been told of ${detail.name} under the key "${detail.key}" with another payload; one key is one event, give another key`,
    );
    this.detail = detail;
  }
}

/** The task asks for no such approval, or not any more, or it has been decided. */
export class ApprovalNotAskedError extends DroverError {
  readonly code = 'DROVER_APPROVAL_NOT_ASKED';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly name: string };
  constructor(id: string, name: string) {
    super(
      `task ${id}: does not wait for an approval ${describe(name)}; it asks for none, somebody has decided it, or its statechart has left the state that asked`,
    );
    this.detail = { id, name };
  }
}

/** The run has waited for this approval no longer than until `expiresAtMs`: nobody decides it any more. */
export class ApprovalExpiredError extends DroverError {
  readonly code = 'DROVER_APPROVAL_EXPIRED';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly name: string; readonly expiresAtMs: number };
  constructor(detail: ApprovalExpiredError['detail']) {
    const { id, name, expiresAtMs } = detail;
    super(
      `task ${id}: approval ${describe(name)} expired at ${new Date(expiresAtMs).toISOString()} (withinMs); its run goes on without it`,
    );
    this.detail = detail;
  }
}

/** The topology says what this schedule is: change it there. */
export class ScheduleOwnedError extends DroverError {
  readonly code = 'DROVER_SCHEDULE_OWNED';
  readonly retryable = false;
  override readonly detail: { readonly schedule: string };
  constructor(schedule: string) {
    super(`schedule ${schedule}: is one of the topology's; change it there, or give yours another name`);
    this.detail = { schedule };
  }
}

/** There is no schedule of that name. */
export class UnknownScheduleError extends DroverError {
  readonly code = 'DROVER_UNKNOWN_SCHEDULE';
  readonly retryable = false;
  override readonly detail: { readonly schedule: string };
  constructor(schedule: string) {
    super(`no schedule is called ${describe(schedule)}`);
    this.detail = { schedule };
  }
}

/** Tasks of the kind were still held when the time for draining it was over. It stays paused, and they go on. */
export class DrainLateError extends DroverError {
  readonly code = 'DROVER_DRAIN_LATE';
  readonly retryable = true;
  override readonly detail: { readonly kind: string; readonly held: number; readonly deadlineMs: number };
  constructor(detail: DrainLateError['detail']) {
    super(`${detail.kind}: ${detail.held} of its tasks are still held after ${detail.deadlineMs} ms; it stays paused`);
    this.detail = detail;
  }
}

/** Somebody has unpaused the kind while it was drained: its tasks are begun again, and nobody waits any more. */
export class DrainEndedError extends DroverError {
  readonly code = 'DROVER_DRAIN_ENDED';
  readonly retryable = false;
  override readonly detail: { readonly kind: string };
  constructor(kind: string) {
    super(`${kind}: has been unpaused while it was drained, so its tasks are begun again; drain it again if it is to stop all the same`);
    this.detail = { kind };
  }
}

/** An argument of an operator's command has a wrong value. */
export class OperatorInputError extends DroverError {
  readonly code = 'DROVER_OPERATOR_INPUT';
  readonly retryable = false;
  override readonly detail: { readonly argument: string };
  constructor(argument: string, expected: string, value: unknown) {
    super(`${argument}: expected ${expected}, got ${describe(value)}`);
    this.detail = { argument };
  }
}

/** Somebody else has written the row since it was read: read it again. */
export class RowConflictError extends DroverError {
  readonly code = 'DROVER_ROW_CONFLICT';
  readonly retryable = true;
  /** null: no row. */
  override readonly detail: { readonly key: string; readonly expected: number | null; readonly found: number | null };
  constructor(detail: RowConflictError['detail']) {
    const inWords = (version: number | null): string => (version === null ? 'no row' : `version ${version}`);
    super(`row ${describe(detail.key)}: expected ${inWords(detail.expected)}, there is ${inWords(detail.found)}; read it again`);
    this.detail = detail;
  }
}
