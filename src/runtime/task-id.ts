/** Task id: what an id and a priority may be, and how children get theirs. */
import { SubmitOptionError } from './errors.ts';
import { hashText } from './payload.ts';
import { OperatorInputError } from './work-errors.ts';

const LONGEST_ID = 512;
/** Room for `~` and the hash of a derived id that is too long. */
const LONGEST_MARK = 24;

const ID = `a text of 1 to ${LONGEST_ID} characters of well-formed Unicode`;

/** That of a new task. @throws SubmitOptionError */
export function checkId(id: unknown): string {
  if (isId(id)) return id;
  throw new SubmitOptionError('id', ID, id);
}

/** That of a task that somebody asks for, or steers. @throws OperatorInputError */
export function checkTaskId(id: unknown, argument = 'id'): string {
  if (isId(id)) return id;
  throw new OperatorInputError(argument, ID, id);
}

function isId(id: unknown): id is string {
  return typeof id === 'string' && id.length >= 1 && id.length <= LONGEST_ID && id.isWellFormed();
}

export function checkPriority(priority: unknown): number {
  if (Number.isSafeInteger(priority)) return priority as number;
  throw new SubmitOptionError('priority', 'a whole number', priority);
}

/** The same in every run of the parent. One that is too long is cut, and told from others by its hash. */
export function childId(parent: string, name: string): string {
  const id = `${parent}/${name}`;
  return id.length <= LONGEST_ID ? id : `${id.slice(0, LONGEST_ID - LONGEST_MARK).toWellFormed()}~${hashText(id)}`;
}
