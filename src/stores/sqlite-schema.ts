/**
 * Schema of a Drover database, and the steps from one version of it to the next.
 *
 * One row a task. It is written once at submit and then moves through its columns; partial indexes
 * hold only the rows that somebody still looks for, so that neither a claim nor a sweep gets slower
 * by what has ended:
 *
 *     task_ready     queued, best first, by kind   one entry in at submit, out at claim
 *     task_lease     leased and running            in at claim, out at settle
 *     task_due       retrying, and parked with a time
 *     task_boxed     with a box, so queued: spilled there by a worker; named with the tenant (see `boxOf`)
 *     task_order     with an order key, so unfinished
 *     task_deadline  with a deadline, and not under lease
 *     task_ended_badly                             for people who look
 *
 * `seq` is the order of arrival, `status` a number of `STATUS`, `parent` the id of the parent. `at_ms`
 * is the time that belongs to the status: queued since, leased until, due at (null: when something
 * else happens), ended at. One column for all of them, set from the start like those of the latest
 * run, so that a claim and a start leave a row as long as it was: SQLite then writes it in its place.
 *
 * A task that has none of what only some tasks have (locks, events, a story beside its latest run)
 * has no row in any other table.
 */
import type { DatabaseSync } from 'node:sqlite';

/** `DRVR`, as SQLite's header keeps it: how a database is known to be Drover's. */
export const APPLICATION_ID = 0x44525652;

/** The input of a task up to this many characters lives in its row: longer ones would be rewritten with every step. */
export const LONGEST_INLINE_INPUT = 1_000;

/** Step n leads from version n to n + 1. A step that was released is never edited. */
const MIGRATIONS: readonly string[] = [
  `
  create table task (
    seq integer primary key,
    id text not null unique,
    kind text not null,
    version text not null,
    status integer not null,
    priority real not null,
    resumed integer not null default 0,
    attempt integer not null default 0,
    losses integer not null default 0,
    max_attempts integer not null,
    max_losses integer not null,
    fence integer not null default 0,
    depth integer not null,
    parent text,
    place text,
    at_ms real,
    parked_for text,
    submitted_ms real not null,
    -- null when it is long: then it is in long_input.
    input text,
    result text,
    error text
  ) strict;
  create index task_ready on task (kind, resumed desc, priority desc, seq) where status = 10;
  create index task_lease on task (seq) where status in (11, 12);
  create index task_due on task (at_ms) where status in (20, 21) and at_ms is not null;
  create index task_ended_badly on task (status, seq) where status >= 31;
  create index task_child on task (parent) where parent is not null;

  create table long_input (seq integer primary key, input text not null) strict;

  -- What runs remember.
  create table memory (
    task integer not null, place text not null, hash text not null, value text not null,
    primary key (task, place)
  ) strict, without rowid;

  -- Who is to be queued when \`child\` ends: the parent, while it is parked under that fence.
  create table wait (
    child text not null, parent integer not null, fence integer not null,
    primary key (child, parent)
  ) strict, without rowid;

  -- How many tasks of a kind are where, kept up by every transaction: counting never scans.
  create table tally (
    kind text not null, status integer not null, n integer not null,
    primary key (kind, status)
  ) strict, without rowid;

  create table owner (epoch integer not null) strict;
  insert into owner values (0);
  `,
  `
  -- What all processes have taken of a budget in a period, spent or not.
  create table budget (
    scope text not null, period_start_ms integer not null,
    taken_nano_usd integer not null, taken_tokens integer not null,
    primary key (scope, period_start_ms)
  ) strict, without rowid;

  -- Who stands at a gate, in order of \`seq\`, and until when it counts.
  create table intent (
    seq integer primary key,
    gate text not null,
    holder text not null,
    until_ms real not null,
    unique (gate, holder)
  ) strict;
  create index intent_gate on intent (gate, seq, until_ms);
  create index intent_until on intent (until_ms);
  `,
  `
  -- By which the tasks of one tenant are claimed: time of arrival, less what priority is worth.
  alter table task add column rank real not null default 0;
  alter table task add column tenant text not null default '';
  -- The latest run: when it was claimed and started, and the number of its worker.
  alter table task add column claimed_ms real not null default 0;
  alter table task add column started_ms real not null default 0;
  alter table task add column worker integer not null default 1000;
  -- 1 when it was told of an event: then even a first run does not begin with nothing.
  alter table task add column told integer not null default 0;
  -- JSON of what few tasks have and no statement looks for, see TaskOptions.
  alter table task add column options text;
  -- null as well where the key does not count, because an ancestor has the same, and when it has ended.
  alter table task add column order_key text;
  -- null again when it is to be undone.
  alter table task add column deadline_ms real;
  alter table task add column box text;
  -- The status and error with which it ends when it has been undone.
  alter table task add column undo integer;
  alter table task add column undo_error text;
  -- What an operator wants when its run lets go: 1 cancel, 2 pause.
  alter table task add column noted integer;
  update task set rank = submitted_ms - priority * 60000 where status < 30;

  drop index task_ready;
  create index task_ready on task (kind, resumed desc, tenant, rank, seq) where status = 10 and box is null;
  -- These two do not name the status: so a step that changes nothing else leaves them alone.
  create index task_boxed on task (kind, box, resumed desc, rank, seq) where box is not null;
  create index task_order on task (order_key, parked_for, seq) where order_key is not null;
  create index task_deadline on task (deadline_ms) where deadline_ms is not null and status in (10, 20, 21);

  alter table owner add column token integer not null default 0;
  alter table owner add column aging_ms real not null default 60000;

  -- 1 when \`value\` is the error that it failed with; the version of the code that brought it, if not the task's.
  alter table memory add column failed integer not null default 0;
  alter table memory add column version text;

  -- What a parked task waits for of several, once the first is there or before.
  create table gather (
    task integer primary key, fence integer not null, gather_ms real not null, missing integer not null
  ) strict;

  -- What tasks were told, in order of \`at\`.
  create table event (
    task integer not null, at integer not null, name text not null, n integer not null, key text, value text not null,
    primary key (task, at)
  ) strict, without rowid;
  create unique index event_name on event (task, name, n);
  create unique index event_key on event (task, name, key) where key is not null;
  create table event_wait (
    task integer not null, name text not null, n integer not null, fence integer not null,
    primary key (task, name, n)
  ) strict, without rowid;

  -- \`state\`: 0 decided, 1 asked, 2 asked by a task that has ended.
  create table approval (
    seq integer primary key,
    task integer not null,
    name text not null,
    request text not null,
    asked_ms real not null,
    expires_ms real,
    state integer not null,
    unique (task, name)
  ) strict;
  create index approval_open on approval (seq) where state = 1;

  -- Holders of locks and those in line, \`wants\` as JSON.
  create table lock (task integer primary key, token integer not null, wants text not null) strict;
  create table lock_wait (
    task integer primary key, wants text not null, since_ms real not null, passed integer not null, woken_ms real
  ) strict;

  create table state (key text primary key, version integer not null, value text not null) strict, without rowid;

  create table schedule (
    name text primary key, plan text not null, next_ms real not null, last_id text, last_ms real
  ) strict, without rowid;
  create index schedule_next on schedule (next_ms);

  create table lease (name text primary key, holder text not null, fence integer not null, until_ms real not null) strict, without rowid;
  create index lease_until on lease (until_ms);
  create table lease_line (
    seq integer primary key,
    name text not null,
    holder text not null,
    until_ms real not null,
    unique (name, holder)
  ) strict;
  create index lease_line_name on lease_line (name, seq);
  create index lease_line_until on lease_line (until_ms);

  create table paused (kind text primary key) strict, without rowid;

  -- Unfinished descendants of a task from outside.
  create table family (root text primary key, n integer not null) strict, without rowid;

  -- What the story of a task tells beside its row, an entry as JSON.
  create table story (
    task integer not null, n integer not null, entry text not null,
    primary key (task, n)
  ) strict, without rowid;

  -- Names of workers, from 1001: then all numbers take the same room in a row.
  create table worker (id integer primary key, name text not null unique) strict;
  insert into worker values (1000, '');
  `,
  `
  -- How long each lasts from when it was given or renewed: an owner whose clock is behind cuts \`until_ms\` to that. Of those
  -- from before this is not known; whoever had them was of an older Drover, and has gone.
  alter table lease add column ttl_ms real not null default 30000;
  alter table lease_line add column ttl_ms real not null default 30000;
  alter table intent add column ttl_ms real not null default 30000;
  `,
  `
  -- Its numbers are the cursors of lists: none is given twice.
  create table approval_next (
    seq integer primary key autoincrement,
    task integer not null,
    name text not null,
    request text not null,
    asked_ms real not null,
    expires_ms real,
    state integer not null,
    unique (task, name)
  ) strict;
  insert into approval_next select seq, task, name, request, asked_ms, expires_ms, state from approval;
  drop table approval;
  alter table approval_next rename to approval;
  create index approval_open on approval (seq) where state = 1;
  `,
  `
  -- How far the clock of its owners has been, to the minute.
  alter table owner add column latest_ms real not null default 0;
  `,
];

/** The version that this Drover writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Brings the schema up to date, in one transaction. A new file gets its schema before it becomes a
 * WAL database: so the header in the file itself says what it is, whatever happens next.
 */
export function migrate(db: DatabaseSync): void {
  const found = (db.prepare('pragma user_version').get() as { user_version: number }).user_version;
  if (found === SCHEMA_VERSION) return;
  db.exec('begin immediate');
  try {
    for (const step of MIGRATIONS.slice(found)) db.exec(step);
    db.exec(`pragma application_id = ${APPLICATION_ID}; pragma user_version = ${SCHEMA_VERSION}`);
    db.exec('commit');
  } catch (thrown) {
    if (db.isTransaction) db.exec('rollback');
    throw thrown;
  }
}
