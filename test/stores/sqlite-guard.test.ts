/** What others do to the files of a store while it is in use is noticed, and nothing is said to be well that is not. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Store } from '../../actors/ports/store.ts';
import { InlineThread } from './conformance/inline-thread.ts';
import { SqlitePlace } from './conformance/sqlite-place.ts';
import { KIND, newTask } from './tasks.ts';

const OPEN = { nowMs: 0, maxUnfinished: 1_000_000 };

describe('the files of a store that is in use', () => {
  let place: SqlitePlace;
  let store: Store;
  let nowMs: number;
  const submitted: string[] = [];

  beforeEach(async () => {
    nowMs = 0;
    submitted.length = 0;
    place = new SqlitePlace({}, { makeThread: (name, path) => new InlineThread(name, path, () => nowMs) });
    store = place.store();
    await store.open(OPEN);
    await submit(300);
  });
  afterEach(async () => {
    await store.close().catch(() => {});
    await place.remove();
  });

  async function submit(count: number): Promise<void> {
    for (let at = 0; at < count; at += 1) {
      const id = `t${submitted.length}`;
      await store.submit([newTask(id, { input: 'x'.repeat(400) })], nowMs);
      submitted.push(id);
    }
  }

  /** What a fleet does at least each second, also when it is idle. */
  async function sweepASecondLater(): Promise<unknown> {
    nowMs += 1_000;
    return store.sweep(nowMs);
  }

  /** Changes a file in place. */
  function change(file: string, how: (descriptor: number, bytes: number) => void): void {
    const descriptor = openSync(file, 'r+');
    how(descriptor, statSync(file).size);
    closeSync(descriptor);
  }

  function isWhole(path: string): boolean {
    const db = new DatabaseSync(path, { readOnly: true });
    const [row] = db.prepare('pragma integrity_check(1)').all();
    db.close();
    return row?.['integrity_check'] === 'ok';
  }

  for (const suffix of ['', '-wal', '-shm', '-owner']) {
    const name = suffix === '' ? 'the database' : suffix;

    test(`${name}, removed, stops every command within a second, and is named`, async () => {
      rmSync(place.path + suffix);
      const removed = { code: 'DROVER_STORE_REMOVED', retryable: false, detail: { file: place.path + suffix, how: 'removed' } };
      await expect(sweepASecondLater()).rejects.toMatchObject(removed);
      await expect(store.submit([newTask('late')], 0)).rejects.toMatchObject(removed);
      await expect(store.close()).rejects.toMatchObject(removed);
    });

    test(`${name}, replaced by another of the same content, stops every command within a second`, async () => {
      copyFileSync(place.path + suffix, `${place.path}.new`);
      renameSync(`${place.path}.new`, place.path + suffix);
      await expect(sweepASecondLater()).rejects.toMatchObject({ code: 'DROVER_STORE_REMOVED', detail: { how: 'replaced' } });
    });
  }

  for (const bytes of [8_192, 100]) {
    test(`a database that was cut to ${bytes} bytes stops every command within a second, and is not written to`, async () => {
      new DatabaseSync(place.path).exec('pragma wal_checkpoint(restart)');
      await submit(10);
      await sweepASecondLater();
      change(place.path, (descriptor) => ftruncateSync(descriptor, bytes));
      const damaged = { code: 'DROVER_STORE_DAMAGED', message: expect.stringContaining('cut while it was in use') };
      await expect(sweepASecondLater()).rejects.toMatchObject(damaged);
      await expect(store.submit([newTask('late')], 0)).rejects.toMatchObject(damaged);
      await expect(store.close()).rejects.toMatchObject(damaged);
      expect(statSync(place.path).size).toBe(bytes);
    });
  }

  test('a database that was cut just before the end keeps the close from saying that all went well', async () => {
    new DatabaseSync(place.path).exec('pragma wal_checkpoint(restart)');
    await sweepASecondLater();
    change(place.path, (descriptor) => ftruncateSync(descriptor, 8_192));
    await expect(store.close()).rejects.toMatchObject({ code: 'DROVER_STORE_DAMAGED' });
  });

  test('a database that somebody has packed meanwhile is shorter, and whole', async () => {
    await store.settle(
      (await store.claim({ wants: [{ kind: KIND, limit: 300 }], leaseUntilMs: 9_000, nowMs })).map(({ id, fence }) => ({
        id,
        fence,
        outcome: { at: 'completed', result: null, sends: [] },
      })),
      nowMs,
    );
    const other = new DatabaseSync(place.path);
    other.exec('create table hoard (x); insert into hoard select randomblob(1000000); pragma wal_checkpoint(truncate)');
    await sweepASecondLater();
    const before = statSync(place.path).size;
    other.exec('drop table hoard; vacuum; pragma wal_checkpoint(truncate)');
    other.close();
    expect(statSync(place.path).size).toBeLessThan(before);
    await sweepASecondLater();
    await submit(10);
    await sweepASecondLater();
    await store.close();
    expect(isWhole(place.path)).toBe(true);
  });

  test('a file that is removed just before the end keeps the close from saying that all went well', async () => {
    rmSync(place.path);
    await expect(store.close()).rejects.toMatchObject({ code: 'DROVER_STORE_REMOVED' });
  });

  test('a second owner, who was let in by a removed -owner, is noticed by the first', async () => {
    rmSync(`${place.path}-owner`);
    const second = place.store();
    await second.open(OPEN);
    await expect(sweepASecondLater()).rejects.toMatchObject({ code: 'DROVER_STORE_REMOVED' });
    expect(await second.submit([newTask('his')], 0)).toEqual([{ at: 'accepted' }]);
    await expect(store.close()).rejects.toMatchObject({ code: 'DROVER_STORE_REMOVED' });
    await second.close();
    expect(isWhole(place.path)).toBe(true);
  });

  test('a log that was removed is written back at the end from what SQLite still has of it', async () => {
    rmSync(`${place.path}-wal`);
    await expect(store.close()).rejects.toMatchObject({ code: 'DROVER_STORE_REMOVED' });
    const next = place.store();
    await next.open(OPEN);
    expect((await next.get(submitted)).every((task) => task?.status === 'queued')).toBe(true);
    await next.close();
  });

  test('a backup that was put in the place of the database is opened as it is, without the log of the other', async () => {
    const backup = new SqlitePlace({}, { makeThread: (name, path) => new InlineThread(name, path) });
    const theirs = backup.store();
    await theirs.open(OPEN);
    await theirs.submit([newTask('theirs')], 0);
    await theirs.close();
    renameSync(backup.path, place.path);
    await expect(sweepASecondLater()).rejects.toMatchObject({ code: 'DROVER_STORE_REMOVED' });
    await expect(store.close()).rejects.toMatchObject({ code: 'DROVER_STORE_REMOVED' });
    const next = place.store();
    await next.open(OPEN);
    expect((await next.list({ limit: 1_000 }))?.map(({ id }) => id)).toEqual(['theirs']);
    await next.close();
    expect(readdirSync(place.folder).toSorted()).toEqual(['test.db', 'test.db-owner', 'test.db-wal-removed']);
    await backup.remove();
  });

  test('another database in the place of this one is not touched when this one is closed, nor is its log', async () => {
    const other = new SqlitePlace({}, { makeThread: (name, path) => new InlineThread(name, path) });
    const theirs = other.store();
    await theirs.open(OPEN);
    await theirs.submit([newTask('theirs')], 0);
    for (const suffix of ['', '-wal']) {
      copyFileSync(other.path + suffix, `${place.path}.new`);
      renameSync(`${place.path}.new`, place.path + suffix);
    }
    const before = ['', '-wal'].map((suffix) => readFileSync(place.path + suffix));
    await expect(store.close()).rejects.toMatchObject({ code: 'DROVER_STORE_REMOVED' });
    expect(['', '-wal'].map((suffix) => readFileSync(place.path + suffix))).toEqual(before);
    await theirs.close();
    await other.remove();
  });

  const hurts: Record<string, () => void> = {
    'was cut': () => change(`${place.path}-wal`, (descriptor) => ftruncateSync(descriptor, 0)),
    'was cut in half': () => change(`${place.path}-wal`, (descriptor, bytes) => ftruncateSync(descriptor, bytes / 2)),
    'was overwritten': () =>
      change(`${place.path}-wal`, (descriptor, bytes) => writeSync(descriptor, Buffer.alloc(bytes - 300, 0xa5), 0, bytes - 300, 200)),
    'has one byte changed at its end': () =>
      change(`${place.path}-wal`, (descriptor, bytes) => writeSync(descriptor, Buffer.of(0xa5), 0, 1, bytes - 2_000)),
  };
  for (const [name, hurt] of Object.entries(hurts)) {
    test(`a log that ${name} is not written back: what the database has stays whole`, async () => {
      hurt();
      const before = readFileSync(place.path);
      await expect(store.close()).rejects.toMatchObject({ code: 'DROVER_STORE_DAMAGED', retryable: false });
      expect(readFileSync(place.path).equals(before)).toBe(true);
      expect(existsSync(`${place.path}-wal`)).toBe(true);
      expect(isWhole(place.path)).toBe(true);
    });

    test(`a log that ${name} is noticed by looks that each read a part of it`, async () => {
      hurt();
      const failures: unknown[] = [];
      for (let second = 0; second < 10 && failures.length === 0; second += 1)
        await sweepASecondLater().catch((error: unknown) => failures.push(error));
      expect(failures).toMatchObject([{ code: 'DROVER_STORE_DAMAGED' }]);
    });
  }

  test('nothing is found where nothing is wrong, with a log that is written back and begun anew meanwhile, also by others', async () => {
    const other = new DatabaseSync(place.path);
    for (let round = 0; round < 20; round += 1) {
      await submit(20);
      other.exec(round % 3 === 0 ? 'pragma wal_checkpoint(truncate)' : 'pragma wal_checkpoint(restart)');
      await sweepASecondLater();
      await submit(round % 2);
      await sweepASecondLater();
    }
    other.close();
    await store.close();
    expect(readdirSync(place.folder).toSorted()).toEqual(['test.db', 'test.db-owner']);
    expect(isWhole(place.path)).toBe(true);
  });

  test('one that only reads keeps nobody from closing', async () => {
    const reader = new DatabaseSync(place.path);
    reader.exec('begin; select * from task');
    const began = performance.now();
    await store.close();
    expect(performance.now() - began).toBeLessThan(2_000);
    reader.close();
    const next = place.store();
    await next.open(OPEN);
    expect((await next.get(submitted)).every((task) => task?.status === 'queued')).toBe(true);
    await next.close();
  });
});
