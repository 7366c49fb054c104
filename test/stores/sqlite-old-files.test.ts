import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SCHEMA_VERSION } from '../../src/stores/sqlite-schema.ts';
import { take } from './conformance/budgets.ts';
import { SqlitePlace } from './conformance/sqlite-place.ts';
import { SCHEMA_1 } from './schema-1.ts';
import { newTask } from './tasks.ts';

let place: SqlitePlace;
beforeEach(() => void (place = new SqlitePlace()));
afterEach(() => place.remove());

const command = { nowMs: 5_000, maxUnfinished: 10 };

/** A database of the first schema: one task queued, one running under its second fence, and what it remembers. */
function makeOld(): void {
  const db = new DatabaseSync(place.path);
  db.exec(SCHEMA_1);
  db.exec(`
    pragma journal_mode = wal;
    update owner set epoch = 7;
    insert into task (seq, id, kind, version, status, priority, max_attempts, max_losses, depth, at_ms, submitted_ms, input)
      values (1, 'old', 'triage', '1', 10, 0, 3, 3, 0, 1000, 1000, '{}');
    insert into task (seq, id, kind, version, status, priority, attempt, max_attempts, max_losses, fence, depth, at_ms, submitted_ms, input)
      values (2, 'run', 'triage', '1', 12, 0, 1, 3, 3, 2, 0, 9000, 1000, '{}');
    insert into tally values ('triage', 10, 1), ('triage', 12, 1);
    insert into memory values (2, 'call:model#1', 'h', '"paid"');
  `);
  db.close();
}

test('a database of the first schema is opened, and keeps its epoch, its tasks and what they remember', async () => {
  makeOld();
  const store = place.store();
  expect(await store.open(command)).toEqual({ epoch: 8, recovered: 1 });
  const claimed = await store.claim({ wants: [{ kind: 'triage', limit: 9 }], leaseUntilMs: 9_000, nowMs: 5_000 });
  expect(claimed.map(({ id, fence }) => [id, fence])).toEqual([
    ['run', 3],
    ['old', 1],
  ]);
  const [started] = await store.start([claimed[0]!], 5_000);
  expect(started).toMatchObject({ at: 'started', memory: [{ place: 'call:model#1', value: '"paid"' }] });
  await store.close();
});

test('a database of the first schema has budgets and intents from then on, and is of the newest', async () => {
  makeOld();
  let store = place.store();
  await store.open(command);
  expect(await store.takeBudget([take({ wantNanoUsd: 60 })])).toMatchObject([{ nanoUsd: 60 }]);
  expect(await store.registerIntents([{ gate: 'g', holder: 'h', most: 1, untilMs: 9e9 }], 0)).toEqual([{ at: 'proceed' }]);
  expect(await store.submit([newTask('new')], 5_000)).toEqual([{ at: 'accepted' }]);
  await store.close();
  const db = new DatabaseSync(place.path, { readOnly: true });
  expect(db.prepare('pragma user_version').get()).toEqual({ user_version: SCHEMA_VERSION });
  db.close();
  store = place.store();
  expect(await store.open(command)).toEqual({ epoch: 9, recovered: 0 });
  expect(await store.takeBudget([take({ wantNanoUsd: 60 })])).toMatchObject([{ nanoUsd: 40 }]);
  expect((await store.counts())['triage']).toMatchObject({ queued: 3 });
  await store.close();
});
