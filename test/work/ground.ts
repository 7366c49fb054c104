/** Ground: what outlives a process, in either store, and how a process ends over it without a word. */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { Store } from '../../actors/ports/store.ts';
import { MemoryDisk, memoryStore } from '../../src/stores/memory.ts';
import { InlineThread } from '../stores/conformance/inline-thread.ts';
import type { Place } from '../stores/conformance/place.ts';
import { SqlitePlace } from '../stores/conformance/sqlite-place.ts';

export type GroundName = 'memory' | 'sqlite';
export const GROUNDS = ['memory', 'sqlite'] as const;

/** Synced writes of a real disk would only measure that disk. */
const QUICK_DISK = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export function makeGround(name: GroundName): Place {
  if (name === 'sqlite') {
    return new SqlitePlace({ synchronous: 'normal' }, { root: QUICK_DISK, makeThread: (of, path) => new InlineThread(of, path) });
  }
  const disk = new MemoryDisk();
  return { store: () => memoryStore(disk), crash: async () => disk.crash(), remove: async () => {} };
}

/** The same store, with some of its commands done otherwise. */
export function override(store: Store, changes: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name) {
      const changed = (changes as Record<PropertyKey, unknown>)[name];
      if (changed !== undefined) return changed;
      const own: unknown = Reflect.get(target, name, target);
      return typeof own === 'function' ? (own as (...args: unknown[]) => unknown).bind(target) : own;
    },
  });
}
