/** Task id: what an id and a priority may be, and how children get theirs. */
import { SubmitOptionError } from './errors.ts';
import { hashText } from './payload.ts';

const LONGEST_ID = 512;
/** Room for `~` and the hash of a derived id that is too long. */
const LONGEST_MARK = 24;

export function checkId(id: unknown): string {
  if (typeof id === 'string' && id.length >= 1 && id.length <= LONGEST_ID && id.isWellFormed()) return id;
  throw new SubmitOptionError('id', `a text of 1 to ${LONGEST_ID} characters of well-formed Unicode`, id);
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
