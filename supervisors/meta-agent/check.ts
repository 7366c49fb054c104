/** Check: data from outside is refused by naming the field, what it holds, and what is allowed there. */
import { z } from 'zod';
import { describe, DroverError } from '../../actors/kernel/errors.ts';
import { checkShape } from '../../actors/kernel/shape.ts';

/** A rule, a limit or a scaling policy is wrong: which field, what it holds, and what is allowed there. */
export class PolicyError extends DroverError {
  readonly code = 'DROVER_POLICY';
  readonly retryable = false;
  override readonly detail: { readonly path: readonly string[]; readonly value: unknown; readonly expected: string };
  constructor(detail: PolicyError['detail'], options?: ErrorOptions) {
    super(`${detail.path.join('.')}: expected ${detail.expected}, got ${describe(detail.value)}`, options);
    this.detail = detail;
  }
}

/** Throws a `PolicyError` about the first thing in `value` that does not have the shape. */
export function check(shape: z.ZodType, value: unknown, root: string): void {
  const problem = checkShape(shape, value);
  if (problem !== undefined) throw new PolicyError({ ...problem, path: [...root.split('.'), ...problem.path] });
}

/** The message of a strict object: which fields there are when one is unknown, `otherwise` when it is no object. */
export function fieldsOr(otherwise: string, ...fields: readonly string[]) {
  const error = (issue: { readonly code?: string }): string =>
    issue.code === 'unrecognized_keys' ? `no such field; there are ${fields.join(', ')}` : otherwise;
  return { error };
}

export const ms = (least: number) => number(least, Infinity, `milliseconds, at least ${least}`);
export const count = (least: number, what: string) => z.int(what).min(least, what);
export const share = number(0, 1, 'a share from 0 to 1');

export function number(least: number, most: number, what: string) {
  return z.number(what).min(least, what).max(most, what);
}
