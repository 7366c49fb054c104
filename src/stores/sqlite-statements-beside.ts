/** The SQL over what lies beside the tasks: what runs remember and wait for, locks, rows of state, stories, and what processes share. */
import type { DatabaseSync } from 'node:sqlite';
import { RowsStatement } from './sqlite-rows-statement.ts';
import type { PrepareRows } from './sqlite-rows-statement.ts';
import { FIRST_TERMINAL, STATUS } from './task-status.ts';

/** A row of state up to this many characters comes with the start of a run that is going to read it. */
const LONGEST_BROUGHT = 1_000;

/** A part of `prepareStatements`. */
export function prepareBesideStatements(db: DatabaseSync, rows: PrepareRows) {
  return {
    remember: new RowsStatement(db, '(?,?,?,?,?,?)', (values) => `insert into memory values ${values} on conflict do nothing`),
    rememberAgain: db.prepare('replace into memory values (?,?,?,?,?,?)'),
    memories: new RowsStatement(
      db,
      '?',
      (seqs) => `select task, place, hash, value, failed, version from memory where task in (${seqs}) order by task, place`,
    ),
    rememberedAt: rows('select value from memory where task = ? and place = ?'),
    /** Those whose name begins so; the third is the first name that does not any more. */
    anyRemembered: rows('select exists (select 1 from memory where task = ? and place >= ? and place < ?)'),
    forgetRemembered: db.prepare('delete from memory where task = ? and place >= ? and place < ?'),
    forgetFailure: db.prepare('delete from memory where task = ? and place = ? and failed = 1'),
    forgetMemory: new RowsStatement(db, '?', (seqs) => `delete from memory where task in (${seqs})`),

    addWaits: new RowsStatement(
      db,
      '(?,?,?)',
      (values) => `insert into wait values ${values} on conflict do update set fence = excluded.fence`,
    ),
    anyWait: rows('select exists (select 1 from wait)'),
    takeWaits: new RowsStatement(db, '?', (ids) => `delete from wait where child in (${ids}) returning child, parent, fence`),
    endedOf: new RowsStatement(db, '?', (ids) => `select id from task where id in (${ids}) and status >= ${FIRST_TERMINAL}`),
    anyGather: rows('select exists (select 1 from gather)'),
    setGather: new RowsStatement(db, '(?,?,?,?)', (values) => `replace into gather values ${values}`),
    /** Of those that still wait under the same fence, and when they come due. */
    gathersOf: new RowsStatement(
      db,
      '?',
      (seqs) => `select g.task, g.fence, g.gather_ms, g.missing, t.at_ms from gather g join task t on t.seq = g.task and t.fence = g.fence
      where g.task in (${seqs}) and t.status = ${STATUS.parked} and t.parked_for <> 'operator'`,
    ),
    endGather: db.prepare('delete from gather where task = ?'),

    tell: db.prepare('insert into event values (?, ?, ?, ?, ?, ?)'),
    anyEvent: rows('select exists (select 1 from event)'),
    told: rows('select coalesce(max(at) + 1, 0) from event where task = ?'),
    toldOf: rows('select coalesce(max(n) + 1, 0) from event where task = ? and name = ?'),
    toldWith: rows('select value from event where task = ? and name = ? and key = ?'),
    hasEvent: rows('select exists (select 1 from event where task = ? and name = ? and n = ?)'),
    events: new RowsStatement(db, '?', (seqs) => `select task, name, n, value from event where task in (${seqs}) order by task, at`),
    // What came under a key may come once more.
    forgetEvents: new RowsStatement(db, '?', (seqs) => `delete from event where key is null and task in (${seqs})`),
    addEventWait: db.prepare('insert into event_wait values (?, ?, ?, ?) on conflict do update set fence = excluded.fence'),
    anyEventWait: rows('select exists (select 1 from event_wait)'),
    takeEventWait: rows('delete from event_wait where task = ? and name = ? and n = ? returning fence'),
    forgetEventWaits: new RowsStatement(db, '?', (seqs) => `delete from event_wait where task in (${seqs})`),

    ask: db.prepare(
      'insert into approval (task, name, request, asked_ms, expires_ms, state) values (?, ?, ?, ?, ?, 1) on conflict do nothing',
    ),
    decide: db.prepare(`update approval set state = 0 where task = ? and name = ? and state = 1
      and not exists (select 1 from task t where t.seq = approval.task and t.undo is not null)`),
    withdrawApproval: db.prepare('delete from approval where task = ? and name = ? and state = 1'),
    expiredApproval: rows(`select expires_ms from approval where task = ? and name = ? and state = 1 and expires_ms <= ?
      and not exists (select 1 from task t where t.seq = approval.task and t.undo is not null)`),
    anyApproval: rows('select exists (select 1 from approval)'),
    approvals: rows(`select t.id, t.kind, a.name, a.request, a.asked_ms, a.expires_ms, a.seq
      from approval a indexed by approval_open join task t on t.seq = a.task where a.state = 1 and a.seq > ? and t.undo is null and (a.expires_ms is null or a.expires_ms > ?) order by a.seq limit ?`),
    closeApprovals: new RowsStatement(db, '?', (seqs) => `update approval set state = 2 where state = 1 and task in (${seqs})`),
    openApprovals: db.prepare('update approval set state = 1 where state = 2 and task = ?'),
    forgetApprovals: new RowsStatement(db, '?', (seqs) => `delete from approval where task in (${seqs})`),

    lockHolders: rows('select task, wants, token from lock'),
    lockWaiters: rows('select task, wants, since_ms, passed, woken_ms from lock_wait'),
    hold: new RowsStatement(db, '(?,?,?)', (values) => `replace into lock values ${values}`),
    letGo: new RowsStatement(db, '?', (seqs) => `delete from lock where task in (${seqs})`),
    stand: new RowsStatement(db, '(?,?,?,?,?)', (values) => `replace into lock_wait values ${values}`),
    leaveLine: new RowsStatement(db, '?', (seqs) => `delete from lock_wait where task in (${seqs})`),

    state: rows('select version, value from state where key = ?'),
    /** Of these keys, the rows that are there; without the value where it is long. */
    shortRows: new RowsStatement(
      db,
      '?',
      (keys) => `select key, version, iif(length(value) <= ${LONGEST_BROUGHT}, value, null) from state where key in (${keys})`,
    ),
    states: rows('select key, version, value from state where key >= ? and key > ? and key <= ? order by key limit ?'),
    stateVersion: rows('select version from state where key = ?'),
    setState: new RowsStatement(db, '(?,?,?)', (values) => `replace into state values ${values}`),
    deleteState: db.prepare('delete from state where key = ?'),

    tenantsOf: rows(
      `select tenant, count(*) from task not indexed where kind = ? and status < ${FIRST_TERMINAL} and tenant <> '' group by tenant`,
    ),
    family: rows('select n from family where root = ?'),
    setFamily: db.prepare('replace into family values (?, ?)'),
    endFamily: db.prepare('delete from family where root = ?'),

    paused: rows('select kind from paused'),
    pause: db.prepare('insert into paused values (?) on conflict do nothing'),
    unpause: db.prepare('delete from paused where kind = ?'),

    worker: rows('insert into worker (name) values (?) on conflict (name) do update set name = excluded.name returning id'),

    append: rows('insert into story select ?1, coalesce(max(n), 0) + 1, ?2 from story where task = ?1 returning n'),
    cut: db.prepare('delete from story where task = ? and n <= ?'),
    story: rows('select entry from story where task = ? order by n'),
    storyOf: rows(`select seq, status, submitted_ms, fence, claimed_ms, started_ms, at_ms,
      (select w.name from worker w where w.id = task.worker) from task where id = ?`),

    putSchedule: db.prepare(`insert into schedule (name, plan, next_ms) values (?, ?, ?)
      on conflict do update set plan = excluded.plan, next_ms = excluded.next_ms`),
    removeSchedule: db.prepare('delete from schedule where name = ?'),
    schedules: rows('select name, plan, next_ms, last_id, last_ms from schedule order by name'),
    dueSchedules: rows(`select name, plan, next_ms, last_id, last_ms from schedule indexed by schedule_next
      where next_ms <= ? order by next_ms limit ?`),
    nextSchedule: rows('select min(next_ms) from schedule indexed by schedule_next where next_ms > ?'),
    fire: db.prepare('update schedule set next_ms = ?, last_id = coalesce(?, last_id), last_ms = ? where name = ? and next_ms = ?'),

    userLease: rows('select holder, fence, until_ms from lease where name = ?'),
    grantLease: db.prepare('replace into lease (name, holder, fence, until_ms, ttl_ms) values (?, ?, ?, ?, ?)'),
    endLease: db.prepare('delete from lease where name = ?'),
    forgetLeases: db.prepare('delete from lease where until_ms <= ?'),
    cutLeases: db.prepare('update lease set until_ms = ?1 + ttl_ms where until_ms > ?1 + ttl_ms'),
    joinLine: rows(`insert into lease_line (name, holder, until_ms, ttl_ms) values (?, ?, ?, ?)
      on conflict (name, holder) do update set until_ms = excluded.until_ms, ttl_ms = excluded.ttl_ms returning seq`),
    placeInLine: rows('select seq from lease_line where name = ? and holder = ?'),
    aheadInLine: rows('select count(*) from lease_line indexed by lease_line_name where name = ? and seq < ? and until_ms > ?'),
    firstInLine: rows('select holder, until_ms from lease_line indexed by lease_line_name where name = ? order by seq limit 1'),
    quitLine: db.prepare('delete from lease_line where name = ? and holder = ?'),
    forgetLine: db.prepare('delete from lease_line where until_ms <= ?'),
    cutLine: db.prepare('update lease_line set until_ms = ?1 + ttl_ms where until_ms > ?1 + ttl_ms'),

    taken: rows('select taken_nano_usd, taken_tokens from budget where scope = ? and period_start_ms = ?'),
    setTaken: db.prepare(`insert into budget values (?, ?, ?, ?) on conflict do update
      set taken_nano_usd = excluded.taken_nano_usd, taken_tokens = excluded.taken_tokens`),
    forgetPeriods: db.prepare('delete from budget where scope = ? and period_start_ms < ?'),
    forgetScope: db.prepare('delete from budget where scope = ?'),

    /** One that is there keeps its place. */
    register: rows(`insert into intent (gate, holder, until_ms, ttl_ms) values (?, ?, ?, ?)
      on conflict (gate, holder) do update set until_ms = excluded.until_ms, ttl_ms = excluded.ttl_ms returning seq`),
    ahead: rows('select count(*) from intent indexed by intent_gate where gate = ? and seq < ? and until_ms > ?'),
    withdraw: db.prepare('delete from intent where gate = ? and holder = ?'),
    forgetIntents: db.prepare('delete from intent where until_ms <= ?'),
    cutIntents: db.prepare('update intent set until_ms = ?1 + ttl_ms where until_ms > ?1 + ttl_ms'),
  };
}
