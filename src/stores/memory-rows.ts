/** MemoryRows: the versioned rows of the memory store. */
import type { StateRow, StateWrite, StateWriteOutcome, Store } from '../../actors/ports/store.ts';
import { byCodePoints } from './code-points.ts';

export class MemoryRows {
  readonly #rows = new Map<string, StateRow>();
  /** In order. */
  readonly #keys: string[] = [];
  readonly #nextVersion: () => number;

  /** Versions come from the one counter of the store, so those of a key grow also when it was deleted meanwhile. */
  constructor(nextVersion: () => number) {
    this.#nextVersion = nextVersion;
  }

  get(key: string): StateRow | undefined {
    return this.#rows.get(key);
  }

  list({ prefix, after, limit }: Parameters<Store['listState']>[0]): readonly StateRow[] {
    const found: StateRow[] = [];
    let at = this.#placeOf(prefix);
    if (after !== undefined) {
      const behind = this.#placeOf(after);
      at = Math.max(at, this.#keys[behind] === after ? behind + 1 : behind);
    }
    for (; at < this.#keys.length && found.length < Math.floor(limit); at += 1) {
      const key = this.#keys[at]!;
      if (!key.startsWith(prefix)) break;
      found.push(this.#rows.get(key)!);
    }
    return found;
  }

  write({ key, value, version }: StateWrite): StateWriteOutcome {
    const found = this.#rows.get(key)?.version ?? null;
    if (found !== version) return { at: 'conflict', version: found };
    const written = this.#nextVersion();
    if (value === null && found !== null) {
      this.#rows.delete(key);
      this.#keys.splice(this.#placeOf(key), 1);
    } else if (value !== null) {
      if (found === null) this.#keys.splice(this.#placeOf(key), 0, key);
      this.#rows.set(key, { key, version: written, value });
    }
    return { at: 'written', version: written };
  }

  /** Of the first key that is not before this one. */
  #placeOf(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (byCodePoints(this.#keys[middle]!, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
