/**
 * SqliteThread: the store's end of its thread. Commands of one turn of the event loop go in one
 * message, at the end of the turn. Whatever happens to the thread, every call is answered.
 */
import { Worker } from 'node:worker_threads';
import { DroverError } from '../../actors/kernel/errors.ts';
import {
  StoreDamagedError,
  StoreFailedError,
  StoreForeignError,
  StoreNewerSchemaError,
  StoreNotADatabaseError,
  StoreOpenError,
  StoreOwnedError,
  StoreRemovedError,
} from '../../actors/ports/store-errors.ts';
import type { OpenCommand, Opened } from '../../actors/ports/store.ts';
import { toError } from './sqlite-advice.ts';
import { LogSync } from './sqlite-sync.ts';
import type { Answer, Answers, Envelope, Failure, Replies, Request } from './sqlite-wire.ts';
import type { ThreadData } from './sqlite-worker.ts';

/** The thread of a store has ended by itself: out of memory, or a bug. The cause of a `StoreFailedError`. */
export class ThreadEndedError extends DroverError {
  readonly code = 'DROVER_STORE_THREAD_ENDED';
  readonly retryable = false;
  override readonly detail: { readonly exitCode: number };
  constructor(exitCode: number) {
    super(`the thread of the store has ended with exit code ${exitCode}`);
    this.detail = { exitCode };
  }
}

interface Caller {
  readonly op: Request['op'];
  readonly resolve: (value: never) => void;
  readonly reject: (error: DroverError) => void;
}

/** What a store needs of its thread. */
export interface SqliteCaller {
  /** Transactions that wrote something, so far. */
  readonly commits: number;
  /** Opens the database. Nothing else is called before it has ended. Rejects with an error of the port, and must be terminated then. */
  open(command: OpenCommand): Promise<Opened>;
  /** `size`: how many items the command has. Rejects with an error of the port. */
  call<Op extends Request['op']>(request: Extract<Request, { op: Op }>, size: number): Promise<Replies[Op]>;
  /** Behind everything that was called before, writes the log back, lets go of the file, and ends. */
  close(): Promise<void>;
  /** Ends at once: what is under way is refused, as after a crash. */
  terminate(): Promise<void>;
}

/** Compiled, the thread is a `.js` file like this one; from source, it is a `.ts` file like this one. */
const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './sqlite-worker.ts' : './sqlite-worker.js', import.meta.url);

/** Starts the thread at once; it ends by `close` or `terminate`. */
export class SqliteThread implements SqliteCaller {
  commits = 0;
  readonly #name: string;
  readonly #durable: boolean;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #callers = new Map<number, Caller>();
  #outbox: Envelope[] = [];
  #lastTicket = 0;
  /** None before the database is open, and where nothing needs to be synced. */
  #sync: LogSync<Answer> | undefined;
  /** Somebody waits for the end of the thread: the process stays alive for it. */
  #ending = false;
  /** Why the thread can no longer be called. */
  #gone: Failure | undefined;

  /** `name` is the store's, for errors. `durable`: answer only when it is on the disk. */
  constructor(name: string, path: string, durable: boolean) {
    this.#name = name;
    this.#durable = durable;
    this.#worker = new Worker(ENTRY, { workerData: { path } satisfies ThreadData, name: 'drover-sqlite' });
    this.#worker.on('message', ({ answers, wrote }: Answers) => {
      if (this.#gone !== undefined) return;
      if (wrote) this.commits += 1;
      if (this.#sync === undefined) this.#answered(answers);
      else this.#hold(this.#sync, answers, wrote);
    });
    this.#worker.on('messageerror', (thrown) => this.#fail(toError(thrown)));
    this.#worker.on('error', (thrown) => this.#end(toError(thrown)));
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.#end(new ThreadEndedError(code));
        resolve();
      });
    });
    this.#worker.unref();
  }

  async open(command: OpenCommand): Promise<Opened> {
    const { log, ...opened } = await this.call({ op: 'open', command }, 1);
    if (log === undefined || !this.#durable) return opened;
    try {
      this.#sync = new LogSync<Answer>(log, {
        answer: (answers) => this.#answered(answers),
        fail: (cause) => this.#fail(cause),
      });
    } catch (thrown) {
      throw toStoreError({ at: 'failed', cause: toError(thrown) }, this.#name, 'open');
    }
    return opened;
  }

  /** While a call is under way the process stays alive. */
  call<Op extends Request['op']>(request: Extract<Request, { op: Op }>, size: number): Promise<Replies[Op]> {
    return new Promise((resolve, reject) => {
      if (this.#gone !== undefined) return reject(toStoreError(this.#gone, this.#name, request.op));
      const ticket = (this.#lastTicket += 1);
      if (this.#callers.size === 0) this.#worker.ref();
      this.#callers.set(ticket, { op: request.op, resolve, reject });
      if (this.#outbox.push({ ticket, size, request }) === 1) process.nextTick(() => this.#flush());
    });
  }

  async close(): Promise<void> {
    this.#ending = true;
    if (this.#gone === undefined) {
      try {
        await this.call({ op: 'close' }, 1);
      } catch (error) {
        await this.#ended;
        // It has ended before, and its end has let go of everything.
        if ((error as DroverError).code === 'DROVER_STORE_FAILED') return;
        throw error;
      }
    }
    await this.#ended;
  }

  async terminate(): Promise<void> {
    this.#ending = true;
    this.#worker.ref();
    await this.#worker.terminate();
    await this.#ended;
  }

  #flush(): void {
    const envelopes = this.#outbox;
    this.#outbox = [];
    if (this.#gone !== undefined) return;
    try {
      this.#worker.postMessage(envelopes);
    } catch (thrown) {
      // Nothing of it has gone out.
      this.#answered(envelopes.map(({ ticket }) => ({ ticket, failure: { at: 'failed', cause: toError(thrown) } })));
    }
  }

  /** Of what is on the disk can be told at once. */
  #hold(sync: LogSync<Answer>, answers: readonly Answer[], wrote: boolean): void {
    // The commit is counted first: a read may tell of what the same transaction has written.
    sync.hold([], wrote);
    const early: Answer[] = [];
    const late: Answer[] = [];
    for (const answer of answers) {
      const isEarly = 'since' in answer && answer.since !== undefined && sync.isSynced(answer.since);
      (isEarly ? early : late).push(answer);
    }
    sync.hold(late, false);
    this.#answered(early);
  }

  #answered(answers: readonly Answer[]): void {
    for (const answer of answers) {
      const caller = this.#callers.get(answer.ticket);
      this.#callers.delete(answer.ticket);
      if (caller === undefined) continue;
      if ('failure' in answer) caller.reject(toStoreError(answer.failure, this.#name, caller.op));
      else caller.resolve(answer.value as never);
    }
    if (this.#callers.size === 0 && !this.#ending) this.#worker.unref();
  }

  /** The thread may live, but what it says can no longer be trusted to be on the disk. */
  #fail(cause: Error): void {
    this.#end(cause);
    void this.#worker.terminate();
  }

  #end(cause: Error): void {
    const gone = (this.#gone ??= { at: 'failed', cause });
    this.#sync?.close();
    const callers = [...this.#callers.values()];
    this.#callers.clear();
    for (const { op, reject } of callers) reject(toStoreError(gone, this.#name, op));
  }
}

/** The error of the port that says so. */
export function toStoreError(failure: Failure, store: string, command: string): DroverError {
  const options = 'cause' in failure ? { cause: failure.cause } : {};
  switch (failure.at) {
    case 'not-openable':
      return new StoreOpenError(store, failure.why, options);
    case 'not-a-database':
      return new StoreNotADatabaseError(store, options);
    case 'damaged':
      return new StoreDamagedError(store, failure.why, options);
    case 'removed':
      return new StoreRemovedError({ store, file: failure.file, how: failure.how });
    case 'newer-schema':
      return new StoreNewerSchemaError({ store, found: failure.found, known: failure.known });
    case 'foreign':
      return new StoreForeignError(store);
    case 'owned':
      return new StoreOwnedError(store);
    case 'failed':
      return new StoreFailedError({ store, command }, options, 'why' in failure ? failure.why : undefined);
  }
}
