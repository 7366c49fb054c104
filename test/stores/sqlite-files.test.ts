import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { APPLICATION_ID, SCHEMA_VERSION } from '../../src/stores/sqlite-schema.ts';
import { sqlite } from '../../src/stores/sqlite.ts';
import type { SqliteOptions } from '../../src/stores/sqlite.ts';
import { SqlitePlace } from './conformance/sqlite-place.ts';
import { newTask } from './tasks.ts';

describe('the file of an SQLite store', () => {
  let place: SqlitePlace;
  beforeEach(() => void (place = new SqlitePlace()));
  afterEach(() => place.remove());

  const command = { nowMs: 0, maxUnfinished: 10_000 };
  const fileNames = (): string[] => readdirSync(place.folder).toSorted();

  /** Opening is refused with `code`, and the folder is byte for byte what it was. */
  async function refuses(code: string, path = place.path): Promise<Error> {
    const before = fileNames().map((name) => [name, readFileSync(join(place.folder, name)).toString('base64')]);
    const store = sqlite(path);
    const error = await store.open(command).then(
      () => expect.fail('was opened'),
      (thrown: Error) => thrown,
    );
    expect(error).toMatchObject({ code, detail: { store: `sqlite:${path}` } });
    expect(fileNames().map((name) => [name, readFileSync(join(place.folder, name)).toString('base64')])).toEqual(before);
    await store.close();
    return error;
  }

  function makeDatabase(sql: string, path = place.path): void {
    const db = new DatabaseSync(path);
    db.exec(sql);
    db.close();
  }

  async function makeStore(tasks = 0): Promise<void> {
    const store = place.store();
    await store.open(command);
    await store.submit(
      Array.from({ length: tasks }, (_, at) => newTask(`t${at}`)),
      0,
    );
    await store.close();
  }

  test('it is made when it is not there, with a mark and a version, and beside it an empty lock', async () => {
    await makeStore();
    expect(fileNames()).toEqual(['test.db', 'test.db-owner']);
    expect(statSync(`${place.path}-owner`).size).toBe(0);
    const db = new DatabaseSync(place.path, { readOnly: true });
    expect(db.prepare('pragma application_id').get()).toEqual({ application_id: APPLICATION_ID });
    expect(db.prepare('pragma user_version').get()).toEqual({ user_version: SCHEMA_VERSION });
    expect(db.prepare('pragma journal_mode').get()).toEqual({ journal_mode: 'wal' });
    db.close();
  });

  test('an empty file becomes a database', async () => {
    writeFileSync(place.path, '');
    await makeStore(1);
  });

  test('a newer schema is refused, and says which', async () => {
    await makeStore(3);
    makeDatabase(`pragma user_version = ${SCHEMA_VERSION + 4}`);
    const error = await refuses('DROVER_STORE_NEWER_SCHEMA');
    expect(error).toMatchObject({ detail: { found: SCHEMA_VERSION + 4, known: SCHEMA_VERSION } });
  });

  test('a newer schema that stands only in the log is refused too', async () => {
    await makeStore(3);
    const other = new DatabaseSync(place.path);
    other.exec(`pragma wal_autocheckpoint = 0; pragma user_version = ${SCHEMA_VERSION + 1}`);
    const copy = new SqlitePlace();
    for (const name of ['test.db', 'test.db-wal']) copyFileSync(join(place.folder, name), join(copy.folder, name));
    other.close();
    await expect(copy.store().open(command)).rejects.toMatchObject({ code: 'DROVER_STORE_NEWER_SCHEMA' });
    await copy.remove();
  });

  for (const [name, sql] of Object.entries({
    'with tables': 'create table notes (text)',
    'with a mark of its own': 'pragma application_id = 77; create table notes (text)',
    'in WAL mode': 'pragma journal_mode = wal; create table task (id)',
    'with nothing in it': 'pragma user_version = 1; vacuum',
  })) {
    test(`another program's database ${name} is refused`, async () => {
      makeDatabase(sql);
      await refuses('DROVER_STORE_FOREIGN');
    });
  }

  test('a file that is no database is refused', async () => {
    writeFileSync(place.path, 'Dear diary, '.repeat(1_000));
    await refuses('DROVER_STORE_NOT_A_DATABASE');
  });

  test('a file that is too short to be a database is refused', async () => {
    writeFileSync(place.path, 'SQLite format 3');
    await refuses('DROVER_STORE_NOT_A_DATABASE');
  });

  for (const bytes of [60, 0]) {
    test(`a store that was cut to ${bytes} bytes is refused as damaged, not taken for something else`, async () => {
      await makeStore(3);
      truncateSync(place.path, bytes);
      const error = await refuses('DROVER_STORE_DAMAGED');
      expect(error.message).toContain('restore a backup');
    });
  }

  for (const [name, from, to] of [
    ['its first bytes', 0, 16],
    ['the rest of its header', 16, 100],
  ] as const) {
    test(`a store of which somebody has overwritten ${name} is refused as damaged, not as another program's`, async () => {
      await makeStore(3);
      const bytes = readFileSync(place.path);
      writeFileSync(place.path, bytes.fill(0xa5, from, to));
      await refuses('DROVER_STORE_DAMAGED');
    });
  }

  test('a log without its file is refused: it may have tasks that are nowhere else', async () => {
    const store = place.store();
    await store.open(command);
    await store.submit([newTask('a')], 0);
    const copy = new SqlitePlace();
    copyFileSync(`${place.path}-wal`, `${copy.path}-wal`);
    await store.close();
    const log = readFileSync(`${copy.path}-wal`);
    await expect(copy.store().open(command)).rejects.toMatchObject({ code: 'DROVER_STORE_DAMAGED' });
    expect(readFileSync(`${copy.path}-wal`)).toEqual(log);
    await copy.remove();
  });

  test('a file that was removed while nobody used it is made anew', async () => {
    await makeStore(3);
    rmSync(place.path);
    await makeStore(1);
    expect(fileNames()).toEqual(['test.db', 'test.db-owner']);
  });

  for (const share of [0.1, 0.5, 0.9]) {
    test(`a database of which only ${share * 100} % is left is refused`, async () => {
      await makeStore(2_000);
      truncateSync(place.path, Math.floor(statSync(place.path).size * share));
      await refuses('DROVER_STORE_DAMAGED');
    });
  }

  test('a folder that is not there is refused, and says what to do', async () => {
    const error = await refuses('DROVER_STORE_OPEN', join(place.folder, 'missing', 'test.db'));
    expect(error.message).toContain(`there is no folder ${join(place.folder, 'missing')}; create it first`);
  });

  test('a folder in place of the file is refused', async () => {
    mkdirSync(place.path);
    const store = sqlite(place.path);
    await expect(store.open(command)).rejects.toMatchObject({ code: 'DROVER_STORE_OPEN' });
  });

  test('a pipe in place of the file is refused at once: reading it waits for whoever writes', { timeout: 5_000 }, async () => {
    execFileSync('mkfifo', [place.path]);
    const error = await sqlite(place.path)
      .open(command)
      .then(
        () => expect.fail('was opened'),
        (thrown: Error) => thrown,
      );
    expect(error).toMatchObject({ code: 'DROVER_STORE_OPEN', message: expect.stringContaining('a device, a pipe or a socket') });
    expect(fileNames()).toEqual(['test.db']);
  });

  test('a lock file that is something else is refused', async () => {
    writeFileSync(`${place.path}-owner`, 'Dear diary, '.repeat(1_000));
    const error = await refuses('DROVER_STORE_OPEN');
    expect(error.message).toContain('test.db-owner');
  });

  test('a refused store may be opened when what was wrong is put right', async () => {
    const path = join(place.folder, 'later', 'test.db');
    const store = sqlite(path);
    await expect(store.open(command)).rejects.toMatchObject({ code: 'DROVER_STORE_OPEN' });
    mkdirSync(join(place.folder, 'later'));
    expect(await store.open(command)).toEqual({ epoch: 1, recovered: 0 });
    await store.close();
  });

  test('two names of one file have one owner', async () => {
    await makeStore();
    mkdirSync(join(place.folder, 'sub'));
    symlinkSync(place.path, join(place.folder, 'sub', 'link.db'));
    const first = sqlite(join(place.folder, 'sub', 'link.db'));
    await first.open(command);
    await expect(place.store().open(command)).rejects.toMatchObject({ code: 'DROVER_STORE_OWNED' });
    await first.close();
    expect(existsSync(join(place.folder, 'sub', 'link.db-owner'))).toBe(false);
  });

  test('a link to what is not there is refused: what it points to may be there again tomorrow', async () => {
    const link = join(place.folder, 'link.db');
    symlinkSync(join(place.folder, 'volume', 'test.db'), link);
    const error = await sqlite(link)
      .open(command)
      .catch((thrown: Error) => thrown);
    expect(error).toMatchObject({
      code: 'DROVER_STORE_OPEN',
      message: expect.stringContaining(join(place.folder, 'volume', 'test.db')) as unknown,
    });
    expect(fileNames()).toEqual(['link.db']);
  });

  test('a file of two names is refused under each: nobody would find it in use under the other', async () => {
    await makeStore(3);
    const other = join(place.folder, 'other.db');
    linkSync(place.path, other);
    expect((await refuses('DROVER_STORE_OPEN')).message).toContain('hard links');
    expect((await refuses('DROVER_STORE_OPEN', other)).message).toContain('2 names');
    rmSync(other);
    await makeStore();
  });

  for (const bytes of [1, 100, 4_095]) {
    test(`a store whose last ${bytes} bytes are missing is refused as damaged`, async () => {
      await makeStore(3);
      truncateSync(place.path, statSync(place.path).size - bytes);
      await refuses('DROVER_STORE_DAMAGED');
    });
  }

  test('of many that open at the same instant exactly one owns', async () => {
    const stores = Array.from({ length: 5 }, () => place.store());
    const opened = await Promise.allSettled(stores.map((store) => store.open(command)));
    expect(opened.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of opened) if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'DROVER_STORE_OWNED' });
    await Promise.all(stores.map((store) => store.close()));
  });

  test('a path is taken where the process stands when the store opens, and may have any name', async () => {
    const store = sqlite(join(place.folder, 'file:name with ? and # and %20.db'));
    await store.open(command);
    await store.close();
    expect(fileNames()).toContain('file:name with ? and # and %20.db');
  });

  test('a database in memory has no owner but its store', async () => {
    const stores = [sqlite(':memory:'), sqlite(':memory:')];
    for (const store of stores) {
      expect(await store.open(command)).toEqual({ epoch: 1, recovered: 0 });
      expect(await store.submit([newTask('a')], 0)).toEqual([{ at: 'accepted' }]);
    }
    for (const store of stores) await store.close();
  });

  test.each([[5], [undefined], [null], [{}]])('%o in place of a path is refused where it is said', (path) => {
    expect(() => sqlite(path as never)).toThrow(
      expect.objectContaining({ code: 'DROVER_STORE_INPUT', retryable: false, detail: { field: 'path' } }),
    );
  });

  test.each([[5], [null], ['full']])('%o in place of options is refused where it is said', (options) => {
    expect(() => sqlite(place.path, options as never)).toThrow(
      expect.objectContaining({ code: 'DROVER_STORE_INPUT', detail: { field: 'options' } }),
    );
  });

  test('an option that does not exist is refused', () => {
    expect(() => sqlite(place.path, { synchronous: 'off' } as unknown as SqliteOptions)).toThrow(
      /synchronous: expected 'full' or 'normal', got "off"/,
    );
  });
});
