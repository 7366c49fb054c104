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

/** The file is there, but it is no database, or it is a damaged one. */
export class StoreNotADatabaseError extends DroverError {
  readonly code = 'DROVER_STORE_NOT_A_DATABASE';
  readonly retryable = false;
  override readonly detail: { readonly store: string };
  constructor(store: string, options?: ErrorOptions) {
    super(`${store}: expected an SQLite database, found something else or a damaged file; name another file, or restore this one`, options);
    this.detail = { store };
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
    super(`${store}: another process, or another fleet of this one, runs its work; stop that one first`, options);
    this.detail = { store };
  }
}

/** A command came after `close`, or before `open`. */
export class StoreClosedError extends DroverError {
  readonly code = 'DROVER_STORE_CLOSED';
  readonly retryable = false;
  override readonly detail: { readonly store: string };
  constructor(store: string) {
    super(`${store}: is not open`);
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
