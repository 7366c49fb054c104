/** MemoryWaits: what parked tasks wait for. Who waits for a child is found by the child's id. */
import type { SettledOutcome } from '../../actors/ports/store.ts';
import { moreOf } from './memory-task.ts';
import type { MemoryTask } from './memory-task.ts';

type Parked = Extract<SettledOutcome, { at: 'parked' }>;

/** What one parked task waits for. */
export interface MemoryWait {
  readonly gatherMs: number;
  /** Some of it has come. */
  gathers: boolean;
  /** Of both, those that are not there. */
  readonly children: Set<string>;
  events: readonly { readonly name: string; readonly n: number }[];
}

/** What has come of it: nothing; enough to be queued; or something, and the others may follow until then. */
export type Arrival = { readonly at: 'nothing' } | { readonly at: 'woken' } | { readonly at: 'gathering'; readonly untilMs: number };

const NOTHING: Arrival = { at: 'nothing' };
const WOKEN: Arrival = { at: 'woken' };

/** All who wait for children, by the id of the child. */
export class MemoryWaits {
  readonly #parents = new Map<string, Set<MemoryTask>>();

  get size(): number {
    return this.#parents.size;
  }

  /** From now on it is told of its children. */
  begin(task: MemoryTask, wait: MemoryWait): void {
    moreOf(task).wait = wait;
    for (const id of wait.children) {
      const parents = this.#parents.get(id);
      if (parents === undefined) this.#parents.set(id, new Set([task]));
      else parents.add(task);
    }
  }

  /** It does not wait any more. */
  end(task: MemoryTask): void {
    const wait = task.more?.wait;
    if (wait === undefined) return;
    for (const id of wait.children) {
      const parents = this.#parents.get(id);
      if (parents?.delete(task) === true && parents.size === 0) this.#parents.delete(id);
    }
    task.more!.wait = undefined;
  }

  /** The child has ended: whom that concerns. */
  childEnded(id: string, nowMs: number): readonly (readonly [task: MemoryTask, arrival: Arrival])[] {
    const parents = this.#parents.get(id);
    if (parents === undefined) return [];
    this.#parents.delete(id);
    return Array.from(parents, (task): readonly [MemoryTask, Arrival] => {
      const wait = task.more!.wait!;
      wait.children.delete(id);
      return [task, arrivalOf(wait, nowMs)];
    });
  }
}

/** What is not there yet of what it is parked for, and what is to be done about it. `hasEnded` and `hasEvent` say what is there. */
export function waitFor(
  { children, events = [], gatherMs = 0 }: Parked,
  nowMs: number,
  hasEnded: (id: string) => boolean,
  hasEvent: (event: { readonly name: string; readonly n: number }) => boolean,
): { readonly wait: MemoryWait; readonly arrival: Arrival } {
  const asked = new Set(children);
  const wait: MemoryWait = {
    gatherMs,
    gathers: false,
    children: new Set([...asked].filter((id) => !hasEnded(id))),
    events: events.filter((event) => !hasEvent(event)),
  };
  const come = wait.children.size + wait.events.length < asked.size + events.length;
  return { wait, arrival: come ? arrivalOf(wait, nowMs) : NOTHING };
}

/** The event has come. */
export function eventCame(wait: MemoryWait, name: string, n: number, nowMs: number): Arrival {
  const left = wait.events.filter((event) => event.name !== name || event.n !== n);
  if (left.length === wait.events.length) return NOTHING;
  wait.events = left;
  return arrivalOf(wait, nowMs);
}

/** Something has come of what is waited for. */
function arrivalOf(wait: MemoryWait, nowMs: number): Arrival {
  const allThere = wait.children.size === 0 && wait.events.length === 0;
  if (allThere || wait.gatherMs === 0) return WOKEN;
  if (wait.gathers) return NOTHING;
  wait.gathers = true;
  return { at: 'gathering', untilMs: nowMs + wait.gatherMs };
}
