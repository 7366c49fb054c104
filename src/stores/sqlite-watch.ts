/**
 * Watch over the files of an open database: are they still those that were opened?
 *
 * A process keeps what it has opened. When somebody deletes the database, or puts another file in its place,
 * SQLite goes on reading and writing what has no name any more: every commit succeeds, and all of it is gone
 * when the process ends. So what stands under the names is compared with what stood there at the opening, by
 * device and inode. That costs a few microseconds, and is done once in a while, not for every command.
 */
import { statSync } from 'node:fs';

/** A file that is not the one that was opened. */
export interface Gone {
  readonly file: string;
  readonly how: 'removed' | 'replaced';
}

interface Identity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** Remembers which files stand under these names, at the moment at which it is made. */
export class FileWatch {
  readonly #known = new Map<string, Identity>();

  /** A file that is not there is not watched. */
  constructor(files: readonly string[]) {
    for (const file of files) {
      const found = identityOf(file);
      if (found !== undefined) this.#known.set(file, found);
    }
  }

  /** The first of them that is not there any more, or is another one. Undefined: all is as it was. */
  look(): Gone | undefined {
    for (const file of this.#known.keys()) {
      const how = this.#becomeOf(file);
      if (how !== undefined) return { file, how };
    }
    return undefined;
  }

  /** Whether this one, which is watched, is as it was. */
  isThere(file: string): boolean {
    return this.#known.has(file) && this.#becomeOf(file) === undefined;
  }

  #becomeOf(file: string): Gone['how'] | undefined {
    const known = this.#known.get(file)!;
    try {
      const found = identityOf(file);
      if (found === undefined) return 'removed';
      return found.ino === known.ino && found.dev === known.dev ? undefined : 'replaced';
    } catch {
      // That it cannot be looked at says nothing of where it is.
      return undefined;
    }
  }
}

function identityOf(file: string): Identity | undefined {
  return statSync(file, { bigint: true, throwIfNoEntry: false });
}
