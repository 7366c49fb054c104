/**
 * Inspect: shows a supervision tree in the XState inspector.
 *
 *     actors ── turns ──▶ observeTree ── events of views ──▶ Outbox ── later, within its share ──▶ inspector
 */
import type { InspectionEvent, Observer } from 'xstate';
import type { Host } from '../../actors/host/host.ts';
import type { ActorId } from '../../actors/kernel/effects.ts';
import { observeTree } from './observe-tree.ts';
import { Outbox } from './outbox.ts';
import type { OutboxOptions } from './outbox.ts';

/** What XState's own `inspect` takes: a function, or an observer such as `inspector.inspect` of `@statelyai/inspect`. */
export type Inspect = Observer<InspectionEvent> | ((event: InspectionEvent) => void);

/** Whether a value can be an `inspect` option. */
export function isInspect(value: unknown): value is Inspect {
  if (typeof value === 'function') return true;
  return typeof value === 'object' && value !== null && typeof (value as { readonly next?: unknown }).next === 'function';
}

/** Where warnings go. A pino logger will do. */
export interface InspectLog {
  warn(detail: object, message: string): void;
}

export interface InspectOptions extends Pick<OutboxOptions, 'capacity' | 'clock'> {
  readonly inspect: Inspect;
  /** The address of the actor at the top of the tree, which need not live yet. */
  readonly root: ActorId;
  readonly log?: InspectLog;
}

/** An inspector at work. */
export interface Inspection {
  /** Events that the inspector never got, because it was behind. */
  readonly dropped: number;
  /** Events at which it threw. */
  readonly thrown: number;
  /** False once it has thrown too often in a row, or has been closed and has got what was left. */
  readonly isAttached: boolean;
  /** Ends it: what has happened so far is still handed over, as far as that goes quickly. */
  close(): void;
}

/**
 * Shows every actor of a tree that is started from now on as one tree of XState actors. It costs the
 * actors a fraction of a microsecond a turn; the inspector gets about a tenth of the thread's time, and
 * when that is not enough it misses the oldest events (`outbox.ts`). Whatever it throws is logged.
 *
 * Call it before the root is spawned, and `close` when the tree has ended.
 */
export function inspectTree(host: Host, { root, ...options }: InspectOptions): Inspection {
  const outbox: Outbox = new Outbox({ ...options, onDetach: () => stop() });
  const stop = observeTree({ host, root, onTold: (told) => outbox.push(told) });
  return {
    get dropped() {
      return outbox.dropped;
    },
    get thrown() {
      return outbox.thrown;
    },
    get isAttached() {
      return !outbox.isDetached;
    },
    close() {
      stop();
      outbox.close();
    },
  };
}
