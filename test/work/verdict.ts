/** Verdict: what must be true when every task has ended, worked out from the programs and from nothing else. */
import type { NewTask, TaskRecord } from '../../actors/ports/store.ts';
import { REJECTED } from './agents.ts';
import type { Program } from './programs.ts';
import { ROWS } from './programs.ts';
import type { Witness } from './witness.ts';

export interface End {
  readonly tasks: readonly TaskRecord[];
  readonly accepted: ReadonlyMap<string, NewTask>;
  /** Values of the rows. */
  readonly rows: Readonly<Record<string, number>>;
  /** Tasks that a person has cancelled. */
  readonly cancelled: ReadonlySet<string>;
}

export function judge(witness: Witness, { tasks, accepted, rows, cancelled }: End): void {
  const sums: Record<string, number> = {};
  for (const task of tasks) {
    const program = JSON.parse(accepted.get(task.id)!.input) as Program;
    judgeTask(witness, task, program, isCancelled(task, { tasks, accepted, cancelled }));
    if (task.status !== 'completed') continue;
    for (const op of program.ops) if (op.at === 'add') sums[op.row] = (sums[op.row] ?? 0) + op.by;
  }
  for (const row of ROWS) {
    const [is, wanted] = [rows[row] ?? 0, sums[row] ?? 0];
    if (is !== wanted) witness.breaks('S10', `row ${row} is ${is}; what has completed added ${wanted}`);
  }
}

function judgeTask(witness: Witness, { id, status, result, error }: TaskRecord, { ops, ends }: Program, mayBeCancelled: boolean): void {
  const fair = ends === 'badly' ? 'dead' : 'completed';
  if (status !== fair && !(mayBeCancelled && status === 'cancelled')) {
    witness.breaks('end', `${id} ended as ${status}, and its program as ${fair}: ${error}`);
  }
  if (status === 'dead' && !(error ?? '').includes(REJECTED)) witness.breaks('end', `${id} is dead for ${error}`);
  const undone = witness.undone.get(id) ?? [];
  if (status === 'completed') {
    if (undone.length > 0) witness.breaks('undo', `${id} has completed, and ${undone.join(', ')} were undone`);
    const wanted = ops.flatMap((op, at) => {
      const name = 'name' in op ? op.name : `${op.at}${at}`;
      const value = witness.given.get(`${id} ${name}`);
      return value === undefined ? [] : [`${name} ${value}`];
    });
    if (result !== JSON.stringify(wanted)) witness.breaks('S4', `${id} says ${result}, but was given ${JSON.stringify(wanted)}`);
    let events = 0;
    for (const [at, op] of ops.entries()) {
      if (op.at !== 'event') continue;
      const value = witness.given.get(`${id} event${at}`);
      if (value !== `go ${events}`) witness.breaks('L1', `event ${events} of ${id} brought ${value}`);
      events += 1;
    }
    return;
  }
  // What was registered for sure was undone; and that in reverse.
  const registered = witness.registered.get(id) ?? [];
  const missing = registered.filter((name) => !undone.includes(name));
  if (missing.length > 0) witness.breaks('undo', `${id} is ${status}, and ${missing.join(', ')} were not undone`);
  // Those that go on failing are left for later; and with them those that failed in the last try for them.
  const undoable = ops.flatMap((op) => (op.at === 'undoable' ? [op] : []));
  const isLeft = undoable.some(({ fails }) => fails === 'until mended');
  const order = undoable.flatMap(({ name, fails }) => (isLeft && fails !== undefined ? [] : [name]));
  const inOrder = undone.filter((name) => order.includes(name));
  const inReverse = [...inOrder].toSorted((a, b) => order.indexOf(b) - order.indexOf(a));
  if (inOrder.join() !== inReverse.join()) witness.breaks('undo', `${id} was undone in the order ${undone.join(', ')}`);
}

/** It, or whoever asked for it; or that has ended without success, or may have completed without it. */
function isCancelled(task: TaskRecord, { tasks, accepted, cancelled }: Omit<End, 'rows'>): boolean {
  if (cancelled.has(task.id)) return true;
  const parent = tasks.find(({ id }) => id === task.parentId);
  if (parent === undefined) return false;
  const races = (JSON.parse(accepted.get(parent.id)!.input) as Program).ops.some(({ at }) => at === 'race');
  return parent.status !== 'completed' || races || isCancelled(parent, { tasks, accepted, cancelled });
}
