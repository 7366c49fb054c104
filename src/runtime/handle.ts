/** Handle: one submitted task, as its submitter holds it. */
import type { ChildRecord } from '../../actors/ports/store.ts';
import { TaskFailedError } from './errors.ts';
import { decode } from './payload.ts';
import { readErrorRecord } from './task-error.ts';

export class TaskHandle<Out = unknown> {
  readonly id: string;
  readonly kind: string;
  #ended: ChildRecord | undefined;
  #closed: { readonly error: unknown } | undefined;
  #result: Promise<Out> | undefined;
  #resolve: ((value: never) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;

  /** Made by `fleet.submit`. */
  constructor(id: string, kind: string) {
    this.id = id;
    this.kind = kind;
  }

  /**
   * The task's result. One promise, however often it is asked for; made at the first asking, so a
   * task that nobody waits for can fail without an unhandled rejection.
   *
   * @throws TaskFailedError when the task failed for good; its `detail.error` says why.
   * @throws FleetClosedError when the fleet closed first. The task stays in the store: submit the
   * same id again after a restart to wait on.
   */
  result(): Promise<Out> {
    this.#result ??= new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      if (this.#ended !== undefined) this.#settle(this.#ended);
      else if (this.#closed !== undefined) reject(this.#closed.error);
    });
    return this.#result;
  }

  /** The runtime's word that the task has ended. */
  ended(task: ChildRecord): void {
    this.#ended = task;
    if (this.#result !== undefined) this.#settle(task);
  }

  /** The runtime's word that nobody will say so any more. */
  closed(error: unknown): void {
    if (this.#ended !== undefined) return;
    this.#closed = { error };
    // Whoever awaits the result hears of it; a result that nobody awaits must not end the process on an orderly close.
    this.#result?.catch(() => {});
    this.#reject?.(error);
  }

  #settle(task: ChildRecord): void {
    if (task.status === 'completed') this.#resolve?.(decode(task.result) as never);
    else this.#reject?.(new TaskFailedError({ id: this.id, kind: this.kind, status: task.status, error: readErrorRecord(task.error) }));
  }
}
