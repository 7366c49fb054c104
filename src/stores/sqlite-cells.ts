/**
 * Cells: what passes with every task between the store and its thread, as flat arrays of texts and
 * numbers: an array of objects takes three times as long to copy. What few tasks have is one cell,
 * an object, that is null for the others.
 */
import type {
  ClaimedTask,
  LockWant,
  NewTask,
  RememberItem,
  RenewItem,
  SettledOutcome,
  Settlement,
  StartItem,
  StartOutcome,
} from '../../actors/ports/store.ts';
import type { Arrival, HeldRow, HeldTask, RememberRow, RowOutcome, SettledRow, StartRow } from './sqlite-held.ts';
import type { LockedRow, RowsStarted } from './sqlite-starts.ts';
import { optionsOf, parseOptions } from './sqlite-rows.ts';
import type { BestRow } from './sqlite-rows.ts';

/** Texts, numbers, and lists of them. */
export type Cells = readonly unknown[];

const NOTHING: readonly never[] = [];

/** In place of a text that is the same as in the item before: kinds and versions mostly are. */
const SAME = 0;

/** Finds the row of a task by its id: 0 when it was never claimed. */
export type SeqOf = (id: string) => number;

/** New tasks, row after row: ten cells, three more where there is a parent. */
export function encodeTasks(tasks: readonly NewTask[], seqOf: SeqOf): Cells {
  const cells: unknown[] = [];
  let lastKind: string | undefined;
  let lastVersion: string | undefined;
  for (const task of tasks) {
    const { id, kind, version, input, priority, maxAttempts, maxLosses, depth, parent } = task;
    const options = optionsOf(task);
    cells.push(
      id,
      kind === lastKind ? SAME : kind,
      version === lastVersion ? SAME : version,
      input,
      priority,
      maxAttempts,
      maxLosses,
      depth,
      options === null ? null : JSON.stringify(options),
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
  for (let at = 0; at < cells.length; at += 10) {
    if (cells[at + 1] !== SAME) kind = cells[at + 1] as string;
    if (cells[at + 2] !== SAME) version = cells[at + 2] as string;
    const json = cells[at + 8] as string | null;
    const task = {
      id: cells[at] as string,
      kind,
      version,
      input: cells[at + 3] as string,
      priority: cells[at + 4] as number,
      maxAttempts: cells[at + 5] as number,
      maxLosses: cells[at + 6] as number,
      depth: cells[at + 7] as number,
      options: parseOptions(json),
      json,
    };
    const parentId = cells[at + 9] as string | null;
    if (parentId === null) {
      tasks.push(task);
    } else {
      const parent = { id: parentId, seq: cells[at + 10] as number, fence: cells[at + 11] as number, place: cells[at + 12] as string };
      tasks.push({ ...task, parent });
      at += 3;
    }
  }
  return tasks;
}

/** The end of the lease is the caller's: it is not sent back. `rareOf` finds what few tasks have. */
export function encodeClaimed(rows: readonly BestRow[], heldOf: (row: BestRow) => Pick<HeldTask, 'fence' | 'options'>): Cells {
  const cells: unknown[] = [];
  let lastKind: string | undefined;
  let lastVersion: string | undefined;
  for (const row of rows) {
    const kind = row[2];
    const version = row[3];
    const { fence, options } = heldOf(row);
    cells.push(
      row[0],
      row[1],
      kind === lastKind ? SAME : kind,
      version === lastVersion ? SAME : version,
      row[4],
      row[5],
      row[13],
      fence,
      row[7],
      row[8],
    );
    if (options === null) cells.push(PLAIN);
    else cells.push(options.rootId ?? null, options.tenant ?? null, options.affinity ?? null, options.deadlineMs ?? null);
    lastKind = kind;
    lastVersion = version;
  }
  return cells;
}

/** In place of the first of the options: there are none. */
const PLAIN = 0;

/** `learn` hears the row of each. */
export function decodeClaimed(cells: Cells, leaseUntilMs: number, learn: (id: string, seq: number) => void): ClaimedTask[] {
  const claimed: ClaimedTask[] = [];
  let kind = '';
  let version = '';
  for (let at = 0; at < cells.length; at += 11) {
    const id = cells[at + 1] as string;
    learn(id, cells[at] as number);
    if (cells[at + 2] !== SAME) kind = cells[at + 2] as string;
    if (cells[at + 3] !== SAME) version = cells[at + 3] as string;
    const isPlain = cells[at + 10] === PLAIN;
    claimed.push({
      id,
      kind,
      version,
      input: cells[at + 4] as string,
      priority: cells[at + 5] as number,
      rank: cells[at + 6] as number,
      fence: cells[at + 7] as number,
      depth: cells[at + 8] as number,
      parentId: cells[at + 9] as string | null,
      leaseUntilMs,
      rootId: isPlain ? null : (cells[at + 10] as string | null),
      tenant: isPlain ? null : (cells[at + 11] as string | null),
      affinity: isPlain ? null : (cells[at + 12] as string | null),
      deadlineMs: isPlain ? null : (cells[at + 13] as number | null),
    });
    if (!isPlain) at += 3;
  }
  return claimed;
}

/** Runs that are to start, three cells each. */
export function encodeStarts(items: readonly StartItem[], seqOf: SeqOf): Cells {
  const cells: unknown[] = [];
  for (const { id, fence, worker } of items) cells.push(seqOf(id), fence, worker ?? null);
  return cells;
}

export function decodeStarts(cells: Cells): StartRow[] {
  const rows: StartRow[] = [];
  for (let at = 0; at < cells.length; at += 3) {
    rows.push({ seq: cells[at] as number, fence: cells[at + 1] as number, worker: cells[at + 2] as string | null });
  }
  return rows;
}

type Started = Extract<RowsStarted, { at: 'started' }>;

/** In place of an attempt: the answer follows as an object. */
const AS_OBJECT = -1;

/** In place of a lock's mode: one for writing, and what its row is follows, as version and value; or there is none. */
const WRITE_WITH_ROW = 2;
const WRITE_WITHOUT_ROW = 3;

/** Answers to starts: a first run brings only numbers, its locks and their rows. */
export function encodeStarted(outcomes: readonly RowsStarted[]): Cells {
  const cells: unknown[] = [];
  let last: StartOutcome | undefined;
  for (const outcome of outcomes) {
    if (outcome === last) cells.push(SAME);
    else if (outcome.at === 'started' && isFirst(outcome)) {
      cells.push(outcome.attempt, outcome.losses, outcome.lockFence, outcome.locks.length);
      outcome.locks.forEach(({ resource, mode }, at) => encodeLock(resource, mode, outcome.rows?.[at], cells));
    } else cells.push(AS_OBJECT, outcome);
    last = outcome;
  }
  return cells;
}

function encodeLock(resource: string, mode: LockWant['mode'], row: LockedRow | undefined, cells: unknown[]): void {
  if (row === undefined) cells.push(resource, mode === 'write');
  else if (row === null) cells.push(resource, WRITE_WITHOUT_ROW);
  else cells.push(resource, WRITE_WITH_ROW, row.version, row.value);
}

/** `learn` hears the row of a lock, of which start, where it came with it. */
export function decodeStarted(cells: Cells, learn: (start: number, key: string, row: LockedRow) => void): StartOutcome[] {
  const outcomes: StartOutcome[] = [];
  for (let at = 0; at < cells.length;) {
    const attempt = cells[at++] as number;
    if (attempt === SAME) outcomes.push(outcomes.at(-1)!);
    else if (attempt === AS_OBJECT) outcomes.push(cells[at++] as StartOutcome);
    else {
      const losses = cells[at++] as number;
      const lockFence = cells[at++] as number;
      const count = cells[at++] as number;
      const locks: LockWant[] = [];
      for (let lock = 0; lock < count; lock += 1) {
        const resource = cells[at++] as string;
        const mode = cells[at++];
        locks.push({ resource, mode: mode === false ? 'read' : 'write' });
        if (mode === WRITE_WITH_ROW) learn(outcomes.length, resource, { version: cells[at++] as number, value: cells[at++] as string });
        else if (mode === WRITE_WITHOUT_ROW) learn(outcomes.length, resource, null);
      }
      outcomes.push({ at: 'started', attempt, losses, memory: NOTHING, children: NOTHING, events: NOTHING, locks, lockFence, undo: null });
    }
  }
  return outcomes;
}

/** Nothing is remembered of it, as for most: its attempt is 1 or more. */
function isFirst({ attempt, memory, children, events, undo }: Started): boolean {
  return attempt > 0 && undo === null && memory.length + children.length + events.length === 0;
}

/** What runs remember, eight cells each. */
export function encodeRemember(items: readonly RememberItem[], seqOf: SeqOf): Cells {
  const cells: unknown[] = [];
  for (const { id, fence, place, hash, value, failed, version, replace } of items)
    cells.push(seqOf(id), fence, place, hash, value, failed === true, version, replace === true);
  return cells;
}

export function decodeRemember(cells: Cells): RememberRow[] {
  const rows: RememberRow[] = [];
  for (let at = 0; at < cells.length; at += 8) {
    const version = cells[at + 6] as string | undefined;
    rows.push({
      seq: cells[at] as number,
      fence: cells[at + 1] as number,
      place: cells[at + 2] as string,
      hash: cells[at + 3] as string,
      value: cells[at + 4] as string,
      failed: cells[at + 5] as boolean,
      ...(version === undefined ? {} : { version }),
      replace: cells[at + 7] as boolean,
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
const OUTCOMES = [
  'completed',
  'retry',
  'failed',
  'dead',
  'parked',
  'released',
  'lost',
  'undone',
] as const satisfies readonly SettledOutcome['at'][];
const OUTCOME = { completed: 0, retry: 1, failed: 2, dead: 3, parked: 4, released: 5, lost: 6, undone: 7 } as const satisfies Record<
  SettledOutcome['at'],
  number
>;

/** Each as row, fence, what happened, up to one text, one number and one list that belong to it, and one object for the rest. */
export function encodeSettlements(items: readonly Settlement[], seqOf: SeqOf): Cells {
  const cells: unknown[] = [];
  for (const { id, fence, outcome } of items) {
    cells.push(seqOf(id), fence, OUTCOME[outcome.at]);
    switch (outcome.at) {
      case 'completed':
        cells.push(outcome.result, null, outcome.sends.length === 0 ? null : encodeTasks(outcome.sends, seqOf), rowsOf(outcome));
        break;
      case 'retry':
        cells.push(outcome.error, outcome.readyAtMs, outcome.failures ?? null, outcome.forget ?? null);
        break;
      case 'failed':
        cells.push(outcome.error, null, outcome.failures ?? null, outcome.keeps ?? null);
        break;
      case 'dead':
        cells.push(outcome.error, null, outcome.failures ?? null, null);
        break;
      case 'lost':
        cells.push(outcome.error, null, null, null);
        break;
      case 'parked':
        cells.push(outcome.reason, outcome.wakeAtMs, outcome.children, waitsOf(outcome));
        break;
      case 'released':
        cells.push(outcome.box ?? null, null, null, null);
        break;
      case 'undone':
        cells.push(null, null, null, null);
        break;
    }
  }
  return cells;
}

export function decodeSettlements(cells: Cells): SettledRow[] {
  const rows: SettledRow[] = [];
  for (let at = 0; at < cells.length; at += 7) {
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
      return {
        at,
        result: cells[from + 1] as string | null,
        sends: sends === null ? NOTHING : decodeTasks(sends),
        ...(cells[from + 4] as Rows | null),
      };
    }
    case 'retry': {
      const forget = cells[from + 4] as 'state' | 'everything' | null;
      return { at, error: text, readyAtMs: cells[from + 2] as number, ...failuresIn(cells, from), ...(forget === null ? {} : { forget }) };
    }
    case 'failed':
      return { at, error: text, ...failuresIn(cells, from), ...(cells[from + 4] === true ? { keeps: true } : {}) };
    case 'dead':
      return { at, error: text, ...failuresIn(cells, from) };
    case 'lost':
      return { at, error: text };
    case 'parked':
      return {
        at,
        reason: text,
        wakeAtMs: cells[from + 2] as number | null,
        children: cells[from + 3] as readonly string[],
        ...(cells[from + 4] as Waits | null),
      };
    case 'released': {
      const box = cells[from + 1] as string | null;
      return box === null ? { at } : { at, box };
    }
    case 'undone':
      return { at };
  }
}

function failuresIn(cells: Cells, from: number): { readonly failures?: readonly string[] } {
  const failures = cells[from + 3] as readonly string[] | null;
  return failures === null ? {} : { failures };
}

/** What a parked run waits for, or wants, beside children and a time. */
type Waits = Pick<Parked, 'events' | 'gatherMs' | 'locks'>;
type Parked = Extract<SettledOutcome, { at: 'parked' }>;

function waitsOf({ events, gatherMs, locks }: Parked): Waits | null {
  if (events === undefined && gatherMs === undefined && locks === undefined) return null;
  return {
    ...(events === undefined ? {} : { events: events.map(({ name, n }) => ({ name, n })) }),
    ...(gatherMs === undefined ? {} : { gatherMs }),
    ...(locks === undefined ? {} : { locks: locks.map(({ resource, mode }) => ({ resource, mode })) }),
  };
}

/** What a completion writes to rows, and has read of them. */
type Rows = Pick<Completed, 'writes' | 'reads'>;
type Completed = Extract<SettledOutcome, { at: 'completed' }>;

function rowsOf({ writes = NOTHING, reads = NOTHING }: Completed): Rows | null {
  if (writes.length === 0 && reads.length === 0) return null;
  return {
    ...(writes.length === 0 ? {} : { writes: writes.map(({ key, value, version }) => ({ key, value, version })) }),
    ...(reads.length === 0 ? {} : { reads: reads.map(({ key, version }) => ({ key, version })) }),
  };
}
