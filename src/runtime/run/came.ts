/** Came: something that a run waits for has come before the run began. */
import type { TaskEvent } from '../../../actors/ports/store.ts';

/** What it was; of several the first counts. */
export interface Came {
  /** The task was told of it. */
  readonly event?: Pick<TaskEvent, 'name' | 'n'>;
  /** The id of a child that has ended. */
  readonly child?: string;
  /** A time was over. */
  readonly atMs?: number;
}
