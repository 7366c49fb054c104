/**
 * Wire: what the store and its thread say to each other. What passes with every task goes as flat
 * arrays of texts and numbers: an array of objects takes three times as long to copy. An object that
 * many places of a reply share is copied once, so outcomes go as they are.
 */
import type {
  BudgetGrant,
  BudgetReturn,
  BudgetTake,
  BudgetTaken,
  ClaimCommand,
  ClaimedTask,
  Held,
  Intent,
  IntentOutcome,
  NewTask,
  OpenCommand,
  Opened,
  Remembered,
  RememberItem,
  RenewItem,
  SettledOutcome,
  SettleReply,
  Settlement,
  StartOutcome,
  Store,
  SubmitOutcome,
  SweepReply,
  TaskCounts,
  TaskRecord,
} from '../../actors/ports/store.ts';
import type { OpenFailure } from './sqlite-file.ts';
import type { Arrival, HeldRow, RowOutcome, SettledRow } from './sqlite-held.ts';
import type { BestRow } from './sqlite-rows.ts';

/** Texts, numbers, and lists of them. */
export type Cells = readonly unknown[];

/** What the thread is asked. */
export type Request =
  | { readonly op: 'open'; readonly command: OpenCommand }
  | { readonly op: 'submit'; readonly cells: Cells; readonly nowMs: number }
  | { readonly op: 'claim'; readonly command: ClaimCommand }
  | { readonly op: 'start'; readonly cells: Cells }
  | { readonly op: 'remember'; readonly cells: Cells }
  | { readonly op: 'renew'; readonly cells: Cells; readonly nowMs: number }
  | { readonly op: 'settle'; readonly cells: Cells; readonly nowMs: number }
  | { readonly op: 'sweep'; readonly nowMs: number }
  | { readonly op: 'get'; readonly ids: readonly string[] }
  | { readonly op: 'list'; readonly query: Parameters<Store['list']>[0] }
  | { readonly op: 'counts' }
  | { readonly op: 'take-budget'; readonly items: readonly BudgetTake[] }
  | { readonly op: 'return-budget'; readonly items: readonly BudgetReturn[] }
  | { readonly op: 'read-budgets'; readonly items: Parameters<Store['readBudgets']>[0] }
  | { readonly op: 'register-intents'; readonly items: readonly Intent[]; readonly nowMs: number }
  | { readonly op: 'withdraw-intents'; readonly items: Parameters<Store['withdrawIntents']>[0] }
  | { readonly op: 'close' };

/** What it answers to each. */
export interface Replies {
  /** And where the log is that must be synced before anything is acknowledged; none in memory. */
  open: Opened & { readonly log: string | undefined };
  submit: readonly SubmitOutcome[];
  claim: Cells;
  start: readonly StartOutcome[];
  remember: readonly boolean[];
  renew: readonly boolean[];
  settle: SettleReply;
  sweep: SweepReply;
  get: readonly (TaskRecord | undefined)[];
  /** Undefined when the task to go on after is not there. */
  list: readonly TaskRecord[] | undefined;
  counts: Readonly<Record<string, TaskCounts>>;
  'take-budget': readonly BudgetGrant[];
  'return-budget': void;
  'read-budgets': readonly BudgetTaken[];
  'register-intents': readonly IntentOutcome[];
  'withdraw-intents': void;
  close: undefined;
}

/** Why a command did not happen. */
export type Failure = OpenFailure | { readonly at: 'failed'; readonly cause: Error };

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
  | { readonly ticket: number; readonly value: Replies[keyof Replies] }
  | { readonly ticket: number; readonly failure: Failure };

/** In place of a text that is the same as in the item before: kinds and versions mostly are. */
const SAME = 0;

/** Finds the row of a task by its id: 0 when it was never claimed. */
export type SeqOf = (id: string) => number;

/** New tasks, row after row: nine cells, three more where there is a parent. */
export function encodeTasks(tasks: readonly NewTask[], seqOf: SeqOf): Cells {
  const cells: unknown[] = [];
  let lastKind: string | undefined;
  let lastVersion: string | undefined;
  for (const { id, kind, version, input, priority, maxAttempts, maxLosses, depth, parent } of tasks) {
    cells.push(
      id,
      kind === lastKind ? SAME : kind,
      version === lastVersion ? SAME : version,
      input,
      priority,
      maxAttempts,
      maxLosses,
      depth,
    );
    if (parent === undefined) cells.push(null);
    else cells.push(parent.id, seqOf(parent.id), parent.fence, parent.place);
    lastKind = kind;
    lastVersion = version;
  }
  return cells;
}

/** The inverse of `encodeTasks`, and so on below. */
export function decodeTasks(cells: Cells): Arrival[] {
  const tasks: Arrival[] = [];
  let kind = '';
  let version = '';
  for (let at = 0; at < cells.length; at += 9) {
    if (cells[at + 1] !== SAME) kind = cells[at + 1] as string;
    if (cells[at + 2] !== SAME) version = cells[at + 2] as string;
    const task = {
      id: cells[at] as string,
      kind,
      version,
      input: cells[at + 3] as string,
      priority: cells[at + 4] as number,
      maxAttempts: cells[at + 5] as number,
      maxLosses: cells[at + 6] as number,
      depth: cells[at + 7] as number,
    };
    const parentId = cells[at + 8] as string | null;
    if (parentId === null) {
      tasks.push(task);
    } else {
      const parent = { id: parentId, seq: cells[at + 9] as number, fence: cells[at + 10] as number, place: cells[at + 11] as string };
      tasks.push({ ...task, parent });
      at += 3;
    }
  }
  return tasks;
}

/** The end of the lease is the caller's: it is not sent back. */
export function encodeClaimed(rows: readonly BestRow[]): Cells {
  const cells: unknown[] = [];
  let lastKind: string | undefined;
  let lastVersion: string | undefined;
  for (const row of rows) {
    const kind = row[2];
    const version = row[3];
    cells.push(
      row[0],
      row[1],
      kind === lastKind ? SAME : kind,
      version === lastVersion ? SAME : version,
      row[4],
      row[5],
      row[6] + 1,
      row[7],
      row[8],
    );
    lastKind = kind;
    lastVersion = version;
  }
  return cells;
}

/** `learn` hears the row of each. */
export function decodeClaimed(cells: Cells, leaseUntilMs: number, learn: (id: string, seq: number) => void): ClaimedTask[] {
  const claimed: ClaimedTask[] = [];
  let kind = '';
  let version = '';
  for (let at = 0; at < cells.length; at += 9) {
    const id = cells[at + 1] as string;
    learn(id, cells[at] as number);
    if (cells[at + 2] !== SAME) kind = cells[at + 2] as string;
    if (cells[at + 3] !== SAME) version = cells[at + 3] as string;
    claimed.push({
      id,
      kind,
      version,
      input: cells[at + 4] as string,
      priority: cells[at + 5] as number,
      fence: cells[at + 6] as number,
      depth: cells[at + 7] as number,
      parentId: cells[at + 8] as string | null,
      leaseUntilMs,
    });
  }
  return claimed;
}

/** Runs, as row and fence. */
export function encodeHeld(items: readonly Held[], seqOf: SeqOf): Cells {
  const cells: unknown[] = [];
  for (const { id, fence } of items) cells.push(seqOf(id), fence);
  return cells;
}

export function decodeHeld(cells: Cells): HeldRow[] {
  const rows: HeldRow[] = [];
  for (let at = 0; at < cells.length; at += 2) rows.push({ seq: cells[at] as number, fence: cells[at + 1] as number });
  return rows;
}

/** What runs remember, five cells each. */
export function encodeRemember(items: readonly RememberItem[], seqOf: SeqOf): Cells {
  return items.flatMap(({ id, fence, place, hash, value }) => [seqOf(id), fence, place, hash, value]);
}

export function decodeRemember(cells: Cells): (HeldRow & Remembered)[] {
  const rows: (HeldRow & Remembered)[] = [];
  for (let at = 0; at < cells.length; at += 5) {
    rows.push({
      seq: cells[at] as number,
      fence: cells[at + 1] as number,
      place: cells[at + 2] as string,
      hash: cells[at + 3] as string,
      value: cells[at + 4] as string,
    });
  }
  return rows;
}

/** New ends of leases, three cells each. */
export function encodeRenew(items: readonly RenewItem[], seqOf: SeqOf): Cells {
  return items.flatMap(({ id, fence, leaseUntilMs }) => [seqOf(id), fence, leaseUntilMs]);
}

export function decodeRenew(cells: Cells): (HeldRow & { readonly leaseUntilMs: number })[] {
  const rows: (HeldRow & { readonly leaseUntilMs: number })[] = [];
  for (let at = 0; at < cells.length; at += 3) {
    rows.push({ seq: cells[at] as number, fence: cells[at + 1] as number, leaseUntilMs: cells[at + 2] as number });
  }
  return rows;
}

/** Outcomes by number. */
const OUTCOMES = ['completed', 'retry', 'failed', 'dead', 'parked', 'released', 'lost'] as const satisfies readonly SettledOutcome['at'][];
const OUTCOME = { completed: 0, retry: 1, failed: 2, dead: 3, parked: 4, released: 5, lost: 6 } as const satisfies Record<
  SettledOutcome['at'],
  number
>;

/** Each as row, fence, what happened, and up to one text, one number and one list that belong to it. */
export function encodeSettlements(items: readonly Settlement[], seqOf: SeqOf): Cells {
  const cells: unknown[] = [];
  for (const { id, fence, outcome } of items) {
    cells.push(seqOf(id), fence, OUTCOME[outcome.at]);
    switch (outcome.at) {
      case 'completed':
        cells.push(outcome.result, null, outcome.sends.length === 0 ? null : encodeTasks(outcome.sends, seqOf));
        break;
      case 'retry':
        cells.push(outcome.error, outcome.readyAtMs, null);
        break;
      case 'failed':
      case 'dead':
      case 'lost':
        cells.push(outcome.error, null, null);
        break;
      case 'parked':
        cells.push(outcome.reason, outcome.wakeAtMs, outcome.children);
        break;
      case 'released':
        cells.push(null, null, null);
        break;
    }
  }
  return cells;
}

export function decodeSettlements(cells: Cells): SettledRow[] {
  const rows: SettledRow[] = [];
  for (let at = 0; at < cells.length; at += 6) {
    rows.push({ seq: cells[at] as number, fence: cells[at + 1] as number, outcome: decodeOutcome(cells, at + 2) });
  }
  return rows;
}

function decodeOutcome(cells: Cells, from: number): RowOutcome {
  const at = OUTCOMES[cells[from] as number]!;
  const text = cells[from + 1] as string;
  switch (at) {
    case 'completed': {
      const sends = cells[from + 3] as Cells | null;
      return { at, result: cells[from + 1] as string | null, sends: sends === null ? [] : decodeTasks(sends) };
    }
    case 'retry':
      return { at, error: text, readyAtMs: cells[from + 2] as number };
    case 'failed':
    case 'dead':
    case 'lost':
      return { at, error: text };
    case 'parked':
      return { at, reason: text, wakeAtMs: cells[from + 2] as number | null, children: cells[from + 3] as readonly string[] };
    case 'released':
      return { at };
  }
}
