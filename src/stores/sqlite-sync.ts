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
 * from it. SQLite itself syncs the log before a checkpoint, and the database after it.
 *
 * Invariant: an answer leaves after the end of a sync that began after its commit.
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

/** For the log of one database. */
export class LogSync<A> {
  readonly #answer: (answers: readonly A[]) => void;
  readonly #fail: (cause: Error) => void;
  readonly #sync: (done: (error: Error | null) => void) => void;
  readonly #descriptor: number | undefined;
  #waiting: A[] = [];
  #syncing = false;
  #closed = false;

  /** `log` is the path of the log, which exists. SQLite's locks are not on it: closing it lets none go. */
  constructor(log: string, { answer, fail, sync }: LogSyncOptions<A>) {
    this.#answer = answer;
    this.#fail = fail;
    const descriptor = sync === undefined ? openSync(log, 'r+') : undefined;
    this.#descriptor = descriptor;
    this.#sync = sync ?? ((done) => fdatasync(descriptor!, done));
  }

  /** `wrote` tells whether there is anything new in the log; only then must there be a sync. */
  hold(answers: readonly A[], wrote: boolean): void {
    if (!wrote && !this.#syncing) return this.#answer(answers);
    this.#waiting.push(...answers);
    if (!this.#syncing) this.#begin();
  }

  /** Lets go of the log, after the sync under way. Whoever waits is not answered. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#syncing) this.#release();
  }

  #begin(): void {
    const answers = this.#waiting;
    this.#waiting = [];
    this.#syncing = true;
    this.#sync((error) => {
      this.#syncing = false;
      if (this.#closed) return this.#release();
      if (error !== null) return this.#fail(error);
      this.#answer(answers);
      // Answering may have closed this.
      if (this.#waiting.length > 0 && !this.#closed) this.#begin();
    });
  }

  #release(): void {
    if (this.#descriptor !== undefined) close(this.#descriptor);
  }
}
