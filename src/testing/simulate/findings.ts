/** Findings: what a user's own code does that a replay could not repeat, each place once. */
import { toErrorRecord } from '../../../actors/kernel/errors.ts';
import type { Scope } from '../nondeterminism.ts';
import { placeOf } from '../place.ts';
import type { Nondeterminism, Rejection } from './result.ts';
import type { WatchedRun } from './watched-run.ts';

/** One is enough to be repaired; a hundred say nothing more. */
const MOST = 100;
const LONGEST_SAID = 200;

export class Findings {
  readonly #rejected = new Map<string, { -readonly [K in keyof Rejection]: Rejection[K] }>();
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

  /** It timed out in a step that waited for something nobody can see. */
  stuckInStep({ task: { id, kind }, last, place }: WatchedRun): void {
    const task = { id, kind };
    const where = last === undefined ? '' : ` (its last operation was ${last}${at(place)})`;
    this.#add(
      'wait',
      place,
      task,
      `the run of ${kind}${by(task)} timed out in a step${where}: the step waits for something that is not its ctx's, and the runtime cannot see it`,
    );
  }

  /** Its replay will find the step remembered, and not come by the operation again. */
  nested({ task: { id, kind }, place }: WatchedRun, what: string, step: string): void {
    const task = { id, kind };
    this.#add(
      'nested',
      place,
      task,
      `${what}${at(place)}${by(task)} is begun inside ctx.step(${step}): a replay that remembers the step does not make it, and a run cannot park inside a step; begin it outside`,
    );
  }

  /** A check of the topology does not know of it. */
  undeclared({ task: { id, kind }, place }: WatchedRun, what: string): void {
    const task = { id, kind };
    this.#add(
      'undeclared',
      place,
      task,
      `${what}${at(place)}${by(task)}: ${kind} declares no \`writes\`, so checkDeadlockFree does not know that it locks anything; an empty list will do`,
    );
  }

  /** A run threw: an outcome of its task, not a finding, but the user's own place is worth knowing. */
  rejected(kind: string, error: unknown): void {
    const place = placeOf(error);
    const { code, name, message } = toErrorRecord(error);
    const said = `${code ?? name}: ${message}`.slice(0, LONGEST_SAID);
    const key = `${kind} ${place ?? said}`;
    const known = this.#rejected.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.#rejected.size < MOST) this.#rejected.set(key, { kind, error: said, place, count: 1 });
  }

  get rejections(): readonly Rejection[] {
    return [...this.#rejected.values()].toSorted((a, b) => b.count - a.count);
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
