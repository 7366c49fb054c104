/**
 * The files of a database: what are they, may they be opened, and who owns them.
 *
 * Opening, in this order, so that what is not ours stays as it is, byte for byte:
 *   1. The header is read with plain file access. Another program's database, a newer schema and
 *      what is no database at all are refused before SQLite has touched them.
 *   2. Ownership: an exclusive lock on `<path>-owner`, held until the end by a connection of its
 *      own. The lock is the operating system's, so it ends with the process, also by `kill -9`; the
 *      empty file stays, because a lock file that is deleted can be locked twice.
 *   3. Where nothing is there, a database is made under another name and gets its own when it is whole: so
 *      a process that dies on the way leaves no empty file, which is what a file that was cut looks like.
 *   4. The database is opened, looked at again (the newest version may stand in its log), brought
 *      up to date, and made a WAL database.
 */
import { closeSync, lstatSync, openSync, readlinkSync, readSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { adviceFor, isDamaged, resultCode, SQLITE_BUSY, toError } from './sqlite-advice.ts';
import { APPLICATION_ID, migrate, SCHEMA_VERSION } from './sqlite-schema.ts';

/** Why a file is not opened. */
export type OpenFailure =
  | { readonly at: 'not-openable'; readonly why: string; readonly cause?: Error }
  | { readonly at: 'not-a-database'; readonly cause?: Error }
  /** It was a database of Drover's, and is not what was written any more. */
  | { readonly at: 'damaged'; readonly why: string; readonly cause?: Error }
  | { readonly at: 'newer-schema'; readonly found: number; readonly known: number }
  | { readonly at: 'foreign' }
  | { readonly at: 'owned' };

/** A database that this process owns. */
export interface OpenFile {
  readonly at: 'opened';
  /** The one path of it; for a database in memory `:memory:`. */
  readonly path: string;
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
/** At the end nobody is waited for: the log says the same as the database, and the next owner writes it back. */
const CLOSING_BUSY_MS = 100;
/** Two that come at the same instant step back and try again within this time: one of them wins. */
const OWNER_BUSY_MS = 200;
/** The log is written back at this many pages (16 MB): hot pages are then written once for many commits. */
const CHECKPOINT_PAGES = 4_000;
/** More would cost more than it saves: where a commit has split a page, SQLite looks at every page that it keeps. */
const CACHE_KIB = 16_384;
const LONGEST_LOG_BYTES = 67_108_864;

/** Opens `path` as its one owner, or says why not; then nothing is left open. */
export function openFile(path: string): OpenFile | OpenFailure {
  if (path === IN_MEMORY) return openDatabase(path, undefined);
  const file = locate(path);
  if (typeof file !== 'string') return file;
  const refused = refuseByHeader(file);
  if (refused !== undefined) return refused;
  const owner = takeOwnership(file);
  if (!(owner instanceof DatabaseSync)) return owner;
  const opened = makeWhole(file) ?? openDatabase(file, owner);
  if (opened.at !== 'opened') owner.close();
  return opened;
}

/** Writes the log back into the file, closes it, and lets go of the ownership last. */
export function closeFile(file: OpenFile): void {
  try {
    file.db.exec(`pragma busy_timeout = ${CLOSING_BUSY_MS}; pragma wal_checkpoint(truncate)`);
  } catch {
    // The log stays beside the file and says the same; the next owner writes it back.
  }
  letGoOfFile(file);
}

/**
 * Closes a file that may not be the one under its name any more, and lets go of the ownership last. SQLite writes
 * the log back then where nobody else has the database open and it still has its name, and only then.
 */
export function letGoOfFile({ db, owner }: OpenFile): void {
  db.close();
  owner?.close();
}

/** Closes a damaged file as it is: not even its log is written back, as SQLite does when the last connection closes. */
export function leaveFile({ path, db, owner }: OpenFile): void {
  let reader: DatabaseSync | undefined;
  try {
    // Whoever only reads cannot write back, and while it is there the other is not the last one.
    reader = new DatabaseSync(path, { readOnly: true });
    reader.prepare('select count(*) from sqlite_schema').get();
  } catch {
    // What it reads may be damaged; its lock on the file it has all the same.
  }
  db.close();
  reader?.close();
  owner?.close();
}

/** The one path of the file: through links, so that two names of it have one lock. */
function locate(path: string): string | OpenFailure {
  const absolute = resolve(path);
  try {
    const found = statSync(absolute, { throwIfNoEntry: false });
    if (found?.isDirectory()) return { at: 'not-openable', why: 'it is a folder; name a file in it' };
    // Reading from a pipe waits for whoever writes, and a device is nobody's file.
    if (found?.isFile() === false) return { at: 'not-openable', why: 'it is a device, a pipe or a socket, and no file' };
    if (found !== undefined && found.nlink > 1) return { at: 'not-openable', why: linked(found.nlink) };
    if (found !== undefined) return realpathSync(absolute);
    const link = lstatSync(absolute, { throwIfNoEntry: false });
    // What it points to may be on a volume that is not there now: a new file in its place would hide the other one for good.
    if (link !== undefined) return { at: 'not-openable', why: `it is a link to ${readlinkSync(absolute)}, which is not there` };
    const folder = dirname(absolute);
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
      return { at: 'not-openable', why: `there is no folder ${folder}; create it first` };
    }
    return join(realpathSync(folder), basename(absolute));
  } catch (thrown) {
    return toFailure(thrown);
  }
}

/** Tells by the first bytes what must not be touched. An empty file with nothing of Drover's beside it is a new database. */
function refuseByHeader(file: string): OpenFailure | undefined {
  try {
    const header = readHeader(file);
    const isLogThere = (sizeOf(`${file}-wal`) ?? 0) > 0;
    const wasOurs = isLogThere || sizeOf(`${file}-owner`) !== undefined;
    if (header === undefined) return isLogThere ? { at: 'damaged', why: LOG_WITHOUT_FILE } : undefined;
    if (header.length === 0) return wasOurs ? { at: 'damaged', why: EMPTY } : undefined;
    // A log may have more of it; then SQLite puts that right.
    if (isHeader(header) && !isLogThere && sizeOf(file)! % pageBytesOf(header) !== 0) return { at: 'damaged', why: CUT };
    if (!isHeader(header)) return wasOurs ? { at: 'damaged', why: 'its beginning has been overwritten or cut' } : { at: 'not-a-database' };
    return refuse(header.readUInt32BE(68), header.readUInt32BE(60));
  } catch (thrown) {
    return toFailure(thrown);
  }
}

/** Two names, each with a lock and a log of its own: two processes would do the same work, and damage the file. */
function linked(names: number): string {
  return `it has ${names} names (hard links), and who opens it by another one would not find it in use; copy it, and open the copy`;
}

const EMPTY = 'it is empty, although files of a database lie beside it (-owner, -wal); to begin anew, delete those too';
const LOG_WITHOUT_FILE =
  'it is not there, but its log (-wal) is, with tasks in it; put the file back, or to begin anew, delete the log too';

const CUT = 'its end has been cut, in the midst of a page';

/** What each database of SQLite begins with, whoever has made it. */
function isHeader(header: Buffer): boolean {
  if (header.length < HEADER_BYTES || header.toString('latin1', 0, MAGIC.length) !== MAGIC) return false;
  const pageBytes = pageBytesOf(header);
  // The three shares of a page are constants of the format.
  const isPage = pageBytes >= 512 && (pageBytes & (pageBytes - 1)) === 0;
  return isPage && header[21] === 64 && header[22] === 32 && header[23] === 32;
}

function pageBytesOf(header: Buffer): number {
  const bytes = header.readUInt16BE(16);
  return bytes === 1 ? 65_536 : bytes;
}

function sizeOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.size;
}

/** Undefined: there is no file. */
function readHeader(file: string): Buffer | undefined {
  const header = Buffer.alloc(HEADER_BYTES);
  if (sizeOf(file) === undefined) return undefined;
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

function takeOwnership(file: string): DatabaseSync | OpenFailure {
  const lockFile = `${file}-owner`;
  let owner: DatabaseSync | undefined;
  try {
    owner = new DatabaseSync(lockFile, { timeout: OWNER_BUSY_MS });
    // Nothing is ever written to it, so it needs no journal beside it either.
    owner.exec('pragma journal_mode = memory; begin exclusive');
    return owner;
  } catch (thrown) {
    owner?.close();
    if (resultCode(thrown) === SQLITE_BUSY) return { at: 'owned' };
    return { at: 'not-openable', why: `its lock ${lockFile} cannot be taken: ${adviceFor(thrown, lockFile)}`, cause: toError(thrown) };
  }
}

/** Makes a database where there is none. */
function makeWhole(file: string): OpenFailure | undefined {
  if (sizeOf(file) !== undefined) return undefined;
  const unfinished = `${file}-unfinished`;
  let db: DatabaseSync | undefined;
  try {
    for (const left of [unfinished, `${unfinished}-journal`]) rmSync(left, { force: true });
    db = new DatabaseSync(unfinished);
    migrate(db);
    db.close();
    renameSync(unfinished, file);
    return undefined;
  } catch (thrown) {
    if (db?.isOpen === true) db.close();
    return toFailure(thrown, file);
  }
}

function openDatabase(file: string, owner: DatabaseSync | undefined): OpenFile | OpenFailure {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file, { timeout: BUSY_MS });
    const refused = refuseByContent(db) ?? prepareFile(db, file);
    if (refused === undefined) return { at: 'opened', path: file, log: file === IN_MEMORY ? undefined : `${file}-wal`, db, owner };
    db.close();
    return refused;
  } catch (thrown) {
    db?.close();
    return toFailure(thrown, file);
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

function toFailure(thrown: unknown, file?: string): OpenFailure {
  const cause = toError(thrown);
  if (isDamaged(thrown)) return { at: 'damaged', why: cause.message, cause };
  return { at: 'not-openable', why: adviceFor(thrown, file), cause };
}
