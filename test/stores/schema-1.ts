/** The first schema that was released, as it was then: databases that have it are still out there. */
export const SCHEMA_1 = `
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
  pragma application_id = 1146246738;
  pragma user_version = 1;
`;
