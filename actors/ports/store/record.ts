/** Record: a task as it can be looked at, and its story. */
import type { SteerAction } from './operator.ts';
import type { SettledOutcome } from './run.ts';
import type { LockWant, TaskStatus } from './task.ts';

/** A task as it can be looked at. */
export interface TaskRecord {
  readonly id: string;
  readonly kind: string;
  readonly version: string;
  readonly status: TaskStatus;
  readonly input: string;
  readonly result: string | null;
  readonly error: string | null;
  readonly priority: number;
  /** Counted runs so far, the lost ones included. */
  readonly attempt: number;
  readonly losses: number;
  readonly maxAttempts: number;
  readonly maxLosses: number;
  readonly fence: number;
  readonly depth: number;
  readonly parentId: string | null;
  readonly parkedFor: string | null;
  readonly submittedAtMs: number;
  readonly finishedAtMs: number | null;
  readonly rootId: string | null;
  readonly tenant: string | null;
  readonly affinity: string | null;
  readonly orderKey: string | null;
  readonly deadlineMs: number | null;
  /** What it wants while it runs, grown ones included. */
  readonly locks: readonly LockWant[];
  /** When it comes due, where it waits for a time. */
  readonly dueAtMs: number | null;
  /** It is being undone; or, once it has ended, has been, all of it. False where some of it could not be undone. */
  readonly undone: boolean;
  /** It has failed and is kept as it stands (`keeps`): put it back, or cancel it, and what it has registered is undone. */
  readonly kept: boolean;
  /** What an operator wants of it once its run lets go. */
  readonly noted: 'cancel' | 'pause' | null;
}

/** One thing that happened to a task. Of a task more than `STORY_LENGTH` old runs are forgotten. */
export type StoryEntry =
  | { readonly at: 'submitted'; readonly atMs: number }
  /** One run, or a claim that did not become one (`startedAtMs` null). */
  | {
      readonly at: 'run';
      readonly atMs: number;
      readonly fence: number;
      readonly worker: string | null;
      readonly claimedAtMs: number;
      readonly startedAtMs: number | null;
      /** How it let go of the lease. */
      readonly outcome: SettledOutcome['at'] | 'expired' | 'owner-gone' | 'blocked';
      /** Why it was parked, what it was blocked by, or the error. */
      readonly detail: string | null;
    }
  /** `decision`: of an approval, as it was given. Absent: no decision, or one of a former version, which kept no more of it. */
  | { readonly at: 'event'; readonly atMs: number; readonly name: string; readonly decision?: string }
  /** Its deadline has passed while nobody ran it: it fails, once what it has registered is undone. */
  | { readonly at: 'deadline'; readonly atMs: number }
  | {
      readonly at: 'steered';
      readonly atMs: number;
      readonly action: SteerAction;
      readonly by: string;
      readonly reason: string | null;
    };

/** How many entries of a task's story are kept, the latest. */
export const STORY_LENGTH = 1_000;

export type TaskCounts = Readonly<Record<TaskStatus, number>>;

/** Looking at tasks. */
export interface RecordStore {
  /** Oldest first; empty for a task that is not known. */
  story(id: string): Promise<readonly StoryEntry[]>;
  get(ids: readonly string[]): Promise<readonly (TaskRecord | undefined)[]>;
  /** In order of arrival; `after` is the last id of the page before. At most `limit`. */
  list(query: {
    readonly status?: TaskStatus;
    readonly kind?: string;
    /** Only what is parked, and for that reason. */
    readonly parkedFor?: string;
    readonly after?: string;
    readonly limit: number;
  }): Promise<readonly TaskRecord[]>;
  counts(): Promise<Readonly<Record<string, TaskCounts>>>;
}
