/** Undo: what a task has registered to be undone lies in its memory, until all of it has been. */
import type { Known } from './sqlite-known.ts';
import { BEHIND_COMPENSATIONS, COMPENSATION_PLACE } from './task-status.ts';

/** Something that the task has registered is to be undone. */
export function hasCompensations({ sql }: Known, seq: number): boolean {
  return (sql.anyRemembered.get(seq, COMPENSATION_PLACE, BEHIND_COMPENSATIONS) as unknown as [number])[0] === 1;
}
