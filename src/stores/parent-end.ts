/**
 * ParentEnd: what it means for those whom a task has asked that it ends: completed, failed, dead or cancelled.
 * Nobody waits for their answers any more, so those that have not ended are cancelled, and whom they have asked with them,
 * by the command that ends the task, whether it has ended by that or is to be undone first:
 *
 *   - under lease: noted, as an operator's cancel is; one that completes first has completed;
 *   - being undone: left alone, for it ends without success anyway;
 *   - else: cancelled now, or to be undone now.
 *
 * Each item of a command is judged for itself; then families are closed. So the order of a batch does not matter.
 */
import type { TaskStatus } from '../../actors/ports/store.ts';

/** In whose name children are cancelled when their parent has ended otherwise than by an operator. */
export const BY_PARENT = 'drover';

/** By whom and why a task is cancelled. */
export interface CancelOrder {
  readonly by: string;
  readonly reason: string | null;
}

/** What becomes of a child that was asked by a task that ends. */
export type ChildFate = 'left' | 'noted' | 'cancelled';

/** The decision that all stores share. */
export function fateOf(child: { readonly hasEnded: boolean; readonly isHeld: boolean; readonly isUndoing: boolean }): ChildFate {
  if (child.hasEnded || child.isUndoing) return 'left';
  return child.isHeld ? 'noted' : 'cancelled';
}

const ENDS = {
  completed: 'has completed without it',
  failed: 'has failed',
  dead: 'is dead',
  cancelled: 'was cancelled',
} as const;

/** In the story of those who are cancelled since this task, which they worked for, ends like that. */
export function orderOf(id: string, status: Extract<TaskStatus, 'completed' | 'failed' | 'cancelled' | 'dead'>): CancelOrder {
  return { by: BY_PARENT, reason: `task ${id}, which it worked for, ${ENDS[status]}` };
}
