/** Payload: JSON texts with a size limit, and the schemas on both sides of them. */
import { isDeepStrictEqual } from 'node:util';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Schema } from '../topology/contract.ts';
import { toErrorRecord } from '../../actors/kernel/errors.ts';
import { PayloadInvalidError, PayloadNotJsonError, PayloadTooLargeError, PayloadUnreadableError } from './errors.ts';
import { changedByJson, oddInWords, TOO_DEEP } from './plain-json.ts';
import type { Odd } from './plain-json.ts';

/**
 * The text of a value, which comes back from it as it was. `undefined` becomes the empty text, which is no JSON and so cannot
 * be mistaken.
 *
 * @throws PayloadNotJsonError, PayloadTooLargeError
 */
export function encode(value: unknown, what: string, maxBytes: number): string {
  const text = textOf(value, what, maxBytes);
  const changed = changedByJson(value);
  if (changed !== undefined) throw new PayloadNotJsonError({ what, path: changed.path }, changed.found);
  return text;
}

/** As `encode`, for what nobody gets back: what JSON cannot hold is left out of the text. */
export function textOf(value: unknown, what: string, maxBytes: number): string {
  if (value === undefined) return '';
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw notJson(what, value, cause);
  }
  if (text === undefined) throw new PayloadNotJsonError({ what, path: '' }, oddInWords(value));
  // A UTF-16 unit is at most three bytes of UTF-8: short texts need no counting.
  if (text.length * 3 > maxBytes) {
    const bytes = Buffer.byteLength(text);
    if (bytes > maxBytes) throw new PayloadTooLargeError({ what, bytes, maxBytes });
  }
  return text;
}

/** Why there is no text of it: a bigint, a cycle, or something in it that throws when it is read. */
function notJson(what: string, value: unknown, cause: unknown): PayloadNotJsonError {
  let odd: Odd | undefined;
  try {
    odd = changedByJson(value);
  } catch {
    // What throws when it is read throws again.
  }
  // A cycle is as deep as one likes, and JSON says that better.
  if (odd?.found === TOO_DEEP && !(cause instanceof RangeError)) odd = undefined;
  const path = odd?.path ?? '';
  const found = odd?.found ?? `nothing that JSON can write (${toErrorRecord(cause).message.split('\n', 1)[0]})`;
  return new PayloadNotJsonError({ what, path }, found, { cause });
}

/** @throws PayloadUnreadableError when it is no text that `encode` has made: somebody else has written where it was kept */
export function decode(text: string | null): unknown {
  if (text === null || text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new PayloadUnreadableError({ cause });
  }
}

/**
 * What `schema` makes of `value`, or the value itself where there is no schema. `retryable`: whether
 * another run may bring a better one, as a model's answer may.
 */
export function parse(schema: Schema | undefined, value: unknown, what: string, retryable = false): unknown {
  if (schema === undefined) return value;
  const result = validate(schema, value, what);
  if (result instanceof Promise) {
    result.catch(() => {});
    checkDepth(value, what);
    throw new PayloadInvalidError(what, [{ path: '', message: 'an asynchronous schema cannot be used here' }], value, false);
  }
  if (result.issues === undefined) return result.value;
  throw new PayloadInvalidError(what, result.issues.map(describeIssue), value, retryable);
}

function validate(schema: Schema, value: unknown, what: string): ReturnType<Schema['~standard']['validate']> {
  try {
    return schema['~standard'].validate(value);
  } catch (error) {
    if (error instanceof RangeError) checkDepth(value, what);
    throw error;
  }
}

/** A schema that calls itself runs out of stack over what is nested very deep, and zod then takes it for an asynchronous one. */
function checkDepth(value: unknown, what: string): void {
  const odd = changedByJson(value);
  if (odd?.found === TOO_DEEP) throw new PayloadNotJsonError({ what, path: odd.path }, odd.found);
}

function describeIssue(issue: StandardSchemaV1.Issue): { readonly path: string; readonly message: string } {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return { path, message: issue.message };
}

/** Whether two texts say the same, whatever the order of their keys. */
export function sameJson(a: string, b: string): boolean {
  return a === b || canonical(decode(a)) === canonical(decode(b));
}

/** Whether they say the same, or the schema makes the same of both, as of a default that is left out and one that is spelt out. */
export function samePayload(schema: Schema | undefined, known: string, given: string, what: string): boolean {
  if (sameJson(known, given)) return true;
  if (schema === undefined) return false;
  try {
    return isDeepStrictEqual(parse(schema, decode(known), what), parse(schema, decode(given), what));
  } catch {
    // What is stored may be of an older schema.
    return false;
  }
}

function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? ''
  );
}

/**
 * 64 bits of a text: guards a remembered place against a run that takes another way, not against an
 * adversary.
 */
export function hashText(text: string): string {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    a = Math.imul(a ^ unit, 2_654_435_761);
    b = Math.imul(b ^ unit, 1_597_334_677);
  }
  a = Math.imul(a ^ (a >>> 16), 2_246_822_507) ^ Math.imul(b ^ (b >>> 13), 3_266_489_909);
  b = Math.imul(b ^ (b >>> 16), 2_246_822_507) ^ Math.imul(a ^ (a >>> 13), 3_266_489_909);
  return `${a >>> 0}.${b >>> 0}`;
}

/** @throws PayloadInvalidError. Refused where it stands: what undoes is needed only when something has failed. */
export function checkFunction(what: string, fn: unknown): void {
  if (typeof fn !== 'function') throw new PayloadInvalidError(what, [{ path: '', message: 'expected a function' }], fn, false);
}

/** @throws PayloadInvalidError */
export function checkQuality(quality: number): number {
  if (typeof quality === 'number' && quality >= 0 && quality <= 1) return quality;
  throw new PayloadInvalidError('score', [{ path: '', message: 'expected a number from 0 to 1' }], quality, false);
}
