/** Lock wants: what excludes what, and how a set of them grows. */
import type { LockWant } from '../ports/store.ts';

/** Two that want the same resource exclude each other, unless both only read it. */
export function excludes(a: LockWant['mode'], b: LockWant['mode']): boolean {
  return a === 'write' || b === 'write';
}

/**
 * The set with `more` in it: each resource once, as a writer when either says so. Resources keep
 * their places, new ones come last. The same set when there is nothing new.
 */
export function grown(wants: readonly LockWant[], more: readonly LockWant[]): readonly LockWant[] {
  const modes = new Map(wants.map(({ resource, mode }) => [resource, mode]));
  let changed = false;
  for (const { resource, mode } of more) {
    const known = modes.get(resource);
    if (known === 'write' || known === mode) continue;
    modes.set(resource, mode);
    changed = true;
  }
  return changed ? [...modes].map(([resource, mode]) => ({ resource, mode })) : wants;
}
