/**
 * The SQL of the store, prepared once. A statement over many rows costs half as much a row as one
 * statement a row, so whatever comes in batches has a `RowsStatement`.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { FIRST_TERMINAL, STATUS } from './task-status.ts';

/** What a column holds. */
export type Cell = string | number | null;

/** Sizes that every statement over many rows is prepared for, largest first. */
const SIZES = [100, 10, 1] as const;

/** One statement over any number of rows, run in pieces of the sizes that it is prepared for. */
export class RowsStatement {
  readonly #pieces: readonly { readonly rows: number; readonly statement: StatementSync }[];
  readonly #width: number;

  /** `sql` gets the placeholders of all rows, e.g. `(?,?),(?,?)`. */
  constructor(db: DatabaseSync, row: string, sql: (rows: string) => string) {
    this.#width = row.split('?').length - 1;
    this.#pieces = SIZES.map((rows) => ({ rows, statement: db.prepare(sql(Array<string>(rows).fill(row).join(','))) }));
  }

  /** `cells` are the rows one after the other; `first` is bound ahead of each piece. Returns how many rows changed. */
  run(cells: readonly Cell[], ...first: readonly Cell[]): number {
    let at = 0;
    let changed = 0;
    for (const { rows, statement } of this.#pieces) {
      const length = rows * this.#width;
      for (; cells.length - at >= length; at += length) {
        const piece = length === cells.length ? cells : cells.slice(at, at + length);
        changed += Number(statement.run(...first, ...piece).changes);
      }
    }
    return changed;
  }
}

// As the partial indexes have them.
const HELD = `${STATUS.leased}, ${STATUS.running}`;
const WAITING = `${STATUS.retrying}, ${STATUS.parked}`;

/** The columns of a `TaskRecord`, in its order. */
const RECORD = `id, kind, version, status,
  coalesce(input, (select l.input from long_input l where l.seq = task.seq)),
  result, error, priority, attempt, losses, max_attempts, max_losses, fence, depth,
  parent, parked_for, submitted_ms, case when status >= ${FIRST_TERMINAL} then at_ms end`;

/** Every statement of the store, by what it does. */
export type Statements = ReturnType<typeof prepareStatements>;

/** Prepares them for a database that has the schema. They live as long as it is open. */
export function prepareStatements(db: DatabaseSync) {
  const rows = (sql: string): StatementSync => {
    const statement = db.prepare(sql);
    statement.setReturnArrays(true);
    return statement;
  };
  return {
    begin: db.prepare('begin immediate'),
    commit: db.prepare('commit'),
    rollback: db.prepare('rollback'),
    dataVersion: rows('pragma data_version'),
    totalChanges: rows('select total_changes()'),

    nextEpoch: rows('update owner set epoch = epoch + 1 returning epoch'),
    lastSeq: rows('select coalesce(max(seq), 0) from task'),
    underLease: rows(`select seq, id, kind, fence, status, attempt, losses, max_losses, resumed, at_ms
      from task indexed by task_lease where status in (${HELD})`),
    tallies: rows('select kind, status, n from tally'),
    addTally: db.prepare('insert into tally values (?, ?, ?) on conflict do update set n = n + excluded.n'),

    insert: new RowsStatement(
      db,
      `(?,?,?,?,${STATUS.queued},?,?,?,?,?,?,?,?,?)`,
      (values) => `
      insert into task (seq, id, kind, version, status, priority, max_attempts, max_losses, depth, parent, place, submitted_ms, at_ms, input)
      values ${values} on conflict (id) do nothing`,
    ),
    insertLongInput: db.prepare('insert into long_input values (?, ?)'),
    longInput: rows('select input from long_input where seq = ?'),
    seqOf: rows('select seq, status from task where id = ?'),
    record: rows(`select ${RECORD} from task where id = ?`),

    best: rows(`select seq, id, kind, version, input, priority, fence, depth, parent,
      attempt, losses, max_losses, resumed
      from task indexed by task_ready where status = ${STATUS.queued} and kind = ?
      order by resumed desc, priority desc, seq limit ?`),
    lease: new RowsStatement(
      db,
      '?',
      (seqs) => `
      update task set status = ${STATUS.leased}, fence = fence + 1, at_ms = ? where seq in (${seqs})`,
    ),
    start: new RowsStatement(
      db,
      '?',
      (seqs) => `
      update task set status = ${STATUS.running}, attempt = attempt + 1 where seq in (${seqs})`,
    ),
    renew: new RowsStatement(
      db,
      '(?,?)',
      (values) => `
      update task set at_ms = new.column2 from (values ${values}) as new where seq = new.column1`,
    ),

    remember: new RowsStatement(db, '(?,?,?,?)', (values) => `insert into memory values ${values} on conflict do nothing`),
    memory: rows('select place, hash, value from memory where task = ?'),
    children: rows('select id, place, status, result, error from task indexed by task_child where parent = ? order by seq'),

    complete: new RowsStatement(
      db,
      '(?,?)',
      (values) => `
      update task set status = ${STATUS.completed}, result = new.column2, error = null, at_ms = ?
      from (values ${values}) as new where seq = new.column1`,
    ),
    end: new RowsStatement(
      db,
      '(?,?,?,?)',
      (values) => `
      update task set status = new.column2, losses = new.column3, error = new.column4, at_ms = ?
      from (values ${values}) as new where seq = new.column1`,
    ),
    /** Back to waiting for a worker, for a time or for a child. */
    putBack: db.prepare(`update task set status = ?, resumed = ?, attempt = ?, losses = ?, error = coalesce(?, error),
      at_ms = ?, parked_for = ? where seq = ?`),

    addWait: db.prepare('insert into wait values (?, ?, ?) on conflict do update set fence = excluded.fence'),
    anyWait: rows('select exists (select 1 from wait)'),
    takeWaits: rows('delete from wait where child = ? returning parent, fence'),
    wake: rows(`update task set status = ${STATUS.queued}, resumed = 1, at_ms = ?, parked_for = null
      where seq = ? and status = ${STATUS.parked} and fence = ? returning kind`),

    due: rows(`select seq, kind, status from task indexed by task_due
      where status in (${WAITING}) and at_ms is not null and at_ms <= ?`),
    queueDue: db.prepare(`update task set status = ${STATUS.queued}, resumed = ?, at_ms = ?, parked_for = null where seq = ?`),
    nextDue: rows(`select min(at_ms) from task indexed by task_due where status in (${WAITING}) and at_ms is not null`),

    taken: rows('select taken_nano_usd, taken_tokens from budget where scope = ? and period_start_ms = ?'),
    setTaken: db.prepare(`insert into budget values (?, ?, ?, ?) on conflict do update
      set taken_nano_usd = excluded.taken_nano_usd, taken_tokens = excluded.taken_tokens`),
    forgetPeriods: db.prepare('delete from budget where scope = ? and period_start_ms < ?'),
    forgetScope: db.prepare('delete from budget where scope = ?'),

    /** One that is there keeps its place. */
    register: rows(`insert into intent (gate, holder, until_ms) values (?, ?, ?)
      on conflict (gate, holder) do update set until_ms = excluded.until_ms returning seq`),
    ahead: rows('select count(*) from intent indexed by intent_gate where gate = ? and seq < ? and until_ms > ?'),
    withdraw: db.prepare('delete from intent where gate = ? and holder = ?'),
    forgetIntents: db.prepare('delete from intent where until_ms <= ?'),

    /** A page of records after a `seq`; by status alone where a partial index knows them, else in order of arrival. */
    list: listStatements(rows),
  };
}

function listStatements(rows: (sql: string) => StatementSync): (status: number | undefined, kind: string | undefined) => StatementSync {
  const prepared = new Map<string, StatementSync>();
  return (status, kind) => {
    const from =
      status === undefined
        ? 'task not indexed where seq > ?'
        : status === STATUS.leased || status === STATUS.running
          ? `task indexed by task_lease where seq > ? and status in (${HELD}) and status = ?`
          : status >= STATUS.failed
            ? `task indexed by task_ended_badly where seq > ? and status >= ${STATUS.failed} and status = ?`
            : 'task not indexed where seq > ? and status = ?';
    const sql = `select ${RECORD} from ${from}${kind === undefined ? '' : ' and kind = ?'} order by seq limit ?`;
    let statement = prepared.get(sql);
    if (statement === undefined) prepared.set(sql, (statement = rows(sql)));
    return statement;
  };
}
