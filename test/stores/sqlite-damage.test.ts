/** What is wrong with the disk stops commands with a clear error, and never leaves half of one. */
import { closeSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NewTask, Store } from '../../actors/ports/store.ts';
import { decodeTasks, encodeTasks } from '../../src/stores/sqlite-cells.ts';
import { SqliteTasks } from '../../src/stores/sqlite-commands.ts';
import type { Arrival } from '../../src/stores/sqlite-held.ts';
import { migrate } from '../../src/stores/sqlite-schema.ts';
import { InlineThread } from './conformance/inline-thread.ts';
import { SqlitePlace } from './conformance/sqlite-place.ts';
import { KIND, newTask } from './tasks.ts';

const OPEN = { nowMs: 0, maxUnfinished: 1_000_000 };
const PAGE_BYTES = 4_096;

/** As it comes to the commands. */
function arrival(task: NewTask): Arrival {
  return decodeTasks(encodeTasks([task], () => 0))[0]!;
}

/** Fills these bytes of a file with what SQLite never writes. */
function spoil(path: string, from: number, bytes: number): void {
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, Buffer.alloc(bytes, 0xa5), 0, bytes, from);
  closeSync(descriptor);
}

describe('a damaged database', () => {
  let place: SqlitePlace;
  beforeEach(async () => {
    place = new SqlitePlace({}, { makeThread: (name, path) => new InlineThread(name, path) });
    const store = place.store();
    await store.open(OPEN);
    await store.submit(
      Array.from({ length: 3_000 }, (_, at) => newTask(`t${at}`, { input: 'x'.repeat(400) })),
      0,
    );
    await store.close();
  });
  afterEach(() => place.remove());

  /** How every way to work with the store goes on, until one fails. */
  async function work(store: Store): Promise<void> {
    const records = await store.list({ limit: 10_000 });
    expect(records.every(({ id, input }) => id.startsWith('t') && input === 'x'.repeat(400))).toBe(true);
    for (let claimed = 0; claimed < 3_000; claimed += 500) {
      const runs = await store.claim({ wants: [{ kind: KIND, limit: 500 }], leaseUntilMs: 9_000, nowMs: 0 });
      await store.start(runs, 0);
      await store.settle(
        runs.map(({ id, fence }) => ({ id, fence, outcome: { at: 'completed', result: null, sends: [] } })),
        0,
      );
    }
  }

  for (const share of [0.01, 0.2, 0.4, 0.6, 0.8, 0.99]) {
    test(`with bytes that were overwritten at ${share * 100} % is refused, or fails a command as damaged, and answers nothing wrong`, async () => {
      const pages = Math.floor(statSync(place.path).size / PAGE_BYTES);
      spoil(place.path, Math.max(1, Math.floor(pages * share)) * PAGE_BYTES, PAGE_BYTES);
      const store = place.store();
      const failure = await store
        .open(OPEN)
        .then(() => work(store))
        .then(
          () => undefined,
          (error: { code: string; retryable: boolean; message: string }) => error,
        );
      expect(failure).toMatchObject({ code: 'DROVER_STORE_DAMAGED', retryable: false });
      expect(failure?.message).toContain('restore a backup');
      await store.close().catch((error: unknown) => expect(error).toMatchObject({ code: 'DROVER_STORE_DAMAGED' }));
    });
  }

  for (const [name, sql] of [
    ['options that are no JSON', `update task set options = '{"rootId"', tenant = 't' where seq = 1`],
    ['a status that there is not', 'update task set status = 13 where seq = 1'],
    ['a table that is missing', 'drop table tally'],
    ['locks that are no JSON', `insert into lock values (1, 1, '[{')`],
  ] as const) {
    test(`with ${name} fails a command as damaged, and all that come after it: trying again would find the same`, async () => {
      const other = new DatabaseSync(place.path);
      try {
        other.exec(sql);
      } finally {
        other.close();
      }
      const store = place.store();
      const senseless = { code: 'DROVER_STORE_DAMAGED', retryable: false };
      const failure = await store
        .open(OPEN)
        .then(() => store.sweep(1))
        .then(() => store.list({ limit: 10 }))
        .then(() => work(store))
        .then(
          () => expect.fail('all went well'),
          (thrown: unknown) => thrown,
        );
      expect(failure).toMatchObject(senseless);
      await store.close().catch(() => {});
    });
  }

  test('that is found while it is open fails the command, and all that come after it', async () => {
    const store = place.store();
    await store.open(OPEN);
    const pages = Math.floor(statSync(place.path).size / PAGE_BYTES);
    // All but the first pages: the index that a claim reads is among them.
    spoil(place.path, 8 * PAGE_BYTES, (pages - 8) * PAGE_BYTES);
    // What is cached is still found.
    const failures: unknown[] = [];
    for (let at = 0; at < 40 && failures.length === 0; at += 1) {
      const claim = store.claim({ wants: [{ kind: KIND, limit: 100 }], leaseUntilMs: 9_000, nowMs: 0 });
      await claim.catch((thrown: unknown) => failures.push(thrown));
    }
    const damaged = { code: 'DROVER_STORE_DAMAGED', retryable: false };
    expect(failures).toMatchObject([damaged]);
    // Nothing more is written to it, nor believed of what is read.
    await expect(store.counts()).rejects.toMatchObject(damaged);
    await expect(store.submit([newTask('late')], 0)).rejects.toMatchObject(damaged);
    await expect(store.close()).rejects.toMatchObject(damaged);
  });

  test('whose log is cut short is opened as it was at the last whole commit', async () => {
    const store = place.store();
    await store.open(OPEN);
    for (const id of ['a', 'b', 'c']) await store.submit([newTask(id), newTask(`${id}'`)], 0);
    const copy = new SqlitePlace({}, { makeThread: (name, path) => new InlineThread(name, path) });
    writeFileSync(copy.path, readFileSync(place.path));
    const log = readFileSync(`${place.path}-wal`);
    writeFileSync(`${copy.path}-wal`, log.subarray(0, log.length - 100));
    await store.close();
    const cut = copy.store();
    await cut.open(OPEN);
    const found = await cut.get(['a', "a'", 'b', "b'", 'c', "c'"]);
    expect(found.slice(0, 4).every((task) => task?.status === 'queued')).toBe(true);
    expect(found.slice(4)).toEqual([undefined, undefined]);
    expect((await cut.counts())[KIND]?.queued).toBe(3_004);
    await cut.close();
    await copy.remove();
  });
});

describe('a disk that is full', () => {
  const wants = [{ kind: KIND, limit: 50 }];

  /** Takes no more than a few pages more. */
  function fill(db: DatabaseSync, more: number): void {
    const { page_count: pages } = db.prepare('pragma page_count').get() as { page_count: number };
    db.exec(`pragma max_page_count = ${pages + more}`);
  }

  test('fails a command as a whole, whatever it was about to write, and the next one works when there is room again', () => {
    const db = new DatabaseSync(':memory:');
    migrate(db);
    const tasks = new SqliteTasks(db);
    tasks.transaction(() => tasks.open(OPEN));
    const arrivals = (from: number, n: number): Arrival[] =>
      Array.from({ length: n }, (_, at) => {
        const locks = [{ resource: `r${at % 5}`, mode: 'write' as const }];
        return arrival(newTask(`t${from + at}`, { input: 'x'.repeat(900), orderKey: `k${at % 7}`, tenant: `u${at % 3}`, locks }));
      });
    tasks.transaction(() => tasks.submit(arrivals(0, 40), 0));
    const whole = (): unknown =>
      tasks.transaction(() => [tasks.list({ limit: 1_000 }), tasks.counts(), tasks.state.list({ prefix: '', limit: 9 })]);
    const before = whole();
    fill(db, 3);
    for (let n = 400; n >= 100; n -= 100) {
      expect(() =>
        tasks.transaction(() => {
          const claimed = tasks.claim({ wants, leaseUntilMs: 9, nowMs: 0 });
          tasks.start(
            claimed.map((row) => ({ seq: row[0], fence: row[6] + 1, worker: 'w' })),
            0,
          );
          tasks.state.set([{ key: 's', value: '1', version: null }]);
          return tasks.submit(arrivals(40, n), 0);
        }),
      ).toThrow(/full/);
      expect(whole()).toEqual(before);
    }
    db.exec('pragma max_page_count = 1000000');
    expect(tasks.transaction(() => tasks.submit(arrivals(40, 400), 0)).every(({ at }) => at === 'accepted')).toBe(true);
    // What is known in memory is right again: of each key one, and no lock twice.
    const claimed = tasks.transaction(() => tasks.claim({ wants, leaseUntilMs: 9, nowMs: 0 }));
    expect(claimed).toHaveLength(7);
    const started = tasks.transaction(() =>
      tasks.start(
        claimed.map((row) => ({ seq: row[0], fence: row[6] + 1, worker: 'w' })),
        0,
      ),
    );
    expect(started.map(({ at }) => at).toSorted()).toEqual(['blocked', 'blocked', 'started', 'started', 'started', 'started', 'started']);
    db.close();
  });
});

describe('another process that keeps the file locked', () => {
  let place: SqlitePlace;
  beforeEach(() => void (place = new SqlitePlace()));
  afterEach(() => place.remove());

  test('fails commands, and nothing of them is there; when it lets go they work', () => {
    const db = new DatabaseSync(place.path, { timeout: 1 });
    migrate(db);
    db.exec('pragma journal_mode = wal');
    const tasks = new SqliteTasks(db);
    const submit = (id: string): readonly { at: string }[] => tasks.transaction(() => tasks.submit([arrival(newTask(id))], 0));
    tasks.transaction(() => tasks.open(OPEN));
    submit('a');
    const other = new DatabaseSync(place.path);
    other.exec('begin immediate');
    expect(() => submit('b')).toThrow('database is locked');
    expect(() => submit('b')).toThrow('database is locked');
    other.exec('rollback');
    expect(submit('b')).toEqual([{ at: 'accepted' }]);
    // One that only reads is in nobody's way.
    other.exec('begin; select * from task');
    expect(submit('c')).toEqual([{ at: 'accepted' }]);
    other.close();
    expect(tasks.transaction(() => tasks.list({ limit: 9 }))?.found.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    db.close();
  });
});
