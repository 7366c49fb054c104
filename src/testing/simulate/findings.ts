/** Findings: what a user's own code does that a replay could not repeat, each place once. */
import type { Scope } from '../nondeterminism.ts';
import type { Nondeterminism } from './result.ts';
import type { WatchedRun } from './watched-run.ts';

/** One is enough to be repaired; a hundred say nothing more. */
const MOST = 100;

export class Findings {
  readonly #found = new Map<string, { -readonly [K in keyof Nondeterminism]: Nondeterminism[K] }>();

  get all(): readonly Nondeterminism[] {
    return [...this.#found.values()];
  }

  /** For code that runs on behalf of a task, or outside of runs. */
  scope(task: Scope['task']): Scope {
    return {
      task,
      noticed: (api, place, of) =>
        this.#add(api, place, of, `${api} was used${at(place)}${by(of)}: the next run, or a replay, will see something else`),
    };
  }

  /** The run is alive, and nothing on its `ctx` could let it go on. */
  waits({ task: { id, kind }, last, place }: WatchedRun): void {
    const after = last === undefined ? 'before its first operation on ctx' : `after ${last}${at(place)}`;
    const task = { id, kind };
    this.#add(
      'wait',
      place,
      task,
      `the run of ${kind}${by(task)} waits ${after} for something that is not its ctx's (a promise of its own, a handle, a lock): the runtime cannot see it`,
    );
  }

  #add(api: string, place: string | undefined, task: Scope['task'], message: string): void {
    const key = `${api} ${place ?? task?.kind ?? ''}`;
    const known = this.#found.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.#found.size < MOST) this.#found.set(key, { api, place, task, message, count: 1 });
  }
}

function at(place: string | undefined): string {
  return place === undefined ? '' : ` at ${place}`;
}

function by(task: Scope['task']): string {
  return task === undefined ? '' : ` (${task.kind}, ${task.id})`;
}
