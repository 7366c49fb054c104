/** Widen: a run adds to what it may write. What it does not hold yet it gets by letting go of everything and starting again. */
import type { LockWant } from '../../../actors/ports/store.ts';
import { PayloadInvalidError } from '../errors.ts';
import { isName, MOST_LOCKS, sortLocks } from '../new-task.ts';
import type { Run, Settle } from '../run.ts';
import { BoundReachedError } from './errors.ts';
import { checkOutsideStep } from './in-step.ts';
import { Pending } from './operation.ts';

export function widen(run: Run, resources: readonly string[], resolve: Settle): void {
  if (!Array.isArray(resources) || !resources.every((name) => isName(name) && name !== '')) {
    const message = 'expected a list of names of 1 to 512 characters of well-formed Unicode';
    throw new PayloadInvalidError('widen', [{ path: '', message }], resources, false);
  }
  checkOutsideStep(run, 'widen');
  const held = new Set(run.locks.filter(({ mode }) => mode === 'write').map(({ resource }) => resource));
  const missing = [...new Set<string>(resources)].filter((resource) => !held.has(resource));
  if (missing.length === 0) return resolve(undefined);
  // Others side by side want theirs too, and all is asked for at once.
  const all = new Set([...run.widening, ...missing]);
  if (run.locks.length + all.size > MOST_LOCKS) throw new BoundReachedError({ id: run.task.id, bound: 'locks', limit: MOST_LOCKS });
  if (!run.mayAct()) return;
  for (const resource of missing) run.widening.add(resource);
  const wait = new Pending();
  wait.waitsFor = 'locks';
  wait.locks = sortLocks(missing.map((resource): LockWant => ({ resource, mode: 'write' })));
  run.opened(wait);
  // What is in flight may end first; not from within this call, so that what is begun beside it is known.
  wait.stop = run.engine.alarm(0, () => run.parkIfPostponed());
}
