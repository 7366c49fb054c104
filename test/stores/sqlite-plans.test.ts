/** Neither a claim nor a sweep may get slower by what is stored: no plan of the hot statements scans or sorts. */
import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { migrate, SCHEMA_VERSION } from '../../src/stores/sqlite-schema.ts';
import { prepareStatements } from '../../src/stores/sqlite-statements.ts';
import { STATUS } from '../../src/stores/task-status.ts';

/** Collects the SQL of everything that is prepared. */
function statementsOf(db: DatabaseSync): string[] {
  const collected: string[] = [];
  const collecting = {
    prepare: (sql: string): StatementSync => {
      collected.push(sql);
      return db.prepare(sql);
    },
  } as DatabaseSync;
  const statements = prepareStatements(collecting);
  for (const status of [STATUS.leased, STATUS.running, STATUS.failed, STATUS.dead]) statements.list(status, undefined);
  statements.list(undefined, 'mail');
  statements.list(STATUS.parked, 'mail', 'operator');
  return collected;
}

test('every statement finds its rows by an index, and in order', () => {
  const db = new DatabaseSync(':memory:');
  migrate(db);
  const bad: string[] = [];
  for (const sql of statementsOf(db)) {
    if (!/^\s*(select|update|insert|delete)/.test(sql)) continue;
    const plan = db.prepare(`explain query plan ${sql}`).all() as unknown as { detail: string }[];
    for (const { detail } of plan) {
      const harmless =
        /^SCAN (new|tally|owner|CONSTANT ROW|\d+-ROW VALUES)/.test(detail) ||
        // Whether there is any row at all; and what is read as a whole: when the file has changed, or by somebody who asks for all.
        (sql.startsWith('select exists (select 1 from ') && !sql.includes('where')) ||
        /^SCAN (lock|lock_wait|paused|schedule)\b/.test(detail) ||
        // Once, when the owner wants another worth of priority than the one before.
        sql.startsWith('update task set rank') ||
        // Once, when the file is opened: leases and intents that a clock ahead has given.
        / set until_ms = \?1 \+ ttl_ms /.test(sql) ||
        // Once, when the file is opened, of a kind that bounds its tenants.
        sql.startsWith('select tenant, count(*) from task') ||
        // An index that holds only the rows that are wanted is read from its start.
        /^SCAN task USING (COVERING )?INDEX task_(lease|due|boxed)/.test(detail) ||
        detail.startsWith('SCAN a USING INDEX approval_open');
      if (!harmless && (detail.startsWith('SCAN') || detail.includes('TEMP B-TREE')))
        bad.push(`${detail}: ${sql.replaceAll(/\s+/g, ' ').slice(0, 90)}`);
    }
  }
  expect(bad).toEqual([]);
});

test('a migration that fails leaves the file as it was', () => {
  const db = new DatabaseSync(':memory:');
  db.exec('create table memory (in_the_way)');
  expect(() => migrate(db)).toThrow('memory already exists');
  expect(db.prepare('select name from sqlite_schema').all()).toEqual([{ name: 'memory' }]);
  expect(db.prepare('pragma user_version').get()).toEqual({ user_version: 0 });
  db.exec('drop table memory');
  migrate(db);
  migrate(db);
  expect(db.prepare('pragma user_version').get()).toEqual({ user_version: SCHEMA_VERSION });
});
