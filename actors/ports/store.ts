/**
 * Store: where tasks live, and what the processes of a fleet share beside them: slices of budgets, and
 * intents at gates. The port is asynchronous and made of commands. One command is one
 * transaction over a batch: there is no interactive transaction and no callback inside one, so that
 * SQLite in a thread and Postgres across a network carry it unchanged.
 *
 * The life of a task, as the store sees it:
 *
 *     submit ─▶ queued ── claim ──▶ leased ── start ──▶ running ── settle ──▶ completed | failed | dead | cancelled
 *                 ▲                   │                    │
 *                 ├── release, expiry ┴────────────────────┤
 *                 ├── due ── retrying ◀── settle: retry ───┤
 *                 └── woken ─── parked ◀───────────────────┘ settle: park
 *
 * Whoever waits is parked, and a row says for what: a time, a child, an event (`event`, `approval`),
 * locks that somebody else has (`locks`), its turn within its order key (`order`), an operator
 * (`operator`). What is queued can be claimed at once.
 *
 * A task that is to end badly but has registered compensations (remembered places that begin with
 * `compensate:`) does not end yet: it is queued again, to be undone. Its status and error are kept
 * for the end.
 *
 * Promises every adapter keeps (the conformance suite in `test/stores` holds them to it):
 *   - When a command's promise resolves, its effects are committed, and synced where there is a disk.
 *   - When it rejects, nothing of it has happened, or (`StoreFailedError`) nobody can know; every
 *     command may be sent again.
 *   - The fence of a task only grows, over restarts too. A command that carries an older fence is
 *     answered `stale` and changes nothing; the other items of its batch are not disturbed.
 *   - A wake-up is never lost: a task that parks on what is there already is queued.
 *   - Of the tasks with one order key, only the oldest unfinished one is ever queued or held; one that
 *     is parked for a child, an event or an approval lets the next one by, for that may be what it
 *     waits for.
 *   - No two runs hold locks that exclude each other. Each start's locks carry one token, greater than
 *     every token before it. A run that lets go of its lease, however, has let go of its locks.
 *   - Whoever waits for locks is passed by at most `mostPassed` younger ones that take what it wants,
 *     while it is there to be run: one that is parked for its turn (`order`) meanwhile has left the line.
 *
 * Times are milliseconds of the caller's clock. Payloads (`input`, `result`, `value`, `error`) are
 * texts (JSON), opaque to the store.
 */

/** Where a task is. The first five are unfinished, the last four terminal. */
export type TaskStatus = 'queued' | 'leased' | 'running' | 'retrying' | 'parked' | 'completed' | 'failed' | 'cancelled' | 'dead';

/** Whether a task in this status has ended. */
export function isTerminal(status: TaskStatus): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled' || status === 'dead';
}

/** A task as it is submitted. */
export interface NewTask {
  /** At most 512 characters. The same id is the same task, for ever. */
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

export type SubmitOutcome =
  | { readonly at: 'accepted' }
  /** The id was there already. Whether it is the same task is for the caller to say. */
  | { readonly at: 'known'; readonly task: TaskRecord }
  /** There are `limit` unfinished tasks: in the store, of the kind, or of the same root (`family`). */
  | { readonly at: 'full'; readonly limit: number; readonly of?: 'store' | 'kind' | 'family' }
  /** The parent's run no longer holds its lease. */
  | { readonly at: 'stale' };

export interface ClaimCommand {
  /** `box`: of the tasks that were spilled into this box; absent: of those in none. A paused kind gives nothing. */
  readonly wants: readonly { readonly kind: string; readonly limit: number; readonly box?: string }[];
  readonly leaseUntilMs: number;
  readonly nowMs: number;
}

/**
 * A task under lease. Order: ahead of new work first (`resumed`); then the tenants of the kind take
 * turns by weight; within a tenant by rank, which is the time of arrival less `agingMs` for each
 * level of priority, so that waiting counts as much as urgency; then arrival.
 */
export interface ClaimedTask {
  readonly id: string;
  readonly kind: string;
  readonly version: string;
  readonly input: string;
  readonly priority: number;
  readonly fence: number;
  readonly depth: number;
  readonly parentId: string | null;
  readonly leaseUntilMs: number;
  readonly rootId: string | null;
  readonly tenant: string | null;
  readonly affinity: string | null;
  readonly deadlineMs: number | null;
}

/** Names one run: the task, and the fence under which it was claimed. */
export interface Held {
  readonly id: string;
  readonly fence: number;
}

/** One thing that a run did and that later runs of the same task find again. */
export interface Remembered {
  /** Where in the run, e.g. `call:model#2`. Unique per task. */
  readonly place: string;
  /** Guards against a run that takes another way: hash of the request. */
  readonly hash: string;
  readonly value: string;
  /** `value` is the error that it failed with: forgotten when the run is retried. Absent: it succeeded. */
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
      /** Held from now on until the run lets go of its lease. */
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

/** A run reads a row, and remembers under `place` what it read. */
export interface StateRead extends Held {
  readonly place: string;
  readonly key: string;
}

/** A versioned row. Versions of a key only grow, also when it was deleted meanwhile. */
export interface StateRow {
  readonly key: string;
  readonly version: number;
  readonly value: string;
}

/** `row` is null when there is none. */
export type StateReadOutcome = { readonly at: 'read'; readonly row: StateRow | null } | { readonly at: 'stale' };

/** Writes a row, where its version is still `version`; null: where there is none. */
export interface StateWrite {
  /** At most 512 characters. */
  readonly key: string;
  /** null deletes. */
  readonly value: string | null;
  readonly version: number | null;
}

/** `version` is the new one (of a deleted row: where it went), or the one that was found; null: no row. */
export type StateWriteOutcome =
  | { readonly at: 'written'; readonly version: number }
  | { readonly at: 'conflict'; readonly version: number | null };

export interface RenewItem extends Held {
  readonly leaseUntilMs: number;
}

/** How a run ended, as one fenced item of a `settle` command. */
export type Settlement = Held & { readonly outcome: SettledOutcome };

export type SettledOutcome =
  /**
   * `sends` are submitted in the same transaction; an id that is there already is left alone. So are
   * `writes`, each of another key: all of them, or the run is answered `refused` and still holds its lease.
   */
  | {
      readonly at: 'completed';
      readonly result: string | null;
      readonly sends: readonly NewTask[];
      readonly writes?: readonly StateWrite[];
    }
  /** Remembered failures are forgotten; `forget`: what it read of rows (places that begin with `state:`), or everything. */
  | { readonly at: 'retry'; readonly error: string; readonly readyAtMs: number; readonly forget?: 'state' | 'everything' }
  | { readonly at: 'failed' | 'dead'; readonly error: string }
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

export interface SweepReply {
  /** Kinds that have got something to claim. */
  readonly ready: readonly string[];
  /** Tasks whose lease had run out: back in the queue, or dead; or whose deadline had passed under lease. */
  readonly expired: readonly (Held & { readonly status: TaskStatus })[];
  /** Tasks that have ended without being held: their deadline has passed. */
  readonly ended: readonly string[];
  /** When the next retry, parked task, deadline or schedule comes due, null when there is none. */
  readonly nextAtMs: number | null;
  /** Tasks under lease that have inherited a priority since the last sweep: somebody more urgent waits for what they hold. */
  readonly raised: readonly { readonly id: string; readonly priority: number }[];
  /** Runs of which an operator wants something, also those that the cancellation of a parent has come down to: they are to let go. */
  readonly noted: readonly (Held & { readonly what: 'cancel' | 'pause' })[];
  /** Schedules that are due. They stay due until they are fired. */
  readonly schedules: readonly Schedule[];
}

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
  /** It is being undone, or (once it has ended) has been. */
  readonly undone: boolean;
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
  | { readonly at: 'event'; readonly atMs: number; readonly name: string }
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

export interface OpenCommand {
  readonly nowMs: number;
  /** Unfinished tasks that the store accepts; `submit` then answers `full`. Children are exempt. */
  readonly maxUnfinished: number;
  /** Unfinished descendants of one task from outside. Default: no limit. */
  readonly maxFamily?: number;
  /** What one level of priority is worth in waiting. At least 1, default `AGING_MS`. */
  readonly agingMs?: number;
  /** Default `MOST_PASSED`. */
  readonly mostPassed?: number;
  /** By kind: unfinished tasks that are accepted of it, children exempt (default: no limit); and shares of tenants (default 1 each). */
  readonly kinds?: Readonly<Record<string, KindLimits>>;
}

/** How long waiting makes up for one level of priority, unless told otherwise. */
export const AGING_MS = 60_000;

/** How many younger ones may take what a task waits for, unless told otherwise. */
export const MOST_PASSED = 4;

/** What a kind may have. */
export interface KindLimits {
  readonly maxUnfinished?: number;
  /** Above 0. */
  readonly weights?: Readonly<Record<string, number>>;
}

/** Tells a task of something that happened outside. */
export interface Signal {
  readonly id: string;
  readonly name: string;
  readonly value: string;
  /** The same key for the same task and name is the same event, told once. */
  readonly key?: string;
}

export type SignalOutcome =
  /** `known`: it had been told before. */
  | { readonly at: 'told' | 'known' }
  | { readonly at: 'unknown' }
  | { readonly at: 'ended'; readonly status: TaskStatus }
  /** It has been told of `limit` events that name it. */
  | { readonly at: 'full'; readonly limit: number }
  /** Nobody asks for this approval, or it has been decided. */
  | { readonly at: 'not-asked' };

/** How many events one task may be told of. */
export const MOST_EVENTS = 10_000;

/** A run asks a person. */
export interface ApprovalRequest extends Held {
  readonly name: string;
  readonly request: string;
  readonly expiresAtMs: number | null;
}

/** Decides what a task asks: it is told of the event `approval:<name>`. */
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
}

/** `requeue` puts back what failed, died or was cancelled; `resume` what was paused. */
export type SteerAction = 'cancel' | 'pause' | 'resume' | 'requeue';

export interface Steering {
  readonly id: string;
  readonly action: SteerAction;
  readonly by: string;
  readonly reason: string | null;
}

export type SteerOutcome =
  /** `status` is where it is now. */
  | { readonly at: 'done'; readonly status: TaskStatus }
  /** It is under lease: noted, and done when the run lets go. A run that completes first has completed. */
  | { readonly at: 'noted'; readonly fence: number }
  /** `undone`: what has been compensated cannot be put back. */
  | { readonly at: 'refused'; readonly why: 'ended' | 'not-ended' | 'not-paused' | 'undone'; readonly status: TaskStatus }
  | { readonly at: 'unknown' };

export interface SteerReply {
  readonly outcomes: readonly SteerOutcome[];
  readonly ready: readonly string[];
  /** Tasks that have ended by this command: the unfinished children of a cancelled one end with it. */
  readonly ended: readonly string[];
  /** Runs that are to let go. */
  readonly held: readonly Held[];
}

/** A recurring task. Times are the runtime's business: the store knows when it is due next and no more. */
export interface Schedule {
  readonly name: string;
  /** Opaque to the store. */
  readonly plan: string;
  readonly nextAtMs: number;
  /** The last task that it has made. */
  readonly lastId: string | null;
  readonly lastAtMs: number | null;
}

/** One turn of a schedule: nothing happens unless it is due at `atMs` still. */
export interface Firing {
  readonly name: string;
  readonly atMs: number;
  readonly nextAtMs: number;
  /** An id that is there already is left alone. */
  readonly tasks: readonly NewTask[];
}

export interface Opened {
  /** Grows by one with each owner. Leases of older epochs have been taken back, their runs counted as lost. */
  readonly epoch: number;
  /** Tasks that a former owner had under lease. */
  readonly recovered: number;
}

/** Of one budget: what a process wants of its current period. Amounts are whole numbers, at least 0. */
export interface BudgetTake {
  /** At most 512 characters, e.g. `kind:triage`. */
  readonly scope: string;
  /** Which period: a whole number. Periods of one scope do not share anything. */
  readonly periodStartMs: number;
  /** What all processes together may take in the period. null: not limited, and then nothing is granted of it. */
  readonly limitNanoUsd: number | null;
  readonly limitTokens: number | null;
  /** Granted in full, or as much of it as is left. */
  readonly wantNanoUsd: number;
  readonly wantTokens: number;
  /** With less than this, of either, nothing is granted. At most what is wanted. */
  readonly leastNanoUsd: number;
  readonly leastTokens: number;
  /** Spent already, above what was granted before: taken in any case, beyond the limit too, and not counted in the grant. */
  readonly overNanoUsd: number;
  readonly overTokens: number;
  /** Periods of this scope that began before are forgotten. */
  readonly keepFromMs: number;
}

/** How much has been taken out of a budget in a period, by everybody. */
export interface BudgetTaken {
  readonly takenNanoUsd: number;
  readonly takenTokens: number;
}

/** What was granted, and how much is taken then. */
export interface BudgetGrant extends BudgetTaken {
  readonly nanoUsd: number;
  readonly tokens: number;
}

/** Unspent, and not needed any more. */
export interface BudgetReturn {
  readonly scope: string;
  readonly periodStartMs: number;
  readonly nanoUsd: number;
  readonly tokens: number;
  /** The scope is over (a task that has ended): all that is known of it is forgotten. */
  readonly ended: boolean;
}

/** Somebody stands at a gate that lets `most` through at a time. */
export interface Intent {
  /** At most 512 characters, as is the holder. */
  readonly gate: string;
  readonly holder: string;
  /** Who may proceed at a time: a whole number, at least 1. */
  readonly most: number;
  /** Until when it counts, unless it is renewed by registering again. */
  readonly untilMs: number;
}

export type IntentOutcome =
  | { readonly at: 'proceed' }
  /** `ahead`: how many have registered before and are still there, those who may proceed included. */
  | { readonly at: 'waiting'; readonly ahead: number };

/** Somebody wants to have a name to himself: a lock, or a leader's office. */
export interface LeaseRequest {
  /** At most 512 characters, as is the holder, which is another one for each request. */
  readonly name: string;
  readonly holder: string;
  readonly ttlMs: number;
  /** It stands in line until then, unless it asks again. null: it does not wait. */
  readonly waitUntilMs: number | null;
}

export type LeaseOutcome =
  /** The token is greater than every token before it. Asked again by the same holder it is the same lease. */
  | { readonly at: 'granted'; readonly fence: number; readonly untilMs: number }
  /** `heldUntilMs`: when it is worth asking again. */
  | { readonly at: 'waiting'; readonly ahead: number; readonly heldUntilMs: number }
  | { readonly at: 'taken'; readonly holder: string; readonly heldUntilMs: number };

/** Names one lease that was granted. */
export interface LeaseHeld {
  readonly name: string;
  readonly holder: string;
  readonly fence: number;
}

/** Who has a name now. */
export interface LeaseRecord extends LeaseHeld {
  readonly untilMs: number;
  readonly waiting: number;
}

export interface Store {
  /** What it is, for logs and errors, e.g. `sqlite:inbox.db`. */
  readonly name: string;
  /** Becomes the one owner. Rejects with `DROVER_STORE_OWNED` when another process owns it. */
  open(command: OpenCommand): Promise<Opened>;
  submit(tasks: readonly NewTask[], nowMs: number): Promise<readonly SubmitOutcome[]>;
  claim(command: ClaimCommand): Promise<readonly ClaimedTask[]>;
  /** Takes the locks of each, all or none of them, and counts the attempt. */
  start(items: readonly StartItem[], nowMs: number): Promise<readonly StartOutcome[]>;
  /** `false` where the fence was stale. A place that is remembered already keeps its first value. */
  remember(items: readonly RememberItem[], nowMs: number): Promise<readonly boolean[]>;
  /** `false` where the fence was stale, or the lease had run out already. */
  renew(items: readonly RenewItem[], nowMs: number): Promise<readonly boolean[]>;
  settle(items: readonly Settlement[], nowMs: number): Promise<SettleReply>;
  /** Takes back leases that have run out, queues what has come due, and ends what is past its deadline; at most some thousands at a time. */
  sweep(nowMs: number): Promise<SweepReply>;
  /** What is in this box may be claimed by everybody again. On `open` every box is empty. */
  unbox(items: readonly { readonly kind: string; readonly box: string }[]): Promise<void>;
  /** Reads rows for runs, which remember them: asked again at the same place they find the same. */
  readState(items: readonly StateRead[], nowMs: number): Promise<readonly StateReadOutcome[]>;
  /** Reads rows for anybody else. */
  getState(keys: readonly string[]): Promise<readonly (StateRow | undefined)[]>;
  /** In order of their keys, those after `after` that begin with `prefix`. */
  listState(query: { readonly prefix: string; readonly after?: string; readonly limit: number }): Promise<readonly StateRow[]>;
  /** Writes rows from outside of runs, each by itself. */
  setState(items: readonly StateWrite[], nowMs: number): Promise<readonly StateWriteOutcome[]>;
  signal(
    items: readonly Signal[],
    nowMs: number,
  ): Promise<{ readonly outcomes: readonly SignalOutcome[]; readonly ready: readonly string[] }>;
  /** `false` where the fence was stale. What was asked before stays as it was. */
  askApproval(items: readonly ApprovalRequest[], nowMs: number): Promise<readonly boolean[]>;
  decideApproval(
    items: readonly Decision[],
    nowMs: number,
  ): Promise<{ readonly outcomes: readonly SignalOutcome[]; readonly ready: readonly string[] }>;
  /** Undecided ones of unfinished tasks, in order of asking. */
  approvals(query: { readonly limit: number }): Promise<readonly Approval[]>;
  steer(items: readonly Steering[], nowMs: number): Promise<SteerReply>;
  /** A paused kind is not claimed. Survives restarts. */
  pauseKinds(items: readonly { readonly kind: string; readonly paused: boolean }[]): Promise<void>;
  pausedKinds(): Promise<readonly string[]>;
  /** Oldest first; empty for a task that is not known. */
  story(id: string): Promise<readonly StoryEntry[]>;
  /** Makes schedules, or changes their plan and next time. */
  putSchedules(items: readonly { readonly name: string; readonly plan: string; readonly nextAtMs: number }[]): Promise<void>;
  removeSchedules(names: readonly string[]): Promise<void>;
  schedules(): Promise<readonly Schedule[]>;
  /** `false` where it was not due at that time: fired already, changed, or removed. */
  fireSchedules(
    items: readonly Firing[],
    nowMs: number,
  ): Promise<{ readonly fired: readonly boolean[]; readonly ready: readonly string[] }>;
  get(ids: readonly string[]): Promise<readonly (TaskRecord | undefined)[]>;
  /** In order of arrival; `after` is the last id of the page before. At most `limit`. */
  list(query: {
    readonly status?: TaskStatus;
    readonly kind?: string;
    readonly after?: string;
    readonly limit: number;
  }): Promise<readonly TaskRecord[]>;
  counts(): Promise<Readonly<Record<string, TaskCounts>>>;
  /**
   * Takes slices of budgets. `taken` grows by what is granted, and then is at most the limit; and by
   * `over`. Sent again after a failure it may take twice: what nobody knows of counts as spent.
   */
  takeBudget(items: readonly BudgetTake[]): Promise<readonly BudgetGrant[]>;
  /** Gives slices back; `taken` does not fall below 0. Not to be sent again after a failure: it might give back twice. */
  returnBudget(items: readonly BudgetReturn[]): Promise<void>;
  /** Nothing is taken of a budget that is not known. */
  readBudgets(items: readonly { readonly scope: string; readonly periodStartMs: number }[]): Promise<readonly BudgetTaken[]>;
  /**
   * Registers, or renews: first come, first served, by gate. Whose time is over is forgotten first,
   * so a holder that died is in nobody's way for longer than that.
   */
  registerIntents(items: readonly Intent[], nowMs: number): Promise<readonly IntentOutcome[]>;
  /** Leaves the gate, also after having proceeded. Whoever is not there is left out. */
  withdrawIntents(items: readonly { readonly gate: string; readonly holder: string }[]): Promise<void>;
  /**
   * First come, first served, by name; whoever stands in line and has not asked again in time is
   * passed over. A lease that has run out is free, whether or not its holder knows.
   */
  takeLeases(items: readonly LeaseRequest[], nowMs: number): Promise<readonly LeaseOutcome[]>;
  /** `false` where it has run out, also when nobody has taken it since. */
  renewLeases(items: readonly (LeaseHeld & { readonly ttlMs: number })[], nowMs: number): Promise<readonly boolean[]>;
  /** Leaves the line, or gives the lease back; `false` where there was nothing to give back under this token. */
  releaseLeases(items: readonly LeaseHeld[], nowMs: number): Promise<readonly boolean[]>;
  readLeases(names: readonly string[], nowMs: number): Promise<readonly (LeaseRecord | undefined)[]>;
  /** Waits for commands under way, then lets go of everything. Later commands reject. */
  close(): Promise<void>;
}
