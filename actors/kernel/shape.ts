/** Shape: checks what a person wrote against a zod schema, and says where it is wrong and what is allowed there. */
import type { z } from 'zod';

/** The first thing that is wrong: where, what is there, and what is allowed. */
export interface Problem {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly expected: string;
}

/** Checks a value against a shape; undefined when it fits. */
export function checkShape(shape: z.ZodType, value: unknown): Problem | undefined {
  const parsed = shape.safeParse(value);
  if (parsed.success) return undefined;
  const issue = parsed.error.issues[0]!;
  if (issue.code === 'unrecognized_keys') {
    const unknown = issue.keys[0]!;
    const holder = at(value, issue.path);
    return { path: [...issue.path.map(String), unknown], value: (holder as Record<string, unknown>)[unknown], expected: issue.message };
  }
  return { path: issue.path.map(String), value: at(value, issue.path), expected: issue.message };
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  let found: unknown = value;
  for (const key of path) found = (found as Record<PropertyKey, unknown> | null | undefined)?.[key];
  return found;
}

/** Says which fields there are when a field is unknown, and `otherwise` when it is no object at all. */
export function unknownOr(otherwise: string) {
  const error = (issue: { readonly code?: string; readonly inst?: unknown }): string => {
    if (issue.code !== 'unrecognized_keys') return otherwise;
    const shape = (issue.inst as { readonly def?: { readonly shape?: object } } | undefined)?.def?.shape ?? {};
    return `no such field; there are ${Object.keys(shape).join(', ')}`;
  };
  return { error };
}
