/** The SQL over tasks, prepared once. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { NOTED } from './sqlite-rows.ts';
import { RowsStatement } from './sqlite-rows-statement.ts';
import type { PrepareRows } from './sqlite-rows-statement.ts';
import { prepareBesideStatements } from './sqlite-statements-beside.ts';
import { BEHIND_COMPENSATIONS, CLOCK_STEP_MS, COMPENSATION_PLACE, FIRST_TERMINAL, STATUS } from './task-status.ts';

// As the partial indexes have them.
const HELD = `${STATUS.leased}, ${STATUS.running}`;
const WAITING = `${STATUS.retrying}, ${STATUS.parked}`;
const UNHELD = `${STATUS.queued}, ${WAITING}`;
const UNFINISHED = `status < ${FIRST_TERMINAL}`;

/** The columns of a `TaskRecord`, in the order of a `RecordRow`. */
const RECORD = `id, kind, version, status,
  coalesce(input, (select l.input from long_input l where l.seq = task.seq)),
  result, error, priority, attempt, losses, max_attempts, max_losses, fence, depth,
  parent, parked_for, submitted_ms, at_ms, options,
  undo is not null and not (status >= ${FIRST_TERMINAL} and exists (select 1 from memory m
    where m.task = task.seq and m.place >= '${COMPENSATION_PLACE}' and m.place < '${BEHIND_COMPENSATIONS}')), noted`;

/** The columns of a `BestRow`. */
const BEST = `seq, id, kind, version, input, priority, fence, depth, parent, attempt, losses, max_losses, resumed, rank, told, options, undo`;

/** The columns of a `FreeRow`. */
const FREE = 'seq, id, kind, status, fence, losses, resumed, tenant, priority, parked_for, at_ms, undo, noted, options';

/** A placeholder of the length of a time: a claim and a start leave the row as long as it was. */
const SOME_MS = 1_000_000_000_000;

/** Every statement of the store, by what it does. */
export type Statements = ReturnType<typeof prepareStatements>;

/** Prepares them for a database that has the schema. They live as long as it is open. */
export function prepareStatements(db: DatabaseSync) {
  const rows: PrepareRows = (sql) => {
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

    nextEpoch: rows('update owner set epoch = epoch + 1 returning epoch, aging_ms, latest_ms'),
    raiseEpoch: db.prepare('update owner set epoch = max(epoch, ?)'),
    setAging: db.prepare('update owner set aging_ms = ?'),
    setLatest: db.prepare('update owner set latest_ms = ?'),
    advanceLatest: db.prepare(`update owner set latest_ms = ?1 where latest_ms + ${CLOCK_STEP_MS} <= ?1`),
    /** From one worth of a level of priority to another. A rank tells since when its task waits, unless the priority is beyond all bounds. */
    rankAgain: db.prepare(`update task set rank = coalesce(rank + priority * (?1 - ?2), submitted_ms - priority * ?2) where ${UNFINISHED}`),
    /** Nobody's waiting counts from later than that. */
    rankUpTo: db.prepare(`update task set rank = ?1 - priority * ?2 where ${UNFINISHED} and rank + priority * ?2 > ?1`),
    /** Nor is anybody tried again later than it was said to be, counted from then instead of from when it was claimed last. */
    retryUpTo: db.prepare(`update task indexed by task_due set at_ms = at_ms - (claimed_ms - ?1)
      where status in (${STATUS.retrying}, ${STATUS.parked}) and at_ms is not null and at_ms > ?1 and status + 0 = ${STATUS.retrying} and claimed_ms > ?1`),
    /** Its waiting counts from then on. */
    rankSince: db.prepare('update task set rank = ? - priority * ? where seq = ?'),
    emptyBoxes: db.prepare(`update task indexed by task_boxed set box = null where status = ${STATUS.queued} and box is not null`),
    token: rows('select token from owner'),
    setToken: db.prepare('update owner set token = ?'),
    lastSeq: rows('select coalesce(max(seq), 0) from task'),
    underLease: rows(`select seq, id, kind, fence, status, attempt, losses, max_losses, resumed, at_ms,
      tenant, priority, claimed_ms, started_ms, (select w.name from worker w where w.id = task.worker), options, undo, noted
      from task indexed by task_lease where status in (${HELD})`),
    inOrder: rows('select seq, parent is null, status, at_ms, submitted_ms from task where seq > ? order by seq limit ?'),
    /** These, and all that they have asked for and sent, and they in turn. */
    families: rows(`with recursive member (root, seq, id) as (
        select seq, seq, id from task where seq in (select value from json_each(?))
        union all select member.root, child.seq, child.id
        from member cross join task child indexed by task_child on child.parent = member.id and child.parent is not null)
      select member.root, task.seq, task.kind, task.status, task.at_ms, task.fence from member cross join task on task.seq = member.seq`),
    forgetTasks: [
      ...['memory', 'event', 'approval', 'story'].map((table) => `${table} where task`),
      ...['long_input', 'task'].map((table) => `${table} where seq`),
    ].map((of) => new RowsStatement(db, '?', (seqs) => `delete from ${of} in (${seqs})`)),
    tallies: rows('select kind, status, n from tally'),
    addTally: db.prepare('insert into tally values (?, ?, ?) on conflict do update set n = n + excluded.n'),

    insert: new RowsStatement(
      db,
      `(?1,?1,${SOME_MS},${SOME_MS},${STATUS.queued},?,?,?,?,?,?,?,?,?,?,?,?)`,
      (values) => `
      insert into task (submitted_ms, at_ms, claimed_ms, started_ms, status,
        seq, id, kind, version, priority, rank, max_attempts, max_losses, depth, parent, place, input)
      values ${values} on conflict (id) do nothing`,
    ),
    /** Those that have more than every task has. */
    insertMore: new RowsStatement(
      db,
      `(?1,${SOME_MS},${SOME_MS},${Array(19).fill('?').join(',')})`,
      (values) => `
      insert into task (submitted_ms, claimed_ms, started_ms, status, at_ms, parked_for, tenant, order_key, deadline_ms, options,
        seq, id, kind, version, priority, rank, max_attempts, max_losses, depth, parent, place, input)
      values ${values} on conflict (id) do nothing`,
    ),
    insertLongInput: db.prepare('insert into long_input values (?, ?)'),
    longInput: rows('select input from long_input where seq = ?'),
    seqOf: rows('select seq, status, undo from task where id = ?'),
    seqAfter: rows('select min(seq) from task where seq > ?'),
    idOf: rows('select id from task where seq = ?'),
    statusOf: rows('select status from task where seq = ?'),
    record: rows(`select ${RECORD} from task where id = ?`),
    /** The order key and parent of a task: whose descendant it is. */
    lineage: rows('select options, parent from task where id = ?'),
    free: rows(`select ${FREE} from task where seq = ?`),

    best: rows(`select ${BEST} from task indexed by task_ready
      where status = ${STATUS.queued} and box is null and kind = ? order by resumed desc, tenant, rank, seq limit ?`),
    bestOfTenant: rows(`select ${BEST} from task indexed by task_ready
      where status = ${STATUS.queued} and box is null and kind = ? and resumed = ? and tenant = ? order by rank, seq limit ?`),
    /** Of one tenant; so are the next two. */
    bestBoxed: rows(`select ${BEST} from task indexed by task_boxed
      where status = ${STATUS.queued} and box is not null and kind = ? and box = ? order by resumed desc, rank, seq limit ?`),
    bestBoxedOfBand: rows(`select ${BEST} from task indexed by task_boxed
      where status = ${STATUS.queued} and box is not null and kind = ? and box = ? and resumed = ? order by rank, seq limit ?`),
    hasBoxed: rows(`select exists (select 1 from task indexed by task_boxed
      where status = ${STATUS.queued} and box is not null and kind = ? and box = ? and resumed = ?)`),
    /** The next tenant that has something in a box, of those after one and before the end of the box. */
    nextBoxedTenant: rows(`select tenant from task indexed by task_boxed
      where status = ${STATUS.queued} and box is not null and kind = ? and box > ? and box < ? order by box limit 1`),
    /** The next tenant that has something to claim. */
    nextTenant: rows(`select tenant from task indexed by task_ready
      where status = ${STATUS.queued} and box is null and kind = ? and resumed = ? and tenant > ? order by tenant limit 1`),
    hasQueued: rows(`select exists (select 1 from task indexed by task_ready
      where status = ${STATUS.queued} and box is null and kind = ? and resumed = ? and tenant = ?)`),
    lease: new RowsStatement(
      db,
      '?',
      (seqs) => `
      update task set status = ${STATUS.leased}, fence = max(fence + 1, ?), at_ms = ?, claimed_ms = ? where seq in (${seqs})`,
    ),
    /** Each with times of its own. */
    leaseEach: new RowsStatement(
      db,
      '(?,?,?)',
      (values) => `
      update task set status = ${STATUS.leased}, fence = max(fence + 1, ?), at_ms = new.column2, claimed_ms = new.column3
      from (values ${values}) as new where seq = new.column1`,
    ),
    isQueued: rows(
      `select exists (select 1 from task where seq = ? and fence = ? and status = ${STATUS.queued} and resumed = 0 and box is null)`,
    ),
    emptyBox: new RowsStatement(db, '?', (seqs) => `update task set box = null where seq in (${seqs})`),
    unbox: rows(`update task indexed by task_boxed set box = null
      where status = ${STATUS.queued} and box is not null and kind = ? and box >= ? and box < ? returning tenant, resumed`),
    putIntoBox: db.prepare('update task set box = ? where seq = ?'),
    start: new RowsStatement(
      db,
      '(?,?)',
      (values) => `
      update task set status = ${STATUS.running}, attempt = attempt + 1, started_ms = ?, worker = new.column2
      from (values ${values}) as new where seq = new.column1`,
    ),
    /** Of those whose rows do not tell of their claims. */
    startClaimed: new RowsStatement(
      db,
      '(?,?,?,?)',
      (values) => `
      update task set status = ${STATUS.running}, fence = max(fence + 1, ?), attempt = attempt + 1, started_ms = ?, worker = new.column2,
        at_ms = new.column3, claimed_ms = new.column4
      from (values ${values}) as new where seq = new.column1`,
    ),
    renew: new RowsStatement(
      db,
      '(?,?)',
      (values) => `
      update task set at_ms = new.column2 from (values ${values}) as new where seq = new.column1`,
    ),
    setOptions: db.prepare('update task set options = ? where seq = ?'),
    setTold: db.prepare('update task set told = 1 where seq = ? and told = 0'),
    note: db.prepare('update task set noted = ? where seq = ?'),
    raise: db.prepare('update task set priority = ?1, rank = coalesce(rank + (priority - ?1) * ?2, submitted_ms - ?1 * ?2) where seq = ?3'),

    children: new RowsStatement(
      db,
      '?',
      (ids) =>
        `select parent, id, place, status, result, error, seq from task indexed by task_child where parent in (${ids}) order by parent, seq`,
    ),
    /** Which of these have asked somebody who has not ended. */
    leavesChildren: new RowsStatement(
      db,
      '?',
      (ids) => `select distinct parent from task indexed by task_child where parent in (${ids}) and ${UNFINISHED}`,
    ),
    unfinishedChildren: rows(`select seq from task indexed by task_child where parent = ? and ${UNFINISHED} order by seq`),
    /** Those that ended with it, or that it may have failed for: they are put back with it. Whose failure it remembers, it has gone past. */
    putBackWith: rows(`select seq from task indexed by task_child where parent = ?1
      and (status in (${STATUS.failed}, ${STATUS.dead}) or status = ${STATUS.cancelled} and noted = ${NOTED.withParent})
      and not exists (select 1 from memory m where m.task = ?2 and m.place = task.place and m.failed = 1) order by seq`),

    complete: new RowsStatement(
      db,
      '(?,?)',
      (values) => `
      update task set status = ${STATUS.completed}, result = new.column2, error = null, at_ms = ?
      from (values ${values}) as new where seq = new.column1`,
    ),
    /** The same, of those that have an order key. */
    completeInLine: new RowsStatement(
      db,
      '(?,?)',
      (values) => `
      update task set status = ${STATUS.completed}, result = new.column2, error = null, at_ms = ?, order_key = null
      from (values ${values}) as new where seq = new.column1`,
    ),
    end: new RowsStatement(
      db,
      '(?,?,?,?)',
      (values) => `
      update task set status = new.column2, losses = new.column3, error = new.column4, at_ms = ?,
        parked_for = null, box = null, noted = null, order_key = null
      from (values ${values}) as new where seq = new.column1`,
    ),
    /** Back to waiting for a worker, for a time or for somebody. */
    putBack: db.prepare(`update task set status = ?, resumed = ?, attempt = ?, losses = ?, error = coalesce(?, error),
      at_ms = ?, parked_for = ? where seq = ?`),
    /** The same, of one that was not held. */
    move: db.prepare('update task set status = ?, resumed = ?, at_ms = ?, parked_for = ?, box = null where seq = ?'),
    undo: db.prepare(`update task set status = ${STATUS.queued}, resumed = 1, attempt = 0, losses = 0, undo = ?, undo_error = ?,
      at_ms = ?, parked_for = null, box = null, noted = null, deadline_ms = null where seq = ?`),
    undoError: rows('select undo_error from task where seq = ?'),
    /** One that was kept as it stood has not ended any more: what becomes of it is written next. */
    reopen: db.prepare('update task set error = null, noted = null, order_key = ? where seq = ?'),
    /** What a task that has ended begins anew with; then it is moved. */
    requeue: db.prepare(`update task set attempt = 0, losses = 0, error = null, result = null, noted = null, order_key = ?,
      rank = min(submitted_ms, ?) - priority * ? where seq = ?`),

    wake: new RowsStatement(
      db,
      '(?,?)',
      (values) => `update task set status = ${STATUS.queued}, resumed = 1, at_ms = ?1, parked_for = null
      from (values ${values}) as new where seq = new.column1 and fence = new.column2
        and status = ${STATUS.parked} and parked_for <> 'operator' returning seq, kind, tenant, order_key`,
    ),
    wakeForLocks: rows(`update task set status = ${STATUS.queued}, resumed = 1, at_ms = ?, parked_for = null
      where seq = ? and status = ${STATUS.parked} and parked_for = 'locks' returning kind, tenant, order_key`),
    setDue: db.prepare('update task set at_ms = ? where seq = ?'),

    due: rows(`select ${FREE} from task indexed by task_due
      where status in (${WAITING}) and at_ms is not null and at_ms <= ? order by at_ms limit ?`),
    nextDue: rows(`select min(at_ms) from task indexed by task_due where status in (${WAITING}) and at_ms is not null`),
    overdue: rows(`select ${FREE} from task indexed by task_deadline
      where deadline_ms is not null and status in (${UNHELD}) and deadline_ms <= ? order by deadline_ms limit ?`),
    nextDeadline: rows(
      `select min(deadline_ms) from task indexed by task_deadline where deadline_ms is not null and status in (${UNHELD})`,
    ),

    anyOfKey: rows(`select exists (select 1 from task indexed by task_order where order_key = ? and ${UNFINISHED})`),
    /** Of these keys, those that somebody unfinished has. */
    keysInUse: new RowsStatement(
      db,
      '(?)',
      (keys) => `select new.column1 from (values ${keys}) as new
        where exists (select 1 from task indexed by task_order where order_key = new.column1 and ${UNFINISHED})`,
    ),
    /** Those of a key that do not wait, or are retried: never many. */
    ofKey: rows(`select ${FREE} from task indexed by task_order
      where order_key = ? and ${UNFINISHED} and parked_for is null order by seq`),
    /** The oldest of a key that is parked for this. */
    oldestParked: rows(`select ${FREE} from task indexed by task_order
      where order_key = ? and ${UNFINISHED} and parked_for = ? order by seq limit 1`),
    nextReason: rows(`select parked_for from task indexed by task_order
      where order_key = ? and ${UNFINISHED} and parked_for > ? order by parked_for limit 1`),

    /** Records between two rows, in order of arrival: by status where a partial index knows them. */
    list: listStatements(rows),

    ...prepareBesideStatements(db, rows),
  };
}

function listStatements(rows: PrepareRows): (status?: number, kind?: string, parkedFor?: string) => StatementSync {
  const prepared = new Map<string, StatementSync>();
  return (status, kind, parkedFor) => {
    const from =
      status === undefined
        ? 'task not indexed where seq > ? and seq <= ?'
        : status === STATUS.leased || status === STATUS.running
          ? `task indexed by task_lease where seq > ? and seq <= ? and status in (${HELD}) and status = ?`
          : status >= STATUS.failed
            ? `task indexed by task_ended_badly where seq > ? and seq <= ? and status >= ${STATUS.failed} and status = ?`
            : 'task not indexed where seq > ? and seq <= ? and status = ?';
    const ofKind = kind === undefined ? '' : ' and kind = ?';
    const forThat = parkedFor === undefined ? '' : ` and status = ${STATUS.parked} and parked_for = ?`;
    const sql = `select ${RECORD} from ${from}${ofKind}${forThat} order by seq limit ?`;
    let statement = prepared.get(sql);
    if (statement === undefined) prepared.set(sql, (statement = rows(sql)));
    return statement;
  };
}
