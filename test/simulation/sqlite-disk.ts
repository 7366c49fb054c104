/** SqliteDisk: a simulation's tasks in a real database, whose server answers within the call. */
import { copyFileSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { Store, TaskCounts, TaskRecord } from '../../actors/ports/store.ts';
import type { SqliteStore } from '../../src/stores/sqlite.ts';
import type { SimulatedDisk } from '../../src/testing/simulate/internals.ts';
import { InlineThread } from '../stores/conformance/inline-thread.ts';
import { SqlitePlace } from '../stores/conformance/sqlite-place.ts';

/** A sync costs nothing there: what power failures leave is not simulated. */
const QUICK_DISK = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** What can be looked at when its process has closed it. */
interface Closed {
  readonly tasks: ReadonlyMap<string, TaskRecord>;
  readonly counts: Readonly<Record<string, TaskCounts>>;
}

class LookedAtThread extends InlineThread {
  closed: Closed | undefined;

  override async close(): Promise<void> {
    this.closed ??= {
      tasks: new Map(this.ask({ op: 'list', query: { limit: 1_000_000 } }, 1)!.found.map((task) => [task.id, task])),
      counts: this.ask({ op: 'counts' }, 1),
    };
    await super.close();
  }
}

export class SqliteDisk implements SimulatedDisk {
  #thread: LookedAtThread | undefined;
  #store: SqliteStore | undefined;
  #place = this.#newPlace();

  store(): Store {
    this.#store = this.#place.store();
    return inOrder(this.#store);
  }

  /** What had not been written is gone: the files as they are at that moment are those of the next process. */
  crash(): void {
    const former = this.#place;
    this.#place = this.#newPlace();
    for (const suffix of ['', '-wal']) if (existsSync(former.path + suffix)) copyFileSync(former.path + suffix, this.#place.path + suffix);
    void this.#store?.kill().then(() => former.remove());
  }

  task(id: string): TaskRecord | undefined {
    const { closed } = this.#thread!;
    return closed === undefined ? this.#thread!.ask({ op: 'get', ids: [id] }, 1)[0] : closed.tasks.get(id);
  }

  counts(): Readonly<Record<string, TaskCounts>> {
    return this.#thread!.closed?.counts ?? this.#thread!.ask({ op: 'counts' }, 1);
  }

  remove(): Promise<void> {
    return this.#place.remove();
  }

  #newPlace(): SqlitePlace {
    // Nobody else touches the file: its guard need not look.
    const makeThread = (name: string, path: string): LookedAtThread => (this.#thread = new LookedAtThread(name, path, () => 0));
    return new SqlitePlace({}, { root: QUICK_DISK, makeThread });
  }
}

/** A command is done when it is given; that is seen in the order in which they were given, however many promises each goes through. */
function inOrder(store: Store): Store {
  let last: Promise<unknown> = Promise.resolve();
  return new Proxy(store, {
    get(target, name) {
      const command: unknown = Reflect.get(target, name);
      if (typeof command !== 'function') return command;
      return (...args: unknown[]): Promise<unknown> => {
        const done = command.apply(target, args) as Promise<unknown>;
        const mine = last.then(() => done);
        last = mine.catch(() => {});
        return mine;
      };
    },
  });
}
