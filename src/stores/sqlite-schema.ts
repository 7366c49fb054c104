/**
 * Schema of a Drover database, and the steps from one version of it to the next.
 *
 * One row a task. It is written once at submit and then moves through its columns; four partial
 * indexes hold only the rows that somebody still looks for, so that neither a claim nor a sweep
 * gets slower by what has ended:
 *
 *     task_ready  queued, best first, by kind      one entry in at submit, out at claim
 *     task_lease  leased and running                in at claim, out at settle
 *     task_due    retrying, and parked with a time
 *     task_ended_badly                             for people who look
 *
 * `seq` is the order of arrival, `status` a number of `STATUS`, `parent` the id of the parent. `at_ms`
 * is the time that belongs to the status: queued since, leased until, due at (null: when something
 * else happens), ended at. One column for all of them, set from the start, so that a claim and a
 * start leave a row as long as it was: SQLite then writes it in its place.
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
