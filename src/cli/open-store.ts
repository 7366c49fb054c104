/** The store that `--store` names. */
import { dirname, resolve } from 'node:path';
import type { Store, TaskCounts } from '../../actors/ports/store.ts';
import { memoryStore } from '../stores/memory.ts';
import { UsageError } from './errors.ts';

/**
 * What `--store` names. `name` is for people and for the command that resumes: `memory`, or the path
 * as it was given. `folder` is where ids derived from file names start from.
 */
export type StoreChoice =
  | { readonly at: 'memory'; readonly name: 'memory'; readonly folder: string }
  | { readonly at: 'sqlite'; readonly name: string; readonly folder: string; readonly path: string };

/** `memory`, a path, or by default `<fleet>.db` in the current folder. */
export function chooseStore(given: string | undefined, fleet: string, cwd: string): StoreChoice {
  if (given === 'memory') return { at: 'memory', name: 'memory', folder: cwd };
  if (given === '') throw new UsageError("--store: expected a path or 'memory', got an empty text");
  const name = given ?? `${fleet}.db`;
  const path = resolve(cwd, name);
  return { at: 'sqlite', name, path, folder: dirname(path) };
}

/** Makes the store; `startFleet` opens it. SQLite is loaded only when it is wanted. */
export async function makeStore(choice: StoreChoice): Promise<Store> {
  if (choice.at === 'memory') return memoryStore();
  const { sqlite } = await import('../stores/sqlite.ts');
  return sqlite(choice.path);
}

/**
 * The same store, looked at when it has opened and just before it closes: what it holds cannot be
 * asked of a closed one. A last look that fails does not keep it from closing.
 */
export function withLooks(store: Store, looks: { readonly first: () => Promise<void>; readonly last: () => Promise<void> }): Store {
  const looked: Pick<Store, 'open' | 'close'> = {
    async open(command) {
      const opened = await store.open(command);
      await looks.first();
      return opened;
    },
    async close() {
      await looks.last().catch(() => {});
      await store.close();
    },
  };
  return new Proxy(store, {
    get(_, name) {
      if (Object.hasOwn(looked, name)) return Reflect.get(looked, name) as unknown;
      const value: unknown = Reflect.get(store, name, store);
      return typeof value === 'function' ? (value.bind(store) as unknown) : value;
    },
  });
}

/** Unfinished tasks of the kinds of this fleet, summed; `others` are of kinds that it does not have. */
export interface Unfinished {
  readonly queued: number;
  readonly running: number;
  /** Parked and retrying. */
  readonly waiting: number;
  readonly all: number;
  readonly others: number;
}

export function sumUnfinished(counts: Readonly<Record<string, TaskCounts>>, kinds: Readonly<Record<string, unknown>>): Unfinished {
  const sum = { queued: 0, running: 0, waiting: 0, all: 0, others: 0 };
  for (const [kind, { queued, leased, running, retrying, parked }] of Object.entries(counts)) {
    const all = queued + leased + running + retrying + parked;
    if (!Object.hasOwn(kinds, kind)) {
      sum.others += all;
      continue;
    }
    sum.queued += queued + leased;
    sum.running += running;
    sum.waiting += retrying + parked;
    sum.all += all;
  }
  return sum;
}
