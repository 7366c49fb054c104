/** Shared state: the versioned rows of a fleet, from outside of runs. */
import type { Store, StateRow, StateWrite } from '../../actors/ports/store.ts';
import type { StateValue } from '../topology/context.ts';
import { decode, encode } from './payload.ts';
import { checkFields } from './task-query.ts';
import { OperatorInputError, RowConflictError } from './work-errors.ts';

export interface SharedStateOptions {
  readonly store: Store;
  readonly nowMs: () => number;
  readonly maxBytes: number;
}

/** A row, as a list gives it. */
export interface StateEntry<T = unknown> extends StateValue<T> {
  readonly key: string;
}

export interface StateQuery {
  /** Only keys that begin so. Default: all. */
  readonly prefix?: string;
  /** Only keys after this one: the last of the page before. Default: from the first. */
  readonly after?: string;
  /** At most 1,000, default 100. */
  readonly limit?: number;
}

const LONGEST_KEY = 512;
const MOST_ROWS = 1_000;
const USUAL_ROWS = 100;

/**
 * The rows that the runs of a fleet read and write by `ctx.state`, from outside. A write is one by itself, and takes no
 * lock: it refuses when the row has another version than you have seen, and a run that has read the row before is refused
 * in turn.
 */
export class SharedState {
  readonly #options: SharedStateOptions;

  /** Use `fleet.state`. */
  constructor(options: SharedStateOptions) {
    this.#options = options;
  }

  /** Undefined: there is no row. */
  async get<T = unknown>(key: string): Promise<StateValue<T> | undefined> {
    const [row] = await this.#options.store.getState([checkKey(key)]);
    return row === undefined ? undefined : { value: decode(row.value) as T, version: row.version };
  }

  /** In order of their keys. @throws OperatorInputError */
  async list<T = unknown>(query: StateQuery = {}): Promise<readonly StateEntry<T>[]> {
    checkFields(query, 'query', ['prefix', 'after', 'limit']);
    const { prefix = '', after, limit = USUAL_ROWS } = query;
    if (typeof prefix !== 'string' || !prefix.isWellFormed())
      throw new OperatorInputError('prefix', 'a text of well-formed Unicode', prefix);
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST_ROWS) {
      throw new OperatorInputError('limit', `a whole number from 1 to ${MOST_ROWS}`, limit);
    }
    const rows = await this.#options.store.listState({
      prefix,
      limit,
      ...(after === undefined ? {} : { after: checkKey(after, 'after') }),
    });
    return rows.map(({ key, value, version }: StateRow) => ({ key, value: decode(value) as T, version }));
  }

  /**
   * Writes a row. `version`: the one that you have seen, or null where you found none. Gives the new version.
   *
   * @throws RowConflictError when somebody has written it since
   * @throws PayloadNotJsonError, PayloadTooLargeError, OperatorInputError
   */
  async set(key: string, value: unknown, version: number | null): Promise<number> {
    const text = encode(value, `row ${checkKey(key)}`, this.#options.maxBytes);
    if (text === '') throw new OperatorInputError('value', 'a value that JSON can hold; to remove the row, delete it', value);
    return this.#write({ key, value: text, version: checkVersion(version) });
  }

  /** Removes a row, of which you have seen that version. @throws as `set` */
  async delete(key: string, version: number): Promise<void> {
    if (version === null) throw new OperatorInputError('version', 'a version that was read', version);
    await this.#write({ key: checkKey(key), value: null, version: checkVersion(version) });
  }

  async #write(write: StateWrite): Promise<number> {
    const [outcome] = await this.#options.store.setState([write], this.#options.nowMs());
    if (outcome!.at === 'written') return outcome!.version;
    throw new RowConflictError({ key: write.key, expected: write.version, found: outcome!.version });
  }
}

function checkKey(key: unknown, argument = 'key'): string {
  if (typeof key === 'string' && key.length >= 1 && key.length <= LONGEST_KEY && key.isWellFormed()) return key;
  throw new OperatorInputError(argument, `a text of 1 to ${LONGEST_KEY} characters of well-formed Unicode`, key);
}

function checkVersion(version: unknown): number | null {
  if (version === null || (Number.isSafeInteger(version) && (version as number) >= 1)) return version as number | null;
  throw new OperatorInputError('version', 'a version that was read, or null where there was no row', version);
}
