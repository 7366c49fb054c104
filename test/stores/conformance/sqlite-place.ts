import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Store } from '../../../actors/ports/store.ts';
import { SqliteStore } from '../../../src/stores/sqlite.ts';
import type { MakeThread, SqliteOptions } from '../../../src/stores/sqlite.ts';
import type { Place } from './place.ts';

// Threads inherit the environment: with what was compiled kept, one starts in a fifth of the time.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'drover-compile-cache');

/** A database in a folder of its own. */
export class SqlitePlace implements Place {
  readonly folder: string;
  readonly path: string;
  readonly #options: SqliteOptions;
  readonly #makeThread: MakeThread | undefined;

  constructor(options: SqliteOptions = {}, { root = tmpdir(), makeThread }: { root?: string; makeThread?: MakeThread } = {}) {
    this.folder = mkdtempSync(join(root, 'drover-store-'));
    this.path = join(this.folder, 'test.db');
    this.#options = options;
    this.#makeThread = makeThread;
  }

  store(): SqliteStore {
    return new SqliteStore(this.path, this.#options, this.#makeThread);
  }

  async crash(store: Store): Promise<void> {
    await (store as SqliteStore).kill();
  }

  async remove(): Promise<void> {
    rmSync(this.folder, { recursive: true });
  }
}
