/**
 * Guard of an open database: notices what others do to its files while it is in use, which SQLite does not.
 *
 *   1. Once in a while (`look`, at most every `LOOK_MS`, between two transactions): are the files still those
 *      that were opened; is the database as long as it was; is the log as long as what was written to it; and some of its frames, other ones each time.
 *   2. Before the log is written back at the end (`lookAtAll`): the files, their length, and all frames of the log.
 *
 * What is found is final: nothing more is written to the database then.
 */
import { renameSync, statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { isDamaged, toError } from './sqlite-advice.ts';
import type { OpenFile } from './sqlite-file.ts';
import { faultOfLog } from './sqlite-log.ts';
import type { FrameRange } from './sqlite-log.ts';
import type { Failure } from './sqlite-wire.ts';
import { FileWatch } from './sqlite-watch.ts';

/** Below the second in which an idle fleet sweeps, so that each of its sweeps looks. */
const LOOK_MS = 500;
/** Frames of the log that one look reads: a megabyte, in about a millisecond. */
const FRAMES_A_LOOK = 256;
/** What is suspected is looked at so often again, all of it. */
const MOST_AGAIN = 2;
/** The first SQLite that tells the length of its log without writing it back. */
const TELLS_LENGTH = [3, 51];

export class Guard {
  readonly #db: DatabaseSync;
  readonly #log: string | undefined;
  readonly #files: FileWatch;
  readonly #tellsLength: boolean;
  readonly #path: string;
  readonly #pageBytes: number;
  /** How long the database was at the last look. */
  #bytes: number;
  #lookedMs: number;
  /** The frame at which the next look begins. */
  #next = 0;

  /** When the database is open, and has its log. */
  constructor({ db, path, log }: OpenFile, nowMs: number) {
    this.#db = db;
    this.#log = log;
    this.#files = new FileWatch(log === undefined ? [] : [path, log, `${path}-shm`, `${path}-owner`]);
    this.#tellsLength = tellsLength(db);
    this.#path = path;
    this.#pageBytes = (db.prepare('pragma page_size').get() as { page_size: number }).page_size;
    this.#bytes = log === undefined ? 0 : statSync(path).size;
    this.#lookedMs = nowMs;
  }

  /** Looks, if that is due. No transaction is open. */
  look(nowMs: number): Failure | undefined {
    if (this.#log === undefined || nowMs - this.#lookedMs < LOOK_MS) return undefined;
    this.#lookedMs = nowMs;
    return this.#lookAt((frames) => {
      const from = this.#next < frames ? this.#next : 0;
      const count = Math.min(FRAMES_A_LOOK, frames - from);
      this.#next = from + count;
      return { from, count };
    });
  }

  /**
   * Another file was put in the place of the database: the log is that one's no more. It is kept under another name, so that
   * whoever opens the new file does not read an old log into it.
   */
  setLogAside(): void {
    if (this.#log === undefined || !this.#files.isThere(this.#log)) return;
    try {
      renameSync(this.#log, `${this.#log}-removed`);
    } catch {
      // Then it stays where it is: nothing can be done in a folder that may not be written.
    }
  }

  /** Looks at everything. No transaction is open. */
  lookAtAll(): Failure | undefined {
    return this.#log === undefined ? undefined : this.#lookAt((frames) => ({ from: 0, count: frames }));
  }

  #lookAt(range: (frames: number) => FrameRange): Failure | undefined {
    const gone = this.#files.look();
    if (gone !== undefined) return { at: 'removed', ...gone };
    if (this.#isCut()) return { at: 'damaged', why: 'it has been cut while it was in use' };
    let why = this.#faultOfLog(range);
    // Another program may have begun the log anew between the two questions. It does not do so each time.
    for (let again = 0; again < MOST_AGAIN && why !== undefined; again += 1)
      why = this.#faultOfLog((frames) => ({ from: 0, count: frames }));
    return why === undefined ? undefined : { at: 'damaged', why };
  }

  /** It only grows, but where somebody has packed it (`vacuum`): then SQLite knows of fewer pages too. */
  #isCut(): boolean {
    const bytes = statSync(this.#path, { throwIfNoEntry: false })?.size ?? this.#bytes;
    if (bytes < this.#bytes && bytes < this.#pages() * this.#pageBytes) return true;
    this.#bytes = bytes;
    return false;
  }

  #pages(): number {
    try {
      return (this.#db.prepare('pragma page_count').get() as { page_count: number }).page_count;
    } catch (thrown) {
      // What cannot be read is the disk's matter: the next command says so.
      return isDamaged(thrown) ? Infinity : 0;
    }
  }

  #faultOfLog(range: (frames: number) => FrameRange): string | undefined {
    try {
      return faultOfLog(this.#log!, range(this.#frames()));
    } catch (thrown) {
      // What cannot be read is the disk's matter: the next command says so.
      return isDamaged(thrown) ? toError(thrown).message : undefined;
    }
  }

  /** Frames in the log that count. */
  #frames(): number {
    if (!this.#tellsLength) return 0;
    const { log } = this.#db.prepare('pragma wal_checkpoint(noop)').get() as { log: number };
    return Math.max(0, log);
  }
}

function tellsLength(db: DatabaseSync): boolean {
  const { version } = db.prepare('select sqlite_version() as version').get() as { version: string };
  const [major, minor] = version.split('.').map(Number);
  return major! > TELLS_LENGTH[0]! || (major === TELLS_LENGTH[0] && minor! >= TELLS_LENGTH[1]!);
}
