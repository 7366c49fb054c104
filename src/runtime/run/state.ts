/**
 * State: the versioned rows of a run. What it reads is remembered under the place where it did; what it
 * writes is kept here until the task completes, and committed with that.
 *
 * A write is checked twice: when it is made, so that the run can still do something about it, and in
 * the transaction that commits it. What an earlier run has read of a row that this one holds is checked there
 * too: the locks were let go of in between, and beside what is read anew it may be what never was.
 */
import type { StateRow, StateSeen, StateWrite } from '../../../actors/ports/store.ts';
import type { State, StateValue } from '../../topology/context.ts';
import { PayloadInvalidError } from '../errors.ts';
import { isName } from '../new-task.ts';
import { checkFunction, decode, encode, parse } from '../payload.ts';
import type { Run, Settle } from '../run.ts';
import { StateInStepError, UndeclaredWriteError, VersionConflictError } from './errors.ts';
import { stepAround } from './in-step.ts';
import { Pending } from './operation.ts';

type Change = (value: unknown) => unknown;

export class RunState implements State {
  readonly #run: Run;
  /** By key. */
  readonly #writes = new Map<string, StateWrite>();
  /** What earlier runs have read of rows that this one holds. */
  readonly #seen: StateSeen[] = [];
  /** Keys of which it was told that they have another version by now: what it does with that is its own affair. */
  readonly #told = new Set<string>();
  /** How often each key was read, and written: places. */
  readonly #counts = new Map<string, number>();

  constructor(run: Run) {
    this.#run = run;
  }

  /** What is to be committed with the completion. */
  get writes(): readonly StateWrite[] {
    return [...this.#writes.values()];
  }

  /** What must be there still when it completes: what it writes says that for itself. */
  get reads(): readonly StateSeen[] {
    return this.#seen.filter(({ key }) => !this.#writes.has(key) && !this.#told.has(key));
  }

  get<T = unknown>(key: string): Promise<StateValue<T> | undefined> {
    const run = this.#run;
    return run.operate('state.get', key, (resolve, reject) => {
      this.#check('state.get', key);
      const place = this.#next(`state:${key}`);
      run.memory.passed(place);
      const own = this.#writes.get(key);
      if (own !== undefined) return resolve(own.value === null ? undefined : { value: decode(own.value), version: own.version ?? 0 });
      // Also in a run that is undone, and also when it is not remembered: a retry has forgotten it. To read changes nothing.
      const operation = run.opened(new Pending());
      run.engine.requests.readState(run, key, run.memory.stored(place), (row) => {
        if (run.memory.has(place)) this.#sees({ key, version: row?.version ?? null });
        if (run.done(operation))
          run.read(() => resolve(row === null ? undefined : { value: decode(row.value), version: row.version }), reject);
      });
    });
  }

  set(key: string, value: unknown, version: number | null): Promise<void> {
    return this.#write('state.set', key, version, () => this.#textOf(key, value));
  }

  delete(key: string, version: number): Promise<void> {
    return this.#write('state.delete', key, version, () => null);
  }

  update<T = unknown>(key: string, change: (value: T | undefined) => T | Promise<T>): Promise<T> {
    const run = this.#run;
    return run.operate('state.update', key, (resolve, reject) => {
      this.#checkWrite('state.update', key);
      checkFunction(`change of ${key}`, change);
      const changeRow = (row: StateRow | undefined): void => this.#change(key, row, change as Change, resolve, reject);
      if (this.#writes.has(key)) changeRow(undefined);
      else this.#read(key, changeRow, reject);
    });
  }

  /** What this run has written before goes before the row. A change that takes time is made again when another one was faster. */
  #change(key: string, row: StateRow | undefined, change: Change, resolve: Settle, reject: Settle): void {
    const run = this.#run;
    const own = this.#writes.get(key);
    const { value, version } = own ?? { value: row?.value ?? null, version: row?.version ?? null };
    const put = (changed: unknown): void => {
      const text = this.#textOf(key, changed);
      this.#writes.set(key, { key, value: text, version });
      resolve(decode(text));
    };
    const changed = run.within(() => change(value === null ? undefined : decode(value)));
    if (!(changed instanceof Promise)) return put(changed);
    const pending = run.opened(new Pending());
    changed.then(
      (result) => {
        if (!run.done(pending)) return;
        try {
          if (this.#writes.get(key) === own) put(result);
          else this.#change(key, row, change, resolve, reject);
        } catch (error) {
          reject(error);
        }
      },
      (error: unknown) => run.done(pending) && reject(error),
    );
  }

  #write(operation: string, key: string, version: number | null, text: () => string | null): Promise<void> {
    const run = this.#run;
    return run.operate(operation, key, (resolve, reject) => {
      this.#checkWrite(operation, key);
      if (version !== null && !Number.isSafeInteger(version)) throw noVersion(key, version);
      const value = text();
      const place = this.#next(`${operation}:${key}`);
      if (this.#overwrite(key, value, version)) return resolve(undefined);
      // Only what this run has written itself may have none yet.
      if (version !== null && version < 1 && !this.#writes.has(key)) throw noVersion(key, version);
      // That somebody was faster is remembered, as every failure is.
      const failed = run.memory.recall(place, '');
      if (failed !== undefined) {
        this.#told.add(key);
        return run.give(failed, resolve, reject);
      }
      // What is undone commits nothing: it goes the way that it went.
      if (run.undoing !== undefined) {
        this.#writes.set(key, { key, value, version });
        return resolve(undefined);
      }
      const compare = (row: StateRow | undefined): void => {
        const own = this.#writes.get(key);
        const found = own === undefined ? (row?.version ?? null) : own.version;
        if (this.#overwrite(key, value, version)) return resolve(undefined);
        if (own === undefined && found === version) {
          this.#writes.set(key, { key, value, version });
          return resolve(undefined);
        }
        const error = new VersionConflictError({ id: run.task.id, key, expected: version, found });
        // Somebody was faster while it was parked: what it does because of that, no earlier run had to.
        run.memory.forgive();
        this.#told.add(key);
        run.keepFailure(run.opened(new Pending()), place, '', error, reject);
      };
      this.#read(key, compare, reject);
    });
  }

  /** A row that it does not hold may change while it runs, and nothing is promised of that. */
  #sees({ key, version }: StateSeen): void {
    if (!this.#run.locks.some(({ resource }) => resource === key)) return;
    if (!this.#seen.some((seen) => seen.key === key && seen.version === version)) this.#seen.push({ key, version });
  }

  /** Whether what earlier runs have read is what is there now, which nobody changes while this one holds it. */
  compare(same: () => void, conflict: (error: VersionConflictError) => void): void {
    const run = this.#run;
    const { reads } = this;
    if (reads.length === 0) return same();
    const operation = run.opened(new Pending());
    operation.settling = true;
    let left = reads.length;
    let changed: VersionConflictError | undefined;
    for (const { key, version } of reads)
      run.engine.requests.getState(key, (row) => {
        const found = row?.version ?? null;
        if (found !== version) changed ??= new VersionConflictError({ id: run.task.id, key, expected: version, found });
        if ((left -= 1) > 0 || !run.done(operation)) return;
        if (changed === undefined) same();
        else conflict(changed);
      });
  }

  /** Written by this run before: it is based on what that was based on. */
  #overwrite(key: string, value: string | null, version: number | null): boolean {
    const own = this.#writes.get(key);
    if (own === undefined || (version !== own.version && version !== (own.version ?? 0))) return false;
    this.#writes.set(key, { key, value, version: own.version });
    return true;
  }

  /** The row as it is now. */
  #read(key: string, found: (row: StateRow | undefined) => void, reject: Settle): void {
    const run = this.#run;
    const operation = run.opened(new Pending());
    run.engine.requests.getState(key, (row) => {
      if (!run.done(operation)) return;
      try {
        found(row);
      } catch (error) {
        if (!run.cannotRead(error)) reject(error);
      }
    });
  }

  #textOf(key: string, value: unknown): string {
    const text = encode(value, `row ${key}`, this.#run.engine.maxBytes);
    if (text !== '') return text;
    throw new PayloadInvalidError(`row ${key}`, [{ path: '', message: 'expected a value; to have no row, delete it' }], value, false);
  }

  #check(operation: string, key: unknown): void {
    const run = this.#run;
    const step = stepAround(run);
    if (step !== undefined) throw new StateInStepError({ id: run.task.id, step, operation });
    if (isName(key) && key !== '') return;
    const message = 'expected a text of 1 to 512 characters of well-formed Unicode';
    throw new PayloadInvalidError('key of a row', [{ path: '', message }], key, false);
  }

  #checkWrite(operation: string, key: string): void {
    this.#check(operation, key);
    const { locks, task } = this.#run;
    if (locks.some(({ resource, mode }) => resource === key && mode === 'write')) return;
    const declared = locks.filter(({ mode }) => mode === 'write').map(({ resource }) => resource);
    throw new UndeclaredWriteError({ id: task.id, kind: task.kind, key }, declared, this.#isDeclaredNow(key));
  }

  /** What a task writes is fixed when it is submitted: its kind may declare more by now. */
  #isDeclaredNow(key: string): boolean {
    const { plan, claimed } = this.#run;
    const { input, spec } = plan.agent;
    try {
      const writes: unknown =
        typeof spec.writes === 'function' ? spec.writes(parse(input, decode(claimed.input), plan.names.input)) : spec.writes;
      return Array.isArray(writes) && writes.includes(key);
    } catch {
      // It is only about what to say.
      return false;
    }
  }

  #next(name: string): string {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    return `${name}#${count}`;
  }
}

function noVersion(key: string, version: unknown): PayloadInvalidError {
  const message = 'expected the version that get gave, or null for a row that is not there';
  return new PayloadInvalidError(`version of ${key}`, [{ path: '', message }], version, false);
}
