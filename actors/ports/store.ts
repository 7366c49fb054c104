/**
 * Store: where tasks live, and what the processes of a fleet share beside them: slices of budgets, and
 * intents at gates. The port is asynchronous and made of commands. One command is one
 * transaction over a batch: there is no interactive transaction and no callback inside one, so that
 * SQLite in a thread and Postgres across a network carry it unchanged.
 *
 * The life of a task, as the store sees it:
 *
 *     submit ─▶ queued ── claim ──▶ leased ── start ──▶ running ── settle ──▶ completed | failed | dead
 *                 ▲                   │                    │
 *                 ├── release, expiry ┴────────────────────┤
 *                 ├── due ── retrying ◀── settle: retry ───┤
 *                 └── child ended, or due ── parked ◀──────┘ settle: park
 *
 * Promises every adapter keeps (the conformance suite in `test/stores` holds them to it):
 *   - When a command's promise resolves, its effects are committed, and synced where there is a disk.
 *   - When it rejects, nothing of it has happened, or (`StoreFailedError`) nobody can know; every
 *     command may be sent again.
 *   - The fence of a task only grows, over restarts too. A command that carries an older fence is
 *     answered `stale` and changes nothing; the other items of its batch are not disturbed.
 *   - A wake-up is never lost: a task that parks on a child that has ended meanwhile is queued.
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
}

export type SubmitOutcome =
  | { readonly at: 'accepted' }
  /** The id was there already. Whether it is the same task is for the caller to say. */
  | { readonly at: 'known'; readonly task: TaskRecord }
  /** The store holds `limit` unfinished tasks. */
  | { readonly at: 'full'; readonly limit: number }
  /** The parent's run no longer holds its lease. */
  | { readonly at: 'stale' };

export interface ClaimCommand {
  readonly wants: readonly { readonly kind: string; readonly limit: number }[];
  readonly leaseUntilMs: number;
  readonly nowMs: number;
}

/** A task under lease. Order: ahead of new work first (`resumed`), then priority, then arrival. */
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
    }
  | { readonly at: 'stale' };

export interface RememberItem extends Held, Remembered {}

export interface RenewItem extends Held {
  readonly leaseUntilMs: number;
}

/** How a run ended, as one fenced item of a `settle` command. */
export type Settlement = Held & { readonly outcome: SettledOutcome };

export type SettledOutcome =
  /** `sends` are submitted in the same transaction; an id that is there already is left alone. */
  | { readonly at: 'completed'; readonly result: string | null; readonly sends: readonly NewTask[] }
  | { readonly at: 'retry'; readonly error: string; readonly readyAtMs: number }
  | { readonly at: 'failed' | 'dead'; readonly error: string }
  /**
   * Gives lease and attempt back. Queued again, ahead of new work, as soon as one of `children`
   * has ended (also when it has already) or `wakeAtMs` has come.
   */
  | { readonly at: 'parked'; readonly reason: string; readonly children: readonly string[]; readonly wakeAtMs: number | null }
  /** Gives the lease back unused, or the attempt too when the run had started: a graceful stop is free. */
  | { readonly at: 'released' }
  /** The worker died under the run: queued again ahead of new work, or dead when losses are used up. */
  | { readonly at: 'lost'; readonly error: string };

/** `status` is where the task is now: a lost run may have ended it. */
export type SettleOutcome = { readonly at: 'settled'; readonly status: TaskStatus } | { readonly at: 'stale' };

export interface SettleReply {
  readonly outcomes: readonly SettleOutcome[];
  /** Kinds that have got something to claim by this command. A hint: polling is the truth. */
  readonly ready: readonly string[];
}

export interface SweepReply {
  /** Kinds that have got something to claim. */
  readonly ready: readonly string[];
  /** Tasks whose lease had run out: back in the queue, or dead. */
  readonly expired: readonly (Held & { readonly status: TaskStatus })[];
  /** When the next retry or parked task comes due, null when there is none. */
  readonly nextAtMs: number | null;
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
}

export type TaskCounts = Readonly<Record<TaskStatus, number>>;

export interface OpenCommand {
  readonly nowMs: number;
  /** Unfinished tasks that the store accepts; `submit` then answers `full`. Children are exempt. */
  readonly maxUnfinished: number;
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

export interface Store {
  /** What it is, for logs and errors, e.g. `sqlite:inbox.db`. */
  readonly name: string;
  /** Becomes the one owner. Rejects with `DROVER_STORE_OWNED` when another process owns it. */
  open(command: OpenCommand): Promise<Opened>;
  submit(tasks: readonly NewTask[], nowMs: number): Promise<readonly SubmitOutcome[]>;
  claim(command: ClaimCommand): Promise<readonly ClaimedTask[]>;
  start(items: readonly Held[], nowMs: number): Promise<readonly StartOutcome[]>;
  /** `false` where the fence was stale. A place that is remembered already keeps its first value. */
  remember(items: readonly RememberItem[], nowMs: number): Promise<readonly boolean[]>;
  /** `false` where the fence was stale, or the lease had run out already. */
  renew(items: readonly RenewItem[], nowMs: number): Promise<readonly boolean[]>;
  settle(items: readonly Settlement[], nowMs: number): Promise<SettleReply>;
  /** Takes back leases that have run out, and queues what has come due. */
  sweep(nowMs: number): Promise<SweepReply>;
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
  /** Waits for commands under way, then lets go of everything. Later commands reject. */
  close(): Promise<void>;
}
