/**
 * Wire: what the store and its thread say to each other. What passes with every task goes as cells,
 * see there. An object that many places of a reply share is copied once, so outcomes go as they are.
 */
import type {
  Approval,
  ApprovalQuery,
  ApprovalRequest,
  ApprovalWithdrawal,
  BudgetGrant,
  BudgetReturn,
  BudgetTake,
  BudgetTaken,
  ClaimCommand,
  Decision,
  ForgetCommand,
  ForgetReply,
  Intent,
  IntentOutcome,
  LeaseHeld,
  LeaseOutcome,
  LeaseRecord,
  LeaseRequest,
  OpenCommand,
  Opened,
  Schedule,
  SettleReply,
  Signal,
  SignalOutcome,
  StateReadOutcome,
  StateRow,
  StateWrite,
  StateWriteOutcome,
  Steering,
  SteerReply,
  Store,
  StoryEntry,
  SubmitOutcome,
  SweepReply,
  TaskCounts,
  TaskRecord,
} from '../../actors/ports/store.ts';
import type { Cells } from './sqlite-cells.ts';
import type { OpenFailure } from './sqlite-file.ts';
import type { ListQuery, Slice } from './sqlite-list.ts';
import type { Gone } from './sqlite-watch.ts';
import type { OfRow, StateReadRow } from './sqlite-held.ts';

/** What the thread is asked. */
export type Request =
  | { readonly op: 'open'; readonly command: OpenCommand }
  | { readonly op: 'submit'; readonly cells: Cells; readonly nowMs: number }
  | { readonly op: 'claim'; readonly command: ClaimCommand }
  | { readonly op: 'start'; readonly cells: Cells; readonly nowMs: number }
  | { readonly op: 'remember'; readonly cells: Cells }
  | { readonly op: 'renew'; readonly cells: Cells; readonly nowMs: number }
  | { readonly op: 'settle'; readonly cells: Cells; readonly nowMs: number }
  | { readonly op: 'sweep'; readonly nowMs: number }
  | { readonly op: 'unbox'; readonly items: Parameters<Store['unbox']>[0] }
  | { readonly op: 'forget'; readonly command: ForgetCommand }
  | { readonly op: 'read-state'; readonly items: readonly StateReadRow[] }
  | { readonly op: 'get-state'; readonly keys: readonly string[] }
  | { readonly op: 'list-state'; readonly query: Parameters<Store['listState']>[0] }
  | { readonly op: 'set-state'; readonly items: readonly StateWrite[] }
  | { readonly op: 'signal'; readonly items: readonly Signal[]; readonly nowMs: number }
  | { readonly op: 'ask-approval'; readonly items: readonly OfRow<ApprovalRequest>[]; readonly nowMs: number }
  | { readonly op: 'withdraw-approval'; readonly items: readonly OfRow<ApprovalWithdrawal>[] }
  | { readonly op: 'decide-approval'; readonly items: readonly Decision[]; readonly nowMs: number }
  | { readonly op: 'approvals'; readonly query: Required<ApprovalQuery> }
  | { readonly op: 'steer'; readonly items: readonly Steering[]; readonly nowMs: number }
  | { readonly op: 'pause-kinds'; readonly items: Parameters<Store['pauseKinds']>[0] }
  | { readonly op: 'paused-kinds' }
  | { readonly op: 'story'; readonly id: string }
  | { readonly op: 'put-schedules'; readonly items: Parameters<Store['putSchedules']>[0] }
  | { readonly op: 'remove-schedules'; readonly names: readonly string[] }
  | { readonly op: 'schedules' }
  | { readonly op: 'fire-schedules'; readonly items: readonly FiringCells[]; readonly nowMs: number }
  | { readonly op: 'get'; readonly ids: readonly string[] }
  | { readonly op: 'list'; readonly query: ListQuery }
  | { readonly op: 'counts' }
  | { readonly op: 'take-budget'; readonly items: readonly BudgetTake[] }
  | { readonly op: 'return-budget'; readonly items: readonly BudgetReturn[] }
  | { readonly op: 'read-budgets'; readonly items: Parameters<Store['readBudgets']>[0] }
  | { readonly op: 'register-intents'; readonly items: readonly Intent[]; readonly nowMs: number }
  | { readonly op: 'withdraw-intents'; readonly items: Parameters<Store['withdrawIntents']>[0] }
  | { readonly op: 'take-leases'; readonly items: readonly LeaseRequest[]; readonly nowMs: number }
  | { readonly op: 'renew-leases'; readonly items: Parameters<Store['renewLeases']>[0]; readonly nowMs: number }
  | { readonly op: 'release-leases'; readonly items: readonly LeaseHeld[]; readonly nowMs: number }
  | { readonly op: 'read-leases'; readonly names: readonly string[]; readonly nowMs: number }
  | { readonly op: 'close' };

/** A `Firing`, with its tasks as cells. */
export interface FiringCells {
  readonly name: string;
  readonly atMs: number;
  readonly nextAtMs: number;
  readonly tasks: Cells;
}

/** What it answers to each. */
export interface Replies {
  /** And where the log is that must be synced before anything is acknowledged; none in memory. */
  open: Opened & { readonly log: string | undefined };
  submit: readonly SubmitOutcome[];
  claim: Cells;
  start: Cells;
  remember: readonly boolean[];
  renew: readonly boolean[];
  settle: SettleReply;
  sweep: SweepReply;
  unbox: void;
  forget: ForgetReply;
  'read-state': readonly StateReadOutcome[];
  'get-state': readonly (StateRow | undefined)[];
  'list-state': readonly StateRow[];
  'set-state': readonly StateWriteOutcome[];
  signal: { readonly outcomes: readonly SignalOutcome[]; readonly ready: readonly string[] };
  'ask-approval': readonly boolean[];
  'withdraw-approval': readonly boolean[];
  'decide-approval': { readonly outcomes: readonly SignalOutcome[]; readonly ready: readonly string[] };
  approvals: readonly Approval[];
  steer: SteerReply;
  'pause-kinds': void;
  'paused-kinds': readonly string[];
  story: readonly StoryEntry[];
  'put-schedules': void;
  'remove-schedules': void;
  schedules: readonly Schedule[];
  'fire-schedules': { readonly fired: readonly boolean[]; readonly ready: readonly string[] };
  get: readonly (TaskRecord | undefined)[];
  /** Undefined when the task to go on after is not there. */
  list: Slice | undefined;
  counts: Readonly<Record<string, TaskCounts>>;
  'take-budget': readonly BudgetGrant[];
  'return-budget': void;
  'read-budgets': readonly BudgetTaken[];
  'register-intents': readonly IntentOutcome[];
  'withdraw-intents': void;
  'take-leases': readonly LeaseOutcome[];
  'renew-leases': readonly boolean[];
  'release-leases': readonly boolean[];
  'read-leases': readonly (LeaseRecord | undefined)[];
  close: undefined;
}

/** Why a command did not happen. */
export type Failure =
  | OpenFailure
  | ({ readonly at: 'removed' } & Gone)
  | { readonly at: 'failed'; readonly why?: string; readonly cause: Error };

/** A request on its way. */
export interface Envelope {
  readonly ticket: number;
  /** How many items the command has: bounds what is run in one transaction. */
  readonly size: number;
  readonly request: Request;
}

/** What the thread answers after a transaction. */
export interface Answers {
  readonly answers: readonly Answer[];
  /** Whether the transaction has written anything. */
  readonly wrote: boolean;
}

/** One of them. */
export type Answer =
  | {
      readonly ticket: number;
      readonly value: Replies[keyof Replies];
      /** It tells of the first so many commits since the opening, and of none after; not said: of all until now. */
      readonly since?: number;
    }
  | { readonly ticket: number; readonly failure: Failure };
