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
 * for the end. One that could not be undone is dead, and keeps what it remembers: `requeue` puts it
 * back to be undone.
 *
 * A task that ends, also one that is to be undone first, takes along those whom it has asked (`parent`) and who have not ended:
 * by the same command they are cancelled, and those whom they have asked. Of a run under lease that is noted, as an operator's
 * cancel is; who is being undone already goes on with that. Their stories say who ordered it: the operator, or `drover`, with
 * how that task has ended as the reason. The children of a task that is only retried or parked are not touched, nor is what it
 * has sent.
 *
 * Promises every adapter keeps (the conformance suite in `test/stores` holds them to it):
 *   - When a command's promise resolves, its effects are committed, and synced where there is a disk.
 *   - When it rejects, nothing of it has happened, or (`StoreFailedError`) nobody can know; every
 *     command may be sent again.
 *   - The fence of a task only grows, over restarts too. (A backup that is put back counts on from where it
 *     was: no store can know. The same is true of tokens, epochs and versions.) A command that carries an older fence is
 *     answered `stale` and changes nothing; the other items of its batch are not disturbed.
 *   - A wake-up is never lost: a task that parks on what is there already is queued.
 *   - Of the tasks with one order key, only the oldest unfinished one is ever queued or held; one that
 *     is parked for a child, an event or an approval lets the next one by, for that may be what it
 *     waits for.
 *   - No two runs hold locks that exclude each other. Each start's locks carry one token, greater than
 *     every token before it. A run that lets go of its lease, however, has let go of its locks, unless
 *     its task is to be undone now: who is to be undone keeps what it holds while it is queued,
 *     retried and run, over restarts and losses, until it has ended. A run that parks, or a task that is parked,
 *     for whatever reason, lets go, and then gets its locks like anybody else. So nobody waits for others
 *     with locks in his hand: what it holds is all that it needs.
 *   - Whoever waits for locks is passed by at most `mostPassed` younger ones that take what it wants,
 *     while it is there to be run: one that is parked for its turn (`order`) meanwhile has left the line,
 *     one that is to be undone meanwhile has not. Some grants are drawn to be the last that passes.
 *
 * Times are milliseconds of the caller's clock. Payloads (`input`, `result`, `value`, `error`) are
 * texts (JSON), opaque to the store.
 */
import type { OperatorStore } from './store/operator.ts';
import type { KindLimits, QueueStore } from './store/queue.ts';
import type { RecordStore } from './store/record.ts';
import type { RowStore } from './store/rows.ts';
import type { RunStore } from './store/run.ts';
import type { ScheduleStore } from './store/schedules.ts';
import type { ShareStore } from './store/shares.ts';

export { MOST_EVENTS } from './store/operator.ts';
export type {
  Approval,
  ApprovalQuery,
  ApprovalRequest,
  ApprovalWithdrawal,
  Decision,
  Signal,
  SignalOutcome,
  SteerAction,
  SteerOutcome,
  SteerReply,
  Steering,
  OperatorStore,
} from './store/operator.ts';
export { AGING_MS, MOST_BEGUN, MOST_PASSED } from './store/queue.ts';
export type {
  ClaimCommand,
  ClaimedTask,
  ForgetCommand,
  ForgetReply,
  KindLimits,
  SubmitOutcome,
  SweepReply,
  QueueStore,
} from './store/queue.ts';
export { STORY_LENGTH } from './store/record.ts';
export type { StoryEntry, TaskCounts, TaskRecord, RecordStore } from './store/record.ts';
export type { StateRead, StateReadOutcome, StateRow, StateSeen, StateWrite, StateWriteOutcome, RowStore } from './store/rows.ts';
export type {
  ChildRecord,
  RememberItem,
  Remembered,
  RenewItem,
  SettleOutcome,
  SettleReply,
  SettledOutcome,
  Settlement,
  StartItem,
  StartOutcome,
  TaskEvent,
  RunStore,
} from './store/run.ts';
export type { Firing, Schedule, ScheduleStore } from './store/schedules.ts';
export type {
  BudgetGrant,
  BudgetReturn,
  BudgetTake,
  BudgetTaken,
  Intent,
  IntentOutcome,
  LeaseHeld,
  LeaseOutcome,
  LeaseRecord,
  LeaseRequest,
  ShareStore,
} from './store/shares.ts';
export { isTerminal } from './store/task.ts';
export type { EndedStatus, Held, LockWant, NewTask, TaskStatus } from './store/task.ts';

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
  /** At least 1, default `MOST_BEGUN`. */
  readonly mostBegun?: number;
  /** By kind: unfinished tasks that are accepted of it, children exempt (default: no limit); and shares of tenants (default 1 each). */
  readonly kinds?: Readonly<Record<string, KindLimits>>;
}

export interface Opened {
  /** Grows with each owner. Leases of older epochs have been taken back, their runs counted as lost. */
  readonly epoch: number;
  /** Runs of a former owner that were taken back. Of claims whose runs had not started, nothing may be known: no matter, their tasks are queued. */
  readonly recovered: number;
}

/** All of it: one owner, one file or database. */
export interface Store extends RowStore, RunStore, OperatorStore, ScheduleStore, RecordStore, QueueStore, ShareStore {
  /** What it is, for logs and errors, e.g. `sqlite:inbox.db`. */
  readonly name: string;
  /** Becomes the one owner. Rejects with `DROVER_STORE_OWNED` when another process owns it. */
  open(command: OpenCommand): Promise<Opened>;
  /** Waits for commands under way, then lets go of everything. Later commands reject. */
  close(): Promise<void>;
}
