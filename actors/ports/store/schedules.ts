/** Schedules: tasks that are made again and again. */
import type { NewTask } from './task.ts';

/** A recurring task. Times are the runtime's business: the store knows when it is due next and no more. */
export interface Schedule {
  readonly name: string;
  /** Opaque to the store. */
  readonly plan: string;
  readonly nextAtMs: number;
  /** The last task that it has made. */
  readonly lastId: string | null;
  readonly lastAtMs: number | null;
}

/** One turn of a schedule: nothing happens unless it is due at `atMs` still. */
export interface Firing {
  readonly name: string;
  readonly atMs: number;
  readonly nextAtMs: number;
  /** An id that is there already is left alone. */
  readonly tasks: readonly NewTask[];
}

/** Recurring tasks. */
export interface ScheduleStore {
  /** Makes schedules, or changes their plan and next time. */
  putSchedules(items: readonly { readonly name: string; readonly plan: string; readonly nextAtMs: number }[]): Promise<void>;
  removeSchedules(names: readonly string[]): Promise<void>;
  schedules(): Promise<readonly Schedule[]>;
  /** `false` where it was not due at that time: fired already, changed, or removed. */
  fireSchedules(
    items: readonly Firing[],
    nowMs: number,
  ): Promise<{ readonly fired: readonly boolean[]; readonly ready: readonly string[] }>;
}
