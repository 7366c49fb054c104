/** What a store may refuse or fail with. */
import { DroverError } from '../kernel/errors.ts';

/** The store cannot be opened where it is said to be: folder missing, no permission. */
export class StoreOpenError extends DroverError {
  readonly code = 'DROVER_STORE_OPEN';
  readonly retryable = false;
  override readonly detail: { readonly store: string };
  constructor(store: string, why: string, options?: ErrorOptions) {
    super(`${store}: cannot be opened: ${why}`, options);
    this.detail = { store };
  }
}

/** The file is there, but it is no database. It has not been touched. */
export class StoreNotADatabaseError extends DroverError {
  readonly code = 'DROVER_STORE_NOT_A_DATABASE';
  readonly retryable = false;
  override readonly detail: { readonly store: string };
  constructor(store: string, options?: ErrorOptions) {
    super(
      `${store}: expected an SQLite database, found something else; name another file, or, should this have been one, restore a backup`,
      options,
    );
    this.detail = { store };
  }
}

/**
 * The file was a store, and is not what was written to it any more: cut, overwritten, or the disk has failed. Nothing more is
 * written to it, not even what its log has.
 */
export class StoreDamagedError extends DroverError {
  readonly code = 'DROVER_STORE_DAMAGED';
  readonly retryable = false;
  override readonly detail: { readonly store: string };
  /** `why`: what is wrong with it, in words. */
  constructor(store: string, why: string, options?: ErrorOptions) {
    super(
      `${store}: the file is damaged (${why}); keep a copy of it and of what lies beside it (-wal), then restore a backup in place of them`,
      options,
    );
    this.detail = { store };
  }
}

/**
 * A file of the store has been removed, or another one put in its place, while it was in use. What was acknowledged since may
 * be gone with it.
 */
export class StoreRemovedError extends DroverError {
  readonly code = 'DROVER_STORE_REMOVED';
  readonly retryable = false;
  /** `file`: the database itself, or its `-wal`, `-shm` or `-owner`. */
  override readonly detail: { readonly store: string; readonly file: string; readonly how: 'removed' | 'replaced' };
  constructor(detail: StoreRemovedError['detail'], options?: ErrorOptions) {
    const { store, file, how } = detail;
    const what = how === 'removed' ? 'has been removed' : 'has been replaced by another file';
    const then = file.endsWith('-owner')
      ? 'so another process may run the same work at the same time; stop them all, and start one'
      : 'what was acknowledged since may be gone; put the file back if you have it, and stop whatever uses a store before you touch its files';
    super(`${store}: ${file} ${what} while it was in use: ${then}`, options);
    this.detail = detail;
  }
}

/** The database was written by a newer Drover. It has not been touched. */
export class StoreNewerSchemaError extends DroverError {
  readonly code = 'DROVER_STORE_NEWER_SCHEMA';
  readonly retryable = false;
  override readonly detail: { readonly store: string; readonly found: number; readonly known: number };
  constructor(detail: StoreNewerSchemaError['detail'], options?: ErrorOptions) {
    super(
      `${detail.store}: has schema ${detail.found}, this Drover knows up to ${detail.known}; run the newer Drover that wrote it`,
      options,
    );
    this.detail = detail;
  }
}

/** The file is a database of some other program's. It has not been touched. */
export class StoreForeignError extends DroverError {
  readonly code = 'DROVER_STORE_FOREIGN';
  readonly retryable = false;
  override readonly detail: { readonly store: string };
  constructor(store: string) {
    super(`${store}: is a database, but not one of Drover's; name another file`);
    this.detail = { store };
  }
}

/** Another process runs the work of this store. */
export class StoreOwnedError extends DroverError {
  readonly code = 'DROVER_STORE_OWNED';
  readonly retryable = true;
  override readonly detail: { readonly store: string };
  constructor(store: string, options?: ErrorOptions) {
    super(`${store}: another process, or another fleet or openStore(...) of this one, has it open; close that first`, options);
    this.detail = { store };
  }
}

/** A command came after `close`, or before `open`; or a store that was closed is opened again. */
export class StoreClosedError extends DroverError {
  readonly code = 'DROVER_STORE_CLOSED';
  readonly retryable = false;
  override readonly detail: { readonly store: string };
  /** `asked`: what came. */
  constructor(store: string, asked: 'open' | 'command' = 'command') {
    super(
      `${store}: ${asked === 'open' ? 'this object has been closed, and cannot be opened again; make a new one' : 'is not open; a fleet opens the store that it is given, openStore of drover/coordination one without a fleet'}`,
    );
    this.detail = { store };
  }
}

/** The storage itself failed (disk full, I/O error, thread gone). The command may or may not have happened. */
export class StoreFailedError extends DroverError {
  readonly code = 'DROVER_STORE_FAILED';
  readonly retryable = true;
  override readonly detail: { readonly store: string; readonly command: string };
  /** `why`: in words. Default: what the cause says. */
  constructor(detail: StoreFailedError['detail'], options?: ErrorOptions, why?: string) {
    super(
      `${detail.store}: ${detail.command} failed: ${why ?? (options?.cause instanceof Error ? options.cause.message : 'storage error')}`,
      options,
    );
    this.detail = detail;
  }
}
