/**
 * Shrinking of a drawn run: fewer tasks, smaller inputs, fewer faults, a tamer schedule, as long as it
 * fails the same way. Each step is tried on the real machines.
 */
import type { FaultPlan } from '../simulate/fault-plan.ts';
import type { DrawnRun } from './sample.ts';
import type { Subject } from './subject.ts';

/** Whether the run still fails the same way. */
export type Try = (run: DrawnRun) => Promise<boolean>;

/** Gives the smallest run that was found. `left` says whether another try may be made. */
export async function shrinkRun(
  found: DrawnRun,
  { smaller }: Pick<Subject, 'smaller'>,
  fails: Try,
  left: () => boolean,
): Promise<DrawnRun> {
  let smallest = found;
  for (let shrunk = true; shrunk && left();) {
    shrunk = false;
    for (const candidate of smallerThan(smallest, smaller)) {
      if (!left()) break;
      if (!(await fails(candidate))) continue;
      smallest = candidate;
      shrunk = true;
      break;
    }
  }
  return smallest;
}

/** From the boldest to the most careful. */
function* smallerThan(run: DrawnRun, smaller: Subject['smaller']): Generator<DrawnRun> {
  const { tasks, faults, schedule } = run;
  if (Object.keys(faults).length > 0) yield { ...run, faults: {} };
  // First in, first out: no choices at all.
  if (schedule === undefined || schedule.length > 0) yield { ...run, schedule: [] };
  for (const fewer of fewerOf(tasks)) yield { ...run, tasks: fewer };
  for (const part of Object.keys(faults) as (keyof FaultPlan)[]) {
    const { [part]: _, ...rest } = faults;
    yield { ...run, faults: rest };
  }
  for (const [at, task] of tasks.entries()) {
    if (task.atMs !== undefined && task.atMs > 0) yield { ...run, tasks: tasks.with(at, { ...task, atMs: 0 }) };
    for (const less of smaller(task)) yield { ...run, tasks: tasks.with(at, less) };
  }
  if (schedule === undefined) return;
  for (const shorter of fewerOf(schedule)) yield { ...run, schedule: shorter };
  // Each choice that is not the oldest message is a switch to somebody else.
  for (const [at, choice] of schedule.entries()) if (choice > 0) yield { ...run, schedule: schedule.with(at, 0) };
}

/** None; then without a half, without a quarter, ... and without a single one. */
function* fewerOf<T>(items: readonly T[]): Generator<readonly T[]> {
  if (items.length > 0) yield [];
  for (let size = Math.ceil(items.length / 2); size >= 1 && items.length > 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < items.length; at += size) yield [...items.slice(0, at), ...items.slice(at + size)];
  }
}
