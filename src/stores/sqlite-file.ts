/**
 * The file of a database: what is it, may it be opened, and who owns it.
 *
 * Opening, in this order, so that what is not ours stays as it is, byte for byte:
 *   1. The header is read with plain file access. Another program's database, a newer schema and
 *      what is no database at all are refused before SQLite has touched them.
 *   2. Ownership: an exclusive lock on `<path>-owner`, held until the end by a connection of its
 *      own. The lock is the operating system's, so it ends with the process, also by `kill -9`; the
 *      empty file stays, because a lock file that is deleted can be locked twice.
 *   3. The database is opened, looked at again (the newest version may stand in its log), brought
 *      up to date, and made a WAL database.
 */
import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, InvariantError } from '../../actors/kernel/errors.ts';
import { APPLICATION_ID, migrate, SCHEMA_VERSION } from './sqlite-schema.ts';

/** Why a file is not opened. */
export type OpenFailure =
  | { readonly at: 'not-openable'; readonly why: string; readonly cause?: Error }
  | { readonly at: 'not-a-database'; readonly cause?: Error }
  | { readonly at: 'newer-schema'; readonly found: number; readonly known: number }
  | { readonly at: 'foreign' }
  | { readonly at: 'owned' };

/** A database that this process owns. */
export interface OpenFile {
  readonly at: 'opened';
  /** Where its log is; none for a database in memory. */
  readonly log: string | undefined;
  readonly db: DatabaseSync;
  /** Holds the lock; none for a database in memory. */
  readonly owner: DatabaseSync | undefined;
}

const IN_MEMORY = ':memory:';
const MAGIC = 'SQLite format 3\0';
const HEADER_BYTES = 100;
/** How long a statement waits for another process that writes to the file: an operator's tool, a backup. */
const BUSY_MS = 5_000;
/** Two that come at the same instant step back and try again within this time: one of them wins. */
const OWNER_BUSY_MS = 200;
/** The log is written back at this many pages (16 MB): hot pages are then written once for many commits. */
const CHECKPOINT_PAGES = 4_000;
/** More would cost more than it saves: where a commit has split a page, SQLite looks at every page that it keeps. */
const CACHE_KIB = 16_384;
const LONGEST_LOG_BYTES = 67_108_864;

const SQLITE_PERM = 3;
const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_CORRUPT = 11;
const SQLITE_NOT_A_DATABASE = 26;

/** Opens `path` as its one owner, or says why not; then nothing is left open. */
export function openFile(path: string): OpenFile | OpenFailure {
  if (path === IN_MEMORY) return openDatabase(path, undefined);
  const file = locate(path);
  if (typeof file !== 'string') return file;
  const refused = refuseByHeader(file);
  if (refused !== undefined) return refused;
  const owner = takeOwnership(`${file}-owner`);
  if (!(owner instanceof DatabaseSync)) return owner;
  const opened = openDatabase(file, owner);
  if (opened.at !== 'opened') owner.close();
  return opened;
}

/** Writes the log back into the file, closes it, and lets go of the ownership last. */
export function closeFile({ db, owner }: OpenFile): void {
  try {
    db.exec('pragma wal_checkpoint(truncate)');
  } catch {
    // The log stays beside the file and says the same; the next owner writes it back.
  }
  db.close();
  owner?.close();
}

/** The one path of the file: through links, so that two names of it have one lock. */
function locate(path: string): string | OpenFailure {
  const absolute = resolve(path);
  try {
    const found = statSync(absolute, { throwIfNoEntry: false });
    if (found?.isDirectory()) return { at: 'not-openable', why: 'it is a folder; name a file in it' };
    if (found !== undefined) return realpathSync(absolute);
    const folder = dirname(absolute);
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
      return { at: 'not-openable', why: `there is no folder ${folder}; create it first` };
    }
    return join(realpathSync(folder), basename(absolute));
  } catch (thrown) {
    return toFailure(thrown);
  }
}

/** Tells by the first bytes what must not be touched. An empty file is a new database. */
function refuseByHeader(file: string): OpenFailure | undefined {
  let header: Buffer;
  try {
    header = readHeader(file);
  } catch (thrown) {
    return toFailure(thrown);
  }
  if (header.length === 0) return undefined;
  if (header.length < HEADER_BYTES || header.toString('latin1', 0, MAGIC.length) !== MAGIC) return { at: 'not-a-database' };
  return refuse(header.readUInt32BE(68), header.readUInt32BE(60));
}

function readHeader(file: string): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return header.subarray(0, 0);
  const descriptor = openSync(file, 'r');
  try {
    return header.subarray(0, readSync(descriptor, header, 0, HEADER_BYTES, 0));
  } finally {
    closeSync(descriptor);
  }
}

function refuse(applicationId: number, version: number): OpenFailure | undefined {
  if (applicationId !== APPLICATION_ID) return { at: 'foreign' };
  if (version > SCHEMA_VERSION) return { at: 'newer-schema', found: version, known: SCHEMA_VERSION };
  return undefined;
}

function takeOwnership(lockFile: string): DatabaseSync | OpenFailure {
  let owner: DatabaseSync | undefined;
  try {
    owner = new DatabaseSync(lockFile, { timeout: OWNER_BUSY_MS });
    // Nothing is ever written to it, so it needs no journal beside it either.
    owner.exec('pragma journal_mode = memory; begin exclusive');
    return owner;
  } catch (thrown) {
    owner?.close();
    if (resultCode(thrown) === SQLITE_BUSY) return { at: 'owned' };
    return { at: 'not-openable', why: `its lock ${lockFile} cannot be taken: ${adviceFor(thrown)}`, cause: toError(thrown) };
  }
}

function openDatabase(file: string, owner: DatabaseSync | undefined): OpenFile | OpenFailure {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file, { timeout: BUSY_MS });
    const refused = refuseByContent(db) ?? prepareFile(db, file);
    if (refused === undefined) return { at: 'opened', log: file === IN_MEMORY ? undefined : `${file}-wal`, db, owner };
    db.close();
    return refused;
  } catch (thrown) {
    db?.close();
    return toFailure(thrown);
  }
}

function refuseByContent(db: DatabaseSync): OpenFailure | undefined {
  const objects = number(db, 'select count(*) from sqlite_schema');
  const applicationId = number(db, 'pragma application_id');
  if (objects === 0 && applicationId === 0) return undefined;
  return refuse(applicationId, number(db, 'pragma user_version'));
}

function prepareFile(db: DatabaseSync, file: string): OpenFailure | undefined {
  // Before the log: with a rollback journal, which syncs what it must.
  migrate(db);
  const mode = db.prepare('pragma journal_mode = wal').get()!['journal_mode'];
  if (mode !== 'wal' && file !== IN_MEMORY)
    return { at: 'not-openable', why: 'its file system cannot keep a write-ahead log; use a local disk' };
  db.exec(`
    pragma wal_autocheckpoint = ${CHECKPOINT_PAGES};
    pragma journal_size_limit = ${LONGEST_LOG_BYTES};
    pragma cache_size = ${-CACHE_KIB};
    pragma temp_store = memory;
  `);
  return undefined;
}

function number(db: DatabaseSync, sql: string): number {
  return Object.values(db.prepare(sql).get()!)[0] as number;
}

function toFailure(thrown: unknown): OpenFailure {
  const cause = toError(thrown);
  if (isDamaged(thrown)) return { at: 'not-a-database', cause };
  return { at: 'not-openable', why: adviceFor(thrown), cause };
}

/** What SQLite says, or the file system, and what is likely to be done about it. */
export function adviceFor(thrown: unknown): string {
  const { message } = toError(thrown);
  if (isBusy(thrown)) return `${message}: ${BUSY_ADVICE}`;
  const { code } = (thrown ?? {}) as { code?: unknown };
  const isRefused = resultCode(thrown) === SQLITE_READONLY || resultCode(thrown) === SQLITE_PERM || code === 'EACCES' || code === 'EROFS';
  return isRefused
    ? `${message}: this process must be able to write the file and its folder; see their permissions and the mount`
    : message;
}

const BUSY_ADVICE = 'another process holds it, such as a database tool with an open transaction, or a backup; let that one end';

/** SQLite's primary result code, if it was SQLite that threw. */
export function resultCode(thrown: unknown): number | undefined {
  const { errcode } = (thrown ?? {}) as { errcode?: unknown };
  return typeof errcode === 'number' ? errcode & 0xff : undefined;
}

/** Whether another process held the file for too long. */
export function isBusy(thrown: unknown): boolean {
  return resultCode(thrown) === SQLITE_BUSY;
}

/** Whether the file is not what SQLite wrote. */
export function isDamaged(thrown: unknown): boolean {
  const code = resultCode(thrown);
  return code === SQLITE_NOT_A_DATABASE || code === SQLITE_CORRUPT;
}

/** What was thrown, as an error in any case. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new InvariantError(`thrown by SQLite, but no error: ${describe(thrown)}`);
}
