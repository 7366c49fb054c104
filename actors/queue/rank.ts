/**
 * Rank: who goes before whom among what has been claimed: as in the store, whose rank each has brought. That is a time,
 * less so much for each level of priority, so aging comes by itself: nobody is passed by what came later than a
 * level's worth for each level between them, however often it has been given back and claimed again.
 *
 * Those of one priority stay in the order in which they came: that of the store, where tenants take turns, and of the
 * box of their worker.
 */
import type { ClaimedTask, Held } from '../ports/store.ts';

/** Whether `task`, who came later, goes before `other`. */
export function passes(task: ClaimedTask, other: ClaimedTask): boolean {
  return task.priority > other.priority && task.rank < other.rank;
}

/** Whether `task` goes before `other`, who waits elsewhere: who was claimed earlier does, unless the other passes it. */
export function goesBefore(task: ClaimedTask, other: ClaimedTask): boolean {
  return task.leaseUntilMs < other.leaseUntilMs ? !passes(other, task) : passes(task, other);
}

/** `waiting`, the first to go at its head, with those who come now. */
export function joinedBy(waiting: readonly ClaimedTask[], tasks: readonly ClaimedTask[]): ClaimedTask[] {
  const all = [...waiting];
  for (const task of tasks) {
    let at = all.length;
    while (at > 0 && passes(task, all[at - 1]!)) at -= 1;
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
    const rank = found.rank - (priority - found.priority) * agingMs;
    all = joinedBy(others, [{ ...found, priority, rank }]);
  }
  return all;
}
