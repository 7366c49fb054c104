/** Results: one line of JSON for each task that is over. */
import type { ErrorRecord } from '../../actors/kernel/errors.ts';
import type { TaskRecord } from '../../actors/ports/store.ts';
import type { EndedTask } from './feed.ts';

export interface ResultsOptions {
  readonly write: (line: string) => void;
  /** What waits for a slow reader, or undefined. */
  readonly backlog: () => Promise<void> | undefined;
  readonly get: (ids: readonly string[]) => Promise<readonly (TaskRecord | undefined)[]>;
  /** Whether errors keep their stacks. */
  readonly debug: boolean;
}

const LARGEST_FETCH = 256;

/**
 * Writes what has ended, each task once. A line's task brings its result along; of any other
 * (resumed, or asked for by an agent) only the id is known, and the rest is fetched from the store,
 * in batches.
 */
export class Results {
  readonly #options: ResultsOptions;
  /** In order of their end. */
  readonly #fetch = new Set<string>();
  /** Resumed tasks that are written: the line that they came from may still be read. */
  readonly #written = new Set<string>();
  #fetching: Promise<void> | undefined;

  constructor(options: ResultsOptions) {
    this.#options = options;
  }

  /** A line's task, of which everything is known. */
  add(task: EndedTask): void {
    if (!this.#fetch.has(task.id) && !this.#written.has(task.id)) this.#options.write(resultLine(task, null, this.#options.debug));
  }

  /** A task of which only the id is known. */
  fetch(id: string): void {
    this.#fetch.add(id);
    this.#fetching ??= this.#fetchAll();
  }

  /** Resolves when everything that has ended is written, as far as the store still answers. */
  async flush(): Promise<void> {
    await this.#fetching;
  }

  async #fetchAll(): Promise<void> {
    // More may end in the same burst.
    await Promise.resolve();
    try {
      while (this.#fetch.size > 0) await this.#fetchSome(firstOf(this.#fetch, LARGEST_FETCH));
    } catch {
      // The store is closed or failing, which is told elsewhere; the results stay in it.
      this.#fetch.clear();
    } finally {
      this.#fetching = undefined;
    }
  }

  async #fetchSome(ids: readonly string[]): Promise<void> {
    const tasks = await this.#options.get(ids);
    for (let at = 0; at < ids.length; at += 1) {
      const task = tasks[at];
      this.#fetch.delete(ids[at]!);
      if (task === undefined) continue;
      this.#options.write(resultLine(ofRecord(task), task.parentId, this.#options.debug));
      if (task.parentId === null) this.#written.add(task.id);
    }
    await this.#options.backlog();
  }
}

/** `{"id","kind","status","result"|"error"}`; `parentId` too where an agent asked for the task. */
export function resultLine(task: EndedTask, parentId: string | null, debug: boolean): string {
  const { id, kind, status } = task;
  const parent = parentId === null ? {} : { parentId };
  const outcome =
    status === 'completed' ? { result: task.result ?? null } : { error: task.error && debug ? task.error : withoutStack(task.error) };
  return `${JSON.stringify({ id, kind, status, ...parent, ...outcome })}\n`;
}

function withoutStack(error: ErrorRecord | null | undefined): Omit<ErrorRecord, 'stack' | 'cause'> | null {
  if (error === null || error === undefined) return null;
  const { stack: _stack, cause, ...rest } = error;
  return cause === undefined ? rest : ({ ...rest, cause: withoutStack(cause) } as Omit<ErrorRecord, 'stack'>);
}

function ofRecord({ id, kind, status, result, error }: TaskRecord): EndedTask {
  return {
    id,
    kind,
    status: status as EndedTask['status'],
    result: result === null || result === '' ? undefined : (JSON.parse(result) as unknown),
    error: error === null ? null : (JSON.parse(error) as ErrorRecord),
  };
}

function firstOf(ids: ReadonlySet<string>, most: number): string[] {
  const first: string[] = [];
  for (const id of ids) {
    if (first.length >= most) break;
    first.push(id);
  }
  return first;
}
