/** Handle: one submitted task, as its submitter holds it. */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { ChildRecord } from '../../actors/ports/store.ts';
import type { EventMap } from '../topology/context.ts';
import { TaskFailedError } from './errors.ts';
import { decode } from './payload.ts';
import { readErrorRecord } from './task-error.ts';
import { TaskCancelledError } from './work-errors.ts';

/** Who orders something of a task, and why: kept in its story. */
export interface ByOptions {
  /** At most 512 characters. Default `operator`. */
  readonly by?: string;
  /** At most 4,096 characters. Default: none. */
  readonly reason?: string;
}

export interface SignalOptions {
  /** The same key for the same task and event name is the same event: it is told once, and refused with another payload. 1 to 512 characters. Default: none. */
  readonly key?: string;
}

/**
 * `noted`: it has not happened yet. A run has it under lease, and lets go at its next safe point (one that completes first has
 * completed); or, cancelled, it is undone before it ends.
 */
export type Steered = 'done' | 'noted';

/** What a handle can have done to its task. */
export interface TaskControl {
  cancel(id: string, options?: ByOptions): Promise<Steered>;
  signal(id: string, name: string, payload: unknown, options?: SignalOptions): Promise<void>;
  whyCancelled(id: string): Promise<{ readonly by: string | null; readonly reason: string | null }>;
  /** The task has ended: nobody needs to find this handle again. */
  forget(id: string): void;
}

/** `E`: the outside events that its kind declares. */
export class TaskHandle<Out = unknown, E extends EventMap = EventMap> {
  readonly id: string;
  readonly kind: string;
  readonly #control: TaskControl | undefined;
  #ended: ChildRecord | undefined;
  #closed: { readonly error: unknown } | undefined;
  #result: Promise<Out> | undefined;
  #resolve: ((value: never) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;

  /** Made by `fleet.submit`. */
  constructor(id: string, kind: string, control?: TaskControl) {
    this.id = id;
    this.kind = kind;
    this.#control = control;
  }

  /**
   * The task's result. One promise, however often it is asked for; made at the first asking, so a
   * task that nobody waits for can fail without an unhandled rejection. It tells the first end that this process has heard
   * of: after `fleet.requeue` submit the same id again to wait on.
   *
   * @throws TaskFailedError when the task failed for good; its `detail.error` says why.
   * @throws TaskCancelledError when it was cancelled: by whom, and why.
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

  /** As `fleet.cancel`. */
  async cancel(options?: ByOptions): Promise<Steered> {
    return this.#control!.cancel(this.id, options);
  }

  /** As `fleet.signal`. */
  async signal<N extends keyof E & string>(name: N, payload?: StandardSchemaV1.InferInput<E[N]>, options?: SignalOptions): Promise<void> {
    return this.#control!.signal(this.id, name, payload, options);
  }

  /** The runtime's word that the task has ended. */
  ended(task: ChildRecord): void {
    this.#ended = task;
    this.#control?.forget(this.id);
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
    const { id, kind } = this;
    try {
      if (task.status === 'completed') this.#resolve?.(decode(task.result) as never);
      else if (task.status === 'cancelled') void this.#rejectCancelled();
      else this.#reject?.(new TaskFailedError({ id, kind, status: task.status, error: readErrorRecord(task.error) }));
    } catch (unreadable) {
      this.#reject?.(unreadable);
    }
  }

  async #rejectCancelled(): Promise<void> {
    const { id, kind } = this;
    const why = (await this.#control?.whyCancelled(id)) ?? { by: null, reason: null };
    this.#reject?.(new TaskCancelledError({ id, kind, ...why }));
  }
}
