/**
 * plainjob on the same machine: its own queue and worker over node:sqlite, which has all that it uses of
 * better-sqlite3. Its default acknowledges before the disk has anything (`synchronous = normal`); `full`
 * makes its promise that of Drover's default.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { defineQueue, defineWorker } from 'plainjob';

type Connection = Parameters<typeof defineQueue>[0]['connection'];

const QUIET = { error: console.error, warn: console.warn, info(): void {}, debug(): void {} };

/** Jobs a second from `add` to done, through one worker, which is as many as one process has use for. */
export async function plainjobRate({
  jobs,
  synchronous,
}: {
  readonly jobs: number;
  readonly synchronous: 'full' | 'normal';
}): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'drover-plainjob-'));
  const db = new DatabaseSync(join(folder, 'jobs.db'));
  const queue = defineQueue({ connection: connectionTo(db), logger: QUIET });
  try {
    db.exec(`pragma synchronous = ${synchronous}`);
    const all = Promise.withResolvers<void>();
    let done = 0;
    const onCompleted = (): void => {
      done += 1;
      if (done === jobs) all.resolve();
    };
    const worker = defineWorker('plain', async () => {}, { queue, logger: QUIET, onCompleted });
    const beganMs = performance.now();
    for (let job = 0; job < jobs; job += 1) queue.add('plain', job);
    const works = worker.start();
    await all.promise;
    const ms = performance.now() - beganMs;
    await worker.stop();
    await works;
    return (jobs * 1_000) / ms;
  } finally {
    queue.close();
    rmSync(folder, { recursive: true });
  }
}

/** What better-sqlite3 is to plainjob. */
function connectionTo(db: DatabaseSync): Connection {
  const transaction = (work: (...args: unknown[]) => unknown) => {
    const run = (...args: unknown[]): unknown => {
      db.exec('begin immediate');
      try {
        const result = work(...args);
        db.exec('commit');
        return result;
      } catch (thrown) {
        db.exec('rollback');
        throw thrown;
      }
    };
    return Object.assign(run, { immediate: run });
  };
  return {
    driver: 'better-sqlite3',
    filename: '',
    pragma: (text: string) => db.exec(`pragma ${text}`),
    exec: (sql: string) => db.exec(sql),
    prepare: (sql: string) => db.prepare(sql),
    transaction,
    close: () => db.close(),
  } as unknown as Connection;
}
