/** Task query: which tasks `fleet.tasks` gives. Whoever asks may have no types: nothing unchecked gets as far as a store. */
import type { Store, TaskStatus } from '../../actors/ports/store.ts';
import { STATUSES } from '../stores/task-status.ts';
import { isName } from './new-task.ts';
import { checkTaskId } from './task-id.ts';
import { PARKED_FOR } from './task-look.ts';
import type { ParkedFor } from './task-look.ts';
import { OperatorInputError } from './work-errors.ts';

/** Which tasks to look at. What is left out does not narrow it. */
export interface TaskQuery {
  readonly kind?: string;
  readonly status?: TaskStatus;
  /** Only what is parked, and for that: `operator` for the paused ones. */
  readonly parkedFor?: ParkedFor;
  /** Only tasks that came after this one: the last of the page before. Its id. Default: from the first. */
  readonly after?: string;
  /** At most 1,000, default 100. */
  readonly limit?: number;
}

const MOST_TASKS = 1_000;
const USUAL_TASKS = 100;
const FIELDS = ['kind', 'status', 'parkedFor', 'after', 'limit'];

/** @throws OperatorInputError naming the field */
export function checkTaskQuery(query: unknown): Parameters<Store['list']>[0] {
  checkFields(query, 'query', FIELDS);
  const { kind, status, parkedFor, after, limit = USUAL_TASKS } = query as TaskQuery;
  if (kind !== undefined && !isName(kind)) throw new OperatorInputError('kind', 'the name of a kind', kind);
  if (status !== undefined && !STATUSES.includes(status)) {
    throw new OperatorInputError('status', `one of ${STATUSES.join(', ')}`, status);
  }
  if (parkedFor !== undefined && !PARKED_FOR.includes(parkedFor)) {
    throw new OperatorInputError('parkedFor', `one of ${PARKED_FOR.join(', ')}`, parkedFor);
  }
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST_TASKS) {
    throw new OperatorInputError('limit', `a whole number from 1 to ${MOST_TASKS}`, limit);
  }
  return {
    limit,
    ...(kind === undefined ? {} : { kind }),
    ...(status === undefined ? {} : { status }),
    ...(parkedFor === undefined ? {} : { parkedFor }),
    ...(after === undefined ? {} : { after: checkTaskId(after, 'after') }),
  };
}

/** @throws OperatorInputError for the first field that is none of those, or for what has no fields */
export function checkFields(options: unknown, what: string, known: readonly string[]): asserts options is object {
  if (typeof options !== 'object' || options === null) throw new OperatorInputError(what, `an object with ${known.join(', ')}`, options);
  for (const name in options) {
    if (known.includes(name)) continue;
    const expected = `no such field; there are ${known.join(', ')}`;
    throw new OperatorInputError(`${what}.${name}`, expected, (options as Record<string, unknown>)[name]);
  }
}

/** How long to wait. @throws OperatorInputError */
export function checkDeadlineMs(deadlineMs: unknown): void {
  if (typeof deadlineMs === 'number' && deadlineMs >= 0) return;
  throw new OperatorInputError('deadlineMs', 'milliseconds, at least 0', deadlineMs);
}
