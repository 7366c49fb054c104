/** Task look: a task as whoever looks at it sees it: the record of the store, with what its texts say. */
import type { ErrorRecord } from '../../actors/kernel/errors.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import type { TaskRecord } from '../../actors/ports/store.ts';
import { decode } from './payload.ts';
import { readErrorRecord } from './task-error.ts';

/**
 * What a parked task waits for: its time, a turn of its order key or its locks before it has begun; then what its run has
 * parked for; `operator`: it is paused; `suspended`: for another worker, or for its own, whose last run let go of it.
 */
export const PARKED_FOR = ['time', 'order', 'locks', 'child', 'sleep', 'event', 'approval', 'admission', 'suspended', 'operator'] as const;
export type ParkedFor = (typeof PARKED_FOR)[number];

/** A task as the store has it now. */
export interface TaskLook extends Omit<TaskRecord, 'input' | 'result' | 'error' | 'parkedFor' | 'undone'> {
  /** As it was submitted; undefined where nothing was given. */
  readonly input: unknown;
  /** What it ended with; undefined until it has completed. */
  readonly result: unknown;
  /** Of its last run, or why it ended; null: none. */
  readonly error: ErrorRecord | null;
  /** While its `status` is `parked`; null otherwise. */
  readonly parkedFor: ParkedFor | null;
  /** Kept from running until `unpause`, or will be once its run lets go (`noted`). */
  readonly paused: boolean;
  /** It has not ended: what it registered with `ctx.compensate` is undone first. */
  readonly undoing: boolean;
  /** It has ended, and all that it had registered has been undone. */
  readonly undone: boolean;
  /** What of it is no JSON any more, since somebody else has written in the store: that is undefined here, or null. Mostly empty. */
  readonly unreadable: readonly ('input' | 'result' | 'error')[];
}

export function lookAt(record: TaskRecord): TaskLook {
  const { input, result, error, undone, parkedFor, noted, status } = record;
  const isOver = isTerminal(status);
  const unreadable: ('input' | 'result' | 'error')[] = [];
  const read = <T>(what: 'input' | 'result' | 'error', from: () => T): T | undefined => {
    try {
      return from();
    } catch {
      unreadable.push(what);
      return undefined;
    }
  };
  return {
    ...record,
    input: read('input', () => decode(input)),
    result: read('result', () => decode(result)),
    error: read('error', () => readErrorRecord(error)) ?? null,
    parkedFor: parkedFor as ParkedFor | null,
    paused: parkedFor === 'operator' || noted === 'pause',
    undoing: undone && !isOver,
    undone: undone && isOver,
    unreadable,
  };
}
