/** SqliteState: versioned rows. A row that is deleted is gone: versions come from a counter of the whole store, so they only grow in any case. */
import type { StateReadOutcome, StateRow, StateSeen, StateWrite, StateWriteOutcome, Store } from '../../actors/ports/store.ts';
import type { StateReadRow } from './sqlite-held.ts';
import type { Known } from './sqlite-known.ts';
import type { Cell } from './sqlite-rows-statement.ts';
import { LONGEST_ID } from './checks.ts';
import { RecentWrites } from './sqlite-recent-writes.ts';

/** Sorts behind every key that begins with the same text, for none is longer. */
const BEHIND_ALL = '\u{10FFFF}'.repeat(LONGEST_ID);

/** Of one database. Everything is called within a transaction. */
export class SqliteState {
  readonly recent = new RecentWrites();
  /** Kinds that have read rows which they hold for writing. */
  readonly readers = new Set<string>();
  readonly #known: Known;
  /** Written by the command under way, by key: many go together. */
  readonly #written = new Map<string, { readonly version: number; readonly value: string }>();

  constructor(known: Known) {
    this.#known = known;
  }

  /** Reads for runs, which remember what they read: its JSON, `null` when there is no row. */
  read(items: readonly StateReadRow[]): StateReadOutcome[] {
    const { sql, held } = this.#known;
    return items.map((item) => {
      const task = held.get(item);
      if (task === undefined) return { at: 'stale' };
      this.#known.lies(task);
      const remembered = sql.rememberedAt.get(task.seq, item.place) as unknown as [string] | undefined;
      if (remembered !== undefined) return { at: 'read', row: JSON.parse(remembered[0]) as StateRow | null };
      const row = this.get(item.key) ?? null;
      sql.remember.run([task.seq, item.place, item.key, JSON.stringify(row), 0, item.version ?? null]);
      return { at: 'read', row };
    });
  }

  get(key: string): StateRow | undefined {
    const row = this.#known.sql.state.get(key) as unknown as [version: number, value: string] | undefined;
    return row === undefined ? undefined : { key, version: row[0], value: row[1] };
  }

  /** Reads as many as are asked for, of anybody. Of runs it learns what kinds read what they have locked. */
  getAll(keys: readonly string[]): (StateRow | undefined)[] {
    const { held, locks } = this.#known;
    return keys.map((key) => {
      const holder = locks.table.writerOf(key);
      const task = holder === undefined ? undefined : held.of(holder);
      if (task !== undefined) this.readers.add(task.kind);
      return this.get(key);
    });
  }

  list({ prefix, after = '', limit }: Parameters<Store['listState']>[0]): StateRow[] {
    const rows = this.#known.sql.states.all(prefix, after, prefix + BEHIND_ALL, limit) as unknown as [string, number, string][];
    return rows.map(([key, version, value]) => ({ key, version, value }));
  }

  set(items: readonly StateWrite[]): StateWriteOutcome[] {
    this.begin();
    const outcomes = items.map((write): StateWriteOutcome => {
      const conflict = this.conflict([write]);
      return conflict === undefined ? { at: 'written', version: this.write(write) } : { at: 'conflict', version: conflict.version };
    });
    this.flush();
    return outcomes;
  }

  /** A command begins to write; one before it may have been rolled back halfway. */
  begin(): void {
    this.#written.clear();
  }

  /** Its last write was made: nothing may be read but by `conflict` before. */
  flush(): void {
    if (this.#written.size === 0) return;
    const cells: Cell[] = [];
    for (const [key, { version, value }] of this.#written) cells.push(key, version, value);
    this.#known.sql.setState.run(cells);
    this.#written.clear();
  }

  /** The first that does not find the version which it names. */
  conflict(seen: readonly StateSeen[]): { readonly key: string; readonly version: number | null } | undefined {
    for (const { key, version } of seen) {
      const found = this.#written.get(key)?.version ?? this.#versionOf(key);
      if (found !== version) return { key, version: found };
    }
    return undefined;
  }

  /** The new version. */
  write({ key, value }: StateWrite): number {
    const version = this.#known.nextToken();
    this.recent.wrote(key);
    this.#known.keepVersion(key, undefined);
    if (value !== null) this.#written.set(key, { version, value });
    else {
      this.#written.delete(key);
      this.#known.sql.deleteState.run(key);
    }
    return version;
  }

  #versionOf(key: string): number | null {
    const known = this.#known.versionOf(key);
    if (known !== undefined) return known;
    return ((this.#known.sql.stateVersion.get(key) as unknown as [number] | undefined) ?? [null])[0];
  }
}
