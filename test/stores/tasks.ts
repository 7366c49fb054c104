import type { NewTask } from '../../actors/ports/store.ts';

export const KIND = 'triage';

export function newTask(id: string, changes: Partial<NewTask> = {}): NewTask {
  return { id, kind: KIND, version: '1', input: `{"id":"${id}"}`, priority: 0, maxAttempts: 3, maxLosses: 3, depth: 0, ...changes };
}
