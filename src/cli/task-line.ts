/** Task line: one line of input as a task, and the id of a line that gives none. Pure. */
import { hash } from 'node:crypto';
import { LONGEST_ID } from '../stores/checks.ts';
import { TaskLineError } from './errors.ts';

/** A task as a line describes it. The fleet checks the kind and the input. */
export interface TaskLine {
  readonly kind: string;
  readonly input: unknown;
  readonly id: string | undefined;
  readonly priority: number | undefined;
}

const FIELDS = ['kind', 'input', 'id', 'priority'];
const SHAPE = '{"kind": "...", "input": ..., "id": "...", "priority": 0}';
const LONGEST_LABEL = 64;

/** @throws TaskLineError saying what was expected and what came. */
export function parseTaskLine(text: string): TaskLine {
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw TaskLineError.of(`an object ${SHAPE}`, value);
  const unknown = Object.keys(value).find((field) => !FIELDS.includes(field));
  if (unknown !== undefined) throw TaskLineError.of(`only the fields ${FIELDS.join(', ')}`, unknown);
  const { kind, input, id, priority } = value as Readonly<Record<string, unknown>>;
  if (typeof kind !== 'string' || kind === '') throw TaskLineError.of('kind: the name of an agent', kind);
  if (id !== undefined && !isId(id)) throw TaskLineError.of(`id: a text of 1 to ${LONGEST_ID} characters`, id);
  if (priority !== undefined && !Number.isSafeInteger(priority)) throw TaskLineError.of('priority: a whole number', priority);
  return { kind, input, id: id as string | undefined, priority: priority as number | undefined };
}

/** Where lines come from, as far as their ids depend on it. */
export interface LineOrigin {
  /** Stands in front of the ids, for people: the file's name. */
  readonly label: string;
  /** What tells two files apart: the path from the store's folder to the file, or `-` for a stream. */
  readonly identity: string;
}

/**
 * The id of a line that gives none: file, line number and content. So the same file run again on
 * the same store goes on where it stopped and does nothing twice, lines may be added at its end,
 * and a line that was edited is a new task. The path counts from the store's folder: file and store
 * may move together. Lines that may move within their file need an id of their own.
 */
export function deriveId({ label, identity }: LineOrigin, line: number, { kind, input }: TaskLine): string {
  const content = JSON.stringify(input === undefined ? [identity, kind] : [identity, kind, input]);
  return `${label.slice(0, LONGEST_LABEL).toWellFormed()}:${line}:${hash('sha256', content, 'hex').slice(0, 16)}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw TaskLineError.of('JSON', text, { cause });
  }
}

function isId(id: unknown): boolean {
  // A lone surrogate cannot be kept as UTF-8: two ids could become one.
  return typeof id === 'string' && id.length >= 1 && id.length <= LONGEST_ID && id.isWellFormed();
}
