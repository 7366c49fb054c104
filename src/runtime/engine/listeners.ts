/** Listeners: who wants to know that a task has ended. */
import { ChurnMap } from '../../../actors/kernel/churn-map.ts';
import type { ChildRecord } from '../../../actors/ports/store.ts';

/** Whoever wants to know that a task has ended. */
export interface TaskListener {
  ended(task: ChildRecord): void;
  /** The engine closes: nobody will say so any more. */
  closed?(error: unknown): void;
}

export class TaskListeners {
  readonly #listeners = new ChurnMap<string, TaskListener | TaskListener[]>();

  listen(id: string, listener: TaskListener): void {
    const before = this.#listeners.get(id);
    if (before === undefined) this.#listeners.set(id, listener);
    else this.#listeners.set(id, Array.isArray(before) ? [...before, listener] : [before, listener]);
  }

  forget(id: string, listener: TaskListener): void {
    const now = this.#listeners.get(id);
    const left = Array.isArray(now) ? now.filter((other) => other !== listener) : [];
    if (left.length > 0) this.#listeners.set(id, left);
    else if (now === listener || Array.isArray(now)) this.#listeners.delete(id);
  }

  /** The tasks that somebody waits for. */
  ids(): string[] {
    return [...this.#listeners.keys()];
  }

  /** Whether somebody waits for it. */
  has(id: string): boolean {
    return this.#listeners.has(id);
  }

  tell(child: ChildRecord): void {
    const listeners = this.#listeners.get(child.id);
    if (listeners === undefined) return;
    this.#listeners.delete(child.id);
    if (Array.isArray(listeners)) for (const listener of listeners) listener.ended(child);
    else listeners.ended(child);
  }

  close(error: unknown): void {
    const listeners = [...this.#listeners.values()].flat();
    this.#listeners.clear();
    for (const listener of listeners) listener.closed?.(error);
  }
}
