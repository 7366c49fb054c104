/**
 * LogSync: answers wait here until what they acknowledge is on the disk.
 *
 *     committed ── hold ──▶ waiting ── a sync begins ──▶ in sync ── it has ended ──▶ answered
 *
 * SQLite could sync each commit itself (`synchronous = full`), but then its thread stands still for
 * as long, a third of its time under load. Here the thread commits to the log without a sync and goes on
 * with the next transaction, while the operating system syncs the log for all commits so far. It is
 * as safe: the log has a checksum over everything before, so after a power failure it is read up to
 * the last sync at least, and nothing later had been acknowledged, nor had any answer that was made
 * from it. SQLite itself syncs the log before a checkpoint, and the database after it. An answer that
 * tells of nothing new does not wait here at all, see `Answer.since`.
 *
 * A second sync begins while the first is under way: a commit then waits for one sync, not for the rest of
 * another one before it. Each has a descriptor of its own, for Linux tells of a failed write only once for
 * each: with one for both, the sync that hears of it could end behind one that does not.
 *
 * Invariant: an answer leaves after the end of a sync that began after its commit, and of all before it.
 */
import { close, fdatasync, openSync } from 'node:fs';

/** What becomes of the answers. */
export interface LogSyncOptions<A> {
  readonly answer: (answers: readonly A[]) => void;
  /** The disk failed: what was committed may be gone, and no later sync can say otherwise. */
  readonly fail: (cause: Error) => void;
  /** Ends when everything that was written to the log before is on the disk. For tests. */
  readonly sync?: (done: (error: Error | null) => void) => void;
}

type Sync = (done: (error: Error | null) => void) => void;

/** A sync, and who waits for it. */
interface UnderWay<A> {
  readonly answers: A[];
  readonly line: Sync;
  /** Commits that it has seen. */
  readonly commits: number;
  hasEnded: boolean;
}

/** Syncs that are under way at once. */
const MOST_SYNCS = 2;

/** For the log of one database. */
export class LogSync<A> {
  readonly #answer: (answers: readonly A[]) => void;
  readonly #fail: (cause: Error) => void;
  readonly #descriptors: readonly number[];
  /** Ways to sync that are not in use. */
  readonly #free: Sync[];
  #waiting: A[] = [];
  /** In the order in which they began. */
  #underWay: UnderWay<A>[] = [];
  #syncing = 0;
  #commits = 0;
  #synced = 0;
  #closed = false;

  /** `log` is the path of the log, which exists. SQLite's locks are not on it: closing it lets none go. */
  constructor(log: string, { answer, fail, sync }: LogSyncOptions<A>) {
    this.#answer = answer;
    this.#fail = fail;
    const lines = Array.from({ length: MOST_SYNCS });
    this.#descriptors = sync === undefined ? lines.map(() => openSync(log, 'r+')) : [];
    this.#free = sync === undefined ? this.#descriptors.map((descriptor) => (done) => fdatasync(descriptor, done)) : lines.map(() => sync);
  }

  /** `wrote` tells whether there is anything new in the log; only then must there be a sync. */
  hold(answers: readonly A[], wrote: boolean): void {
    if (wrote) this.#commits += 1;
    if (answers.length === 0) return;
    if (this.isSynced(this.#commits)) return this.#answer(answers);
    const last = this.#underWay.at(-1);
    // A sync that is under way has seen all that these can tell of.
    if (last?.commits === this.#commits) last.answers.push(...answers);
    else this.#waiting.push(...answers);
    this.#begin();
  }

  /** Whether so many commits, counted from the first that was held, are on the disk. */
  isSynced(commits: number): boolean {
    return this.#synced >= Math.min(commits, this.#commits);
  }

  /** Lets go of the log, after the syncs under way. Whoever waits is not answered. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#syncing === 0) this.#release();
  }

  #begin(): void {
    if (this.#waiting.length === 0 || this.#closed) return;
    const line = this.#free.pop();
    if (line === undefined) return;
    const sync: UnderWay<A> = { answers: this.#waiting, line, commits: this.#commits, hasEnded: false };
    this.#waiting = [];
    this.#underWay.push(sync);
    this.#syncing += 1;
    line((error) => this.#ended(sync, error));
  }

  #ended(sync: UnderWay<A>, error: Error | null): void {
    this.#syncing -= 1;
    this.#free.push(sync.line);
    sync.hasEnded = true;
    if (this.#closed) {
      if (this.#syncing === 0) this.#release();
      return;
    }
    if (error !== null) return this.#fail(error);
    // What waits is on its way to the disk while others are answered.
    this.#begin();
    // Answering may close this.
    while (this.#underWay[0]?.hasEnded === true && !this.#closed) {
      const { answers, commits } = this.#underWay.shift()!;
      this.#synced = commits;
      this.#answer(answers);
    }
  }

  #release(): void {
    for (const descriptor of this.#descriptors) close(descriptor);
  }
}
