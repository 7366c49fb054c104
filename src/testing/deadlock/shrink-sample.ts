/**
 * Shrinking of a rehearsed run: fewer tasks, shorter programs, fewer faults, a tamer schedule, as
 * long as the same invariant breaks. Each step is tried on the real machines.
 */
import type { FaultPlan } from '../simulate/fault-plan.ts';
import type { Program, RehearsedTask } from './rehearsal.ts';
import type { Rehearsed } from './sample.ts';

/** Whether the run still breaks the same, and the choices of deliveries that it made. */
export type Try = (rehearsed: Rehearsed) => Promise<boolean>;

/** Gives the smallest run that was found. `left` says whether another try may be made. */
export async function shrinkRehearsed(found: Rehearsed, breaks: Try, left: () => boolean): Promise<Rehearsed> {
  let smallest = found;
  for (let shrunk = true; shrunk && left();) {
    shrunk = false;
    for (const candidate of smallerThan(smallest)) {
      if (!left()) break;
      if (!(await breaks(candidate))) continue;
      smallest = candidate;
      shrunk = true;
      break;
    }
  }
  return smallest;
}

/** From the boldest to the most careful. */
function* smallerThan(run: Rehearsed): Generator<Rehearsed> {
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
    for (const input of smallerPrograms(task.input)) yield { ...run, tasks: tasks.with(at, { ...task, input }) };
  }
  if (schedule !== undefined) for (const tamer of fewerOf(schedule)) yield { ...run, schedule: tamer };
}

/** Halves, quarters, ... and then one less at a time. */
function* fewerOf<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let size = Math.ceil(items.length / 2); size >= 1 && items.length > 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < items.length; at += size) yield [...items.slice(0, at), ...items.slice(at + size)];
  }
}

function* smallerPrograms({ steps, rejects }: Program): Generator<Program> {
  if (rejects > 0) yield { steps, rejects: 0 };
  for (const [at, step] of steps.entries()) {
    yield { steps: steps.toSpliced(at, 1), rejects };
    if (step.at === 'call') continue;
    const { asked } = step;
    if (asked.length > 1)
      for (const fewer of asked.keys()) yield { steps: steps.with(at, { at: 'ask', asked: asked.toSpliced(fewer, 1) }), rejects };
    for (const [which, { kind, program }] of asked.entries()) {
      for (const smaller of smallerPrograms(program)) {
        yield { steps: steps.with(at, { at: 'ask', asked: asked.with(which, { kind, program: smaller }) }), rejects };
      }
    }
  }
}

/** The work of a run in words, one line a task. */
export function tellTasks(tasks: readonly RehearsedTask[]): readonly string[] {
  return tasks.map(({ id, kind, input }) => `${id} (${kind}) ${tellProgram(input)}`);
}

function tellProgram({ steps, rejects }: Program): string {
  const said = steps.map((step) =>
    step.at === 'call'
      ? `calls ${step.dependency}`
      : `asks ${step.asked.map(({ kind, program }) => `${kind} (which ${tellProgram(program)})`).join(' and ')}`,
  );
  return [...said, rejects === 0 ? 'ends' : `is rejected ${rejects} times, then ends`].join(', ');
}
