/** Invariants of tasks: none is lost, none is done twice, and each is somewhere. */
import { isTerminal } from '../../../actors/ports/store.ts';
import type { TaskCounts } from '../../../actors/ports/store.ts';
import type { Look } from './fact.ts';
import type { Invariant } from './invariant.ts';

/** The many that a message need not list. */
function some(ids: Iterable<string>): string {
  const all = [...ids];
  return all.length <= 3 ? all.join(', ') : `${all.slice(0, 3).join(', ')} and ${all.length - 3} more`;
}

export const S1: Invariant = {
  name: 'S1',
  promise: 'an accepted task stays in the store until it is terminal',
  check(_topology, broken) {
    const waiting = new Set<string>();
    /** Their retention was over, perhaps while whoever submitted them once more was being told that they are there. */
    const forgotten = new Set<string>();
    const look = (seen: Look): void => {
      for (const id of waiting) {
        const task = seen.task(id);
        if (task !== undefined && !isTerminal(task.status)) continue;
        waiting.delete(id);
        if (task === undefined) broken(`${id} was acknowledged and is not in the store`);
      }
    };
    return {
      'client.acknowledged': ({ id, look: seen }) => {
        const task = seen.task(id);
        if (task === undefined && !forgotten.has(id)) broken(`${id} was acknowledged and is not in the store`);
        if (task !== undefined && !isTerminal(task.status)) waiting.add(id);
      },
      'store.accepted': ({ task }) => void forgotten.delete(task.id),
      'store.forgot': ({ id }) => void forgotten.add(id),
      'scene.over': ({ look: seen }) => look(seen),
      'store.settled': ({ settlement, outcome }) => {
        if (isTerminal(outcome.status)) waiting.delete(settlement.id);
      },
      'store.expired': ({ held }) => {
        if (isTerminal(held.status)) waiting.delete(held.id);
      },
      'store.ended': ({ id }) => void waiting.delete(id),
    };
  },
};

export const S2: Invariant = {
  name: 'S2',
  promise: 'at most one committed completion a task, under the fence of its last claim',
  check(_topology, broken) {
    /** Kept for all tasks: a second completion may come at any time. */
    const completed = new Set<string>();
    const fences = new Map<string, number>();
    return {
      'store.claimed': ({ task }) => {
        fences.set(task.id, task.fence);
        if (completed.has(task.id)) broken(`${task.id} was claimed again after it had been completed`);
      },
      'store.settled': ({ settlement: { id, fence, outcome }, outcome: { status } }) => {
        const last = fences.get(id);
        if (last !== undefined && fence < last) broken(`${id} was settled under fence ${fence}, though it had been claimed under ${last}`);
        if (isTerminal(status)) fences.delete(id);
        if (outcome.at !== 'completed') return;
        if (completed.has(id)) broken(`${id} was completed twice`);
        completed.add(id);
      },
      'store.forgot': ({ id }) => void completed.delete(id),
    };
  },
};

export const S3: Invariant = {
  name: 'S3',
  promise: 'the fence of a task only grows: over restarts, when it is put back, and when its id comes again after it was forgotten',
  check(_topology, broken) {
    /** Kept for all tasks, as those who check fences elsewhere do. */
    const fences = new Map<string, number>();
    return {
      'store.claimed': ({ task: { id, fence } }) => {
        const last = fences.get(id) ?? 0;
        if (fence <= last) broken(`${id} was claimed under fence ${fence} after ${last}`);
        fences.set(id, Math.max(last, fence));
      },
    };
  },
};

export const S14: Invariant = {
  name: 'S14',
  promise: 'every accepted task is in exactly one status, and no other task is',
  check(_topology, broken) {
    const accepted = new Map<string, number>();
    const look = (seen: Look): void => {
      const counts = seen.counts();
      for (const kind of new Set([...Object.keys(counts), ...accepted.keys()])) {
        const counted = sumOf(counts[kind]);
        const submitted = accepted.get(kind) ?? 0;
        if (counted !== submitted) broken(`${counted} tasks of ${kind} are counted, ${submitted} were accepted`);
        accepted.set(kind, counted);
      }
    };
    const add = (kind: string): void => void accepted.set(kind, (accepted.get(kind) ?? 0) + 1);
    return {
      // What is not there at all is for S1 to say.
      'store.accepted': ({ task, isThere }) => (isThere ? add(task.kind) : undefined),
      'store.forgot': ({ kind }) => void accepted.set(kind, (accepted.get(kind) ?? 0) - 1),
      'scene.still': ({ look: seen }) => look(seen),
      'scene.over': ({ look: seen }) => look(seen),
    };
  },
};

function sumOf(counts: TaskCounts | undefined): number {
  let sum = 0;
  if (counts !== undefined) for (const status in counts) sum += counts[status as keyof TaskCounts];
  return sum;
}

export const L1: Invariant = {
  name: 'L1',
  promise: 'once faults stop, every submission is answered, every accepted task ends, and its handle tells how',
  check(_topology, broken) {
    return {
      'scene.over': ({ look, untold, unanswered }) => {
        // What is not in the store at all is for S1 to say.
        const open = [...look.unfinished].flatMap((id) => look.task(id) ?? []);
        const [first] = open;
        if (first !== undefined) {
          const { id, status, attempt, losses } = first;
          broken(
            `${open.length} tasks do not end: ${some(open.map((task) => task.id))}; ${id} is ${status}, attempt ${attempt}, losses ${losses}`,
          );
        }
        if (unanswered.length > 0) broken(`${some(unanswered)}: submitted, and never answered`);
        const silent = untold.filter((id) => !look.unfinished.has(id));
        if (silent.length > 0) broken(`${some(silent)}: ended, and nobody tells the handle`);
      },
    };
  },
};
