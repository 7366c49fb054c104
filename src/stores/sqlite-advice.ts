/** What SQLite throws: what it means, and what is likely to be done about it. */
import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, InvariantError } from '../../actors/kernel/errors.ts';

export const SQLITE_BUSY = 5;
const SQLITE_PERM = 3;
const SQLITE_READONLY = 8;
const SQLITE_ERROR = 1;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_CONSTRAINT = 19;
/** Extended: a trigger of somebody else's has said no. */
const SQLITE_CONSTRAINT_TRIGGER = 1_811;
const SQLITE_MISMATCH = 20;
const SQLITE_NOT_A_DATABASE = 26;
/** Extended result codes: a write, or the growth of a file, that the system has refused. */
const SQLITE_IOERR_WRITE = 778;
const SQLITE_IOERR_SHMSIZE = 4_874;

const NEVER_WRITTEN: ReadonlySet<number> = new Set([SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_MISMATCH]);

const BUSY_ADVICE = 'another process holds it, such as a database tool with an open transaction, or a backup; let that one end';
const FULL_ADVICE = 'the disk is full, or the file has reached the size limit of this process (ulimit -f); make room';

/** What SQLite says, or the file system, and what is likely to be done about it. `file`: which one it was about to open. */
export function adviceFor(thrown: unknown, file?: string): string {
  const { message } = toError(thrown);
  if (isBusy(thrown)) return `${message}: ${BUSY_ADVICE}`;
  if (isFull(thrown)) return `${message}: ${FULL_ADVICE}`;
  const { code } = (thrown ?? {}) as { code?: unknown };
  const result = resultCode(thrown);
  const isRefused = result === SQLITE_READONLY || result === SQLITE_PERM || code === 'EACCES' || code === 'EROFS';
  if (isRefused || result === SQLITE_CANTOPEN) {
    const readOnly = file === undefined ? undefined : whatIsReadOnly(file);
    if (readOnly !== undefined) return `${message}: ${readOnly} is read-only for this process; see its permissions and the mount`;
  }
  return isRefused
    ? `${message}: this process must be able to write the file and its folder; see their permissions and the mount`
    : message;
}

/** The file, or the folder in which others are to lie beside it. */
function whatIsReadOnly(file: string): string | undefined {
  if (statSync(file, { throwIfNoEntry: false }) !== undefined && !isWritable(file)) return `the file ${file}`;
  return isWritable(dirname(file)) ? undefined : `the folder ${dirname(file)}`;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** SQLite's primary result code, if it was SQLite that threw. */
export function resultCode(thrown: unknown): number | undefined {
  const code = extendedCode(thrown);
  return code === undefined ? undefined : code & 0xff;
}

function extendedCode(thrown: unknown): number | undefined {
  const { errcode } = (thrown ?? {}) as { errcode?: unknown };
  return typeof errcode === 'number' ? errcode : undefined;
}

/** Whether another process held the file for too long. */
export function isBusy(thrown: unknown): boolean {
  return resultCode(thrown) === SQLITE_BUSY;
}

/** The disk is, or the file may not grow. */
export function isFull(thrown: unknown): boolean {
  const code = extendedCode(thrown);
  return resultCode(thrown) === SQLITE_FULL || code === SQLITE_IOERR_WRITE || code === SQLITE_IOERR_SHMSIZE;
}

/** Whether the file is not what SQLite wrote. */
export function isDamaged(thrown: unknown): boolean {
  const code = resultCode(thrown);
  return code === SQLITE_NOT_A_DATABASE || code === SQLITE_CORRUPT;
}

/**
 * Whether a command on an open database came upon what no Drover has written: rows that break the rules of the schema, a
 * table that is not there, or a text or number that cannot be read. Trying again would find the same.
 * None of it comes of an argument: what a command was given is checked before it comes here, down to its types.
 */
export function isSenseless(thrown: unknown): boolean {
  const code = resultCode(thrown);
  return code === undefined || (NEVER_WRITTEN.has(code) && extendedCode(thrown) !== SQLITE_CONSTRAINT_TRIGGER);
}

/** What was thrown, as an error in any case. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new InvariantError(`thrown by SQLite, but no error: ${describe(thrown)}`);
}
