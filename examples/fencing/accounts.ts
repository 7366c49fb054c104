/**
 * Accounts: a database of your own, outside of Drover, that keeps a run from writing which has lost its locks and does not
 * know it. Each row remembers the greatest token that has written it, and refuses a smaller one.
 *
 * A late write is refused from the moment on when the database has heard of a newer token. So a run says its token first
 * (`claim`), then reads, then writes: what was read under a token is not written by an older one in between.
 */
import { DatabaseSync } from 'node:sqlite';

export class Accounts {
  readonly #db = new DatabaseSync(':memory:');
  readonly #write;
  readonly #claim;
  readonly #read;

  constructor() {
    this.#db.exec('create table account (id text primary key, cents integer not null, fence integer not null default 0) strict');
    this.#write = this.#db.prepare('update account set cents = ?, fence = ? where id = ? and fence <= ?');
    this.#claim = this.#db.prepare('update account set fence = ? where id = ? and fence <= ?');
    this.#read = this.#db.prepare('select cents from account where id = ?');
  }

  open(id: string, cents: number): void {
    this.#db.prepare('insert into account (id, cents) values (?, ?)').run(id, cents);
  }

  cents(id: string): number {
    return Number(this.#read.get(id)!['cents']);
  }

  /** From now on no older token writes this row, also before its new holder has written. */
  claim(id: string, fence: number): void {
    if (this.#claim.run(fence, id, fence).changes === 0) throw new StaleTokenError(id, fence);
  }

  set(id: string, cents: number, fence: number): void {
    if (this.#write.run(cents, fence, id, fence).changes === 0) throw new StaleTokenError(id, fence);
  }
}

/** Somebody with a newer token has written the row: whoever this is has lost his locks. Trying again would not help. */
export class StaleTokenError extends Error {
  override readonly name = 'StaleTokenError';
  readonly retryable = false;

  constructor(id: string, fence: number) {
    super(`account ${id}: token ${fence} is older than the last one that wrote it`);
  }
}
