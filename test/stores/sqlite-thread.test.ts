import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Store } from '../../actors/ports/store.ts';
import { LogSync } from '../../src/stores/sqlite-sync.ts';
import type { SqliteStore } from '../../src/stores/sqlite.ts';
import { SqlitePlace } from './conformance/sqlite-place.ts';
import { KIND, newTask } from './tasks.ts';

const command = { nowMs: 0, maxUnfinished: 10_000 };

describe('the thread of an SQLite store', () => {
  let place: SqlitePlace;
  let store: SqliteStore;
  beforeEach(async () => {
    place = new SqlitePlace();
    store = place.store();
    await store.open(command);
  });
  afterEach(async () => {
    await store.close();
    await place.remove();
  });

  const submit = (...ids: string[]): Promise<readonly { at: string }[]> =>
    store.submit(
      ids.map((id) => newTask(id)),
      0,
    );
  const everyCommand = (of: Store): Promise<unknown>[] => [
    of.submit([newTask('x')], 0),
    of.claim({ wants: [{ kind: KIND, limit: 1 }], leaseUntilMs: 1, nowMs: 0 }),
    of.start([{ id: 'x', fence: 1 }], 0),
    of.remember([], 0),
    of.renew([], 0),
    of.settle([], 0),
    of.sweep(0),
    of.get([]),
    of.list({ limit: 1 }),
    of.counts(),
  ];

  /** Transactions in the log: frames that end one carry the size of the database. */
  function commits(): number {
    const log = readFileSync(`${place.path}-wal`);
    const pageBytes = log.readUInt32BE(8);
    let count = 0;
    for (let at = 32; at + 24 + pageBytes <= log.length; at += 24 + pageBytes) if (log.readUInt32BE(at + 4) !== 0) count += 1;
    return count;
  }

  test('who looks for few among many holds nobody up, and misses nothing', async () => {
    const ids = Array.from({ length: 9_000 }, (_, at) => `t${String(at).padStart(4, '0')}`);
    const late = (id: string): boolean => id === 't0001' || id >= 't8998';
    const tasks = ids.map((id) => newTask(id, late(id) ? { notBeforeMs: 99 } : {}));
    await store.submit(tasks, 0);
    const answered: string[] = [];
    const list = store.list({ status: 'parked', limit: 9 }).then((found) => {
      answered.push('list');
      return found.map(({ id }) => id);
    });
    const get = store.get(['t0000']).then(() => answered.push('get'));
    // After the first slice has been answered, so ahead of the second.
    expect(await list).toEqual(['t0001', 't8998', 't8999']);
    await get;
    expect(answered).toEqual(['get', 'list']);
    expect((await store.list({ status: 'parked', limit: 1 })).map(({ id }) => id)).toEqual(['t0001']);
    expect((await store.list({ status: 'parked', limit: 2, after: 't0001' })).map(({ id }) => id)).toEqual(['t8998', 't8999']);
    expect((await store.list({ limit: Infinity })).map(({ id }) => id)).toEqual(ids);
    expect(await store.list({ status: 'dead', limit: 9 })).toEqual([]);
    expect(await store.list({ kind: 'nobody', limit: 9 })).toEqual([]);
  });

  test('what comes together is committed together', async () => {
    const before = commits();
    await Promise.all(Array.from({ length: 100 }, (_, at) => submit(`t${at}`)));
    expect(commits() - before).toBe(1);
    expect((await store.counts())[KIND]?.queued).toBe(100);
  });

  test('what comes while it is busy is committed together, up to a bound', async () => {
    const before = commits();
    const submitted: Promise<unknown>[] = [];
    for (let at = 0; at < 400; at += 1) {
      submitted.push(submit(...Array.from({ length: 15 }, (_, index) => `t${at}-${index}`)));
      if (at % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(submitted);
    const made = commits() - before;
    expect(made).toBeGreaterThanOrEqual(Math.ceil(6_000 / 240));
    expect(made).toBeLessThan(200);
  });

  test('a read of a row that the same transaction writes is answered', async () => {
    for (let version = 0; version < 5; version += 1) {
      const write = store.setState(
        [{ key: 'a', value: `${version}`, version: version === 0 ? null : (await store.getState(['a']))[0]!.version }],
        0,
      );
      const [, [row]] = await Promise.all([write, store.getState(['a'])]);
      expect(row?.value).toBe(`${version}`);
    }
  });

  test('commands take effect in the order in which they are called', async () => {
    const [submitted, claimed, listed] = await Promise.all([
      submit('a'),
      store.claim({ wants: [{ kind: KIND, limit: 9 }], leaseUntilMs: 9, nowMs: 0 }),
      store.list({ limit: 9 }),
    ]);
    expect(submitted).toEqual([{ at: 'accepted' }]);
    expect(claimed).toMatchObject([{ id: 'a', fence: 1 }]);
    expect(listed).toMatchObject([{ id: 'a', status: 'leased' }]);
  });

  test('when one command of a group throws, only that one is refused, and nothing of it has happened', async () => {
    const other = new DatabaseSync(place.path);
    other.exec(`create trigger poison before insert on task when new.id like 'poison%' begin select raise(abort, 'poisoned'); end`);
    other.close();
    const outcomes = await Promise.allSettled([
      submit('a'),
      submit('b', 'poison', 'c'),
      submit('d', 'a'),
      store.counts(),
      submit('poison too'),
      submit('e'),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect((outcomes[1] as PromiseRejectedResult).reason).toMatchObject({
      code: 'DROVER_STORE_FAILED',
      retryable: true,
      detail: { store: store.name, command: 'submit' },
      cause: { message: 'poisoned' },
    });
    expect((await store.list({ limit: 9 })).map(({ id }) => id)).toEqual(['a', 'd', 'e']);
    expect((await store.counts())[KIND]).toMatchObject({ queued: 3 });
    // What was known of runs in memory is right again too.
    const claimed = await store.claim({ wants: [{ kind: KIND, limit: 2 }], leaseUntilMs: 9, nowMs: 0 });
    await Promise.allSettled([store.start(claimed, 0), submit('poison')]);
    expect((await store.start(claimed, 0)).map((started) => started.at === 'started' && started.attempt)).toEqual([1, 1]);
  });

  test('another process that writes for a while is waited for', async () => {
    const other = new DatabaseSync(place.path);
    other.exec('begin immediate');
    const submitted = submit('a');
    await wait(100);
    other.exec('commit');
    other.close();
    expect(await submitted).toEqual([{ at: 'accepted' }]);
  });

  test('what another process has written is seen, also where it changes a run', async () => {
    await submit('a', 'b');
    const claimed = await store.claim({ wants: [{ kind: KIND, limit: 2 }], leaseUntilMs: 9, nowMs: 0 });
    const other = new DatabaseSync(place.path);
    other.exec(
      `update task set fence = fence + 1 where id = 'a'; insert into task (seq, id, kind, version, status, priority, max_attempts, max_losses, depth, submitted_ms, input) values (3, 'c', '${KIND}', '1', 10, 0, 1, 1, 0, 0, '')`,
    );
    other.close();
    expect((await store.start(claimed, 0)).map(({ at }) => at)).toEqual(['stale', 'started']);
    await submit('d');
    expect((await store.list({ limit: 9 })).map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd']);
  });

  test('when the thread dies, commands under way fail, later ones too, and closing still ends', async () => {
    await submit('a');
    const underWay = everyCommand(store);
    const settled = Promise.allSettled(underWay);
    await store.kill();
    for (const outcome of await settled) {
      if (outcome.status === 'rejected')
        expect(outcome.reason).toMatchObject({ code: 'DROVER_STORE_FAILED', cause: { code: 'DROVER_STORE_THREAD_ENDED' } });
    }
    for (const refused of everyCommand(store)) await expect(refused).rejects.toMatchObject({ code: 'DROVER_STORE_FAILED' });
    await store.close();
    for (const refused of everyCommand(store)) await expect(refused).rejects.toMatchObject({ code: 'DROVER_STORE_CLOSED' });
    store = place.store();
    expect(await store.open(command)).toMatchObject({ epoch: 2 });
    expect((await store.get(['a']))[0]?.id).toBe('a');
  });

  test('when the thread dies while it opens, opening fails, and may be tried again', async () => {
    await store.close();
    store = place.store();
    const opening = store.open(command);
    await store.kill();
    await expect(opening).rejects.toMatchObject({ code: 'DROVER_STORE_FAILED' });
    expect(await store.open(command)).toMatchObject({ recovered: 0 });
  });

  test('closing while it opens waits, and leaves nothing open', async () => {
    await store.close();
    const hasty = place.store();
    const opening = hasty.open(command);
    await hasty.close();
    await opening;
    await expect(hasty.counts()).rejects.toMatchObject({ code: 'DROVER_STORE_CLOSED' });
    store = place.store();
    await store.open(command);
  });

  test('what else hangs on an item of the caller does not matter', async () => {
    const extra = { callback: () => 1 };
    await store.submit([{ ...newTask('a'), ...extra }], 0);
    const [held] = await store.claim({ wants: [{ kind: KIND, limit: 1, ...extra }], leaseUntilMs: 9, nowMs: 0, ...extra });
    await store.start([{ ...held!, ...extra }], 0);
    await store.remember([{ ...held!, place: 'p', hash: '', value: '', ...extra }], 0);
    await store.renew([{ ...held!, ...extra }], 0);
    expect((await store.settle([{ ...held!, outcome: { at: 'released', ...extra }, ...extra }], 0)).outcomes).toEqual([
      { at: 'settled', status: 'queued' },
    ]);
  });
});

describe('LogSync', () => {
  let answered: string[];
  let failed: Error[];
  let syncs: ((error: Error | null) => void)[];
  let sync: LogSync<string>;
  beforeEach(() => {
    answered = [];
    failed = [];
    syncs = [];
    sync = new LogSync<string>('', {
      answer: (answers) => answered.push(...answers),
      fail: (cause) => failed.push(cause),
      sync: (done) => syncs.push(done),
    });
  });
  const end = (error: Error | null = null): void => syncs.shift()!(error);

  test('an answer leaves after the end of a sync that began after its commit', () => {
    sync.hold(['a'], true);
    sync.hold(['b'], true);
    expect(answered).toEqual([]);
    end();
    // The first sync may have begun before b was in the log.
    expect(answered).toEqual(['a']);
    end();
    expect(answered).toEqual(['a', 'b']);
    expect(syncs).toEqual([]);
  });

  test('while two syncs are under way, all that comes waits for one other', () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) sync.hold([name], true);
    expect(syncs).toHaveLength(2);
    end();
    expect(syncs).toHaveLength(2);
    expect(answered).toEqual(['a']);
    end();
    end();
    expect(answered).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(syncs).toEqual([]);
  });

  test('a sync that ends before an earlier one answers nobody: what it has synced is worth nothing without what was before it', () => {
    sync.hold(['a'], true);
    sync.hold(['b'], true);
    const [earlier, later] = syncs.splice(0);
    later!(null);
    expect(answered).toEqual([]);
    expect(sync.isSynced(1)).toBe(false);
    earlier!(null);
    expect(answered).toEqual(['a', 'b']);
  });

  test('when an earlier sync fails, a later one that has ended well answers nobody', () => {
    sync.hold(['a'], true);
    sync.hold(['b'], true);
    const [earlier, later] = syncs.splice(0);
    later!(null);
    earlier!(new RangeError('EIO'));
    expect(answered).toEqual([]);
    expect(failed).toHaveLength(1);
  });

  test('an answer for which nothing was written leaves at once, unless it may have read what is not synced yet', () => {
    sync.hold(['read'], false);
    expect(answered).toEqual(['read']);
    sync.hold(['write'], true);
    sync.hold(['read it'], false);
    expect(answered).toEqual(['read']);
    // It has come after that commit: no other sync is needed.
    expect(syncs).toHaveLength(1);
    end();
    expect(answered).toEqual(['read', 'write', 'read it']);
    expect(syncs).toEqual([]);
  });

  test('a commit that nobody waits for is synced with the next answer', () => {
    sync.hold([], true);
    expect(syncs).toEqual([]);
    expect(sync.isSynced(1)).toBe(false);
    sync.hold(['read'], false);
    expect(answered).toEqual([]);
    end();
    expect(answered).toEqual(['read']);
    expect(sync.isSynced(1)).toBe(true);
  });

  test('when the sync fails nobody is answered, and the failure is told', () => {
    sync.hold(['a'], true);
    sync.hold(['b'], true);
    end(new RangeError('EIO'));
    expect(answered).toEqual([]);
    expect(failed).toHaveLength(1);
  });

  test('after it is closed nobody is answered', () => {
    sync.hold(['a'], true);
    sync.close();
    end();
    expect(answered).toEqual([]);
    expect(syncs).toEqual([]);
  });
});
