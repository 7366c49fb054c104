/** Order keys of the model: who may be queued, said of all tasks at once. */
import { hasEnded, isHeld } from './model-task.ts';
import type { ModelTask } from './model-task.ts';

/** Who waits for these lets the next one of its key by: that may be what it waits for. */
const LETS_BY = ['child', 'event', 'approval'];

/** Of each key only the one whose turn it is stays queued; everybody else who could be waits for `order`. */
export function keepOrder(tasks: readonly ModelTask[]): void {
  for (const key of new Set(tasks.map(({ orderKey }) => orderKey))) {
    if (key === null) continue;
    const line = tasks.filter((task) => task.orderKey === key && !hasEnded(task));
    const turn = line.find(isHeld) ?? line.find((task) => !letsBy(task));
    for (const task of line) {
      if (task === turn && isInOrder(task)) Object.assign(task, { status: 'queued', parkedFor: null });
      else if (task !== turn && task.status === 'queued') Object.assign(task, { status: 'parked', parkedFor: 'order', box: null });
    }
  }
}

function letsBy({ status, parkedFor }: ModelTask): boolean {
  return status === 'parked' && parkedFor !== null && LETS_BY.includes(parkedFor);
}

function isInOrder({ status, parkedFor }: ModelTask): boolean {
  return status === 'parked' && parkedFor === 'order';
}
