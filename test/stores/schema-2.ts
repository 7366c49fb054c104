import { SCHEMA_1 } from './schema-1.ts';

/** The second schema that was released, as it was then: databases that have it are still out there. */
export const SCHEMA_2 = `
  ${SCHEMA_1}
  create table budget (
    scope text not null, period_start_ms integer not null,
    taken_nano_usd integer not null, taken_tokens integer not null,
    primary key (scope, period_start_ms)
  ) strict, without rowid;
  create table intent (
    seq integer primary key,
    gate text not null,
    holder text not null,
    until_ms real not null,
    unique (gate, holder)
  ) strict;
  create index intent_gate on intent (gate, seq, until_ms);
  create index intent_until on intent (until_ms);
  pragma user_version = 2;
`;
