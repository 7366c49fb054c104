/**
 * What values a store can keep: the words of every check.
 *
 * Texts must be well-formed Unicode, because a disk keeps UTF-8: a lone surrogate would come back
 * as another text, and two ids could become one. JSON made by `JSON.stringify` always is.
 */
import { DroverError, describe } from '../../actors/kernel/errors.ts';

/** A command carries something that no store can keep. Nothing of it has happened. */
export class StoreInputError extends DroverError {
  readonly code = 'DROVER_STORE_INPUT';
  readonly retryable = false;
  override readonly detail: { readonly field: string };
  constructor(field: string, expected: string, found: unknown) {
    super(`${field}: expected ${expected}, got ${describe(found)}`);
    this.detail = { field };
  }
}

/** The longest id, key, or name, in characters. */
export const LONGEST_ID = 512;

/** A time: any number, but not none. */
export function checkTime(ms: number, field: string): void {
  if (Number.isNaN(ms)) throw new StoreInputError(field, 'a time in milliseconds', ms);
}

/** A text that a disk can keep. */
export function checkText(text: string, field: string): void {
  if (typeof text !== 'string' || !text.isWellFormed())
    throw new StoreInputError(field, 'well-formed Unicode, without lone surrogates', text);
}

/** How many to give: a number, perhaps too large or too small to mean anything. */
export function checkLimit(limit: number): void {
  if (typeof limit !== 'number' || Number.isNaN(limit)) throw new StoreInputError('limit', 'a number', limit);
}

/** An id, key or name. */
export function checkId(id: string, field = 'id'): void {
  if (id.length > LONGEST_ID) throw new StoreInputError(field, `at most ${LONGEST_ID} characters`, id);
  checkText(id, field);
}

/** How long a lease lasts. */
export function checkTtl(ttlMs: number): void {
  if (!(ttlMs >= 0)) throw new StoreInputError('ttlMs', 'milliseconds, at least 0', ttlMs);
}

/** How many there may be: any number that is not negative, `Infinity` too. */
export function checkBound(bound: number, field: string): void {
  if (!(bound >= 0)) throw new StoreInputError(field, 'a number of at least 0', bound);
}

/** A whole number. */
export function checkCount(count: number, least: number, field: string): void {
  if (!Number.isSafeInteger(count) || count < least) throw new StoreInputError(field, `a whole number of at least ${least}`, count);
}
