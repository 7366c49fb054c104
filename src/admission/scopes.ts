/** Scopes: the names of budgets, from the widest to the narrowest. A call is paid by all of its scopes, or by none. */
export const FLEET_SCOPE = 'fleet';

export const kindScope = (kind: string): string => `kind:${kind}`;
export const workerScope = (worker: string): string => `worker:${worker}`;
export const taskScope = (task: string): string => `task:${task}`;

/** What a task may spend in all is its own affair: it does not wait for more, it fails. */
export function isOfTask(scope: string): boolean {
  return scope.startsWith('task:');
}

/** What a worker may spend: others of its kind may have more. */
export function isOfWorker(scope: string): boolean {
  return scope.startsWith('worker:');
}
