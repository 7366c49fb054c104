/** What an operator may do to a task of the model, by where it is. */
import type { Steering, SteerOutcome } from '../../actors/ports/store.ts';
import { keepOrder } from './model-order.ts';
import { hasEnded, isCompensated, isHeld } from './model-task.ts';
import type { ModelTask } from './model-task.ts';
import type { ModelWorld } from './model-world.ts';

export interface Steered {
  /** As it is after the whole command. */
  readonly outcome: () => SteerOutcome;
  readonly ended?: readonly ModelTask[];
  readonly held?: readonly ModelTask[];
}

export function steerOne(world: ModelWorld, { id, action }: Steering): Steered {
  // Whoever is refused is told where it is by then, whose turn it is included.
  keepOrder(world.tasks);
  const task = world.find(id);
  if (task === undefined) return { outcome: () => ({ at: 'unknown' }) };
  const done: Steered = { outcome: () => ({ at: 'done', status: task.status }) };
  const refused = (why: 'ended' | 'not-ended' | 'not-paused' | 'undone' | 'cancelling'): Steered => {
    const { status } = task;
    return { outcome: () => ({ at: 'refused', why, status }) };
  };
  const noted = (what: 'cancel' | 'pause'): Steered => {
    task.noted = what;
    if (what === 'cancel') task.withParent = false;
    return { outcome: () => ({ at: 'noted', fence: task.fence }), held: [task] };
  };
  if (action === 'requeue') {
    if (!hasEnded(task)) return refused('not-ended');
    if (task.status === 'completed') return refused('ended');
    if (task.undo !== null && !isCompensated(task)) return refused('undone');
    const { status } = task;
    const { deadlineMs = Infinity } = task.task;
    if (task.undo === null && deadlineMs <= world.nowMs) return { outcome: () => ({ at: 'refused', why: 'deadline', status, deadlineMs }) };
    putBack(world, task);
    return done;
  }
  if (action === 'cancel' && task.kept) {
    Object.assign(task, { kept: false, withParent: false, error: null, finishedAtMs: null });
    return { ...done, ...world.cancel(task) };
  }
  if (hasEnded(task)) return refused('ended');
  switch (action) {
    case 'cancel':
      if (task.undo !== null) {
        const { status, undo } = task;
        return { outcome: () => ({ at: 'refused', why: 'undoing', status, ends: undo.status }) };
      }
      if (isHeld(task)) return noted('cancel');
      task.withParent = false;
      return { ...done, ...world.cancel(task) };
    case 'pause':
      if (isHeld(task)) return task.noted === 'cancel' ? refused('cancelling') : noted('pause');
      if (task.parkedFor !== 'operator') world.pause(task);
      return done;
    case 'unpause':
      if (isHeld(task) && task.noted === 'pause') task.noted = null;
      else if (task.parkedFor === 'operator') world.unpause(task);
      else return refused('not-paused');
      return done;
  }
}

/** With those that ended with it, or failed, unless it has gone past that. */
function putBack(world: ModelWorld, task: ModelTask): void {
  // What could not be undone is to be undone once more, over all that it remembers.
  const isUndone = task.undo !== null;
  Object.assign(task, {
    attempt: 0,
    losses: 0,
    error: null,
    result: null,
    finishedAtMs: null,
    resumed: isUndone,
    sinceMs: Math.min(task.submittedAtMs, world.nowMs),
    withParent: false,
    kept: false,
  });
  world.queue(task);
  const isBack = ({ task: { parent }, status, undo, withParent }: ModelTask): boolean =>
    parent?.id === task.task.id && undo === null && (status === 'failed' || status === 'dead' || (status === 'cancelled' && withParent));
  // Whose failure is remembered has been gone past.
  const isPassed = (child: ModelTask): boolean =>
    task.memory.some(({ place, failed }) => failed === true && place === child.task.parent!.place);
  if (!isUndone) for (const child of world.tasks.filter((one) => isBack(one) && !isPassed(one))) putBack(world, child);
}
