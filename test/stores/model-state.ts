/** Versioned rows of the model. Versions come from a counter that only grows, so those of each key do. */
import type { StateRow, StateSeen, StateWrite, StateWriteOutcome } from '../../actors/ports/store.ts';

export class StateModel {
  readonly #rows = new Map<string, StateRow>();
  readonly #nextToken: () => number;

  constructor(nextToken: () => number) {
    this.#nextToken = nextToken;
  }

  get(key: string): StateRow | undefined {
    return this.#rows.get(key);
  }

  /** The rows whose keys begin so, by key. */
  list(prefix: string): StateRow[] {
    return [...this.#rows.values()].filter(({ key }) => key.startsWith(prefix)).toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** The first that does not find the version it names. */
  conflict(named: readonly StateSeen[]): { key: string; version: number | null } | undefined {
    const found = named.find(({ key, version }) => (this.#rows.get(key)?.version ?? null) !== version);
    return found === undefined ? undefined : { key: found.key, version: this.#rows.get(found.key)?.version ?? null };
  }

  write(write: StateWrite): StateWriteOutcome {
    const conflict = this.conflict([write]);
    if (conflict !== undefined) return { at: 'conflict', version: conflict.version };
    const version = this.#nextToken();
    if (write.value === null) this.#rows.delete(write.key);
    else this.#rows.set(write.key, { key: write.key, version, value: write.value });
    return { at: 'written', version };
  }
}
