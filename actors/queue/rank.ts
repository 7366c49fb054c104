/**
 * Rank: who goes before whom among what has been claimed. As in the store it is a time, less so much for each
 * level of priority; here the time of the claim. So aging comes by itself: nobody is passed by what was claimed
 * later than a level's worth for each level between them.
 *
 * Those of one priority stay in the order in which they came: that of the store, and of the box of their worker.
 */
import type { ClaimedTask, Held } from '../ports/store.ts';

/** Whether `task` goes before `other`, who came first as far as nothing else is said. */
export function goesBefore(task: ClaimedTask, other: ClaimedTask, agingMs: number): boolean {
  return task.leaseUntilMs - task.priority * agingMs < other.leaseUntilMs - other.priority * agingMs;
}

/** Whether `task`, who came later, goes before `other`. */
export function passes(task: ClaimedTask, other: ClaimedTask, agingMs: number): boolean {
  return task.priority > other.priority && goesBefore(task, other, agingMs);
}

/** `waiting`, the first to go at its head, with those who come now. */
export function joinedBy(waiting: readonly ClaimedTask[], tasks: readonly ClaimedTask[], agingMs: number): ClaimedTask[] {
  const all = [...waiting];
  for (const task of tasks) {
    let at = all.length;
    while (at > 0 && passes(task, all[at - 1]!, agingMs)) at -= 1;
    if (at === all.length) all.push(task);
    else all.splice(at, 0, task);
  }
  return all;
}

/** `waiting`, and those of them that have inherited a priority where that belongs; the same value when there are none. */
export function withRaised(
  waiting: readonly ClaimedTask[],
  raised: readonly (Held & { readonly priority: number })[],
  agingMs: number,
): readonly ClaimedTask[] {
  let all = waiting;
  for (const { id, fence, priority } of raised) {
    const found = all.find((task) => task.id === id && task.fence === fence);
    if (found === undefined || found.priority >= priority) continue;
    const others = all.filter((task) => task !== found);
    all = joinedBy(others, [{ ...found, priority }], agingMs);
  }
  return all;
}
