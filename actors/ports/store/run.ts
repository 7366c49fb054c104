/** Run: how a task under lease begins, remembers, waits and ends. */
import type { StateSeen, StateWrite } from './rows.ts';
import type { Held, LockWant, NewTask, TaskStatus } from './task.ts';

/** One thing that a run did and that later runs of the same task find again. */
export interface Remembered {
  /** Where in the run, e.g. `call:model#2`. Unique per task. */
  readonly place: string;
  /** Guards against a run that takes another way: hash of the request. */
  readonly hash: string;
  readonly value: string;
  /** `value` is the error that it failed with: a run that ends with that has it forgotten. Absent: it succeeded. */
  readonly failed?: boolean;
  /** Version of the kind's code that brought it. Absent: that of the task. */
  readonly version?: string;
}

/** An outside event that a task was told of. */
export interface TaskEvent {
  readonly name: string;
  /** The how-manieth of that name, from 0. */
  readonly n: number;
  readonly value: string;
}

/** How a child of a task stands; `place` is where in the parent's run it was asked for. */
export interface ChildRecord {
  readonly id: string;
  readonly place: string;
  readonly status: TaskStatus;
  readonly result: string | null;
  readonly error: string | null;
}

export type StartOutcome =
  | {
      readonly at: 'started';
      /** 1 for the first counted run. Lost runs are counted here too. */
      readonly attempt: number;
      /** Runs lost before this one. */
      readonly losses: number;
      readonly memory: readonly Remembered[];
      readonly children: readonly ChildRecord[];
      /** In order of arrival. */
      readonly events: readonly TaskEvent[];
      /** Held from now on until the run lets go of its lease; longer where it is to be undone then. */
      readonly locks: readonly LockWant[];
      /** The token of all of them; 0 without locks. */
      readonly lockFence: number;
      /** It is to be undone: how it will end then. null: an ordinary run. */
      readonly undo: { readonly status: 'failed' | 'cancelled' | 'dead'; readonly error: string | null } | null;
    }
  /** Somebody has what it wants. It is parked for `locks`, its attempt not counted: the run does not hold its lease any more. */
  | { readonly at: 'blocked'; readonly resource: string; readonly holder: string }
  /** The same, where the task said `reject`. The run still holds its lease, and no lock: settle it. */
  | { readonly at: 'rejected'; readonly resource: string; readonly holder: string }
  | { readonly at: 'stale' };

/** A run about to begin. */
export interface StartItem extends Held {
  /** Who runs it, in which life, for the task's story, e.g. `inbox/agents/triage/0#3`. Absent: nobody knows. */
  readonly worker?: string;
}

export interface RememberItem extends Held, Remembered {
  /** Takes the place of what was remembered there. Absent: the first value stays. */
  readonly replace?: boolean;
}

export interface RenewItem extends Held {
  readonly leaseUntilMs: number;
}

/** How a run ended, as one fenced item of a `settle` command. */
export type Settlement = Held & { readonly outcome: SettledOutcome };

export type SettledOutcome =
  /**
   * `sends` are submitted in the same transaction; an id that is there already is left alone. So are
   * `writes`, each of another key: all of them, or the run is answered `refused` and still holds its lease. So it is where one
   * of `reads` is not the version of its row before that: what it has read is not what is there. A key may be among them more
   * than once, as the run has read it.
   */
  | {
      readonly at: 'completed';
      readonly result: string | null;
      readonly sends: readonly NewTask[];
      readonly writes?: readonly StateWrite[];
      readonly reads?: readonly StateSeen[];
    }
  /**
   * `failures`: places of remembered failures that are forgotten, so that the next run tries them anew; what has
   * succeeded there stays. `forget`: what it read of rows (places that begin with `state:`), or everything.
   */
  | {
      readonly at: 'retry';
      readonly error: string;
      readonly readyAtMs: number;
      readonly failures?: readonly string[];
      readonly forget?: 'state' | 'everything';
    }
  /**
   * `failures`: as with `retry`, for when it is put back; none where it is to be undone, and goes the way that it went.
   * `keeps`: it is kept as it stands: failed, with nothing of it undone, its children as they are and what it remembers, until
   * somebody puts it back, or cancels it after all. Not where it is to be undone already, or cancelled: that goes first.
   */
  | { readonly at: 'failed'; readonly error: string; readonly failures?: readonly string[]; readonly keeps?: boolean }
  | { readonly at: 'dead'; readonly error: string; readonly failures?: readonly string[] }
  /** A task that was to be undone has been: it ends as was kept for it. Its memory is forgotten. */
  | { readonly at: 'undone' }
  /**
   * Gives lease and attempt back. Queued again, ahead of new work, as soon as one of `children`
   * has ended, an event of `events` is there (both also when that was before), or `wakeAtMs` has come.
   * Where it waits for several and the first has come, the others may follow within `gatherMs`: it
   * is queued when all are there or that time is over. Default 0.
   * `locks`: wants these beside its own from now on.
   */
  | {
      readonly at: 'parked';
      readonly reason: string;
      readonly children: readonly string[];
      readonly wakeAtMs: number | null;
      readonly events?: readonly { readonly name: string; readonly n: number }[];
      readonly gatherMs?: number;
      readonly locks?: readonly LockWant[];
    }
  /**
   * Gives the lease back unused, or the attempt too when the run had started: a graceful stop is free.
   * `box`: where it is spilled to, to be claimed by that box only.
   */
  | { readonly at: 'released'; readonly box?: string }
  /** The worker died under the run: queued again ahead of new work, or dead when losses are used up. */
  | { readonly at: 'lost'; readonly error: string };

/** `status` is where the task is now: a lost run may have ended it, and what was noted of it is done. */
export type SettleOutcome =
  | { readonly at: 'settled'; readonly status: TaskStatus }
  | { readonly at: 'stale' }
  /** A row has another version by now. Nothing of the item has happened. */
  | { readonly at: 'refused'; readonly why: 'conflict'; readonly key: string; readonly version: number | null }
  /** Its sends would be more unfinished tasks of one root than `limit`. Nothing of the item has happened. */
  | { readonly at: 'refused'; readonly why: 'full'; readonly limit: number };

export interface SettleReply {
  readonly outcomes: readonly SettleOutcome[];
  /** Kinds that have got something to claim by this command. A hint: polling is the truth. */
  readonly ready: readonly string[];
  /** When the next of those that were woken by this command, but still gather, comes due. Absent: none does. */
  readonly nextAtMs?: number;
}

/** What a run that holds a lease does. */
export interface RunStore {
  /** Takes the locks of each, all or none of them, and counts the attempt. */
  start(items: readonly StartItem[], nowMs: number): Promise<readonly StartOutcome[]>;
  /** `false` where the fence was stale. A place that is remembered already keeps its first value. */
  remember(items: readonly RememberItem[], nowMs: number): Promise<readonly boolean[]>;
  /** `false` where the fence was stale, or the lease had run out already. */
  renew(items: readonly RenewItem[], nowMs: number): Promise<readonly boolean[]>;
  settle(items: readonly Settlement[], nowMs: number): Promise<SettleReply>;
}
