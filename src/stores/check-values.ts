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

// Whoever calls a store without types, or with a clock that answers nothing, gives what has another type: that must not
// come as far as a disk, which would keep a text in place of a number, or refuse the row as one that nobody can have written.

/** A time: any number, but not none. */
export function checkTime(ms: number, field: string): void {
  if (typeof ms !== 'number' || Number.isNaN(ms)) throw new StoreInputError(field, 'a time in milliseconds', ms);
}

/** What time it is. */
export function checkNow(nowMs: number): void {
  if (!Number.isFinite(nowMs)) throw new StoreInputError('nowMs', 'a time in milliseconds', nowMs);
}

/** A text that a disk can keep. */
export function checkText(text: string, field: string): void {
  if (typeof text !== 'string' || !text.isWellFormed())
    throw new StoreInputError(field, 'a text of well-formed Unicode, without lone surrogates', text);
}

/** How many to give: a number, perhaps too large or too small to mean anything. */
export function checkLimit(limit: number): void {
  if (typeof limit !== 'number' || Number.isNaN(limit)) throw new StoreInputError('limit', 'a number', limit);
}

/** An id, key or name. */
export function checkId(id: string, field = 'id'): void {
  if (typeof id === 'string' && id.length > LONGEST_ID) throw new StoreInputError(field, `at most ${LONGEST_ID} characters`, id);
  checkText(id, field);
}

/** How long a lease lasts. */
export function checkTtl(ttlMs: number): void {
  if (!Number.isFinite(ttlMs) || ttlMs < 0) throw new StoreInputError('ttlMs', 'milliseconds, at least 0', ttlMs);
}

/** How many there may be: any number that is not negative, `Infinity` too. */
export function checkBound(bound: number, field: string): void {
  if (typeof bound !== 'number' || !(bound >= 0)) throw new StoreInputError(field, 'a number of at least 0', bound);
}

/** A whole number. */
export function checkCount(count: number, least: number, field: string): void {
  if (!Number.isSafeInteger(count) || count < least) throw new StoreInputError(field, `a whole number of at least ${least}`, count);
}

/** A token of a run or a lease. One that was never given out is not wrong, but stale. */
export function checkFence(fence: number): void {
  if (!Number.isSafeInteger(fence)) throw new StoreInputError('fence', 'a whole number', fence);
}

/** Yes or no. */
export function checkFlag(flag: boolean, field: string): void {
  if (typeof flag !== 'boolean') throw new StoreInputError(field, 'true or false', flag);
}

/** One of these words. */
export function checkWord<Word extends string>(word: Word, words: readonly Word[], field: string): void {
  if (!words.includes(word)) throw new StoreInputError(field, `one of ${words.join(', ')}`, word);
}

/** A list. */
export function checkList(items: readonly unknown[], field: string): void {
  if (!Array.isArray(items)) throw new StoreInputError(field, 'a list', items);
}

/** What has fields. */
export function checkObject(item: object, field: string): void {
  if (typeof item !== 'object' || item === null) throw new StoreInputError(field, 'an object', item);
}

/** What has entries as its fields: of a list, a `Map` or a `Date` none would be found. */
export function checkRecord(record: object, field: string): void {
  if (Object.prototype.toString.call(record) !== '[object Object]') throw new StoreInputError(field, 'a plain object', record);
}

/** A list of what has fields. */
export function checkItems(items: readonly object[], field = 'items'): void {
  checkList(items, field);
  for (let at = 0; at < items.length; at += 1) checkObject(items[at]!, field);
}
