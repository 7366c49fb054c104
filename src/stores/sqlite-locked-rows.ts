/**
 * LockedRows: rows of state that came with the start of a run that holds them for writing, so that the run
 * does not have to ask for them. Only this process writes to the file, so they stay what they are until
 * somebody says here that he writes them:
 *
 *   - From when a write leaves until its answer has come, the row is not known: what a start brings of it
 *     meanwhile may be older than the write.
 *   - When its run lets go, its rows are forgotten: the next one that holds them brings its own.
 *
 * What is committed is compared with the version in the same transaction, as ever.
 */
import { ChurnMap } from '../../actors/kernel/churn-map.ts';
import type { StateRow } from '../../actors/ports/store.ts';
import type { LockedRow } from './sqlite-starts.ts';

/** Runs whose end was never heard of, such as those of a lease that ran out, leave theirs behind. */
const MOST_RUNS = 5_000;

/** Of one store, at its end of the thread. */
export class LockedRows {
  readonly #rows = new ChurnMap<string, StateRow | undefined>();
  /** Keys of the rows of a run, by the id of its task, the longest known first. */
  readonly #byTask = new ChurnMap<string, readonly string[]>();
  /** How many writes of a row are on their way. */
  readonly #writing = new ChurnMap<string, number>();

  /** A start of this task brought this. */
  learn(id: string, key: string, row: LockedRow): void {
    if (this.#writing.has(key)) return;
    this.#rows.set(key, row === null ? undefined : { key, ...row });
    const keys = this.#byTask.get(id);
    if (keys === undefined && this.#byTask.size >= MOST_RUNS) for (const oldest of this.#byTask.keys()) if (this.forget(oldest)) break;
    this.#byTask.set(id, keys === undefined ? [key] : [...keys, key]);
  }

  /** All of these, or nothing when one is not known. */
  get(keys: readonly string[]): readonly (StateRow | undefined)[] | undefined {
    return keys.every((key) => this.#rows.has(key)) ? keys.map((key) => this.#rows.get(key)) : undefined;
  }

  /** The run of this task is over. Whether it had any. */
  forget(id: string): boolean {
    const keys = this.#byTask.get(id);
    if (keys === undefined) return false;
    this.#byTask.delete(id);
    for (const key of keys) this.#rows.delete(key);
    return true;
  }

  /** These are being written, until this is answered. */
  async writing<T>(keys: readonly string[], answer: Promise<T>): Promise<T> {
    for (const key of keys) {
      this.#rows.delete(key);
      this.#writing.set(key, (this.#writing.get(key) ?? 0) + 1);
    }
    try {
      return await answer;
    } finally {
      for (const key of keys) {
        const others = this.#writing.get(key)! - 1;
        if (others === 0) this.#writing.delete(key);
        else this.#writing.set(key, others);
      }
    }
  }
}
