/** Faults that generated histories have found, each as a small test. */
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ClaimedTask, NewTask } from '../../actors/ports/store.ts';
import type { SqliteStore } from '../../src/stores/sqlite.ts';
import { InlineThread } from './conformance/inline-thread.ts';
import { SqlitePlace } from './conformance/sqlite-place.ts';
import { KIND, newTask } from './tasks.ts';

let place: SqlitePlace;
let store: SqliteStore;
beforeEach(async () => {
  place = new SqlitePlace({}, { makeThread: (name, path) => new InlineThread(name, path) });
  store = place.store();
  await store.open({ nowMs: 0, maxUnfinished: 100 });
});
afterEach(async () => {
  await store.close();
  await place.remove();
});

const claim = (limit = 9): Promise<readonly ClaimedTask[]> =>
  store.claim({ wants: [{ kind: KIND, limit }], leaseUntilMs: 9_000, nowMs: 0 });

async function running(id: string, changes: Partial<NewTask> = {}): Promise<ClaimedTask> {
  await store.submit([newTask(id, changes)], 0);
  const [run] = await claim();
  await store.start([run!], 0);
  return run!;
}

test('a tenant whose only task left the queue before the kind was first claimed is claimed of when it has another', async () => {
  await store.submit([newTask('a', { tenant: 't' })], 0);
  await store.steer([{ id: 'a', action: 'pause', by: 'me', reason: null }], 0);
  expect(await claim()).toEqual([]);
  await store.submit([newTask('b', { tenant: 't' })], 0);
  expect((await claim()).map(({ id }) => id)).toEqual(['b']);
});

test('a task that dies while it is undone asks nobody any more', async () => {
  const run = await running('a');
  await store.remember([{ ...run, place: 'compensate:pay', hash: '', value: '' }], 0);
  await store.askApproval([{ ...run, name: 'ok', request: '"may I?"', expiresAtMs: null }], 0);
  await store.settle([{ ...run, outcome: { at: 'failed', error: '{}' } }], 0);
  expect(await store.approvals({ limit: 9, nowMs: 0 })).toEqual([]);
  const [undoing] = await claim();
  await store.start([undoing!], 0);
  expect((await store.settle([{ ...undoing!, outcome: { at: 'dead', error: '{}' } }], 0)).outcomes).toEqual([
    { at: 'settled', status: 'dead' },
  ]);
  expect(await store.approvals({ limit: 9, nowMs: 0 })).toEqual([]);
});

test('what is known already is answered as it stands after the command, in its place in the line of its key', async () => {
  await store.submit([newTask('head', { orderKey: 'k' })], 0);
  const outcomes = await store.submit([newTask('next', { orderKey: 'k' }), newTask('next', { orderKey: 'k' })], 0);
  expect(outcomes).toMatchObject([{ at: 'accepted' }, { at: 'known', task: { status: 'parked', parkedFor: 'order' } }]);
});

test('a run that was not told to undo cannot say that it has undone: it still holds its lease', async () => {
  const run = await running('a');
  expect((await store.settle([{ ...run, outcome: { at: 'undone' } }], 0)).outcomes).toEqual([{ at: 'stale' }]);
  expect((await store.settle([{ ...run, outcome: { at: 'completed', result: null, sends: [] } }], 0)).outcomes).toEqual([
    { at: 'settled', status: 'completed' },
  ]);
});

test('what a file calls `resume` that was written before is told as `unpause`', async () => {
  await store.submit([newTask('a')], 0);
  for (const action of ['pause', 'unpause'] as const) await store.steer([{ id: 'a', action, by: 'me', reason: null }], 0);
  await store.close();
  const db = new DatabaseSync(place.path);
  db.exec(`update story set entry = replace(entry, '"unpause"', '"resume"')`);
  db.close();
  store = place.store();
  await store.open({ nowMs: 0, maxUnfinished: 100 });
  expect(await store.story('a')).toMatchObject([{ at: 'submitted' }, { action: 'pause' }, { action: 'unpause' }]);
});
