/**
 * Loaded into a process before all else: kills it, as `kill -9` does, right before or right after the n-th
 * commit of its store, in the thread that commits. `KILL_AT_COMMIT`: e.g. `before 17`.
 */
import { DatabaseSync } from 'node:sqlite';
import { isMainThread } from 'node:worker_threads';

const [where, n] = (process.env['KILL_AT_COMMIT'] ?? '').split(' ');
if (!isMainThread && n !== undefined) {
  let left = Number(n);
  const around = (commit: () => unknown): unknown => {
    left -= 1;
    if (left === 0 && where === 'before') process.kill(process.pid, 'SIGKILL');
    const done = commit();
    if (left === 0) process.kill(process.pid, 'SIGKILL');
    return done;
  };
  const { prepare, exec } = DatabaseSync.prototype;
  DatabaseSync.prototype.prepare = function prepareWatched(sql, ...options) {
    const statement = prepare.call(this, sql, ...options);
    if (sql !== 'commit') return statement;
    const run = statement.run.bind(statement);
    statement.run = () => around(run) as ReturnType<typeof run>;
    return statement;
  };
  DatabaseSync.prototype.exec = function execWatched(sql) {
    if (sql === 'commit') around(() => exec.call(this, sql));
    else exec.call(this, sql);
  };
}
