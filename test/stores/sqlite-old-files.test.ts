import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SCHEMA_VERSION } from '../../src/stores/sqlite-schema.ts';
import { take } from './conformance/budgets.ts';
import { SqlitePlace } from './conformance/sqlite-place.ts';
import { SCHEMA_1 } from './schema-1.ts';
import { SCHEMA_2 } from './schema-2.ts';
import { newTask } from './tasks.ts';

let place: SqlitePlace;
beforeEach(() => void (place = new SqlitePlace()));
afterEach(() => place.remove());

const command = { nowMs: 5_000, maxUnfinished: 20 };
const wants = [{ kind: 'triage', limit: 9 }];
const lease = { leaseUntilMs: 9_000, nowMs: 5_000 };

/**
 * Two tasks queued, the later one more urgent; one running under its second fence, and what it
 * remembers; one parked for a child that runs, one for a time; one that is retried, and one that failed.
 */
function makeOld(schema: string): void {
  const db = new DatabaseSync(place.path);
  db.exec(schema);
  const insert = db.prepare(`insert into task
    (seq, id, status, attempt, fence, at_ms, parked_for, parent, place, priority, error, kind, version, max_attempts, max_losses, depth, submitted_ms, input)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'triage', '1', 3, 3, 0, 1000, '{}')`);
  insert.run(1, 'old', 10, 0, 0, 1_000, null, null, null, 0, null);
  insert.run(2, 'run', 12, 1, 2, 9_000, null, null, null, 0, null);
  insert.run(3, 'parent', 21, 0, 1, null, 'child', null, null, 0, null);
  insert.run(4, 'child', 12, 1, 1, 9_000, null, 'parent', 'ask#1', 0, null);
  insert.run(5, 'timed', 21, 0, 1, 7_000, 'time', null, null, 0, null);
  insert.run(6, 'again', 20, 1, 1, 6_000, null, null, null, 0, '{}');
  insert.run(7, 'bad', 31, 3, 3, 2_000, null, null, null, 0, '{"name":"Error"}');
  insert.run(8, 'urgent', 10, 0, 0, 1_000, null, null, null, 5, null);
  db.exec(`
    pragma journal_mode = wal;
    update owner set epoch = 7;
    insert into wait values ('child', 3, 1);
    insert into tally values ('triage', 10, 2), ('triage', 12, 2), ('triage', 21, 2), ('triage', 20, 1), ('triage', 31, 1);
    insert into memory values (2, 'call:model#1', 'h', '"paid"');
  `);
  db.close();
}

for (const [version, schema] of [
  [1, SCHEMA_1],
  [2, SCHEMA_2],
] as const) {
  describe(`a database of schema ${version}`, () => {
    beforeEach(() => makeOld(schema));

    test('is opened, and keeps its epoch, its tasks, their order and what they remember', async () => {
      const store = place.store();
      expect(await store.open(command)).toEqual({ epoch: 8, recovered: 2 });
      const claimed = await store.claim({ wants, ...lease });
      expect(claimed.map(({ id, fence }) => [id, fence])).toEqual([
        ['run', 8],
        ['child', 8],
        ['urgent', 8],
        ['old', 8],
      ]);
      const [started] = await store.start([claimed[0]!], 5_000);
      expect(started).toMatchObject({ at: 'started', memory: [{ place: 'call:model#1', value: '"paid"' }] });
      await store.close();
    });

    test('goes on: a parent hears of its child, what is due is queued, and what has failed can be put back', async () => {
      const store = place.store();
      await store.open(command);
      const claimed = await store.claim({ wants, ...lease });
      const child = claimed.find(({ id }) => id === 'child')!;
      await store.start([child], 5_000);
      await store.settle([{ ...child, outcome: { at: 'completed', result: '1', sends: [] } }], 5_000);
      expect((await store.get(['parent']))[0]?.status).toBe('queued');
      expect((await store.sweep(7_500)).ready).toEqual(['triage']);
      await store.steer([{ id: 'bad', action: 'requeue', by: 'me', reason: null }], 7_500);
      const again = await store.claim({ wants, leaseUntilMs: 99_000, nowMs: 7_500 });
      expect(again.map(({ id }) => id)).toEqual(['parent', 'timed', 'bad', 'again']);
      const [started] = await store.start([again[0]!], 7_500);
      expect(started).toMatchObject({ at: 'started', children: [{ id: 'child', place: 'ask#1', status: 'completed', result: '1' }] });
      await store.close();
    });

    test('tells what is left of the story of an old task', async () => {
      const store = place.store();
      await store.open(command);
      expect(await store.story('bad')).toEqual([{ at: 'submitted', atMs: 1_000 }]);
      expect((await store.story('run')).map(({ at }) => at)).toEqual(['submitted', 'run']);
      await store.close();
    });

    test('has all that is new from then on, and is of the newest schema', async () => {
      let store = place.store();
      await store.open(command);
      expect(await store.takeBudget([take({ wantNanoUsd: 60 })])).toMatchObject([{ nanoUsd: 60 }]);
      expect(await store.registerIntents([{ gate: 'g', holder: 'h', most: 1, untilMs: 9e9 }], 0)).toEqual([{ at: 'proceed' }]);
      const locks = [{ resource: 'r', mode: 'write' as const }];
      expect(await store.submit([newTask('new', { locks, orderKey: 'k', tenant: 't' })], 5_000)).toEqual([{ at: 'accepted' }]);
      expect(await store.setState([{ key: 's', value: '1', version: null }], 5_000)).toMatchObject([{ at: 'written' }]);
      await store.close();
      const db = new DatabaseSync(place.path, { readOnly: true });
      expect(db.prepare('pragma user_version').get()).toEqual({ user_version: SCHEMA_VERSION });
      expect(db.prepare('pragma integrity_check').get()).toEqual({ integrity_check: 'ok' });
      db.close();
      store = place.store();
      expect(await store.open(command)).toEqual({ epoch: 9, recovered: 0 });
      expect(await store.takeBudget([take({ wantNanoUsd: 60 })])).toMatchObject([{ nanoUsd: 40 }]);
      expect((await store.get(['new']))[0]).toMatchObject({ status: 'queued', locks, orderKey: 'k', tenant: 't' });
      expect(await store.getState(['s'])).toMatchObject([{ value: '1' }]);
      expect((await store.counts())['triage']).toMatchObject({ queued: 5, parked: 2, retrying: 1, failed: 1 });
      await store.close();
    });
  });
}

test('of a lease of schema 3 it is not known for how long it was given: under a clock that is behind it lasts half a minute', async () => {
  let store = place.store();
  await store.open({ ...command, nowMs: 9e6 });
  const request = { name: 'n', holder: 'dead', ttlMs: 60_000, waitUntilMs: null };
  await store.takeLeases([request], 9e6);
  await store.close();
  const db = new DatabaseSync(place.path);
  for (const table of ['lease', 'lease_line', 'intent']) db.exec(`alter table ${table} drop column ttl_ms`);
  db.exec('alter table owner drop column latest_ms; pragma user_version = 3');
  db.close();
  store = place.store();
  await store.open(command);
  expect(await store.readLeases(['n'], command.nowMs)).toMatchObject([{ holder: 'dead', untilMs: command.nowMs + 30_000 }]);
  await store.close();
});

test('an upgrade that was killed in the middle is done again from the beginning', async () => {
  makeOld(SCHEMA_2);
  const db = new DatabaseSync(place.path);
  db.exec('begin immediate; alter table task add column rank real not null default 0; drop index task_ready');
  // As far as it came; then its process is gone.
  db.close();
  const store = place.store();
  expect(await store.open(command)).toMatchObject({ epoch: 8 });
  expect((await store.claim({ wants, ...lease })).map(({ id }) => id)).toContain('old');
  await store.close();
});
