/**
 * Accounts: a database of your own, outside of Drover, that neither loses a write nor makes it twice.
 *
 * Two dangers, and a remedy for each:
 *
 *   - A run has lost its locks and does not know it: its write is late. Each row remembers the greatest token that has
 *     written it, and refuses a smaller one. It does so from the moment on when it has heard of the newer token: so a run
 *     says its token first (`claim`), then reads, then writes; what was read under a token is not written by an older one
 *     in between.
 *   - A run has written, and its process dies before Drover hears of it: the next run, with a newer token, writes again. So
 *     the idempotency key of the step is written by the same transaction, with what came of it, and a key that is there
 *     already gives that back.
 */
import { DatabaseSync } from 'node:sqlite';

export class Accounts {
  readonly #db: DatabaseSync;
  readonly #write;
  readonly #claim;
  readonly #read;
  readonly #written;
  readonly #done;

  /** Tokens that it has seen only grow: a file that stays needs a store that stays, for a memory store begins with 1 again. */
  constructor(path = ':memory:') {
    this.#db = new DatabaseSync(path);
    this.#db.exec(`
      create table if not exists account (id text primary key, cents integer not null, fence integer not null default 0) strict;
      create table if not exists written (key text primary key, cents integer not null) strict;
    `);
    this.#write = this.#db.prepare('update account set cents = ?, fence = ? where id = ? and fence <= ?');
    this.#claim = this.#db.prepare('update account set fence = ? where id = ? and fence <= ?');
    this.#read = this.#db.prepare('select cents from account where id = ?');
    this.#written = this.#db.prepare('select cents from written where key = ?');
    this.#done = this.#db.prepare('insert into written (key, cents) values (?, ?)');
  }

  /** One that is there already stays as it is. */
  open(id: string, cents: number): void {
    this.#db.prepare('insert into account (id, cents) values (?, ?) on conflict (id) do nothing').run(id, cents);
  }

  /** @throws NoAccountError */
  cents(id: string): number {
    const row = this.#read.get(id);
    if (row === undefined) throw new NoAccountError(id);
    return Number(row['cents']);
  }

  /** From now on no older token writes this row, also before its new holder has written. @throws StaleTokenError, NoAccountError */
  claim(id: string, fence: number): void {
    if (this.#claim.run(fence, id, fence).changes === 0) throw this.#refusal(id, fence);
  }

  /**
   * Writes once for each key, and says what the account had then: now, or when that key was written before.
   *
   * @throws StaleTokenError, NoAccountError and nothing is written
   */
  set(id: string, cents: number, fence: number, key: string): number {
    this.#db.exec('begin immediate');
    try {
      const before = this.#written.get(key);
      if (before === undefined) {
        if (this.#write.run(cents, fence, id, fence).changes === 0) throw this.#refusal(id, fence);
        this.#done.run(key, cents);
      }
      this.#db.exec('commit');
      return before === undefined ? cents : Number(before['cents']);
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('rollback');
      throw error;
    }
  }

  /** Why no row has changed: there is none, or a newer token was here. */
  #refusal(id: string, fence: number): Error {
    return this.#read.get(id) === undefined ? new NoAccountError(id) : new StaleTokenError(id, fence);
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

/** There is no such account (yet), whatever the token. */
export class NoAccountError extends Error {
  override readonly name = 'NoAccountError';

  constructor(id: string) {
    super(`account ${id}: there is none`);
  }
}
