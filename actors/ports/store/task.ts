/** Task: a piece of work, as it is submitted, and what names a run of it. */

/** Where a task is. The first five are unfinished, the last four terminal. */
export type TaskStatus = 'queued' | 'leased' | 'running' | 'retrying' | 'parked' | 'completed' | 'failed' | 'cancelled' | 'dead';

/** Those of a task that has ended. */
export type EndedStatus = Extract<TaskStatus, 'completed' | 'failed' | 'cancelled' | 'dead'>;

/** Whether a task in this status has ended. */
export function isTerminal(status: TaskStatus): status is EndedStatus {
  return status === 'completed' || status === 'failed' || status === 'cancelled' || status === 'dead';
}

/** A task as it is submitted. */
export interface NewTask {
  /** At most 512 characters. The same id is the same task, until it is forgotten. */
  readonly id: string;
  readonly kind: string;
  /** Version of the kind's code that this task was begun under. */
  readonly version: string;
  readonly input: string;
  /** Higher goes first. Default of the runtime: 0. */
  readonly priority: number;
  /** Runs that may end in rejection before the task is dead. At least 1. */
  readonly maxAttempts: number;
  /** Runs that may be lost (node or worker died under them) before the task is dead. At least 1. */
  readonly maxLosses: number;
  /** The run that asks for this task; refused as `stale` when that run no longer holds its lease. */
  readonly parent?: { readonly id: string; readonly fence: number; readonly place: string };
  /** 0 for a task from outside, one more than the parent's otherwise. */
  readonly depth: number;
  /** The task from outside that it descends from, through asks and sends. Absent: it is one itself. */
  readonly rootId?: string;
  /** Whose it is: claims are shared among the tenants of a kind by weight. Absent: `''`. */
  readonly tenant?: string;
  /** Which worker it would rather have; opaque here, given back by `claim`. */
  readonly affinity?: string;
  /** Tasks with the same key run one after the other, in order of arrival. */
  readonly orderKey?: string;
  /** What it excludes others from while it runs: no resource twice. Absent: nothing. */
  readonly locks?: readonly LockWant[];
  /** Absent: `queue`. */
  readonly onConflict?: 'queue' | 'reject';
  /** It is parked for `time` until then. */
  readonly notBeforeMs?: number;
  /** It fails when it has not ended by then. */
  readonly deadlineMs?: number;
}

/** A resource by its name, at most 512 characters. Readers share it, a writer has it alone. */
export interface LockWant {
  readonly resource: string;
  readonly mode: 'read' | 'write';
}

/** Names one run: the task, and the fence under which it was claimed. */
export interface Held {
  readonly id: string;
  readonly fence: number;
}
